"""What ``fastmpr deconvolve`` refuses, in a line each, before it has done anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import change, files, refusal, truncated
from stacks import FEW, PSF, VOXEL, blurred

from fastmpr.cli import main
from fastmpr.io import write_image


def spoil(text: str):
    return lambda path: path.write_text(text)


REFUSED = {
    "a file that is there": (lambda: spoil("mine")(Path("out.ome.tif")), [], "out.ome.tif: exists already"),
    "a record that is there": (lambda: spoil("mine")(Path("out.json")), [], "out.json: exists already"),
    "a picture that is there": (lambda: spoil("mine")(Path("out.png")), ["--preview"], "out.png: exists already"),
    "no image": (lambda: Path("cell.tif").unlink(), [], "cell.tif: does not exist"),
    "a truncated image": (lambda: truncated(Path("cell.tif")), [], "cell.tif: found the file truncated"),
    "an RGB image": (
        lambda: change(Path("cell.tif"), np.zeros((9, 8, 3), "u1"), photometric="rgb"),
        [],
        "which is RGB, need grey levels",
    ),
    "no PSF file": (lambda: Path("psf.tif").unlink(), [], "psf.tif: does not exist"),
    "an image of two dimensions": (
        lambda: change(Path("cell.tif"), blurred()[3]),
        [],
        "cell.tif: found axes YX and a PSF of three dimensions, need a stack with Z, or a PSF of two",
    ),
    "channels that are no Z": (
        lambda: change(Path("cell.tif"), blurred(), ome=True, metadata={"axes": "CYX"}),
        [],
        "cell.tif: found axes CYX and a PSF of three dimensions",
    ),
    "a PSF with lengths alone": (
        lambda: change(Path("cell.tif"), blurred()),
        [],
        "cell.tif: found no voxel size, but lengths in psf.tif, need it in micrometres (--voxel-size)",
    ),
    "a PSF of channels": (
        lambda: write_image("psf.tif", np.array([PSF, PSF]), "CZYX", overwrite=True),
        [],
        "psf.tif: found axes CZYX, need a PSF of two or three dimensions",
    ),
    "a PSF of zeros": (lambda: write_image("psf.tif", 0 * PSF, "ZYX", VOXEL, overwrite=True), [], "psf"),
    "no bead": (None, ["--psf-measured", "--psf-voxel-size", "1", "1", "-1"], "argument --psf-voxel-size: found '-1'"),
    "both": (None, ["--na", "1.2"], "--na: found beside --psf, need one of the two"),
    "confocal alone": (None, ["--confocal"], "--confocal: found beside --psf"),
    "a regularizer": (None, ["--regularizer", "magic"], "magic"),
    "a lam": (None, ["--lam", "0"], "argument --lam: found '0'"),
    "a line": (
        None,
        ["--background", "line"],
        "argument --background: found 'line', need auto, plane, none or a number",
    ),
    "axes": (None, ["--axes", "ZQX"], "axes: found 'ZQX', need some of T, C, Z, Y and X"),
    "too few axes": (None, ["--axes", "YX"], "cell.tif: found an image of shape (12, 20, 22) beside axes YX"),
    "a PSF too many": (None, ["--psf", "psf.tif", "psf.tif"], "cell.tif: found 1 channel(s) beside 2 values of --psf"),
    "memory": (None, ["--max-memory", "4X"], "argument --max-memory: found '4X', need a positive number of bytes"),
    "no memory": (None, ["--max-memory", "G"], "argument --max-memory: found 'G'"),
    "too little memory": (None, ["--max-memory", "1K"], "cell.tif: max_memory: found 0 MiB"),
}


class TestRefusals:
    @pytest.mark.parametrize("what", REFUSED)
    def test_before_anything_is_done(self, folder, capsys, what):
        spoil, words, message = REFUSED[what]
        if spoil:
            spoil()
        before = files(folder)
        line = ["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "out.ome.tif", *FEW, *words]
        assert message in refusal(line, capsys)
        assert files(folder) == before

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "--psf: found none, need a file, or --na and --wavelength"),
            (["--wavelength", "0.5"], "--psf: found none, need a file, or --na and --wavelength"),
            (["--na", "1.2"], "cell.tif: found no emission wavelength, need it (wavelength=, --wavelength)"),
            (["--na", "1.6", "--wavelength", "0.5"], "cell.tif: na: found 1.6, need less than refractive_index"),
            (["--na", "1.2", "--wavelength", "500"], "cell.tif: wavelength: found 500.0, need micrometres"),
            (
                ["--na", "1.2", "--wavelength", "0.5", "--pinhole", "1"],
                "cell.tif: confocal: found False, need True where pinhole",
            ),
            (["--na", "1.2", "--wavelength", "0.5", "--psf-measured"], "--psf-measured: found without --psf"),
        ],
    )
    def test_optics(self, folder, capsys, words, message):
        assert message in refusal(["deconvolve", "cell.tif", "-o", "out.ome.tif", *words], capsys)

    def test_optics_need_a_voxel_size(self, folder, capsys):
        change(Path("cell.tif"), blurred())
        line = ["deconvolve", "cell.tif", "-o", "out.ome.tif", "--na", "1.2", "--wavelength", "0.5"]
        message = refusal(line, capsys)
        assert "cell.tif: found no voxel size to compute a PSF on, need it (voxel_size=, --voxel-size)" in message

    @pytest.mark.parametrize(
        ("images", "output", "message"),
        [
            (["a.tif", "a.tif"], "out", "a.tif: out/a.ome.tif comes of a.tif too, need another name"),
            (["a.tif", "c/a.tif"], "out", "c/a.tif: out/a.ome.tif comes of a.tif too"),
            (["a.tif", "b.tif"], "b.tif", "b.tif: is a file, need a folder"),
            (["a.tif", "b.tif"], "no/out", "no/out: found no folder no, need an existing one"),
            (["a.tif"], "no/out.ome.tif", "no/out.ome.tif: found no folder no"),
            (["a.tif"], "out.czi", "out.czi: found the suffix '.czi', need .tif or .tiff"),
            (["a.tif"], "out", "out: found the suffix '', need .tif or .tiff"),
            (["a.tif"], "a.tif", "a.tif: a.tif is read too, need another name"),
            (["a.tif"], "psf.tif", "a.tif: psf.tif is read too"),
            (["a.ome.tif", "b.tif"], ".", "a.ome.tif: a.ome.tif is read too"),
        ],
    )
    def test_outputs(self, folder, capsys, images, output, message):
        Path("c").mkdir()
        for name in ("c/a.tif", "a.ome.tif"):
            change(Path(name), blurred())
        before = files(folder)
        line = ["deconvolve", *images, "--psf", "psf.tif", "-o", output, "--voxel-size", "1", "1", "1", "--overwrite"]
        assert message in refusal(line, capsys)
        assert files(folder) == before

    def test_all_that_is_wrong_is_told_a_line_each(self, folder, capsys):
        Path("out").mkdir()
        Path("out/cell.json").write_text("mine")
        truncated(Path("b.tif"))
        before = files(folder)
        assert main(["deconvolve", "cell.tif", "a.tif", "b.tif", "no.tif", "--psf", "psf.tif", "-o", "out", *FEW]) == 2
        out, err = capsys.readouterr()
        names = [line.split(":")[2].strip() for line in err.splitlines()]
        assert (out, names) == ("", ["out/cell.json", "b.tif", "no.tif"])
        assert files(folder) == before
