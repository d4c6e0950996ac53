"""Blurred rings and barrels that are known in closed form, about any axis."""

from __future__ import annotations

import numpy as np
from scipy.special import erf, ive


def cylindrical(shape, voxel=1.0, axis=(1.0, 0.0, 0.0), centre=(0.0, 0.0, 0.0), x=None):
    """Height, radius and angle in radians of each voxel about an axis; angle 0 is at ``x``, or at x or y across the axis."""
    axis = np.array(axis, float) / np.linalg.norm(axis)
    place = (np.stack(np.indices(shape), axis=-1) - (np.array(shape) - 1) / 2) * voxel - np.array(centre)
    height = place @ axis
    first = np.array(x if x is not None else (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (0.0, 1.0, 0.0))
    first = first - first @ axis * axis
    first /= np.linalg.norm(first)
    second = np.cross(first, axis)
    across = place @ first, place @ second
    return height, np.hypot(*across), np.arctan2(*across[::-1])


def ring(cylinder, radius, sigma, height, edge=1.5, lobes=0):
    """A thin ring blurred by a Gaussian, as high as a barrel whose ends are blurred too; its angles by a cosine."""
    z, r, angle = cylinder
    ends = erf((z + height / 2) / edge / np.sqrt(2)) - erf((z - height / 2) / edge / np.sqrt(2))
    return wall(r, radius, sigma) * ends / 2 * (1 + 0.5 * np.cos(lobes * angle) * (lobes > 0))


def wall(r, radius, sigma):
    """The mean over a circle of a blurred thin ring, about 1 at most."""
    r = np.asarray(r, float)
    return (
        np.exp(-((r - radius) ** 2) / (2 * sigma**2))
        * ive(0, r * radius / sigma**2)
        * np.sqrt(2 * np.pi)
        * radius
        / sigma
    )


def half_maxima(radius, sigma):
    """The radii between which it is brighter than half of its maximum."""
    r = np.linspace(0, radius + 4 * sigma, 100_001)
    bright = r[wall(r, radius, sigma) > wall(r, radius, sigma).max() / 2]
    return bright[0], bright[-1]
