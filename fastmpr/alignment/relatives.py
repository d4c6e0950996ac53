"""Poses that a search takes for one another: a particle upside down, or spun, looks much the same at a low band."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_EQUAL = 0.15  # of the larger one: two moments of inertia that differ by less are taken for equal
_SPINS = 24  # about an axis beside which the moments are equal
_BRIGHT = 0.2  # of the brightest voxel: what is less bright may be noise


def moments(x: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre of a volume's light, from its middle in voxels, its second moments, and their axes in columns."""
    light = np.where(x > _BRIGHT * x.max(), x, 0).astype(np.float64)
    places = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in x.shape), indexing="ij"), axis=-1)
    total = light.sum() or 1.0
    centre = np.einsum("zyx,zyxi->i", light, places) / total
    off = places - centre
    return centre, *np.linalg.eigh(np.einsum("zyx,zyxi,zyxj->ij", light, off, off) / total)


def distinct_axis(values: NDArray) -> tuple[int, bool]:
    """Return which axis has the moment that lies farthest from the others, and whether the other two are equal."""
    low, middle, high = values
    own, others = (2, (low, middle)) if high - middle > middle - low else (0, (middle, high))
    return own, bool(others[1] - others[0] < _EQUAL * others[1])


def relatives(x: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotations (n, 3, 3) that take a volume to what looks like it at a low band, and the point they are about.

    Half turns about the three axes of inertia. Where two of the moments are equal, half turns about many axes in their
    plane, and spins about the third axis.
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
