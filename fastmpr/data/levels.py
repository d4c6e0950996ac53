"""What is behind an image: the level of its darkest parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._validation import Size, as_choice, as_number
from .cells import CELL, cells_of
from .image import Image

_DARKEST = 0.01  # of the cells are taken for dark
_SIGMAS = 2.33  # that quantile of a normal distribution, below its mean


def as_level(image: Image, background: Any, psf: NDArray) -> float:
    """Return what to take off: by default what the darkest cells have in common, less the light that the PSF takes there.

    The least of many noisy cells lies below them all. Too much would forbid what is true, which costs several dB; too little
    leaves positivity with nothing to say, which costs some tenths.
    """
    if not isinstance(background, str):
        return as_number(background, "background", -1e30, 1e30, "'auto', 'none' or a number")
    if as_choice(background, "background", ("auto", "none")) == "none":
        return 0.0
    mean, variance = cells_of(image)
    darkest = mean <= max(float(np.nanquantile(mean, _DARKEST)), float(np.nanmin(mean)))
    noise = math.sqrt(np.median(variance[mean <= np.nanquantile(mean, 5 * _DARKEST)]) / min(CELL**3, image.values.size))
    level = float(mean[darkest].max()) + _SIGMAS * noise
    light = np.nan_to_num(np.maximum(mean - level - _SIGMAS * noise, 0))
    haze = ndimage.convolve(light, _between_cells(psf, image.shape), mode="nearest")
    return level - float(haze[darkest].min())


def _between_cells(psf: NDArray, shape: Size) -> NDArray[np.float64]:
    """Return which share of the light of a cell a PSF takes to those around it."""
    shares = []
    for n, size in zip(psf.shape, shape, strict=True):
        cell, offset = min(CELL, size), np.arange(n) - n // 2
        last = math.ceil((n // 2 + 1) / cell)
        shares.append(np.maximum(0, 1 - np.abs(offset / cell - np.arange(-last, last + 1)[:, None])))
    return np.einsum("zyx,iz,jy,kx->ijk", psf, *shares, optimize=True)
