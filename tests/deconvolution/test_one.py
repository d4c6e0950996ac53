"""`fastmpr.deconvolve`: one image, an array in and an array out."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import scipy.signal

import fastmpr
from fastmpr.metrics import psnr
from fastmpr.sums.blur import Blur

PSF = fastmpr.psf.gaussian((13, 7, 7), sigma=(2, 1, 1))
LAM = 1500.0
SIZE = 32
CORNERS = [(12, 12, 12), (6, 14, 18), (18, 8, 10), (9, 18, 6)]


def field() -> np.ndarray:
    """Return particles side by side, some of them half in the part that an image shows."""
    one = fastmpr.phantom.nuclear_pore(28)
    two = fastmpr.phantom.centriole(28)
    return np.block([[[one, two], [two, one]], [[two, one], [one, two]]])


def cut(corner: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return an image cut out of a larger one, and what was there."""
    inner, truth = tuple(slice(first, first + SIZE) for first in corner), field()
    blurred = scipy.signal.fftconvolve(truth, PSF, "same")[inner]
    noise = np.random.default_rng(0).normal(0, 0.05 * blurred.max(), blurred.shape)
    return (blurred + noise).astype(np.float32), truth[inner]


@pytest.fixture(scope="module")
def cut_out() -> tuple[np.ndarray, np.ndarray]:
    return cut(CORNERS[0])


@pytest.fixture(scope="module")
def clean(cut_out) -> np.ndarray:
    return fastmpr.deconvolve(cut_out[0], PSF, lam=LAM)


def shell(depth: int) -> np.ndarray:
    """Return where voxels lie so deep below the faces."""
    distance = np.minimum(np.arange(SIZE), np.arange(SIZE)[::-1])
    deep = np.minimum(np.minimum(distance[:, None, None], distance[:, None]), distance)
    return deep == depth


def test_the_rim_is_hardly_worse_than_the_inside():
    errors = []
    for corner in CORNERS:
        image, truth = cut(corner)
        error = np.square(fastmpr.deconvolve(image, PSF) - truth)
        errors.append([error[shell(depth)].mean() for depth in (0, 2)])
    rim, inside = np.mean(errors, axis=0)
    assert 10 * np.log10(rim / inside) < 3


def test_light_from_outside_is_no_mistake_of_the_image(cut_out, clean):
    image, truth = cut_out
    dark = fastmpr.deconvolve(image, PSF, lam=LAM, outside="dark")
    rim = shell(0) | shell(1)
    assert np.square(dark - truth)[rim].mean() > 1.5 * np.square(clean - truth)[rim].mean()


@pytest.mark.parametrize("bad", ["nan", "saturated", "hot", "dead", "mask"])
def test_voxels_that_tell_nothing_do_not_spoil_their_neighbourhood(cut_out, clean, bad):
    image, truth = cut_out
    scale = 1000 / image.max()
    counts = np.round(image * scale + 200).astype(np.uint16)
    places = [tuple(place) for place in np.random.default_rng(1).integers(3, SIZE - 3, (12, 3))]
    seen: object = "auto"
    if bad == "nan":
        counts = counts.astype(np.float32)
    if bad == "mask":
        seen = np.ones(counts.shape, bool)
    for place in places:
        counts[place] = {"nan": np.nan, "saturated": 65535, "hot": 20_000, "dead": 0, "mask": 50_000}[bad]
        if bad == "mask":
            seen[place] = False
    x = fastmpr.deconvolve(counts, PSF, lam=LAM / scale, seen=seen, background=200.0) / scale
    assert psnr(x, truth) > psnr(clean, truth) - 0.2
    if bad in ("hot", "saturated"):
        spoilt = fastmpr.deconvolve(counts, PSF, lam=LAM / scale, seen="all", background=200.0) / scale
        assert psnr(spoilt, truth) < psnr(clean, truth) - 3


@pytest.mark.slow
def test_dark_outside_is_what_solve_does_on_the_sums():
    truth = fastmpr.phantom.centriole(24).astype(np.float64)
    blur = Blur(PSF, (1, 1, 1), (1, 1, 1))
    grid = blur.grid(truth.shape)
    padded = np.zeros(grid)
    padded[:24, :24, :24] = image = scipy.signal.fftconvolve(truth, PSF, "same")
    transfer = blur.transfer(grid, np.float64, 1)
    rhs = transfer * np.fft.rfftn(padded)
    sums = fastmpr.NormalEquations(transfer**2, rhs, float((image**2).sum()), 1, grid, 1.0)
    solved = fastmpr.solve(sums, LAM, max_iter=20, tol=0).x[:24, :24, :24]
    x = fastmpr.deconvolve(image, PSF, lam=LAM, outside="dark", background="none", max_iter=20, tol=0)
    np.testing.assert_allclose(x, solved, atol=1e-9)


def test_lam_is_near_the_best(cut_out):
    image, truth = cut_out
    found = psnr(fastmpr.deconvolve(image, PSF), truth)
    best = max(psnr(fastmpr.deconvolve(image, PSF, lam=LAM * 2.0**k), truth) for k in range(-4, 4))
    assert best - 1 < found


def test_an_image_without_noise_is_no_trap():
    truth = fastmpr.phantom.nuclear_pore((24, 32, 32))
    image = scipy.signal.fftconvolve(np.pad(truth, 8), PSF, "same")[8:-8, 8:-8, 8:-8].astype(np.float32)
    assert psnr(fastmpr.deconvolve(image, PSF), truth) > psnr(image, truth) + 8


def test_units_offset_and_type_change_nothing_else(cut_out):
    image, _ = cut_out
    x, y = fastmpr.deconvolve(image, PSF), fastmpr.deconvolve(64 * image.astype(np.float64) + 64, 7 * PSF)
    assert x.dtype == np.float32 and y.dtype == np.float64 and x.shape == y.shape == image.shape
    assert x.min() >= 0 and x.flags.c_contiguous
    assert np.abs(y / 64 - x).max() < 0.02 * x.max()


def test_the_image_stays_as_it_is(cut_out):
    image = cut_out[0].copy()
    image.flags.writeable = False
    fastmpr.deconvolve(image, PSF, lam=LAM, max_iter=5)
    np.testing.assert_array_equal(image, cut_out[0])


def test_a_psf_larger_than_the_image_and_of_other_voxels():
    image = np.random.default_rng(0).random((10, 12, 14)) + 1
    large = fastmpr.psf.gaussian((41, 31, 31), sigma=(2, 1, 1))
    fine = fastmpr.psf.gaussian((41, 31, 31), sigma=(4, 2, 2))
    x, y = (
        fastmpr.deconvolve(image, psf, lam=5.0, psf_voxel_size=voxel, background="none", tol=1e-3)
        for psf, voxel in ((large, 1.0), (fine, 0.5))
    )
    assert np.abs(x - y).max() < 0.02 * x.max()


def test_progress_callback_and_the_end(cut_out):
    image, told, seen = cut_out[0], [], []
    fastmpr.deconvolve(
        image, PSF, lam=LAM, max_iter=7, tol=0, progress=lambda *what: told.append(what), callback=seen.append
    )
    assert told[-1] == ("iterations", 7, None) and [result.nit for result in seen] == list(range(1, 8))
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(fastmpr.Cancelled, match="deconvolve: cancelled while lam was being chosen"):
        fastmpr.deconvolve(image, PSF, cancel=cancel)
