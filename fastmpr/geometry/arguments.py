"""Rotations and translations that a caller gives, checked: SciPy silently makes a rotation of almost any matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._validation import LONGEST, Vector, as_reals, shown

_ORTHONORMAL_TOLERANCE = 1e-4  # a matrix rounded to four decimals is a rotation; one further off is a mistake


def as_rotation(value: Any) -> Rotation:
    """Return a copy of ``value`` as a `Rotation` of length N."""
    if not isinstance(value, Rotation):
        return Rotation.from_matrix(_as_matrices(value))
    quaternions = np.atleast_2d(value.as_quat())
    if quaternions.ndim != 2 or len(quaternions) == 0:
        raise ValueError(f"rotation: found rotations of shape {quaternions.shape[:-1]}, need (N,) with N at least 1")
    if not np.isfinite(quaternions).all():
        raise ValueError("rotation: found NaN or infinite values, need finite ones")
    return Rotation.from_quat(quaternions)


def _as_matrices(value: Any) -> NDArray[np.float64]:
    """Return rotation matrices of shape (N, 3, 3), checked: SciPy takes even 2 * identity for a rotation."""
    matrices = as_reals(value, "rotation", "a scipy Rotation or matrices of numbers")
    if matrices.shape == (3, 3):
        matrices = matrices[np.newaxis]
    if matrices.ndim != 3 or matrices.shape[1:] != (3, 3) or len(matrices) == 0:
        raise ValueError(f"rotation: found an array of shape {matrices.shape}, need (N, 3, 3) with N at least 1")
    if not np.isfinite(matrices).all():
        raise ValueError("rotation: found NaN or infinite values, need finite ones")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no rotation either
        error = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    worst = int(error.argmax())
    if not error[worst] <= _ORTHONORMAL_TOLERANCE:
        raise ValueError(f"rotation: found matrix {worst} off R R^T = 1 by {error[worst]:.2g}, need rotation matrices")
    if (reflections := np.flatnonzero(np.linalg.det(matrices) < 0)).size:
        raise ValueError(f"rotation: found a reflection (determinant -1) in matrix {reflections[0]}, need rotations")
    return matrices


def as_one_rotation(value: Any) -> Rotation:
    """Return a copy of ``value`` as a `Rotation` of length 1; the identity for None."""
    rotation = Rotation.identity(1) if value is None else as_rotation(value)
    if len(rotation) != 1:
        raise ValueError(f"rotation: found {len(rotation)} rotations, need one, of the model")
    return rotation


def as_translation(value: Any, n: int) -> NDArray[np.float64]:
    """Return a new (n, 3) array; zero for None."""
    if value is None:
        return np.zeros((n, 3))
    translation = as_reals(value, "translation", f"numbers of shape ({n}, 3)")
    if n == 1 and translation.shape == (3,):
        translation = translation[np.newaxis]
    if translation.shape != (n, 3):
        raise ValueError(f"translation: found shape {translation.shape}, need ({n}, 3), one (z, y, x) per rotation")
    if not np.isfinite(translation).all():
        raise ValueError("translation: found NaN or infinite values, need finite ones")
    if (largest := np.abs(translation).max()) > LONGEST:
        raise ValueError(f"translation: found {largest:g}, need at most {LONGEST:g}")
    return translation


def as_offset(value: Any, name: str) -> Vector:
    """Return an offset (z, y, x) from the centre of the model; zero for None."""
    if value is None:
        return 0.0, 0.0, 0.0
    vector = as_vector(value, name)
    if np.abs(vector).max() > LONGEST:
        raise ValueError(f"{name}: found {shown(value)}, need numbers from {-LONGEST:g} to {LONGEST:g}")
    z, y, x = vector.tolist()
    return z, y, x


def as_vector(value: Any, name: str) -> NDArray[np.float64]:
    """Return a new array of three finite numbers (z, y, x)."""
    vector = as_reals(value, name, "three numbers (z, y, x)")
    if vector.shape != (3,):
        raise ValueError(f"{name}: found shape {vector.shape}, need three numbers (z, y, x)")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name}: found NaN or infinite values, need finite ones")
    return vector.copy()


def frozen(array: NDArray) -> NDArray:
    """Return an array of our own, made read-only."""
    array.flags.writeable = False
    return array
