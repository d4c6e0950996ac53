"""Check how much the voxels of a particle vary, compared with other particles and with the precision of its numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn

_HOT = 4  # of a thousand voxels may be hot, and as many dead
_APART = 5.0  # times the median strength: a stronger view is unlike the others
_LIGHT = 1e-2  # of the largest weight: a view with less weight does no harm
_FEW = 3  # least number of views: of two that differ, either may be right
_NAMED = 3  # views that a warning names
_TYPICAL = 5  # views with which a doubtful one is compared
_COARSE = 0.05  # of a view's range: steps of that width cost some tenths of a decibel, wider ones more
_BELOW = 4.0  # times the light above a given background: noise never adds up to so much below it


class Extent(NamedTuple):
    """Range, standard deviation and precision of some voxels of a particle.

    Attributes
    ----------
    least, most : float
    strength : float
        The standard deviation of the voxels, without the extremes.
    step : float
        The distance from the largest absolute value to the next floating-point number.
    """

    least: float
    most: float
    strength: float
    step: float


def extent(sample: NDArray) -> Extent:
    """Return the `Extent` of a sample of a particle's voxels."""
    ordered = np.sort(sample)
    inner = ordered[_HOT:-_HOT] if len(ordered) > 8 * _HOT else ordered
    largest = max(abs(ordered[0]), abs(ordered[-1]))
    above = (inner - inner[len(inner) // 2]).astype(float)
    spread = max(float(above @ above) / len(above) - float(above.sum() / len(above)) ** 2, 0.0)
    return Extent(float(ordered[0]), float(ordered[-1]), math.sqrt(spread), float(np.spacing(largest)))


def coarse(found: Extent) -> str | None:
    """Return what is wrong if an offset leaves a particle's numbers too few digits; None if nothing is."""
    span = found.most - found.least
    if span == 0 or not found.step > _COARSE * span or abs(found.most) < 1e3 * span:
        return None
    return (
        f"values about {found.most:.4g} in steps of {found.step:.2g}, in which single precision holds them, and "
        f"differences of {span:.2g}: need the offset subtracted before they are converted to float32"
    )


def too_dark(sample: NDArray, level: float) -> bool:
    """Return whether far more of a particle lies below a given background than above it."""
    above = sample - level
    return bool(-above[above < 0].sum(dtype=float) > _BELOW * above[above > 0].sum(dtype=float))


def tell_strong(data: Any) -> None:
    """Warn once of views that are far stronger than the others; only log them if gains are fitted."""
    found = {i: times for i, times in strong(data).items() if data.source.is_new(f"strength of {data.source.name(i)}")}
    if not found:
        return
    data.source.keep_strong(found)
    named = ", ".join(
        f"{data.source.name(i)} ({times:.0f} times as bright)" for i, times in list(found.items())[:_NAMED]
    )
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    say = log.info if data.fits_gain or data.fits_weights else warn
    say(
        f"{named}{more}: found views unlike the others ({len(found)} of {len(data.used)}), need one exposure of one "
        "particle: gain='fit' fits their brightness, weights= leaves them out"
    )


def strong(data: Any) -> dict[int, float]:
    """Return the views, among those read, that vary far more than most, and how many times as much.

    A single one of them may dominate the volume. A sample of each view finds doubtful ones; then all voxels of the doubtful
    and of a few typical views are compared. Far weaker views do no harm; the check against the volume shows them.
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
