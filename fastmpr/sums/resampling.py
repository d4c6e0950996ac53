"""Cubic-spline resampling of volumes on rotated grids, and the position of one grid in another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, Vector
from ..kernels.periodic_edges import wrap_ends, wrap_planes
from ..kernels.spline_coefficients import HORIZON, MARGIN, spline_columns, spline_planes
from ..kernels.spline_sampling import gather
from ..runtime.threads import Crew


class SplineVolume:
    """A cubic spline through the voxels of a volume, sampled on rotated grids; its buffer is reused for each volume.

    If a crew shares the spline, all members call the same methods, each with its own index ``member``, and wait for one
    another there.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Shape of the largest volume to load.
    dtype : type
        numpy.float32 or numpy.float64.
    crew : Crew, optional
        The threads that share the work; by default the calling thread.
    """

    def __init__(self, shape: Size, dtype: Any, crew: Crew | None = None):
        self.dtype, self.crew = np.dtype(dtype).type, crew or Crew(1)
        self._buffer = np.zeros(math.prod(n + 2 * MARGIN for n in shape), dtype)
        self._coefficients = self._buffer

    def load(self, volume: NDArray, member: int = 0) -> None:
        """Copy a volume into the buffer, and compute its spline coefficients."""
        a = self._buffer_for(volume.shape, member)
        horizon, inside = HORIZON[self.dtype], slice(MARGIN, -MARGIN)
        first, last = self.crew.share(volume.shape[0], member)
        a[inside, inside, inside][first:last] = volume[first:last]
        spline_planes(a, horizon, first, last)
        self.crew.barrier(member)
        spline_columns(a, horizon, *self.crew.share(a[0].size, member))
        self.crew.barrier(member)

    def load_coefficients(self, image: NDArray, shape: Size, member: int = 0) -> None:
        """Copy the spline coefficients of a periodic volume of a shape into the buffer; rows of ``image`` may be longer."""
        a = self._buffer_for(shape, member)
        wrap_planes(image, a, *self.crew.share(shape[0], member))
        self.crew.barrier(member)
        if member == 0:
            wrap_ends(a)
        self.crew.barrier(member)

    def sample(
        self, out: NDArray, matrix: NDArray, origin: NDArray, centre: NDArray, member: int = 0, nx: int | None = None
    ) -> float:
        """Fill out[p] with the spline at ``matrix (p - centre) + origin``, zero outside it; return the sum of squares.

        Each member fills its share of the planes, and returns the sum over these. Rows are filled up to ``nx``, if given.
        """
        matrix, planes = np.ascontiguousarray(matrix), self.crew.share(out.shape[0], member)
        return gather(self._coefficients, matrix, origin, out, nx or out.shape[2], centre, *planes)

    @property
    def coefficients(self) -> NDArray:
        """The spline coefficients of the current volume, without margins."""
        inside = slice(MARGIN, -MARGIN)
        return self._coefficients[inside, inside, inside]

    def _buffer_for(self, shape: Size, member: int) -> NDArray:
        """Return the part of the buffer for a volume of a shape and its margins."""
        sizes = [n + 2 * MARGIN for n in shape]
        a = self._buffer[: math.prod(sizes)].reshape(sizes)
        if member == 0:
            self._coefficients = a
        return a


def middle(shape: Size) -> NDArray:
    """Return the centre of a volume in samples, (n - 1) / 2 on each axis."""
    return (np.array(shape) - 1) / 2


def inner(padded: Size, shape: Size) -> tuple[slice, ...]:
    """Return the slices of a model of ``shape`` in its padded grid: in the middle, or half a voxel before it."""
    return tuple(slice((m - n) // 2, (m - n) // 2 + n) for m, n in zip(padded, shape, strict=True))


def inner_centre(padded: Size, shape: Size) -> NDArray:
    """Return the centre of the model in samples of its padded grid."""
    return np.array([part.start for part in inner(padded, shape)]) + middle(shape)


def particle_samples(
    rotation: NDArray, translation: NDArray, particle_shape: Size, particle_voxel: Vector, model_voxel: Vector
) -> tuple[NDArray, NDArray]:
    """Return (matrix, origin), which map an offset p from the model's centre, in voxels, to particle samples.

    The sample is matrix p + origin: the point R p + t of the pose, as a length, divided by the particle's voxel.
    """
    voxel = np.array(particle_voxel)
    return rotation * np.array(model_voxel) / voxel[:, None], middle(particle_shape) + translation / voxel


def model_samples(
    rotation: NDArray, translation: NDArray, model_shape: Size, model_voxel: Vector, particle_voxel: Vector
) -> tuple[NDArray, NDArray]:
    """Return (matrix, origin) of the inverse, which map an offset from the particle's centre to model samples."""
    voxel = np.array(model_voxel)
    back = rotation.T / voxel[:, None]
    return back * np.array(particle_voxel), middle(model_shape) - back @ translation
