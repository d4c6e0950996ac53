"""The correlation of a volume with the truth, as far as two halves of the views tell it.

    FSC(X, X0) = beta sqrt(P / P0),   beta = <X, X0> / <X, X>,

with P the power of the volume and P0 that of the truth. beta is measured: the sums of the other half know no prior, so their
product with X is unbiased. Where they hold too little, beta is drawn to what it usually is. P0 is measured where both halves
agree, and extrapolated from there; it is at least what the correlation with the other half shows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..quality.curve import Curve, crossing_of
from .evidence import Comparison, Evidence
from .halves import Halves

FEWEST_VIEWS = 4  # in two halves
# Chosen on 96 sets like those of `benchmarks/reports/resolution.py`; the told resolution depends little on any of them.
_LOST, _SURE = 2.0, 5.0  # standard errors: where P0 ends to be measured, and what counts for its extrapolation
_LAST = 8  # shells from which P0 is extrapolated
_LEAST_ERROR = 0.3  # of P0 in a shell, relative: spectra are not smooth
_USUAL, _SPREAD = 0.4, 0.45  # of beta at the frequencies where the correlation falls
_MOST = 0.9  # a correlation of this much or less is supposed where the halves show P0 from below
_CAUTION = 1.2  # standard errors of beta below which the correlation is told
_WHOLE = 1.10  # all views resolve more than half of them: factor on frequencies
_TINY, _LARGEST = 1e-200, 400.0  # the largest is an exponent


def told(halves: Halves, workers: int) -> Curve:
    """Return the correlation of the volume of all views with the truth, from below, in each shell."""
    comparison = Comparison(halves, workers)
    return told_curve(comparison.evidence(), comparison.shells.frequency, halves.order)


def told_curve(evidence: Evidence, frequency: NDArray, order: int) -> Curve:
    """Return the correlation with the truth, from below; ``error`` is a standard error of it.

    Parameters
    ----------
    evidence : Evidence
        In each shell.
    frequency : (n,) ndarray
        Of each shell.
    order : int
        See `Halves`.
    """
    count = np.maximum(evidence.count, 1)
    power, noise = evidence.power / count + _TINY, evidence.noise / count
    weight, seen = np.maximum(evidence.weight / count, 1e-3), evidence.seen / count
    beta = evidence.cross / count / (power * weight)
    variance = np.where(noise > 0, noise * order / (count * power * weight**2), np.inf)
    shown = np.sqrt(power) * np.maximum(beta - 2 * np.sqrt(variance), 0) / _MOST
    ratio = np.sqrt(power / _power_of_truth(evidence, frequency, order, shown**2))
    drawn, error = _drawn(beta, variance)
    low = np.clip((drawn - _CAUTION * error) * ratio, 0, 1) * seen
    low[:2] = 1  # the mean and the coarsest shape: too few frequencies to tell, and nobody doubts them
    known = evidence.count > 0
    known[0] = True  # a narrow cone of a small volume may hold no frequency
    return Curve(
        frequency,
        np.where(known, _moved(low, frequency, known), np.nan),
        evidence.count,
        _moved(np.minimum(error * ratio, 1) * seen, frequency, known),
    )


def period_told(curve: Curve) -> float:
    """Return the period at which the correlation falls below 0.5; that of the corner of the spectrum if it never does."""
    found = crossing_of(curve.frequency, curve.correlation, 0.5)
    frequency = curve.frequency[-1] if found is None else found
    return float(1 / frequency) if frequency > 0 else math.inf


def _drawn(beta: NDArray, variance: NDArray) -> tuple[NDArray, NDArray]:
    """Return beta, drawn to what it usually is by as much as its error says, and the error of that."""
    precision = 1 / np.maximum(variance, _TINY)
    total = precision + 1 / _SPREAD**2
    return (beta * precision + _USUAL / _SPREAD**2) / total, 1 / np.sqrt(total)


def _power_of_truth(evidence: Evidence, frequency: NDArray, order: int, least: NDArray) -> NDArray:
    """Return |X0|^2 in each shell: as measured, or where that is poor log |X0|^2 falls linearly in sqrt(f)."""
    count = np.maximum(evidence.count, 1)
    measured = evidence.signal / np.maximum(evidence.pair, 1e-3 * count)
    noise = 2 * evidence.noise / count  # of a half
    error = np.sqrt((2 * np.maximum(measured, 0) * noise + noise**2) * 2 * order / count) + _TINY
    clear = np.where(evidence.noise > 0, measured / error, 0)
    shell = np.arange(len(count))
    lost = np.flatnonzero((clear < _LOST) & (shell >= 2))
    end = int(lost[0]) if len(lost) else len(count)
    good = [k for k in range(1, end) if clear[k] >= _SURE][-_LAST:] or [min(1, len(count) - 1)]
    if measured[good].min() <= 0:
        return np.full(len(count), np.inf)  # the halves agree nowhere
    relative = np.maximum(error[good] / measured[good], _LEAST_ERROR)
    line = _falling_line(np.sqrt(frequency[good]), np.log(measured[good]), relative**-2)
    poor = (shell >= end) | ((clear < _SURE) & (shell >= 2))
    beyond = np.maximum(np.exp(np.minimum(line(np.sqrt(frequency)), _LARGEST)), least)
    return np.maximum(np.where(poor, beyond, measured), _TINY)


def _falling_line(x: NDArray, y: NDArray, weight: NDArray) -> np.polynomial.Polynomial:
    """Return the line through points, by weighted least squares; it does not rise."""
    mean = np.average(x, weights=weight)
    spread = np.average((x - mean) ** 2, weights=weight)
    slope = min(np.average((x - mean) * y, weights=weight) / spread, 0.0) if spread > 0 else 0.0
    return np.polynomial.Polynomial([np.average(y, weights=weight) - slope * mean, slope])


def _moved(values: NDArray, frequency: NDArray, known: NDArray) -> NDArray:
    """Return values of half of the views at the frequencies where all views have them."""
    return np.interp(frequency / _WHOLE, frequency[known], values[known])
