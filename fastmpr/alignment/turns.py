"""What all turns of a call have in common: one count, one checkpoint, the scores so far, and the best volume so far."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._messages import Count
from ..io.checkpoints import Arrays, Checkpoint
from ..views.dataset import Dataset
from .cycle import Cycle
from .search import LOCAL, Plan
from .symmetry import FoundSymmetry

_RELATIVES = Plan(cycles=(6.0, 10.0, 16.0), candidates=(3, 3, 2, 1), everywhere=False, relatives=True)
_MOST_TURNS = 8
_SETTLED, _NEAR = 0.2, 10.0  # degrees that nine of ten views move by at most; a relative is farther

# Of a view: in a turn at 25 x 25 x 25 voxels most of the time goes to the search of all poses, which takes no longer with
# larger images; all else takes as long as it has voxels.
_SEARCH, _VOXELS, _LAST = 10.0, 25**3, 1.2
_ALIGNING = {"views": (0.2, 1.0, 1)}
RECONSTRUCTING = {"particles": (0.0, 0.3, 1), "iterations": (0.3, 0.9, 100), "checks": (0.9, 1.0, 1)}


class Turns:
    """Has the turns of a call done, one after another.

    Attributes
    ----------
    history : list of dict
        One entry for each turn: ``start``, ``voxel_size`` and ``score``, as in `PoseResult`.
    best : Cycle or None
        Whose volume to return if the call ends now; None before the first turn ends.
    confidence : float
        As in `PoseResult`; NaN as long as it is not known.
    symmetry : FoundSymmetry or None
        As in `PoseResult`.

    Parameters
    ----------
    count : Count
    checkpoint : Checkpoint
    """

    def __init__(self, count: Count, checkpoint: Checkpoint):
        self.count, self._checkpoint = count, checkpoint
        self.history: list[dict[str, float]] = []
        self.best: Cycle | None = None
        self.confidence = float("nan")
        self.symmetry: FoundSymmetry | None = None

    def settle(self, cycle: Cycle, far: bool) -> None:
        """Reconstruct and align in turn until the poses settle; if ``far``, try relatives too, until none is better."""
        plan, left = _RELATIVES if far else LOCAL, settling_work(cycle.data, far)
        for _ in range(_MOST_TURNS):
            left -= turn_work(cycle.data, plan)
            moved = self.turn(cycle, plan, start=0)
            if np.quantile(moved, 0.9) < _SETTLED:
                break
            if moved.max() < _NEAR:
                plan = LOCAL
        self.count.expect(-left)

    def turn(self, cycle: Cycle, plan: Plan, start: int) -> NDArray[np.float64]:
        """Do the next turn of a cycle, or read it from the checkpoint; return by how many degrees each view turned.

        Parameters
        ----------
        start : int
            Of `ab_initio`; 0 at full size.
        """
        work = turn_work(cycle.data, plan)
        place = 1 + sum(one["start"] == start for one in self.history)
        computed = False

        def compute() -> Arrays:
            nonlocal computed
            computed = True
            return cycle.turned(plan, self.count.step(work, _ALIGNING))

        name = f"start-{start}-turn-{place}" if start else f"turn-{place}"
        moved = cycle.take(self._checkpoint.step(name, compute))
        if computed:
            self.count.end(work)
        else:
            self.count.expect(-work)
        self.history.append({"start": start, "voxel_size": cycle.data.model_voxel[0], "score": score(cycle)})
        if self.best is None or start == 0:
            self.best = cycle
        return moved


def score(cycle: Cycle) -> float:
    """Return how well a cycle's last volume explains the views: the median score."""
    known = cycle.scores[np.isfinite(cycle.scores)]
    return float(np.median(known)) if len(known) else 0.0


def turn_work(data: Dataset, plan: Plan) -> int:
    """Return how long a turn takes, in some unit."""
    searched = _SEARCH if plan.everywhere or plan.relatives else 0.0
    return math.ceil(len(data) * (searched + math.prod(data.particle_shape) / _VOXELS))


def settling_work(data: Dataset, far: bool) -> int:
    """Return how long the turns take at most until the poses settle, in the same unit."""
    return _MOST_TURNS * turn_work(data, _RELATIVES if far else LOCAL)


def last_work(data: Dataset) -> int:
    """Return how long the last reconstruction takes, in the same unit."""
    return math.ceil(len(data) * _LAST * math.prod(data.particle_shape) / _VOXELS)
