"""From particles alone to a first volume and poses, at coarse voxels: the best of several starts, if another agrees."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .._messages import log
from ..geometry.poses import Poses
from ..runtime.stopping import Stop
from ..views.dataset import Dataset
from .cycle import Cycle
from .reduced import reduced
from .relatives import distinct_axis, moments
from .search import Plan, Search
from .self_rotation import SelfRotation, in_frame
from .turns import Turns, score, turn_work

_VOXELS = 25  # of the coarse box along the side of a cube as large
_MOST_STARTS = 4
AGREED = 0.9  # the correlation of the volumes of two starts: less, and another start is made, or the answer is doubtful
_EARLY = Plan(cycles=(4.0, 5.0, 6.0), candidates=(4, 2, 1, 1))
_LATER = Plan(cycles=(4.0, 6.0, 9.0), candidates=(4, 2, 1, 1))
_RELATIVES = Plan(cycles=(4.0, 6.0, 9.0), candidates=(3, 3, 2, 1), everywhere=False, relatives=True)
_FREE = (_EARLY, _EARLY, _EARLY)
_LAST = (_LATER, _LATER, _RELATIVES)  # with the symmetry, if there is one


def begun(
    data: Dataset, rng: np.random.Generator, workers: int | None, turns: Turns, stop: Stop
) -> tuple[Poses, float]:
    """Return poses of all views, and how far the starts agree, 0 to 1.

    Parameters
    ----------
    data : Dataset
        With a PSF. Less its backgrounds.
    rng : Generator
        For the rotations that each start begins with.
    turns : Turns
    workers, stop
        As the public functions have them.
    """
    extent = np.multiply(data.particle_shape, data.voxel_size)
    factor = max(1.0, float(np.cbrt(extent.prod())) / min(data.voxel_size) / _VOXELS)
    small = reduced(data, factor, workers, stop)
    work = sum(turn_work(small, plan) for plan in (*_FREE, *_LAST))
    turns.count.expect(_MOST_STARTS * work)
    starts: list[Cycle] = []
    agreement = 0.0
    while len(starts) < _MOST_STARTS and agreement < AGREED:
        starts.append(Cycle(small.replace(symmetry=None, poses=Poses.random(len(small), rng=rng)), workers, stop))
        for plan in _FREE:
            turns.turn(starts[-1], plan, len(starts))
        _symmetrize(starts[-1], small)
        for plan in _LAST:
            turns.turn(starts[-1], plan, len(starts))
        log.info("ab_initio: start %d ends at a score of %.4f", len(starts), score(starts[-1]))
        best, *others = sorted(starts, key=score, reverse=True)
        turns.best = best
        agreement = max((_agreement(best, other, workers, stop) for other in others), default=0.0) * _clear(best)
    turns.count.expect((len(starts) - _MOST_STARTS) * work)
    return _in_standard_frame(best), agreement


def _symmetrize(cycle: Cycle, like: Dataset) -> None:
    """Give a cycle the symmetry of a data set, about the axis of its volume; from the beginning, any axis would hold."""
    if len(like.group) > 1 and like.symmetry is not None:
        axis = SelfRotation(cycle.x).axis(int(like.symmetry[1:]))
        data = cycle.data.replace(symmetry=like.symmetry, symmetry_axis=like.symmetry_axis)
        cycle.go_on(in_frame(data.replace(symmetry_centre=like.symmetry_centre), axis))


def _clear(cycle: Cycle) -> float:
    """Return 1, or less where most of the views show nothing but noise: then volumes may agree by chance."""
    return min(1.0, 2 * float(np.mean(cycle.scores[np.isfinite(cycle.scores)] > 0)))


def _in_standard_frame(cycle: Cycle) -> Poses:
    """Return the poses with the volume's light in the middle; without a symmetry, with its distinct axis along z."""
    centre, values, axes = moments(cycle.x)
    rotation = np.eye(3)
    if len(cycle.data.group) == 1:
        own, _ = distinct_axis(values)
        rotation = np.roll(axes, -own, axis=1).T
        rotation[2] *= np.linalg.det(rotation)
    along = cycle.data.group.mean(axis=0)  # projects on what the symmetry leaves as it is
    off = centre * cycle.data.model_voxel[0] - cycle.data.symmetry_centre
    shift = -rotation @ along @ off
    return cycle.data.placed.moved(Rotation.from_matrix(rotation), shift)


def _agreement(one: Cycle, other: Cycle, workers: int | None, stop: Stop) -> float:
    """Return the correlation of two starts' volumes, one aligned with the other."""
    point = np.zeros((5, 5, 5))
    point[2, 2, 2] = 1
    pair = Dataset(other.x[np.newaxis], point, seen="all", outside="dark", background="none")  # in voxels of the model
    plan = Plan(cycles=(4.0, 5.0, 6.0), candidates=(8, 4, 2, 1), highest=0.6)
    found = Search(pair, one.x, plan, workers, None, stop).run()
    return float(np.nan_to_num(found.scores[0]))
