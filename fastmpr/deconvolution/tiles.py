"""Tiles of a large image: each is deconvolved together with the surroundings that its light can come from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .._validation import Size

_REACH = 16  # voxels beyond the PSF's reach, where the prior has damped differences to 1e-3 of the brightest voxel
_LEAST = 16  # least side of a tile in voxels, unless the image's side is shorter
_MOST = 64  # most tiles along an axis that are tried


class Tile(NamedTuple):
    """A box of the image, and the larger box in which it is deconvolved.

    Attributes
    ----------
    inner, outer : three of (first, last + 1)
        The outer box lies on a periodic grid, so it may begin below 0 and end beyond the image.
    """

    inner: tuple[tuple[int, int], ...]
    outer: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> Size:
        """The shape of the outer box."""
        z, y, x = (last - first for first, last in self.outer)
        return z, y, x

    @property
    def within(self) -> tuple[slice, ...]:
        """Where the inner box lies in the outer box."""
        pairs = zip(self.inner, self.outer, strict=True)
        return tuple(slice(first - start, last - start) for (first, last), (start, _) in pairs)

    @property
    def place(self) -> tuple[slice, ...]:
        """Where the inner box lies in the image."""
        return tuple(slice(first, last) for first, last in self.inner)


def tiles_of(
    shape: Size,
    reach: Size,
    grid: Size,
    beyond: bool,
    fits: Callable[[Size], bool],
    cost: Callable[[Size], float],
) -> list[Tile]:
    """Return the tiles of an image: the image itself if it fits, else the cheapest cut whose tiles fit.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Shape of the image.
    reach : (z, y, x)
        Reach of the PSF.
    grid : (nz, ny, nx)
        Shape of the grid for the whole image.
    beyond : bool
        Whether the grid beyond the image is known; tiles then include it.
    fits : callable
        Returns whether a box of a given shape fits in memory.
    cost : callable
        Returns the cost of a box of a given shape.

    Returns
    -------
    list of Tile
        Empty if not even the smallest tile fits.
    """
    whole = tuple((0, n) for n in shape)
    if fits(shape):
        return [Tile(whole, whole)]
    margins = tuple(_REACH + r if n > 1 else 0 for n, r in zip(shape, reach, strict=True))
    best: tuple[float, tuple[int, ...]] = math.inf, ()
    for counts in itertools.product(*map(_counts, shape)):
        outer = outer_shape(shape, counts, margins, grid, beyond)
        price = math.prod(counts) * cost(outer)
        if price < best[0] and fits(outer):
            best = price, counts
    return list(_split(shape, best[1], margins, grid, beyond)) if best[1] else []


def smallest(shape: Size, reach: Size, grid: Size, beyond: bool) -> Size:
    """Return the shape of the smallest outer box."""
    margins = tuple(_REACH + r if n > 1 else 0 for n, r in zip(shape, reach, strict=True))
    return outer_shape(shape, tuple(max(_counts(n)) for n in shape), margins, grid, beyond)


def outer_shape(shape: Size, counts: tuple[int, ...], margins: tuple[int, ...], grid: Size, beyond: bool) -> Size:
    """Return the shape of the largest outer box, given the number of tiles along each axis."""
    z, y, x = (
        -(-n // count) + _spare(n, count, 2 * margin, whole, beyond)
        for n, count, margin, whole in zip(shape, counts, margins, grid, strict=True)
    )
    return z, y, x


def _counts(n: int) -> list[int]:
    """Return the numbers of tiles to try along an axis: each gives another size of tile."""
    tried = range(1, min(_MOST, max(1, n // _LEAST)) + 1)
    return [count for count in tried if count == 1 or -(-n // count) < -(-n // (count - 1))]


def _spare(n: int, count: int, wanted: int, whole: int, beyond: bool) -> int:
    """Return by how many voxels an outer box is longer along an axis than the largest inner box."""
    if count == 1:
        return whole - n if beyond else 0
    return min(wanted, whole - -(-n // count))


def _split(shape: Size, counts: tuple[int, ...], margins: tuple[int, ...], grid: Size, beyond: bool) -> Iterator[Tile]:
    """Yield the tiles; along an axis that is not cut, the surroundings are those of the whole image."""
    sides = []
    for n, count, margin, whole in zip(shape, counts, margins, grid, strict=True):
        edges = [n * k // count for k in range(count + 1)]
        side = []
        for first, last in itertools.pairwise(edges):
            spare = _spare(n, count, 2 * margin, whole, beyond)
            side.append(((first, last), (first - spare // 2, last + spare - spare // 2)))
        sides.append(side)
    for pairs in itertools.product(*sides):
        yield Tile(tuple(inner for inner, _ in pairs), tuple(outer for _, outer in pairs))
