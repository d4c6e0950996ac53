"""Arguments as nobody should give them, made of those that are right."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

# Each is made anew for every call: none may be changed, and that is checked.
NUMBERS: tuple[Callable[[], Any], ...] = tuple(
    (lambda value=value: value)
    for value in (
        *(0, -1, 1, 2, 10**9, 10**12, 10**20, -(10**20), 10**400, 10**5000, True),
        *(0.0, 0.5, -0.5, 1.5, 1e38, 1e300, -1e300, 1e-300, math.nan, math.inf, -math.inf),
        *(np.float32(0.5), np.float32(1e38), np.float64("nan"), np.int64(3), np.bool_(True), np.longdouble("1e4000")),
        *(1j, np.complex64(1), Fraction(1, 3), np.ma.masked, np.datetime64("2020-01-01"), np.timedelta64(1, "s")),
    )
)
THINGS: tuple[Callable[[], Any], ...] = (
    *((lambda value=value: value) for value in (None, "", "a", "1", "auto", "nan", b"1", "\n", "\0", "Cc\n9")),
    *((lambda value=value: value) for value in ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), (1, (2, 3)), (1, "a", 2))),
    *(
        (lambda value=value: value)
        for value in ((10**9,) * 3, (1, 10**9, 10**20), (1e300, 1e-300, 1), (1, 1, math.nan))
    ),
    *((lambda value=value: value) for value in (object(), ..., slice(None), range(3), datetime.date(2020, 1, 1))),
    list,
    dict,
    set,
    lambda: [1, 2, 3],
    lambda: [None, 1, 2],
    lambda: [10**400] * 3,
    lambda: {"a": 1, "b": 2, "c": 3},
    lambda: (i for i in range(3)),
    lambda: np.array([1.0]),
    lambda: np.array([3]),
    lambda: np.array(2.0),
    lambda: np.array([1.0, 2.0, 3.0]),
    lambda: np.array([[1.0, 2.0]] * 30),
    lambda: np.array([]),
    lambda: np.array([1, None], object),
    lambda: np.array(["a", "b\n"]),
    lambda: np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    lambda: np.ma.array(1.0, mask=True),
    lambda: np.zeros((2, 2, 2)),
)


def anything() -> st.SearchStrategy[Any]:
    """Something that seldom is right."""
    return st.sampled_from(NUMBERS + THINGS).map(lambda make: make())


def numbers() -> st.SearchStrategy[Any]:
    return st.sampled_from(NUMBERS).map(lambda make: make())


def instead_of(value: Any) -> st.SearchStrategy[Any]:
    """What may stand where a right value stood."""
    if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "fiubc":
        return st.one_of(spoilt(value), spoilt(value), anything())
    if isinstance(value, list | tuple) and value:
        return st.one_of(spoilt_sequence(value), anything())
    return st.one_of(numbers(), anything())


@st.composite
def spoilt(draw: Callable, array: NDArray) -> Any:
    """An array that is nearly right."""
    return draw(st.sampled_from(SPOILERS))(array)


@st.composite
def spoilt_sequence(draw: Callable, values: list | tuple) -> Any:
    """A sequence with another member, one less or one more."""
    out, k = list(values), draw(st.integers(0, len(values) - 1))
    change = draw(st.integers(0, 4))
    if change == 0:
        del out[k]
    elif change == 1:
        out.append(out[k])
    else:
        out[k] = draw(instead_of(out[k]))
    return type(values)(out) if type(values) in (list, tuple) else out


def with_value(value: float) -> Callable[[NDArray], NDArray]:
    def put(array: NDArray) -> NDArray:
        out = array.astype(array.dtype if array.dtype.kind in "fc" else np.float64)
        with np.errstate(all="ignore"):
            out.flat[out.size // 2] = value
        return out

    return put


def times(factor: float, dtype: type) -> Callable[[NDArray], NDArray]:
    def multiply(array: NDArray) -> NDArray:
        with np.errstate(all="ignore"):
            return np.asarray(array, np.complex128 if array.dtype.kind == "c" else np.float64) * factor

    def cast(array: NDArray) -> NDArray:
        with np.errstate(all="ignore"):
            return multiply(array).astype(np.result_type(dtype, np.complex64) if array.dtype.kind == "c" else dtype)

    return cast


def as_type(dtype: Any) -> Callable[[NDArray], NDArray]:
    def cast(array: NDArray) -> NDArray:
        real = array.real if array.dtype.kind == "c" and np.dtype(dtype).kind not in "cO" else array
        if np.dtype(dtype).kind == "M":
            real = real.astype(np.int64)
        with np.errstate(all="ignore"):
            return real.astype(dtype)

    return cast


def masked(array: NDArray) -> NDArray:
    mask = np.zeros(array.shape, bool)
    mask.flat[-1] = True
    return np.ma.array(array, mask=mask)


SPOILERS: tuple[Callable[[NDArray], Any], ...] = (
    lambda a: a[0],
    lambda a: a[None],
    lambda a: a.ravel(),
    lambda a: a[..., None],
    lambda a: a[:0],
    lambda a: a[..., :0],
    lambda a: a[:-1],
    lambda a: np.concatenate([a, a]),
    lambda a: np.array(1.0),
    lambda a: -a if a.dtype != bool else ~a,
    lambda a: 0 * a,
    lambda a: np.ones_like(a),
    lambda a: np.asfortranarray(a),
    lambda a: a[::-1],
    lambda a: np.repeat(a, 2, axis=0)[::2],
    lambda a: a.tolist(),
    lambda a: [*a.tolist(), []],
    lambda a: list(a),
    lambda a: iter(a),
    lambda a: np.ma.array(a),
    masked,
    lambda a: list(masked(a)),
    lambda a: a.astype(a.dtype.newbyteorder()),
    lambda a: memoryview(np.ascontiguousarray(a)),
    *map(with_value, (np.nan, np.inf, -np.inf, 1e38, -1e38, 1e300, 1e-300, 1e9)),
    *(times(factor, np.float32) for factor in (1e38, 1e30, 1e20, 1e15, 1e-30, 1e-44)),
    *(times(factor, np.float64) for factor in (1e300, -1e300, 1e155, 1e-155, 1e-300, 1e-320)),
    *map(as_type, (complex, object, str, bool, "M8[s]", "m8[s]", "f2", "i1", "u8", "g", "V8", "S3", ">f8")),
)
