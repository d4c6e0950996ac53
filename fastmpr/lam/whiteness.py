"""Choose lam for one image: the weight of the whitest residual, and a little more, but not so much that noise is fitted.

Noise is white, and so is the residual of a good volume. A volume that is too smooth leaves structure. A volume that is too
close to the data leaves holes in the spectrum of the noise, where the microscope passes light. Neither the level of the
noise nor its law has to be known: if the noise grows with the light, the residual shows how.

This fails if the microscope passes few frequencies, so that the holes hardly count; if the PSF is inexact, so that some
structure always remains; or if the noise is not white. Then any large weight may give the whitest residual. So lam has a
ceiling: the residual at faint frequencies falls below the noise as soon as the volume fits the noise. The noise is read at
frequencies that the microscope does not pass (`leftover`).

References
----------
A. Lanza, M. Pragliola, F. Sgallari, "Residual whiteness principle for parameter-free image restoration", Electronic
Transactions on Numerical Analysis 53, 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..runtime.fft import rfftn
from ..sums.noise import variance_by_light
from ..sums.normal_equations import half_sum
from .leftover import Noise, heights

_TRIALS = 10
_MORE = math.log2(2.2)  # octaves above the whitest residual: nearest the truth (`reports.deconvolution`)
_GIVE, _MANY = 0.6, 50_000  # octaves by which the ceiling rises at most, and voxels for the full rise
_LEFT = 0.87  # of the noise must remain at faint frequencies (`reports.lam_one_image`)
_LOUDEST = 20.0  # bound of the power, in units of its median: few frequencies that lag behind must not dominate


class Trial(NamedTuple):
    """The residual for one weight: how far it is from white, and its power over the noise at faint frequencies."""

    colour: float
    left: float | None = None


class Choice(NamedTuple):
    """A weight and what decided on it: "whiteness", "noise" (a larger one fits the noise) or "trials" (the last tried)."""

    lam: float
    by: str


class _Trials:
    """Trials of weights that are a guess times powers of 2; each trial is made once."""

    def __init__(self, trial: Callable[[float], Trial], guess: float):
        self._trial, self._guess = trial, guess
        self._found: dict[int, Trial] = {}

    def __call__(self, k: int) -> Trial:
        if k not in self._found:
            self._found[k] = self._trial(self.lam(k))
        return self._found[k]

    def lam(self, k: float) -> float:
        return self._guess * 2.0**k

    def explain(self, k: int) -> bool:
        """Return whether a weight fits the noise."""
        left = self(k).left
        return left is not None and left < _LEFT

    @property
    def spent(self) -> bool:
        return len(self._found) >= _TRIALS


def whitest(trial: Callable[[float], Trial], guess: float, voxels: int = 0) -> Choice:
    """Return the best weight: that of the whitest residual, and a little more, but never one that fits the noise.

    If the guess already fits the noise, return the largest weight that does not: whiteness shows little in such images.

    Parameters
    ----------
    trial : callable
        Takes a weight and returns its `Trial`.
    guess : float
        The first weight to try.
    voxels : int
        Number of voxels of the residual. With many of them, whiteness is more reliable, so the ceiling is a little higher.
    """
    trials = _Trials(trial, guess)
    give = _GIVE * min(1.0, voxels / _MANY)
    return _down(trials) if trials.explain(0) else _downhill(trials, give)


def _down(trials: _Trials) -> Choice:
    """Go down, in long steps and then in short ones, until the noise is no longer fitted."""
    k = 0
    while trials.explain(k):
        if trials.spent:
            return Choice(trials.lam(k), "trials")
        k -= 2
    if not trials.explain(k + 1):
        k += 1
    return Choice(trials.lam(k + min(_ceiling(trials, k), 1.0)), "noise")


def _downhill(trials: _Trials, give: float) -> Choice:
    """Go downhill, in long steps and then in short ones, to the whitest residual; fit a parabola through three weights.

    If the whitest residual lies below the ceiling, the ceiling is raised by ``give``.
    """

    def height(k: int) -> tuple[bool, float]:
        return (True, k) if trials.explain(k) else (False, trials(k).colour)

    best, first = 0, -1 if trials(0).left is None else 1  # upwards if there is a ceiling
    for stride in (2 * first, first):
        downhill = stride if height(best + stride) < height(best) else -stride
        while not trials.spent and height(best + downhill) < height(best):
            best += downhill
    vertex = best + _vertex(*(math.log(trials(best + k).colour) for k in (-1, 0, 1)))
    white, ceiling = vertex + _MORE, best + _ceiling(trials, best)
    if vertex < ceiling:
        ceiling += give
    ended = height(best) <= min(height(best - 1), height(best + 1))
    by = "trials" if not ended else "whiteness" if white <= ceiling else "noise"
    return Choice(trials.lam(min(white, ceiling)), by)


def _vertex(left: float, centre: float, right: float) -> float:
    """Return where a parabola through values at -1, 0 and 1 is least; 0 if it has no minimum."""
    curvature = left - 2 * centre + right
    return min(max(0.5 * (left - right) / curvature, -1.0), 1.0) if curvature > 0 else 0.0


def _ceiling(trials: _Trials, k: int) -> float:
    """Return how far above ``k`` the noise begins to be fitted, by a line through the residuals of two weights."""
    here, above = trials(k).left, trials(k + 1).left
    if here is None or above is None or not 0 < above < here:
        return math.inf
    return math.log(here / _LEFT) / math.log(here / above)


def colour(residual: NDArray, light: NDArray, workers: int, noise: Noise | None = None) -> float:
    """Return how far a residual is from white: n sum |R|^4 / (sum |R|^2)^2 over its n frequencies, 2 for white noise.

    Parameters
    ----------
    residual : (nz, ny, nx) ndarray
        Residual of an image; NaN where nothing was seen.
    light : (nz, ny, nx) ndarray
        The prediction there.
    noise : Noise, optional
        If the noise is clearly not white, the residual is compared with it instead.
    """
    seen = ~np.isnan(residual)
    scaled = np.zeros_like(residual)
    scaled[seen] = residual[seen] / np.sqrt(variance_by_light(residual[seen], light[seen])).astype(residual.dtype)
    spectrum = rfftn(scaled, workers)
    power = spectrum.real**2 + spectrum.imag**2
    if noise is not None and noise.coloured:
        power /= noise.power(heights(residual.shape))
    power[0, 0, 0] = 0
    np.minimum(power, _LOUDEST * np.median(power), out=power)
    whole = half_sum(power, residual.shape)
    return residual.size * half_sum(np.square(power, dtype=np.float64), residual.shape) / whole**2 if whole else 2.0
