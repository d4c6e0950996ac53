"""Whether a microscope carries so much light out of the images that what lies beyond them must not count as dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_VIEWS = 5  # that are looked at
_SHARE = 0.06  # of a view's light: less is lost where a PSF is compact, more with a widefield one (`benchmarks.lam`)


def leaves(read: Callable[[int], NDArray], used: Sequence[int], psf_of: Sequence[int], reaches: list[NDArray]) -> bool:
    """Return whether views lose light through their faces, in the median over a few of them.

    Parameters
    ----------
    read : callable
        Returns view i, less its background; NaN where it was not seen.
    used : sequence of int
        The views to choose from.
    psf_of : sequence of int
        Which PSF belongs to each view.
    reaches : list of (3,) ndarray
        How far each PSF carries light along an axis, in voxels of the views, see `reach`.
    """
    chosen = [used[k] for k in np.unique(np.linspace(0, len(used) - 1, _VIEWS).astype(int))]
    return bool(np.median([_lost(read(i), reaches[psf_of[i]]) for i in chosen]) > _SHARE)


def reach(psf: NDArray, voxels: NDArray) -> NDArray:
    """Return the mean distance along each axis to which a PSF carries light, in voxels, given how many each of its own is."""
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
