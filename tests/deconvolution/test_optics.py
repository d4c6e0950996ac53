"""PSFs of the channels of an image file."""

from __future__ import annotations

import numpy as np
import pytest

import fastmpr
from fastmpr.io import About, write_image

VOXEL = (0.4, 0.15, 0.15)
WATER = {"na": 0.8, "refractive_index": 1.33}
ABOUT = About(("DAPI", "Cy5"), (0.46, 0.67), (0.405, 0.64))


@pytest.fixture
def two(tmp_path):
    """A file of two channels that says their emission."""
    path = tmp_path / "two.ome.tif"
    write_image(path, np.ones((2, 5, 6, 7)), "CZYX", VOXEL, about=ABOUT)
    return path


def born_wolf(wavelength: float, **options) -> np.ndarray:
    return fastmpr.psf.born_wolf(voxel_size=VOXEL, wavelength=wavelength, **WATER | options)


def agree(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_emission_is_what_the_file_says(two):
    agree(fastmpr.channel_psfs(two, **WATER), [born_wolf(0.46), born_wolf(0.67)])
    agree(fastmpr.channel_psfs(str(two), **WATER), [born_wolf(0.46), born_wolf(0.67)])


def test_or_what_is_given(two):
    agree(fastmpr.channel_psfs(two, wavelength=[0.45, 0.68], **WATER), [born_wolf(0.45), born_wolf(0.68)])


def test_one_may_serve_all(tmp_path):
    write_image(tmp_path / "two.ome.tif", np.ones((2, 5, 6, 7)), "CZYX", VOXEL)
    agree(fastmpr.channel_psfs(tmp_path / "two.ome.tif", wavelength=0.5, **WATER), [born_wolf(0.5)])


def test_a_confocal_one_with_its_lasers(two):
    confocal = {"confocal": True, "pinhole": 1.0}
    found = fastmpr.channel_psfs(two, excitation_wavelength=[0.405, 0.64], **WATER, **confocal)
    pairs = ((0.46, 0.405), (0.67, 0.64))
    agree(found, [born_wolf(one, excitation_wavelength=laser, **confocal) for one, laser in pairs])
    found = fastmpr.channel_psfs(two, excitation_wavelength=0.5, **WATER, **confocal)
    agree(found, [born_wolf(one, excitation_wavelength=0.5, **confocal) for one, _ in pairs])


def test_in_two_dimensions_it_is_in_focus(tmp_path):
    write_image(tmp_path / "flat.ome.tif", np.ones((6, 7)), "YX", (0.2, 0.1))
    (psf,) = fastmpr.channel_psfs(tmp_path / "flat.ome.tif", wavelength=0.5, **WATER)
    np.testing.assert_array_equal(psf, fastmpr.psf.born_wolf(voxel_size=(0.2, 0.1), wavelength=0.5, **WATER))


def test_deconvolve_takes_them(two):
    image = fastmpr.io.read_image(two)
    psfs = fastmpr.channel_psfs(two, **WATER)
    x = fastmpr.deconvolve(image.values, psfs, axes=image.axes, voxel_size=image.voxel_size, lam=1.0, max_iter=2)
    assert x.shape == image.values.shape


def test_voxels_and_axes_that_are_known_better(tmp_path):
    write_image(tmp_path / "plain.ome.tif", np.ones((3, 6, 7)), "ZYX", (1, 1, 1))
    found = fastmpr.channel_psfs(
        tmp_path / "plain.ome.tif", axes="CYX", voxel_size=0.1, wavelength=[0.4, 0.5, 0.6], **WATER
    )
    expected = [fastmpr.psf.born_wolf(voxel_size=(0.1, 0.1), wavelength=one, **WATER) for one in (0.4, 0.5, 0.6)]
    agree(found, expected)


def test_an_emission_that_the_file_contradicts_is_told(two):
    with pytest.warns(
        fastmpr.FastmprWarning, match="found wavelength 0.6 for DAPI, whose emission the file says is 0.46"
    ):
        fastmpr.channel_psfs(two, wavelength=[0.6, 0.67], **WATER)
    write_image(two, np.ones((2, 5, 6, 7)), "CZYX", VOXEL, overwrite=True, about=About(emission=ABOUT.emission))
    with pytest.warns(fastmpr.FastmprWarning, match="found wavelength 0.46 for channel 2, whose emission .* is 0.67"):
        fastmpr.channel_psfs(two, wavelength=0.46, **WATER)


def test_a_file_that_says_the_emission_of_one_channel_alone(two):
    two.write_bytes(two.read_bytes().replace(b'EmissionWavelength="670', b'OmissionWavelength="670'))
    with pytest.raises(ValueError, match=r"two.ome.tif: found no emission wavelength of Cy5, need it \(wavelength="):
        fastmpr.channel_psfs(two, **WATER)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "found no emission wavelength of channel 1, need it"),
        (
            {"wavelength": [0.4, 0.5, 0.6]},
            "found 2 channels and 3 values of wavelength, need one, or one for each",
        ),
        ({"wavelength": 500}, "wavelength: found 500.0, need micrometres"),
        ({"wavelength": 0.5, "na": 1.6}, "na: found 1.6, need less"),
        ({"wavelength": 0.5, "pinhole": 1}, "confocal: found False, need True"),
    ],
)
def test_what_is_not_known_or_not_possible_is_refused_under_the_name_of_the_file(tmp_path, options, message):
    write_image(tmp_path / "two.ome.tif", np.ones((2, 5, 6, 7)), "CZYX", VOXEL)
    with pytest.raises(ValueError, match=f"two.ome.tif: {message}"):
        fastmpr.channel_psfs(tmp_path / "two.ome.tif", **WATER | options)


def test_a_voxel_size_is_needed(tmp_path):
    write_image(tmp_path / "a.ome.tif", np.ones((5, 6, 7)), "ZYX")
    with pytest.raises(ValueError, match=r"a.ome.tif: found no voxel size to compute a PSF on, need it \(voxel_size="):
        fastmpr.channel_psfs(tmp_path / "a.ome.tif", wavelength=0.5, **WATER)
