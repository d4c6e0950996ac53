"""Small stacks as a camera counts them, and a PSF, for the tests of ``fastmpr deconvolve``."""

from __future__ import annotations

import numpy as np

import fastmpr

SHAPE = (12, 20, 22)
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
VOXEL = (0.3, 0.1, 0.1)
FEW = ["--lam", "10", "--max-iter", "3", "--tol", "0"]


def blurred(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Counts of a camera: some blobs, offset and noise."""
    rng = np.random.default_rng(seed)
    light = fastmpr.phantom.centriole(shape, voxel_size=0.02)
    counts = 10 + 200 * light / light.max() + rng.normal(0, 2, shape)
    return np.clip(counts, 0, None).astype(np.uint16)


def sides(voxel: tuple[float, ...], axes: str = "ZYX") -> dict:
    return {"axes": axes} | {
        f"PhysicalSize{axis}": side for axis, side in zip("ZYX"[-len(voxel) :], voxel, strict=True)
    }
