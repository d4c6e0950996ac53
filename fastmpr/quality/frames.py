"""The directions that heights, radii and angles about an axis are told by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import as_reals, shown

_NEED = "three numbers (z, y, x), or two times three"
_UPSIDE_DOWN = 1e-6  # below 1 + z, where the smallest turn from z to the axis is lost in rounding
_PARALLEL = 1e-6  # sine of the angle between two axes that are taken for one


def as_frame(axis: Any) -> NDArray[np.float64]:
    """Return as columns the unit vectors (z, y, x) along an axis, at angle 0 and at 90 degrees; of the axis z by default.

    Of two axes, the second is at angle 0. By default x is, turned by the smallest rotation that takes z to the axis.
    """
    vectors = np.eye(3)[0] if axis is None else as_reals(axis, "axis", _NEED)
    if vectors.shape not in ((3,), (2, 3)):
        raise ValueError(f"axis: found shape {vectors.shape}, need {_NEED}")
    if not np.isfinite(vectors).all():
        raise ValueError("axis: found NaN or infinite values, need finite ones")
    along, *others = (_unit(vector) for vector in np.atleast_2d(vectors))
    first = _turned_x(along) if not others else others[0] - (others[0] @ along) * along
    if np.linalg.norm(first) < _PARALLEL:
        raise ValueError(f"axis: found two axes of one direction in {shown(axis)}, need the second across the first")
    first /= np.linalg.norm(first)
    return np.column_stack([along, first, np.cross(first, along)])  # (z, y, x) is left-handed: so x turns towards y


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(vector).max()
    if largest == 0:
        raise ValueError("axis: found (0, 0, 0), need a direction (z, y, x) of any length but zero")
    vector = vector / largest  # so that no square overflows
    return vector / np.linalg.norm(vector)


def _turned_x(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x as the smallest rotation that takes z to an axis turns it; the half turn about x, for -z."""
    z, y, x = axis
    if 1 + z < _UPSIDE_DOWN:
        return np.array([0.0, 0.0, 1.0])
    return np.array([-x, -y * x / (1 + z), 1 - x * x / (1 + z)])
