from __future__ import annotations

import numpy as np
import pytest
from images import OME, STACK, VOLUME, save

from fastmpr.io import tiff
from fastmpr.io.particles import ParticleFolder, natural_key, open_particles


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
        assert isinstance(particles, tiff.Stack)
        assert len(particles) == 4

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

    def test_natural_order(self):
        names = ["a10", "a9", "9", "10", "b", "", "a09b"]
        assert sorted(names, key=natural_key) == ["", "9", "10", "a9", "a09b", "a10", "b"]
