from __future__ import annotations

import pickle

import numpy as np
import pytest
from image_files import OME, STACK, UNCLEAR, VOLUME, ome_set, save, unclear

from fastmpr import FastmprWarning, io
from fastmpr.io.particles import ParticleFolder, ParticleStack, natural_key, open_particles
from fastmpr.testing import check_source


class TestParticles:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "particles"
        folder.mkdir()
        for i in (0, 1, 2, 10):
            save(folder / f"{i}.tiff", VOLUME + i)
        (folder / "notes.txt").write_text("not a particle")
        (folder / "._1.tiff").write_text("what macOS leaves behind")
        return folder

    def test_folder(self, folder):
        particles = open_particles(folder)
        assert isinstance(particles, ParticleFolder)
        assert len(particles) == 4
        assert particles.names == tuple(f"particles/{i}.tiff" for i in (0, 1, 2, 10))
        assert (particles.shape, particles.voxel_size) == ((20, 12, 14), None)
        for volume, i in zip(particles, (0, 1, 2, 10), strict=True):
            np.testing.assert_array_equal(volume, VOLUME + i)

    def test_folder_called_dot(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        assert open_particles(".").names[0] == "particles/0.tiff"

    def test_stack(self, tmp_path):
        particles = open_particles(save(tmp_path / "s.tif", STACK))
        assert isinstance(particles, ParticleStack)
        assert len(particles) == 4

    def test_both_go_to_other_processes_as_paths(self, folder, tmp_path):
        for path in (folder, save(tmp_path / "s.tif", STACK)):
            sent = pickle.dumps(open_particles(path))
            np.testing.assert_array_equal(pickle.loads(sent)[2], open_particles(path)[2])

    def test_both_are_what_we_ask_of_others(self, folder, tmp_path):
        for path in (folder, save(tmp_path / "s.tif", STACK)):
            particles = open_particles(path)
            assert particles.thread_safe
            check_source(particles)

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere: does not exist"):
            open_particles(tmp_path / "nowhere")
        with pytest.raises(ValueError, match="found no volume in this folder"):
            open_particles(tmp_path)

    def test_another_shape(self, folder):
        save(folder / "2.tiff", VOLUME[1:])
        with pytest.raises(ValueError, match=r"2\.tiff: found shape \(19, 12, 14\), need \(20, 12, 14\) as in 0"):
            list(open_particles(folder))

    def test_another_voxel_size(self, folder):
        save(folder / "2.tiff", VOLUME, ome=True, metadata=OME)
        with pytest.raises(ValueError, match=r"2\.tiff: found voxel size \(0.3, 0.2, 0.1\), need None"):
            list(open_particles(folder))

    @pytest.mark.parametrize("name", UNCLEAR)
    def test_unclear_voxel_sizes_must_be_given(self, tmp_path, name):
        for file in ("0.tif", "1.tif"):
            unclear(tmp_path / file, name)
        with pytest.raises(ValueError, match=r"0\.tif: found a voxel size that is not clear"):
            open_particles(tmp_path)
        for path in (tmp_path, tmp_path / "0.tif"):
            particles = open_particles(path, voxel_size=0.1)
            assert particles.voxel_size == (0.1, 0.1, 0.1)
            np.testing.assert_array_equal(particles[len(particles) - 1], VOLUME)
        with pytest.raises(ValueError, match="^voxel_size: found"):
            open_particles(tmp_path, voxel_size=0)

    def test_one_unclear_file_among_clear_ones(self, tmp_path):
        save(tmp_path / "0.tif", VOLUME, ome=True, metadata=OME)
        unclear(tmp_path / "1.tif", "no z")
        with pytest.raises(ValueError, match=r"1\.tif: found a voxel size that is not clear"):
            list(open_particles(tmp_path))

    def test_a_set_of_files_is_a_folder_of_particles(self, tmp_path):
        ome_set(tmp_path, STACK, {f"{t}.ome.tif": [(t, z) for z in range(5)] for t in range(4)})
        particles = open_particles(tmp_path)
        assert particles.voxel_size == (0.3, 0.1, 0.1)
        np.testing.assert_array_equal(np.stack(list(particles)), STACK)

    def test_folders_are_no_particles(self, folder):
        (folder / "backup.tif").mkdir()
        assert len(open_particles(folder)) == 4

    def test_two_formats_are_refused(self, folder):
        """A folder with copies of the particles in another format, or with their average."""
        (folder / "average.mrc").write_bytes(b"")
        message = r"found 4 \.tif \('0\.tiff', .* and 1 more\) and 1 \.mrc \('average\.mrc'\), need files of one format"
        with pytest.raises(ValueError, match=message) as caught:
            open_particles(folder)
        assert "\n" not in str(caught.value)
        assert len(open_particles(f"{folder}/*.tiff")) == 4

    def test_files_of_a_list_and_of_a_pattern(self, folder):
        files = [folder / f"{i}.tiff" for i in (10, 0, 2)]
        listed = open_particles(files)
        assert listed.names == tuple(map(str, files))  # in the order of the list
        for volume, i in zip(listed, (10, 0, 2), strict=True):
            np.testing.assert_array_equal(volume, VOLUME + i)
        matched = open_particles(f"{folder}/*.tif*")
        assert matched.names == tuple(str(folder / f"{i}.tiff") for i in (0, 1, 2, 10))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(matched))[3], VOLUME + 10)
        with pytest.raises(FileNotFoundError, match=r"\*\.mrc: does not exist, need a folder .* or a pattern"):
            open_particles(f"{folder}/*.mrc")
        with pytest.raises(ValueError, match="^path: found an empty list"):
            open_particles([])
        with pytest.raises(TypeError, match="^path: found .*, need the name of a file"):
            open_particles([folder / "0.tiff", VOLUME])

    @pytest.mark.parametrize(
        ("given", "slip"),
        [
            ((0.1, 0.2, 0.3), "the same sides in another order"),
            ((300, 200, 100), "1000 times as long"),
            ((3, 2, 1), "10 times as long"),
            ((0.03, 0.02, 0.01), "0.1 times as long"),
        ],
    )
    def test_a_slip_in_the_voxel_size_that_is_given_is_said(self, tmp_path, given, slip):
        for name in ("0.tif", "1.tif"):
            save(tmp_path / name, VOLUME, ome=True, metadata=OME)
        reads = (open_particles, lambda path, size: open_particles(path / "0.tif", size))
        for read in (*reads, lambda path, size: io.read(path / "0.tif", size)):
            with pytest.warns(FastmprWarning, match=rf"beside \(0\.3, 0\.2, 0\.1\) in 0\.tif, {slip}") as caught:
                read(tmp_path, given)
            assert len(caught) == 1
        for right in (
            (0.3, 0.2, 0.1),
            (0.31, 0.2, 0.1),
            (0.6, 0.4, 0.2),
            0.15,
        ):  # what the file says, or another length
            list(open_particles(tmp_path, right))

    def test_natural_order(self):
        names = ["a10", "a9", "9", "10", "b", "", "a09b"]
        assert sorted(names, key=natural_key) == ["", "9", "10", "a9", "a09b", "a10", "b"]


def test_nan_is_what_a_particle_did_not_see_and_no_volume_has_it(tmp_path):
    volume = np.ones((4, 5, 6), np.float32)
    volume[1, 2, 3] = np.nan
    save(tmp_path / "0.tif", volume)
    np.testing.assert_array_equal(open_particles(tmp_path)[0], volume)
    with pytest.raises(ValueError, match=r"0\.tif: found 1 NaN or infinite values, need finite ones"):
        io.read(tmp_path / "0.tif")
