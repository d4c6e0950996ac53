"""Voxels at the greatest value of an image: cut off by a camera, or as bright as that."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import ndimage, signal

import fastmpr
from fastmpr.images.camera import as_image
from fastmpr.inspection.saturation import Top, clipped
from fastmpr.inspection.suspects import suspicion

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
SHAPE = (16, 40, 40)


def light(seed: int = 0) -> np.ndarray:
    rng, out = np.random.default_rng(seed), np.zeros(SHAPE)
    out[tuple(rng.integers(4, n - 4, 12) for n in SHAPE)] = rng.random(12) + 0.3
    out = np.maximum(signal.fftconvolve(ndimage.gaussian_filter(out, 1.5), PSF, "same"), 0)
    return out / out.max()


LIGHT = light()
PHOTONS = np.random.default_rng(1).poisson(400 * LIGHT + 2) + np.random.default_rng(2).normal(100, 1.6, SHAPE)


def judged(values: np.ndarray) -> tuple[bool, bool, bool]:
    """By all voxels, plane after plane, and as a particle."""
    top, most = Top(), values.max()
    for z, plane in enumerate(values):
        top.look(z, plane, np.zeros(plane.shape, bool))
    count = int(np.count_nonzero(values == most))
    found = clipped(values, float(most), count), top.clipped(values), suspicion(values)
    return tuple(words is not None for words in found)


def cut(bits: int, dtype: type = np.uint16) -> tuple[np.ndarray, np.ndarray]:
    """Counts of a camera of so many bits, exposed too much, and which are cut off."""
    full = 2**bits - 1
    raw = np.rint((PHOTONS - 100) * full / 250 + 100)
    return np.clip(raw, 0, full).astype(dtype), raw >= full


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_camera_of_fewer_bits_than_its_type(bits):
    values, lost = cut(bits)
    for given in (values, values.astype(np.int16), values.astype(np.float32) - 100, values / 7.3):
        assert judged(given) == (True, True, True)
        np.testing.assert_array_equal(np.isnan(np.stack(list(as_image(given, "auto", "none", PSF)))), lost)
        assert as_image(given, "all", "none", PSF).holes == 0


@pytest.mark.parametrize("share", [0.6, 0.8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int16])
def test_cut_off_by_somebody(share, dtype):
    values = np.minimum(PHOTONS, 100 + share * 400).astype(dtype)
    assert judged(values) == (True, True, True)


def test_it_is_worth_as_much_as_where_it_is_told_and_said(caplog):
    values, lost = cut(12)
    options = {"lam": 1e-3, "background": 100.0, "max_iter": 30}
    told = fastmpr.deconvolve(values, PSF, seen=~lost, **options)
    found = []
    with caplog.at_level(logging.INFO, "fastmpr"):
        own = fastmpr.deconvolve(values, PSF, report=found.append, **options)
    np.testing.assert_array_equal(own, told)
    assert found[0]["unseen"] == np.count_nonzero(lost)
    assert f"seen: not given, so {np.count_nonzero(lost)} voxels of exactly 4095" in caplog.text


def test_what_was_never_cut_off():
    rng, ball = np.random.default_rng(0), np.zeros(SHAPE)
    ball[4:12, 10:30, 10:30] = 1
    smooth = signal.fftconvolve(ball, PSF, "same")
    counts = np.rint(PHOTONS)
    cases = [counts.astype(np.uint16), PHOTONS, PHOTONS.astype(np.float32), ball, smooth, smooth.astype(np.float32)]
    cases += [np.rint(top * image) for top in (250, 4000) for image in (ball, smooth, LIGHT)]
    cases += [np.rint(255 * (counts - counts.min()) / np.ptp(counts)).astype(np.uint8), ball > 0, 3.3 * (LIGHT > 0.2)]
    for photons in (0.05, 0.3, 1, 3, 10, 100):
        for image in (LIGHT, ball, smooth):
            few = rng.poisson(photons * np.maximum(image, 0))
            cases += [few.astype(np.uint16), 17.3 * few, 20 * few + rng.normal(0, 1, SHAPE)]
    cases += [(1e7 + rng.normal(0, 2, SHAPE)).astype(np.float32), rng.normal(0, 9000, SHAPE).astype(np.int16)]
    for case in cases:
        assert clipped(case, float(case.max()), int(np.count_nonzero(case == case.max()))) is None


def test_of_signed_numbers_and_of_fine_steps_none_is_counted_below_nothing():
    """A range wider than the type's, and one that its steps hardly resolve."""
    wide = np.clip(np.random.default_rng(0).normal(0, 20_000, SHAPE), -32768, 32767).astype(np.int16)
    coarse = np.minimum(1e7 + 3 * (PHOTONS - 100), 1e7 + 600).astype(np.float32)
    for values in (wide, coarse):
        words = suspicion(values)
        assert words is not None and "-" not in words


def test_hot_pixels_do_not_hide_what_is_cut_off():
    values, lost = cut(12)
    values[:, 20, 20] = 9000
    image = as_image(values, "auto", "none", PSF)
    lost[:, 20, 20] = True
    np.testing.assert_array_equal(np.isnan(np.stack(list(image))), lost)
