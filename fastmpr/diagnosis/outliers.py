"""What views should weigh beside a volume: nothing if they fit far worse than most, less if they are noisier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn
from ..views.dataset import Dataset
from .comparison import Measured
from .verdict import other_brightness, unexplained

_FEWEST = 5  # views, of which most can tell that one is unlike them
_NOISIER, _DEVIATIONS = 1.5, 6.0  # times the usual noise, and robust deviations above it, from which a view weighs less
_NAMED = 5  # views that a warning names


class Judged(NamedTuple):
    """What each view should weigh.

    Attributes
    ----------
    weights : (N,) ndarray
        From 0 to 1, as a factor.
    why : dict
        Why a view weighs less than 1, by its index.
    among : int
        Number of views that were compared.
    """

    weights: NDArray[np.float64]
    why: dict[int, str]
    among: int

    @property
    def enough(self) -> bool:
        """Whether so many views were compared, and so many of them are alike, that most can judge the rest."""
        return self.among >= _FEWEST and 2 * int(np.count_nonzero(self.weights == 0)) < self.among


def judged(found: Measured, up_to_gain: bool) -> Judged:
    """Return what each view should weigh, by its comparison with a volume; views that were not compared keep their weight.

    Parameters
    ----------
    found : Measured
    up_to_gain : bool
        Whether gains are to be fitted, which leave less weight to noisy views: these, and bright ones, are then as good as
        others. Otherwise far noisier views than most weigh less, as the inverse of the variance.
    """
    gain, ratio = found.residuals.gain, found.residuals.ratio
    known = np.isfinite(ratio) & ~np.isnan(found.residuals.unexplained)
    if not known.any():
        return Judged(np.ones(len(ratio)), {}, 0)
    usual = float(np.median(gain[known]))
    strange = {i: why for i, why in other_brightness(found, known).items() if gain[i] < usual or not up_to_gain}
    why = unexplained(found, known) | strange
    weights = np.ones(len(ratio))
    weights[list(why)] = 0
    noisier = {} if up_to_gain else _noisier(found.residuals.noise, known & (weights > 0))
    for i, times in noisier.items():
        weights[i] = 1 / times**2
        why[i] = f"{times:.2g} times as noisy"
    return Judged(weights, why, int(known.sum()))


def _noisier(noise: NDArray, known: NDArray) -> dict[int, float]:
    """Return the views whose noise is far above that of most, and how many times as large it is."""
    known = known & (np.nan_to_num(noise) > 0)
    if known.sum() < _FEWEST:
        return {}
    level = np.log(noise, where=known, out=np.full(len(noise), -np.inf))
    usual = float(np.median(level[known]))
    spread = 1.4826 * float(np.median(np.abs(level[known] - usual)))
    most = usual + max(_DEVIATIONS * spread, np.log(_NOISIER))
    return {int(i): float(np.exp(level[i] - usual)) for i in np.flatnonzero(level > most)}


def tell_verdict(data: Dataset, found: Judged) -> None:
    """Warn of the views that weigh less than most, or that no view can be told from the others."""
    out = int(np.count_nonzero(found.weights == 0))
    if not found.enough:
        few = f"{found.among} views that can be compared, need {_FEWEST}"
        many = f"{out} of {found.among} views unlike the others, need fewer than half"
        what = few if found.among < _FEWEST else many
        warn(f"weights: found {what}, so that most tell which ones are wrong: none is left out")
    elif not found.why:
        log.info(f"weights: none of {found.among} views stands out, so all weigh the same")
    else:
        odd = sorted(found.why, key=lambda i: (found.weights[i], i))
        named = ", ".join(f"{data.source.name(i)} ({found.why[i]})" for i in odd[:_NAMED])
        more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
        less = f", {len(odd) - out} weigh less" if len(odd) > out else ""
        warn(
            f"weights: found {len(odd)} of {found.among} views unlike the others, {named}{more}: {out} are left out{less}; "
            "see weights of the result"
        )
