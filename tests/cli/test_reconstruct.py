from __future__ import annotations

import itertools
import sys
import warnings

import numpy as np
import pytest
from commands import PSF, SHAPE, N, arguments, change, files, reconstruct, refusal
from tqdm import tqdm

import fastmpr
from fastmpr import io
from fastmpr.cli import main
from fastmpr.geometry.poses import Poses
from fastmpr.metrics import psnr


class TestReconstruct:
    def test_output(self, views, capsys):
        before = files(views)
        x = reconstruct(views)
        volume, voxel_size = io.read(views / "out.ome.tif")
        assert x.shape == SHAPE
        assert x.min() >= 0
        assert voxel_size == pytest.approx((0.1, 0.1, 0.1))
        assert files(views) == before | {"out.ome.tif", "out.json"}
        out, err = capsys.readouterr()
        assert "15 x 16 x 18 voxels of 0.1 x 0.1 x 0.1 micrometres" in out
        assert "lam 10, 3 iterations" in out
        assert "particles" not in err  # no progress bar where nobody watches

    @pytest.mark.parametrize("symmetry", [None, "C2"])
    def test_same_as_python(self, views, symmetry):
        poses = Poses.read(views / "poses.csv")
        particles = [io.read(views / name)[0] for name in poses.names]
        poses = Poses(poses.rotation, 0.1 * poses.translation)
        options = {"lam": 10, "voxel_size": 0.1, "max_iter": 3, "symmetry": symmetry}
        expected = fastmpr.reconstruct(particles, PSF, poses, **options).x
        x = reconstruct(views, symmetry=symmetry)
        np.testing.assert_allclose(x, expected, atol=1e-5 * expected.max())

    def test_symmetry_about_another_axis(self, views):
        data = fastmpr.load(views / "particles", views / "psf.tiff", views / "poses.csv", voxel_size=0.1)
        where = {"symmetry": "C3", "symmetry_axis": (0, 1, 1), "symmetry_centre": (0, -0.1, 0.2)}
        expected = fastmpr.reconstruct(data.replace(**where), lam=10, max_iter=3).x
        np.testing.assert_allclose(reconstruct(views, **where), expected, atol=1e-5 * expected.max())

    def test_two_axes_of_symmetry(self, views, capsys):
        data = fastmpr.load(views / "particles", views / "psf.tiff", views / "poses.csv", voxel_size=0.1)
        axes = ((0, 1, 0), (1, 0, 0))
        expected = fastmpr.reconstruct(data.replace(symmetry="D3", symmetry_axis=axes), lam=10, max_iter=3).x
        x = reconstruct(views, symmetry="D3", symmetry_axis=(0, 1, 0, 1, 0, 0))
        np.testing.assert_allclose(x, expected, atol=1e-5 * expected.max())
        capsys.readouterr()
        line = arguments(views, symmetry="D3", symmetry_axis=(1, 0, 0, 1), overwrite=True)
        assert "--symmetry-axis: found 4 numbers, need 3 (z y x), or 6" in refusal(line, capsys)

    def test_the_files_in_place_of_their_folder(self, views):
        """As a shell writes particles/*.tiff."""
        expected = reconstruct(views)
        line = arguments(views, overwrite=True)
        line[1:2] = map(str, sorted((views / "particles").iterdir()))
        assert main(line) == 0
        np.testing.assert_array_equal(io.read(views / "out.ome.tif")[0], expected)

    def test_what_does_not_fit_is_said(self, views, capsys):
        for path in (views / "particles").iterdir():
            particle, voxel = io.read(path)
            io.write(path, np.ascontiguousarray(particle[:, ::-1]), voxel, overwrite=True)
        line = [*map(str, (views / "particles", "--psf", views / "psf.tiff", "--poses", views / "poses.csv"))]
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert main(["reconstruct", *line, "-o", str(views / "out.ome.tif"), "--lam", "1000"]) == 0
        out, err = capsys.readouterr()
        assert "fastmpr: warning: particles: found that the volume does not fit" in err
        assert "'fastmpr check'" in err
        assert ", fit " in out

    def test_is_the_truth(self, tmp_path):
        """Enough views and iterations, everything else left to itself."""
        line = [
            "simulate",
            "centriole",
            "--shape",
            "24",
            "24",
            "24",
            "--poses",
            "20",
            "--noise",
            "0.02",
            "-q",
        ]
        assert main([*line, "-o", str(tmp_path / "v"), "--psf-sigma", "2.5", "0.8", "0.8"]) == 0
        x = reconstruct(tmp_path / "v", lam=None, max_iter=None, tol=None)
        truth = io.read(tmp_path / "v" / "truth.tiff")[0]
        blurred = np.mean([psnr(io.read(p)[0], truth) for p in (tmp_path / "v" / "particles").iterdir()])
        assert psnr(x, truth) > blurred + 5

    def test_rows_in_another_order(self, views):
        x = reconstruct(views)
        header, *rows = (views / "poses.csv").read_text().splitlines()
        (views / "poses.csv").write_text("\n".join([header, *rows[::-1]]))
        np.testing.assert_allclose(reconstruct(views, overwrite=True), x, atol=1e-5 * x.max())

    def test_folder_under_another_name(self, views):
        x = reconstruct(views)
        (views / "particles").rename(views / "crops")
        again = reconstruct(views, particles=views / "crops", overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-5 * x.max())

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_stack(self, views, compression):
        x = reconstruct(views)
        stack = np.stack([io.read(path)[0] for path in sorted((views / "particles").iterdir())])
        metadata = {"axes": "TZYX"} | {f"PhysicalSize{axis}": 0.1 for axis in "XYZ"}
        change(views / "stack.tif", stack, ome=True, metadata=metadata, compression=compression)
        again = reconstruct(views, particles=views / "stack.tif", overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-5 * x.max())

    def test_stack_with_poses_out_of_order(self, views, capsys):
        stack = np.stack([io.read(path)[0] for path in sorted((views / "particles").iterdir())])
        change(views / "stack.tif", stack)
        header, *rows = (views / "poses.csv").read_text().splitlines()
        (views / "poses.csv").write_text("\n".join([header, *rows[::-1]]))
        line = arguments(views, particles=views / "stack.tif", voxel_size=(0.1, 0.1, 0.1))
        assert "poses.csv: found names out of order" in refusal(line, capsys)

    def test_star(self, views):
        """The same poses from RELION's file, whose translations carry their own unit."""
        x = reconstruct(views)
        poses = Poses.read(views / "poses.csv")
        poses.write(views / "poses.star", shape=SHAPE, voxel_size=0.1)
        again = reconstruct(views, poses=views / "poses.star", overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-4 * x.max())

    def test_voxel_size_only_scales(self, views):
        """Translations in voxels: another voxel size for all, the same volume."""
        x = reconstruct(views)
        flags = {"voxel_size": (0.4, 0.4, 0.4), "psf_voxel_size": (0.4, 0.4, 0.4)}
        again = reconstruct(views, **flags, overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-4 * x.max())
        assert io.read(views / "out.ome.tif")[1] == pytest.approx((0.4, 0.4, 0.4))

    def test_no_voxel_size_anywhere(self, views, capsys):
        x = reconstruct(views)
        for path in [views / "psf.tiff", *(views / "particles").iterdir()]:
            change(path, io.read(path)[0])
        capsys.readouterr()
        again = reconstruct(views, overwrite=True, verbose=True)
        np.testing.assert_allclose(again, x, atol=1e-4 * x.max())
        assert io.read(views / "out.ome.tif")[1] is None
        out, err = capsys.readouterr()
        assert "voxels of unknown size, taken as cubes" in out
        assert "voxel size: not known, so lengths are in voxels" in err
        assert "PSF's voxel size: not known, so the particles'" in err

    def test_lengths_need_a_voxel_size(self, views, capsys):
        for path in (views / "particles").iterdir():
            change(path, io.read(path)[0])
        assert "particles: found no voxel size, but lengths in" in refusal(arguments(views), capsys)
        poses = Poses.read(views / "poses.csv")
        change(views / "psf.tiff", PSF)
        poses.write(views / "poses.star", shape=SHAPE, voxel_size=0.1)
        line = arguments(views, poses=views / "poses.star")
        assert "but lengths in" in (message := refusal(line, capsys))
        assert "poses.star, need it in micrometres (voxel_size=, --voxel-size)" in message

    def test_quiet_and_verbose(self, views, capsys):
        main(arguments(views, quiet=True))
        assert capsys.readouterr().out == ""
        main(arguments(views, verbose=True, overwrite=True))
        err = capsys.readouterr().err
        for text in (
            "3 particles of 15 x 16 x 18",
            "voxels of 0.1 x 0.1 x 0.1 um",
            "PSF of 9 x 9 x 9, with poses",
            "lam 10, 3 it",
        ):
            assert text in err

    def test_progress_bars_on_a_terminal(self, views, capsys, monkeypatch):
        moved = []
        monkeypatch.setattr(tqdm, "update", lambda bar, n: moved.append(bar.desc))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        main(arguments(views))
        assert moved.count("particles") == N
        assert moved.count("iterations") == 3
        assert "0/3" in capsys.readouterr().err
        main(arguments(views, overwrite=True, quiet=True, tol=2e-3))
        assert capsys.readouterr().err.startswith("fastmpr: warning: stopped at max_iter = 3 iterations, residuals")


class TestCrops:
    @pytest.fixture
    def crops(self, views):
        for path in (views / "particles").iterdir():
            volume, voxel_size = io.read(path)
            volume += 5
            volume[:, :3] = volume[:, 13:] = 0
            io.write(path, volume, voxel_size, overwrite=True)
        return views

    @pytest.mark.slow
    def test_what_surrounds_them_is_not_seen_unless_it_is_said_so(self, crops, capsys):
        args = [str(crops / "particles"), "--psf", str(crops / "psf.tiff"), "--poses", str(crops / "poses.csv")]
        results = []
        for name, *more in (["seen"], ["all", "--seen", "all"], ["none", "--background", "none"]):
            main(
                [
                    "reconstruct",
                    *args,
                    "-o",
                    str(crops / f"{name}.ome.tif"),
                    "--lam",
                    "10",
                    "--max-iter",
                    "9",
                    "-v",
                    *more,
                ]
            )
            results.append(io.read(crops / f"{name}.ome.tif")[0])
            out, err = capsys.readouterr()
            assert ("are taken for crops" in out + err) == (name != "all")
        assert not any(np.allclose(a, b, atol=1e-3 * a.max()) for a, b in itertools.combinations(results, 2))

    def test_the_other_words_are_those_of_python(self, crops):
        poses = Poses.read(crops / "poses.csv")
        data = fastmpr.load(crops / "particles", crops / "psf.tiff", poses, outside="dark", radius=0.6, background=4.5)
        expected = fastmpr.reconstruct(data, lam=10, max_iter=9).x
        paths = [str(crops / name) for name in ("particles", "psf.tiff", "poses.csv", "out.ome.tif")]
        words = ["--outside", "dark", "--radius", "0.6", "--background", "4.5", "--lam", "10", "--max-iter", "9"]
        main(["reconstruct", paths[0], "--psf", paths[1], "--poses", paths[2], "-o", paths[3], *words])
        np.testing.assert_allclose(io.read(crops / "out.ome.tif")[0], expected, atol=1e-5 * expected.max())

    @pytest.mark.parametrize("words", [["--background", "bright"], ["--radius", "0"], ["--seen", "some"]])
    def test_bad_words(self, crops, words, capsys):
        assert words[0] in refusal(arguments(crops) + words, capsys)
