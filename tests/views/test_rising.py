"""A background that rises is no constant, and light of the particle is no background."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset
from fastmpr.metrics import psnr
from fastmpr.views.background import slope, without_background, without_plane

SHAPE = (24, 24, 24)
PSF = fastmpr.psf.gaussian((13, 7, 7), sigma=(2, 1, 1))
POSES = fastmpr.Poses.random(16, max_translation=1.0, rng=0)
TRUTH = fastmpr.phantom.nuclear_pore(24)
CLEAN = fastmpr.simulate(TRUTH, PSF, POSES)
SIDE = (np.indices(SHAPE)[2] / 24).astype(np.float32)  # rises by 1 along x


def views_of(noise: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed).standard_normal(CLEAN.shape, np.float32)
    return CLEAN + np.float32(noise * CLEAN.max()) * random + np.float32(0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
@pytest.mark.parametrize("rise", [0.1, 1.0])
def test_a_gradient_of_all_views_is_taken_and_told(rise, dtype):
    counts = 1000 if dtype == np.uint16 else 1
    views = (counts * (views_of(0.03) + rise * SIDE)).astype(dtype)
    data = Dataset(views, PSF, POSES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fastmpr.reconstruct(data, workers=1)
    told = fastmpr.reconstruct(data.replace(background="plane"), workers=1)
    np.testing.assert_array_equal(found.x, told.x)
    assert psnr(found.x / counts, TRUTH) > psnr(fastmpr.reconstruct(views_of(0.03), PSF, POSES).x, TRUTH) - 0.5
    assert any(text.startswith("background: not said, and it rises") for text in data.assumed)


def test_slopes_of_each_view_are_taken_where_they_are_clear():
    slopes = np.random.default_rng(1).uniform(-0.3, 0.3, (16, 3)).astype(np.float32)
    views = views_of(0.03) + np.einsum("nk,kzyx->nzyx", slopes, np.indices(SHAPE, np.float32) / 24)
    assert Dataset(views, PSF, POSES).rises
    assert Dataset(views[:1], PSF, POSES[:1]).rises
    slight = views_of(0.03)[:2] + 0.01 * SIDE
    assert not Dataset(slight, PSF, POSES[:2]).rises  # of two, nobody knows whether they are alike


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("cut", [0, 3, 5])
def test_light_of_the_particle_does_not_rise(noise, cut):
    """Boxes cut tightly are lit at their corners, each view in its own way."""
    inside = (slice(None), *(slice(cut, 24 - cut),) * 3)
    assert not Dataset(views_of(noise)[inside], PSF, POSES).rises


def test_what_is_said_holds(caplog):
    views = views_of(0.03) + SIDE
    with caplog.at_level(logging.INFO, "fastmpr"):
        for background in ("none", "plane", 0.2):
            assert not Dataset(views, PSF, POSES, background=background).rises
    assert "rises" not in caplog.text
    assert not Dataset(views, PSF, POSES, frame="model").rises


def test_crops_rise_too():
    views = views_of(0.01)
    views += SIDE
    views[:, :2] = np.nan
    assert Dataset(views, PSF, POSES).rises


def test_a_slope_is_that_of_the_plane():
    image = np.random.default_rng(0).normal(0, 0.1, (20, 24, 28))
    rise = np.array([0.5, -1.0, 2.0])
    image += sum(r * axis / n for r, axis, n in zip(rise, np.indices(image.shape), image.shape, strict=True))
    found = slope(image)
    np.testing.assert_allclose(found.rise, rise, atol=0.05)
    assert found.patches >= 20
    assert found.rest < 1.5
    assert found.certainty > 50
    flat = without_plane(image)
    assert abs(slope(flat).rise).max() < 0.01
    assert slope(np.random.default_rng(1).normal(0, 0.1, (20, 24, 28))).certainty < 5


@pytest.mark.parametrize("offset", [1e5, 3e5, 1e6])
def test_an_offset_costs_no_more_than_the_digits_it_takes(offset):
    """The background of a view on a large offset lies between two numbers of its precision."""
    rounded = (views_of(0.03)[0] + np.float32(offset)) - np.float32(offset)  # exact: steps of 2^-k
    found = without_background(rounded + np.float32(offset))
    np.testing.assert_allclose(found, without_background(rounded), atol=1e-5)
