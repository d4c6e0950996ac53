"""Views brought into the frame of the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .._validation import Size
from ..kernels.masks import keep_seen, mark_seen
from ..runtime.threads import Crew
from ..views.dataset import Dataset
from ..views.seen import NothingSeenError, Seen
from .resampling import SplineVolume, inner, inner_centre, middle, particle_samples

_NO_VOXELS = np.zeros((0, 0, 0), np.bool_)


class Aligned(NamedTuple):
    """A view in the model's frame.

    Attributes
    ----------
    rotation : (3, 3)
    square, total : float
        The sums of its squares, and of itself, in a member's planes of the grid, where it saw something.
    voxels : int
        How many voxels that are; 0 for a view that saw all, of which ``total`` is not told.
    """

    rotation: NDArray
    square: float
    total: float = 0.0
    voxels: int = 0


class Aligner:
    """Brings views into the model's frame, on a grid that holds the model in its middle; one per crew.

    Its members call the same methods, each with its place.

    Parameters
    ----------
    data : Dataset
        With poses.
    grid, model : (nz, ny, nx)
        Of the grid, and of the model in its middle.
    crew : Crew, optional
        Who works on it; by default the calling thread.
    copies : bool
        Whether each view comes in all poses that the particle's symmetry cannot tell from its own.

    Attributes
    ----------
    seen : Seen, optional
        What the view in hand saw of its image; None where that is all.
    blind : set of int
        The views of which nothing was seen.
    mask : (nz, ny, nx) uint8
        Where it saw something of the grid, see `mark_seen`; it is made for the first view that did not see all.

    Raises
    ------
    ValueError
        If views that are already aligned do not have the model's shape.
    """

    def __init__(self, data: Dataset, grid: Size, model: Size, crew: Crew | None = None, copies: bool = False):
        shape = data.particle_shape
        if data.frame == "model" and model != shape:
            raise ValueError(f"shape: found {model}, need {shape}, the views' own, with frame='model'")
        self.data, self.inside, self.centre = data, inner(grid, model), inner_centre(grid, model)
        self.grid, self.crew, self.copies = grid, crew or Crew(1), copies
        self.translation = data.placed.translation
        centre = np.array(data.symmetry_centre)
        self.shifts = centre - data.group @ centre  # g takes p to g p + shift, 0 the first
        self.spline = SplineVolume(shape, data.dtype, self.crew)
        self.seen: Seen | None = None
        self.mask = np.zeros((0, 0, 0), np.uint8)
        self.blind: set[int] = set()
        self._part: NDArray | None = None
        self._reach = np.inf if data.radius is None else data.radius / data.model_voxel[0]
        self._voxels = _NO_VOXELS

    def rotations(self, i: int) -> NDArray[np.float64]:
        """Return the rotations (n, 3, 3) that view ``i`` comes in, its own first."""
        own = self.data.placed.matrix[i]
        return own @ self.data.group if self.copies else own[np.newaxis]

    def align(self, i: int, out: NDArray, member: int = 0) -> Iterator[Aligned]:
        """Fill ``out`` with view ``i``, zero where it was not seen, once for each of its `rotations`.

        Its rows may be longer than those of the grid, of which it is then filled as far as these are.
        The particle is read once. A member fills its planes, and of ``mask`` too, and tells of those.
        """
        part = self._read(i, member)
        if part is None:
            return
        rotations = self.rotations(i)
        if self.data.frame == "particle" or len(rotations) > 1:
            self.spline.load(part, member)
        for k, rotation in enumerate(rotations):
            if self.data.frame == "model" and k == 0:
                square = self._place(part, out, member)
            else:
                square = self.sample(i, k, out, member)
            if self.seen is None:
                yield Aligned(rotation, square)
            else:
                count = self.mark(i, k, member)
                total, square = keep_seen(out, self.mask, *self.crew.share(self.grid[0], member))
                yield Aligned(rotation, square, total, count)

    def look(self, i: int, member: int = 0) -> Iterator[NDArray]:
        """Take view ``i`` in hand for what it saw alone, not for its light: yield its `rotations`."""
        if member == 0:
            self._hold(self.data.source.seen(i))
        self.crew.barrier(member)
        yield from self.rotations(i)

    def mark(self, i: int, k: int, member: int = 0) -> int:
        """Fill a member's planes of ``mask`` for the view in hand in its ``k``-th rotation; return how many it saw there."""
        assert self.seen is not None
        matrix, origin = self._samples(i, k)
        low = -self.seen.corner
        high = low + self.data.particle_shape
        planes = self.crew.share(self.grid[0], member)
        size, beyond = np.array(self.seen.shape, float), self.seen.beyond
        matrix, voxels = np.ascontiguousarray(matrix), self._voxels
        return mark_seen(self.mask, matrix, origin, self.centre, size, low, high, beyond, voxels, self._reach, *planes)

    def _samples(self, i: int, k: int) -> tuple[NDArray, NDArray]:
        """Return (matrix, origin) of view ``i`` in its ``k``-th rotation, in samples of what was seen of the particle."""
        data = self.data
        if data.frame == "model":  # already turned by R: what is left is the element of the group
            matrix, origin = data.group[k], middle(data.particle_shape) + self.shifts[k] / data.model_voxel
        else:
            translation = self.translation[i] + data.placed.matrix[i] @ self.shifts[k]
            matrix, origin = particle_samples(
                self.rotations(i)[k], translation, data.particle_shape, data.voxel_size, data.model_voxel
            )
        return matrix, origin if self.seen is None else origin - self.seen.corner

    def sample(self, i: int, k: int, out: NDArray, member: int = 0) -> float:
        """Sample the loaded spline as view ``i`` sees the model in its ``k``-th rotation; return the sum of squares."""
        return self.spline.sample(out, *self._samples(i, k), self.centre, member, self.grid[2])

    def _read(self, i: int, member: int) -> NDArray | None:
        """Return what was seen of particle ``i``, if anything, read by one member for all."""
        if member == 0:
            try:
                self._part, seen = self.data.source.view(i)
                self._hold(seen)
            except NothingSeenError:
                self._part = None
                self.blind.add(int(i))
        self.crew.barrier(member)
        part = self._part
        if part is None:
            self.crew.barrier(member)  # or one might read on before another has seen that
        return part

    def _hold(self, seen: Seen | None) -> None:
        """Take what a view saw in hand; with a radius, no view saw all."""
        if seen is None and self.data.radius is not None:
            seen = Seen(tuple((0, n) for n in self.data.particle_shape), None, beyond=True)
        self.seen = seen
        if seen is None:
            return
        mask = seen.mask()
        self._voxels = _NO_VOXELS if mask is None else mask
        if self.mask.size == 0:
            self.mask = np.zeros(self.grid, np.uint8)

    def _place(self, part: NDArray, out: NDArray, member: int) -> float:
        """Put a member's planes of a view, as it is, in the middle of ``out``."""
        first, last = self.crew.share(out.shape[0], member)
        corner = (0, 0, 0) if self.seen is None else self.seen.corner.astype(int)
        z, y, x = (
            slice(side.start + at, side.start + at + n)
            for side, at, n in zip(self.inside, corner, part.shape, strict=True)
        )
        low, high = max(first, z.start), min(last, z.stop)
        out[first:last] = 0
        if low >= high:
            return 0.0
        planes = part[low - z.start : high - z.start]
        out[low:high, y, x] = planes
        return float(np.vdot(planes, planes))


def tell_blind(data: Dataset, blind: set[int], count: int) -> None:
    """Warn of the views of which nothing was seen, of so many; raise an error where that is all of them."""
    if len(blind) == count:
        within = "" if data.radius is None else f" within the radius of {data.radius:g} (in {data.unit})"
        raise NothingSeenError(f"particles: found nothing that was seen{within} in any of {count}, need some that was")
    if blind:
        named = ", ".join(data.source.name(i) for i in sorted(blind)[:3])
        more = f" and {len(blind) - 3} more" if len(blind) > 3 else ""
        warn(f"particles: found nothing that was seen in {named}{more}: left out ({len(blind)} of {count})")
