"""Error bars by drawing views anew, beside the true spread over other noise in the same views.

    python -m benchmarks.reports.error_bars [--repetitions 50] [--replicates 50] [--workers N]

For each set: the correlation of the deviation that `assess(bootstrap=N)` tells with the true one, voxel by voxel; the median
of told over true where the volume is above a tenth of its maximum. Then a thin ring: in how many of 20 sets of views its
true diameter lies within two of the told errors.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from numpy.typing import NDArray

import fastmpr

from .resolution import PSFS

SETS = [("centriole", 30, 0.05), ("centriole", 100, 0.1), ("nuclear_pore", 30, 0.1), ("nuclear_pore", 100, 0.2)]
PSF = PSFS["Gaussian, 3 times longer"]()
RINGS = 20


def spread(name: str, views: int, noise: float, repetitions: int, replicates: int, workers: int | None) -> str:
    """Return a row: how the told deviation compares with the true one."""
    truth, poses = getattr(fastmpr.phantom, name)((32, 32, 32)), fastmpr.Poses.random(views, max_translation=1, rng=0)
    clean = fastmpr.simulate(truth, PSF, poses)

    def data_of(seed: int) -> fastmpr.Dataset:
        noisy = np.random.default_rng(seed).standard_normal(clean.shape, np.float32)
        return fastmpr.Dataset(clean + np.float32(noise * clean.max()) * noisy, PSF, poses)

    quality = fastmpr.assess(data_of(0), bootstrap=replicates, workers=workers)
    lam = quality.result.lam
    again = [fastmpr.reconstruct(data_of(1 + k), lam=lam, check=False, workers=workers).x for k in range(repetitions)]
    true, told = np.std(again, axis=0, ddof=1), quality.deviation
    bright = quality.result.x > 0.1 * quality.result.x.max()
    correlation = np.corrcoef(true.ravel(), told.ravel())[0, 1]
    scale = np.median(told[bright] / true[bright])
    return f"| {name} | {views} | {noise} | {correlation:.3f} | {scale:.2f} |"


def ring_volume(n: int, radius: float) -> NDArray:
    """Return a circle in the plane of y and x, as a Gaussian of 1.2 voxels shows it."""
    place = np.moveaxis(np.indices((n, n, n)), 0, -1) - (n - 1) / 2
    spots = radius * np.array(
        [(0, np.sin(angle), np.cos(angle)) for angle in np.linspace(0, 2 * np.pi, 72, endpoint=False)]
    )
    x = sum(np.exp(-np.square(place - spot).sum(axis=-1) / (2 * 1.2**2)) for spot in spots)
    return (x / np.max(x)).astype(np.float32)


def rings(views: int, noise: float, replicates: int, workers: int | None) -> str:
    """Return a row: how often the true diameter of a ring lies within two of the told errors."""
    radius, inside, found, told = 8.0, 0, [], []
    for seed in range(RINGS):
        poses = fastmpr.Poses.random(views, max_translation=1, rng=seed)
        clean = fastmpr.simulate(ring_volume(28, radius), PSF, poses)
        noisy = np.random.default_rng(seed).standard_normal(clean.shape, np.float32)
        data = fastmpr.Dataset(clean + np.float32(noise * clean.max()) * noisy, PSF, poses)
        diameter = fastmpr.assess(data, bootstrap=replicates, profiles=True, workers=workers).profiles.diameter
        inside += abs(diameter.value - 2 * radius) <= 2 * diameter.error
        found.append(diameter.value)
        told.append(diameter.error)
    off, scatter = np.mean(found) - 2 * radius, np.std(found, ddof=1)
    return f"| ring | {views} | {noise} | {inside} of {RINGS} | {off:+.3f} | {scatter:.3f} | {np.mean(told):.3f} |"


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)
    print("| structure | views | noise | correlation | told over true |\n|---|---|---|---|---|")
    for one in SETS:
        print(spread(*one, args.repetitions, args.replicates, args.workers), flush=True)
    print(
        "\n| | views | noise | within two errors | mean off, voxels | scatter | told error |\n|---" + "|---" * 6 + "|"
    )
    for views, noise in ((20, 0.1), (20, 0.3), (60, 0.1)):
        print(rings(views, noise, args.replicates, args.workers), flush=True)


if __name__ == "__main__":
    main()
