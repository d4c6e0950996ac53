"""An image that is read plane by plane, behind the array-like face that `stored.Stored` needs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Planes:
    """An array of planes (y, x), each read when it is asked for.

    Parameters
    ----------
    shape : tuple of int
        The last two are y and x.
    dtype : dtype
    plane : callable
        Of the indices along all other axes; returns that plane.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, plane: Callable[[tuple[int, ...]], NDArray]):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._plane = plane

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> NDArray:
        """Read the planes of a tuple of integers and slices."""
        index = index if isinstance(index, tuple) else (index,)
        index += (slice(None),) * (self.ndim - len(index))
        outer, inner = index[:-2], index[-2:]
        places = [
            range(*one.indices(n)) if isinstance(one, slice) else (int(one),)
            for one, n in zip(outer, self.shape[:-2], strict=True)
        ]
        kept = tuple(len(place) for place, one in zip(places, outer, strict=True) if isinstance(one, slice))
        planes = [part_of(self._checked(place), inner) for place in product(*places)]
        return np.stack(planes).reshape(kept + planes[0].shape)

    def _checked(self, place: tuple[int, ...]) -> NDArray:
        """Read a plane; a reader that returns less than the header declares met a damaged file."""
        plane = np.asarray(self._plane(place))
        if plane.shape != self.shape[-2:]:
            raise ValueError(f"plane {place} has shape {plane.shape}, and the header says {self.shape[-2:]}")
        return plane


def part_of(plane: NDArray, index: tuple[Any, ...]) -> NDArray:
    """Return a part of a plane, which does not keep the rest of it in memory."""
    part: NDArray = plane[index]
    return part if part.size == plane.size else part.copy()
