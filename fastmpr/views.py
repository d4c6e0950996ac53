"""The views as they come: checked, and brought one by one into the frame of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validation import Size, Vector, as_shape, as_volume
from .poses import Poses
from .resampling import SplineVolume, inner, inner_centre, particle_samples


class Views:
    """Particles and their poses, which belong together.

    Parameters
    ----------
    particles : sequence of N (nz, ny, nx) arrays
        Anything with ``len`` and ``[i]``.
    poses : Poses
        N poses.
    frame : {"particle", "model"}
        Whether the particles are as imaged or already aligned with the model.
    particle_voxel : (z, y, x)
        Voxel of the particles.

    Attributes
    ----------
    particle_shape : (nz, ny, nx)
    dtype : type
        float64 if the first particle has it, else float32.
    voxel_size : (z, y, x)
        The model's cubic voxel: the smallest side of the particles'.

    Raises
    ------
    ValueError
        If the counts disagree, or the first particle is not a finite volume.
    """

    def __init__(self, particles: Sequence[ArrayLike] | NDArray, poses: Poses, frame: str, particle_voxel: Vector):
        if frame not in ("particle", "model"):
            raise ValueError(f"frame: found {frame!r}, need 'particle' or 'model'")
        if not isinstance(poses, Poses):
            raise TypeError(f"poses: found {type(poses).__name__}, need fastmpr.Poses")
        if not (hasattr(particles, "__len__") and hasattr(particles, "__getitem__")):
            raise TypeError(f"particles: found {type(particles).__name__}, need a sequence of 3-D arrays")
        if len(particles) != len(poses) or len(poses) == 0:
            raise ValueError(
                f"particles: found {len(particles)} for {len(poses)} poses, need one each, and at least one"
            )
        edge = min(particle_voxel)
        if frame == "model" and not np.allclose(particle_voxel, edge):
            raise ValueError(f"voxel_size: found {particle_voxel}, need cubic voxels with frame='model'")
        self.particles, self.poses, self.frame, self.particle_voxel = particles, poses, frame, particle_voxel
        first = as_volume(particles[0], "particles[0]")
        self.particle_shape: Size = first.shape
        self.dtype = first.dtype.type
        self.voxel_size: Vector = (edge, edge, edge)

    def model_shape(self, shape: int | Size | None = None) -> Size:
        """Return the shape of the model: ``shape``, or what covers a particle image at the model's voxel."""
        if shape is not None:
            return as_shape(shape)
        extent = np.multiply(self.particle_shape, self.particle_voxel) / self.voxel_size
        return as_shape(np.rint(extent).astype(int).tolist())

    def load(self, i: int) -> NDArray:
        """Return particle ``i``, checked."""
        particle = as_volume(self.particles[i], f"particles[{i}]")
        if particle.shape != self.particle_shape:
            raise ValueError(
                f"particles[{i}]: found shape {particle.shape}, need {self.particle_shape} like the first particle"
            )
        return particle


class Foreground(Sequence[NDArray]):
    """Particles without their background, one at a time: each less the median of its darkest face.

    Cameras add an offset and cells a haze, but the model assumes darkness wherever a view saw nothing. A particle seldom
    reaches all six faces of its image, so the darkest face shows the background; noise alone lowers it by about a
    twentieth of its standard deviation.

    Parameters
    ----------
    particles : sequence of (nz, ny, nx) arrays
        Anything with ``len`` and ``[i]``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.views import Foreground
    >>> particles = np.full((2, 5, 5, 5), 100.0)
    >>> particles[:, 2, 2, 2] += 7
    >>> foreground = Foreground(particles)
    >>> len(foreground), float(foreground[0].max()), float(foreground[1].min())
    (2, 7.0, 0.0)
    """

    def __init__(self, particles: Sequence[ArrayLike] | NDArray):
        if not (hasattr(particles, "__len__") and hasattr(particles, "__getitem__")):
            raise TypeError(f"particles: found {type(particles).__name__}, need a sequence of 3-D arrays")
        self.particles = particles

    def __len__(self) -> int:
        return len(self.particles)

    def __getitem__(self, i: Any) -> Any:
        particle = as_volume(self.particles[i], f"particles[{i}]")
        faces = (np.take(particle, end, axis) for axis in range(3) for end in (0, -1))
        return particle - min(np.median(face) for face in faces).astype(particle.dtype)


class Aligner:
    """Brings views into the model's frame, on a grid that holds the model in its middle; one per thread."""

    def __init__(self, views: Views, grid: Size, model: Size):
        self.views, self.inside = views, inner(grid, model)
        self.centre = inner_centre(grid, model)
        self.spline = SplineVolume(views.particle_shape, views.dtype)
        if views.frame == "model" and model != views.particle_shape:
            raise ValueError(f"shape: found {model}, need {views.particle_shape}, the views' own, with frame='model'")

    def align(self, i: int, out: NDArray) -> float:
        """Fill ``out`` with view ``i``, zero where it was not seen; return the sum of squares."""
        particle = self.views.load(i)
        if self.views.frame == "model":
            out[:] = 0
            out[self.inside] = particle
            return float(np.vdot(particle, particle))
        self.spline.load(particle)
        return self.resample(i, out)

    def resample(self, i: int, out: NDArray) -> float:
        """Sample the loaded spline as view ``i`` sees the model."""
        views = self.views
        matrix, origin = particle_samples(
            views.poses.matrix[i],
            views.poses.translation[i],
            views.particle_shape,
            views.particle_voxel,
            views.voxel_size,
        )
        return self.spline.sample(out, matrix, origin, self.centre)
