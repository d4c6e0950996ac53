"""The weight whose residual is whitest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from fastmpr.solver.whiteness import _MORE, colour, whitest

SHAPE = (16, 30, 31)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_white_noise_is_white(rng):
    assert colour(rng.standard_normal(SHAPE), np.zeros(SHAPE), 1) == pytest.approx(2, abs=0.1)


def test_noise_that_grows_with_the_light_is_white(rng):
    light = 100 * ndimage.gaussian_filter(rng.random(SHAPE) ** 20, 3) + 1
    residual = rng.poisson(light) - light
    assert colour(residual, light, 1) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_the_unit_of_the_light_changes_nothing(rng, unit):
    light = 100 * ndimage.gaussian_filter(rng.random(SHAPE) ** 20, 3) + 1
    residual = rng.poisson(light) - light
    assert colour(unit * residual, unit * light, 1) == pytest.approx(colour(residual, light, 1), rel=1e-9)


def test_what_was_not_seen_counts_for_nothing(rng):
    residual = rng.standard_normal(SHAPE)
    residual[3, 4:9, 5] = np.nan
    assert colour(residual, np.ones(SHAPE), 1) == pytest.approx(2, abs=0.1)


def test_smooth_and_rough_residuals_are_coloured(rng):
    noise = rng.standard_normal(SHAPE)
    smooth = ndimage.gaussian_filter(noise, 0.7)
    for residual in (smooth, noise - smooth):
        assert colour(residual, np.zeros(SHAPE), 1) > 2.2


def test_nothing_left_is_white():
    assert colour(np.zeros(SHAPE), np.zeros(SHAPE), 1) == 2


@pytest.mark.parametrize("best", [0.002, 0.7, 1.0, 900.0])
def test_finds_the_least_of_a_parabola_in_few_trials(best):
    tried = []

    def misfit(lam: float) -> float:
        tried.append(lam)
        return math.exp(0.1 * math.log(lam / best) ** 2)

    assert whitest(misfit, 1.0) == pytest.approx(_MORE * best, rel=1e-6)
    assert len(tried) == len(set(tried)) <= 11


def test_gives_up_where_there_is_no_end():
    tried = []

    def misfit(lam: float) -> float:
        tried.append(lam)
        return 1 / (1 + lam)

    assert math.isfinite(whitest(misfit, 1.0)) and len(tried) < 15
