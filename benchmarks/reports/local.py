"""The resolution at each voxel by `assess(local=True)`: of uniform volumes, and of volumes of which one half is blurred.

    python -m benchmarks.reports.local [--size 48] [--blur 1 2 3] [--seed 0]

Views through a Gaussian PSF (sigma 4 along z, 1.2 across, voxels), noise as a share of the brightest voxel of the sharp
volume's views. ``uniform``: the local periods within the particle over the told resolution, median and from the 10th to
the 90th percentile; asked is 1 within 0.1. ``half blurred`` by a Gaussian of so many voxels: the median period in the
blurred half over that in the sharp half; asked is, within a fifth, the ratio of volumes that are blurred everywhere and
nowhere, by the truth. The ``texture`` is a rough ball.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

import fastmpr

PSF = fastmpr.psf.gaussian((19, 9, 9), sigma=(4, 1.2, 1.2))
SETS = ((30, 0.05), (100, 0.1), (20, 0.2))  # views, noise
APART = 0.15  # of the side: what is left out on either side of the border between the halves


def volume(name: str, size: int, seed: int) -> NDArray:
    """Return a sharp volume."""
    shape = (size,) * 3
    if name != "texture":
        return np.asarray(getattr(fastmpr.phantom, name)(shape), np.float32)
    f = np.linalg.norm(np.meshgrid(*[np.fft.fftfreq(n) for n in shape], indexing="ij"), axis=0)
    noise = np.fft.fftn(np.random.default_rng(seed).standard_normal(shape))
    rough = np.fft.ifftn(noise / np.maximum(f, 1 / size) ** 1.5).real
    rough = np.maximum(1 + 0.5 * (rough - rough.mean()) / rough.std(), 0)
    away = np.linalg.norm(np.indices(shape) - (size - 1) / 2, axis=0)
    return (rough / (1 + np.exp(2 * (away - 0.4 * size)))).astype(np.float32)


def views_of(truth: NDArray, poses: fastmpr.Poses, sigma: float, seed: int) -> NDArray:
    """Return views with noise."""
    views = fastmpr.simulate(truth, PSF, poses)
    return views + np.float32(sigma) * np.random.default_rng(seed).standard_normal(views.shape, np.float32)


def true_period(truth: NDArray, poses: fastmpr.Poses, sigma: float, seed: int) -> float:
    """Return the period at which a volume's correlation with the truth falls below 0.5."""
    x = fastmpr.reconstruct(views_of(truth, poses, sigma, seed), PSF, poses, check=False).x
    return 1 / (fastmpr.fsc(x, truth).crossing(0.5) or np.inf)


def measure(name: str, count: int, noise: float, blurs: list[float], size: int, seed: int) -> None:
    """Print the rows of a volume."""
    sharp, poses = volume(name, size, seed), fastmpr.Poses.random(count, rng=seed)
    sigma = noise * float(fastmpr.simulate(sharp, PSF, poses).max())
    inside = scipy.ndimage.gaussian_filter(sharp, 1) > 0.1 * sharp.max()
    along = np.broadcast_to((np.arange(size) - (size - 1) / 2) / size, sharp.shape)

    quality = fastmpr.assess(views_of(sharp, poses, sigma, seed), PSF, poses, local=True)
    low, middle, high = np.nanpercentile(quality.local[inside] / quality.resolution, [10, 50, 90])
    print(f"| {name} | {count} | {noise} | uniform | {middle:.2f} ({low:.2f}-{high:.2f}) | 1 | |", flush=True)
    fine = true_period(sharp, poses, sigma, seed)
    for blur in blurs:
        blurred = scipy.ndimage.gaussian_filter(sharp, blur)
        half = sharp + (blurred - sharp) / (1 + np.exp(-size * along))
        told = fastmpr.assess(views_of(half, poses, sigma, seed), PSF, poses, local=True).local
        ratio = np.nanmedian(told[inside & (along > APART)]) / np.nanmedian(told[inside & (along < -APART)])
        true = true_period(blurred, poses, sigma, seed) / fine
        row = f"half blurred by {blur:g} | {ratio:.2f} | {true:.2f} | {ratio / true:.2f}"
        print(f"| {name} | {count} | {noise} | {row} |", flush=True)


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--blur", type=float, nargs="+", default=[1.0, 2.0, 3.0])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)
    print("| volume | views | noise | | told | true | told over true |")
    print("|---" * 7 + "|")
    for name in ("texture", "centriole", "nuclear_pore"):
        for count, noise in SETS:
            measure(name, count, noise, args.blur, args.size, args.seed)


if __name__ == "__main__":
    main()
