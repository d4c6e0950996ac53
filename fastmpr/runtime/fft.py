"""Real FFTs with their buffers, planned once, executed for ever.

Plans have one thread each; a team executes several side by side. They are FFTW's estimated ones, made in a millisecond
and the same on every run, so results are too; measured ones take seconds, in which no other thread may plan. Arrays are
laid out so that little is lost by that. What `measure_plans` found out for a large grid is used from then on.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
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


def rfftn(volume: NDArray, workers: int) -> NDArray:
    """Do what `scipy.fft.rfftn` does, to the bit, on a team of our own: the pool of scipy's does not survive a fork."""
    team = Team(min(workers, *volume.shape[:2]))
    out = np.empty(half_shape(volume.shape), complex_dtype(volume.dtype))

    def transform(member: int) -> None:
        planes, rows = (slice(*team.share(n, member)) for n in volume.shape[:2])
        out[planes] = scipy.fft.rfft(volume[planes], axis=2, workers=1)
        team.barrier(member)
        out[:, rows] = scipy.fft.fft(out[:, rows], axis=0, workers=1)
        team.barrier(member)
        out[planes] = scipy.fft.fft(out[planes], axis=1, workers=1)

    team.run(transform)
    return out


def irfftn(spectrum: NDArray, shape: Size, workers: int) -> NDArray:
    """Do the inverse of `rfftn`."""
    team = Team(min(workers, *shape[:2]))
    work = np.empty_like(spectrum)
    out = np.empty(shape, spectrum.real.dtype)

    def transform(member: int) -> None:
        planes, rows = (slice(*team.share(n, member)) for n in shape[:2])
        work[:, rows] = scipy.fft.ifft(spectrum[:, rows], axis=0, workers=1)
        team.barrier(member)
        out[planes] = scipy.fft.irfftn(work[planes], shape[1:], axes=(1, 2), workers=1)

    team.run(transform)
    return out


class _Planner:
    """Plans transforms, each once: parts of one shape that pass through the same buffers share theirs."""

    def __init__(self, effort: str):
        self._effort = effort
        self._made: dict[tuple[Any, ...], Run] = {}

    def __call__(self, source: NDArray, target: NDArray, axis: int | tuple[int, ...], direction: str) -> Run:
        """Return what transforms ``source`` to ``target`` along an axis, or several."""
        key = source.ctypes.data, target.ctypes.data, source.shape, axis, direction
        if key not in self._made:
            axes = (axis,) if isinstance(axis, int) else axis
            options: dict[str, Any] = {"axes": axes, "direction": direction, "flags": (self._effort,), "threads": 1}
            with _PLANNING:
                self._made[key] = pyfftw.FFTW(source, target, **options).execute
        return self._made[key]


class _Plans:
    """What holds plans, and destroys them as it made them: with the lock, or a fork could come inside of pyFFTW."""

    def free(self) -> None:
        """Let go of plans and buffers."""
        with _PLANNING:
            vars(self).clear()


class ViewFFT(_Plans):
    """A real FFT of one volume by a crew, cut as that of `SlabFFT` is.

    Fill ``image``, then `forward_planes` in every member, then each block's ``forward``: ``columns`` hold its frequencies
    until the next block's. Image and spectrum are one memory, so an image may be filled when all members have read theirs.
    The way back, once `plan_inverse` was called: fill each block's ``columns``, then its ``inverse``, then
    `inverse_planes` (unnormalised).

    Attributes
    ----------
    image : (nz, ny, width) real
    blocks : list of lists of Block, one list per member
    """

    def __init__(self, shape: Size, dtype: DTypeLike, crew: Crew | None = None):
        nz, ny, nx = shape
        crew, plan = crew or Crew(1), _Planner(_ESTIMATE)
        self.image = pyfftw.zeros_aligned((nz, ny, _width(nx)), dtype)
        spectrum = self.image.view(complex_dtype(dtype))[:, :, : nx // 2 + 1]
        self.blocks: list[list[Block]] = []
        self._planes: list[list[Run]] = []
        self._back: list[list[Run]] = []
        self._shares: list[_Share] = []
        self._nx = nx
        for member in range(crew.size):
            slab, rows = crew.share(nz, member), crew.share(ny, member)
            share = _Share(spectrum, slab, rows, plan, _BLOCK_BYTES // crew.size)  # a larger crew takes no more memory
            self._planes.append(share.forward_planes(self.image[:, :, :nx]))
            self.blocks.append(share.blocks())
            self._shares.append(share)

    def plan_inverse(self) -> None:
        """Plan the way back, unless it is planned."""
        if not self._back:
            self._back = [share.inverse_planes(self.image[:, :, : self._nx]) for share in self._shares]

    def forward_planes(self, member: int = 0) -> None:
        """Transform a member's planes of ``image`` along y and x."""
        for transform in self._planes[member]:
            transform()

    def inverse_planes(self, member: int = 0) -> None:
        """Transform a member's planes back into ``image`` along y and x."""
        for transform in self._back[member]:
            transform()


class SlabFFT(_Plans):
    """The FFT pair of an iteration, cut into slabs of planes and blocks of columns for a team.

    `forward_planes`, then each block's ``forward``, make the real FFT of ``feedback``; each block's ``inverse`` and
    `inverse_planes` make ``image`` of it (unnormalised). Between the two, a block's frequencies stand by themselves in
    ``columns``, and in cache: the solver does its pointwise work there.

    Image and spectrum are one memory, since planes pass through a buffer between the two. Of a large spectrum, a few planes
    or rows at a time are copied into cache and back: FFTW reads and writes its arrays in an order that no prefetcher
    follows, so it is slow on memory, and copies cost little beside that.

    Rows of the real arrays are two or three columns wider than the grid, an even number, and ``image`` has three rows more
    per plane, for what `wrap_edges` writes there. (Planes at a power of two would share their places in cache.)

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
        self._forward: list[list[Run]] = []
        self._inverse: list[list[Run]] = []
        self._again: list[list[Run]] = []
        self._shares: list[_Share] = []
        source, target, plan = self.feedback[:, :, :nx], self.image[:, :ny, :nx], _Planner(effort)
        with _PLANNING, wisdom.known(shape, dtype, team.size):
            for slab, rows in zip(self.slabs, self.rows, strict=True):
                share = _Share(spectrum, slab, rows, plan, _BLOCK_BYTES)
                self._forward.append(share.forward_planes(source))
                self._inverse.append(share.inverse_planes(target))
                self.blocks.append(share.blocks())
                self._shares.append(share)
        self._target = target

    def plan_again(self) -> None:
        """Plan the way from ``image`` to its own spectrum."""
        self._again = [share.forward_planes(self._target) for share in self._shares]

    def forward_again(self, member: int) -> None:
        """Transform a member's planes of ``image`` along y and x, after `plan_again`."""
        for transform in self._again[member]:
            transform()

    def forward_planes(self, member: int) -> None:
        """Transform a member's planes of ``feedback`` along y and x."""
        for transform in self._forward[member]:
            transform()

    def inverse_planes(self, member: int) -> None:
        """Transform a member's planes into ``image`` along y and x."""
        for transform in self._inverse[member]:
            transform()


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


class _Share:
    """A member's planes and rows of a spectrum, in parts that pass through two buffers in cache.

    Parameters
    ----------
    spectrum : (nz, ny, nx // 2 + 1) complex
    slab, rows : (first, last + 1)
    plan : _Planner
    size : int
        Bytes of a part, which holds one plane or row at least.
    """

    def __init__(self, spectrum: NDArray, slab: tuple[int, int], rows: tuple[int, int], plan: _Planner, size: int):
        self._spectrum, self._plan = spectrum, plan
        self._slabs = [slice(*part) for part in _cut(*slab, size // spectrum[0].nbytes)]
        self._rows = _cut(*rows, size // spectrum[:, 0].nbytes)
        parts = [spectrum[part] for part in self._slabs] + [spectrum[:, first:last] for first, last in self._rows]
        largest = max((part.size for part in parts), default=0)
        self._first = self._second = pyfftw.zeros_aligned(largest, spectrum.dtype)
        self._in_place = spectrum.nbytes <= _CACHED_BYTES  # then planes or columns take one buffer, and never at a time
        if not self._in_place:
            self._second = pyfftw.zeros_aligned(largest, spectrum.dtype)

    def forward_planes(self, source: NDArray) -> list[Run]:
        """Return the transforms of planes from a real array to the spectrum.

        Rows go from the array to one buffer, y from there to the other: as one transform of two dimensions, estimated
        plans take up to twice as long.
        """
        plan = self._plan
        return [
            _in_turn(plan(source[slab], rows, 2, _FORWARD), plan(rows, whole, 1, _FORWARD), _copy(whole, part))
            for slab, part, rows, whole in self._planes()
        ]

    def inverse_planes(self, target: NDArray) -> list[Run]:
        """Return the transforms of planes from the spectrum to a real array."""
        plan = self._plan
        return [
            _in_turn(_copy(part, whole), plan(whole, rows, 1, _BACKWARD), plan(rows, target[slab], 2, _BACKWARD))
            for slab, part, rows, whole in self._planes()
        ]

    def blocks(self) -> list[Block]:
        """Return the blocks of rows: copied to one buffer, and transformed from it to the other."""
        nz, _, half = self._spectrum.shape
        blocks: list[Block] = []
        for first, last in self._rows:
            part, columns = self._spectrum[:, first:last], _view(self._second, (nz, last - first, half))
            copied = self._in_cache(part, self._first)
            there = _in_turn(_copy(part, copied), self._plan(copied, columns, 0, _FORWARD))
            back = _in_turn(self._plan(columns, copied, 0, _BACKWARD), _copy(copied, part))
            blocks.append(Block(first, last, columns, there, back))
        return blocks

    def _planes(self) -> Iterator[tuple[slice, NDArray, NDArray, NDArray]]:
        """Yield which planes, their part of the spectrum, and where they are before and after the transform along y."""
        for slab in self._slabs:
            part = self._spectrum[slab]
            yield slab, part, _view(self._first, part.shape), self._in_cache(part, self._second)

    def _in_cache(self, part: NDArray, buffer: NDArray) -> NDArray:
        """Return where to copy a part of the spectrum to; the part itself where all is in cache as it is."""
        return part if self._in_place else _view(buffer, part.shape)


def _cut(first: int, last: int, step: int) -> list[tuple[int, int]]:
    """Cut a range into parts of so many items, one at least."""
    step = max(1, step)
    return [(start, min(start + step, last)) for start in range(first, last, step)]


def _view(buffer: NDArray, shape: Size) -> NDArray:
    return buffer[: math.prod(shape)].reshape(shape)


def _copy(source: NDArray, target: NDArray) -> list[Run]:
    """Return what copies a part of a spectrum into its buffer or back: nothing where it stays where it is."""
    return [] if source is target else [partial(np.copyto, target, source)]


def _in_turn(*steps: Run | list[Run]) -> Run:
    """Return what takes several steps."""
    runs = [run for step in steps for run in (step if isinstance(step, list) else [step])]

    def run_all() -> None:
        for run in runs:
            run()

    return run_all


class PaddedPlanes(_Plans):
    """Complex FFTs of planes side by side: back to space, and forward again from the middle of a larger plane.

    Fill ``planes`` and call `back` (unnormalised); put their `parts` in ``padded``, zero elsewhere, and call `forward`. The
    last axis of both is that of the planes, and zero stands first on the others.
    """

    def __init__(self, shape: tuple[int, int], padded: tuple[int, int], count: int, dtype: DTypeLike):
        self.planes = pyfftw.zeros_aligned((*shape, count), complex_dtype(dtype))
        self.padded = pyfftw.zeros_aligned((*padded, count), complex_dtype(dtype))
        ends = [(slice(0, (n + 1) // 2), *[slice(-(n // 2), None)] * (n > 1)) for n in shape]
        self.parts = [(rows, columns) for rows in ends[0] for columns in ends[1]]
        plan = _Planner(_ESTIMATE)
        self._back = plan(self.planes, self.planes, (0, 1), _BACKWARD)
        self._rows = [plan(part, part, 1, _FORWARD) for part in (self.padded[rows] for rows in ends[0])]
        self._columns = plan(self.padded, self.padded, 0, _FORWARD)

    def back(self) -> None:
        """Transform ``planes`` back to space."""
        self._back()

    def forward(self) -> None:
        """Transform ``padded``: the rows that may hold something, then all columns."""
        for rows in self._rows:
            rows()
        self._columns()
