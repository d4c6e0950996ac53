"""What people did before: the methods that the paper compares with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._threads import Team, as_workers
from ._validation import Size, Vector, as_voxel_size
from .poses import Poses
from .views import Aligner, Views


def average(
    particles: Sequence[ArrayLike] | NDArray,
    poses: Poses,
    *,
    frame: str = "particle",
    voxel_size: float | Vector = 1.0,
    shape: int | Size | None = None,
    workers: int | None = None,
) -> NDArray:
    """Average the aligned views, voxel by voxel over the views that saw it.

    Parameters are those of `fastmpr.accumulate`; so is the grid, without its padding.

    Returns
    -------
    (nz, ny, nx) ndarray
        float64 if the first particle is, else float32; zero where no view saw anything.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> poses = fastmpr.Poses.random(3, rng=0)
    >>> round(float(fastmpr.average(np.ones((3, 8, 8, 8)), poses)[4, 4, 4]), 6)
    1.0
    """
    views = Views(particles, poses, frame, as_voxel_size(voxel_size))
    model = views.model_shape(shape)
    team = Team(min(as_workers(workers), len(poses)))
    sums = np.zeros((team.size, *model), views.dtype)
    counts = np.zeros((team.size, *model), views.dtype)

    def add_share(member: int) -> None:
        aligner, seen = Aligner(views, model, model), Aligner(views, model, model)
        seen.spline.load(np.ones(views.particle_shape))
        out = np.empty(model, views.dtype)
        for i in range(*team.share(len(poses), member)):
            aligner.align(i, out)
            sums[member] += out
            if frame == "particle":
                seen.resample(i, out)
            else:
                out[:] = 1
            counts[member] += out

    team.run(add_share)
    total, count = sums.sum(axis=0), counts.sum(axis=0)
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0.5)
