"""Real FFTs with their buffers, planned once and executed many times.

A plan uses one thread, and a team executes several plans in parallel. Plans are FFTW's estimated plans: planning takes a
millisecond and gives the same plan on every run, so results are the same too. Measured plans take seconds, during which no
other thread can plan. Arrays are laid out so that estimated plans are nearly as fast. If `measure_plans` has measured the
plans of a large grid, those are used from then on.
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
if hasattr(os, "register_at_fork"):  # a child forked during planning would wait forever for the lock
    os.register_at_fork(before=_PLANNING.acquire, after_in_parent=_PLANNING.release, after_in_child=_PLANNING.release)
_CACHED_BYTES = 1 << 20  # size of a spectrum that stays in the second-level caches
_BLOCK_BYTES = 1 << 18  # size of a buffer: two of them stay in a core's second-level cache


def fast_shape(shape: Size) -> Size:
    """Return the smallest sizes of at least ``shape`` whose real FFT is fast.

    FFTW transforms real rows of odd length at half the speed of even rows. It is fast with one factor of 13.
    """
    nz, ny, nx = shape
    length = scipy.fft.next_fast_len
    even = 2 * min(factor * length(math.ceil(nx / (2 * factor))) for factor in (1, 13))
    return length(nz), length(ny), even if nx > 1 else 1


def half_shape(shape: Size) -> Size:
    """Return the shape of `numpy.fft.rfftn` of an array of ``shape``."""
    return shape[0], shape[1], shape[2] // 2 + 1


def _width(nx: int) -> int:
    """Return the length of a row of `SlabFFT`: even, and at least two columns longer, so that a spectrum's row fits."""
    return nx + 2 + nx % 2


def wide_size(shape: Size) -> int:
    """Return the number of elements of a volume with rows as long as those of `SlabFFT`."""
    nz, ny, nx = shape
    return nz * ny * _width(nx)


def complex_dtype(dtype: DTypeLike) -> Any:
    """Return the complex type of the same precision."""
    return np.result_type(dtype, np.complex64)


def rfftn(volume: NDArray, workers: int) -> NDArray:
    """Do what `scipy.fft.rfftn` does, with the same bits, on a team, since scipy's own pool does not survive a fork."""
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
    """Plans each transform once: parts of the same shape that use the same buffers share a plan."""

    def __init__(self, effort: str):
        self._effort = effort
        self._made: dict[tuple[Any, ...], Run] = {}

    def __call__(self, source: NDArray, target: NDArray, axis: int | tuple[int, ...], direction: str) -> Run:
        """Return the function that transforms ``source`` to ``target`` along one or several axes."""
        key = source.ctypes.data, target.ctypes.data, source.shape, axis, direction
        if key not in self._made:
            axes = (axis,) if isinstance(axis, int) else axis
            options: dict[str, Any] = {"axes": axes, "direction": direction, "flags": (self._effort,), "threads": 1}
            with _PLANNING:
                self._made[key] = pyfftw.FFTW(source, target, **options).execute
        return self._made[key]


class _Plans:
    """Base of classes with plans: it destroys plans under the lock, so that no fork happens inside of pyFFTW."""

    def free(self) -> None:
        """Free plans and buffers."""
        with _PLANNING:
            vars(self).clear()


class ViewFFT(_Plans):
    """A real FFT of one volume by a crew, cut into slabs and blocks as in `SlabFFT`.

    Forward: fill ``image``, call `forward_planes` in every member, then each block's ``forward``. The block's ``columns``
    hold its frequencies until the next block's ``forward``. Image and spectrum share memory, so the next image may be filled
    only when all members have read their frequencies. Inverse, after `plan_inverse`: fill each block's ``columns``, call
    its ``inverse``, then `inverse_planes` (unnormalised).

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
            # the buffers of all members together have the same size for every crew
            share = _Share(spectrum, slab, rows, plan, _BLOCK_BYTES // crew.size)
            self._planes.append(share.forward_planes(self.image[:, :, :nx]))
            self.blocks.append(share.blocks())
            self._shares.append(share)

    def plan_inverse(self) -> None:
        """Plan the inverse transforms, once."""
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
    """The forward and inverse FFT of an iteration, cut into slabs of planes and blocks of columns for a team.

    `forward_planes` and then each block's ``forward`` compute the real FFT of ``feedback``. Each block's ``inverse`` and
    then `inverse_planes` compute ``image`` from it (unnormalised). In between, a block's frequencies lie contiguously in
    ``columns``, in cache, and the solver does its pointwise work there.

    Image and spectrum share memory, since planes pass through a buffer in between. For a large spectrum, a few planes or
    rows at a time are copied into cache and back: FFTW accesses its arrays in an order that no prefetcher follows, so it is
    slow on main memory, and the copies cost little in comparison.

    Rows of the real arrays are two or three columns wider than the grid, so that their length is even. ``image`` has three
    more rows per plane, which `wrap_edges` fills. (Planes whose size is a power of two would compete for the same
    places in cache.)

    Attributes
    ----------
    feedback : (nz, ny, width) real
    image : (nz, ny + 3, width) real
    slabs : list of (first plane, last plane + 1), one per member
    rows : list of (first row, last row + 1), one per member: the rows of its blocks
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
        """Plan the transforms from ``image`` to its own spectrum."""
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
    """Measure the plans of a `SlabFFT` and store them, unless they are stored already or the grid is small.

    Raises an OSError if they cannot be stored.
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
        The first row, and the last row + 1.
    columns : (nz, rows, nx // 2 + 1) complex, contiguous
        Filled by ``forward`` and read by ``inverse``.
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
        Bytes of a part; a part has at least one plane or row.
    """

    def __init__(self, spectrum: NDArray, slab: tuple[int, int], rows: tuple[int, int], plan: _Planner, size: int):
        self._spectrum, self._plan = spectrum, plan
        self._slabs = [slice(*part) for part in _cut(*slab, size // spectrum[0].nbytes)]
        self._rows = _cut(*rows, size // spectrum[:, 0].nbytes)
        parts = [spectrum[part] for part in self._slabs] + [spectrum[:, first:last] for first, last in self._rows]
        largest = max((part.size for part in parts), default=0)
        self._first = self._second = pyfftw.zeros_aligned(largest, spectrum.dtype)
        self._in_place = spectrum.nbytes <= _CACHED_BYTES  # then planes and columns use one buffer, at different times
        if not self._in_place:
            self._second = pyfftw.zeros_aligned(largest, spectrum.dtype)

    def forward_planes(self, source: NDArray) -> list[Run]:
        """Return the transforms of planes from a real array to the spectrum.

        The transform along x goes from the array to one buffer, the transform along y from there to the other buffer. As
        one 2-D transform, estimated plans take up to twice as long.
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
        """Yield the slice of planes, their part of the spectrum, and their buffers before and after the y transform."""
        for slab in self._slabs:
            part = self._spectrum[slab]
            yield slab, part, _view(self._first, part.shape), self._in_cache(part, self._second)

    def _in_cache(self, part: NDArray, buffer: NDArray) -> NDArray:
        """Return the buffer for a part of the spectrum, or the part itself if the whole spectrum fits in cache."""
        return part if self._in_place else _view(buffer, part.shape)


def _cut(first: int, last: int, step: int) -> list[tuple[int, int]]:
    """Cut a range into parts of ``step`` items, at least 1."""
    step = max(1, step)
    return [(start, min(start + step, last)) for start in range(first, last, step)]


def _view(buffer: NDArray, shape: Size) -> NDArray:
    return buffer[: math.prod(shape)].reshape(shape)


def _copy(source: NDArray, target: NDArray) -> list[Run]:
    """Return the copy of a part of a spectrum into its buffer or back; none if the part has no buffer."""
    return [] if source is target else [partial(np.copyto, target, source)]


def _in_turn(*steps: Run | list[Run]) -> Run:
    """Return a function that runs several steps one after another."""
    runs = [run for step in steps for run in (step if isinstance(step, list) else [step])]

    def run_all() -> None:
        for run in runs:
            run()

    return run_all


class PaddedPlanes(_Plans):
    """Complex FFTs of many planes at once: inverse, and then forward on larger, zero-padded planes.

    Fill ``planes`` and call `back` (unnormalised). Put their `parts` into ``padded``, zero elsewhere, and call `forward`. In
    both arrays the last axis counts the planes, and the origin is the first element of the other axes.
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
        """Transform ``padded``: the rows that may be nonzero, then all columns."""
        for rows in self._rows:
            rows()
        self._columns()
