"""Whether a microscope carries so much light out of the images that what lies beyond them must not count as dark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .seen import NothingSeenError
from .source import Source

_VIEWS = 5  # that are looked at
_LEAST = 8  # voxels along each side: between fewer hardly anything was seen
_WIDE = 0.15  # of a PSF, that lies farther than a quarter of a view from its centre: less is no reason to look
_SHARE = 0.06  # of a view's light: it loses less with a compact PSF, more with a widefield one (`benchmarks.lam`)


def leaves(data: Any) -> bool:
    """Return whether the views of a data set lose light through their faces, in the median over a few of them."""
    voxels = np.divide(data.psf_voxel_size, data.voxel_size)
    spreads = [Spread(psf, voxels, np.array(data.particle_shape)) for psf in data.psfs]
    if min(data.particle_shape) < _LEAST or not any(spread.wide for spread in spreads):
        return False
    views = data.levelled().source
    chosen = data.used[np.unique(np.linspace(0, len(data.used) - 1, _VIEWS).astype(int))]
    return bool(np.median([_lost(views, i, spreads[data.psf_of[i]].reach) for i in chosen]) > _SHARE)


class Spread:
    """How far a PSF carries light.

    Attributes
    ----------
    reach : (3,) ndarray
        The mean distance along each axis, in voxels of the views.
    wide : bool
        Whether that is far for views of such a shape.
    """

    def __init__(self, psf: NDArray, voxels: NDArray, shape: NDArray):
        weight = np.abs(psf) / (np.abs(psf).sum() or 1.0)
        profiles = [weight.sum(axis=tuple(k for k in range(3) if k != axis)) for axis in range(3)]
        distances = [np.abs(np.arange(n) - n // 2) * side for n, side in zip(psf.shape, voxels, strict=True)]
        self.reach = np.array([profile @ far for profile, far in zip(profiles, distances, strict=True)])
        beyond = [
            profile[far > n / 4].sum() for profile, far, n in zip(profiles, distances, shape, strict=True) if n > 1
        ]
        self.wide = max(beyond, default=0.0) > _WIDE


def _lost(views: Source, i: int, reach: NDArray) -> float:
    """Return the light that leaves a view through its faces, over its own; none where it was not seen as a whole."""
    try:
        view = views.glance(i)
    except NothingSeenError:
        return 0.0
    whole = view.sum(dtype=float)
    if not whole > 0:  # or NaN
        return 0.0
    return sum(reach[axis] * view.take(end, axis).sum(dtype=float) for axis in range(3) for end in (0, -1)) / whole
