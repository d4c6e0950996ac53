"""Real FFTs with their buffers, planned once, executed for ever.

Plans have one thread each; a team executes several side by side. They are FFTW's estimated ones, which take no time and
are the same on every run, so results are too; only for large grids are they measured, unless the same bits are asked for.
"""

from __future__ import annotations

import math
import os
import threading
from typing import Any

import numpy as np
import pyfftw
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import DTypeLike, NDArray

from .._validation import Size
from .threads import Crew, Team

_PLANNING = threading.Lock()  # FFTW's planner holds global state
if hasattr(os, "register_at_fork"):  # a child of a process that is planning would wait for ever for its turn
    os.register_at_fork(before=_PLANNING.acquire, after_in_parent=_PLANNING.release, after_in_child=_PLANNING.release)
_BLOCK_BYTES = 1 << 19  # a block of columns stays in a core's second-level cache between its two transforms
_LARGE = 1 << 20  # voxels from which a measured plan repays the time it takes to find


def fast_shape(shape: Size) -> Size:
    """Return the smallest sizes, not below ``shape``, whose real FFT is fast."""
    nz, ny, nx = shape
    length = scipy.fft.next_fast_len
    return length(nz), length(ny), length(nx, real=True)


def half_shape(shape: Size) -> Size:
    """Return the shape of `numpy.fft.rfftn` of an array of ``shape``."""
    return shape[0], shape[1], shape[2] // 2 + 1


def complex_dtype(dtype: DTypeLike) -> Any:
    """Return the complex type of the same precision."""
    return np.result_type(dtype, np.complex64)


def _plan(
    source: NDArray, target: NDArray, axes: tuple[int, ...], direction: str, effort: str = "FFTW_ESTIMATE"
) -> pyfftw.FFTW:
    """Plan a transform; an ``effort`` of FFTW_MEASURE overwrites both arrays."""
    with _PLANNING:
        return pyfftw.FFTW(source, target, axes=axes, direction=direction, flags=(effort,), threads=1)


class ForwardFFT:
    """A real forward FFT of one volume by a crew: fill ``image``, `execute` in every member, read ``spectrum``.

    Then a member may read its own planes of ``spectrum``, and fill its own of ``image`` for the next one.
    """

    def __init__(self, shape: Size, dtype: DTypeLike, crew: Crew | None = None):
        self.crew = crew or Crew(1)
        self.image = pyfftw.zeros_aligned(shape, dtype)
        self.spectrum = pyfftw.zeros_aligned(half_shape(shape), complex_dtype(dtype))
        if self.crew.size == 1:
            self._planes, self._columns = [_plan(self.image, self.spectrum, (0, 1, 2), "FFTW_FORWARD")], []
            return
        planes, rows = ([self.crew.share(n, member) for member in range(self.crew.size)] for n in shape[:2])
        columns = [self.spectrum[:, a:b] for a, b in rows]
        self._planes = [_plan(self.image[a:b], self.spectrum[a:b], (1, 2), "FFTW_FORWARD") for a, b in planes]
        self._columns = [_plan(part, part, (0,), "FFTW_FORWARD") for part in columns]

    def execute(self, member: int = 0) -> None:
        """Transform ``image``."""
        self._planes[member].execute()
        if self._columns:
            self.crew.barrier(member)
            self._columns[member].execute()
            self.crew.barrier(member)


class SlabFFT:
    """The FFT pair of an iteration, cut into slabs of planes and blocks of columns for a team.

    `forward_planes`, then a column transform of every block, make the real FFT of ``feedback`` in ``spectrum``; the
    column transforms back and `inverse_planes` make ``image`` (unnormalised, and ``spectrum`` is lost). Between the two
    column transforms a block is still in cache: the solver does its pointwise work there.

    Rows of the real arrays are two columns wider than the grid, and ``image`` has two rows more per plane, for what
    `kernels.wrap_edges` writes there.

    Attributes
    ----------
    feedback : (nz, ny, nx + 2) real
    spectrum : (nz, ny, nx // 2 + 1) complex
    scratch : (nz, ny, nx + 2) real
        The memory of ``spectrum``, free after `inverse_planes`.
    image : (nz, ny + 3, nx + 2) real
    slabs : list of (first plane, last plane + 1), one per member
    blocks : list of lists of (first row, last row + 1, forward, inverse), one list per member
    """

    def __init__(self, shape: Size, dtype: DTypeLike, team: Team, deterministic: bool):
        nz, ny, nx = shape
        self._effort = "FFTW_ESTIMATE" if deterministic or math.prod(shape) < _LARGE else "FFTW_MEASURE"
        wide = (nz, ny, nx + 2)
        memory = pyfftw.zeros_aligned(math.prod(wide), dtype)
        used = memory[: 2 * math.prod(half_shape(shape))]
        self.spectrum = used.view(complex_dtype(dtype)).reshape(half_shape(shape))
        self.scratch = memory.reshape(wide)
        self.feedback = pyfftw.zeros_aligned(wide, dtype)
        self.image = pyfftw.zeros_aligned((nz, ny + 3, nx + 2), dtype)
        self.slabs = [team.share(nz, member) for member in range(team.size)]
        self.blocks = [self._plan_blocks(*team.share(ny, member)) for member in range(team.size)]
        source, target, effort = self.feedback[:, :, :nx], self.image[:, :ny, :nx], self._effort
        self._forward = [_plan(source[a:b], self.spectrum[a:b], (1, 2), "FFTW_FORWARD", effort) for a, b in self.slabs]
        self._inverse = [_plan(self.spectrum[a:b], target[a:b], (1, 2), "FFTW_BACKWARD", effort) for a, b in self.slabs]
        self.feedback[:] = 0

    def _plan_blocks(self, first: int, last: int) -> list[tuple[int, int, Any, Any]]:
        step = max(1, _BLOCK_BYTES // (self.spectrum[:, 0].nbytes))
        blocks = []
        for start in range(first, last, step):
            stop = min(start + step, last)
            rows = self.spectrum[:, start:stop]
            forward, inverse = (_plan(rows, rows, (0,), f"FFTW_{way}", self._effort) for way in ("FORWARD", "BACKWARD"))
            blocks.append((start, stop, forward.execute, inverse.execute))
        return blocks

    def forward_planes(self, member: int) -> None:
        """Transform a member's planes of ``feedback`` into ``spectrum`` along y and x."""
        self._forward[member].execute()

    def inverse_planes(self, member: int) -> None:
        """Transform a member's planes of ``spectrum`` into ``image`` along y and x."""
        self._inverse[member].execute()
