"""Cells of an image: small boxes over which noise is averaged before they are compared."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._validation import Size
from .image import Image

CELL = 8  # voxels along each side


def cells_of(image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and variance of the voxels seen in each whole cell; the mean is NaN if less than half were seen."""
    cells = [min(CELL, n) for n in image.shape]
    nz, ny, nx = (n // cell for n, cell in zip(image.shape, cells, strict=True))
    count, total, squares = np.zeros((3, nz, ny, nx))
    for z in range(nz * cells[0]):
        plane = image[z][: ny * cells[1], : nx * cells[2]].astype(float).reshape(ny, cells[1], nx, cells[2])
        count[z // cells[0]] += np.count_nonzero(~np.isnan(plane), axis=(1, 3))
        total[z // cells[0]] += np.nansum(plane, axis=(1, 3))
        squares[z // cells[0]] += np.nansum(np.square(plane), axis=(1, 3))
    mean = np.where(2 * count >= min(float(count.max()), math.prod(cells)), total / np.maximum(count, 1), np.nan)
    return mean, np.maximum(squares / np.maximum(count, 1) - np.square(mean), 0)


def liveliest(image: Image, most: int, least: Size) -> tuple[slice, slice, slice]:
    """Return the box of at most ``most`` voxels in which the cells of an image differ most from their mean.

    No side is shorter than ``least``, unless the image's side is. A small image is returned whole.
    """
    sizes = _cut_to(image.shape, most, least)
    if sizes == image.shape:
        return slice(None), slice(None), slice(None)
    means, _ = cells_of(image)
    cells = [min(CELL, n) for n in image.shape]
    window = [max(1, size // cell) for size, cell in zip(sizes, cells, strict=True)]
    energy = np.nan_to_num(np.square(means - np.nanmean(means)))
    energy = ndimage.uniform_filter(energy, window, mode="constant")
    centre = np.unravel_index(int(energy.argmax()), energy.shape)
    firsts = [
        min(max(int(c) * cell + cell // 2 - size // 2, 0), n - size)
        for c, cell, size, n in zip(centre, cells, sizes, image.shape, strict=True)
    ]
    z, y, x = (slice(first, first + size) for first, size in zip(firsts, sizes, strict=True))
    return z, y, x


def _cut_to(shape: Size, most: int, least: Size) -> Size:
    """Return sides in the same proportions with at most ``most`` voxels; no side is cut below ``least``."""
    sizes = list(shape)
    for _ in range(3):
        free = [k for k in range(3) if sizes[k] > least[k]]
        factor = (most / math.prod(sizes)) ** (1 / max(1, len(free)))
        if factor >= 1 or not free:
            break
        for k in free:
            sizes[k] = max(int(sizes[k] * factor), least[k])
    return sizes[0], sizes[1], sizes[2]
