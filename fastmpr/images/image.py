"""One image, read plane by plane: its background is subtracted, and unseen voxels are NaN."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, as_float_type

_SLAB = 1 << 28  # bytes of planes that are read together, unless told otherwise


class Plane(NamedTuple):
    """A background that rises in some direction: its value at the first voxel, and its slope along each axis.

    Attributes
    ----------
    first : float
        Value at the first voxel.
    z, y, x : float
        Slope per voxel along each axis.
    """

    first: float
    z: float
    y: float
    x: float

    def at(self, z: float, ny: int, nx: int) -> NDArray[np.float64]:
        """Return the background over plane z of an image."""
        rows = self.first + self.z * z + self.y * np.arange(ny, dtype=np.float64)
        return rows[:, np.newaxis] + self.x * np.arange(nx, dtype=np.float64)

    def upright(self) -> Plane:
        """Return the background with y and z exchanged."""
        return Plane(self.first, self.y, self.z, self.x)

    def part(self, box: tuple[slice, slice, slice]) -> Plane:
        """Return the background in the coordinates of a part of the image."""
        starts = (side.start or 0 for side in box)
        return self._replace(first=self.first + sum(a * b for a, b in zip(self[1:], starts, strict=True)))

    def centre(self, shape: Size) -> float:
        """Return the value in the middle of an image."""
        return self.first + sum(slope * (n - 1) / 2 for slope, n in zip(self[1:], shape, strict=True))


class Image(Sequence[NDArray]):
    """The planes of an image, each converted when it is indexed; beside the caller's array this takes a bit per voxel.

    Parameters
    ----------
    values : (nz, ny, nx) ndarray or Slabs
        Values of any real type.
    level : float or Plane
        The background to subtract.
    unseen : (nz, n) uint8, optional
        Packed bits of each plane: 1 for a voxel that was not seen.
    """

    def __init__(self, values: NDArray | Slabs, level: float | Plane = 0.0, unseen: NDArray | None = None):
        self.values, self.level, self.unseen = values, level, unseen
        self.shape: Size = values.shape
        self.dtype = as_float_type(values.dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, z: Any) -> Any:
        plane: NDArray = np.array(self.values[z], self.dtype, order="C")
        level = self.level
        plane -= level.at(z, *self.shape[1:]).astype(self.dtype) if isinstance(level, Plane) else self.dtype(level)
        if self.unseen is not None:
            plane[self._bits(z)] = np.nan
        return plane

    @property
    def holes(self) -> int:
        """The number of unseen voxels."""
        return 0 if self.unseen is None else sum(int(np.unpackbits(row).sum()) for row in self.unseen)

    def _bits(self, z: int) -> NDArray[np.bool_]:
        assert self.unseen is not None
        _, ny, nx = self.shape
        return np.unpackbits(self.unseen[z], count=ny * nx).reshape(ny, nx).view(bool)

    def upright(self) -> Image:
        """Return an image of one plane with its rows as planes."""
        _, ny, nx = self.shape
        bits = None if self.unseen is None else np.packbits(self._bits(0), axis=1)
        level = self.level.upright() if isinstance(self.level, Plane) else self.level
        return Image(np.asarray(self.values).reshape(ny, 1, nx), level, bits)

    @property
    def is_held(self) -> bool:
        """Whether the values are a NumPy array, so that any thread may read a plane at any time."""
        return isinstance(self.values, np.ndarray)

    def held(self) -> Image:
        """Return the image with its planes in memory."""
        return self if self.is_held else Image(np.stack(list(self)), 0.0, self.unseen)

    def around(self, box: tuple[tuple[int, int], ...], grid: Size, beyond: float) -> Image:
        """Return a copy of a box of the periodic grid, in whose first corner the image lies.

        Parameters
        ----------
        box : three of (first, last + 1)
            May begin below 0 and end beyond the image.
        grid : (nz, ny, nx)
        beyond : float
            Value of the grid beyond the image.
        """
        out: NDArray = np.full([last - first for first, last in box], beyond, self.dtype)
        sides = [_runs(*side, n, size) for side, n, size in zip(box, self.shape, grid, strict=True)]
        for zs, ys, xs in itertools.product(*sides):
            block = self.part((zs[0], ys[0], xs[0]))
            target = out[zs[1], ys[1], xs[1]]
            for z in range(len(target)):
                target[z] = block[z]
        return Image(out)

    def part(self, box: tuple[slice, slice, slice]) -> Image:
        """Return a part of the image, as an image of its own."""
        planes, *sides = box
        whole, level = self.values[box], self.level.part(box) if isinstance(self.level, Plane) else self.level
        if self.unseen is None:
            return Image(whole, level)
        bits = [np.packbits(self._bits(z)[tuple(sides)]) for z in range(*planes.indices(len(self)))]
        return Image(whole, level, np.array(bits))


class Slabs:
    """An array-like whose planes are read in slabs that are stored together; indexing returns NumPy arrays.

    Parameters
    ----------
    array
        Anything with ``shape``, ``dtype`` and ``[box]``. The first of its ``chunks``, if any, is the depth of a slab.
    most : float, optional
        Bytes of a slab, but for one plane; deeper chunks are read in several slabs.
    """

    def __init__(self, array: Any, most: float = _SLAB):
        self._array, self.shape, self.dtype = array, tuple(array.shape), np.dtype(array.dtype)
        self.size = math.prod(self.shape)
        chunks = getattr(array, "chunks", None)
        self._chunk = int(np.ravel(chunks[0])[0]) if chunks else 1
        planes = max(1, int(most // max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)))
        self._depth = -(-self._chunk // -(-self._chunk // planes))  # of slabs that are equally deep
        self._first, self._slab = 0, np.empty((0, *self.shape[1:]), self.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray:
        if not isinstance(index, int | np.integer):
            self._forget()  # a slab and a box side by side would take the memory of both
            return np.asarray(self._array[index])
        if not self._first <= index < self._first + len(self._slab):
            self._forget()
            chunk = int(index) // self._chunk * self._chunk
            self._first = chunk + (int(index) - chunk) // self._depth * self._depth
            self._slab = np.asarray(self._array[self._first : min(self._first + self._depth, chunk + self._chunk)])
        return self._slab[index - self._first]

    def _forget(self) -> None:
        """Free the planes that were read."""
        self._slab = self._slab[:0].copy()


def is_lazy(image: Any) -> bool:
    """Return whether an image is an array-like other than NumPy's, to be read in parts."""
    own = ("shape", "dtype", "__getitem__")
    return not isinstance(image, np.ndarray) and all(hasattr(image, name) for name in own)


def _runs(first: int, last: int, n: int, size: int) -> list[tuple[slice, slice]]:
    """Return the slices of the first ``n`` of ``size`` periodic places that a range covers, and theirs in the range."""
    runs = []
    for turn in range(first // size, (last - 1) // size + 1):
        start, stop = max(first, turn * size), min(last, turn * size + n)
        if start < stop:
            runs.append((slice(start - turn * size, stop - turn * size), slice(start - first, stop - first)))
    return runs
