"""What is left of an image over its noise, read where no light is passed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from scipy import ndimage

from fastmpr import psf
from fastmpr.lam.leftover import Dark, Leftover, Noise
from fastmpr.sums.blur import Blur

IMAGE, GRID = (20, 40, 41), (24, 48, 48)
BOX = tuple(slice(0, n) for n in IMAGE)
ONE = (1.0, 1.0, 1.0)
TRANSFER = Blur(psf.gaussian((15, 9, 9), sigma=(2.4, 1.4, 1.4)), ONE, ONE).transfer(GRID, np.float32, 1)
PASSED = TRANSFER**2
DARK = Dark(PASSED, GRID)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def seen(values: np.ndarray) -> np.ndarray:
    """Return values on the grid, NaN beyond the image."""
    out = np.full(GRID, np.nan, np.float32)
    out[BOX] = values[BOX]
    return out


def light(rng: np.random.Generator) -> np.ndarray:
    """Return points of light, as the PSF makes them, some 20 times the noise at their brightest."""
    points = (rng.random(GRID) > 0.999) * 3000.0
    return scipy.fft.irfftn(scipy.fft.rfftn(points) * TRANSFER, GRID).astype(np.float32)


def leftover(residual: np.ndarray) -> Leftover:
    return Leftover(seen(residual), DARK, 1)


# noise -> how it is made from white noise
NOISES = {
    "white": lambda noise: noise,
    "resampled": lambda noise: ndimage.gaussian_filter(noise, 0.6),
    "smoothed along two axes": lambda noise: ndimage.gaussian_filter(noise, (0, 0.5, 0.5)),
}


@pytest.mark.parametrize("kind", NOISES)
def test_the_noise_where_light_is_passed_is_told_from_where_none_is(rng, kind):
    found, true, bright = [], [], PASSED > 1e-2

    def told(power: np.ndarray) -> float:
        return DARK.noise(power).power(DARK.height)[bright].mean()

    for _ in range(4):
        noise = NOISES[kind](rng.standard_normal(GRID)).astype(np.float32)
        power = np.abs(scipy.fft.rfftn(noise)) ** 2
        found.append(told(power))
        true.append(power[bright].mean())
        power[bright] *= 1000  # what else is there must not matter
        assert told(power) == pytest.approx(found[-1], rel=1e-5)
    assert np.mean(found) == pytest.approx(np.mean(true), rel=0.15 if kind == "white" else 0.35)


@pytest.mark.parametrize("kind", ["white", "resampled"])
def test_it_is_one_where_the_prediction_is_right(rng, kind):
    noise = NOISES[kind](rng.standard_normal(GRID))
    left = leftover(noise)
    assert left.faint(light(rng)) == pytest.approx(1, abs=0.2)
    assert left.passed() == pytest.approx(1, abs=0.25)


def test_what_is_missing_makes_it_more_and_explained_noise_less(rng):
    there, noise = light(rng), rng.standard_normal(GRID)
    explained = scipy.fft.irfftn(scipy.fft.rfftn(noise) * PASSED / (PASSED + 1e-5), GRID)
    smooth = scipy.fft.irfftn(scipy.fft.rfftn(there) * PASSED, GRID)
    right, missing, fitted = (leftover(residual) for residual in (noise, noise + there - smooth, noise - explained))
    assert missing.faint(smooth) > 1.4 and missing.passed() > 3
    assert fitted.faint(there + explained) < 0.95 * right.faint(there) and fitted.passed() < 0.6


def test_strong_frequencies_tell_the_fit_but_do_not_raise_the_ceiling(rng):
    there, noise = light(rng), rng.standard_normal(GRID)
    strong = scipy.fft.irfftn(scipy.fft.rfftn(there) * (PASSED > 0.3), GRID)
    right, wrong = leftover(noise), leftover(noise + 0.2 * strong)
    assert wrong.passed() > 5 * right.passed()
    assert wrong.faint(there) == pytest.approx(right.faint(there), rel=0.1)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_and_levels_change_nothing(rng, unit):
    noise, there = rng.standard_normal(GRID).astype(np.float32), light(rng)
    one, other = leftover(noise), leftover(unit * (noise + 3))
    assert other.faint(unit * there) == pytest.approx(one.faint(there), rel=1e-3)
    assert other.passed() == pytest.approx(one.passed(), rel=1e-3)


def test_it_is_the_quotient_of_powers_that_it_says(rng):
    """`passed` against itself in so many words, with the noise known to be white."""
    noise = rng.standard_normal(GRID)
    known = np.where(np.isnan(seen(noise)), 0, seen(noise) - np.nanmean(seen(noise)))
    power = np.abs(np.fft.fftn(known)) ** 2 / np.prod(IMAGE)
    whole = np.abs(np.fft.fftn(scipy.fft.irfftn(TRANSFER, GRID))) ** 2
    lit = whole > 1e-3 * whole.max()
    lit[0, 0, 0] = False
    assert leftover(noise).passed() == pytest.approx(power[lit].mean(), rel=0.1)


def test_what_cannot_be_told_is_none(rng):
    noise, there = rng.standard_normal(GRID).astype(np.float32), light(rng)
    everything = Dark(np.ones_like(PASSED), GRID)
    unseen = np.full(GRID, np.nan, np.float32)
    for left in (Leftover(seen(noise), everything, 1), leftover(np.zeros(GRID)), Leftover(unseen, DARK, 1)):
        assert left.faint(there) is None and left.passed() is None
    assert leftover(noise).faint(np.zeros(GRID, np.float32)) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_next_to_no_noise_overflows_nothing(rng, dtype):
    """Warnings are errors here."""
    there = light(rng).astype(dtype)
    residual = seen(1e-3 * there).astype(dtype)
    for left in (Leftover(residual, DARK, 1), Leftover(1e-5 * residual, DARK, 1)):
        assert np.isfinite([left.passed(), left.faint(there) or 0.0]).all()
    steep = Noise(0.0, -500.0, 1.0).power(DARK.height)
    assert np.isfinite(steep).all() and steep.min() > 0
