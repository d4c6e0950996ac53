"""The weight that is chosen for one image, and what is told of it."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import scipy.signal
from scipy import ndimage

import fastmpr
from fastmpr.deconvolution import deconvolver
from fastmpr.metrics import psnr

PSF = fastmpr.psf.gaussian((13, 7, 7), sigma=(2, 1, 1))
LENS = {"voxel_size": (0.2, 0.1, 0.1), "wavelength": 0.52, "na": 1.2, "refractive_index": 1.33}
WIDEFIELD = fastmpr.psf.born_wolf((31, 23, 23), **LENS)
SHAPE = (16, 32, 32)


def scene(seed: int = 0) -> np.ndarray:
    """Return rods and balls in the dark, twice as large as an image along each axis."""
    rng, out = np.random.default_rng(seed), np.zeros([2 * n for n in SHAPE])
    for _ in range(24):
        z, y, x = (int(rng.integers(2, n - 12)) for n in out.shape)
        out[z : z + 2, y : y + 2, x : x + int(rng.integers(4, 12))] += 1
        z, y, x = (int(rng.integers(3, n - 3)) for n in out.shape)
        out[z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3] += 0.6
    return ndimage.gaussian_filter(out, 0.7)


def inner(volume: np.ndarray, planes: int = SHAPE[0]) -> np.ndarray:
    depth = (volume.shape[0] - planes) // 2
    return volume[depth : depth + planes, SHAPE[1] // 2 : -SHAPE[1] // 2, SHAPE[2] // 2 : -SHAPE[2] // 2]


def seen(psf: np.ndarray, planes: int = SHAPE[0]) -> tuple[np.ndarray, np.ndarray]:
    """Return what an image shows without noise, brightest 1, and what is there."""
    truth = scene()
    blurred = np.maximum(scipy.signal.fftconvolve(truth, psf, "same"), 0)
    top = inner(blurred, planes).max()
    return inner(blurred, planes) / top, inner(truth, planes) / top


def white(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape)


# what was seen -> the image: how noise came in, and what was done to it
IMAGES = {
    "white noise": (PSF, SHAPE[0], lambda clear: clear + 0.03 * white(clear.shape)),
    "resampled noise": (PSF, SHAPE[0], lambda clear: clear + 0.06 * ndimage.gaussian_filter(white(clear.shape), 0.6)),
    "counts": (PSF, SHAPE[0], lambda clear: np.random.default_rng(1).poisson(20 * clear) / 20),
    "few planes": (WIDEFIELD, 5, lambda clear: clear + 0.03 * white(clear.shape)),
    "widefield": (WIDEFIELD, SHAPE[0], lambda clear: clear + 0.03 * white(clear.shape)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", IMAGES)
def test_lam_does_not_run_off(kind):
    psf, planes, spoil = IMAGES[kind]
    clear, truth = seen(psf, planes)
    image, told = spoil(clear).astype(np.float32), []
    found = psnr(fastmpr.deconvolve(image, psf, background=0.0, report=told.append), truth)
    lams = [told[0]["lam"] * 4.0**k for k in (-2, -1, 1, 2)]
    best = max(psnr(fastmpr.deconvolve(image, psf, background=0.0, lam=lam), truth) for lam in lams)
    assert found > best - 0.5
    assert found > psnr(image, truth) + 1
    assert told[0]["lam_from"] in ("whiteness", "noise")


def test_a_bound_is_told_and_logged(caplog, monkeypatch):
    monkeypatch.setattr(deconvolver, "_MOST", 100.0)
    image = (seen(PSF)[0] + 0.03 * white(SHAPE)).astype(np.float32)
    told: list[dict] = []
    with caplog.at_level(logging.INFO, "fastmpr"):
        fastmpr.deconvolve(image, PSF, background=0.0, report=told.append)
        fastmpr.deconvolve(image, PSF, background=0.0, lam=50.0, report=told.append)
    assert [found["lam_from"] for found in told] == ["limit", "given"]
    assert told[0]["lam"] == pytest.approx(100 / image.max())
    said = [message for message in caplog.messages if "lam =" in message]
    assert "almost no noise was found" in said[0] and "as given" in said[1]


def test_fit_is_about_one_where_the_result_explains_the_image():
    clear, _ = seen(PSF)
    image = (clear + 0.03 * white(SHAPE)).astype(np.float32)
    fits = {}
    wide = fastmpr.psf.gaussian((17, 13, 13), sigma=(3, 2, 2))
    for name, psf, options in (
        ("right", PSF, {}),
        ("in tiles", PSF, {"max_memory": 4e6}),
        ("too wide", wide, {}),
        ("lam too small", PSF, {"lam": 0.5}),
        ("lam too large", PSF, {"lam": 5e4}),
    ):
        told: list[dict] = []
        fastmpr.deconvolve(image, psf, background=0.0, report=told.append, **options)
        fits[name] = told[0]["fit"]
    assert 0.6 < fits["right"] < 1.3
    assert fits["in tiles"] == pytest.approx(fits["right"], rel=0.2)
    assert fits["too wide"] > 1.5 * fits["right"]
    assert fits["lam too small"] > 3 and fits["lam too large"] < 0.6


def test_fit_is_none_where_the_psf_passes_all_frequencies():
    clear, _ = seen(PSF)
    told: list[dict] = []
    point = fastmpr.psf.gaussian(3, sigma=0.3)
    fastmpr.deconvolve((clear + 0.03 * white(SHAPE)).astype(np.float32), point, report=told.append)
    assert told[0]["fit"] is None and told[0]["lam_from"] == "whiteness"
