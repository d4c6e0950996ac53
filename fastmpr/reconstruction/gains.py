"""Fit the gain of each view, and how far to trust the view, by comparison with a volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..sums.accumulator import Accumulator

_ALIKE = 5.0  # standard errors by which the correlation of a view with its prediction must exceed zero
_LEAST_TRUST = 1e-6


def fit_gains(accumulator: Accumulator, x: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compare the views with their predictions from a volume.

    Parameters
    ----------
    accumulator : Accumulator
    x : (nz, ny, nx) ndarray
        The volume, on the padded grid.

    Returns
    -------
    gain : (N,) ndarray
        The slope of each view over its prediction, divided by the median slope; 1 for a view unlike its prediction.
    trust : (N,) ndarray
        The median residual variance of all views over that of each view, once views are divided by their gains; at most 1.
    """
    spectrum = accumulator.spectrum(x)
    _, noted = accumulator.process(
        accumulator.groups,
        "gains",
        lambda workspace, which, sums, statistics, place: workspace.compare(which, spectrum, statistics, place),
        prediction=True,
        numbers=6,
    )
    n, p, y, pp, py, yy = noted.numbers.T
    n = np.maximum(n, 1)
    spread, common, own = pp - p * p / n, py - p * y / n, np.maximum(yy - y * y / n, np.finfo(float).tiny)
    alike = (spread > 0) & (common > 0) & (n * common**2 > _ALIKE**2 * np.maximum(spread, 0) * own)
    if not alike.any():
        return np.ones(len(n)), np.ones(len(n))
    slope = np.divide(common, spread, out=np.ones(len(n)), where=alike)
    gain = np.where(alike, slope / np.median(slope[alike]), 1.0)
    rest = np.maximum(own - np.where(alike, slope * common, 0), 1e-12 * own) / n / gain**2
    usual = float(np.median(rest[alike]))
    return gain, np.clip(usual / np.maximum(rest, usual * _LEAST_TRUST), _LEAST_TRUST, 1.0)
