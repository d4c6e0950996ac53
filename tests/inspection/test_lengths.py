"""Voxels and boxes that cannot well be of one microscope in one unit are said, and no others."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses
from fastmpr.inspection.lengths import check_boxes, check_voxels

PARTICLES = np.ones((2, 4, 5, 6), np.float32)
PSF = fastmpr.psf.gaussian((5, 5, 5), sigma=1)
# (particles, PSF): what microscopes have, STED among them, and beads and simulations finer or coarser than the particles
USUAL = [
    ((0.1, 0.1, 0.1), None),
    ((0.156, 0.0189, 0.0189), (0.156, 0.0189, 0.0189)),
    ((0.3, 0.065, 0.065), (0.1, 0.065, 0.065)),
    ((0.3, 0.1, 0.1), (0.05, 0.025, 0.025)),
    ((0.5, 0.1, 0.1), (0.1, 0.1, 0.1)),
    ((2.0, 0.4, 0.4), (1.0, 0.1, 0.1)),
    ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    ((5e-4, 5e-4, 5e-4), None),  # electron microscopes
    ((0.1, 0.1, 0.3), (0.1, 0.1, 0.3)),  # the optical axis along x, of both
    ((10.0, 5.0, 5.0), (10.0, 5.0, 5.0)),
]
MISTAKES = [
    ((1.0, 1.0, 1.0), (0.1, 0.1, 0.1), r"psf_voxel_size: found \(0.1, 0.1, 0.1\) beside \(1, 1, 1\)"),
    ((0.1, 0.1, 0.1), (1.0, 1.0, 1.0), "psf_voxel_size: found"),
    ((0.3, 0.1, 0.1), (3.0, 1.0, 1.0), "psf_voxel_size: found"),
    ((0.8, 0.1, 0.1), (0.08, 0.1, 0.1), "psf_voxel_size: found"),
    ((0.3, 0.1, 0.1), (0.1, 0.1, 0.3), "psf_voxel_size: found .*, the same sides in another order"),
    ((0.1, 0.1, 0.3), (0.3, 0.1, 0.1), "voxel_size: found .*, which looks like x, y, z"),
    ((0.1, 0.1, 0.3), None, "voxel_size: found .*, which looks like x, y, z"),
    ((2.8, 0.1, 0.1), (0.1, 0.1, 0.1), "voxel_size: found .*, sides of 28 : 1"),
    ((1.0, 0.1, 0.1), None, "voxel_size: found .*, sides of 10 : 1"),
    ((300.0, 100.0, 100.0), None, "voxel_size: found .*, which is no microscope's: need micrometres"),
    ((0.3, 0.1, 0.1), (300.0, 100.0, 100.0), "psf_voxel_size: found .*, which is no microscope's"),
    ((1000.0, 1000.0, 1000.0), (0.1, 0.1, 0.1), "voxel_size: found .*, which is no microscope's"),
]


@pytest.mark.parametrize(("voxel", "psf_voxel"), USUAL)
def test_what_microscopes_have(voxel, psf_voxel):
    Dataset(PARTICLES, PSF, voxel_size=voxel, psf_voxel_size=psf_voxel)  # any warning is an error here


@pytest.mark.parametrize(("voxel", "psf_voxel", "message"), MISTAKES)
def test_what_none_has(voxel, psf_voxel, message):
    with pytest.warns(FastmprWarning, match=f"^{message}") as caught:
        Dataset(PARTICLES, PSF, voxel_size=voxel, psf_voxel_size=psf_voxel)
    assert len(caught) == 1


def test_no_usual_pair_of_voxels_is_said():
    """Of 2000: sides of 0.02 to 1 um, z up to 8 times as long, the PSF from 4 times as fine to 2 times as coarse."""
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2000):
            side = rng.uniform(0.02, 1)
            along, across = rng.uniform(1, 8), 2.0 ** rng.uniform(-2, 1)
            own = (min(along * 2.0 ** rng.uniform(-2, 1), 8 * across) * side, across * side, across * side)
            check_voxels((along * side, side, side), own)


@pytest.mark.parametrize(("image", "psf"), [(PARTICLES[0], PSF), (PARTICLES[0, 0], PSF[2])])
def test_images_alone(image, psf):
    with pytest.warns(FastmprWarning, match=r"^psf_voxel_size: found .* of the image.*: need both in micrometres"):
        fastmpr.deconvolve(image, psf, voxel_size=1.0, psf_voxel_size=0.1, lam=1, max_iter=1)


def boxed(tmp_path, pixel: float, box: int) -> Poses:
    """Poses whose file says of which boxes they are, in angstroms and pixels."""
    path = tmp_path / "p.star"
    Poses(np.eye(3)[np.newaxis].repeat(2, axis=0), names=["0", "1"]).write(path, shape=5, overwrite=True)
    optics = f"data_optics\nloop_\n_rlnOpticsGroup\n_rlnImagePixelSize\n_rlnImageSize\n1 {pixel} {box}\n"
    path.write_text(optics + "data_particles" + path.read_text().split("data_particles")[1])
    return Poses.read(path)


def test_boxes_of_another_extent(tmp_path):
    shape, voxel = (28, 28, 28), (0.1, 0.1, 0.1)
    for pixel, box in ((1000, 28), (500, 56), (250, 112), (490, 57)):  # binned since, too
        check_boxes(boxed(tmp_path, pixel, box), shape, voxel)
    for pixel, box in ((500, 28), (1000, 56), (100, 28), (2000, 28)):
        message = rf"found boxes of {box} pixels of {pixel / 1e4:g} um, and particles of \(28, 28, 28\)"
        with pytest.warns(FastmprWarning, match=f"^poses: {message}"):
            check_boxes(boxed(tmp_path, pixel, box), shape, voxel)
    check_boxes(None, shape, voxel)
    check_boxes(Poses.random(2, rng=0), shape, voxel)
    check_boxes(boxed(tmp_path, 500, 28), None, voxel)
    check_boxes(boxed(tmp_path, 500, 28), shape, None)
    with pytest.warns(FastmprWarning, match="^poses: found boxes"):
        Dataset(np.ones((2, 8, 8, 8), np.float32), poses=boxed(tmp_path, 1000, 16), voxel_size=0.1)
