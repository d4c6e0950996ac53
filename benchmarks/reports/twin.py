"""The picture of the README's chapter "From particles alone": simulated crops, as people cut them out of confocal stacks.

    python -m benchmarks.reports.twin [--workers N]

Twenty-four crops of 50^3 voxels show a ring of nine spots, unevenly spaced as real ones are, through a PSF of 11 x 3 x 3
voxels (full width at half maximum). They differ in brightness and background, lie up to 6 voxels off, and are unseen beyond
a box of their own. `ab_initio` gets the crops and the PSF, with ``symmetry="auto"``, and nothing else.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fastmpr

SHAPE = (50, 50, 50)
PSF = fastmpr.psf.gaussian((45, 15, 15), sigma=(4.7, 1.3, 1.3))
PICTURE = Path(__file__).resolve().parents[1] / "particles_alone.png"


def ring(rng: np.random.Generator) -> NDArray:
    """Return nine spots of sigma 1.4 voxels on a circle of radius 9, each up to 3 degrees off its place."""
    angles = np.radians(40 * np.arange(9) + rng.uniform(-3, 3, 9))
    z, y, x = (np.arange(n) - (n - 1) / 2 for n in SHAPE)
    volume = np.zeros(SHAPE)
    for angle in angles:
        off = z[:, None, None] ** 2 + (y[:, None] - 9 * np.sin(angle)) ** 2 + (x - 9 * np.cos(angle)) ** 2
        volume += np.exp(-off / (2 * 1.4**2))
    return volume.astype(np.float32)


def crops(seed: int = 0) -> NDArray:
    """Return the views, NaN where nothing was seen."""
    rng = np.random.default_rng(seed)
    poses = fastmpr.Poses.random(24, max_translation=6, rng=seed)
    views = fastmpr.simulate(ring(rng), PSF, poses)
    brightest = views.max()
    for view, translation in zip(views, poses.translation, strict=True):
        view *= rng.uniform(0.6, 1.6)
        view += brightest * (rng.uniform(0.05, 0.3) + 0.02 * rng.normal(size=SHAPE))
        seen = np.zeros(SHAPE, bool)
        middle = (np.array(SHAPE) - 1) / 2 + translation
        low, high = (np.clip((middle + way * rng.uniform([19, 13, 13], 24)).astype(int), 0, 49) for way in (-1, 1))
        seen[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = True
        view[~seen] = np.nan
    return views


def main() -> None:
    """Find poses, volume and symmetry, print them, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    data = fastmpr.Dataset(crops(), PSF, symmetry="auto")
    start = time.perf_counter()
    found = fastmpr.ab_initio(data, workers=args.workers)
    print(f"{time.perf_counter() - start:.0f} s, confidence {found.confidence:.3f}, fit {found.fit:.2f}")
    print(f"symmetry: {found.symmetry}")
    fastmpr.plot.poses(found, None, PICTURE, overwrite=True)


if __name__ == "__main__":
    main()
