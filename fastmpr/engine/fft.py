"""Real FFTs with their buffers, planned once, executed for ever.

Plans have one thread each; a team executes several side by side. They are FFTW's estimated ones, made in a millisecond
and the same on every run, so results are too; measured ones take up to a second, in which no other thread may plan. Arrays
are laid out so that little is lost by that.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyfftw
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import DTypeLike, NDArray

from .._validation import Size
from .threads import Crew, Team

_PLANNING = threading.Lock()  # FFTW's planner holds global state
if hasattr(os, "register_at_fork"):  # a child of a process that is planning would wait for ever for its turn
    os.register_at_fork(before=_PLANNING.acquire, after_in_parent=_PLANNING.release, after_in_child=_PLANNING.release)
_BLOCK_BYTES = 1 << 18  # a block of columns stays in a core's second-level cache between its two transforms


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


def _plan(source: NDArray, target: NDArray, axes: tuple[int, ...], direction: str) -> pyfftw.FFTW:
    """Plan a transform."""
    with _PLANNING:
        return pyfftw.FFTW(source, target, axes=axes, direction=direction, flags=("FFTW_ESTIMATE",), threads=1)


class _Plans:
    """What holds plans, and destroys them as it made them: with the lock, or a fork could come inside of pyFFTW."""

    def free(self) -> None:
        """Let go of plans and buffers."""
        with _PLANNING:
            vars(self).clear()


class ForwardFFT(_Plans):
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


class SlabFFT(_Plans):
    """The FFT pair of an iteration, cut into slabs of planes and blocks of columns for a team.

    `forward_planes`, then each block's ``forward``, make the real FFT of ``feedback``; each block's ``inverse`` and
    `inverse_planes` make ``image`` of it (unnormalised). Between the two, a block's columns stand by themselves in
    ``columns``, one after another and in cache: the solver does its pointwise work there.

    Rows of the real arrays are two columns wider than the grid, and ``image`` has three rows more per plane, for what
    `kernels.wrap_edges` writes there.

    Attributes
    ----------
    feedback : (nz, ny, nx + 2) real
    scratch : (nz, ny, nx + 2) real
        Free memory after `inverse_planes`.
    image : (nz, ny + 3, nx + 2) real
    slabs : list of (first plane, last plane + 1), one per member
    rows : list of (first row, last row + 1), one per member: where its blocks are
    blocks : list of lists of Block, one list per member
    """

    def __init__(self, shape: Size, dtype: DTypeLike, team: Team):
        nz, ny, nx = shape
        half = half_shape((nz, ny + 1, nx))  # one row more: planes at a power of two would share their places in cache
        wide = (nz, ny, nx + 2)
        memory = pyfftw.zeros_aligned(max(math.prod(wide), 2 * math.prod(half)), dtype)
        spectrum = memory[: 2 * math.prod(half)].view(complex_dtype(dtype)).reshape(half)[:, :ny]
        self.scratch = memory[: math.prod(wide)].reshape(wide)
        self.feedback = pyfftw.zeros_aligned(wide, dtype)
        self.image = pyfftw.zeros_aligned((nz, ny + 3, nx + 2), dtype)
        self.slabs = [team.share(nz, member) for member in range(team.size)]
        self.rows = [team.share(ny, member) for member in range(team.size)]
        self.blocks = [_blocks(spectrum, *rows) for rows in self.rows]
        source, target = self.feedback[:, :, :nx], self.image[:, :ny, :nx]
        self._forward = [_plan(source[a:b], spectrum[a:b], (1, 2), "FFTW_FORWARD") for a, b in self.slabs]
        self._inverse = [_plan(spectrum[a:b], target[a:b], (1, 2), "FFTW_BACKWARD") for a, b in self.slabs]

    def forward_planes(self, member: int) -> None:
        """Transform a member's planes of ``feedback`` along y and x."""
        self._forward[member].execute()

    def inverse_planes(self, member: int) -> None:
        """Transform a member's planes into ``image`` along y and x."""
        self._inverse[member].execute()


class Block(NamedTuple):
    """Some columns of a spectrum, and the transforms along them.

    Attributes
    ----------
    first, last : int
        First row, and last + 1.
    columns : (rows, nx // 2 + 1, nz) complex
        What ``forward`` fills and ``inverse`` reads.
    """

    first: int
    last: int
    columns: NDArray
    forward: Callable[[], None]
    inverse: Callable[[], None]


def _blocks(spectrum: NDArray, first: int, last: int) -> list[Block]:
    """Cut rows into blocks that share one buffer.

    Out of place, and with each column's samples side by side, FFTW's estimated plans are as fast as its measured ones.
    """
    nz, _, half = spectrum.shape
    step = max(1, min(last - first, _BLOCK_BYTES // spectrum[:, 0].nbytes))
    buffer = pyfftw.zeros_aligned((step, half, nz), spectrum.dtype)
    blocks = []
    for start in range(first, last, step):
        stop = min(start + step, last)
        columns = buffer[: stop - start]
        rows, turned = spectrum[:, start:stop], columns.transpose(2, 0, 1)
        forward = _plan(rows, turned, (0,), "FFTW_FORWARD")
        inverse = _plan(turned, rows, (0,), "FFTW_BACKWARD")
        blocks.append(Block(start, stop, columns, forward.execute, inverse.execute))
    return blocks
