"""Which symmetry the views have: that of the volume is imposed on half of the views, which then predict the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.poses import Poses
from ..runtime.stopping import Stop
from ..views.dataset import Dataset
from .cycle import Cycle
from .search import LOCAL, Search
from .self_rotation import Axis, SelfRotation, in_frame

_ASIDE = "C2 aside"  # about an axis that is none
_MOST_FOLDS = 12
_FEWEST = 8  # views, of which four make a volume
_SURE = 2.0  # standard errors that tell one symmetry from another
_UPRIGHT = 5.0  # of which a two-fold axis across needs more: views that lie upside down make a volume that looks so
_SLIGHTLY = 0.01  # of the views' power, that a nearly symmetric particle may lose


@dataclass(frozen=True)
class FoundSymmetry:
    """The symmetry that views have, and what tells so.

    A dihedral symmetry is claimed only if it explains the views clearly better than the cyclic one does: if some views were
    taken upside down, the volume looks dihedral too.

    Attributes
    ----------
    name : str
        Such as "C9"; "C1" if there is none.
    margin : float
        By how many standard errors it explains the views better than what is nearest: than the better one of "C8" and "C10"
        for "C9", than "C2" about an axis 45 degrees off for "C2", than "C9" for "D9". NaN for "C1".
    left : dict of str to float
        For each symmetry that was tried, the share of a view's power that it leaves unexplained, noise not counted. Each
        view is compared with a volume of other views.
    """

    name: str
    margin: float
    left: dict[str, float]

    def __str__(self) -> str:
        tried = ", ".join(f"{name} {100 * share:.1f} %" for name, share in self.left.items())
        sure = "" if math.isnan(self.margin) else f", {self.margin:.1f} standard errors better than what is nearest"
        return f"{self.name}{sure}; left unexplained by {tried}" if tried else self.name


def found_symmetry(cycle: Cycle, workers: int | None, stop: Stop) -> tuple[FoundSymmetry, Poses]:
    """Return the symmetry of the particle, and the poses of all views in a frame with its axis along z.

    Parameters
    ----------
    cycle : Cycle
        Settled, without a symmetry.
    workers, stop
        As the public functions have them.
    """
    data = cycle.data[cycle.fitting]
    if len(data) < _FEWEST:
        return FoundSymmetry("C1", math.nan, {}), cycle.data.placed
    itself, trial = SelfRotation(cycle.x), _Trial(data, workers, stop)
    axis = itself.main()
    many = f"C{axis.fold}"
    for name in ("C1", f"C{axis.fold - 1}", many, f"C{axis.fold + 1}"):
        trial.add(name, axis)
    margin = min(trial.better(many, f"C{fold}") for fold in (axis.fold - 1, axis.fold + 1))
    if not trial.holds(many):
        axis, many = itself.axis(2), "C2"
        trial.add(many, axis)
        trial.add(many, axis.tilted(), _ASIDE)
        margin = trial.better(many, _ASIDE)
    if margin <= _SURE or not trial.holds(many):  # a round particle has as many folds as one likes
        return FoundSymmetry("C1", math.nan, trial.left()), cycle.data.placed
    axis = trial.highest(axis)
    many, dihedral = f"C{axis.fold}", f"D{axis.fold}"
    trial.add(dihedral, axis)
    across_it = trial.better(dihedral, many)
    name, margin = (dihedral, across_it) if across_it > _UPRIGHT else (many, margin)
    return FoundSymmetry(name, margin, trial.left()), in_frame(cycle.data.replace(symmetry=name), axis).placed


class _Trial:
    """What several symmetries leave unexplained of each view."""

    def __init__(self, data: Dataset, workers: int | None, stop: Stop):
        self._data, self._workers, self._stop = data, workers, stop
        self._left: dict[str, NDArray[np.float64]] = {}

    def add(self, symmetry: str, axis: Axis, name: str | None = None) -> None:
        """Reconstruct each half of the views with a symmetry about an axis, and align the other half with it."""
        data = in_frame(self._data.replace(symmetry=symmetry), axis)
        left = np.full(len(data), np.nan)
        for half in (0, 1):
            x, _ = Cycle(data[half::2], self._workers, self._stop).volume()
            others = data[1 - half :: 2].levelled()
            scores = Search(others, x, LOCAL, self._workers, None, self._stop).run().scores
            left[1 - half :: 2] = 1 - np.square(scores)
        self._left[name or symmetry] = left

    def better(self, one: str, other: str) -> float:
        """Return by how many standard errors one symmetry explains the views better than another."""
        gained = self._left[other] - self._left[one]
        gained = gained[np.isfinite(gained)]
        if len(gained) < 2:
            return 0.0
        error = gained.std(ddof=1) / math.sqrt(len(gained))
        return float(gained.mean() / error) if error else 0.0

    def holds(self, symmetry: str) -> bool:
        """Return whether a symmetry explains about as much as none."""
        lost = float(np.nanmean(self._left[symmetry] - self._left["C1"]))
        return lost < _SLIGHTLY or self.better("C1", symmetry) < _SURE

    def highest(self, axis: Axis) -> Axis:
        """Return an axis with the highest multiple of its fold that explains as much: C9 explains what C3 does."""
        own, found = f"C{axis.fold}", axis
        for fold in range(2 * axis.fold, _MOST_FOLDS + 1, axis.fold):
            self.add(f"C{fold}", axis)
            if self.better(own, f"C{fold}") < _SURE:
                found = axis._replace(fold=fold)
        return found

    def left(self) -> dict[str, float]:
        """Return the means."""
        return {name: float(np.nanmean(left)) for name, left in self._left.items()}
