from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
import tifffile
from commands import PSF, TRUTH, arguments, change, edited, files, refusal, truncated, with_value

from fastmpr.cli import main

SPOILED = {
    "a particle too many": (
        lambda v: shutil.copy(v / "particles/000.tiff", v / "particles/009.tiff"),
        "poses.csv: found 3 poses for 4 particles",
    ),
    "a particle too few": (lambda v: (v / "particles/000.tiff").unlink(), "found 3 poses for 2 particles"),
    "another name": (lambda v: edited(v / "poses.csv", "001", "007"), "found none for 'particles/001.tiff'"),
    "a name twice": (
        lambda v: edited(v / "poses.csv", "001", "000"),
        "line 3: found 'particles/000.tiff' again",
    ),
    "an angle is nan": (
        lambda v: (v / "poses.csv").write_text("particles/000.tiff,0,nan,0,0,0,0\n"),
        "poses.csv, line 1: found 'nan' for rot2",
    ),
    "poses empty": (lambda v: (v / "poses.csv").write_text(""), "poses.csv: found no poses"),
    "poses binary": (lambda v: shutil.copy(v / "psf.tiff", v / "poses.csv"), "poses.csv: found no CSV text"),
    "no poses": (lambda v: (v / "poses.csv").unlink(), "poses.csv"),
    "particle 2-D": (
        lambda v: change(v / "particles/000.tiff", TRUTH[0]),
        "000.tiff: found an image of shape (16, 18)",
    ),
    "later particle 2-D": (
        lambda v: change(v / "particles/002.tiff", TRUTH[0]),
        "002.tiff: found an image of shape (16, 18)",
    ),
    "particle RGB": (
        lambda v: change(v / "particles/000.tiff", np.zeros((15, 18, 3), "u1"), photometric="rgb"),
        "000.tiff: found an image of shape (15, 18, 3) with axes YXS, which is RGB",
    ),
    "particle empty": (
        lambda v: (v / "particles/001.tiff").write_bytes(b""),
        "001.tiff: found an empty file",
    ),
    "particle truncated": (
        lambda v: truncated(v / "particles/001.tiff"),
        "001.tiff: found the file truncated",
    ),
    "particle no TIFF": (lambda v: (v / "particles/001.tiff").write_text("II"), "001.tiff: cannot be read"),
    "particle infinite": (lambda v: with_value(v / "particles/000.tiff", np.inf), "000.tiff: found 1 infinite"),
    "particle of another size": (
        lambda v: change(v / "particles/001.tiff", TRUTH[1:]),
        "001.tiff: found shape (14, 16, 18), need (15, 16, 18) as in 000.tiff",
    ),
    "no particles": (lambda v: shutil.rmtree(v / "particles"), "particles: does not exist"),
    "no particle": (
        lambda v: [path.unlink() for path in (v / "particles").iterdir()],
        "particles: found no volume in this folder",
    ),
    "psf zero": (lambda v: change(v / "psf.tiff", 0 * PSF), "psf"),
    "psf negative": (lambda v: change(v / "psf.tiff", -PSF), "psf"),
    "psf nan": (lambda v: with_value(v / "psf.tiff", np.nan), "psf.tiff: found 1 NaN"),
    "psf 2-D": (lambda v: change(v / "psf.tiff", PSF[4]), "psf.tiff: found an image of shape (9, 9)"),
    "psf truncated": (lambda v: truncated(v / "psf.tiff"), "psf.tiff: found the file truncated"),
    "no psf": (lambda v: (v / "psf.tiff").unlink(), "psf.tiff: does not exist"),
    "output exists": (lambda v: (v / "out.ome.tif").write_text("mine"), "out.ome.tif: exists already"),
    "output is a folder": (lambda v: (v / "out.ome.tif").mkdir(), "out.ome.tif: is a folder"),
}


class TestBadInput:
    @pytest.mark.parametrize("what", SPOILED)
    def test_files(self, views, capsys, what):
        spoil, message = SPOILED[what]
        spoil(views)
        before = files(views)
        assert message in refusal(arguments(views), capsys)
        assert files(views) == before

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"lam": 0}, "argument --lam: found '0', need auto or a positive number"),
            ({"lam": -1}, "argument --lam: found '-1'"),
            ({"lam": "inf"}, "argument --lam: found 'inf'"),
            ({"lam": "car"}, "argument --lam: found 'car'"),
            ({"max_iter": 0}, "argument --max-iter: found '0'"),
            ({"max_iter": 1.5}, "argument --max-iter: found '1.5'"),
            ({"tol": -1}, "argument --tol: found '-1'"),
            ({"workers": 0}, "argument --workers: found '0'"),
            ({"voxel_size": (1, 1, 0)}, "argument --voxel-size: found '0'"),
            ({"voxel_size": (1, 1)}, "argument --voxel-size: expected 3 arguments"),
            ({"psf_voxel_size": (1, 1, -1)}, "argument --psf-voxel-size: found '-1'"),
            ({"symmetry": "X3"}, "symmetry: found 'X3'"),
            ({"symmetry": "C3", "symmetry_axis": (0, 0, 0)}, "symmetry_axis: found (0, 0, 0), need an axis"),
            ({"symmetry": "C3", "symmetry_axis": (0, 1)}, "argument --symmetry-axis: found 2 numbers, need 3"),
            ({"symmetry_centre": (0, 1, 0)}, "symmetry_centre: found [0.0, 1.0, 0.0] and no symmetry"),
            ({"symmetry": "C3", "symmetry_centre": (0, -9, 0)}, "symmetry_centre: found 0 x -9 x 0 from the middle"),
            ({"regularizer": "magic"}, "magic"),
            ({"psf": None}, "--psf"),
            ({"quiet": True, "verbose": True}, "not allowed with"),
        ],
    )
    def test_arguments(self, views, capsys, changes, message):
        before = files(views)
        assert message in refusal(arguments(views, **changes), capsys)
        assert files(views) == before

    def test_output_that_cannot_be_written(self, views, capsys):
        for output, message in (
            (views / "nowhere" / "out.ome.tif", "nowhere, need an existing one"),
            (views / "psf.tiff" / "out.ome.tif", "psf.tiff is a file, need a folder"),
            (views / "out.czi", "found the suffix '.czi', need .tif or .tiff"),
        ):
            assert message in refusal(arguments(views, output=output), capsys)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that refuses even root: /proc")
    def test_output_in_a_folder_that_takes_no_files(self, views, capsys):
        line = arguments(views, output="/proc/out.ome.tif")
        assert "/proc: cannot write in this folder" in refusal(line, capsys)

    def test_output_is_checked_first(self, views, capsys):
        """Not after hours of reading."""
        (views / "poses.csv").unlink()
        (views / "out.ome.tif").write_text("mine")
        assert "out.ome.tif: exists already" in refusal(arguments(views), capsys)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ([], "COMMAND"),
            (["dance"], "dance"),
            (["info", "--loud"], "--loud"),
            (["reconstruct"], "PARTICLES"),
        ],
    )
    def test_commands(self, capsys, line, message):
        assert message in refusal(line, capsys)

    @pytest.mark.parametrize(
        ("error", "status", "message"),
        [
            (KeyboardInterrupt(), 130, "fastmpr: interrupted"),
            (MemoryError("8 GB"), 2, "fastmpr: error: not enough memory (8 GB)"),
            (ValueError("two\nlines"), 2, "fastmpr: error: two lines"),
        ],
    )
    def test_stopped_midway(self, views, capsys, monkeypatch, error, status, message):
        def stop(*args, **kwargs):
            raise error

        monkeypatch.setattr(tifffile, "imwrite", stop)
        before = files(views)
        assert main(arguments(views)) == status
        assert capsys.readouterr().err.splitlines()[-1] == message
        assert files(views) == before
