"""The resolution at each voxel: on volumes whose sharpness is known, and as `assess` tells it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage

import fastmpr
from fastmpr.quality.shells import Shells
from fastmpr.resolution.local import local_resolution

SHAPE = (40, 40, 40)
RIGHT = np.arange(SHAPE[2]) >= SHAPE[2] // 2
INNER = np.s_[6:-6, 6:-6]  # away from where the two halves meet, and meet again at the border, along x
LEFT_PART, RIGHT_PART = (*INNER, np.s_[6:14]), (*INNER, np.s_[26:34])
PSF = fastmpr.psf.gaussian((19, 9, 9), sigma=(4, 1.2, 1.2))


def low_passed(cutoff, rng, shape=SHAPE):
    """White noise of variance 1 up to a frequency."""
    spectrum = scipy.fft.rfftn(rng.standard_normal(shape))
    return scipy.fft.irfftn(np.where(Shells(shape, (1, 1, 1)).frequencies < cutoff, spectrum, 0), shape)


def compared(signal, rng, size=1.0):
    """Two halves that show a signal, each with white noise of its own of a fifth of its amplitude."""
    one, other, null = (0.2 * rng.standard_normal(signal.shape) for _ in range(3))
    return SimpleNamespace(shells=Shells(signal.shape, (size,) * 3), whitened=(signal + one, signal + other), null=null)


def test_a_uniform_volume_has_the_resolution_that_is_told():
    rng = np.random.default_rng(0)
    signal = low_passed(0.2, rng)
    periods = local_resolution(compared(signal, rng), 10 + signal, 5.0, 1)
    assert np.median(periods) == pytest.approx(5, rel=0.03)
    assert np.ptp(np.percentile(periods, [5, 95])) < 0.75


def test_two_parts_are_told_apart():
    rng = np.random.default_rng(1)
    fine, coarse = low_passed(0.25, rng), low_passed(0.125, rng)
    signal = np.where(RIGHT, coarse, fine)
    periods = local_resolution(compared(signal, rng), 10 + signal, 4.0, 1)
    assert np.median(periods[LEFT_PART]) == pytest.approx(4, rel=0.1)
    assert np.median(periods[RIGHT_PART]) == pytest.approx(8, rel=0.2)


def test_the_told_resolution_and_the_voxel_give_the_scale():
    rng = np.random.default_rng(2)
    signal = low_passed(0.2, rng)
    once = local_resolution(compared(signal, np.random.default_rng(3)), 10 + signal, 5.0, 1)
    sized = local_resolution(compared(signal, np.random.default_rng(3), size=0.1), 10 + signal, 0.5, 1)
    np.testing.assert_allclose(sized, 0.1 * once, rtol=1e-6)


def test_dark_voxels_and_tiny_volumes_have_none():
    rng = np.random.default_rng(4)
    signal = np.where(RIGHT, 0, low_passed(0.2, rng))
    periods = local_resolution(compared(signal, rng), np.where(RIGHT, 0, 10 + signal), 5.0, 1)
    assert np.isnan(periods[..., 28:32]).all() and np.isfinite(periods[LEFT_PART]).all()
    one = np.ones((1, 1, 1))
    assert np.isnan(local_resolution(compared(one, rng), one, np.inf, 1)).all()


@pytest.fixture(scope="module")
def sharp():
    """A texture in a ball, which fades out."""
    shape = (36, 36, 36)
    away = np.linalg.norm(np.indices(shape) - 17.5, axis=0)
    rough = scipy.ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), 1, mode="wrap")
    return np.maximum(1 + 0.6 * rough / rough.std(), 0) / (1 + np.exp(away - 14))


def assessed(truth, **options):
    poses = fastmpr.Poses.random(30, rng=0)
    views = fastmpr.simulate(truth, PSF, poses, noise_sigma=0.02 * 36**1.5 * PSF.max(), rng=0)
    return fastmpr.assess(views, PSF, poses, **options)


def test_assess_tells_the_blurred_half(sharp):
    """Beside what the same views tell of a volume that is sharp, or blurred, everywhere."""
    blurred = scipy.ndimage.gaussian_filter(sharp, 1.5)
    away = np.linalg.norm(np.indices(sharp.shape) - 17.5, axis=0) < 11
    left, right = (away & (side * (np.arange(36) - 17.5) > 5) for side in (-1, 1))
    fine, coarse = assessed(sharp, local=True), assessed(blurred)
    assert np.median(fine.local[away]) == pytest.approx(fine.resolution, rel=0.1)
    assert np.ptp(np.nanpercentile(fine.local[away], [10, 90])) < 0.3 * fine.resolution
    assert np.isnan(fine.local[:6, :6, :6]).all() and fine.local.dtype == fine.result.x.dtype
    assert coarse.local is None

    share = 1 / (1 + np.exp(17.5 - np.arange(36)))
    both = assessed(sharp + share * (blurred - sharp), local=True).local
    ratio = np.median(both[right]) / np.median(both[left])
    assert ratio == pytest.approx(coarse.resolution / fine.resolution, rel=0.2)
    assert ratio > 1.2


def test_local_is_a_flag(sharp):
    with pytest.raises(TypeError, match="^local: found 'yes'"):
        assessed(sharp, local="yes")
