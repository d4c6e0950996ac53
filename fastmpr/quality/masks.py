"""Soft masks around a particle."""

from __future__ import annotations

import math

import numpy as np
import scipy  # scipy.ndimage is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Vector

_SMOOTHING = 0.03  # of the volume's side: standard deviation of the filter
_LEVEL = 0.1  # of the maximum after smoothing
_RIM = 0.05  # of the volume's side: what is kept around that, and then the width of the soft edge


def soft_mask(x: NDArray, voxel_size: Vector) -> NDArray[np.float64]:
    """Return factors from 0 to 1: 1 on the particle and a rim around it, then falling to 0 as a raised cosine."""
    side = math.prod(n * v for n, v in zip(x.shape, voxel_size, strict=True)) ** (1 / 3)
    smooth = scipy.ndimage.gaussian_filter(x, [_SMOOTHING * side / v for v in voxel_size], mode="constant")
    away = scipy.ndimage.distance_transform_edt(smooth < _LEVEL * smooth.max(), sampling=voxel_size)
    beyond = np.clip(away / (_RIM * side) - 1, 0, 1)
    return 0.5 * (1 + np.cos(np.pi * beyond))
