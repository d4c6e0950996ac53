"""Frequencies of a volume, sorted into spherical shells."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, Vector


class Shells:
    """Spherical shells of the half spectrum of a real volume, from zero frequency to the corner.

    Shell k holds the frequencies that are nearest to k times the width of a shell. The width is the spacing of the
    frequencies of a cube as large as the volume.

    Parameters
    ----------
    shape : (nz, ny, nx)
    voxel_size : (z, y, x)

    Attributes
    ----------
    frequencies : (nz, ny, nx // 2 + 1) ndarray
        |f| in cycles per unit of ``voxel_size``.
    index : ndarray of int
        The shell of each frequency.
    twice : (nx // 2 + 1,) ndarray
        2 where an entry of the half spectrum stands for two frequencies, else 1.
    """

    def __init__(self, shape: Size, voxel_size: Vector):
        self.shape, self.voxel_size = shape, voxel_size
        squares = sum(np.square(axis) for axis in np.meshgrid(*axes_of(shape, voxel_size), indexing="ij", sparse=True))
        self.frequencies: NDArray[np.float64] = np.sqrt(squares)
        self.width = math.prod(n * side for n, side in zip(shape, voxel_size, strict=True)) ** (-1 / 3)
        self.index: NDArray[np.intp] = np.rint(self.frequencies / self.width).astype(np.intp)
        self.twice = np.full(shape[2] // 2 + 1, 2.0)
        self.twice[0] = 1
        if shape[2] % 2 == 0:
            self.twice[-1] = 1

    def __len__(self) -> int:
        return len(self.count)

    @cached_property
    def count(self) -> NDArray[np.float64]:
        """The number of frequencies of each shell in the whole spectrum."""
        return self.sum(np.ones(self.frequencies.shape))

    @cached_property
    def frequency(self) -> NDArray[np.float64]:
        """The mean |f| of each shell; that of the middle of a shell without frequencies."""
        mean = self.sum(self.frequencies) / np.maximum(self.count, 1)
        return np.where(self.count > 0, mean, self.width * np.arange(len(self.count)))

    def sum(self, values: NDArray, where: NDArray | None = None) -> NDArray[np.float64]:
        """Return the sum of real values over the frequencies of each shell in the whole spectrum, or over some of them."""
        weighted = self.twice * values
        index = self.index if where is None else self.index[where]
        chosen = weighted if where is None else weighted[where]
        total = np.bincount(index.ravel(), chosen.ravel(), self.index.max() + 1)
        return np.asarray(total, np.float64)

    def mean(self, values: NDArray) -> NDArray[np.float64]:
        """Return the mean over the frequencies of each shell; 0 for a shell without frequencies."""
        return self.sum(values) / np.maximum(self.count, 1)

    def spread(self, means: NDArray, frequencies: NDArray) -> NDArray[np.float64]:
        """Return a quantity known in each shell at given frequencies, by linear interpolation."""
        return np.interp(frequencies, self.frequency, means)


def axes_of(shape: Size, voxel_size: Vector) -> tuple[NDArray, NDArray, NDArray]:
    """Return the frequencies along z, y and x of the half spectrum, in cycles per unit of ``voxel_size``."""
    (nz, ny, nx), (dz, dy, dx) = shape, voxel_size
    return np.fft.fftfreq(nz, dz), np.fft.fftfreq(ny, dy), np.fft.rfftfreq(nx, dx)
