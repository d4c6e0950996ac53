"""How much the voxels of particles vary, one beside another, and beside the steps of their numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn

_HOT = 4  # of a thousand voxels, at either end, may be hot or dead
_APART = 5.0  # times the median strength: such a view is not like the others
_LIGHT = 1e-2  # of the largest weight: a view that weighs less spoils nothing
_FEW = 3  # views: of two that differ nobody knows which is right
_NAMED = 3
_TYPICAL = 5  # views beside which a doubtful one is looked at again
_COARSE = 0.05  # of what a view varies by: steps as wide cost some tenths of a decibel, wider ones more
_BELOW = 4.0  # times the light above a background that was given, found below it: that is no noise


class Extent(NamedTuple):
    """What some voxels of a particle show, as they are given.

    Attributes
    ----------
    least, most : float
    strength : float
        Their standard deviation, without the extremes.
    step : float
        Between the greatest number and the next.
    """

    least: float
    most: float
    strength: float
    step: float


def extent(sample: NDArray) -> Extent:
    """Return what a sample of the voxels of a particle shows."""
    ordered = np.sort(sample)
    inner = ordered[_HOT:-_HOT] if len(ordered) > 8 * _HOT else ordered
    largest = max(abs(ordered[0]), abs(ordered[-1]))
    above = (inner - inner[len(inner) // 2]).astype(float)
    spread = max(float(above @ above) / len(above) - float(above.sum() / len(above)) ** 2, 0.0)
    return Extent(float(ordered[0]), float(ordered[-1]), math.sqrt(spread), float(np.spacing(largest)))


def coarse(found: Extent) -> str | None:
    """Return what is wrong with a particle on an offset that leaves its numbers no digits, None where nothing is."""
    span = found.most - found.least
    if span == 0 or not found.step > _COARSE * span or abs(found.most) < 1e3 * span:
        return None
    return (
        f"values about {found.most:.4g} in steps of {found.step:.2g}, in which single precision holds them, and "
        f"differences of {span:.2g}: need the offset taken off before they are converted to float32"
    )


def too_dark(sample: NDArray, level: float) -> bool:
    """Return whether far more of a particle lies below a background that was given than above it."""
    above = sample - level
    return bool(-above[above < 0].sum(dtype=float) > _BELOW * above[above > 0].sum(dtype=float))


def tell_strong(data: Any) -> None:
    """Warn, once, of views that are far stronger than the others; only log it where their gains are fitted."""
    found = {i: times for i, times in strong(data).items() if data.source.is_new(f"strength of {data.source.name(i)}")}
    if not found:
        return
    data.source.keep_strong(found)
    named = ", ".join(
        f"{data.source.name(i)} ({times:.0f} times as bright)" for i, times in list(found.items())[:_NAMED]
    )
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    say = log.info if data.fits_gain else warn
    say(
        f"{named}{more}: found views unlike the others ({len(found)} of {len(data.used)}), need one exposure of one "
        "particle: gain='fit' fits their brightness, weights= leaves them out"
    )


def strong(data: Any) -> dict[int, float]:
    """Return which of the views that were read vary far more than most, and how many times as much.

    One of them may be all that a volume shows. A sample of each raises a doubt, which is settled by all voxels of those,
    beside a few others'. Views that are far weaker spoil nothing, and what they lack is told by the volume.
    """
    least = _LIGHT * data.weights.max()
    found = {i: one.strength for i, one in data.source.extents().items() if data.weights[i] > least}
    if len(found) < _FEW:
        return {}
    places, strengths = np.array(list(found)), np.array(list(found.values()))
    usual = float(np.median(strengths))
    doubtful = places[strengths > _APART * usual]
    if not len(doubtful):
        return {}
    typical = places[np.argsort(np.abs(strengths - usual), kind="stable")[:_TYPICAL]]
    usual = float(np.median([_strength(data.source, i) for i in typical]))
    exact = {int(i): _strength(data.source, i) for i in doubtful}
    return {i: one / usual for i, one in exact.items() if one > _APART * usual > 0}


def _strength(source: Any, i: int) -> float:
    """Return the standard deviation of a view's voxels, without the extremes."""
    values = source.read(int(i)).ravel()
    values = values[~np.isnan(values)]
    low, high = np.quantile(values, (1e-4, 1 - 1e-4)) if len(values) else (0.0, 0.0)
    return float(values.clip(low, high).std(dtype=float)) if len(values) else 0.0
