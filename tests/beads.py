"""Beads as a camera gives them, computed apart from the package."""

from __future__ import annotations

import numpy as np

PEAK = 4000


def gaussian(shape, sigma=(3, 1, 1), shift=(0, 0, 0)):
    """A Gaussian whose centre is ``shift`` voxels from size // 2, of peak 1."""
    z, y, x = (
        np.exp(-(((np.arange(n) - n // 2 - d) / s) ** 2) / 2) for n, s, d in zip(shape, sigma, shift, strict=True)
    )
    return z[:, None, None] * y[:, None] * x


def counts(light, offset=0, read_noise=0.0, rng=None):
    """What a camera makes of light of peak 1: photons counted, noise of reading, an offset, whole numbers."""
    light = PEAK * light
    if rng is not None:
        light = rng.poisson(light) + rng.normal(0, read_noise, light.shape)
    return np.clip(np.rint(light + offset), 0, 65535).astype(np.uint16)
