"""Views brought into the frame of the model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._validation import Size
from ..data.dataset import Dataset
from ..engine.threads import Crew
from .resampling import SplineVolume, inner, inner_centre, middle, particle_samples


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

    Raises
    ------
    ValueError
        If views that are already aligned do not have the model's shape.
    """

    def __init__(self, data: Dataset, grid: Size, model: Size, crew: Crew | None = None):
        shape = data.particle_shape
        if data.frame == "model" and model != shape:
            raise ValueError(f"shape: found {model}, need {shape}, the views' own, with frame='model'")
        self.data, self.inside, self.centre = data, inner(grid, model), inner_centre(grid, model)
        self.nx, self.crew = grid[2], crew or Crew(1)
        self.spline = SplineVolume(shape, data.dtype, self.crew)
        self._particle: NDArray | None = None

    def rotations(self, i: int) -> NDArray[np.float64]:
        """Return the rotations (n, 3, 3) that the particle's symmetry cannot tell from view ``i``'s, its own first."""
        own = self.data.placed.matrix[i]
        return own[np.newaxis] if self.data.symmetry is None else own @ self.data.group

    def align(self, i: int, out: NDArray, member: int = 0) -> Iterator[tuple[NDArray, float]]:
        """Fill ``out`` with view ``i``, zero where it was not seen, once for each of its `rotations`.

        Its rows may be longer than those of the grid, of which it is then filled as far as these are.
        The particle is read once. Yields the rotation and the sum of squares; a member fills and tells those of its planes.
        """
        particle = self._read(i, member)
        rotations = self.rotations(i)
        if self.data.frame == "particle" or len(rotations) > 1:
            self.spline.load(particle, member)
        for k, rotation in enumerate(rotations):
            if self.data.frame == "model" and k == 0:
                yield rotation, self._place(particle, out, member)
            else:
                yield rotation, self.resample(i, k, out, member)

    def resample(self, i: int, k: int, out: NDArray, member: int = 0) -> float:
        """Sample the loaded spline as view ``i`` sees the model in its ``k``-th rotation; return the sum of squares."""
        data = self.data
        if data.frame == "model":  # already turned by R: what is left is the element of the group
            return self.spline.sample(out, data.group[k], middle(data.particle_shape), self.centre, member, self.nx)
        matrix, origin = particle_samples(
            self.rotations(i)[k], data.placed.translation[i], data.particle_shape, data.voxel_size, data.model_voxel
        )
        return self.spline.sample(out, matrix, origin, self.centre, member, self.nx)

    def _read(self, i: int, member: int) -> NDArray:
        """Return particle ``i``, read by one member for all."""
        if member == 0:
            self._particle = self.data.read(i)
        self.crew.barrier(member)
        assert self._particle is not None
        return self._particle

    def _place(self, particle: NDArray, out: NDArray, member: int) -> float:
        """Put a member's planes of a view, as it is, in the middle of ``out``."""
        first, last = self.crew.share(out.shape[0], member)
        z, y, x = self.inside
        low, high = max(first, z.start), min(last, z.stop)
        out[first:last] = 0
        if low >= high:
            return 0.0
        planes = particle[low - z.start : high - z.start]
        out[low:high, y, x] = planes
        return float(np.vdot(planes, planes))
