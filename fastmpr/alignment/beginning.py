"""From particles alone to a first volume and poses, at a coarse voxel: several starts, of which the best is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import Progress, log
from ..geometry.poses import Poses
from ..runtime.stopping import Stop
from ..views.dataset import Dataset
from .cycle import Cycle
from .reduced import reduced
from .relatives import distinct_axis, moments
from .search import Plan, Search

_VOXELS = 25  # of the coarse box along the side of a cube as large
_STARTS = 2
_EARLY = Plan(cycles=(4.0, 5.0, 6.0), candidates=(4, 2, 1, 1))
_LATER = Plan(cycles=(4.0, 6.0, 9.0), candidates=(4, 2, 1, 1))
_RELATIVES = Plan(cycles=(4.0, 6.0, 9.0), candidates=(3, 3, 2, 1), everywhere=False, relatives=True)
_TURNS = (_EARLY, _EARLY, _EARLY, _LATER, _LATER, _RELATIVES)


def begun(
    data: Dataset, rng: np.random.Generator, workers: int | None, tell: Progress | None, stop: Stop
) -> tuple[Poses, float]:
    """Return poses of all views, and how far the starts agree, 0 to 1.

    Parameters
    ----------
    data : Dataset
        With a PSF. Less its backgrounds.
    rng : Generator
        For the rotations that each start begins with.
    workers, tell, stop
        As the public functions have them.
    """
    extent = np.multiply(data.particle_shape, data.voxel_size)
    factor = max(1.0, float(np.cbrt(extent.prod())) / min(data.voxel_size) / _VOXELS)
    small = reduced(data, factor, workers, stop)
    starts = []
    for number in range(_STARTS):
        rotation = Rotation.from_matrix(_random(len(data), rng))
        cycle = Cycle(small.replace(poses=Poses(rotation, unit=data.unit)), workers, tell, stop)
        for plan in _TURNS:
            cycle.turn(plan)
        log.info("ab_initio: start %d of %d ends at a score of %.4f", number + 1, _STARTS, np.nanmedian(cycle.scores))
        starts.append(cycle)
    starts.sort(key=lambda cycle: -float(np.nanmedian(cycle.scores)))
    best = starts[0]
    agreement = min(_agreement(best, other, workers, stop) for other in starts[1:])
    return _in_standard_frame(best), agreement


def _in_standard_frame(cycle: Cycle) -> Poses:
    """Return the poses with the volume's light in the middle; without a symmetry, with its distinct axis along z."""
    centre, values, axes = moments(cycle.x)
    rotation = np.eye(3)
    if cycle.data.symmetry is None:
        own, _ = distinct_axis(values)
        rotation = np.roll(axes, -own, axis=1).T
        rotation[2] *= np.linalg.det(rotation)
    shift = cycle.data.symmetry_centre - rotation @ centre * cycle.data.model_voxel[0]
    return cycle.data.placed.moved(Rotation.from_matrix(rotation), shift)


def _random(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return random rotations, the same for the same generator with any SciPy."""
    return Poses.random(count, rng=rng).matrix


def _agreement(one: Cycle, other: Cycle, workers: int | None, stop: Stop) -> float:
    """Return the correlation of two starts' volumes, one aligned with the other."""
    point = np.zeros((5, 5, 5))
    point[2, 2, 2] = 1
    pair = Dataset(other.x[np.newaxis], point, background="none")  # both in voxels of the model
    plan = Plan(cycles=(4.0, 5.0, 6.0), candidates=(8, 4, 2, 1), highest=0.6)
    found = Search(pair, one.x, plan, workers, None, stop).run()
    return float(np.nan_to_num(found.scores[0]))
