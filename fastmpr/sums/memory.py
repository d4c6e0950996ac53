"""What the sums take in memory: how many are made side by side, and whether they fit at all."""

from __future__ import annotations

import math

import numpy as np

from .._validation import Size
from ..kernels.spline_coefficients import MARGIN
from ..runtime.fft import half_shape, wide_size
from ..runtime.limits import check_memory
from ..views.dataset import Dataset
from .transfer import table_bytes

_HOARD = 1 << 25  # bytes of buffers that may stand side by side before threads share them instead


def crew_count(threads: int, each: int, tasks: int) -> int:
    """Return into how many crews to cut a team: one per thread, or fewer where each crew's buffers are large.

    So memory does not grow with the cores; threads that share a crew share the planes of each view.
    """
    return max(1, min(threads, tasks, max(2, _HOARD // each)))


def spline_bytes(data: Dataset) -> int:
    """Return the size of a particle as a spline."""
    return _size(data) * math.prod(n + 2 * MARGIN for n in data.particle_shape)


def image_bytes(data: Dataset, grid: Size) -> int:
    """Return the size of a view's image on a grid, whose place its spectrum takes."""
    return _size(data) * wide_size(grid)


def part_bytes(data: Dataset, grid: Size) -> int:
    """Return the size of the sums over some views: gram, and the complex rhs."""
    return 3 * _size(data) * math.prod(half_shape(grid))


def check_fits(data: Dataset, model: Size, grid: Size, need: int) -> None:
    """Refuse, in the name of the argument that asks for so much, what cannot fit in memory.

    Raises
    ------
    MemoryError
    """
    if model != data.model_shape():
        check_memory("shape", model, need)
    elif model == data.particle_shape:
        check_memory("particles", model, need)
    else:
        check_memory("voxel_size", data.voxel_size, need, f"sides more alike than for a grid of {grid}, or a shape=")


def check_tables_fit(data: Dataset) -> None:
    """Refuse PSFs whose transfer functions cannot fit in memory.

    Raises
    ------
    MemoryError
    """
    for psf in data.psfs:
        check_memory("psf", psf.shape, table_bytes(psf.shape, data.dtype))


def _size(data: Dataset) -> int:
    return np.dtype(data.dtype).itemsize
