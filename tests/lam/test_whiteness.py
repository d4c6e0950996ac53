"""The weight whose residual is whitest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from fastmpr.lam.leftover import Noise, heights
from fastmpr.lam.whiteness import _GIVE, _LEFT, _MORE, Trial, colour, whitest

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


def parabola(best: float, tried: list[float], left=lambda lam: None):
    """Return what makes trials whose colour is a parabola over log lam, and notes their weights."""

    def trial(lam: float) -> Trial:
        tried.append(lam)
        return Trial(math.exp(0.1 * math.log(lam / best) ** 2), left(lam))

    return trial


@pytest.mark.parametrize("best", [0.002, 0.7, 1.0, 900.0])
def test_finds_the_least_of_a_parabola_in_few_trials(best):
    tried: list[float] = []
    lam, by = whitest(parabola(best, tried), 1.0)
    assert lam == pytest.approx(2**_MORE * best, rel=1e-6)
    assert by == "whiteness"
    assert len(tried) == len(set(tried)) <= 11


@pytest.mark.parametrize("ceiling", [3e-4, 0.03, 0.4, 5.0, 70.0])
def test_no_weight_explains_the_noise(ceiling):
    tried: list[float] = []
    lam, by = whitest(parabola(1e4, tried, lambda lam: _LEFT * (ceiling / lam) ** 0.2), 1.0)
    assert lam == pytest.approx(ceiling, rel=1e-6)
    assert by == "noise"
    assert len(tried) == len(set(tried)) <= 10


def test_a_ceiling_far_above_changes_nothing():
    lam, by = whitest(parabola(3.0, [], lambda lam: _LEFT * (1000 / lam) ** 0.2), 1.0)
    assert lam == pytest.approx(2**_MORE * 3, rel=1e-6) and by == "whiteness"


def test_what_is_left_may_be_untold_below_the_ceiling():
    lam, by = whitest(parabola(1e4, [], lambda lam: 0.5 if lam > 0.01 else None), 1.0)
    assert 0.005 < lam < 0.05 and by == "noise"


@pytest.mark.parametrize("sign", [-1, 1])
def test_gives_up_where_there_is_no_end_and_says_so(sign):
    tried: list[float] = []

    def trial(lam: float) -> Trial:
        tried.append(lam)
        return Trial(2 + 1 / (1 + lam**sign))

    lam, by = whitest(trial, 1.0)
    assert math.isfinite(lam) and by == "trials" and len(tried) < 15


def test_gives_up_where_all_weights_explain_the_noise_and_says_so():
    tried: list[float] = []
    lam, by = whitest(parabola(1.0, tried, lambda lam: 0.1), 1.0)
    assert 0 < lam < 1e-3 and by == "trials" and len(tried) < 15


def test_to_whiteness_seen_on_many_voxels_the_ceiling_gives_way_a_little():
    def left(lam: float) -> float:
        return _LEFT * (1.2 / lam) ** 0.2

    few, many = (whitest(parabola(1.0, [], left), 1.0, voxels).lam for voxels in (0, 10**6))
    assert few == pytest.approx(1.2, rel=1e-6) and many == pytest.approx(1.2 * 2**_GIVE, rel=1e-6)
    runaway = whitest(parabola(1e4, [], left), 1.0, 10**6).lam
    assert runaway == pytest.approx(1.2, rel=1e-6)


def test_without_a_ceiling_the_way_down_comes_first():
    """A PSF that passes all frequencies leaves nothing, which is white, at any large weight."""

    def trial(lam: float) -> Trial:
        k = math.log2(lam)
        return Trial(2 + min(0.02 * (k + 4) ** 2, 0.2 + 0.03 * (k - 4) ** 2))

    lam, by = whitest(trial, 1.0)
    assert math.log2(lam) == pytest.approx(-4 + _MORE, abs=0.2) and by == "whiteness"


def test_noise_that_is_not_white_is_compared_with_its_own_spectrum(rng):
    spectrum = np.fft.rfftn(rng.standard_normal(SHAPE)) * np.exp(-0.75 * heights(SHAPE))
    residual = np.fft.irfftn(spectrum, SHAPE, axes=(0, 1, 2))
    laws = (None, Noise(0.0, -1.5, 10.0), Noise(0.0, -0.1, 10.0))  # the last is what white noise may show by chance
    white, own, nearly = (colour(residual, np.zeros(SHAPE), 1, law) for law in laws)
    assert white > 2.5 and own == pytest.approx(2, abs=0.15) and nearly == white
