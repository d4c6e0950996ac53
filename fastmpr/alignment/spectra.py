"""What a view says of its pose: its spectrum at the frequencies that its PSF passes, the lowest first."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size, Vector
from ..sums.resampling import middle
from ..sums.transfer import TransferFunction

_PASSES = 0.03  # of the strongest frequency: what a PSF passes less of is noise
_BLANK = 2048  # of the frequencies with noise only: enough to tell its power within 3 %


class Band(NamedTuple):
    """The frequencies that a PSF passes, in the order of their length, so that the first ones are a coarser band.

    Attributes
    ----------
    frequencies : (K, 3) ndarray
        In cycles per unit of the voxel size; of a pair f, -f, one.
    radii : (K,) ndarray
        Their lengths.
    transfer : (K,) complex ndarray
        The transfer function there.
    places : (K,) ndarray of int
        Of the half spectrum, flattened.
    blank : (B,) ndarray of int
        Places of frequencies that the PSF does not pass.
    shape : (nz, ny, nx)
        Of a view.
    """

    frequencies: NDArray[np.float64]
    radii: NDArray[np.float64]
    transfer: NDArray[np.complex128]
    places: NDArray[np.intp]
    blank: NDArray[np.intp]
    shape: Size

    def upto(self, radius: float) -> int:
        """Return how many frequencies are no longer than a radius."""
        return int(np.searchsorted(self.radii, radius, side="right"))

    def spectrum(self, image: NDArray, voxel_size: Vector) -> tuple[NDArray[np.complex128], float]:
        """Return the spectrum of a view in the band, about its middle, and the power of its noise at each frequency.

        The power is taken from frequencies that the PSF does not pass; it is 0 where there are none. Their median is that of
        an exponential distribution, and does not heed the few to which the edges of a crop leak.
        """
        half = scipy.fft.rfftn(image.astype(np.float64), workers=1).reshape(-1)
        about = middle(self.shape) * voxel_size
        noise = float(np.median(np.square(np.abs(half[self.blank])))) / math.log(2) if len(self.blank) else 0.0
        return half[self.places] * np.exp(2j * np.pi * (self.frequencies @ about)), noise

    def image(self, spectrum: NDArray, voxel_size: Vector) -> NDArray[np.float64]:
        """Return the view that has a spectrum in the band, and nothing beyond."""
        nz, ny, nx = self.shape
        half = np.zeros((nz, ny, nx // 2 + 1), np.complex128)
        about = middle(self.shape) * voxel_size
        values = spectrum * np.exp(-2j * np.pi * (self.frequencies @ about))
        half.reshape(-1)[self.places] = values
        z, y, x = np.unravel_index(self.places, half.shape)
        own = x == 0  # there the half spectrum holds both of a pair
        half[-z[own], -y[own], 0] = values[own].conj()
        return scipy.fft.irfftn(half, self.shape, workers=1)


def band_of(transfer: TransferFunction, shape: Size, voxel_size: Vector, highest: float) -> Band:
    """Return the band that a PSF passes on the grid of a view, up to a frequency; zero and Nyquist are left out."""
    steps = [np.fft.fftfreq(n, d) for n, d in zip(shape[:2], voxel_size[:2], strict=True)]
    steps.append(np.fft.rfftfreq(shape[2], voxel_size[2]))
    z, y, x = (part.ravel() for part in np.meshgrid(*steps, indexing="ij"))
    passed = transfer.sample(np.eye(3), shape, voxel_size).ravel().astype(np.complex128)
    radii = np.sqrt(z * z + y * y + x * x)
    first = (x > 0) | (y > 0) | ((y == 0) & (z > 0))  # of a pair in the plane x = 0
    inside = np.logical_and.reduce([np.abs(f) * d < 0.499 for f, d in zip((z, y, x), voxel_size, strict=True)])
    passes = np.abs(passed) > _PASSES * np.abs(passed).max()
    places, blank = (
        np.flatnonzero(first & inside & (radii <= highest) & passes),
        np.flatnonzero(first & inside & ~passes),
    )
    if not len(places):
        raise ValueError(
            f"particles: found images of shape {shape} of which the PSF passes no frequency, need larger ones to find poses"
        )
    places = places[np.argsort(radii[places], kind="stable")]
    frequencies = np.ascontiguousarray(np.stack([z, y, x], axis=1)[places])
    return Band(frequencies, radii[places], passed[places], places, blank[:: len(blank) // _BLANK + 1], shape)
