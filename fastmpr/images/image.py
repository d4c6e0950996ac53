"""One image, plane by plane: less its background, NaN where nothing was seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, as_float_type


class Plane(NamedTuple):
    """A background that rises in some direction: what it is at the first voxel, and by how much it rises with each.

    Attributes
    ----------
    first : float
    z, y, x : float
        Along each axis.
    """

    first: float
    z: float
    y: float
    x: float

    def at(self, z: float, ny: int, nx: int) -> NDArray[np.float64]:
        """Return it all over a plane of an image."""
        rows = self.first + self.z * z + self.y * np.arange(ny, dtype=np.float64)
        return rows[:, np.newaxis] + self.x * np.arange(nx, dtype=np.float64)

    def upright(self) -> Plane:
        """Return it with its y for z and its z for y."""
        return Plane(self.first, self.y, self.z, self.x)

    def part(self, box: tuple[slice, slice, slice]) -> Plane:
        """Return it as a part of the image has it."""
        starts = (side.start or 0 for side in box)
        return self._replace(first=self.first + sum(a * b for a, b in zip(self[1:], starts, strict=True)))

    def centre(self, shape: Size) -> float:
        """Return what it is in the middle of an image."""
        return self.first + sum(slope * (n - 1) / 2 for slope, n in zip(self[1:], shape, strict=True))


class Image(Sequence[NDArray]):
    """The planes of an image, converted as they are asked for: what it takes beside the caller's array is a bit a voxel.

    Parameters
    ----------
    values : (nz, ny, nx) ndarray or Slabs
        Of any real type.
    level : float or Plane
        To be taken off.
    unseen : (nz, n) uint8, optional
        Bits of the voxels of each plane that were not seen.
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
        """The number of voxels that were not seen."""
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
        """Whether its planes are NumPy's, so that any thread may ask for them, again and again."""
        return isinstance(self.values, np.ndarray)

    def held(self) -> Image:
        """Return the image with its planes in memory."""
        return self if self.is_held else Image(np.stack(list(self)), 0.0, self.unseen)

    def around(self, box: tuple[tuple[int, int], ...], grid: Size, beyond: float) -> Image:
        """Return a copy of a box of the periodic grid that the image stands on, at its first corner.

        Parameters
        ----------
        box : three of (first, last + 1)
            May begin below 0 and end beyond the image.
        grid : (nz, ny, nx)
        beyond : float
            What is on the grid beyond the image.
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
        """Return a part of the image, in its frame."""
        planes, *sides = box
        whole, level = self.values[box], self.level.part(box) if isinstance(self.level, Plane) else self.level
        if self.unseen is None:
            return Image(whole, level)
        bits = [np.packbits(self._bits(z)[tuple(sides)]) for z in range(*planes.indices(len(self)))]
        return Image(whole, level, np.array(bits))


class Slabs:
    """An array of another kind, read once for all its planes that are stored together; NumPy's arrays come out.

    Parameters
    ----------
    array
        With ``shape``, ``dtype`` and ``[box]``; the first of its ``chunks``, if it has any, tells how many planes those are.
    """

    def __init__(self, array: Any):
        self._array, self.shape, self.dtype = array, tuple(array.shape), np.dtype(array.dtype)
        self.size = math.prod(self.shape)
        chunks = getattr(array, "chunks", None)
        self._depth = int(np.ravel(chunks[0])[0]) if chunks else 1
        self._first, self._slab = 0, np.empty((0, *self.shape[1:]), self.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray:
        if not isinstance(index, int | np.integer):
            return np.asarray(self._array[index])
        if not self._first <= index < self._first + len(self._slab):
            self._first = int(index) // self._depth * self._depth
            self._slab = np.asarray(self._array[self._first : self._first + self._depth])
        return self._slab[index - self._first]


def is_lazy(image: Any) -> bool:
    """Return whether an image is an array of another kind, to be read in parts."""
    own = ("shape", "dtype", "__getitem__")
    return not isinstance(image, np.ndarray) and all(hasattr(image, name) for name in own)


def _runs(first: int, last: int, n: int, size: int) -> list[tuple[slice, slice]]:
    """Return which of the first ``n`` of ``size`` periodic places a range covers, and where they are in the range."""
    runs = []
    for turn in range(first // size, (last - 1) // size + 1):
        start, stop = max(first, turn * size), min(last, turn * size + n)
        if start < stop:
            runs.append((slice(start - turn * size, stop - turn * size), slice(start - first, stop - first)))
    return runs
