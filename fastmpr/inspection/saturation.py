"""Find clipped images: too many voxels have the greatest value, because a camera or a program went no further."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FULL_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of cameras with 8, 10, 12, 14 and 16 bits
_MANY = 20  # voxels with the greatest value: the top of noise has fewer
_VALUES = 25  # different values; images of few photons and masks have fewer
_SAMPLE = 4096  # voxels in which values are counted
_NEAR = 0.1  # of the range: values that far below its top are near it
_PILED = 4  # times the voxels of any value near the top: a histogram normally falls towards its top
_DISTINCT = 0.9  # share of different values near the top: values so fine do not repeat at the top by chance
_ROUGH = 1.1  # median third differences over first ones: 3.2 for noise, 1 for steps, 0.5 for smooth images
_PLANES = 8  # planes that are searched: those with the most voxels of the greatest value


def clipped(values: NDArray, top: float, count: int) -> str | None:
    """Return in words how many voxels have the greatest value, and are near it, if they look clipped; else None.

    Parameters
    ----------
    values : ndarray
        Voxels of any real type, NaN where nothing is known. Values above ``top`` are ignored.
    top : float
        The greatest value.
    count : int
        How many voxels of the image have this value.
    """
    if count < _MANY:
        return None
    least, sample = float(np.nanmin(values)), np.unique(values.ravel()[:: max(1, values.size // _SAMPLE)])
    is_whole = np.array_equal(sample, np.rint(sample))
    if len(sample) < _VALUES:
        return None
    near = values[(values > np.float64(top - _NEAR * (top - least))) & (values < top)]
    kinds, often = np.unique(near, return_counts=True)
    found = f"{count} voxels of exactly {top:g} and {near.size} in the tenth below"
    if not is_whole and near.size and len(kinds) > _DISTINCT * near.size:
        return found
    piled = count > _PILED * often.max(initial=0) or top in _FULL_SCALES
    return found if piled and _is_noisy(values) else None


def _is_noisy(values: NDArray) -> bool:
    """Return whether values differ from neighbour to neighbour as noise does; phantoms without noise have plateaus."""
    rows = values[..., : values.shape[-1] // 4 * 4].astype(float)
    first, third = np.abs(np.diff(rows)).ravel(), np.abs(np.diff(rows, n=3)).ravel()
    first, third = first[first > 0], third[third > 0]
    return bool(first.size and np.median(third) > _ROUGH * np.median(first))


class Top:
    """The greatest value of an image, and how many voxels of each plane have it; the planes come one after another."""

    def __init__(self) -> None:
        self.value = -np.inf
        self.counts: dict[int, int] = {}

    def look(self, z: int, plane: NDArray, lost: NDArray[np.bool_]) -> None:
        """Take in a plane, except its ``lost`` voxels."""
        known = plane[~lost] if lost.any() else plane
        if known.size == 0:
            return
        most = known.max()
        if most > self.value:
            self.value, self.counts = float(most), {}
        if most == self.value:
            self.counts[z] = int(np.count_nonzero(known == most))

    def clipped(self, values: Any) -> str | None:
        """Return in words what looks clipped, given the planes; None if nothing does."""
        count = sum(self.counts.values())
        if count < _MANY:
            return None
        fullest = sorted(self.counts, key=self.counts.__getitem__)[-_PLANES:]
        planes = np.stack([values[z] for z in sorted(fullest)])
        return clipped(planes, self.value, count)
