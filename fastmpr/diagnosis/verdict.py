"""Warn of a volume that does not explain its views, and of views that stand out from the others."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn
from ..views.dataset import Dataset
from .comparison import Measured

_SOME = 0.0035  # unexplained share: poses 2 degrees off, or a PSF 10 % too wide or narrow, leave less
_MUCH = 0.015  # unexplained share: wrong geometry leaves more
_SURE = 4.0  # standard errors of the median that make an excess significant
_MEDIAN = 1.25  # standard error of a median over that of a mean
_SINGLE = 6.0  # standard errors that make one view's excess significant
_TWICE = 2.0  # allowed excess of one view over the allowed excess of the median
_BESIDE = 5.0  # times the value of the other views
_NAMED = 3  # views that a warning names
_FEW = 3  # with two views that differ, either may be the wrong one
_NEXT = "fastmpr.diagnose(data) or 'fastmpr check' tries the usual mistakes"


def tell(data: Dataset, found: Measured, settled: bool, given: bool) -> float | None:
    """Warn of a volume that does not fit, and of views that stand out; return the median ratio.

    Parameters
    ----------
    data : Dataset
    found : Measured
        For all views; NaN for those that were not compared.
    settled : bool
        Whether the solve has converged. If not, the misfit has a known cause, so it goes to the log only.
    given : bool
        Whether the caller chose lam.
    """
    ratio, left = found.residuals.ratio, found.residuals.unexplained
    known = np.isfinite(ratio) & ~np.isnan(left)
    if not known.any():
        return None
    fit, rest, count = float(np.median(ratio[known])), float(np.median(left[known])), int(known.sum())
    spoilt = data.source.spoilt()  # these were reported already, and may make the other views misfit
    say = warn if settled and not spoilt else log.info
    log.info(f"fit {fit:.3g}: the residual of the views over their noise, median of {count}")
    misfit, single = misfits(found, known), other_brightness(found, known)
    if not (misfit and rest > _MUCH):  # otherwise every view misfits in its own way
        single = unexplained(found, known) | single
    single = {i: why for i, why in single.items() if i not in spoilt}
    if misfit and (rest > _MUCH or not single):  # a few wrong views make the others misfit a little
        say(_misfit(fit, rest, count, given, len(data.group) > 1))
    elif _shows_nothing(found, known):
        say(f"particles: found no trace of the volume in most of {count}, need views of one particle: another channel?")
    if single:
        say(_unlike(data, single, count))
    return fit


def _misfit(fit: float, rest: float, count: int, given: bool, symmetric: bool) -> str:
    """Return the warning for a volume that does not fit."""
    word, why = (
        ("does not fit", "poses, contrast or PSF may be of another convention")
        if rest > _MUCH
        else ("fits roughly", "PSF, poses or gains may be off")
    )
    why += ", lam too low" * given + ", the particle less symmetric" * symmetric
    return (
        f"particles: found that the volume {word}: {fit:.3g} times the noise is left in the views, {_share(rest)} of what "
        f"it predicts (median of {count}), need about 1: {why}; {_NEXT}"
    )


def _unlike(data: Dataset, single: dict[int, str], count: int) -> str:
    """Return the warning for views that stand out."""
    named = ", ".join(f"{data.source.name(i)} ({why})" for i, why in list(single.items())[:_NAMED])
    more = f" and {len(single) - _NAMED} more" if len(single) > _NAMED else ""
    return (
        f"{named}{more}: found views unlike the others ({len(single)} of {count}), need views of one particle in one "
        "contrast: weights= leaves them out, gain='fit' fits their brightness"
    )


def misfits(found: Measured, known: NDArray) -> bool:
    """Return whether the views' median residual exceeds their noise, and more than slight errors in the data explain."""
    ratio, limit, error = (part[known] for part in (found.residuals.ratio, found.limit, found.error))
    excess = np.median((ratio - 1) / (limit - 1))
    doubt = _MEDIAN * np.median(error / (limit - 1)) / math.sqrt(len(ratio))
    return bool(excess > max(1.0, _SURE * doubt) and np.median(found.residuals.unexplained[known]) > _SOME)


def _shows_nothing(found: Measured, known: NDArray) -> bool:
    """Return whether most views do not resemble their predictions at all."""
    gain, doubt = found.residuals.gain[known], _SURE * found.slack[known]
    return float(np.mean(~(gain > doubt))) > 0.5


def other_brightness(found: Measured, known: NDArray) -> dict[int, str]:
    """Return the views whose gain is negative or far from that of the others, each with a description."""
    gain, doubt = found.residuals.gain, _SURE * found.slack
    usual = float(np.median(gain[known]))
    if usual <= 0 or known.sum() < _FEW:
        return {}
    single: dict[int, str] = {}
    for i in np.flatnonzero(known):
        if gain[i] + doubt[i] < 0:
            single[int(i)] = "negative contrast"
        elif gain[i] + doubt[i] < usual / _BESIDE or gain[i] - doubt[i] > usual * _BESIDE:
            single[int(i)] = f"{gain[i] / usual:.2g} times as bright"
    return single


def unexplained(found: Measured, known: NDArray) -> dict[int, str]:
    """Return the views with a far larger residual than the others, each with its unexplained share."""
    if known.sum() < _FEW:
        return {}
    ratio, left = found.residuals.ratio, found.residuals.unexplained
    own = np.maximum(1 + _TWICE * (found.limit - 1), 1 + _SINGLE * found.error)
    most = max(0.0, float(np.median(ratio[known])) - 1) + own
    much = max(_MUCH, _BESIDE * float(np.median(left[known])))
    return {int(i): f"{_share(left[i])} unexplained" for i in np.flatnonzero(known & (ratio > most) & (left > much))}


def _share(left: float) -> str:
    """Return an unexplained share as text."""
    return f"{100 * left:.2g} %" if left < 1 else "more than all"
