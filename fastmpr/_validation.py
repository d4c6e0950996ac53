"""Errors that name the argument, say what was found and what is needed, in one line."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int, int]
Vector = tuple[float, float, float]


def as_volume(value: Any, name: str) -> NDArray:
    """Return a finite 3-D array in C order and native float32 or float64; float64 stays, all else is float32.

    The caller's array is returned itself where it already fits, and is never written to.
    """
    array = _as_array(value, name)
    if array.ndim != 3:
        raise ValueError(f"{name}: found an array of shape {array.shape}, need a 3-D one (z, y, x)")
    return as_finite(array, name)


def _as_array(value: Any, name: str) -> NDArray:
    if np.ma.is_masked(value):  # numpy would drop the mask
        raise ValueError(f"{name}: found {np.ma.count_masked(value)} masked values, need a volume without a mask")
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: found lists of unequal lengths, need an array") from None


def as_finite(value: Any, name: str) -> NDArray:
    """Return ``value`` as a finite, native, C-ordered real array that holds something."""
    array = _as_array(value, name)
    if array.size == 0:
        raise ValueError(f"{name}: found an empty array of shape {array.shape}, need at least one voxel")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: found dtype {array.dtype}, need real numbers")
    array = np.ascontiguousarray(array, dtype=as_float_type(array.dtype))
    if not np.isfinite(array).all():
        count = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{name}: found {count} NaN or infinite values, need finite ones")
    return array


def as_float_type(dtype: np.dtype) -> type:
    """Return the precision in which numbers of a dtype are computed with: float64 stays, all else is float32."""
    return np.float64 if dtype.kind == "f" and dtype.itemsize >= 8 else np.float32


def as_shape(value: Any, name: str = "shape") -> Size:
    """Return three positive integers; one integer means a cube."""
    sizes: tuple[int, ...] = ()
    with contextlib.suppress(TypeError):  # what holds no integers is refused below
        sizes = tuple(map(operator.index, value)) if np.iterable(value) else (operator.index(value),) * 3
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"{name}: found {value!r}, need one or three positive integers (z, y, x)")
    z, y, x = sizes
    return z, y, x


def as_voxel_size(value: Any, name: str = "voxel_size") -> Vector:
    """Return three positive finite lengths (z, y, x); one number means cubic voxels."""
    try:
        lengths = np.broadcast_to(np.asarray(value, dtype=float), (3,)).tolist()
    except (TypeError, ValueError):
        lengths = [np.nan]
    if not all(np.isfinite(length) and length > 0 for length in lengths):
        raise ValueError(f"{name}: found {value!r}, need one or three positive lengths (z, y, x)")
    return tuple(lengths)


def as_positive(value: Any, name: str) -> float:
    """Return a positive finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name}: found {value!r}, need a positive finite number")
    return number


def as_count(value: Any, name: str, minimum: int = 1) -> int:
    """Return an integer of at least ``minimum``."""
    try:
        number = operator.index(value)
    except TypeError:
        number = minimum - 1
    if number < minimum:
        raise ValueError(f"{name}: found {value!r}, need an integer of at least {minimum}")
    return number


def as_float_dtype(value: Any, name: str = "dtype") -> np.dtype:
    """Return the dtype float32 or float64."""
    try:
        dtype = None if value is None else np.dtype(value)
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: found {dtype or repr(value)}, need float32 or float64")
    return dtype
