"""One large image and its PSF: time and memory of `fastmpr.deconvolve`, lam chosen by itself."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

import fastmpr

SIZES = {"64x192x192": (64, 192, 192), "128x256x512": (128, 256, 512)}
SIGMA = (3.0, 1.3, 1.3)  # of the PSF, in voxels
NOISE = 0.1  # of the brightest voxel of one particle's image
EACH = 32768  # voxels for each particle


def stack(shape: tuple[int, int, int]) -> NDArray:
    """Return an image crowded with centrioles, noisy."""
    rng = np.random.default_rng(0)
    particle = np.pad(fastmpr.phantom.centriole(24), 12)
    blurred = scipy.ndimage.gaussian_filter(particle, SIGMA)
    image = rng.normal(0, NOISE * blurred.max(), shape).astype(np.float32)
    for _ in range(math.prod(shape) // EACH):
        corner = [int(rng.integers(0, n - 47)) for n in shape]
        image[tuple(slice(first, first + 48) for first in corner)] += blurred
    return image


class Deconvolve:
    """A whole call, as a user makes it."""

    version = "1"
    params = list(SIZES)
    param_names = ["size"]
    timeout = 300

    def setup(self, size):
        self.image, self.psf = stack(SIZES[size]), fastmpr.psf.gaussian((25, 13, 13), sigma=SIGMA)
        fastmpr.deconvolve(self.image[:32, :64, :64], self.psf, workers=2)

    def time_deconvolve(self, size):
        fastmpr.deconvolve(self.image, self.psf, workers=2)


class DeconvolvePerVoxel:
    """Peak of a call in bytes per voxel of the image, its result included."""

    version = "1"
    params = list(SIZES)
    param_names = ["size"]
    unit = "bytes/voxel"
    timeout = 300

    def setup(self, size):
        self.image, self.psf = stack(SIZES[size]), fastmpr.psf.gaussian((25, 13, 13), sigma=SIGMA)

    def track_bytes(self, size):
        tracemalloc.start()
        fastmpr.deconvolve(self.image, self.psf, lam=100.0, max_iter=10, workers=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / self.image.size
