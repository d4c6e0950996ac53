"""Real FFTs with their buffers, planned once, executed for ever.

Plans have one thread each; a team executes several side by side. They are FFTW's estimated ones, made in a millisecond
and the same on every run, so results are too; measured ones take seconds, in which no other thread may plan. Arrays are
laid out so that little is lost by that. What `measure_plans` found out for a large grid is used from then on.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyfftw
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import DTypeLike, NDArray

from .._validation import Size
from . import wisdom
from .threads import Crew, Team

Run: TypeAlias = Callable[[], None]

_FORWARD, _BACKWARD = "FFTW_FORWARD", "FFTW_BACKWARD"
_ESTIMATE, _PATIENT = "FFTW_ESTIMATE", "FFTW_PATIENT"
_PLANNING = threading.RLock()  # FFTW's planner holds global state
if hasattr(os, "register_at_fork"):  # a child of a process that is planning would wait for ever for its turn
    os.register_at_fork(before=_PLANNING.acquire, after_in_parent=_PLANNING.release, after_in_child=_PLANNING.release)
_CACHED_BYTES = 1 << 20  # a spectrum that stays in the second-level caches
_BLOCK_BYTES = 1 << 18  # some planes, or some columns: two such buffers stay in a core's second-level cache


def fast_shape(shape: Size) -> Size:
    """Return the smallest sizes, not below ``shape``, whose real FFT is fast.

    FFTW transforms real rows of odd length at half the speed of even ones; it knows 13 as a factor, once.
    """
    nz, ny, nx = shape
    length = scipy.fft.next_fast_len
    even = 2 * min(factor * length(math.ceil(nx / (2 * factor))) for factor in (1, 13))
    return length(nz), length(ny), even if nx > 1 else 1


def half_shape(shape: Size) -> Size:
    """Return the shape of `numpy.fft.rfftn` of an array of ``shape``."""
    return shape[0], shape[1], shape[2] // 2 + 1


def _width(nx: int) -> int:
    """Return the length of a row of `SlabFFT`: two columns more at least, and even, so that a spectrum's row fits in."""
    return nx + 2 + nx % 2


def wide_size(shape: Size) -> int:
    """Return the elements of a volume with rows as long as those of `SlabFFT`."""
    nz, ny, nx = shape
    return nz * ny * _width(nx)


def complex_dtype(dtype: DTypeLike) -> Any:
    """Return the complex type of the same precision."""
    return np.result_type(dtype, np.complex64)


def _plan(
    source: NDArray, target: NDArray, axes: tuple[int, ...], direction: str, effort: str = _ESTIMATE
) -> pyfftw.FFTW:
    """Plan a transform."""
    with _PLANNING:
        return pyfftw.FFTW(source, target, axes=axes, direction=direction, flags=(effort,), threads=1)


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
            self._planes, self._columns = [_plan(self.image, self.spectrum, (0, 1, 2), _FORWARD)], []
            return
        planes, rows = ([self.crew.share(n, member) for member in range(self.crew.size)] for n in shape[:2])
        columns = [self.spectrum[:, a:b] for a, b in rows]
        self._planes = [_plan(self.image[a:b], self.spectrum[a:b], (1, 2), _FORWARD) for a, b in planes]
        self._columns = [_plan(part, part, (0,), _FORWARD) for part in columns]

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
    `inverse_planes` make ``image`` of it (unnormalised). Between the two, a block's frequencies stand by themselves in
    ``columns``, and in cache: the solver does its pointwise work there.

    Image and spectrum are one memory, since planes pass through a buffer between the two. Of a large spectrum, a few planes
    or rows at a time are copied into cache and back: FFTW reads and writes its arrays in an order that no prefetcher
    follows, so it is slow on memory, and copies cost little beside that.

    Rows of the real arrays are two or three columns wider than the grid, an even number, and ``image`` has three rows more
    per plane, for what `kernels.wrap_edges` writes there. (Planes at a power of two would share their places in cache.)

    Attributes
    ----------
    feedback : (nz, ny, width) real
    image : (nz, ny + 3, width) real
    slabs : list of (first plane, last plane + 1), one per member
    rows : list of (first row, last row + 1), one per member: where its blocks are
    blocks : list of lists of Block, one list per member
    """

    def __init__(self, shape: Size, dtype: DTypeLike, team: Team, effort: str = _ESTIMATE):
        nz, ny, nx = shape
        self.feedback = pyfftw.zeros_aligned((nz, ny, _width(nx)), dtype)
        self.image = pyfftw.zeros_aligned((nz, ny + 3, _width(nx)), dtype)
        spectrum = self.image.view(complex_dtype(dtype))[:, :ny, : nx // 2 + 1]
        self.slabs = [team.share(nz, member) for member in range(team.size)]
        self.rows = [team.share(ny, member) for member in range(team.size)]
        self.blocks: list[list[Block]] = []
        self._planes: list[list[_Planes]] = []
        source, target = self.feedback[:, :, :nx], self.image[:, :ny, :nx]
        with _PLANNING, wisdom.known(shape, dtype, team.size):
            for slab, rows in zip(self.slabs, self.rows, strict=True):
                pair = _buffers(spectrum, slab, rows)
                self._planes.append(_planes(source, spectrum, target, *slab, pair, effort))
                self.blocks.append(_blocks(spectrum, *rows, pair, effort))

    def forward_planes(self, member: int) -> None:
        """Transform a member's planes of ``feedback`` along y and x."""
        for planes in self._planes[member]:
            planes.forward()

    def inverse_planes(self, member: int) -> None:
        """Transform a member's planes into ``image`` along y and x."""
        for planes in self._planes[member]:
            planes.inverse()


def measure_plans(shape: Size, dtype: DTypeLike, threads: int) -> None:
    """Measure the plans of a `SlabFFT` and keep what came of it, unless that is kept already or the grid is small.

    Raises an OSError where it cannot be kept.
    """
    path = wisdom.file_of(shape, dtype, threads)
    if path is None or wisdom.load(path) is not None:
        return
    with _PLANNING:
        found = wisdom.gather(dtype, lambda: SlabFFT(shape, dtype, Team(threads), _PATIENT).free())
    wisdom.keep(path, found)


class _Planes(NamedTuple):
    """The transforms between some planes of the real arrays and those of the spectrum."""

    forward: Run
    inverse: Run


class Block(NamedTuple):
    """Some rows of a spectrum, and the transforms along z of their columns.

    Attributes
    ----------
    first, last : int
        First row, and last + 1.
    columns : (nz, rows, nx // 2 + 1) complex, contiguous
        What ``forward`` fills and ``inverse`` reads.
    """

    first: int
    last: int
    columns: NDArray
    forward: Run
    inverse: Run


def _cut(first: int, last: int, size: int) -> list[tuple[int, int]]:
    """Cut a range of items of so many bytes into parts that stay in cache."""
    step = max(1, min(last - first, _BLOCK_BYTES // size))
    return [(start, min(start + step, last)) for start in range(first, last, step)]


def _buffers(spectrum: NDArray, slab: tuple[int, int], rows: tuple[int, int]) -> list[NDArray]:
    """Return what a member has in cache: a part of a spectrum before a transform, and after it."""
    cuts = (
        (_cut(*slab, spectrum[0].nbytes), spectrum[0].size),
        (_cut(*rows, spectrum[:, 0].nbytes), spectrum[:, 0].size),
    )
    largest = max((stop - start) * size for parts, size in cuts for start, stop in parts)
    first = pyfftw.zeros_aligned(largest, spectrum.dtype)
    in_place = spectrum.nbytes <= _CACHED_BYTES  # then planes take the first, columns the second, and never at a time
    return [first, first if in_place else pyfftw.zeros_aligned(largest, spectrum.dtype)]


def _view(buffer: NDArray, shape: Size) -> NDArray:
    return buffer[: math.prod(shape)].reshape(shape)


def _in_cache(part: NDArray, spectrum: NDArray, buffer: NDArray) -> NDArray:
    """Return where to copy a part of a spectrum to; the part itself where all is in cache as it is."""
    return part if spectrum.nbytes <= _CACHED_BYTES else _view(buffer, part.shape)


def _pair(source: NDArray, target: NDArray, axis: int, effort: str) -> tuple[Run, Run]:
    """Plan the complex transforms along an axis, there and back."""
    there, back = _plan(source, target, (axis,), _FORWARD, effort), _plan(target, source, (axis,), _BACKWARD, effort)
    return there.execute, back.execute


def _planes(
    source: NDArray, spectrum: NDArray, target: NDArray, first: int, last: int, buffers: list[NDArray], effort: str
) -> list[_Planes]:
    """Cut planes into parts: rows are transformed between the real arrays and one buffer, y between it and the other.

    As one transform of two dimensions, estimated plans take up to twice as long.
    """
    parts: list[_Planes] = []
    along_y: dict[int, tuple[Run, Run]] = {}
    for start, stop in _cut(first, last, spectrum[0].nbytes):
        part = spectrum[start:stop]
        rows, whole = _view(buffers[0], part.shape), _in_cache(part, spectrum, buffers[1])
        key = start if whole is part else stop - start
        if key not in along_y:
            along_y[key] = _pair(rows, whole, 1, effort)
        there = _plan(source[start:stop], rows, (2,), _FORWARD, effort).execute
        back = _plan(rows, target[start:stop], (2,), _BACKWARD, effort).execute
        parts.append(_through_planes(part, whole, there, back, *along_y[key]))
    return parts


def _through_planes(
    part: NDArray, whole: NDArray, rows_there: Run, rows_back: Run, y_there: Run, y_back: Run
) -> _Planes:
    """Return the transforms of some planes, by way of a buffer."""

    def forward() -> None:
        rows_there()
        y_there()
        if whole is not part:
            part[:] = whole

    def inverse() -> None:
        if whole is not part:
            whole[:] = part
        y_back()
        rows_back()

    return _Planes(forward, inverse)


def _blocks(spectrum: NDArray, first: int, last: int, buffers: list[NDArray], effort: str) -> list[Block]:
    """Cut rows into blocks: copied to one buffer, and transformed from it to the other."""
    nz, _, half = spectrum.shape
    blocks: list[Block] = []
    along_z: dict[int, tuple[Run, Run]] = {}
    for start, stop in _cut(first, last, spectrum[:, 0].nbytes):
        rows, count = spectrum[:, start:stop], stop - start
        copied, columns = _in_cache(rows, spectrum, buffers[0]), _view(buffers[1], (nz, count, half))
        key = start if copied is rows else count
        if key not in along_z:
            along_z[key] = _pair(copied, columns, 0, effort)
        blocks.append(Block(start, stop, columns, *_through_columns(rows, copied, *along_z[key])))
    return blocks


def _through_columns(rows: NDArray, copied: NDArray, there: Run, back: Run) -> tuple[Run, Run]:
    """Return the transforms of some columns, by way of a buffer."""

    def forward() -> None:
        if copied is not rows:
            copied[:] = rows
        there()

    def inverse() -> None:
        back()
        if copied is not rows:
            rows[:] = copied

    return forward, inverse
