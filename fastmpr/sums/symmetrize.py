"""The sums over all views of a symmetric particle, from the sums over the views as they are.

A view of a particle that a rotation g leaves as it is shows it in the pose R g too. The sums over all those poses are

    S(f) <- sum over g of S(g f),    b(x) <- sum over g of b(g (x - c) + c),    c <- n c,

so the views need be summed only once. Both sums are turned in frequency by one cubic spline, made finer by zeros around them
in space: what it errs by stays near the frequency where it errs, so b has nothing where S has not. (Turned in space, b has
images of its low frequencies where S is next to nothing, and a high lam amplifies them.)
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size
from ..kernels.transfer_functions import add_turned
from ..kernels.turned_planes import add_turned_planes
from ..runtime.fft import PaddedPlanes, half_shape
from ..runtime.threads import Team
from ..views.dataset import Dataset
from .normal_equations import NormalEquations
from .resampling import inner_centre, middle
from .transfer import central_box, spline_spectrum, table_bytes

_OVERSAMPLING = 2  # of the spectra, on the axes that are turned
_TAPER = 4.0  # voxels on which what is turned fades out towards the faces of the grid
_TABLE_BYTES = 1 << 23  # of the finer planes that are turned side by side: where a sample lies is found once for all


def symmetrizer(data: Dataset, model: Size, grid: Size, team: Team | None = None) -> Symmetrizer | None:
    """Return what sums over a data set's point group, on a grid with the model in its middle; None where it has none."""
    if len(data.group) == 1:
        return None
    centre = inner_centre(grid, model) + np.array(data.symmetry_centre) / data.model_voxel
    return Symmetrizer(data.group, centre, grid, team)


class Symmetrizer:
    """Sums over a point group on one grid: prepared once, for as many spectra as there are.

    What a turn about the centre would bring out of the grid, or into it, is not turned: there the views themselves count n
    times. Turns that take the grid to itself lose nothing.

    Parameters
    ----------
    group : (n, 3, 3)
        The rotations, the identity first.
    centre : (z, y, x)
        That they are about, in samples of the grid.
    grid : (nz, ny, nx)
        Of cubic voxels.
    team : Team, optional
        Who works on it; by default the calling thread.
    """

    def __init__(self, group: NDArray, centre: NDArray, grid: Size, team: Team | None = None):
        team = team or Team(1)
        axis, turns, self._flip = _along_the_grid(group, centre, grid)
        self._order = len(group)
        self._turner: _Turner | _PlaneTurner | None = None
        if axis is None:
            self._turner = _Turner(turns, centre, grid, team)
        elif len(turns) > 1:
            self._turner = _PlaneTurner(turns, axis, centre, grid, team)
        self._waves = _waves(grid, -2 * centre)
        self._grid = grid

    def sums(self, sums: NormalEquations) -> NormalEquations:
        """Return the sums over all poses that the group cannot tell from those given."""
        n = self._order
        gram, rhs = self.gram(sums.gram.copy()), self.rhs(sums.rhs.copy())
        return replace(sums, gram=gram, rhs=rhs, energy=n * sums.energy, n_poses=n * sums.n_poses)

    def bytes(self, dtype: Any) -> int:
        """Return what it takes in memory while it works, beside the sums."""
        flipped = 2 * np.dtype(dtype).itemsize * math.prod(half_shape(self._grid))
        return max(flipped, 0 if self._turner is None else self._turner.bytes(dtype))

    def gram(self, gram: NDArray) -> NDArray:
        """Sum S over the group, in place."""
        if self._turner is not None:
            self._turner.add_turned(gram, centred=False)
        if self._flip is not None:
            gram += _flipped(gram, self._flip)
        return np.maximum(gram, 0, out=gram)  # a spline may fall below zero beside large values

    def rhs(self, rhs: NDArray) -> NDArray:
        """Sum B over the group, in place."""
        if self._turner is not None:
            self._turner.add_turned(rhs, centred=True)
        if self._flip is not None:
            flipped = _flipped(rhs, self._flip)
            for d, wave in enumerate(self._waves):
                if self._flip[d] < 0:
                    flipped *= _along(wave[: rhs.shape[d]].astype(rhs.dtype), d)
            rhs += flipped
        return rhs


class _PlaneTurner:
    """Turns about an axis of the grid: every plane across it by itself, and no spline is needed along it."""

    def __init__(self, turns: NDArray, axis: int, centre: NDArray, grid: Size, team: Team):
        self.grid, self.axis, self.team, self.order = grid, axis, team, len(turns)
        across = [d for d in range(3) if d != axis]
        self.shape, self.centre = (grid[across[0]], grid[across[1]]), centre[across]
        self.turns = turns[:, across][:, :, across]
        self.finer = (_finer(self.shape[0]), _finer(self.shape[1]))
        self.steps = np.array(self.finer)[:, None] * self.turns / self.shape
        self.factors = np.where(np.arange(self.order) == 0, 1 - self.order, 1)
        self.wave = _outer(_waves(self.shape, self.centre))
        self.filter = _outer([_prefilter(n, m) / n for n, m in zip(self.shape, self.finer, strict=True)])
        self.windowed = self.filter * _window(self.turns, self.centre, self.shape)

    def bytes(self, dtype: Any) -> int:
        """Return what it takes in memory while it works: some planes, as they are and finer, for each thread."""
        count = self.grid[self.axis] // 2 + 1
        size = planes_at_once(self.finer, dtype, count, self.team.size)
        each = math.prod(self.finer) + 4 * math.prod(self.shape)
        return 2 * np.dtype(dtype).itemsize * size * each * min(self.team.size, count)

    def add_turned(self, half: NDArray, centred: bool) -> None:
        """Sum a half spectrum over the turns, in place."""
        real = half.real.dtype
        weights = (self.windowed if centred else self.filter).astype(real)[:, :, np.newaxis]
        wave = self.wave.astype(half.dtype)[:, :, np.newaxis] if centred else None
        factors, count = self.factors.astype(real), self.grid[self.axis] // 2 + 1
        each = 1 if half.dtype.kind == "c" else 2  # two real planes are one complex one
        size = planes_at_once(self.finer, real, math.ceil(count / each), self.team.size)
        blocks = [range(first, min(first + each * size, count)) for first in range(0, count, each * size)]

        def turn_share(member: int) -> None:
            ffts = PaddedPlanes(self.shape, self.finer, size, real)
            out = np.empty((*self.shape, each * size), half.dtype)
            try:
                for planes in blocks[slice(*self.team.share(len(blocks), member))]:
                    self.team.check()
                    self._turn(half, planes, ffts, out, weights, wave, factors)
            finally:
                ffts.free()

        self.team.run(turn_share)

    def _turn(
        self, half: NDArray, planes: range, ffts: PaddedPlanes, out: NDArray, weights: Any, wave: Any, factors: Any
    ) -> None:
        """Sum some planes over the turns."""
        source = ffts.planes.view(half.dtype)
        source[..., len(planes) :] = 0
        _read_planes(half, self.grid[2], self.axis, planes, source)
        if wave is not None:
            source *= wave
        np.multiply(source, half.real.dtype.type(self.order), out=out)
        ffts.back()
        ffts.padded[:] = 0
        for part in ffts.parts:
            np.multiply(ffts.planes[part], weights[part], out=ffts.padded[part])
        ffts.forward()
        add_turned_planes(ffts.padded.view(weights.dtype), self.steps, factors, out.view(weights.dtype))
        if wave is not None:
            out *= wave.conj()
        _write_planes(half, self.grid[2], self.axis, planes, out)


class _Turner:
    """Turns about any axis: splines along all three axes."""

    def __init__(self, turns: NDArray, centre: NDArray, grid: Size, team: Team):
        self.grid, self.team, self.turns = grid, team, turns
        self.finer = tuple(_finer(n) for n in grid)
        self.steps = np.array(self.finer)[:, None] * turns / grid
        self.centre, self.waves = centre, _waves(grid, centre)

    @cached_property
    def window(self) -> NDArray[np.float64]:
        """How much of each voxel is turned, the centre in the middle."""
        return np.fft.fftshift(_window(self.turns, self.centre, self.grid))

    def bytes(self, dtype: Any) -> int:
        """Return what it takes in memory while it works: a table, the window, and what that is made of."""
        return table_bytes(self.grid, dtype) + 32 * math.prod(self.grid)

    def add_turned(self, half: NDArray, centred: bool) -> None:
        """Sum a half spectrum over the turns, in place."""
        real = half.real.dtype.type
        pairs = zip(self.waves, half.shape, strict=True) if centred else ()
        waves = [_along(wave[:n].astype(half.dtype), d) for d, (wave, n) in enumerate(pairs)]
        for wave in waves:
            half *= wave
        volume = np.fft.fftshift(scipy.fft.irfftn(half, self.grid, workers=1))
        if centred:
            volume *= self.window
        spectrum = spline_spectrum(volume, self.finer, real, self.team.size)
        table = central_box(spectrum if centred else spectrum.real, self.finer, [m // 2 for m in self.finer])
        half *= real(len(self.turns))
        everywhere = np.array(self.finer, float)

        def turn_share(member: int) -> None:
            planes = self.team.share(self.grid[0], member)
            for k, step in enumerate(self.steps):
                self.team.check()
                factor = real(1 if k else 1 - len(self.turns))
                add_turned(table, everywhere, step, self.grid, factor, half, *planes)

        self.team.run(turn_share)
        for wave in waves:
            half *= wave.conj()


def _flipped(half: NDArray, turn: NDArray) -> NDArray:
    """Return a half spectrum at the frequencies that half a turn about an axis of the grid, a diagonal, takes its own to."""
    z, y, x = turn.astype(int)  # two of them are -1: where x is, the opposite frequency is known
    turned = half[np.ix_(np.arange(half.shape[0]) * z * x, np.arange(half.shape[1]) * y * x, np.arange(half.shape[2]))]
    return np.conj(turned, out=turned) if x < 0 else turned


def planes_at_once(finer: tuple[int, ...], dtype: Any, count: int, members: int) -> int:
    """Return how many complex planes to turn side by side, of so many that some threads share."""
    most = max(1, _TABLE_BYTES // (2 * np.dtype(dtype).itemsize * math.prod(finer)))
    return math.ceil(count / max(min(members, count), math.ceil(count / most)))


def _along_the_grid(group: NDArray, centre: NDArray, grid: Size) -> tuple[int | None, NDArray, NDArray | None]:
    """Return an axis of the grid, the turns about it, and the half turn across it that makes up the rest of the group.

    The half turn as its diagonal, None where the group has none. No axis, and all turns, where the group lies otherwise, or
    no half turn takes the grid to itself.
    """
    found: list[tuple[int | None, NDArray, NDArray | None]] = [(None, group, None)]
    for axis in range(3):
        along = group[:, axis, axis]
        turns, flips = group[along > 1 - 1e-9], group[along < -1 + 1e-9]
        diagonals = [np.rint(np.diag(g)) for g in flips if _takes_to_itself(g, centre, grid)]
        if len(turns) == len(group):
            found.append((axis, turns, None))
        elif 2 * len(turns) == len(group) == len(turns) + len(flips) and diagonals:
            found.append((axis, turns, diagonals[0]))
    return min(found[1:], key=lambda way: len(way[1]), default=found[0])


def _takes_to_itself(turn: NDArray, centre: NDArray, grid: Size) -> bool:
    """Return whether half a turn about an axis of the grid takes the grid to itself, but for one plane."""
    flipped = np.diag(turn) < 0
    off = np.abs(centre - middle(grid))[flipped]
    return bool(np.allclose(np.abs(np.diag(turn)), 1, atol=1e-9) and (off < 0.5 + 1e-9).all())


def _window(turns: NDArray, centre: NDArray, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return 1 where every turn of a voxel lies in the grid, falling to 0 towards its faces; the centre stands first.

    It is the same at all turns of a voxel. 1 everywhere where the turns take the grid to itself.
    """
    half, off = np.array(shape) / 2, centre - (np.array(shape) - 1) / 2
    moved = np.abs(np.rint(turns)) @ shape
    if np.allclose(turns, np.rint(turns), atol=1e-9) and (moved == shape).all() and (np.abs(off) < 0.5 + 1e-9).all():
        return np.ones(shape)
    # a frequency's sign is a matter of convention where a sample is half the grid away from the centre: it gets 0
    offsets = [_along(_signed(n).astype(float), d, len(shape)) for d, n in enumerate(shape)]
    room = np.full(shape, np.inf)
    for turn in turns:
        for d, row in enumerate(turn):
            place = sum(step * offset for step, offset in zip(row, offsets, strict=True)) + off[d]
            np.minimum(room, half[d] - np.abs(place), out=room)
    t = np.clip(room / _TAPER, 0, 1)
    return t * t * (3 - 2 * t)


def _read_planes(half: NDArray, nx: int, axis: int, planes: range, out: NDArray) -> None:
    """out[u, v, k] <- the whole of some planes of a half spectrum across an axis."""
    if axis == 2:
        out[..., : len(planes)] = half[..., planes.start : planes.stop]
        return
    moved, known = half.transpose(1, 2, 0) if axis == 0 else half.transpose(0, 2, 1), half.shape[2]
    out[:, :known, : len(planes)] = moved[:, :, planes.start : planes.stop]
    for k, plane in enumerate(planes):  # what is not known is the conjugate at the opposite frequency
        opposite = moved[:, nx - known : 0 : -1, -plane]
        np.conj(opposite[0], out=out[0, known:, k])
        np.conj(opposite[:0:-1], out=out[1:, known:, k])


def _write_planes(half: NDArray, nx: int, axis: int, planes: range, source: NDArray) -> None:
    """Put back what `_read_planes` reads, at the opposite frequencies too."""
    if axis == 2:
        half[..., planes.start : planes.stop] = source[..., : len(planes)]
        return
    moved, known = half.transpose(1, 2, 0) if axis == 0 else half.transpose(0, 2, 1), half.shape[2]
    moved[:, :, planes.start : planes.stop] = source[:, :known, : len(planes)]
    rows, columns = -np.arange(source.shape[0]), -np.arange(known)
    for k, plane in enumerate(planes):
        if 0 < 2 * plane < moved.shape[2]:
            moved[:, :, -plane] = source[..., k][np.ix_(rows, columns)].conj()


def _finer(n: int) -> int:
    """Return the even size of a finer spectrum; a spline needs four samples."""
    return 2 * scipy.fft.next_fast_len(max(2, math.ceil(_OVERSAMPLING * n / 2)))


def _prefilter(n: int, finer: int) -> NDArray[np.float64]:
    """Return what turns the samples of a spectrum into coefficients of its spline, in space, the middle first."""
    return 3 / (2 + np.cos(2 * np.pi * _signed(n) / finer))


def _waves(shape: tuple[int, ...], centre: NDArray) -> list[NDArray[np.complex128]]:
    """Return the factors, along each axis, that move a spectrum's volume so that a point comes to stand first."""
    return [np.exp(2j * np.pi * _signed(n) * c / n) for n, c in zip(shape, centre, strict=True)]


def _signed(n: int) -> NDArray[np.intp]:
    """Return the frequencies, or offsets, of n samples, zero first."""
    return np.arange(n) - n * (2 * np.arange(n) >= n)


def _along(values: NDArray, axis: int, dimensions: int = 3) -> NDArray:
    return values.reshape([-1 if d == axis else 1 for d in range(dimensions)])


def _outer(factors: list[NDArray]) -> NDArray:
    return factors[0][:, np.newaxis] * factors[1]
