"""The transfer function of a PSF in any pose, sampled from one table, without an FFT per pose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size, Vector, as_volume
from ..kernels.transfer_functions import sample_transfer
from ..runtime.fft import complex_dtype, half_shape, rfftn
from ..views.dataset import Dataset
from .resampling import SplineVolume

_OVERSAMPLING = 2  # of the table, as cubic interpolation of a spectrum needs it
_NEGLIGIBLE = 3e-5  # of the transfer function at zero frequency: noise of a measured PSF, rounding of a computed one
_SETTLED = 8  # samples from the end of a table after which the end no longer affects a spline
_NEGLIGIBLE_SMOOTHED = 0.01  # the same for a smoothed PSF: the error is some millionths of a mean square


class TransferFunction:
    """The Fourier transform of a PSF, as cubic B-spline coefficients on an oversampled grid of frequencies.

    The PSF in the frame of the model is h(R q), so its transform at a frequency f is the transform of h at R f.

    Parameters
    ----------
    psf : (nz, ny, nx) array_like
        PSF in the frame of the particle, centred at ``size // 2`` on each axis, with any sum above zero.
    voxel_size : (z, y, x)
        Voxel size of the PSF.
    dtype : numpy dtype
        Precision of the samples: float32 or float64.
    workers : int
        Number of threads for the one FFT.

    Raises
    ------
    ValueError
        If the PSF is not 3-D and finite, or its sum is not positive.
    """

    def __init__(self, psf: Any, voxel_size: Vector, dtype: Any, workers: int = 1):
        volume = as_psf(psf)
        sizes = tuple(scipy.fft.next_fast_len(_OVERSAMPLING * n) for n in volume.shape)
        half = spline_spectrum(volume, sizes, dtype, workers)
        ends, reach = _extent(half, sizes, _NEGLIGIBLE * abs(half[0, 0, 0]))
        symmetric = np.abs(half.imag).max() < _NEGLIGIBLE * abs(half[0, 0, 0])
        self.table = central_box(half.real if symmetric else half, sizes, ends), reach
        self._samples_per_frequency = np.array(sizes) * voxel_size

    def smoothed(self, voxel_size: Vector) -> TransferFunction:
        """Return the transfer function of the PSF smoothed along each axis by `smooth_comparison.TAPS`, for a voxel size."""
        table, factors = self.table[0], []
        for axis, (n, samples, length) in enumerate(
            zip(table.shape, self._samples_per_frequency, voxel_size, strict=True)
        ):
            factor = np.cos(np.pi * length / samples * (np.arange(n) - n // 2)) ** 4
            factors.append(factor.astype(table.real.dtype).reshape([-1 if k == axis else 1 for k in range(3)]))
        ends, reach = _extent_of_table(math.prod(factors, start=table), _NEGLIGIBLE_SMOOTHED)
        near = _middle_box(table.shape, ends, _SETTLED)
        values = table[near]
        for axis, factor in enumerate(factors):
            values = _samples(values, axis) * factor[tuple(near[k] if k == axis else slice(None) for k in range(3))]
        values = _coefficients(values)
        smoothed = object.__new__(TransferFunction)
        smoothed._samples_per_frequency = self._samples_per_frequency
        smoothed.table = np.ascontiguousarray(values[_middle_box(values.shape, ends, 0)]), reach
        return smoothed

    @property
    def highest(self) -> float:
        """The highest frequency, in any direction, at which the transfer function is not negligible."""
        return float(np.max(self.table[1] / self._samples_per_frequency))

    def matrix(self, rotation: NDArray, shape: Size, voxel_size: Vector) -> NDArray:
        """Return the matrix that maps integer frequencies of a grid to samples of the table, for one rotation (3, 3)."""
        frequencies = 1 / (np.array(shape) * voxel_size)
        return self._samples_per_frequency[:, None] * rotation * frequencies

    def sample(self, rotation: NDArray, shape: Size, voxel_size: Vector) -> NDArray:
        """Return the transfer function of the rotated PSF on the half spectrum of a grid, as complex numbers."""
        out = np.empty(half_shape(shape), complex_dtype(self.table[0].dtype))
        sample_transfer(*self.table, self.matrix(rotation, shape, voxel_size), shape, out)
        return out


def _samples(coefficients: NDArray, axis: int) -> NDArray:
    """Return the samples of a spline along an axis; beyond the ends its coefficients are 0."""
    c = np.moveaxis(coefficients, axis, 0)
    samples = c * c.real.dtype.type(2 / 3)
    samples[1:] += c[:-1] / 6
    samples[:-1] += c[1:] / 6
    return np.moveaxis(samples, 0, axis)


def _coefficients(values: NDArray) -> NDArray:
    """Return the coefficients of the spline through given samples."""
    if np.iscomplexobj(values):
        return _coefficients(values.real) + 1j * _coefficients(values.imag)
    spline = SplineVolume(values.shape, values.dtype)
    spline.load(values)
    return spline.coefficients


def _extent_of_table(values: NDArray, negligible: float) -> tuple[list[int], NDArray]:
    """Return the box and the ellipsoid of `_extent` for a table, whose last three samples may lie beyond Nyquist."""
    known = values[tuple(slice(3, -3) for _ in range(3))]
    middle = [n // 2 for n in known.shape]
    significant = known.real**2 + known.imag**2 > (negligible * abs(known[tuple(middle)])) ** 2
    offsets = [np.abs(np.arange(n) - m) for n, m in zip(known.shape, middle, strict=True)]
    rows = [tuple(k for k in range(3) if k != axis) for axis in range(3)]
    ends = [max(1, int(offset[significant.any(axis=other)].max())) for offset, other in zip(offsets, rows, strict=True)]
    z, y, x = np.ix_(*(offset / end for offset, end in zip(offsets, ends, strict=True)))
    radius = math.sqrt(max(1.0, float((z * z + y * y + x * x)[significant].max())))
    return ends, np.array(ends) * (1 + 1e-9) * radius


def _middle_box(shape: Size, ends: list[int], more: int) -> tuple[slice, ...]:
    """Return the slices of a box around the middle up to ``ends``, plus the samples for the spline and ``more`` samples."""
    reach = [min(end + 4 + more, n // 2) for end, n in zip(ends, shape, strict=True)]
    return tuple(slice(n // 2 - r, n // 2 + r + 1) for r, n in zip(reach, shape, strict=True))


def as_psf(psf: Any) -> NDArray:
    """Return a PSF in float64, scaled to sum 1."""
    volume = as_volume(psf, "psf").astype(np.float64)
    total = volume.sum()
    if not total > 0:
        raise ValueError(f"psf: found a sum of {total:g}, need a PSF whose sum is positive")
    return volume / total


def table_bytes(shape: Size, dtype: Any) -> int:
    """Return the peak memory, in bytes, of making a table: the padded PSF, twice, and its half and whole spectra."""
    sizes = [scipy.fft.next_fast_len(_OVERSAMPLING * n) for n in shape]
    return 5 * np.dtype(dtype).itemsize * math.prod(sizes) + 16 * math.prod(shape)


def energy_radius(psf: Any, voxel_size: Vector, share: float = 0.99) -> float:
    """Return the radius, in the unit of ``voxel_size``, of the ball about the centre that holds a share of |psf|."""
    weight = np.abs(as_psf(psf))
    offsets = [(np.arange(n) - n // 2) * length for n, length in zip(weight.shape, voxel_size, strict=True)]
    radius = np.sqrt(sum(np.meshgrid(*(u**2 for u in offsets), indexing="ij"))).ravel()
    order = np.argsort(radius)
    held = np.cumsum(weight.ravel()[order])
    return float(radius[order][np.searchsorted(held, share * held[-1])])


def spline_spectrum(psf: NDArray, sizes: tuple[int, ...], dtype: Any, workers: int) -> NDArray:
    """Return the B-spline coefficients of the half spectrum of a PSF, with zero frequency first.

    The prefilter along frequency is a division in space, by the transform (2 + cos(2 pi x / n)) / 3 of the sampled spline.
    """
    padded = np.zeros(sizes, dtype)
    padded[tuple(slice(0, n) for n in psf.shape)] = psf
    padded = np.roll(padded, [-(n // 2) for n in psf.shape], axis=(0, 1, 2))
    for axis, n in enumerate(sizes):
        divisor = (2 + np.cos(2 * np.pi * np.arange(n) / n)) / 3
        padded /= divisor.astype(dtype).reshape([-1 if k == axis else 1 for k in range(3)])
    return rfftn(padded, workers)


def _extent(half: NDArray, sizes: tuple[int, ...], negligible: float) -> tuple[list[int], NDArray]:
    """Return a box and an ellipsoid of the same proportions about zero frequency; outside, a spectrum is negligible.

    The box is given by its last frequency on each axis, the ellipsoid by its semi-axes.
    """
    significant = half.real**2 + half.imag**2 > negligible**2
    rows = significant.any(axis=2)
    last = significant.shape[2] - 1 - significant[:, :, ::-1].argmax(axis=2)  # along x, where ``rows``
    z, y = (np.minimum(np.arange(n), n - np.arange(n)) for n in sizes[:2])
    ends = [max(1, int(k.max())) for k in (z[rows.any(axis=1)], y[rows.any(axis=0)], last[rows])]
    radius = (z[:, None] / ends[0]) ** 2 + (y / ends[1]) ** 2 + (last / ends[2]) ** 2
    return ends, np.array(ends) * (1 + 1e-9) * max(1.0, math.sqrt(radius[rows].max()))


def central_box(half: NDArray, sizes: tuple[int, ...], ends: list[int]) -> NDArray:
    """Return a box of the whole spectrum from its half, or from the real part of its half, zero frequency in the middle.

    The box ends at Nyquist at the latest, plus 3 samples on each side for the spline.
    """
    margins = [min(end + 1, n // 2) + 3 for end, n in zip(ends, sizes, strict=True)]
    z, y = (np.arange(-m, m + 1) % n for m, n in zip(margins[:2], sizes[:2], strict=True))
    (nx, known), last = (sizes[2], half.shape[2]), margins[2]
    box = np.empty((len(z), len(y), 2 * last + 1), half.dtype)
    count = min(known, last + 1)
    box[:, :, last : last + count] = half[z[:, np.newaxis], y, :count]
    opposite = min(nx - known, last)  # up to here, a negative frequency is stored only as its opposite
    mirrored = box[::-1, ::-1, last + opposite : last : -1]
    np.conj(mirrored, out=box[:, :, last - opposite : last])
    for k in (*range(-last, -opposite), *range(count, last + 1)):  # Nyquist and a few beyond
        x = k % nx
        box[:, :, last + k] = half[z[:, np.newaxis], y, x] if x < known else half[-z[:, np.newaxis], -y, nx - x].conj()
    return box


def transfer_functions(data: Dataset, workers: int = 1) -> list[TransferFunction]:
    """Return the transfer function of each PSF."""
    return [TransferFunction(psf, data.psf_voxel_size, data.dtype, workers) for psf in data.psfs]
