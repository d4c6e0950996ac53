"""A bead in a file, or in several places of an array, to a data set and through the command line."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from beads import counts, gaussian
from commands import refusal

import fastmpr
from fastmpr import FastmprWarning, Poses, psf
from fastmpr.cli import main

SHAPE = (21, 13, 13)
BEAD = counts(gaussian(SHAPE, shift=(1.3, -0.6, 0.4)), 100)
VIEWS = fastmpr.simulate(
    fastmpr.phantom.centriole(14), gaussian(SHAPE), Poses.random(3, rng=0), noise_sigma=0.05, rng=0
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "particles").mkdir()
    poses = Poses(Poses.random(3, rng=0).rotation, np.zeros((3, 3)), names=["0.tif", "1.tif", "2.tif"])
    poses.write(tmp_path / "poses.csv")
    for name, view in zip(poses.names, VIEWS, strict=True):
        fastmpr.io.write(tmp_path / "particles" / name, view, 0.1)
    tifffile.imwrite(tmp_path / "bead.tif", BEAD, photometric="minisblack")
    return tmp_path


def test_load_makes_a_psf_of_what_it_reads(folder):
    expected = psf.measured(BEAD)
    poses = Poses.random(3, rng=0)
    for data in (
        fastmpr.load(folder / "particles", folder / "bead.tif", psf_measured=True),
        fastmpr.load(VIEWS, BEAD, poses, psf_measured=True),
        fastmpr.load(fastmpr.Dataset(VIEWS, poses=poses), folder / "bead.tif", psf_measured=True),
        fastmpr.load(fastmpr.Dataset(VIEWS, poses=poses), BEAD, psf_measured=True),
    ):
        np.testing.assert_array_equal(data.psf, expected)
    several = fastmpr.load(VIEWS, [BEAD, np.roll(BEAD, 1, axis=2)], poses, psf_measured=True)
    np.testing.assert_array_equal(several.psf, psf.measured([BEAD, np.roll(BEAD, 1, axis=2)]))
    with pytest.warns(FastmprWarning) as told:
        np.testing.assert_array_equal(fastmpr.load(VIEWS, BEAD, poses).psf, BEAD)
    assert ["offset" in str(warning.message) for warning in told] == [True, False]  # the centre is another


def test_load_says_what_is_no_bead(folder):
    tifffile.imwrite(folder / "flat.tif", np.full(SHAPE, 7, np.uint16), photometric="minisblack")
    with pytest.raises(ValueError, match=r"flat\.tif: stack: found a peak of"):
        fastmpr.load(VIEWS, folder / "flat.tif", psf_measured=True)
    with pytest.raises(ValueError, match="psf: stack: found a peak of"):
        fastmpr.load(VIEWS, np.ones(SHAPE), psf_measured=True)
    for particles in (VIEWS, fastmpr.Dataset(VIEWS, gaussian(SHAPE))):
        with pytest.raises(ValueError, match="psf_measured: found True and no psf"):
            fastmpr.load(particles, psf_measured=True)


def test_the_command_takes_a_bead(folder, capsys):
    line = [
        "reconstruct",
        str(folder / "particles"),
        "--poses",
        str(folder / "poses.csv"),
        "--lam",
        "10",
        "--max-iter",
        "2",
        "--tol",
        "0",
    ]
    line += ["--psf", str(folder / "bead.tif"), "--psf-measured", "--quiet", "-o"]
    assert main([*line, str(folder / "out.ome.tif")]) == 0
    data = fastmpr.load(folder / "particles", BEAD, folder / "poses.csv", psf_measured=True)
    expected = fastmpr.reconstruct(data, lam=10, max_iter=2).x
    np.testing.assert_allclose(fastmpr.io.read(folder / "out.ome.tif")[0], expected, atol=1e-5 * expected.max())
    tifffile.imwrite(folder / "bead.tif", np.full(SHAPE, 7, np.uint16), photometric="minisblack")
    capsys.readouterr()
    assert "bead.tif: stack: found a peak of" in refusal([*line, str(folder / "other.ome.tif")], capsys)
