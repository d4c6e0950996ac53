"""How well views fit a volume, their noise taken off: which are other things, and how bright and how noisy each one is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CHANCE = 20.0  # times the noise at one frequency: what the best of all poses explains of noise alone
_DEVIATIONS, _SHARE = 5.0, 0.85  # robust deviations below the usual score, and a share of it: less is another thing
_SURE = 3.0  # times their error, that gains spread by before they count as different
_UNLIKE, _MOST = 2.0, 4.0  # ratio of clear views to dim ones, before they weigh more; the most that they do
_ROUNDING = 1e-9  # of the power, that is always left
_BRIGHTER = 5.0  # times the usual gain: such a view would be all that a volume shows


class Score(NamedTuple):
    """How well a prediction explains a view.

    Attributes
    ----------
    value : float
        The correlation of the prediction with the view, as it were without the view's noise, 0 to 1.
    clearness : float
        The power that the prediction explains, over what it leaves at one frequency, noise or not.
    """

    value: float
    clearness: float


def score_of(correlation: float, view: NDArray, noise: float) -> Score:
    """Return the score of a prediction.

    Parameters
    ----------
    correlation : float
        Of the prediction and the view's spectrum.
    view : (K,) complex ndarray
        The view's spectrum.
    noise : float
        The power of its noise at each frequency.
    """
    power = float(np.square(np.abs(view)).sum())
    explained = correlation * correlation * power
    left = max(power - explained, _ROUNDING * power) / len(view)
    clearness = explained / left if left else 0.0
    if not explained > _CHANCE * noise:
        return Score(0.0, clearness)
    clean = max(power - len(view) * noise, explained)
    return Score(math.sqrt((explained - _CHANCE * noise) / clean), clearness)


def fitting(scores: NDArray, gains: NDArray) -> NDArray[np.bool_]:
    """Return which views fit about as well as most, and are not far brighter; a view that was not aligned does not fit.

    If all are lost in noise, each one that was aligned fits.
    """
    aligned = np.isfinite(scores)
    known = aligned & (np.nan_to_num(scores) > 0)
    if not known.any():
        return aligned
    usual = float(np.median(scores[known]))
    least = min(usual - _DEVIATIONS * robust_deviation(scores[known]), _SHARE * usual)
    return known & (np.nan_to_num(scores) >= least) & (gains <= _BRIGHTER * np.median(gains[known]))


def robust_deviation(values: NDArray) -> float:
    """Return the standard deviation of values, as their median distance from the median tells it."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def contrasts(gains: NDArray, clearness: NDArray, fits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how bright each view is beside most; 1 for all if they differ no more than their errors."""
    found = np.ones(len(gains))
    if not _stand_out(clearness, fits):
        return found
    relative = gains[fits] / np.median(gains[fits])
    error = float(np.median(1 / np.sqrt(2 * clearness[fits])))
    if robust_deviation(relative) > _SURE * error:
        found[fits] = np.clip(relative, 1 / _BRIGHTER, _BRIGHTER)
    return found


def precisions(clearness: NDArray, fits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what each view should weigh beside most: 1 for all if they are about as clear, 0 for those that do not fit."""
    found = fits.astype(float)
    if not _stand_out(clearness, fits):
        return found
    relative = clearness[fits] / np.median(clearness[fits])
    low, high = np.quantile(relative, [0.1, 0.9])
    if high > _UNLIKE * low:
        found[fits] = np.clip(relative, 1 / _MOST, _MOST)
    return found


def _stand_out(clearness: NDArray, fits: NDArray[np.bool_]) -> bool:
    """Return whether all that fit stand out of the noise, so that they can be compared."""
    return bool((clearness[fits] > _CHANCE).all())
