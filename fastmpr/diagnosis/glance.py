"""A few views at low resolution, on which every hypothesis is tried."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._messages import Progress
from .._validation import Size, Vector
from ..runtime.stopping import Stop
from ..views.dataset import Dataset

MOST_VIEWS = 16  # more views add time and little else
LEAST_VIEWS = 4
_SIDE = 28  # voxels along the longest side of a view at low resolution
_SPARED = 1.25  # views with up to this many times as many voxels keep their resolution
_BLUR = 0.5  # standard deviation of the blur before sampling, in wide voxels, the same in all directions
_DARK = 0.25  # quantile of the seen voxels that replaces unseen ones


class Glance:
    """Some views of a data set, read once, at low resolution.

    Attributes
    ----------
    chosen : (n,) ndarray
        The indices of these views in the data set.
    views : (n, nz, ny, nx) float32 ndarray
        The stored intensities over ``unit``.
    unit : float
        The intensity that is 1 in ``views``.
    voxel_size : (z, y, x)
        In the unit of the data set's voxel size.
    """

    def __init__(self, data: Dataset, tell: Progress | None, stop: Stop, most: int = MOST_VIEWS):
        self._blurs, self.voxel_size = _blurs(data.particle_shape, data.voxel_size)
        spread = np.unique(np.linspace(0, len(data.used) - 1, most).astype(int))
        chosen, views = data.used[spread], []
        for count, i in enumerate(chosen, 1):
            stop.check()
            views.append(self._look(data.read(int(i))))
            if tell:
                tell("particles", count, len(chosen))
        data.tell()
        stack = np.stack(views)
        shown = np.ptp(stack, axis=(1, 2, 3)) > 0
        if np.count_nonzero(shown) < LEAST_VIEWS:
            name = data.source.name(int(chosen[~shown][0]))
            raise ValueError(
                f"{name}: found one value everywhere, as in {np.count_nonzero(~shown)} of {len(chosen)} views, need "
                f"at least {LEAST_VIEWS} that show something"
            )
        self.chosen = chosen[shown]
        self.unit = float(np.abs(stack[shown]).max())
        self.views = (stack[shown] / self.unit).astype(np.float32)

    def _look(self, particle: NDArray) -> NDArray:
        """Return a particle with wide voxels; unseen voxels become dark."""
        seen = np.isfinite(particle)
        if not seen.all():
            particle = np.where(seen, particle, np.quantile(particle[seen], _DARK))
        for axis, blur in enumerate(self._blurs):
            if blur is not None:
                particle = np.moveaxis(np.tensordot(blur, particle, (1, axis)), 0, axis)
        return particle


def _blurs(shape: Size, voxel: Vector) -> tuple[list[NDArray | None], Vector]:
    """Return the matrix that resamples each axis, None for an axis left as it is, and the new voxel size."""
    extent = np.multiply(shape, voxel)
    wide = float(extent.max() / _SIDE)
    if wide <= _SPARED * min(voxel):
        return [None] * 3, voxel
    sides = [max(wide, side) for side in voxel]
    counts = [max(1, round(length / side)) for length, side in zip(extent, sides, strict=True)]
    blurs: list[NDArray | None] = [
        _gaussian((np.arange(count) - (count - 1) / 2) * side, (np.arange(n) - (n - 1) / 2) * own, _BLUR * wide)
        for n, own, count, side in zip(shape, voxel, counts, sides, strict=True)
    ]
    z, y, x = sides
    return blurs, (z, y, x)


def _gaussian(places: NDArray, samples: NDArray, sigma: float) -> NDArray[np.float64]:
    """Return the (places, samples) matrix of Gaussian weights whose rows sum to 1."""
    weights = np.exp(-0.5 * np.square((places[:, None] - samples) / sigma))
    return weights / weights.sum(axis=1, keepdims=True)
