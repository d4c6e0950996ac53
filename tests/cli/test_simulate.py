from __future__ import annotations

import numpy as np
import pytest
from commands import PSF, SHAPE, TRUTH, N, files, refusal

import fastmpr
from fastmpr import io, phantom
from fastmpr.cli import main
from fastmpr.geometry.poses import Poses


class TestSimulate:
    def test_what_is_written(self, simulated):
        assert files(simulated) == {
            "particles",
            *(f"particles/00{i}.tiff" for i in range(N)),
            "poses.csv",
            "psf.tiff",
            "truth.tiff",
        }
        for name in ("truth.tiff", "particles/000.tiff"):
            volume, voxel_size = io.read(simulated / name)
            assert volume.shape == SHAPE
            assert voxel_size == (0.1, 0.1, 0.1)
        np.testing.assert_array_equal(io.read(simulated / "psf.tiff")[0], PSF)
        poses = Poses.read(simulated / "poses.csv")
        assert poses.names == tuple(f"particles/00{i}.tiff" for i in range(N))
        assert 0.1 < np.abs(poses.translation).max() <= 2

    def test_views_are_those_of_the_poses(self, simulated):
        """Without the command: the poses read back, in voxels, make the same views up to the noise."""
        views = fastmpr.simulate(TRUTH, PSF, Poses.read(simulated / "poses.csv"))
        for i, view in enumerate(views):
            error = io.read(simulated / f"particles/00{i}.tiff")[0] - view
            assert error.std() == pytest.approx(0.01 * TRUTH.max(), rel=0.1)

    @pytest.mark.parametrize("name", ["centriole", "nuclear_pore"])
    def test_phantoms(self, tmp_path, name, capsys):
        line = ["simulate", name, "-o", str(tmp_path / "a"), "--poses", "1", "--shape", "16", "17", "18"]
        assert main([*line, "--noise", "0", "--seed", "3"]) == 0
        assert "1 particles of 16 x 17 x 18 voxels" in capsys.readouterr().out
        truth, voxel_size = io.read(tmp_path / "a" / "truth.tiff")
        np.testing.assert_array_equal(truth, getattr(phantom, name)((16, 17, 18)))
        assert voxel_size is None
        assert io.read(tmp_path / "a" / "psf.tiff")[0].shape == (33, 9, 9)

    def test_the_seed_decides(self, simulated, tmp_path):
        for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            line = ["simulate", str(simulated / "truth.tiff"), "-o", str(tmp_path / name), "--poses", "1"]
            assert main([*line, "--seed", seed, "-q"]) == 0
        a, b, c = (io.read(tmp_path / name / "particles" / "000.tiff")[0] for name in "abc")
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 0

    def test_overwriting(self, views, capsys):
        line = ["simulate", str(views / "truth.tiff"), "-o", str(views), "--poses", "1"]
        before = (views / "poses.csv").read_text()
        assert "holds particles already" in refusal(line, capsys)
        assert (views / "poses.csv").read_text() == before
        (views / "mine.txt").touch()
        assert main([*line, "--overwrite"]) == 0
        assert files(views) == {
            "mine.txt",
            "particles",
            "particles/000.tiff",
            "poses.csv",
            "psf.tiff",
            "truth.tiff",
        }

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (["nothing.tif"], "nothing.tif: does not exist"),
            (["centriole", "--poses", "0"], "argument --poses: found '0'"),
            (["centriole", "--noise", "-1"], "argument --noise: found '-1'"),
            (["centriole", "--noise", "nan"], "argument --noise: found 'nan'"),
            (["centriole", "--max-translation", "-1"], "max_translation: found -1"),
            (["centriole", "--psf-sigma", "4", "0", "1"], "argument --psf-sigma: found '0'"),
            (["centriole", "--shape", "4", "4"], "argument --shape: expected 3 arguments"),
            (["centriole", "--psf", "nothing.tif"], "nothing.tif: does not exist"),
        ],
    )
    def test_bad_arguments(self, tmp_path, capsys, monkeypatch, changes, message):
        monkeypatch.chdir(tmp_path)
        assert message in refusal(["simulate", "-o", "new", *changes], capsys)
        assert files(tmp_path) == set()

    def test_shape_of_a_file(self, simulated, tmp_path, capsys):
        line = [
            "simulate",
            str(simulated / "truth.tiff"),
            "-o",
            str(tmp_path / "a"),
            "--shape",
            "4",
            "4",
            "4",
        ]
        assert "--shape: is for centriole and nuclear_pore" in refusal(line, capsys)

    def test_lengths_need_a_voxel_size(self, simulated, tmp_path, capsys):
        line = ["simulate", "centriole", "-o", str(tmp_path / "a"), "--psf", str(simulated / "psf.tiff")]
        assert "centriole: found no voxel size, but lengths in" in refusal(line, capsys)
