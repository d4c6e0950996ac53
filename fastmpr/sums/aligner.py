"""Views brought into the frame of the model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._validation import Size
from ..data.dataset import Dataset
from .resampling import SplineVolume, inner, inner_centre, middle, particle_samples


class Aligner:
    """Brings views into the model's frame, on a grid that holds the model in its middle; one per thread.

    Parameters
    ----------
    data : Dataset
        With poses.
    grid, model : (nz, ny, nx)
        Of the grid, and of the model in its middle.

    Raises
    ------
    ValueError
        If views that are already aligned do not have the model's shape.
    """

    def __init__(self, data: Dataset, grid: Size, model: Size):
        shape = data.particle_shape
        if data.frame == "model" and model != shape:
            raise ValueError(f"shape: found {model}, need {shape}, the views' own, with frame='model'")
        self.data, self.inside, self.centre = data, inner(grid, model), inner_centre(grid, model)
        self.spline = SplineVolume(shape, data.dtype)

    def rotations(self, i: int) -> NDArray[np.float64]:
        """Return the rotations (n, 3, 3) that the particle's symmetry cannot tell from view ``i``'s, its own first."""
        own = self.data.placed.matrix[i]
        return own[np.newaxis] if self.data.symmetry is None else own @ self.data.group

    def align(self, i: int, out: NDArray) -> Iterator[tuple[NDArray, float]]:
        """Fill ``out`` with view ``i``, zero where it was not seen, once for each of its `rotations`.

        The particle is read once. Yields the rotation and the sum of squares.
        """
        particle = self.data.read(i)
        rotations = self.rotations(i)
        if self.data.frame == "particle" or len(rotations) > 1:
            self.spline.load(particle)
        for k, rotation in enumerate(rotations):
            if self.data.frame == "model" and k == 0:
                out[:] = 0
                out[self.inside] = particle
                yield rotation, float(np.vdot(particle, particle))
            else:
                yield rotation, self.resample(i, k, out)

    def resample(self, i: int, k: int, out: NDArray) -> float:
        """Sample the loaded spline as view ``i`` sees the model in its ``k``-th rotation; return the sum of squares."""
        data = self.data
        if data.frame == "model":  # already turned by R: what is left is the element of the group
            return self.spline.sample(out, data.group[k], middle(data.particle_shape), self.centre)
        matrix, origin = particle_samples(
            self.rotations(i)[k], data.placed.translation[i], data.particle_shape, data.voxel_size, data.model_voxel
        )
        return self.spline.sample(out, matrix, origin, self.centre)
