from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from image_files import VOLUME, hide
from rings import cylindrical, ring

import fastmpr
from fastmpr import Poses, plot
from fastmpr.plot import directions


class TestSections:
    def test_picture(self, tmp_path):
        volumes = {"a": VOLUME, "b": VOLUME[5:15, :, :7], "nothing": np.zeros((4, 5, 6))}
        plot.sections(volumes, (0.3, 0.1, 0.1), tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
        assert len(list(tmp_path.iterdir())) == 1

    def test_what_is_drawn(self):
        """One marked voxel off every central plane but one shows in that section alone, at its place."""
        volume = np.zeros((7, 9, 11), np.float32)
        volume[3, 1, 8] = 1  # on the central plane z = 3 only
        axes = np.reshape(plot.volumes.figure_of({"v": volume}, (3.0, 2.0, 1.0)).axes, 3)
        shown = [np.asarray(ax.images[0].get_array()) for ax in axes]
        assert [image.shape for image in shown] == [(9, 11), (7, 11), (7, 9)]
        assert [image.max() for image in shown] == [1, 0, 0]
        assert shown[0][1, 8] == 1
        assert [ax.images[0].get_extent() for ax in axes] == [[0, 11, 0, 18], [0, 11, 0, 21], [0, 18, 0, 21]]
        assert [ax.get_ylabel() for ax in axes] == ["xy", "xz", "yz"]
        assert [text.get_text() for text in axes[0].texts] == ["5 µm"]  # of 18 micrometres, at most 0.3

    def test_planes_alone_and_voxels_of_unknown_size(self):
        volumes = {"a": np.eye(9, 11)[np.newaxis], "b": np.ones((1, 9, 11))}
        axes = plot.volumes.figure_of(volumes, (1.0, 2.0, 1.0), known=False).axes
        assert [np.shape(ax.images[0].get_array()) for ax in axes] == [(9, 11), (9, 11)]
        assert [ax.images[0].get_extent() for ax in axes] == [[0, 11, 0, 18]] * 2
        assert not any(ax.texts or ax.lines for ax in axes)
        assert len(plot.volumes.figure_of(volumes | {"c": np.ones((2, 9, 11))}, (1.0, 2.0, 1.0)).axes) == 9

    def test_bad_input_leaves_nothing(self, tmp_path):
        for volumes, message in (
            ({}, "volumes: found none"),
            ({"x": VOLUME[0]}, r"volumes\['x'\]: found an array of shape"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.sections(volumes, 1, tmp_path / "p.png")
        with pytest.raises(ValueError, match="tiff3"):
            plot.sections({"x": VOLUME}, 1, tmp_path / "p.tiff3")
        (tmp_path / "p.png").write_text("mine")
        with pytest.raises(FileExistsError, match="exists already"):
            plot.sections({"x": VOLUME}, 1, tmp_path / "p.png")
        assert [path.name for path in tmp_path.iterdir()] == ["p.png"]

    def test_missing_matplotlib(self, tmp_path, monkeypatch):
        hide(monkeypatch, "matplotlib")
        with pytest.raises(ImportError, match=r'pip install "fastmpr\[cli\]"'):
            plot.sections({"x": VOLUME}, 1, tmp_path / "p.png")
        assert list(tmp_path.iterdir()) == []


class TestPoses:
    RESULT = SimpleNamespace(
        x=VOLUME,
        poses=Poses(np.array([np.eye(3), np.diag([-1.0, 1, -1]), np.roll(np.eye(3), 1, axis=0), np.eye(3)])),
        scores=np.array([0.9, 0.8, 0.5, np.nan]),
        rounds=[{"start": start, "voxel_size": 1.0, "score": 0.1 * k} for k, start in enumerate([1, 1, 2, 2, 2, 0])],
    )

    def test_picture(self, tmp_path):
        plot.poses(self.RESULT, (0.3, 0.1, 0.1), tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
        assert [path.name for path in tmp_path.iterdir()] == ["p.png"]

    def test_directions_are_the_optical_axes_in_the_frame_of_the_volume(self):
        ax = plot.drawing.new_figure((3, 3)).add_subplot(projection="polar")
        directions.draw_directions(ax, self.RESULT.poses.matrix[np.isfinite(self.RESULT.scores), 0])
        angle, radius = np.asarray(ax.collections[0].get_offsets()).T  # of the three views with a score
        np.testing.assert_allclose(radius, [0, 1, np.sqrt(0.5)], atol=1e-12)  # z, -z, and x
        np.testing.assert_allclose(angle[2], 0, atol=1e-12)

    def test_each_start_has_a_line_and_full_size_follows(self):
        ax = plot.drawing.new_figure((3, 3)).add_subplot()
        plot.found_poses.draw_rounds(ax, self.RESULT.rounds)
        drawn = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
        assert drawn == {"start 1": [1, 2], "start 2": [1, 2, 3], "full size": [4]}

    def test_something_else(self, tmp_path):
        with pytest.raises(TypeError, match="^result: found 3, need what ab_initio or refine returns"):
            plot.poses(3, None, tmp_path / "p.png")


class TestResult:
    FOUND = SimpleNamespace(
        x=np.random.default_rng(0).random((6, 8, 10)),
        history=[{"nit": 10, "primal": 0.1, "dual": 0.2}, {"nit": 20, "primal": 0.01, "dual": 0.0}],
        nit=20,
        message="converged",
    )

    def test_picture(self, tmp_path):
        plot.result(self.FOUND, np.ones_like(self.FOUND.x), 0.1, tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")

    def test_what_is_drawn(self):
        volumes = {"volume": self.FOUND.x, "average": self.FOUND.x / 2}
        *planes, curve = plot.results._figure(volumes, self.FOUND, (3.0, 1.0, 1.0), True).axes
        shown = [np.asarray(ax.images[0].get_array()) for ax in planes]
        assert np.array_equal(shown[0], self.FOUND.x[3]) and np.array_equal(shown[9], self.FOUND.x.max(axis=0) / 2)
        assert [len(ax.texts) for ax in planes] == [1] + [0] * 11
        assert [line.get_xdata().tolist() for line in curve.lines] == [[10, 20], [10]]

    def test_bad_input_leaves_nothing(self, tmp_path):
        with pytest.raises(TypeError, match="found: found 3, need what reconstruct returns"):
            plot.result(3, self.FOUND.x, 1, tmp_path / "p.png")
        with pytest.raises(ValueError, match="average: found shape"):
            plot.result(self.FOUND, self.FOUND.x[1:], 1, tmp_path / "p.png")
        assert not list(tmp_path.iterdir())


class TestProfiles:
    def found(self, replicates=None, symmetry=None):
        z, r, _ = cylinder = cylindrical((18, 22, 22))
        return fastmpr.profile(ring(cylinder, 6.0, 1.5, 9.0, lobes=4), replicates=replicates, symmetry=symmetry)

    def test_picture(self, tmp_path):
        plot.profiles(self.found(), tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
        assert [path.name for path in tmp_path.iterdir()] == ["p.png"]

    def test_what_is_drawn(self):
        noise = 0.01 * np.random.default_rng(0).random((3, 18, 22, 22))
        found = self.found(noise + ring(cylindrical((18, 22, 22)), 6.0, 1.5, 9.0, lobes=4), "C4")
        radial, axial, angular = plot.axis_profiles.figure_of(found).axes
        for ax, curve in ((radial, found.radial), (axial, found.axial), (angular, found.angular)):
            drawn = max((line for line in ax.lines), key=lambda line: len(line.get_xdata()))
            assert np.array_equal(drawn.get_xdata(), curve.position) and np.array_equal(drawn.get_ydata(), curve.value)
            assert len(ax.collections) == 1  # the band
        marks = [line.get_xdata()[0] for line in radial.lines if len(line.get_xdata()) == 2]
        assert found.diameter.value / 2 in marks
        assert [line.get_xdata()[0] for line in angular.lines[:3]] == [90, 180, 270]
        assert radial.get_xlabel() == "distance from the axis (voxels)"
        assert axial.get_title() == f"height {found.height.number} voxels"
        arrows = [(text.xy[0], text.xyann[0]) for ax in (radial, axial) for text in ax.texts]
        assert arrows == [found.wall, found.barrel]

    def test_what_does_not_exist_is_said(self, tmp_path):
        z, r, _ = cylindrical((12, 14, 14))
        found = fastmpr.profile(np.exp(-(r**2) / 9), voxel_size=0.1)
        radial, axial, angular = plot.axis_profiles.figure_of(found).axes
        assert radial.get_title() == "no ring: the radial profile is highest on the axis"
        assert axial.get_title() == "no height: the axial profile does not fall to half within the box"
        assert radial.get_xlabel() == "distance from the axis (µm)" and not any(ax.texts for ax in (radial, axial))
        plot.profiles(fastmpr.profile(np.zeros((1, 1, 1))), tmp_path / "nothing.svg")

    def test_something_else(self, tmp_path):
        with pytest.raises(TypeError, match="^found: found 3, need what profile returns"):
            plot.profiles(3, tmp_path / "p.png")
