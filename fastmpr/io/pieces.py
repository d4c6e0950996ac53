"""Numbers of a file that are written piece by piece, so that no array of all of them is needed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_BLOCK = 1 << 24  # bytes that are copied at once


class Pieces:
    """An array in a file, in one piece and in C order, that takes ``array[index] = values``.

    It writes, and does not map: where a disk fills, writing is an error, and a map ends the process.

    Parameters
    ----------
    file : file
        Open for writing.
    offset : int
        Of the first number, in bytes.
    shape, dtype
        Of the array.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     Pieces(file, 8, (2, 3), np.float32)[:, 1:] = [[1, 2], [3, 4]]
    ...     _ = file.seek(8)
    ...     np.frombuffer(file.read(), np.float32).reshape(2, 3).tolist()
    [[0.0, 1.0, 2.0], [0.0, 3.0, 4.0]]
    """

    def __init__(self, file: Any, offset: int, shape: tuple[int, ...], dtype: DTypeLike):
        self.shape, self.dtype, self.ndim = tuple(shape), np.dtype(dtype), len(shape)
        self._file, self._offset = file, offset
        nbytes = prod(self.shape) * self.dtype.itemsize
        if hasattr(os, "posix_fallocate"):  # a disk that is too small says so now
            os.posix_fallocate(file.fileno(), offset, nbytes)
        else:
            file.truncate(offset + nbytes)

    def __setitem__(self, index: Any, values: Any) -> None:
        """Write a box; ``index`` holds integers and slices with steps of 1."""
        box = _box(index, self.shape)
        sides = [last - first for first, last in box]
        kept = [n for n, one in zip(sides, filled(index, self.ndim), strict=True) if isinstance(one, slice)]
        part = np.broadcast_to(np.asarray(values), kept).reshape(sides)
        whole = self.ndim  # axes from here on are written in one run
        while whole > 1 and box[whole - 1] == (0, self.shape[whole - 1]):
            whole -= 1
        steps = [prod(self.shape[k + 1 :]) for k in range(self.ndim)]
        for place in itertools.product(*(range(n) for n in sides[: whole - 1])):
            first = sum((box[k][0] + n) * steps[k] for k, n in enumerate(place))
            self._run(first + box[whole - 1][0] * steps[whole - 1], part[place])

    def _run(self, first: int, values: NDArray) -> None:
        """Write numbers that follow each other, a few megabytes at a time."""
        self._file.seek(self._offset + first * self.dtype.itemsize)
        rows = max(1, _BLOCK // max(1, values.nbytes // max(1, len(values))))
        for k in range(0, len(values), rows):
            self._file.write(np.ascontiguousarray(values[k : k + rows], self.dtype).data)


def filled(index: Any, dimensions: int) -> tuple[Any, ...]:
    """Return an entry of an index for each axis."""
    entries = index if isinstance(index, tuple) else (index,)
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        return (*entries[:at], *[slice(None)] * (dimensions - len(entries) + 1), *entries[at + 1 :])
    return (*entries, *[slice(None)] * (dimensions - len(entries)))


def _box(index: Any, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the first place and the one after the last along each axis."""
    found = []
    for one, n in zip(filled(index, len(shape)), shape, strict=True):
        places = range(n)[one] if isinstance(one, slice) else range(n)[int(one) :][:1]
        if places.step != 1:
            raise ValueError(f"index: found a step of {places.step}, need 1")
        found.append((places.start, places.start + len(places)))
    return found


@contextmanager
def appended(path: Path, shape: tuple[int, ...], dtype: DTypeLike, offset: int | None = None) -> Iterator[Pieces]:
    """Yield the numbers that follow the header of a file, from its end or another place on."""
    with open(path, "r+b", buffering=0) as file:
        yield Pieces(file, path.stat().st_size if offset is None else offset, shape, dtype)
