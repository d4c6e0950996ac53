"""What a PSF does to an image on its own grid, unturned."""

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

_SHARE = 0.998  # of a PSF's light along an axis, that lies within its reach: with 0.99 rims are up to 2 dB worse
_ROOM = 1.5  # times the reach is the margin: with once, images full of haze are 2 to 5 dB worse
_ROUNDING = 1e-6  # of a voxel
_REMEDY = "sides in the unit of voxel_size, or a smaller PSF"
_NEGLIGIBLE = 3e-5  # of a transfer function at zero frequency: rounding of the PSF, or noise


class Blur:
    """A PSF beside an image's voxels.

    Parameters
    ----------
    psf : (kz, ky, kx) array_like
        Centred at ``size // 2`` on each axis.
    psf_voxel, voxel : (z, y, x)
        Its voxel, and the image's.

    Attributes
    ----------
    reach : (z, y, x)
        Voxels of the image, to either side, that nearly all light from a point stays within.
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
        """Return the PSF with the image's voxels, of sum 1."""
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
        """Return a periodic grid with a margin for light from beyond an image.

        What reaches in at opposite faces shares a margin: nothing tells light in it apart, but little is as far from both.
        """
        margins = (min(math.ceil(_ROOM * reach), n) for n, reach in zip(shape, self.reach, strict=True))
        nz, ny, nx = (n + margin if n > 1 else 1 for n, margin in zip(shape, margins, strict=True))
        return fast_shape((nz, ny, nx))

    def inside(self, shape: Size) -> tuple[slice, ...]:
        """Return what of an image hardly any light from beyond reaches, or its middle half along an axis."""
        rims = (min(reach, n // 4) for reach, n in zip(self.reach, shape, strict=True))
        return tuple(slice(rim, n - rim) for rim, n in zip(rims, shape, strict=True))

    def transfer(self, grid: Size, dtype: Any, workers: int) -> NDArray:
        """Return h^ on the half spectrum of a grid; real for a PSF that is its own mirror image."""
        if self._same:
            spectrum = rfftn(_wrapped(self._psf, grid, dtype), workers)
        else:
            spectrum = TransferFunction(self._psf, self._psf_voxel, dtype, workers).sample(np.eye(3), grid, self._voxel)
        symmetric = max(spectrum.imag.max(), -spectrum.imag.min()) < _NEGLIGIBLE
        return spectrum.real.copy() if symmetric else spectrum


def _reach(psf: NDArray, axis: int) -> int:
    """Return how far from the centre most light lies along an axis."""
    light = np.abs(psf).sum(axis=tuple(k for k in range(3) if k != axis))
    distance = np.abs(np.arange(len(light)) - len(light) // 2)
    held = np.cumsum(np.bincount(distance, light))
    return int(np.searchsorted(held, _SHARE * held[-1]))


def _wrapped(psf: NDArray, grid: Size, dtype: Any) -> NDArray:
    """Return a PSF on a periodic grid, its centre first; one that is larger is wrapped around."""
    out = np.zeros(grid)
    places = [(np.arange(n) - n // 2) % size for n, size in zip(psf.shape, grid, strict=True)]
    np.add.at(out, np.ix_(*places), psf)
    return out.astype(dtype)
