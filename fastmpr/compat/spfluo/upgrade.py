"""SPFluo's call by `fastmpr.reconstruct`: with another prior, whose weight is chosen from the views."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...geometry.poses import Poses
from ...reconstruction.main import reconstruct
from ...views.dataset import Dataset
from .closed_form import on_voxel
from .problem import Problem


def upgraded(problem: Problem, regularizer: str) -> NDArray:
    """Return the reconstructions (M, C, D, D, D) with one of fastmpr's regularisers, in SPFluo's units."""
    count = len(problem.poses)
    out = np.empty((count, *problem.views.shape[1:]), problem.views.dtype)
    for c, given in enumerate(problem.psf):
        data = Dataset(problem.views[:, c], on_voxel(given))
        for m in range(count):
            posed = _posed(data, problem.poses[m])
            out[m, c] = reconstruct(posed, regularizer=regularizer, check=False).x / given.sum()
    return out


def _posed(data: Dataset, poses: NDArray) -> Dataset:
    """Return the views in poses (k, N, 6): each view k times, marked as copies, so that all go to the same half-set."""
    which = np.tile(np.arange(len(data)), len(poses))
    flat = poses.reshape(-1, 6)
    rotation = Rotation.from_euler("XZX", flat[:, :3], degrees=True)
    return data[which].replace(poses=Poses(rotation, flat[:, 3:]))
