"""Checks of arguments; an error is one line with the argument's name, what was found and what is needed."""

from __future__ import annotations

import contextlib
import itertools
import numbers
import operator
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int, int]
Vector = tuple[float, float, float]

MOST = 1 << 40  # largest count, and largest number of voxels along an axis: no machine holds more
LONGEST = 1e12  # largest length in any unit; the smallest is 1 over it, so that results stay finite
_REAL = "fiubOUS"  # kinds of dtypes that may hold real numbers
_FLOATS = ("f", "d", "s")  # first letters of float, double and single; numpy warns about some other names
_SHOWN = 80  # characters of a value in an error
# Range of the largest intensity, since squares of intensities and sums of many squares must stay finite.
_INTENSITIES: dict[type, tuple[float, float]] = {np.float32: (1e-30, 1e15), np.float64: (1e-140, 1e140)}


def shown(value: Any) -> str:
    """Return a value as one short line of text."""
    if isinstance(value, int) and value.bit_length() > 100:
        return f"an integer of {int(value.bit_length() * 0.30103) + 1} digits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # repr may raise anything; Python does for an integer of 5000 digits in a list
        return f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def times(sizes: Sequence[float]) -> str:
    """Return sizes as text, such as "64 x 64 x 32"."""
    return " x ".join(f"{size:g}" for size in sizes)


# ----------------------------------------------------------------------------------------------------
# Arrays
# ----------------------------------------------------------------------------------------------------


def as_volume(value: Any, name: str, gaps: bool = False) -> NDArray:
    """Return a finite 3-D array in C order and native float32 or float64; float64 stays, all else is float32.

    If the caller's array already fits, it is returned itself; it is never written to. With ``gaps``, voxels may be NaN or
    masked; masked voxels become NaN.
    """
    array = _unmasked(value) if gaps and np.ma.is_masked(value) else as_array(value, name)
    if array.ndim != 3:
        raise ValueError(f"{name}: found an array of shape {array.shape}, need a 3-D one (z, y, x)")
    return as_finite(array, name, gaps)


def as_intensities(value: Any, name: str, gaps: bool = False) -> NDArray:
    """Return what `as_volume` does, and check the range of the intensities."""
    volume = as_volume(value, name, gaps)
    check_intensities(volume, name, volume.dtype.type)
    return volume


def as_volume_or_plane(value: Any, name: str) -> NDArray:
    """Return what `as_intensities` does; a plane (y, x) is allowed as well."""
    array = as_array(value, name)
    if array.ndim not in (2, 3):
        need = "a 3-D one (z, y, x) or a 2-D one (y, x)"
        raise ValueError(f"{name}: found an array of shape {array.shape}, need {need}")
    array = as_finite(array, name)
    check_intensities(array, name, array.dtype.type)
    return array


def check_intensities(volume: NDArray, name: str, dtype: type) -> None:
    """Refuse values that are too large or too small for a precision."""
    largest = float(max(volume.max(), -volume.min()))
    if np.isnan(largest):
        largest = float(np.nan_to_num(np.fmax.reduce(np.abs(volume), axis=None)))
    least, most = _INTENSITIES[dtype]
    if largest and not least <= largest <= most:
        need = f"need between {least:g} and {most:g} in {np.dtype(dtype)}: scale them, or give them in float64"
        raise ValueError(f"{name}: found values up to {largest:.1g}, {need}")


def check_background(level: float, dtype: Any) -> None:
    """Refuse a background that a precision cannot hold beside intensities."""
    _, most = _INTENSITIES[np.dtype(dtype).type]
    if abs(level) > most:
        raise ValueError(f"background: found {level:g}, need at most {most:g} in {np.dtype(dtype)}")


def faintest(dtype: Any) -> float:
    """Return the least largest value that `check_intensities` allows for."""
    return _INTENSITIES[np.dtype(dtype).type][0]


def moderate(volume: NDArray) -> NDArray:
    """Divide a volume by a power of 2 so that its largest value is about 1; the digits stay the same."""
    _, exponent = np.frexp(np.abs(volume).max())
    return np.ldexp(volume, -int(exponent))


def as_array(value: Any, name: str) -> NDArray:
    """Return a value as an array; masked values are refused."""
    if count := sum(map(np.ma.count_masked, _masked(value))):  # numpy would silently drop the mask
        raise ValueError(f"{name}: found {count} masked values, need all of them")
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: found lists of unequal lengths, need an array") from None


def number_of_axes(value: Any) -> int:
    """Return the number of axes of an array or nested lists, -1 for lists that `as_array` refuses."""
    if isinstance(value, list | tuple) and any(True for _ in _masked(value)):  # numpy would warn, and drop the masks
        return -1
    try:
        return np.ndim(value)
    except ValueError:  # lists of unequal lengths
        return -1


def _masked(value: Any) -> Iterator[NDArray]:
    """Yield the arrays with masked values, also from nested lists."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            yield value
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, list | tuple | np.ma.MaskedArray):
                yield from _masked(item)


def _unmasked(value: Any) -> NDArray:
    """Return a masked array's numbers, with NaN for masked ones."""
    if value.dtype.kind not in "fiub":
        return np.asarray(value)
    return value.astype(as_float_type(value.dtype)).filled(np.nan)


def as_finite(value: Any, name: str, gaps: bool = False) -> NDArray:
    """Return a finite, native, C-ordered real array that is not empty; with ``gaps``, NaN is allowed."""
    array = as_array(value, name)
    if array.size == 0:
        raise ValueError(f"{name}: found an empty array of shape {array.shape}, need at least one voxel")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: found dtype {array.dtype}, need real numbers")
    with np.errstate(over="ignore"):  # a longdouble may overflow; the check below finds it
        array = np.asarray(array, dtype=as_float_type(array.dtype), order="C")  # of no axes, if it was so
    if not np.isfinite(array).all():
        count = int(np.isinf(array).sum() if gaps else array.size - np.isfinite(array).sum())
        if gaps and count:
            raise ValueError(f"{name}: found {count} infinite values, need finite ones, or NaN where nothing was seen")
        if count:
            raise ValueError(f"{name}: found {count} NaN or infinite values, need finite ones")
    return array


def as_reals(value: Any, name: str, need: str) -> NDArray[np.float64]:
    """Return a new float64 array of real numbers, finite or not; text that float() reads is allowed."""
    array = as_array(value, name)
    if array.dtype.kind not in _REAL or (array.dtype == object and not all(map(_is_real, array.flat))):
        raise TypeError(f"{name}: found dtype {array.dtype}, need {need}")
    try:
        with np.errstate(over="ignore"):
            return np.array(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name}: found {shown(value)}, need {need}") from None


def _is_real(value: Any) -> bool:
    """Return whether an element of an object array is a real number of any size, or text that may be one."""
    return isinstance(value, str | numbers.Real)


def as_float_type(dtype: np.dtype) -> type:
    """Return the precision of computations with a dtype: float64 stays, all else is float32."""
    return np.float64 if dtype.kind == "f" and dtype.itemsize >= 8 else np.float32


def as_float_dtype(value: Any, name: str = "dtype") -> np.dtype:
    """Return the dtype float32 or float64."""
    dtype = None
    if isinstance(value, type | np.dtype) or (isinstance(value, str) and value.strip("<>=|")[:1] in _FLOATS):
        with contextlib.suppress(TypeError, ValueError):
            dtype = np.dtype(value)
    if dtype is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: found {dtype or shown(value)}, need float32 or float64")
    return dtype


# ----------------------------------------------------------------------------------------------------
# Numbers
# ----------------------------------------------------------------------------------------------------


def as_shape(value: Any, name: str = "shape") -> Size:
    """Return three positive integers; one integer means a cube."""
    z, y, x = _as_sizes(value, name, (3,), "one or three positive integers (z, y, x)")
    return z, y, x


def as_shape_or_plane(value: Any, name: str = "shape") -> tuple[int, ...]:
    """Return three positive integers, or two for a plane (y, x); one integer means a cube."""
    return _as_sizes(value, name, (2, 3), "one or three positive integers (z, y, x), or two (y, x)")


def _as_sizes(value: Any, name: str, counts: tuple[int, ...], need: str) -> tuple[int, ...]:
    sizes: tuple[int, ...] = ()
    with contextlib.suppress(TypeError):  # values that are no integers are refused below
        given = itertools.islice(value, 4) if np.iterable(value) else (value,) * 3
        sizes = tuple(map(_integer, given))
    if len(sizes) not in counts or min(sizes) < 1:
        raise ValueError(f"{name}: found {shown(value)}, need {need}")
    if max(sizes) > MOST:
        raise ValueError(f"{name}: found {shown(value)}, need at most {MOST} voxels along an axis")
    return sizes


def as_voxel_size(value: Any, name: str = "voxel_size") -> Vector:
    """Return three positive finite lengths (z, y, x); one number means cubic voxels."""
    z, y, x = as_lengths(value, name, 3)
    return z, y, x


def as_lengths(value: Any, name: str, dimensions: int) -> tuple[float, ...]:
    """Return a positive finite length for each of two or three dimensions; one number stands for all."""
    need = f"one or {'three' if dimensions == 3 else 'two'} positive lengths {axes(dimensions)}"
    lengths = as_reals(value, name, need)
    if lengths.shape not in ((), (1,), (dimensions,)) or not (lengths > 0).all() or not np.isfinite(lengths).all():
        raise ValueError(f"{name}: found {shown(value)}, need {need}")
    if not 1 / LONGEST <= lengths.min() <= lengths.max() <= LONGEST:
        raise ValueError(f"{name}: found {shown(value)}, need lengths from {1 / LONGEST:g} to {LONGEST:g}")
    return tuple(np.broadcast_to(lengths, (dimensions,)).tolist())


def axes(dimensions: int) -> str:
    """Return the axes of a volume or a plane as text."""
    return "(z, y, x)" if dimensions == 3 else "(y, x)"


def as_ratios(voxel_size: Any) -> Vector:
    """Return the factors of the differences along each axis: a voxel's smallest side over its side along the axis."""
    voxel = as_voxel_size(voxel_size)
    z, y, x = (min(voxel) / side for side in voxel)
    return z, y, x


def as_number(value: Any, name: str, low: float, high: float, need: str) -> float:
    """Return a real number from ``low`` to ``high``, as a float."""
    number = _real(value)
    if not low <= number <= high:
        raise ValueError(f"{name}: found {shown(value)}, need {need}")
    return number


def as_positive(value: Any, name: str) -> float:
    """Return a positive finite float."""
    number = _real(value)
    if not 0 < number < np.inf:
        raise ValueError(f"{name}: found {shown(value)}, need a positive finite number")
    return number


def _real(value: Any) -> float:
    """Return a number as a float, NaN for anything else, such as a complex or masked number or an array of one."""
    try:
        array = as_array(value, "")
        return float(value) if array.ndim == 0 and array.dtype.kind in _REAL else np.nan
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _integer(value: Any) -> int:
    """Return an integer, or raise a TypeError; old versions of numpy accept numpy booleans as integers."""
    if isinstance(value, np.bool_):
        raise TypeError
    return operator.index(value)


def as_count(value: Any, name: str, minimum: int = 1) -> int:
    """Return an integer of at least ``minimum``."""
    try:
        number = _integer(value)
    except TypeError:
        number = minimum - 1
    if number < minimum:
        raise ValueError(f"{name}: found {shown(value)}, need an integer of at least {minimum}")
    if number > MOST:
        raise ValueError(f"{name}: found {shown(value)}, need an integer from {minimum} to {MOST}")
    return number


# ----------------------------------------------------------------------------------------------------
# Other arguments
# ----------------------------------------------------------------------------------------------------


def as_choice(value: Any, name: str, choices: Collection[str]) -> str:
    """Return a word that must be one of ``choices``."""
    if not (isinstance(value, str) and value in choices):
        raise ValueError(f"{name}: found {shown(value)}, need {' or '.join(map(repr, choices))}")
    return value


def as_flag(value: Any, name: str) -> bool:
    """Return True or False."""
    if not (isinstance(value, int | np.bool_) and value in (0, 1)):
        raise TypeError(f"{name}: found {shown(value)}, need True or False")
    return bool(value)


def as_names(value: Any, count: int | None = None) -> tuple[str, ...]:
    """Return names in the order of a sequence; there must be ``count`` of them, if it is given."""
    need = "them in a sequence" if count is None else f"{count} of them in a sequence, one each"
    if isinstance(value, str | bytes):
        raise TypeError(f"names: found the text {shown(value)}, need {need}")
    if isinstance(value, set | frozenset | Mapping) or not np.iterable(value) or np.ma.is_masked(value):
        raise ValueError(f"names: found {shown(value)}, need {need}")
    try:
        names = tuple(map(str, value))
    except ValueError:  # Python refuses to print an integer of 5000 digits
        raise ValueError(f"names: found {shown(value)}, need {need}") from None
    if len(names) != (count or max(len(names), 1)):
        raise ValueError(f"names: found {len(names)}, need {need}")
    return names


def as_rng(value: Any) -> np.random.Generator:
    """Return the random generator for a seed, None or a generator."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError, OverflowError):
        need = "need a numpy.random.Generator, an integer of at least 0 or None"
        raise ValueError(f"rng: found {shown(value)}, {need}") from None


def as_places(index: Any, count: int) -> NDArray[np.intp]:
    """Return the places (at least one, none negative) that an index into ``count`` items selects.

    Raises
    ------
    IndexError
        If a place is out of range.
    """
    chosen = _sliced(index, count) if isinstance(index, slice) else _as_integers(index, count)
    if len(chosen) == 0:
        raise ValueError("index: found an empty selection, need at least one particle")
    for extreme in (chosen.min(), chosen.max()):
        if not -count <= extreme < count:
            raise IndexError(f"index: found {shown(int(extreme))}, need one from {-count} to {count - 1}")
    return np.where(chosen < 0, chosen + count, chosen).astype(np.intp)


def _sliced(index: slice, count: int) -> NDArray[np.intp]:
    try:
        return np.arange(count)[index]
    except (TypeError, ValueError):
        raise TypeError(f"index: found {shown(index)}, need integers in a slice, and no step of 0") from None


def _as_integers(index: Any, count: int) -> NDArray:
    """Return an index as integers; it is an integer, several integers or a mask."""
    with contextlib.suppress(TypeError):
        if not isinstance(index, bool):
            return np.array([_integer(index)], dtype=object)  # of any size
    chosen = as_array(index, "index")
    if chosen.dtype == bool and chosen.shape != (count,):
        raise ValueError(f"index: found a mask of shape {chosen.shape}, need ({count},), one for each particle")
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "biu"):
        raise TypeError(f"index: found {chosen.dtype} of shape {chosen.shape}, need integers, a slice or a mask")
    return np.flatnonzero(chosen) if chosen.dtype == bool else chosen
