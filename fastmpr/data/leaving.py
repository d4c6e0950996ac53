"""Whether a microscope carries so much light out of the images that what lies beyond them must not count as dark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_VIEWS = 5  # that are looked at
_SHARE = 0.06  # of a view's light: less is lost where a PSF is compact, more with a widefield one (`benchmarks.lam`)


def leaves(data: Any) -> bool:
    """Return whether the views of a data set lose light through their faces, in the median over a few of them."""
    voxels, views = np.divide(data.psf_voxel_size, data.voxel_size), data.levelled().source
    reaches = [reach(psf, voxels) for psf in data.psfs]
    chosen = data.used[np.unique(np.linspace(0, len(data.used) - 1, _VIEWS).astype(int))]
    return bool(np.median([_lost(views.glance(i), reaches[data.psf_of[i]]) for i in chosen]) > _SHARE)


def reach(psf: NDArray, voxels: NDArray) -> NDArray:
    """Return how far a PSF carries light along each axis in the mean, in voxels, of which its own are so many each."""
    weight = np.abs(psf)
    found = []
    for axis, n in enumerate(weight.shape):
        profile = weight.sum(axis=tuple(k for k in range(3) if k != axis))
        found.append((profile * np.abs(np.arange(n) - n // 2)).sum() / profile.sum())
    return np.array(found) * voxels


def _lost(view: NDArray, reached: NDArray) -> float:
    """Return the light that leaves a view through its faces, over its own; none where it was not seen as a whole."""
    whole = view.sum(dtype=float)
    if not whole > 0:  # or NaN
        return 0.0
    faces = [
        (axis, view.take(end, axis).sum(dtype=float)) for axis in range(3) if view.shape[axis] > 1 for end in (0, -1)
    ]
    return sum(reached[axis] * light for axis, light in faces) / whole
