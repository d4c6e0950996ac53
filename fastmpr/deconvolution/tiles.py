"""The tiles of a large image: each is deconvolved with as much of its surroundings as its light can come from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .._validation import Size

_REACH = 16  # voxels that the prior carries a difference over beside the PSF's reach, until it is 1e-3 of the brightest
_LEAST = 16  # voxels of a side of a tile, unless the image's is shorter
_MOST = 64  # tiles along an axis that are tried


class Tile(NamedTuple):
    """A box of the image, and the larger one that it is deconvolved in.

    Attributes
    ----------
    inner, outer : three of (first, last + 1)
        The outer one may begin below 0 and end beyond the image: on a periodic grid.
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
        """Where the inner box lies in the outer one."""
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
    """Return the tiles of an image, of least cost in all among those that fit; one that is the image, where that does.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Of the image.
    reach : (z, y, x)
        Of the PSF.
    grid : (nz, ny, nx)
        On which the image would stand as a whole.
    beyond : bool
        Whether it is known what is on that grid beyond the image: then tiles hold that too.
    fits : callable
        Whether there is memory for a box of a shape.
    cost : callable
        What a box of a shape takes.

    Returns
    -------
    list of Tile
        Empty where not even the smallest fits.
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
    """Return the shape of the smallest box that may be deconvolved."""
    margins = tuple(_REACH + r if n > 1 else 0 for n, r in zip(shape, reach, strict=True))
    return outer_shape(shape, tuple(max(_counts(n)) for n in shape), margins, grid, beyond)


def outer_shape(shape: Size, counts: tuple[int, ...], margins: tuple[int, ...], grid: Size, beyond: bool) -> Size:
    """Return the shape of the largest outer box where an image is cut so many times along each axis."""
    z, y, x = (
        -(-n // count) + _spare(n, count, 2 * margin, whole, beyond)
        for n, count, margin, whole in zip(shape, counts, margins, grid, strict=True)
    )
    return z, y, x


def _counts(n: int) -> list[int]:
    """Return the numbers of tiles to try along an axis: those that change their size."""
    tried = range(1, min(_MOST, max(1, n // _LEAST)) + 1)
    return [count for count in tried if count == 1 or -(-n // count) < -(-n // (count - 1))]


def _spare(n: int, count: int, wanted: int, whole: int, beyond: bool) -> int:
    """Return how many voxels an outer box has along an axis beside an inner one, the largest of so many."""
    if count == 1:
        return whole - n if beyond else 0
    return min(wanted, whole - -(-n // count))


def _split(shape: Size, counts: tuple[int, ...], margins: tuple[int, ...], grid: Size, beyond: bool) -> Iterator[Tile]:
    """Yield the tiles; an axis that is not cut has no surroundings but its own."""
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
