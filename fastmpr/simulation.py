"""Simulate the views that a microscope takes of a particle in given poses."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from ._validation import (
    Size,
    Vector,
    as_array,
    as_choice,
    as_intensities,
    as_number,
    as_rng,
    as_shape,
    as_volume,
    as_voxel_size,
)
from .geometry.poses import Poses
from .runtime.limits import check_memory
from .runtime.stopping import Event, as_stop
from .runtime.threads import Team, as_workers
from .sums.resampling import SplineVolume, inner, middle, model_samples
from .sums.transfer import TransferFunction, table_bytes
from .views.types import Frame, Volume, VoxelSize


def simulate(
    x: Volume,
    psf: Volume,
    poses: Poses,
    *,
    noise_sigma: float = 0.0,
    frame: Frame = "particle",
    voxel_size: VoxelSize = 1.0,
    psf_voxel_size: VoxelSize | None = None,
    model_voxel_size: VoxelSize | None = None,
    shape: int | Size | None = None,
    boxes: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    workers: int | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> NDArray:
    """Simulate views of a particle: move it to each pose, blur it with the PSF, add white Gaussian noise.

    Parameters
    ----------
    x : (nz, ny, nx) ndarray
        The particle, in the frame of the model.
    psf : (nz, ny, nx) ndarray
        PSF in the frame of the microscope, centred at ``size // 2``; it is normalised to a sum of 1.
    poses : Poses
        N poses.
    noise_sigma : float
        Standard deviation of the noise.
    frame : {"particle", "model"}
        ``"particle"``: views as the microscope sees them. ``"model"``: views that are already aligned, that is, the particle
        blurred by the rotated PSF, as in eq. (3) of [1]_; translations are then ignored.
    voxel_size : float or (z, y, x)
        Voxel size of the views.
    psf_voxel_size, model_voxel_size : float or (z, y, x), optional
        Voxel sizes of ``psf`` and of ``x``; by default that of the views.
    shape : int or (nz, ny, nx), optional
        Shape of a view; by default that of ``x``.
    boxes : (N, 3, 2) array_like of int, optional
        The part of each view that is seen, as (first, last + 1) voxel along z, y and x. All other voxels are NaN.
    rng : numpy.random.Generator or int, optional
        Source of the noise, or its seed.
    workers : int, optional
        Number of threads at most; by default all that this process may use. Small tasks take fewer.
    cancel : threading.Event, optional
        Or any object with ``is_set()``. It is checked between views; the call ends once it is set.
    timeout : float, optional
        Seconds after which the call ends.

    Returns
    -------
    (N, nz, ny, nx) ndarray
        float64 if ``x`` is, else float32.

    Raises
    ------
    ValueError
        If an argument is not finite or out of its range.
    MemoryError
        At once, if the memory that this process may use is too small for the views.
    Cancelled
        If ``cancel`` is set or the ``timeout`` passes before all views are simulated.

    References
    ----------
    .. [1] D. Fortun et al., "Reconstruction from multiple particles for 3D isotropic resolution in fluorescence
       microscopy", IEEE Transactions on Medical Imaging 37(5), 2018.

    Examples
    --------
    >>> import fastmpr
    >>> x = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> fastmpr.simulate(x, psf, fastmpr.Poses.random(2, rng=0), noise_sigma=0.1, rng=0).shape
    (2, 24, 24, 24)
    """
    stop = as_stop("simulate", cancel, timeout)
    x = as_intensities(x, "x")
    as_choice(frame, "frame", get_args(Frame))
    if not isinstance(poses, Poses):
        raise TypeError(f"poses: found {type(poses).__name__}, need fastmpr.Poses")
    most = 0.01 * float(np.finfo(x.dtype).max)
    noise_sigma = as_number(noise_sigma, "noise_sigma", 0, most, f"a number from 0 to {most:.2g} in {x.dtype}")
    generator = as_rng(rng)
    voxel = as_voxel_size(voxel_size)
    translation = poses.about_middle(x.shape if shape is None else shape, voxel).translation
    psf_voxel = voxel if psf_voxel_size is None else as_voxel_size(psf_voxel_size, "psf_voxel_size")
    model_voxel = voxel if model_voxel_size is None else as_voxel_size(model_voxel_size, "model_voxel_size")
    size = x.shape if shape is None else as_shape(shape)
    if frame == "model" and (size != x.shape or not np.allclose(voxel, model_voxel)):
        raise ValueError(
            f"shape: found {size} at {voxel}, need the grid of x with frame='model': {x.shape} at {model_voxel}"
        )
    crops = None if boxes is None else _as_boxes(boxes, len(poses), size)
    psf = as_volume(psf, "psf")
    check_memory("shape", size, len(poses) * math.prod(size) * x.itemsize)
    grid = _unwrapped(size, voxel, psf.shape, psf_voxel)
    team = Team(min(as_workers(workers, math.prod(grid) * len(poses)), len(poses)), stop.check)
    check_memory("psf", psf.shape, table_bytes(psf.shape, x.dtype) + 6 * x.itemsize * team.size * math.prod(grid))
    blurred = _Microscope(TransferFunction(psf, psf_voxel, x.dtype, team.size), grid, size, voxel, x.dtype)
    views = np.empty((len(poses), *size), x.dtype)

    def fill(member: int) -> None:
        spline = SplineVolume(x.shape, x.dtype)
        spline.load(x)
        posed = np.empty(size, x.dtype)
        for i in range(*team.share(len(poses), member)):
            team.check()
            rotation = poses.matrix[i]
            if frame == "model":
                views[i] = blurred(x, rotation)
                continue
            matrix, origin = model_samples(rotation, translation[i], x.shape, model_voxel, voxel)
            spline.sample(posed, matrix, origin, middle(size))
            views[i] = blurred(posed, np.eye(3))

    team.run(fill)
    if noise_sigma > 0:
        for view in views:
            stop.check()
            view += noise_sigma * generator.standard_normal(size, dtype=x.dtype)
    if crops is not None:
        _crop(views, crops)
    return views


def _as_boxes(boxes: ArrayLike, count: int, shape: Size) -> NDArray:
    """Check the boxes: one per view, inside of the view's shape."""
    array = as_array(boxes, "boxes")
    if array.shape != (count, 3, 2) or array.dtype.kind not in "iu":
        raise ValueError(f"boxes: found {array.dtype} of shape {array.shape}, need integers of shape ({count}, 3, 2)")
    first, last = array[..., 0], array[..., 1]
    if not ((first >= 0) & (first < last) & (last <= shape)).all():
        raise ValueError(f"boxes: found one that is empty or leaves a view of {shape}, need 0 <= first < last there")
    return array


def _crop(views: NDArray, boxes: NDArray) -> None:
    """Set views to NaN outside of their boxes."""
    for view, (z, y, x) in zip(views, boxes, strict=True):
        for axis, (first, last) in enumerate((z, y, x)):
            planes = np.moveaxis(view, axis, 0)
            planes[:first] = planes[last:] = np.nan


def _unwrapped(shape: Size, voxel: Vector, psf_shape: Size, psf_voxel: Vector) -> Size:
    """Return a grid with fast FFTs, padded so that no light wraps around in any rotation of the PSF."""
    reach = np.ceil(np.max(np.multiply(psf_shape, psf_voxel)) / np.array(voxel) / 2)
    z, y, x = (scipy.fft.next_fast_len(int(n + r), real=True) for n, r in zip(shape, reach, strict=True))
    return z, y, x


class _Microscope:
    """Convolution with a PSF in any rotation."""

    def __init__(self, transfer: TransferFunction, grid: Size, shape: Size, voxel: Vector, dtype: Any):
        self.transfer, self.grid, self.voxel, self.dtype = transfer, grid, voxel, dtype
        self.inside = inner(grid, shape)

    def __call__(self, x: NDArray, rotation: NDArray) -> NDArray:
        padded = np.zeros(self.grid, self.dtype)
        padded[self.inside] = x
        spectrum = scipy.fft.rfftn(padded)
        spectrum *= self.transfer.sample(rotation, self.grid, self.voxel)
        return scipy.fft.irfftn(spectrum, self.grid)[self.inside]
