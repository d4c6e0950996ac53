"""Views held against what a volume shows of them, each at its own voxels: the noise stays as it was.

Both are smooth when they are compared, so half of the points along each axis hold all that is left. The smoothing of the
prediction, and what turns it into a spline, are factors in Fourier space; that of a view costs as much as a point in eight.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import Progress
from .._validation import Size
from ..kernels.smooth_comparison import NUMBERS, REACH, STEP, compare_smooth, third_differences
from ..kernels.transfer_functions import predict_columns
from ..runtime.fft import ViewFFT, fast_shape, half_shape, rfftn
from ..runtime.stopping import Stop
from ..runtime.threads import Crew, Team, as_workers
from ..views.background import without_plane
from ..views.dataset import Dataset
from ..views.seen import NothingSeenError, Seen
from ..views.source import Source
from .bench import Noted, Tally, counted
from .memory import check_fits, crew_count, image_bytes, spline_bytes
from .resampling import SplineVolume, inner_centre, middle, model_samples
from .transfer import TransferFunction

_ROOM = 0.95  # of the frequencies that a grid holds: a spline needs some more
_FLAT = 0.98  # of the voxels outside that have one value, where somebody painted them
_NO_VOXELS = np.zeros((0, 0, 0), np.uint8)


class Compared(NamedTuple):
    """What `compare_views` found.

    Attributes
    ----------
    sums : (N, 2, NUMBERS) ndarray
        What `kernels.smooth_comparison` notes, inside and outside; zeros of other views.
    levels, peaks : (N,) ndarray
        What was taken off each view, and what it was divided by then: squares would overflow.
    peak : float
        What the volume was divided by.
    flat : list of int
        The views of which what is all of one value around the particle was not compared.
    """

    sums: NDArray
    levels: NDArray
    peaks: NDArray
    peak: float
    flat: list[int]


class Shown:
    """What a volume shows of any view: its spectrum on as coarse a grid as the smoothed PSFs need.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses.
    x : (nz, ny, nx) ndarray
        A volume on a padded grid.
    model : (nz, ny, nx)
        Shape of the model in its middle.
    transfers : list of TransferFunction
        Of the PSFs.
    workers : int
        Threads at most.
    """

    def __init__(self, data: Dataset, x: NDArray, model: Size, transfers: list[TransferFunction], workers: int):
        self.aligned = data.frame == "model"
        self.transfers = transfers if self.aligned else [one.smoothed(data.voxel_size) for one in transfers]
        voxel = data.model_voxel[0]
        highest = 0.5 / voxel if self.aligned else max(one.highest for one in self.transfers)
        self.grid = _coarse(x.shape, 2 * highest * voxel / _ROOM)
        self.ratio = np.array(self.grid) / x.shape
        self.centre = inner_centre(x.shape, model)
        self.voxel = voxel / self.ratio
        self.scale = data.dtype(1 / x.size)
        self.peak = _peak(x)
        self.spectrum = _low(rfftn((x / x.dtype.type(self.peak)).astype(data.dtype, copy=False), workers), self.grid)
        for axis, (n, size) in enumerate(zip(self.spectrum.shape, self.grid, strict=True)):
            angle = 2 * np.pi * np.arange(n) / size
            factor = 3 / (2 + np.cos(angle)) * (np.cos(angle / 2) ** 4 if self.aligned else 1)
            self.spectrum *= factor.astype(data.dtype).reshape([-1 if k == axis else 1 for k in range(3)])


class Comparer:
    """Where a crew of threads compares views with a volume; each view goes through all its members' hands.

    Attributes
    ----------
    levels, peaks : (N,) ndarray
        The mean of what was compared of a view, which is taken off, and what it is divided by then.
    flat : set of int
        The views whose surroundings have one value, which nobody saw.
    """

    def __init__(self, data: Dataset, shown: Shown, model: Size, crew: Crew):
        self.data, self.shown, self.model, self.crew = data, shown, model, crew
        self.source, self.translation = _source(data), data.placed.translation
        self.fft, self.spline = ViewFFT(shown.grid, data.dtype, crew), SplineVolume(shown.grid, data.dtype, crew)
        self.fft.plan_inverse()
        self.levels, self.peaks, self.flat = np.zeros(len(data)), np.zeros(len(data)), set[int]()
        self._buffer = np.empty(math.prod(data.particle_shape), data.dtype)
        self._reach = np.inf if data.radius is None else data.radius
        self._half = np.multiply(model, data.model_voxel) / 2
        extent = np.multiply(data.particle_shape, data.voxel_size)
        self._beyond = not shown.aligned and bool((2 * self._half < 0.99 * extent).any())  # it sees more than the model
        self._image: NDArray | None = None
        self._corner = np.zeros(3)
        self._voxels = self._seen = self._lattice = _NO_VOXELS

    def compare(self, which: NDArray, found: Tally, place: int) -> None:
        """Note what `kernels.smooth_comparison` tells of each view, a member's share of it."""
        for i in which:
            self.crew.check()
            if place == 0:
                self._image = self._take(i)
            self.crew.barrier(place)
            if self._image is not None:
                self._predict(i, place)
                found.add(place, i, *self._compared(i, self._image, place).ravel())
            self.crew.barrier(place)
            found.done(place)

    def _take(self, i: int) -> NDArray | None:
        """Read what was seen of a view, about its mean; None where that was nothing, or too little to compare."""
        try:
            part, seen = self.source.view(i)
        except NothingSeenError:
            return None
        if min(part.shape) < 2 * REACH + 1:
            return None
        self._corner = np.zeros(3) if seen is None else seen.corner
        lattice = [(n - 2 * REACH - 1) // STEP + 1 for n in part.shape]
        self._lattice = np.empty(lattice, self.data.dtype)
        self._voxels = self._seen = _NO_VOXELS
        voxels = self._known(i, part, seen)
        if voxels is not None:
            self._voxels, self._seen = (mask.astype(np.uint8, "C") for mask in (voxels, _unbroken(voxels)))
            if not self._seen.any():
                return None
        level = part.mean() if voxels is None else part[voxels].mean()
        image = np.subtract(part, level, out=self._buffer[: part.size].reshape(part.shape))
        self.levels[i], self.peaks[i] = level, _peak(image)
        image /= image.dtype.type(self.peaks[i])
        return image

    def _known(self, i: int, part: NDArray, seen: Seen | None) -> NDArray | None:
        """Return which voxels of a part are to be compared; None where all are."""
        known = None if seen is None else seen.mask()
        if (value := _painted(part)) is not None:
            self.flat.add(int(i))
            known = (part != value) if known is None else known & (part != value)
        if self._reach < np.inf or self._beyond:
            near = self._near(i, part.shape)
            known = near if known is None else known & near
        return known

    def _near(self, i: int, shape: Size) -> NDArray:
        """Return which voxels of a part lie within the radius, and in a model that covers less than a particle."""
        origin = middle(self.data.particle_shape) - self._corner
        away = np.zeros(3) if self.shown.aligned else self.translation[i]
        axes = (
            (np.arange(n) - at) * length - t
            for n, at, length, t in zip(shape, origin, self.data.voxel_size, away, strict=True)
        )
        z, y, x = np.ix_(*axes)
        near = z * z + y * y + x * x <= self._reach**2
        if self._beyond:
            for (a, b, c), half in zip(self.data.placed.matrix[i].T, self._half, strict=True):
                near &= np.abs(a * z + b * y + c * x) <= half
        return near

    def _predict(self, i: int, place: int) -> None:
        """Fill a member's planes of the lattice with what the volume shows of a view."""
        data, shown, fft = self.data, self.shown, self.fft
        transfer, rotation = shown.transfers[data.psf_of[i]], data.placed.matrix[i]
        table, matrix = transfer.table, transfer.matrix(rotation, shown.grid, shown.voxel)
        for block in fft.blocks[place]:
            rows = block.first, block.last
            predict_columns(*table, matrix, shown.grid, shown.spectrum, shown.scale, block.columns, *rows)
            block.inverse()
        self.crew.barrier(place)
        fft.inverse_planes(place)
        self.crew.barrier(place)
        self.spline.hold(fft.image, shown.grid, place)
        turn, away = (np.eye(3), np.zeros(3)) if shown.aligned else (rotation, self.translation[i])
        back, origin = model_samples(turn, away, self.model, data.model_voxel, data.voxel_size)
        origin = origin - middle(self.model) + shown.centre
        start = (middle(data.particle_shape) - self._corner - REACH) / STEP
        ratio = shown.ratio
        self.spline.sample(self._lattice, STEP * ratio[:, None] * back, ratio * origin, start, place)

    def _compared(self, i: int, image: NDArray, place: int) -> NDArray:
        """Return what a member's planes of a view tell."""
        sums = np.zeros((2, NUMBERS))
        centre = middle(self.data.particle_shape) - self._corner
        half = np.array(self.data.particle_shape) / 2
        planes = self.crew.share(self._lattice.shape[0], place)
        compare_smooth(image, self._lattice, self._seen, centre, half, *planes, sums)
        third_differences(image, self._voxels, centre, half, *self.crew.share(image.shape[0], place), sums)
        return sums


def compare_views(
    data: Dataset,
    which: NDArray,
    x: NDArray,
    model: Size,
    transfers: list[TransferFunction],
    workers: int | None,
    tell: Progress | None,
    stop: Stop,
) -> Compared:
    """Compare views with a volume.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses.
    which : (n,) ndarray
        The places of the views.
    x : (nz, ny, nx) ndarray
        The volume on its padded grid, a model of the shape ``model`` in its middle.
    transfers : list of TransferFunction
        Of the PSFs.
    workers, tell, stop
        As the public functions have them.

    """
    team = Team(as_workers(workers, math.prod(x.shape) * len(which)), stop.check)
    each = spline_bytes(data) + 2 * image_bytes(data, x.shape)
    crews = team.crews(crew_count(team.size, each, len(which)))
    check_fits(data, model, x.shape, len(crews) * each)
    shown = Shown(data, x, model, transfers, team.size)
    comparers = [Comparer(data, shown, model, crew) for crew in crews]
    tick = counted(tell, "checks", len(which))
    tallies = [Tally(len(data), crew.size, tick, 2 * NUMBERS) for crew in crews]
    places = [(k, place) for k, crew in enumerate(crews) for place in range(crew.size)]

    def work(member: int) -> None:
        crew, place = places[member]
        first, last = (len(which) * k // len(crews) for k in (crew, crew + 1))
        comparers[crew].compare(which[first:last], tallies[crew], place)

    try:
        team.run(work)
    finally:
        for comparer in comparers:
            comparer.fft.free()
    sums = Noted.of(tallies).numbers
    levels, peaks = np.sum([(comparer.levels, comparer.peaks) for comparer in comparers], axis=0)
    flat = set[int]().union(*(comparer.flat for comparer in comparers))
    return Compared(sums.reshape(len(data), 2, -1), levels, peaks, shown.peak, sorted(flat))


def _peak(image: NDArray) -> float:
    """Return the largest absolute value, or 1 where there is none."""
    return float(max(image.max(), -image.min())) or 1.0


def _source(data: Dataset) -> Source:
    """Return the views as they are compared: up to an offset and a slope."""
    source = data.source if data.gains is None else data.source.over(data.gains)
    return source.then(without_plane) if data.fits_background and (data.background == "plane" or data.rises) else source


def _coarse(grid: Size, share: float) -> Size:
    """Return a grid that holds a share of the frequencies of another one, along each axis."""
    nz, ny, nx = (math.ceil(n * share) if n > 1 else 1 for n in grid)
    nz, ny, nx = fast_shape((nz, ny, nx))
    return min(nz, grid[0]), min(ny, grid[1]), min(nx, grid[2])


def _low(spectrum: NDArray, grid: Size) -> NDArray:
    """Return the low frequencies of a spectrum that a coarser grid holds."""
    nz, ny, _ = spectrum.shape
    z, y = (np.fft.fftfreq(n, 1 / n).astype(int) % most for n, most in zip(grid[:2], (nz, ny), strict=True))
    return spectrum[z[:, None], y, : half_shape(grid)[2]]


def _painted(part: NDArray) -> Any:
    """Return the value that all around a particle has, if it has one."""
    value = part[0, 0, 0]
    if (part[:: part.shape[0] - 1, :: part.shape[1] - 1, :: part.shape[2] - 1] != value).any():  # at a corner
        return None
    z, y, x = np.ix_(*(((np.arange(n) - (n - 1) / 2) / (n / 2)) ** 2 for n in part.shape))
    return value if np.mean(part[z + y + x > 1] == value) > _FLAT else None


def _unbroken(voxels: NDArray) -> NDArray:
    """Return at which points of the lattice all voxels were seen that a smooth value is made of."""
    whole = voxels
    for axis in range(3):
        along = np.moveaxis(whole, axis, 0)
        parts = (along[k : len(along) - 2 * REACH + k : STEP] for k in range(2 * REACH + 1))
        whole = np.moveaxis(functools.reduce(np.logical_and, parts), 0, axis)
    return whole
