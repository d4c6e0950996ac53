"""Resampling of views in the frame of the model."""

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
    """A view in the frame of the model.

    Attributes
    ----------
    rotation : (3, 3)
        The rotation in which it is resampled.
    square, total : float
        Sum of the squared values, and of the values, over the seen voxels in one member's planes of the grid.
    voxels : int
        Number of these voxels; 0 for a view without unseen voxels, for which ``total`` is not computed either.
    """

    rotation: NDArray
    square: float
    total: float = 0.0
    voxels: int = 0


class Aligner:
    """Resamples views in the frame of the model, on a grid with the model in its middle.

    Each crew has one. All members of the crew call the same methods, each with its own index ``member``.

    Parameters
    ----------
    data : Dataset
        The views, with poses.
    grid, model : (nz, ny, nx)
        Shape of the grid, and of the model in its middle.
    crew : Crew, optional
        The threads that share the work; by default the calling thread.
    copies : bool
        Whether each view is resampled in all poses that are equivalent by the symmetry of the particle.

    Attributes
    ----------
    seen : Seen, optional
        The seen voxels of the current view; None if the whole image was seen.
    blind : set of int
        Indices of the views without any seen voxel.
    mask : (nz, ny, nx) uint8
        The seen voxels of the current view, on the grid (see `mark_seen`); empty until a view has unseen voxels.

    Raises
    ------
    ValueError
        If views that are already aligned do not have the shape of the model.
    """

    def __init__(self, data: Dataset, grid: Size, model: Size, crew: Crew | None = None, copies: bool = False):
        shape = data.particle_shape
        if data.frame == "model" and model != shape:
            raise ValueError(f"shape: found {model}, need {shape}, the views' own, with frame='model'")
        self.data, self.inside, self.centre = data, inner(grid, model), inner_centre(grid, model)
        self.grid, self.crew, self.copies = grid, crew or Crew(1), copies
        self.translation = data.placed.translation
        centre = np.array(data.symmetry_centre)
        self.shifts = centre - data.group @ centre  # g maps p to g p + shift; the first shift is 0
        self.spline = SplineVolume(shape, data.dtype, self.crew)
        self.seen: Seen | None = None
        self.mask = np.zeros((0, 0, 0), np.uint8)
        self.blind: set[int] = set()
        self._part: NDArray | None = None
        self._reach = np.inf if data.radius is None else data.radius / data.model_voxel[0]
        self._voxels = _NO_VOXELS

    def rotations(self, i: int) -> NDArray[np.float64]:
        """Return the rotations (n, 3, 3) in which view ``i`` is resampled, that of its pose first."""
        own = self.data.placed.matrix[i]
        return own @ self.data.group if self.copies else own[np.newaxis]

    def align(self, i: int, out: NDArray, member: int = 0) -> Iterator[Aligned]:
        """Fill ``out`` with view ``i``, zero in unseen voxels, once for each of its `rotations`.

        The rows of ``out`` may be longer than those of the grid; the rest of each row is left as it is. The particle is
        read once. Each member fills its own planes of ``out`` and ``mask``, and yields the sums over these planes.
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

    def load_seen(self, i: int, member: int = 0) -> Iterator[NDArray]:
        """Load the seen voxels of view ``i``, without its intensities, and yield its `rotations`."""
        if member == 0:
            self._store_seen(self.data.source.seen(i))
        self.crew.barrier(member)
        yield from self.rotations(i)

    def mark(self, i: int, k: int, member: int = 0) -> int:
        """Fill a member's planes of ``mask`` for rotation ``k`` of the current view; return how many voxels are seen."""
        assert self.seen is not None
        matrix, origin = self._samples(i, k)
        low = -self.seen.corner
        high = low + self.data.particle_shape
        planes = self.crew.share(self.grid[0], member)
        size, beyond = np.array(self.seen.shape, float), self.seen.beyond
        matrix, voxels = np.ascontiguousarray(matrix), self._voxels
        return mark_seen(self.mask, matrix, origin, self.centre, size, low, high, beyond, voxels, self._reach, *planes)

    def _samples(self, i: int, k: int) -> tuple[NDArray, NDArray]:
        """Return (matrix, origin) for rotation ``k`` of view ``i``, in samples of the seen box of the particle."""
        data = self.data
        if data.frame == "model":  # already rotated by R: only the element of the group remains
            matrix, origin = data.group[k], middle(data.particle_shape) + self.shifts[k] / data.model_voxel
        else:
            translation = self.translation[i] + data.placed.matrix[i] @ self.shifts[k]
            matrix, origin = particle_samples(
                self.rotations(i)[k], translation, data.particle_shape, data.voxel_size, data.model_voxel
            )
        return matrix, origin if self.seen is None else origin - self.seen.corner

    def sample(self, i: int, k: int, out: NDArray, member: int = 0) -> float:
        """Sample the loaded spline in rotation ``k`` of view ``i``; return the sum of the squared samples."""
        return self.spline.sample(out, *self._samples(i, k), self.centre, member, self.grid[2])

    def _read(self, i: int, member: int) -> NDArray | None:
        """Return the seen box of particle ``i``, None if no voxel was seen; one member reads it for all."""
        if member == 0:
            try:
                self._part, seen = self.data.source.view(i)
                self._store_seen(seen)
            except NothingSeenError:
                self._part = None
                self.blind.add(int(i))
        self.crew.barrier(member)
        part = self._part
        if part is None:
            self.crew.barrier(member)  # or a member could read the next view before another member returns
        return part

    def _store_seen(self, seen: Seen | None) -> None:
        """Store which voxels of the current view were seen; with a radius, every view has unseen voxels."""
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
        """Copy a member's planes of a view to the middle of ``out``; return the sum of their squares."""
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
    """Warn of the views without any seen voxel; raise an error if these are all ``count`` views."""
    if len(blind) == count:
        within = "" if data.radius is None else f" within the radius of {data.radius:g} (in {data.unit})"
        raise NothingSeenError(f"particles: found no seen voxel{within} in any of {count}, need views with seen voxels")
    if blind:
        named = ", ".join(data.source.name(i) for i in sorted(blind)[:3])
        more = f" and {len(blind) - 3} more" if len(blind) > 3 else ""
        warn(f"particles: found no seen voxel in {named}{more}: left out ({len(blind)} of {count})")
