"""Whether a sequence of particles can be read as a `Dataset` reads it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .needs import called, need

_THREADS = 4


def check_source(particles: Any, thread_safe: bool | None = None, most: int = 20) -> None:
    """Check that a sequence of particles can be read as a `Dataset` reads it: in any order, again, and by whom it says.

    It needs ``len`` or a ``shape``, and ``[i]`` for 0 <= i < len, which returns an array (nz, ny, nx) of real numbers. All
    have one shape and one dtype. A particle is the same each time, whatever was read before, and stays as it is when others
    are read: one buffer for all is not enough. NaN says that a voxel was not seen; a particle is not all NaN.

    Parameters
    ----------
    particles : sequence of (nz, ny, nx) arrays
        Yours.
    thread_safe : bool, optional
        Whether ``[i]`` may be called from several threads at once. By default what its attribute of this name says, else
        not; it is tried where it may.
    most : int
        How many particles are read, evenly from first to last.

    Raises
    ------
    AssertionError
        One line: what was found, and what is needed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.testing import check_source
    >>> class Slices:
    ...     def __init__(self, movie):
    ...         self.movie, self.thread_safe = movie, True
    ...     def __len__(self):
    ...         return len(self.movie) // 8
    ...     def __getitem__(self, i):
    ...         return self.movie[8 * i : 8 * i + 8]
    >>> check_source(Slices(np.random.default_rng(0).random((32, 9, 9))))
    """
    count = _length(particles)
    places = sorted({int(i) for i in np.linspace(0, count - 1, max(2, most)).round()})
    first: dict[int, NDArray] = {}
    for i in places:
        values = _read(particles, i)
        first[i] = values
        _check_alike(i, values, places[0], first[places[0]])
    kept = {i: values.copy() for i, values in first.items()}
    for i in reversed(places):
        _check_same(_read(particles, i), kept[i], f"particles[{i}], read again in another order")
    for i in places:
        _check_same(first[i], kept[i], f"particles[{i}], held while others were read")
    if getattr(particles, "thread_safe", False) is True if thread_safe is None else thread_safe:
        with ThreadPoolExecutor(_THREADS) as pool:
            order = [places[k % len(places)] for k in range(_THREADS * len(places))]
            for i, values in zip(order, pool.map(lambda i: _read(particles, i), order), strict=True):
                _check_same(values, kept[i], f"particles[{i}], read from {_THREADS} threads at once")


def _length(particles: Any) -> int:
    shape: Any = getattr(particles, "shape", ())
    need(
        hasattr(particles, "__getitem__") and (hasattr(particles, "__len__") or (isinstance(shape, tuple) and shape)),
        f"particles: found {type(particles).__name__}",
        "a sequence with [i], and len or a shape",
    )
    count = int(called("len(particles)", len, particles) if hasattr(particles, "__len__") else shape[0])
    need(count > 0, "particles: found none", "at least one")
    return count


def _read(particles: Any, i: int) -> NDArray:
    """Return particle ``i`` as an array, checked by itself."""
    values = np.asarray(called(f"particles[{i}]", lambda: particles[i]))
    need(values.ndim == 3 and values.size, f"particles[{i}]: found shape {values.shape}", "(nz, ny, nx)")
    need(values.dtype.kind in "fiub", f"particles[{i}]: found dtype {values.dtype}", "real numbers")
    if values.dtype.kind == "f":
        need(
            not np.isinf(values).any(),
            f"particles[{i}]: found infinity",
            "finite numbers, or NaN where nothing was seen",
        )
        need(not np.isnan(values).all(), f"particles[{i}]: found NaN only", "a voxel that was seen")
    return values


def _check_alike(i: int, values: NDArray, j: int, other: NDArray) -> None:
    """Check shape and dtype against those of the first particle."""
    for name in ("shape", "dtype"):
        found, wanted = getattr(values, name), getattr(other, name)
        need(found == wanted, f"particles[{i}]: found {name} {found}", f"{wanted} like particles[{j}]")


def _check_same(values: NDArray, expected: NDArray, what: str) -> None:
    """Check that a particle is what it was when it was read first."""
    same = values.shape == expected.shape and values.dtype == expected.dtype
    need(same and values.tobytes() == expected.tobytes(), f"{what}: found other values", "those of the first time")
