"""The weight of the data term for one image: the one whose residual is whitest, and a little more.

Noise is white, and so is what a good volume leaves of an image: one that is too smooth leaves structure, one that is too
close to the data leaves holes in the noise's spectrum where the microscope passes light. Neither the level of the noise nor
its law need be known: where it grows with the light, the residual shows how.

References
----------
A. Lanza, M. Pragliola, F. Sgallari, "Residual whiteness principle for parameter-free image restoration", Electronic
Transactions on Numerical Analysis 53, 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..engine.fft import rfftn
from ..sums.normal_equations import half_sum

_STEP = math.log(2.0)  # between the weights that are tried last
_TRIALS = 10
_MORE = 2.2  # times the weight of the whitest residual: nearest the truth (`benchmarks.deconvolution`)
_LOUDEST = 20.0  # times the median: what few frequencies still lack after few iterations must not drown the rest
_BINS = 20  # of the light, in each of which there are as many voxels
_LEAST = 0.3  # of the noise in the quietest bin


def whitest(misfit: Callable[[float], float], guess: float) -> float:
    """Return the best weight: the one of least ``misfit``, and a little more.

    Weights are tried downhill from a guess, in long steps and then in short ones; a parabola through the best three gives
    the answer.
    """
    found: dict[int, float] = {}

    def at(k: int) -> float:
        if k not in found:
            found[k] = math.log(misfit(guess * math.exp(k * _STEP)))
        return found[k]

    best = 0
    for stride in (2, 1):
        downhill = -stride if at(best - stride) < at(best) else stride
        while len(found) < _TRIALS and at(best + downhill) < at(best):
            best += downhill
    left, centre, right = at(best - 1), at(best), at(best + 1)
    curvature = left - 2 * centre + right
    shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    return guess * _MORE * math.exp((best + min(max(shift, -1.0), 1.0)) * _STEP)


def colour(residual: NDArray, light: NDArray, workers: int) -> float:
    """Return how far a residual is from white: n sum |R|^4 / (sum |R|^2)^2 over its n frequencies, 2 for white noise.

    Parameters
    ----------
    residual : (nz, ny, nx) ndarray
        Of an image; NaN where it was not seen.
    light : (nz, ny, nx) ndarray
        What is predicted there.
    """
    seen = ~np.isnan(residual)
    scaled = np.zeros_like(residual)
    scaled[seen] = residual[seen] / _spread(residual[seen], light[seen])
    spectrum = rfftn(scaled, workers)
    power = spectrum.real**2 + spectrum.imag**2
    power[0, 0, 0] = 0
    np.minimum(power, _LOUDEST * np.median(power), out=power)
    whole = half_sum(power, residual.shape)
    return residual.size * half_sum(np.square(power, dtype=np.float64), residual.shape) / whole**2 if whole else 2.0


def _spread(residual: NDArray, light: NDArray) -> NDArray:
    """Return the standard deviation of noise whose variance grows linearly with the light, as the residual shows it."""
    edges = np.quantile(light, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, light)
    count = np.maximum(np.bincount(bins, minlength=_BINS), 1)
    power, mean = (np.bincount(bins, values, _BINS) / count for values in (np.square(residual, dtype=float), light))
    power, mean = power[power > 0], mean[power > 0]
    if not len(power):
        return np.ones_like(residual)
    brightest = float(np.abs(mean).max()) or 1.0  # in its unit both columns are alike, whatever the intensities'
    design = np.stack([mean / brightest, np.ones_like(mean)], axis=1) / power[:, None]
    slope, level = np.linalg.lstsq(design, np.ones(len(power)), rcond=None)[0]
    return np.sqrt(np.maximum(slope / brightest * light + level, _LEAST * power.min())).astype(residual.dtype)
