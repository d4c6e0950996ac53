"""Poses that a search may confuse: at low frequencies, a particle looks much the same upside down or spun."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_EQUAL = 0.15  # two moments of inertia count as equal if they differ by less than this share of the larger
_SPINS = 24  # number of rotations about the third axis if the other two moments are equal
_BRIGHT = 0.2  # share of the brightest voxel; darker voxels may be noise and do not count


def moments(x: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre of mass of a volume (in voxels from its middle), its second moments, and their axes as columns."""
    light = np.where(x > _BRIGHT * x.max(), x, 0).astype(np.float64)
    places = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in x.shape), indexing="ij"), axis=-1)
    total = light.sum() or 1.0
    centre = np.einsum("zyx,zyxi->i", light, places) / total
    off = places - centre
    return centre, *np.linalg.eigh(np.einsum("zyx,zyxi,zyxj->ij", light, off, off) / total)


def distinct_axis(values: NDArray) -> tuple[int, bool]:
    """Return the axis whose moment differs most from the others, and whether the other two are nearly equal."""
    low, middle, high = values
    own, others = (2, (low, middle)) if high - middle > middle - low else (0, (middle, high))
    return own, bool(others[1] - others[0] < _EQUAL * others[1])


def relatives(x: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotations (n, 3, 3) after which a volume looks much the same at low frequencies, and their centre.

    They are half turns about the three axes of inertia. If two moments are nearly equal, they are rotations about the third
    axis, and half turns about many axes at right angles to it.
    """
    centre, values, axes = moments(x)
    own, round_about = distinct_axis(values)
    flips = Rotation.from_rotvec(np.pi * axes.T)
    if not round_about:
        return flips.as_matrix(), centre
    axis, across = axes[:, own], axes[:, (own + 1) % 3]
    angles = 2 * np.pi * np.arange(1, _SPINS) / _SPINS
    spins = Rotation.from_rotvec(angles[:, np.newaxis] * axis)
    half = Rotation.from_rotvec(np.pi * across)
    return np.concatenate([spins.as_matrix(), half.as_matrix()[np.newaxis], (spins * half).as_matrix()]), centre
