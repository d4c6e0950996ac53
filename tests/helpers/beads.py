"""Beads as a camera gives them, computed apart from the package."""

from __future__ import annotations

import functools

import numpy as np

PEAK = 4000


def gaussian(shape, sigma=(3, 1, 1), shift=(0, 0, 0)):
    """A Gaussian whose centre is ``shift`` voxels from size // 2, of peak 1; a plane takes the last of both."""
    dimensions = len(shape)
    each = zip(shape, sigma[-dimensions:], shift[-dimensions:], strict=True)
    profiles = [np.exp(-(((np.arange(n) - n // 2 - d) / s) ** 2) / 2) for n, s, d in each]
    return functools.reduce(np.multiply.outer, profiles)


def counts(light, offset=0, read_noise=0.0, rng=None):
    """What a camera makes of light of peak 1: photons counted, noise of reading, an offset, whole numbers."""
    light = PEAK * light
    if rng is not None:
        light = rng.poisson(light) + rng.normal(0, read_noise, light.shape)
    return np.clip(np.rint(light + offset), 0, 65535).astype(np.uint16)
