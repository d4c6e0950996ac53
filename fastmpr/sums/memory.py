"""The memory that sums take: how many crews can have their own, and whether they fit at all."""

from __future__ import annotations

import math

import numpy as np

from .._validation import Size
from ..kernels.spline_coefficients import MARGIN
from ..runtime.fft import half_shape, wide_size
from ..runtime.limits import check_memory
from ..views.dataset import Dataset
from .transfer import table_bytes

_HOARD = 1 << 25  # bytes of buffers in all crews, above which threads share a crew


def crew_count(threads: int, each: int, tasks: int) -> int:
    """Return the number of crews in a team: one per thread, or fewer if the buffers of a crew are large.

    So memory does not grow with the number of cores. The threads of one crew share the planes of each view.
    """
    return max(1, min(threads, tasks, max(2, _HOARD // each)))


def spline_bytes(data: Dataset) -> int:
    """Return the bytes of a particle as a spline."""
    return _size(data) * math.prod(n + 2 * MARGIN for n in data.particle_shape)


def image_bytes(data: Dataset, grid: Size) -> int:
    """Return the bytes of a view on a grid; its spectrum uses the same memory."""
    return _size(data) * wide_size(grid)


def part_bytes(data: Dataset, grid: Size) -> int:
    """Return the bytes of the sums of one group: gram, and the complex rhs."""
    return 3 * _size(data) * math.prod(half_shape(grid))


def check_fits(data: Dataset, model: Size, grid: Size, need: int) -> None:
    """Check that ``need`` bytes fit in memory, or raise an error that names the argument which causes the need.

    Raises
    ------
    MemoryError
        If they cannot fit.
    """
    if model != data.model_shape():
        check_memory("shape", model, need)
    elif model == data.particle_shape:
        check_memory("particles", model, need)
    else:
        check_memory("voxel_size", data.voxel_size, need, f"more equal sides than for a grid of {grid}, or a shape=")


def check_tables_fit(data: Dataset) -> None:
    """Check that the transfer functions of the PSFs fit in memory.

    Raises
    ------
    MemoryError
        If they cannot fit.
    """
    for psf in data.psfs:
        check_memory("psf", psf.shape, table_bytes(psf.shape, data.dtype))


def _size(data: Dataset) -> int:
    return np.dtype(data.dtype).itemsize
