"""Error bars by drawing views anew, beside the true spread over other noise in the same views.

    python -m benchmarks.reports.error_bars [--repetitions 50] [--replicates 50] [--workers N]

For each set: the correlation of the deviation that `assess(bootstrap=N)` tells with the true one, voxel by voxel; the median
of told over true where the volume is above a tenth of its maximum. Then a nine-fold ring of spots: in how many of 20 sets of
views the true diameter lies within two of the told errors.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

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


if __name__ == "__main__":
    main()
