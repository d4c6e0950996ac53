"""``fastmpr check``: its verdict, its exit status, and the poses that it mends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import refusal
from particles import POSES, PSF, SIZE, VIEWS, VOXEL, N

import fastmpr
from fastmpr.cli import main
from fastmpr.geometry.poses import Poses

NAMES = [f"{i}.tif" for i in range(N)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Views with their PSF, right poses and wrong ones."""
    folder = tmp_path_factory.mktemp("check")
    (folder / "particles").mkdir()
    for name, view in zip(NAMES, VIEWS, strict=True):
        fastmpr.io.write(folder / "particles" / name, view, VOXEL)
    fastmpr.io.write(folder / "psf.tif", PSF, VOXEL)
    fastmpr.io.write(folder / "wide.tif", PSF, 1.4 * VOXEL)
    for name, rotation in (("right", POSES.rotation), ("wrong", POSES.rotation.inv())):
        Poses(rotation, POSES.translation, names=NAMES, unit="voxel").write(folder / f"{name}.csv")
    return folder


def line(folder: Path, poses: str, *words: str, psf: str = "psf.tif") -> list[str]:
    given = ["--psf", str(folder / psf), "--poses", str(folder / poses)]
    return ["check", str(folder / "particles"), *given, *words]


def test_views_that_fit(folder, capsys, tmp_path):
    assert main(line(folder, "right.csv", "--fix", str(tmp_path / "new.csv"))) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"Dataset: {N} particles of {SIZE} x {SIZE} x {SIZE}")
    assert "\nfits: as given, the views fit together" in out
    assert "to undo" not in out
    assert f"{tmp_path / 'new.csv'}: not written" in out
    assert not (tmp_path / "new.csv").exists()


def test_poses_that_do_not_fit_are_mended(folder, capsys, tmp_path):
    """What was written fits, and says the same as the right poses."""
    fixed = tmp_path / "fixed.csv"
    assert main(line(folder, "wrong.csv", "--fix", str(fixed))) == 1
    out, _ = capsys.readouterr()
    assert "does not fit: it looks as if the rotations take the image to the model" in out
    assert "--poses with the file that --fix POSES writes" in out
    assert "data = data.replace(poses=fastmpr.Poses(p.rotation.inv()" in out
    found, right = Poses.read(fixed), Poses.read(folder / "right.csv")
    assert [Path(name).name for name in found.names] == list(right.names)
    np.testing.assert_allclose(found.matrix, right.matrix, atol=1e-6)
    np.testing.assert_allclose(found.translation, right.translation, atol=1e-6)
    (folder / "fixed.csv").write_text(fixed.read_text())
    assert main(line(folder, "fixed.csv", "--quiet")) == 0
    assert capsys.readouterr() == ("", "")
    assert "fixed.csv: exists already" in refusal(line(folder, "wrong.csv", "--fix", str(fixed)), capsys)


def test_another_format(folder, tmp_path):
    """RELION's angles, units and centre."""
    fixed = tmp_path / "fixed.star"
    assert main(line(folder, "wrong.csv", "-q", "--fix", str(fixed))) == 1
    right = Poses.read(folder / "right.csv")
    found = Poses.read(fixed).about_middle(SIZE, VOXEL)
    np.testing.assert_allclose(found.matrix, right.matrix, atol=1e-6)
    np.testing.assert_allclose(found.translation, VOXEL * right.translation, atol=1e-6)


def test_what_other_poses_do_not_mend(folder, capsys, tmp_path):
    """The words for the command line do."""
    words = ("--fix", str(tmp_path / "fixed.csv"))
    assert main(line(folder, "right.csv", *words, psf="wide.tif")) == 1
    out, _ = capsys.readouterr()
    assert "to undo it on the command line: --voxel-size 0.1 0.1 0.1 --psf-voxel-size 0.098 0.098 0.098" in out
    assert "not written, since the poses are not the mistake; need --voxel-size 0.1" in out
    assert not (tmp_path / "fixed.csv").exists()
    words = ("--voxel-size", *["0.1"] * 3, "--psf-voxel-size", *["0.098"] * 3)
    assert main(line(folder, "right.csv", *words, psf="wide.tif")) == 0


def test_poses_of_other_particles(folder, capsys):
    Poses(Poses.random(N, rng=99).rotation, names=NAMES, unit="voxel").write(folder / "foreign.csv", overwrite=True)
    assert main(line(folder, "foreign.csv")) == 1
    assert "does not fit, and no usual mistake explains it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "poses.txt"], "poses.txt: found the suffix '.txt', need .poses.csv or .csv or .star"),
        (["--fix", "nowhere/poses.csv"], "nowhere"),
        (["--workers", "0"], "argument --workers: found '0'"),
        (["--symmetry", "X3"], "symmetry: found 'X3'"),
    ],
)
def test_bad_words(folder, capsys, words, message):
    assert message in refusal(line(folder, "right.csv", *words), capsys)
