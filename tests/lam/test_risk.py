"""The estimated error of a volume is its error, up to a constant, in the mean over the noise it knew nothing of."""

from __future__ import annotations

import numpy as np
import pytest

from fastmpr import NormalEquations
from fastmpr.lam.risk import error_weight, risk, weighted

SHAPE = (6, 8, 10)
RNG = np.random.default_rng(0)
GRAM = np.abs(np.fft.rfftn(RNG.normal(size=SHAPE))) ** 2 / 100
PARTICLE = RNG.random(SHAPE)


def sums_with(noise: np.ndarray) -> NormalEquations:
    """Sums of one view whose transfer function is the root of GRAM."""
    rhs = GRAM * np.fft.rfftn(PARTICLE) + np.sqrt(GRAM) * np.fft.rfftn(noise)
    return NormalEquations(GRAM, rhs, 1e3, 1, SHAPE, 1.0)


def error(x: np.ndarray, weight: np.ndarray) -> float:
    """The weighted error by whole spectra, nothing shared."""
    multiplicity = np.full(GRAM.shape, 2.0)
    multiplicity[..., [0, -1]] = 1
    step = np.fft.rfftn(x - PARTICLE)
    return float((multiplicity * weight * GRAM * np.abs(step) ** 2).sum() / x.size)


def test_without_noise_it_is_the_weighted_error():
    sums, (x, y) = sums_with(np.zeros(SHAPE)), RNG.random((2, *SHAPE))
    weight = error_weight(sums, x, 0.5, 1)
    found = risk(sums, x, weight, 1) - risk(sums, y, weight, 1)
    assert found == pytest.approx(error(x, weight) - error(y, weight), rel=1e-9)


def test_noise_adds_nothing_in_the_mean():
    x, y = RNG.random((2, *SHAPE))
    weight = error_weight(sums_with(np.zeros(SHAPE)), x, 0.5, 1)
    draws = []
    for _ in range(400):
        sums = sums_with(0.3 * RNG.normal(size=SHAPE))
        draws.append(risk(sums, x, weight, 1) - risk(sums, y, weight, 1))
    spread = np.std(draws) / np.sqrt(len(draws))
    assert np.mean(draws) == pytest.approx(error(x, weight) - error(y, weight), abs=4 * spread)


def test_the_weight_is_one_over_s_where_views_see_much_and_bounded_where_they_see_nothing():
    sums = sums_with(np.zeros(SHAPE))
    weight = error_weight(sums, PARTICLE, 0.5, 1)
    power = np.sum(np.abs(np.fft.fftn(PARTICLE)) ** 2) / PARTICLE.size
    np.testing.assert_allclose(weight, 1 / (GRAM + 0.3 * 0.5 / power), rtol=1e-9)


def test_products_count_all_frequencies_of_volumes():
    a, b = RNG.random((2, *SHAPE))
    found = weighted(np.ones(GRAM.shape), np.fft.rfftn(a), np.fft.rfftn(b), SHAPE)
    assert found == pytest.approx(np.vdot(a, b), rel=1e-9)
