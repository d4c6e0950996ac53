"""What the tests of poses share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fastmpr.geometry.poses import Poses

Z, Y, X = np.eye(3)  # unit vectors of (z, y, x)
ANGLE = st.one_of(st.floats(-360, 360), st.sampled_from([0.0, 90.0, 180.0, -90.0, 1e-6]))


def turn(axis: int, degrees: float) -> np.ndarray:
    """The matrix that turns the next axis towards the one after it, written out."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.zeros((3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[axis, axis] = 1
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def distance(a: Poses, b: Poses) -> float:
    """The largest angle in degrees between rotations of the same place."""
    return float(np.degrees((a.rotation * b.rotation.inv()).magnitude()).max())


def random_rotations(n: int, rng) -> Rotation:
    """Rotations uniform over all rotations, by any version of scipy."""
    return Rotation.from_quat(np.random.default_rng(rng).standard_normal((n, 4)))
