"""Comparison of views with their predictions from a volume, in the voxels of the views, where their noise is unchanged.

Views and predictions are smoothed before they are compared, so a lattice of every second point along each axis holds all
of the information. The smoothing of a prediction and the prefilter of its spline are factors in Fourier space. A view is
smoothed directly, and only at the points of the lattice, which are one voxel in eight.
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
from .memory import check_fits, crew_count, image_bytes, spline_bytes
from .resampling import SplineVolume, inner_centre, middle, model_samples
from .transfer import TransferFunction
from .workspace import CrewStatistics, ViewStatistics, progress_counter

_ROOM = 0.95  # of the frequencies of a grid are used: a spline is inaccurate near the highest ones
_FLAT = 0.98  # of the voxels outside the particle have one value: they are padding
_NO_VOXELS = np.zeros((0, 0, 0), np.uint8)


class Compared(NamedTuple):
    """The result of `compare_views`.

    Attributes
    ----------
    sums : (N, 2, NUMBERS) ndarray
        The numbers listed at `NUMBERS`, inside and outside the ellipsoid; zeros for views that are not compared.
    levels, peaks : (N,) ndarray
        The value that was subtracted from each view, and by which it was then divided, so that squares do not overflow.
    peak : float
        The value by which the volume was divided.
    flat : list of int
        Indices of the views whose surroundings have one value and were not compared.
    """

    sums: NDArray
    levels: NDArray
    peaks: NDArray
    peak: float
    flat: list[int]


class SmoothedVolume:
    """The spectrum of a volume, from which views are predicted, on the coarsest grid that the smoothed PSFs allow.

    Parameters
    ----------
    data : Dataset
        The views, with a PSF and poses.
    x : (nz, ny, nx) ndarray
        A volume on a padded grid.
    model : (nz, ny, nx)
        Shape of the model in the middle of the grid.
    transfers : list of TransferFunction
        Transfer functions of the PSFs.
    workers : int
        Maximum number of threads.
    """

    def __init__(self, data: Dataset, x: NDArray, model: Size, transfers: list[TransferFunction], workers: int):
        self.aligned = data.frame == "model"
        self.transfers = transfers if self.aligned else [transfer.smoothed(data.voxel_size) for transfer in transfers]
        voxel = data.model_voxel[0]
        highest = 0.5 / voxel if self.aligned else max(transfer.highest for transfer in self.transfers)
        self.grid = _coarse_grid(x.shape, 2 * highest * voxel / _ROOM)
        self.ratio = np.array(self.grid) / x.shape
        self.centre = inner_centre(x.shape, model)
        self.voxel = voxel / self.ratio
        self.scale = data.dtype(1 / x.size)
        self.peak = _peak(x)
        self.spectrum = _low_frequencies(
            rfftn((x / x.dtype.type(self.peak)).astype(data.dtype, copy=False), workers), self.grid
        )
        for axis, (n, size) in enumerate(zip(self.spectrum.shape, self.grid, strict=True)):
            angle = 2 * np.pi * np.arange(n) / size
            factor = 3 / (2 + np.cos(angle)) * (np.cos(angle / 2) ** 4 if self.aligned else 1)
            self.spectrum *= factor.astype(data.dtype).reshape([-1 if k == axis else 1 for k in range(3)])


class Comparer:
    """The buffers with which a crew of threads compares views with a volume; its members share the work on every view.

    Attributes
    ----------
    levels, peaks : (N,) ndarray
        The mean over the compared voxels of each view, which is subtracted, and the value by which it is then divided.
    flat : set of int
        Indices of the views whose surroundings have one value, which is padding.
    """

    def __init__(self, data: Dataset, volume: SmoothedVolume, model: Size, crew: Crew):
        self.data, self.volume, self.model, self.crew = data, volume, model, crew
        self.source, self.translation = _source(data), data.placed.translation
        self.fft, self.spline = ViewFFT(volume.grid, data.dtype, crew), SplineVolume(volume.grid, data.dtype, crew)
        self.fft.plan_inverse()
        self.levels, self.peaks, self.flat = np.zeros(len(data)), np.zeros(len(data)), set[int]()
        self._buffer = np.empty(math.prod(data.particle_shape), data.dtype)
        self._reach = np.inf if data.radius is None else data.radius
        self._half = np.multiply(model, data.model_voxel) / 2
        extent = np.multiply(data.particle_shape, data.voxel_size)
        # Whether the particles are larger than the model.
        self._beyond = not volume.aligned and bool((2 * self._half < 0.99 * extent).any())
        self._image: NDArray | None = None
        self._corner = np.zeros(3)
        self._voxels = self._seen = self._lattice = _NO_VOXELS

    def compare(self, which: NDArray, found: CrewStatistics, place: int) -> None:
        """Record the numbers listed at `NUMBERS` for a member's share of each view."""
        for i in which:
            self.crew.check()
            if place == 0:
                self._image = self._read(i)
            self.crew.barrier(place)
            if self._image is not None:
                self._predict(i, place)
                found.add(place, i, *self._sums(i, self._image, place).ravel())
            self.crew.barrier(place)
            found.done(place)

    def _read(self, i: int) -> NDArray | None:
        """Return the seen box of a view, minus its mean and scaled; None if too few voxels were seen to compare."""
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
        voxels = self._compared_voxels(i, part, seen)
        if voxels is not None:
            self._voxels, self._seen = (mask.astype(np.uint8, "C") for mask in (voxels, _complete_points(voxels)))
            if not self._seen.any():
                return None
        level = part.mean() if voxels is None else part[voxels].mean()
        image = np.subtract(part, level, out=self._buffer[: part.size].reshape(part.shape))
        self.levels[i], self.peaks[i] = level, _peak(image)
        image /= image.dtype.type(self.peaks[i])
        return image

    def _compared_voxels(self, i: int, part: NDArray, seen: Seen | None) -> NDArray | None:
        """Return the mask of the voxels to compare in the seen box of a view; None if all are compared."""
        mask = None if seen is None else seen.mask()
        if (value := _padding_value(part)) is not None:
            self.flat.add(int(i))
            mask = (part != value) if mask is None else mask & (part != value)
        if self._reach < np.inf or self._beyond:
            near = self._near(i, part.shape)
            mask = near if mask is None else mask & near
        return mask

    def _near(self, i: int, shape: Size) -> NDArray:
        """Return the mask of the voxels within the radius and, if the model is smaller than a particle, in the model."""
        origin = middle(self.data.particle_shape) - self._corner
        translation = np.zeros(3) if self.volume.aligned else self.translation[i]
        axes = (
            (np.arange(n) - at) * length - t
            for n, at, length, t in zip(shape, origin, self.data.voxel_size, translation, strict=True)
        )
        z, y, x = np.ix_(*axes)
        near = z * z + y * y + x * x <= self._reach**2
        if self._beyond:
            for (a, b, c), half in zip(self.data.placed.matrix[i].T, self._half, strict=True):
                near &= np.abs(a * z + b * y + c * x) <= half
        return near

    def _predict(self, i: int, place: int) -> None:
        """Fill a member's planes of the lattice with the prediction of a view."""
        data, volume, fft = self.data, self.volume, self.fft
        transfer, rotation = volume.transfers[data.psf_of[i]], data.placed.matrix[i]
        table, matrix = transfer.table, transfer.matrix(rotation, volume.grid, volume.voxel)
        for block in fft.blocks[place]:
            rows = block.first, block.last
            predict_columns(*table, matrix, volume.grid, volume.spectrum, volume.scale, block.columns, *rows)
            block.inverse()
        self.crew.barrier(place)
        fft.inverse_planes(place)
        self.crew.barrier(place)
        self.spline.load_coefficients(fft.image, volume.grid, place)
        applied, shift = (np.eye(3), np.zeros(3)) if volume.aligned else (rotation, self.translation[i])
        back, origin = model_samples(applied, shift, self.model, data.model_voxel, data.voxel_size)
        origin = origin - middle(self.model) + volume.centre
        start = (middle(data.particle_shape) - self._corner - REACH) / STEP
        ratio = volume.ratio
        self.spline.sample(self._lattice, STEP * ratio[:, None] * back, ratio * origin, start, place)

    def _sums(self, i: int, image: NDArray, place: int) -> NDArray:
        """Return the numbers listed at `NUMBERS` over a member's planes of a view."""
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
        The views, with a PSF and poses.
    which : (n,) ndarray
        Indices of the views to compare.
    x : (nz, ny, nx) ndarray
        The volume on its padded grid, with a model of shape ``model`` in its middle.
    transfers : list of TransferFunction
        Transfer functions of the PSFs.
    workers, tell, stop
        As in the public functions.
    """
    team = Team(as_workers(workers, math.prod(x.shape) * len(which)), stop.check)
    each = spline_bytes(data) + 2 * image_bytes(data, x.shape)
    crews = team.crews(crew_count(team.size, each, len(which)))
    check_fits(data, model, x.shape, len(crews) * each)
    volume = SmoothedVolume(data, x, model, transfers, team.size)
    comparers = [Comparer(data, volume, model, crew) for crew in crews]
    tick = progress_counter(tell, "checks", len(which))
    recorded = [CrewStatistics(len(data), crew.size, tick, 2 * NUMBERS) for crew in crews]
    places = [(k, place) for k, crew in enumerate(crews) for place in range(crew.size)]

    def work(member: int) -> None:
        crew, place = places[member]
        first, last = (len(which) * k // len(crews) for k in (crew, crew + 1))
        comparers[crew].compare(which[first:last], recorded[crew], place)

    try:
        team.run(work)
    finally:
        for comparer in comparers:
            comparer.fft.free()
    sums = ViewStatistics.of(recorded).numbers
    levels, peaks = np.sum([(comparer.levels, comparer.peaks) for comparer in comparers], axis=0)
    flat = set[int]().union(*(comparer.flat for comparer in comparers))
    return Compared(sums.reshape(len(data), 2, -1), levels, peaks, volume.peak, sorted(flat))


def _peak(image: NDArray) -> float:
    """Return the largest absolute value, or 1 if all values are 0."""
    return float(max(image.max(), -image.min())) or 1.0


def _source(data: Dataset) -> Source:
    """Return the views to compare: divided by their gains, and without a plane where the background is a plane."""
    source = data.source if data.gains is None else data.source.over(data.gains)
    return source.then(without_plane) if data.fits_background and (data.background == "plane" or data.rises) else source


def _coarse_grid(grid: Size, share: float) -> Size:
    """Return the shape of a grid that holds a share of the frequencies of another grid, along each axis."""
    nz, ny, nx = (math.ceil(n * share) if n > 1 else 1 for n in grid)
    nz, ny, nx = fast_shape((nz, ny, nx))
    return min(nz, grid[0]), min(ny, grid[1]), min(nx, grid[2])


def _low_frequencies(spectrum: NDArray, grid: Size) -> NDArray:
    """Return the low frequencies of a half spectrum, those of a coarser grid."""
    nz, ny, _ = spectrum.shape
    z, y = (np.fft.fftfreq(n, 1 / n).astype(int) % most for n, most in zip(grid[:2], (nz, ny), strict=True))
    return spectrum[z[:, None], y, : half_shape(grid)[2]]


def _padding_value(part: NDArray) -> Any:
    """Return the value of the padding around a particle; None if the surroundings have more than one value."""
    value = part[0, 0, 0]
    if (part[:: part.shape[0] - 1, :: part.shape[1] - 1, :: part.shape[2] - 1] != value).any():  # at a corner
        return None
    z, y, x = np.ix_(*(((np.arange(n) - (n - 1) / 2) / (n / 2)) ** 2 for n in part.shape))
    return value if np.mean(part[z + y + x > 1] == value) > _FLAT else None


def _complete_points(voxels: NDArray) -> NDArray:
    """Return the mask of the points of the lattice whose smoothed value uses compared voxels only."""
    whole = voxels
    for axis in range(3):
        along = np.moveaxis(whole, axis, 0)
        parts = (along[k : len(along) - 2 * REACH + k : STEP] for k in range(2 * REACH + 1))
        whole = np.moveaxis(functools.reduce(np.logical_and, parts), 0, axis)
    return whole
