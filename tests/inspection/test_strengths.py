"""Views of another exposure, numbers on too large an offset, and backgrounds above everything."""

from __future__ import annotations

import logging
import re
import warnings

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset
from fastmpr.metrics import psnr

PSF = fastmpr.psf.gaussian((13, 7, 7), sigma=(2, 1, 1))
POSES = fastmpr.Poses.random(16, max_translation=1.0, rng=0)
TRUTH = fastmpr.phantom.nuclear_pore(24)
CLEAN = fastmpr.simulate(TRUTH, PSF, POSES)


def views_of(noise: float = 0.03) -> np.ndarray:
    random = np.random.default_rng(0).standard_normal(CLEAN.shape, np.float32)
    return CLEAN + np.float32(noise * CLEAN.max()) * random + np.float32(0.2)


def messages(function, *args, **options) -> list[str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        function(*args, **options)
    return [str(one.message) for one in said]


@pytest.mark.slow
@pytest.mark.parametrize("times", [8, 1000])
def test_a_stronger_view_is_named_once_and_fitted_where_gains_are(times):
    views = views_of()
    views[7] *= times
    data = Dataset(views, PSF, POSES)
    (text,) = messages(fastmpr.reconstruct, data, workers=1)
    assert re.match(
        r"particles\[7\] \((8|9\d\d|10\d\d) times as bright\): found views unlike the others \(1 of 16\)", text
    )
    assert not any("unlike" in text for text in messages(fastmpr.reconstruct, data, workers=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fastmpr.reconstruct(data.replace(gain="fit"), workers=1)
    assert psnr(fitted.x, TRUTH) > psnr(fastmpr.reconstruct(views_of(), PSF, POSES, workers=1).x, TRUTH) - 0.5


def test_an_average_names_it_too():
    views = views_of()
    views[7] *= 8
    assert messages(fastmpr.average, views, None, POSES)[0].startswith("particles[7] (8 times as bright)")


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("noise", [0.0, 0.03, 0.5])
def test_views_that_differ_as_exposures_do_are_not_named(noise, spread):
    gains = np.exp(np.random.default_rng(3).normal(0, spread, 16)).astype(np.float32)
    views = views_of(noise) * gains[:, None, None, None]
    views[5, 4, 5, 6] = views[6, 0, 0, 0] = 1e4  # hot pixels are no strength, and are told as what they are
    assert not any("bright)" in text for text in messages(fastmpr.accumulate, views, PSF, POSES))


def test_what_is_given_or_weighs_nothing_is_not_named():
    views, gain, weights = views_of(), np.ones(16), np.ones(16)
    views[7] *= 100
    gain[7], weights[7] = 100, 0
    assert not messages(fastmpr.reconstruct, Dataset(views, PSF, POSES, gain=gain))
    assert not messages(fastmpr.reconstruct, Dataset(views, PSF, POSES, weights=weights))
    assert not messages(fastmpr.accumulate, views[6:8], PSF, POSES[6:8])  # of two, nobody knows


@pytest.mark.parametrize(("offset", "told"), [(1e4, False), (1e7, True)])
def test_an_offset_that_takes_all_digits_is_told(offset, told):
    views = views_of() + np.float32(offset)
    found = [text for text in messages(fastmpr.reconstruct, views, PSF, POSES) if "single precision" in text]
    assert len(found) == told
    assert not messages(fastmpr.reconstruct, views_of().astype(float) + offset, PSF, POSES)


def test_counts_in_single_precision_have_their_digits():
    counts = np.random.default_rng(0).poisson(2.0 + 50 * CLEAN.clip(0)) + 1_000_000
    assert not messages(fastmpr.accumulate, counts.astype(np.float32), PSF, POSES)


@pytest.mark.parametrize(("level", "told"), [(0.2, False), (0.21, False), (0.6, True), (5.0, True)])
def test_a_background_above_the_particle_is_told(level, told, caplog):
    data = Dataset(views_of(), PSF, POSES, background=level)
    with caplog.at_level(logging.INFO, "fastmpr"):
        found = messages(fastmpr.reconstruct, data, workers=1)
    assert [text.startswith("particles[0]: found hardly a voxel above its background") for text in found] == [
        True
    ] * told
    assert ("does not fit" in caplog.text) == told  # which follows


def test_images_are_looked_at_as_particles_are():
    truth = fastmpr.phantom.nuclear_pore(24)[8:16]
    image = fastmpr.simulate(truth, PSF, fastmpr.Poses.random(1, rng=0), noise_sigma=0.02, rng=0)[0] + np.float32(1)
    assert not messages(fastmpr.deconvolve, image, PSF, lam=50.0, background=1.0)
    (text,) = messages(fastmpr.deconvolve, image, PSF, lam=50.0, background=1.5)
    assert text.startswith("background: found 1.5, above which hardly a voxel lies")
    (text,) = messages(fastmpr.deconvolve, image + np.float32(1e7), PSF, lam=50.0, seen="all")
    assert text.startswith("image: found values about 1e+07 in steps of 1, in which single precision holds them")
    assert not messages(fastmpr.deconvolve, image.astype(float) + 1e7, PSF, lam=50.0)
