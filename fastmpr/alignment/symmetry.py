"""Which symmetry the views have: that of the volume is imposed on half of the views, which then predict the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..geometry.poses import Poses
from ..runtime.stopping import Stop
from ..views.dataset import Dataset
from .cycle import Cycle
from .search import LOCAL, Search
from .self_rotation import Axis, SelfRotation

_FEWEST = 8  # views, of which four make a volume
_SURE = 2.0  # standard errors that tell one symmetry from another
_UPRIGHT = 5.0  # of which a two-fold axis across needs more: views that lie upside down make a volume that looks so
_SLIGHTLY = 0.01  # of the views' power, that a nearly symmetric particle may lose


@dataclass(frozen=True)
class FoundSymmetry:
    """The symmetry that views have, and what tells so.

    Attributes
    ----------
    name : str
        Such as "C9"; "C1" if there is none.
    margin : float
        By how many standard errors it explains the views better than its neighbours do: of "C9", "C8" and "C10", the better
        one; of "C2", none; of "D9", "C9". NaN for "C1".
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
    main, two_fold = SelfRotation(cycle.x).axes()
    trial = _Trial(workers, stop)
    upright, flat = (_in_frame(data, axis) for axis in (main, two_fold))
    trial.add("C1", upright)
    for fold in (main.fold - 1, main.fold, main.fold + 1):
        trial.add(f"C{fold}", upright)
    axis, many, dihedral = main, f"C{main.fold}", f"D{main.fold}"
    margin = min(trial.better(many, f"C{fold}") for fold in (main.fold - 1, main.fold + 1))
    if not trial.holds(many):
        axis, many, dihedral = two_fold, "C2", "D2"
        trial.add(many, flat)
        margin = trial.better(many, "C1")
    if margin <= _SURE:  # a round particle has as many folds as one likes
        return FoundSymmetry("C1", math.nan, trial.left()), cycle.data.placed
    trial.add(dihedral, flat if axis is two_fold else upright)
    across_it = trial.better(dihedral, many)
    name, margin = (dihedral, across_it) if across_it > _UPRIGHT else (many, margin)
    return FoundSymmetry(name, margin, trial.left()), _in_frame(cycle.data, axis).placed


class _Trial:
    """What several symmetries leave unexplained of each view."""

    def __init__(self, workers: int | None, stop: Stop):
        self._workers, self._stop = workers, stop
        self._left: dict[str, NDArray[np.float64]] = {}

    def add(self, symmetry: str, data: Dataset) -> None:
        """Reconstruct each half of the views with a symmetry, and align the other half with it."""
        left = np.full(len(data), np.nan)
        for half in (0, 1):
            own = data[half::2].replace(symmetry=symmetry)
            x, _ = Cycle(own, self._workers, self._stop).volume()
            others = data[1 - half :: 2].levelled()
            scores = Search(others, x, LOCAL, self._workers, None, self._stop).run().scores
            left[1 - half :: 2] = 1 - np.square(scores)
        self._left[symmetry] = left

    def better(self, one: str, other: str) -> float:
        """Return by how many standard errors one symmetry explains the views better than another."""
        gained = self._left[other] - self._left[one]
        gained = gained[np.isfinite(gained)]
        error = gained.std(ddof=1) / math.sqrt(len(gained))
        return float(gained.mean() / error) if error else 0.0

    def holds(self, symmetry: str) -> bool:
        """Return whether a symmetry explains about as much as none."""
        lost = float(np.nanmean(self._left[symmetry] - self._left["C1"]))
        return lost < _SLIGHTLY or self.better("C1", symmetry) < _SURE

    def left(self) -> dict[str, float]:
        """Return the means."""
        return {name: float(np.nanmean(left)) for name, left in self._left.items()}


def _in_frame(data: Dataset, axis: Axis) -> Dataset:
    """Return the views with poses in the frame whose z is an axis; its best two-fold axis across is y."""
    rotation = np.stack([axis.direction, axis.two_fold, np.cross(axis.direction, axis.two_fold)])
    shift = -rotation @ axis.centre * data.model_voxel[0]
    return data.replace(poses=data.placed.moved(Rotation.from_matrix(rotation), shift))
