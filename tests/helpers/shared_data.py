"""Data from elsewhere, in the folder that FASTMPR_DATA names or beside the checkout, and what is made in their place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import fastmpr

DATA = Path(os.environ.get("FASTMPR_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
SPFLUOS = DATA / "centriole-translations"


def ninefold(volume: NDArray) -> NDArray:
    """Return the mean of a volume's nine turned copies."""
    copies = [ndimage.rotate(volume, 40 * k, axes=(1, 2), reshape=False, order=1) for k in range(9)]
    return np.mean(copies, axis=0, dtype=np.float32)


def make_centrioles(folder: Path) -> Path:
    """Write ten particles, each from 0 to 1, their poses, PSF and truth into files like SPFluo's."""
    truth, psf = ninefold(fastmpr.phantom.centriole(50)), fastmpr.psf.gaussian(41, sigma=(5, 1.5, 1.5))
    random = fastmpr.Poses.random(10, max_translation=4.0, rng=0)
    names = [f"particles/{i}.tiff" for i in range(len(random))]
    poses = fastmpr.Poses(random.rotation, random.translation, names=names, unit="voxel")
    (folder / "particles").mkdir()
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    low, high = (extreme(axis=(1, 2, 3), keepdims=True) for extreme in (views.min, views.max))
    views = (views - low) / (high - low)
    for name, volume in {**dict(zip(names, views, strict=True)), "psf.tiff": psf, "gt.tiff": truth}.items():
        fastmpr.io.write(folder / name, volume)
    poses.write(folder / "poses.csv")
    return folder
