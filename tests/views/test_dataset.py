"""A data set is checked once, never changes, and reads each particle once."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
import time
from functools import partial

import numpy as np
import pytest
from data_sets import DATA, POSES, PSF, VIEWS, Counting, N, close, same

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.sums.halves import half_of
from fastmpr.views.background import without_background


class TestReads:
    @pytest.mark.parametrize("workers", [1, 2, 3])
    @pytest.mark.parametrize("symmetry", [None, "C3"])
    def test_each_particle_once(self, workers, symmetry):
        for function in (fastmpr.accumulate, partial(fastmpr.reconstruct, check=False)):
            source = Counting()
            function(Dataset(source, PSF, POSES, symmetry=symmetry), workers=workers)
            assert sorted(source.reads) == list(range(N))

    def test_each_particle_once_to_average_and_to_deconvolve(self):
        for make in (lambda d: fastmpr.average(d), lambda d: fastmpr.deconvolve_average(d, lam=10.0, max_iter=2)):
            source = Counting()
            make(Dataset(source, PSF, POSES))
            assert sorted(source.reads) == list(range(N))

    def test_what_weighs_nothing_is_never_read(self):
        source = Counting()
        weights = np.arange(N) % 3
        fastmpr.reconstruct(source, PSF, POSES, weights=weights, check=False)
        assert sorted(source.reads) == np.flatnonzero(weights).tolist()

    def test_nothing_is_read_before_it_is_needed(self):
        source = Counting()
        data = Dataset(source, PSF, POSES)[2:5]
        assert "particles" in repr(data)
        assert len(data.split(3, rng=0)) == 3
        assert source.reads == []
        assert data.particle_shape == VIEWS.shape[1:]
        assert source.reads == [2]
        assert np.array_equal(data.read(0), VIEWS[2])
        assert source.reads == [2]

    def test_repeats_are_read_as_often_as_they_stand_there(self):
        source = Counting()
        fastmpr.accumulate(Dataset(source, PSF, POSES)[[4, 4, 7]])
        assert sorted(source.reads) == [4, 4, 7]

    @pytest.mark.parametrize("thread_safe", [None, False, True])
    def test_a_source_is_asked_by_one_thread_at_a_time_unless_it_is_safe(self, thread_safe):
        inside, most = [], []

        class Slow(Counting):
            def __getitem__(self, i):
                inside.append(threading.get_ident())
                most.append(len(inside))
                time.sleep(0.01)
                inside.remove(threading.get_ident())
                return self.views[i]

        fastmpr.accumulate(Slow(), PSF, POSES, workers=2, thread_safe=thread_safe)
        assert max(most) == (2 if thread_safe else 1)

    def test_a_source_that_says_it_is_safe_is_believed(self):
        source = Counting()
        source.thread_safe = True
        assert Dataset(source).source.thread_safe
        assert not Dataset(Counting()).source.thread_safe
        assert Dataset(VIEWS).source.thread_safe
        assert Dataset(list(VIEWS)).source.thread_safe


class TestSelections:
    def test_all_forms_select_the_same(self):
        mask = np.zeros(N, bool)
        mask[[2, 3, 4]] = True
        expected = fastmpr.accumulate(VIEWS[2:5], PSF, POSES[2:5], workers=1)
        for index in (slice(2, 5), [2, 3, 4], np.array([2, 3, 4]), mask, mask.tolist(), [-8, -7, -6]):
            assert close(fastmpr.accumulate(DATA[index], workers=1), expected)

    def test_all_that_belongs_to_a_view_goes_with_it(self):
        data = Dataset(
            VIEWS,
            [PSF, PSF],
            POSES,
            psf_of=np.arange(N) % 2,
            weights=np.arange(N) + 1,
            names=[f"n{i}" for i in range(N)],
        )
        part = data[[7, 2]]
        assert part.names == ("n7", "n2")
        assert part.weights.tolist() == [8, 3]
        assert part.psf_of.tolist() == [1, 0]
        assert np.array_equal(part.poses.matrix, POSES.matrix[[7, 2]])
        assert np.array_equal(part.read(1), VIEWS[2])
        assert np.array_equal(part[1].read(0), VIEWS[2])
        assert part[-1].names == ("n2",)

    def test_split_holds_every_view_once(self):
        parts = DATA.split(3, rng=4)
        assert sorted(len(part) for part in parts) == [3, 3, 4]
        indices = np.concatenate([part.source.which for part in parts])
        assert sorted(indices) == list(range(N))
        again = np.concatenate([part.source.which for part in DATA.split(3, rng=4)])
        assert np.array_equal(indices, again)
        assert close(sum_of(parts), fastmpr.accumulate(DATA))

    def test_replace_changes_one_thing(self):
        poses = Poses.random(N, rng=8)
        data = Dataset(VIEWS, PSF, POSES, voxel_size=(0.3, 0.1, 0.1), psf_voxel_size=0.1, symmetry="C2")
        other = data[2:6].replace(poses=poses[:4])
        assert np.array_equal(other.poses.matrix, poses.matrix[:4])
        assert np.array_equal(other.read(0), VIEWS[2])
        for name in ("voxel_size", "psf_voxel_size", "symmetry", "frame", "unit"):
            assert getattr(other, name) == getattr(data, name)

    def test_it_never_changes(self):
        with pytest.raises(AttributeError):
            DATA.frame = "model"
        for array in (DATA.weights, DATA.psf, DATA.psf_of):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
        psf, weights = PSF.copy(), np.ones(N)
        data = Dataset(VIEWS, psf, POSES, weights=weights)
        psf[:], weights[:] = 0, 0
        assert data.psf.max() > 0
        assert data.weights.min() == 1


def sum_of(parts: list[Dataset]) -> fastmpr.NormalEquations:
    first, *others = (fastmpr.accumulate(part) for part in parts)
    for other in others:
        first = first + other
    return first


class TestMeaning:
    def test_the_shorthand_is_the_same(self):
        options = {"weights": np.arange(N) + 1.0, "voxel_size": (0.3, 0.1, 0.1)}
        data = Dataset(VIEWS, PSF, POSES, **options)
        assert same(fastmpr.accumulate(data), fastmpr.accumulate(VIEWS, PSF, POSES, **options))
        for function in (fastmpr.reconstruct, fastmpr.deconvolve_average):
            a, b = function(data, max_iter=3), function(VIEWS, PSF, POSES, max_iter=3, **options)
            assert np.array_equal(getattr(a, "x", a), getattr(b, "x", b))
        assert np.array_equal(fastmpr.average(data), fastmpr.average(VIEWS, poses=POSES, **options))

    def test_several_psfs(self):
        other = fastmpr.psf.gaussian((11, 11, 9), sigma=(2.5, 1.5, 1))
        which = np.arange(N) % 2
        sums = fastmpr.accumulate(VIEWS, [PSF, other], POSES, psf_of=which, shape=(12, 14, 16))
        grid = sums.shape
        apart = [fastmpr.accumulate(VIEWS[k::2], h, POSES[k::2]) for k, h in enumerate((PSF, other))]
        if all(part.shape == grid for part in apart):
            assert close(sums, apart[0] + apart[1])
        both = fastmpr.accumulate(VIEWS, [PSF, PSF], POSES, psf_of=which)
        assert same(both, fastmpr.accumulate(VIEWS, PSF, POSES))
        assert fastmpr.deconvolve_average(VIEWS, [PSF, other], POSES, psf_of=which, lam=9.0, max_iter=2).shape == (
            12,
            14,
            16,
        )

    @pytest.mark.parametrize("frame", ["particle", "model"])
    @pytest.mark.parametrize("symmetry", ["C4", "D2"])
    def test_symmetry_is_the_same_as_all_copies(self, frame, symmetry):
        shape = (18, 18, 18)  # on a cube of 24 voxels, which these turns take to itself
        truth = fastmpr.phantom.centriole(shape).astype(np.float64)
        poses = Poses.random(3, max_translation=0 if frame == "model" else 1.0, rng=2)
        copies = poses.symmetrized(symmetry)
        n = len(copies) // len(poses)
        views = fastmpr.simulate(truth, PSF, poses, frame="particle")
        expected = fastmpr.accumulate(np.repeat(views, n, axis=0), PSF, copies)
        if frame == "model":  # the same views, brought into the frame of the model
            views = np.stack([fastmpr.average(views[i : i + 1], poses=poses[i : i + 1]) for i in range(3)])
        sums = fastmpr.accumulate(views, PSF, poses, symmetry=symmetry, frame=frame)
        assert sums.n_poses == expected.n_poses == 3 * n
        np.testing.assert_allclose(sums.gram, expected.gram, rtol=1e-9, atol=1e-12 * expected.gram.max())
        tolerance = 1e-9 if frame == "particle" else 0.05  # resampled twice, and cut at the edge of the image
        np.testing.assert_allclose(sums.rhs, expected.rhs, rtol=0, atol=tolerance * np.abs(expected.rhs).max())

    def test_symmetric_copies_of_a_view_stay_in_one_half(self):
        """Else each half holds the other's noise."""
        data = Dataset(VIEWS, PSF, POSES, symmetry="C2", outside="dark")
        half = half_of(data, np.arange(N), 6)
        halves = [fastmpr.accumulate(data.then(without_background)[half == k], workers=1) for k in (0, 1)]
        assert fastmpr.reconstruct(data, workers=1, max_iter=5).lam == fastmpr.select_lam(*halves, workers=1)[0]

    def test_views_of_weight_zero_do_not_count(self):
        """Automatic lam sees the same with them as without them."""
        for n in (1, 4, 9):
            weights = (np.arange(N) < n).astype(float)
            with_them = fastmpr.reconstruct(VIEWS, PSF, POSES, weights=weights, max_iter=5)
            without = fastmpr.reconstruct(VIEWS[:n], PSF, POSES[:n], max_iter=5)
            assert with_them.lam == pytest.approx(without.lam, rel=1e-6)

    def test_average_by_weights(self):
        weights = np.array([0, 2.0, 1.0])
        mean = fastmpr.average(VIEWS[:3], poses=POSES[:3], weights=weights)
        twice = fastmpr.average(VIEWS[[1, 1, 2]], poses=POSES[[1, 1, 2]])
        np.testing.assert_allclose(mean, twice, atol=1e-5)
        small = fastmpr.average(VIEWS[:3], poses=POSES[:3], weights=1e-3 * weights)
        np.testing.assert_allclose(small, mean, atol=1e-5)

    @pytest.mark.parametrize(
        ("unit", "factor"), [("voxel", 1 / np.array([0.3, 0.1, 0.1])), ("um", 1), ("nm", 1e3), ("A", 1e4)]
    )
    def test_units(self, unit, factor):
        t = POSES.translation
        poses = Poses(POSES.rotation, t * factor, unit=unit)
        data = Dataset(VIEWS, PSF, poses, voxel_size=(0.3, 0.1, 0.1))
        np.testing.assert_allclose(data.placed.translation, t, atol=1e-12)
        assert data.poses.unit == unit

    def test_names_match_poses(self):
        names = [f"p/{i}.tif" for i in range(N)]
        order = np.random.default_rng(0).permutation(N)
        shuffled = Poses(POSES.matrix[order], POSES.translation[order], names=[names[i] for i in order])
        data = Dataset(VIEWS, PSF, shuffled, names=names)
        np.testing.assert_allclose(data.poses.matrix, POSES.matrix, atol=1e-12)
        assert Dataset(VIEWS, PSF, data.poses).names == tuple(names)

    def test_names_on_one_side_alone_must_be_in_natural_order(self):
        """Or a table that was sorted otherwise goes by the order of an array: 20.6 dB where 39.2 are right."""
        names = [f"{i}.tif" for i in range(N)]
        unnamed = Poses(POSES.matrix, POSES.translation)
        named = Poses(POSES.matrix, POSES.translation, names=names)
        for mixed in (sorted(names, reverse=True), [*names[1:], names[0]]):
            other = Poses(POSES.matrix, POSES.translation, names=mixed)
            with pytest.raises(
                ValueError, match=r"^poses: found names that are not in natural order .* need names of both"
            ):
                Dataset(VIEWS, PSF, other)
            with pytest.raises(ValueError, match=r"^poses: found names that are not in natural order"):
                Dataset(VIEWS, PSF).replace(poses=other)
            with pytest.raises(ValueError, match=r"^names: found names that are not in natural order"):
                Dataset(VIEWS, PSF, unnamed, names=mixed)
            assert Dataset(VIEWS, PSF, other, names=mixed).poses is other
            for data in (Dataset(VIEWS, PSF, unnamed), Dataset(VIEWS, PSF, other, names=mixed)):
                assert data.replace(names=mixed).names == tuple(mixed)  # the poses are in the particles' order already
            assert Dataset(VIEWS, PSF, other, names=mixed).replace(poses=unnamed).poses is unnamed
        assert Dataset(VIEWS, PSF, named).poses is named
        assert Dataset(VIEWS, PSF, unnamed, names=names).poses is unnamed
        assert Dataset(VIEWS, PSF, named)[[3, 1]].replace(poses=unnamed[[3, 1]]).names == ("3.tif", "1.tif")

    def test_what_is_missing_is_named(self):
        names = [f"p/{i}.tif" for i in range(N)]
        poses = Poses(POSES[1:].matrix, names=[f"{i}.tif" for i in range(1, N)])
        with pytest.raises(ValueError, match=r"found 10 for 9 poses \(no pose for 'p/0.tif'\), need one each"):
            Dataset(VIEWS, PSF, poses, names=names)
        poses = Poses(POSES[1:].matrix, names=[f"{i}.tif" for i in range(2, N + 1)])
        with pytest.raises(ValueError, match=r"\(no pose for 'p/0.tif', 'p/1.tif', no particle for '10.tif'\)"):
            Dataset(VIEWS, PSF, poses, names=names)

    def test_what_is_assumed_is_told(self, caplog):
        with caplog.at_level(logging.INFO, "fastmpr"):
            data = Dataset(VIEWS, PSF, POSES)
        assert [record.getMessage() for record in caplog.records] == list(data.assumed)
        assert [text.split(":")[0] for text in data.assumed] == ["voxel size", "PSF's voxel size", "poses"]
        assert Dataset(VIEWS, PSF, POSES, voxel_size=0.1, psf_voxel_size=0.1).assumed == data.assumed[2:]

    def test_the_line_it_prints(self):
        assert repr(DATA) == "<Dataset: 10 particles of 12 x 14 x 16, PSF of 9 x 7 x 7, with poses>"
        bare = Dataset([VIEWS[0]], voxel_size=0.25, symmetry="C9", frame="model")
        assert repr(bare) == (
            "<Dataset: 1 particle, voxels of 0.25 x 0.25 x 0.25 um, no PSF, no poses, C9, in the frame of the model>"
        )

    def test_it_travels(self):
        data = Dataset(list(VIEWS), PSF, POSES)
        data.read(0)
        for other in (pickle.loads(pickle.dumps(data)), copy.deepcopy(data)):
            other.poses.translation[0] = 1  # of a copy
            assert same(fastmpr.accumulate(other), fastmpr.accumulate(data))
            with pytest.raises(ValueError, match="read-only"):
                other.poses.matrix[0] = 1
