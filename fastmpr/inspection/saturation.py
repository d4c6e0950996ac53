"""Whether voxels at the greatest value of an image are there because a camera, or somebody after it, went no further."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FULL_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of cameras with 8, 10, 12, 14 and 16 bits
_MANY = 20  # voxels of exactly one value: noise does not repeat itself that often at its top
_VALUES = 25  # that many an image has at least, if it is no count of few photons and no mask
_SAMPLE = 4096  # voxels that tell how many
_NEAR = 0.1  # of the range, below its top
_PILED = 4  # times as many voxels at the top as at any value near it: a histogram falls towards its top
_DISTINCT = 0.9  # of the values near the top differ from each other: numbers as fine as that do not repeat themselves
_ROUGH = 1.1  # third differences over first, in the median: 3.2 of noise, 1 of steps, 0.5 of what is smooth
_PLANES = 8  # of an image are looked at, those with the most


def clipped(values: NDArray, top: float, count: int) -> str | None:
    """Return how many voxels are at the top of some values, and below it, in words, where they look clipped; else None.

    Parameters
    ----------
    values : ndarray
        Of any real type, NaN where nothing is known. What is beyond ``top`` is not looked at.
    top : float
        The greatest value.
    count : int
        How many voxels have it, of all.
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
    """Return whether values differ from neighbour to neighbour as noise does: phantoms without any have plateaus."""
    rows = values[..., : values.shape[-1] // 4 * 4].astype(float)
    first, third = np.abs(np.diff(rows)).ravel(), np.abs(np.diff(rows, n=3)).ravel()
    first, third = first[first > 0], third[third > 0]
    return bool(first.size and np.median(third) > _ROUGH * np.median(first))


class Top:
    """The greatest value of an image whose planes are shown one after another, and how many voxels of which have it."""

    def __init__(self) -> None:
        self.value = -np.inf
        self.counts: dict[int, int] = {}

    def look(self, z: int, plane: NDArray, lost: NDArray[np.bool_]) -> None:
        """Look at a plane, but for voxels that tell nothing."""
        known = plane[~lost] if lost.any() else plane
        if known.size == 0:
            return
        most = known.max()
        if most > self.value:
            self.value, self.counts = float(most), {}
        if most == self.value:
            self.counts[z] = int(np.count_nonzero(known == most))

    def clipped(self, values: Any) -> str | None:
        """Return what looks clipped about it in words, given the planes; None where nothing does."""
        count = sum(self.counts.values())
        if count < _MANY:
            return None
        fullest = sorted(self.counts, key=self.counts.__getitem__)[-_PLANES:]
        planes = np.stack([values[z] for z in sorted(fullest)])
        return clipped(planes, self.value, count)
