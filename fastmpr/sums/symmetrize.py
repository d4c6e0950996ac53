"""Symmetrise the sums over the views of a symmetric particle.

If a rotation g leaves the particle unchanged, a view in the pose R also shows it in the pose R g. The sums over all these
poses are

    S(f) <- sum over g of S(g f),    b(x) <- sum over g of b(g (x - c) + c),    c <- n c,

so the views are summed only once. A cubic spline rotates both sums in frequency, on spectra that zero-padding in space makes
finer. The error of the spline stays near the frequency where it occurs, so b vanishes where S vanishes. (If b were rotated
in space, copies of its low frequencies would appear where S is nearly 0, and a high lam would amplify them.)
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

_OVERSAMPLING = 2  # of the spectra, along the axes that are rotated
_TAPER = 4.0  # voxels over which the rotated part fades out towards the faces of the grid
_TABLE_BYTES = 1 << 23  # of the finer planes that are rotated together: sample positions are computed once for all


def symmetrizer(data: Dataset, model: Size, grid: Size, team: Team | None = None) -> Symmetrizer | None:
    """Return the symmetrizer of a data set's point group, on a grid with the model in its middle; None without symmetry."""
    if len(data.group) == 1:
        return None
    centre = inner_centre(grid, model) + np.array(data.symmetry_centre) / data.model_voxel
    return Symmetrizer(data.group, centre, grid, team)


class Symmetrizer:
    """Sums of spectra over a point group, on one grid; prepared once for any number of spectra.

    Voxels that a rotation about the centre would move out of the grid, or into it, are not rotated; there the unrotated sums
    count n times. Rotations that map the grid to itself rotate every voxel.

    Parameters
    ----------
    group : (n, 3, 3)
        The rotations, the identity first.
    centre : (z, y, x)
        The fixed point of the rotations, in samples of the grid.
    grid : (nz, ny, nx)
        Shape of the grid, which has cubic voxels.
    team : Team, optional
        The threads that share the work; by default the calling thread.
    """

    def __init__(self, group: NDArray, centre: NDArray, grid: Size, team: Team | None = None):
        team = team or Team(1)
        axis, rotations, self._flip = _along_the_grid(group, centre, grid)
        self._order = len(group)
        self._rotator: _VolumeRotator | _PlaneRotator | None = None
        if axis is None:
            self._rotator = _VolumeRotator(rotations, centre, grid, team)
        elif len(rotations) > 1:
            self._rotator = _PlaneRotator(rotations, axis, centre, grid, team)
        self._waves = _waves(grid, -2 * centre)
        self._grid = grid

    def sums(self, sums: NormalEquations) -> NormalEquations:
        """Return the normal equations over all poses that are equivalent by symmetry."""
        n = self._order
        gram, rhs = self.gram(sums.gram.copy()), self.rhs(sums.rhs.copy())
        return replace(sums, gram=gram, rhs=rhs, energy=n * sums.energy, n_poses=n * sums.n_poses)

    def bytes(self, dtype: Any) -> int:
        """Return the bytes that symmetrisation needs in addition to the sums."""
        flipped = 2 * np.dtype(dtype).itemsize * math.prod(half_shape(self._grid))
        return max(flipped, 0 if self._rotator is None else self._rotator.bytes(dtype))

    def gram(self, gram: NDArray) -> NDArray:
        """Sum S over the group, in place."""
        if self._rotator is not None:
            self._rotator.add_rotated(gram, centred=False)
        if self._flip is not None:
            gram += _flipped(gram, self._flip)
        return np.maximum(gram, 0, out=gram)  # a spline may be negative next to large values

    def rhs(self, rhs: NDArray) -> NDArray:
        """Sum B over the group, in place."""
        if self._rotator is not None:
            self._rotator.add_rotated(rhs, centred=True)
        if self._flip is not None:
            flipped = _flipped(rhs, self._flip)
            for d, wave in enumerate(self._waves):
                if self._flip[d] < 0:
                    flipped *= _along(wave[: rhs.shape[d]].astype(rhs.dtype), d)
            rhs += flipped
        return rhs


class _PlaneRotator:
    """Rotations about an axis of the grid: each plane across the axis is rotated by itself, without a spline along it."""

    def __init__(self, rotations: NDArray, axis: int, centre: NDArray, grid: Size, team: Team):
        self.grid, self.axis, self.team, self.order = grid, axis, team, len(rotations)
        across = [d for d in range(3) if d != axis]
        self.shape, self.centre = (grid[across[0]], grid[across[1]]), centre[across]
        self.rotations = rotations[:, across][:, :, across]
        self.finer = (_finer(self.shape[0]), _finer(self.shape[1]))
        self.steps = np.array(self.finer)[:, None] * self.rotations / self.shape
        self.factors = np.where(np.arange(self.order) == 0, 1 - self.order, 1)
        self.wave = _outer(_waves(self.shape, self.centre))
        self.filter = _outer([_prefilter(n, m) / n for n, m in zip(self.shape, self.finer, strict=True)])
        self.windowed = self.filter * _window(self.rotations, self.centre, self.shape)

    def bytes(self, dtype: Any) -> int:
        """Return the bytes that a rotation needs: for each thread, some planes on the grid and on the finer grid."""
        count = self.grid[self.axis] // 2 + 1
        size = planes_at_once(self.finer, dtype, count, self.team.size)
        each = math.prod(self.finer) + 4 * math.prod(self.shape)
        return 2 * np.dtype(dtype).itemsize * size * each * min(self.team.size, count)

    def add_rotated(self, half: NDArray, centred: bool) -> None:
        """Sum a half spectrum over the rotations, in place."""
        real = half.real.dtype
        weights = (self.windowed if centred else self.filter).astype(real)[:, :, np.newaxis]
        wave = self.wave.astype(half.dtype)[:, :, np.newaxis] if centred else None
        factors, count = self.factors.astype(real), self.grid[self.axis] // 2 + 1
        each = 1 if half.dtype.kind == "c" else 2  # two real planes are one complex one
        size = planes_at_once(self.finer, real, math.ceil(count / each), self.team.size)
        blocks = [range(first, min(first + each * size, count)) for first in range(0, count, each * size)]

        def rotate_share(member: int) -> None:
            ffts = PaddedPlanes(self.shape, self.finer, size, real)
            out = np.empty((*self.shape, each * size), half.dtype)
            try:
                for planes in blocks[slice(*self.team.share(len(blocks), member))]:
                    self.team.check()
                    self._rotate(half, planes, ffts, out, weights, wave, factors)
            finally:
                ffts.free()

        self.team.run(rotate_share)

    def _rotate(
        self, half: NDArray, planes: range, ffts: PaddedPlanes, out: NDArray, weights: Any, wave: Any, factors: Any
    ) -> None:
        """Sum a block of planes over the rotations."""
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


class _VolumeRotator:
    """Rotations about any axis, with splines along all three axes."""

    def __init__(self, rotations: NDArray, centre: NDArray, grid: Size, team: Team):
        self.grid, self.team, self.rotations = grid, team, rotations
        self.finer = tuple(_finer(n) for n in grid)
        self.steps = np.array(self.finer)[:, None] * rotations / grid
        self.centre, self.waves = centre, _waves(grid, centre)

    @cached_property
    def window(self) -> NDArray[np.float64]:
        """The share of each voxel that is rotated, with the centre in the middle."""
        return np.fft.fftshift(_window(self.rotations, self.centre, self.grid))

    def bytes(self, dtype: Any) -> int:
        """Return the bytes that a rotation needs: a table, the window, and the arrays from which the window is made."""
        return table_bytes(self.grid, dtype) + 32 * math.prod(self.grid)

    def add_rotated(self, half: NDArray, centred: bool) -> None:
        """Sum a half spectrum over the rotations, in place."""
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
        half *= real(len(self.rotations))
        everywhere = np.array(self.finer, float)

        def rotate_share(member: int) -> None:
            planes = self.team.share(self.grid[0], member)
            for k, step in enumerate(self.steps):
                self.team.check()
                factor = real(1 if k else 1 - len(self.rotations))
                add_turned(table, everywhere, step, self.grid, factor, half, *planes)

        self.team.run(rotate_share)
        for wave in waves:
            half *= wave.conj()


def _flipped(half: NDArray, rotation: NDArray) -> NDArray:
    """Return a half spectrum rotated by 180 degrees about an axis of the grid; the rotation is given by its diagonal."""
    z, y, x = rotation.astype(int)  # two of them are -1: if x is, only the opposite frequency is stored
    rotated = half[np.ix_(np.arange(half.shape[0]) * z * x, np.arange(half.shape[1]) * y * x, np.arange(half.shape[2]))]
    return np.conj(rotated, out=rotated) if x < 0 else rotated


def planes_at_once(finer: tuple[int, ...], dtype: Any, count: int, members: int) -> int:
    """Return how many complex planes to rotate together, if ``members`` threads share ``count`` planes."""
    most = max(1, _TABLE_BYTES // (2 * np.dtype(dtype).itemsize * math.prod(finer)))
    return math.ceil(count / max(min(members, count), math.ceil(count / most)))


def _along_the_grid(group: NDArray, centre: NDArray, grid: Size) -> tuple[int | None, NDArray, NDArray | None]:
    """Return an axis of the grid, the rotations about it, and a rotation by 180 degrees about an axis across it.

    The rotations generate the group. The rotation by 180 degrees is returned as its diagonal, or None if the group has no
    such rotation. The axis is None, with all rotations of the group, if the group does not lie along the grid, or if no
    rotation by 180 degrees maps the grid to itself.
    """
    found: list[tuple[int | None, NDArray, NDArray | None]] = [(None, group, None)]
    for axis in range(3):
        along = group[:, axis, axis]
        rotations, flips = group[along > 1 - 1e-9], group[along < -1 + 1e-9]
        diagonals = [np.rint(np.diag(g)) for g in flips if _maps_to_itself(g, centre, grid)]
        if len(rotations) == len(group):
            found.append((axis, rotations, None))
        elif 2 * len(rotations) == len(group) == len(rotations) + len(flips) and diagonals:
            found.append((axis, rotations, diagonals[0]))
    return min(found[1:], key=lambda option: len(option[1]), default=found[0])


def _maps_to_itself(rotation: NDArray, centre: NDArray, grid: Size) -> bool:
    """Return whether a rotation by 180 degrees is about an axis of the grid and maps it to itself, except one plane."""
    flipped = np.diag(rotation) < 0
    off = np.abs(centre - middle(grid))[flipped]
    return bool(np.allclose(np.abs(np.diag(rotation)), 1, atol=1e-9) and (off < 0.5 + 1e-9).all())


def _window(rotations: NDArray, centre: NDArray, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a window that is 1 where all rotations of a voxel lie inside the grid, and falls to 0 towards its faces.

    The window has the centre at its first voxel, and the same value at all rotations of a voxel. It is 1 everywhere if the
    rotations map the grid to itself.
    """
    half, off = np.array(shape) / 2, centre - (np.array(shape) - 1) / 2
    moved = np.abs(np.rint(rotations)) @ shape
    if (
        np.allclose(rotations, np.rint(rotations), atol=1e-9)
        and (moved == shape).all()
        and (np.abs(off) < 0.5 + 1e-9).all()
    ):
        return np.ones(shape)
    # A sample half the grid away from the centre lies on both sides of it, so its position is ambiguous: it gets 0.
    offsets = [_along(_signed(n).astype(float), d, len(shape)) for d, n in enumerate(shape)]
    room = np.full(shape, np.inf)
    for rotation in rotations:
        for d, row in enumerate(rotation):
            place = sum(step * offset for step, offset in zip(row, offsets, strict=True)) + off[d]
            np.minimum(room, half[d] - np.abs(place), out=room)
    t = np.clip(room / _TAPER, 0, 1)
    return t * t * (3 - 2 * t)


def _read_planes(half: NDArray, nx: int, axis: int, planes: range, out: NDArray) -> None:
    """Fill out[u, v, k] with whole planes, across an axis, of a spectrum that is given as its half."""
    if axis == 2:
        out[..., : len(planes)] = half[..., planes.start : planes.stop]
        return
    moved, known = half.transpose(1, 2, 0) if axis == 0 else half.transpose(0, 2, 1), half.shape[2]
    out[:, :known, : len(planes)] = moved[:, :, planes.start : planes.stop]
    for k, plane in enumerate(planes):  # frequencies that are not stored are the conjugates of their opposites
        opposite = moved[:, nx - known : 0 : -1, -plane]
        np.conj(opposite[0], out=out[0, known:, k])
        np.conj(opposite[:0:-1], out=out[1:, known:, k])


def _write_planes(half: NDArray, nx: int, axis: int, planes: range, source: NDArray) -> None:
    """Write planes back to where `_read_planes` read them, and at the opposite frequencies."""
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
    """Return the size of a finer spectrum: even, and at least 4, the number of samples that a spline needs."""
    return 2 * scipy.fft.next_fast_len(max(2, math.ceil(_OVERSAMPLING * n / 2)))


def _prefilter(n: int, finer: int) -> NDArray[np.float64]:
    """Return the factors, in space, that make the samples of a spectrum its spline coefficients; the middle is first."""
    return 3 / (2 + np.cos(2 * np.pi * _signed(n) / finer))


def _waves(shape: tuple[int, ...], centre: NDArray) -> list[NDArray[np.complex128]]:
    """Return the factors on a spectrum, for each axis, that shift its volume so that ``centre`` is at the first voxel."""
    return [np.exp(2j * np.pi * _signed(n) * c / n) for n, c in zip(shape, centre, strict=True)]


def _signed(n: int) -> NDArray[np.intp]:
    """Return the signed integer frequencies, or offsets, of n samples, zero first."""
    return np.arange(n) - n * (2 * np.arange(n) >= n)


def _along(values: NDArray, axis: int, dimensions: int = 3) -> NDArray:
    return values.reshape([-1 if d == axis else 1 for d in range(dimensions)])


def _outer(factors: list[NDArray]) -> NDArray:
    return factors[0][:, np.newaxis] * factors[1]
