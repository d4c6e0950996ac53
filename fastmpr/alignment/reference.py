"""The volume that views are aligned with: its spectrum as a spline, so that any view's frequencies are read off it."""

from __future__ import annotations

import math

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from ..kernels.alignment import UNKNOWNS, pose_equations, sample_spectrum
from ..sums.resampling import middle
from ..sums.transfer import central_box, spline_spectrum
from .spectra import Band

_OVERSAMPLING = 2  # of the spectrum: what its spline needs


class Reference:
    """A volume's spectrum.

    Parameters
    ----------
    x : (nz, ny, nx) ndarray
    voxel : float
        The side of its voxels.
    highest : float
        The frequency up to which it is kept.
    workers : int
        Threads for the one FFT.
    """

    def __init__(self, x: NDArray, voxel: float, highest: float, workers: int):
        sizes = tuple(scipy.fft.next_fast_len(_OVERSAMPLING * n) for n in x.shape)
        half = spline_spectrum(x, sizes, np.float32, workers)
        ends = [min(math.ceil(highest * n * voxel) + 1, n // 2) for n in sizes]
        self.table = central_box(half, sizes, ends)
        self.scale = np.multiply(sizes, voxel)
        self.offset = (middle(x.shape) - np.array(x.shape) // 2) * voxel  # from the sample that the table is about

    def sample(self, band: Band, last: int, rotations: NDArray) -> NDArray[np.complex128]:
        """Return what views in some rotations show at the first frequencies of a band, (M, last)."""
        frequencies = band.frequencies[:last]
        out = np.empty((len(rotations), last), np.complex128)
        sample_spectrum(self.table, self.scale, frequencies, np.array(rotations), out)
        return out * band.transfer[:last] * np.exp(2j * np.pi * (rotations @ self.offset) @ frequencies.T)

    def equations(
        self, band: Band, view: NDArray, last: int, rotation: NDArray, shift: NDArray, gain: float
    ) -> tuple[NDArray, NDArray, float, float, float]:
        """Return the normal equations of a step from a pose, and what `pose_equations` returns.

        The shift is the translation of the point that the table is about: the pose's less R times `offset`.
        """
        normal, slope = np.empty((UNKNOWNS, UNKNOWNS)), np.empty(UNKNOWNS)
        left, power, common = pose_equations(
            self.table,
            self.scale,
            band.frequencies,
            band.transfer,
            view,
            rotation,
            shift,
            gain,
            last,
            normal,
            slope,
        )
        return normal, slope, left, power, common
