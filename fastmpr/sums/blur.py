"""The blur of an image by a PSF that is not rotated, on the grid of the image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._validation import Size, Vector
from ..runtime.fft import fast_shape, rfftn
from ..runtime.limits import check_memory
from .transfer import TransferFunction, as_psf

_SHARE = 0.998  # of the light of a PSF along an axis lies within its reach: with 0.99, rims are up to 2 dB worse
_ROOM = 1.5  # the margin over the reach: with 1, images full of haze are 2 to 5 dB worse
_ROUNDING = 1e-6  # of a voxel
_REMEDY = "sides in the unit of voxel_size, or a smaller PSF"
_NEGLIGIBLE = 3e-5  # of a transfer function at zero frequency: rounding of the PSF, or noise


class Blur:
    """A PSF, and the voxels of the image that it blurs.

    Parameters
    ----------
    psf : (kz, ky, kx) array_like
        The PSF, centred at ``size // 2`` on each axis.
    psf_voxel, voxel : (z, y, x)
        Voxel sizes of the PSF and of the image.

    Attributes
    ----------
    reach : (z, y, x)
        Distance along each axis, in voxels of the image, within which nearly all light of a point stays.
    symmetric : bool
        Whether the PSF is its own mirror image about its centre.
    """

    def __init__(self, psf: Any, psf_voxel: Vector, voxel: Vector):
        self._psf, self._psf_voxel, self._voxel = as_psf(psf), psf_voxel, voxel
        self._same = np.allclose(psf_voxel, voxel)
        z, y, x = (
            math.ceil(_reach(self._psf, axis) * own / other - _ROUNDING)
            for axis, (own, other) in enumerate(zip(psf_voxel, voxel, strict=True))
        )
        self.reach: Size = z, y, x
        self.symmetric = bool(np.allclose(self._psf, self._psf[::-1, ::-1, ::-1])) and all(
            n % 2 for n in self._psf.shape
        )

    def psf(self) -> NDArray[np.float64]:
        """Return the PSF resampled to the voxels of the image, with sum 1."""
        if self._same:
            return self._psf
        factors = np.divide(self._psf_voxel, self._voxel)
        half = [max(1, round(n // 2 * factor)) for n, factor in zip(self._psf.shape, factors, strict=True)]
        shape = tuple(2 * k + 1 for k in half)
        check_memory("psf_voxel_size", shape, 2 * 8 * math.prod(shape), _REMEDY)
        first = [n // 2 - k / f for n, k, f in zip(self._psf.shape, half, factors, strict=True)]
        sampled = ndimage.affine_transform(self._psf, np.diag(1 / factors), first, shape, order=1)
        return sampled / sampled.sum()

    def grid(self, shape: Size) -> Size:
        """Return the shape of a periodic grid with a margin for light from outside an image.

        Opposite faces of the image share one margin, so light outside one face cannot be told from light outside the other.
        Only a small part of the margin lies within reach of both faces.
        """
        margins = (min(math.ceil(_ROOM * reach), n) for n, reach in zip(shape, self.reach, strict=True))
        nz, ny, nx = (n + margin if n > 1 else 1 for n, margin in zip(shape, margins, strict=True))
        return fast_shape((nz, ny, nx))

    def inside(self, shape: Size) -> tuple[slice, ...]:
        """Return the part of an image that hardly any light from outside reaches, at least the middle half of each axis."""
        rims = (min(reach, n // 4) for reach, n in zip(self.reach, shape, strict=True))
        return tuple(slice(rim, n - rim) for rim, n in zip(rims, shape, strict=True))

    def transfer(self, grid: Size, dtype: Any, workers: int) -> NDArray:
        """Return h^ on the half spectrum of a grid; real if the PSF is its own mirror image."""
        if self._same:
            spectrum = rfftn(_wrapped(self._psf, grid, dtype), workers)
        else:
            spectrum = TransferFunction(self._psf, self._psf_voxel, dtype, workers).sample(np.eye(3), grid, self._voxel)
        symmetric = max(spectrum.imag.max(), -spectrum.imag.min()) < _NEGLIGIBLE
        return spectrum.real.copy() if symmetric else spectrum


def _reach(psf: NDArray, axis: int) -> int:
    """Return the distance from the centre, along an axis, within which a share `_SHARE` of the light lies."""
    light = np.abs(psf).sum(axis=tuple(k for k in range(3) if k != axis))
    distance = np.abs(np.arange(len(light)) - len(light) // 2)
    held = np.cumsum(np.bincount(distance, light))
    return int(np.searchsorted(held, _SHARE * held[-1]))


def _wrapped(psf: NDArray, grid: Size, dtype: Any) -> NDArray:
    """Return a PSF on a periodic grid, with its centre at the first voxel; a larger PSF is wrapped around."""
    out = np.zeros(grid)
    places = [(np.arange(n) - n // 2) % size for n, size in zip(psf.shape, grid, strict=True)]
    np.add.at(out, np.ix_(*places), psf)
    return out.astype(dtype)
