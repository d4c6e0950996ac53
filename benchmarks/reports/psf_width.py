"""A PSF of the wrong width: what it costs, and what `fit_psf=True` finds of it from particles alone.

    python -m benchmarks.reports.psf_width [--factors 0.67 1 1.5] [--noise 0.05 0.141 0.316] [--workers N]

Fifty views of three structures (see `benchmarks.reports.alignment`) through a Gaussian PSF (sigma 4.5 along z, 1.2 across,
voxels), searched with a PSF some times as wide. The table gives the median error of the poses, with the PSF as given and as
found; how many times the true width the PSF has that was found; and how many dB a volume from the true poses loses with
either PSF against that with the true one.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from numpy.typing import NDArray

import fastmpr
from fastmpr.geometry.symmetry import as_group

from .alignment import degrees, in_frame_of, structure

STRUCTURES = {"clumps": None, "nuclear_pore": "C8", "centriole": "C9"}
SIGMA, VIEWS = (4.5, 1.2, 1.2), 50


def wide(factor: float) -> NDArray:
    """Return the PSF, some times as wide."""
    z, y, x = (factor * side for side in SIGMA)
    return fastmpr.psf.gaussian((41, 17, 17), sigma=(z, y, x))


def measure(name: str, factor: float, noise: float, workers: int | None) -> str:
    """Return a row of the table."""
    symmetry = STRUCTURES[name]
    group = np.eye(3)[np.newaxis] if symmetry is None else as_group(symmetry, (1, 0, 0))
    truth, poses = structure(name), fastmpr.Poses.random(VIEWS, max_translation=3.0, rng=0)
    views = fastmpr.simulate(truth, wide(1), poses)
    views += np.float32(noise * views.max()) * np.random.default_rng(0).standard_normal(views.shape, np.float32)

    def made(psf: NDArray, scale: float = 1.0) -> float:
        options = {"voxel_size": 1.0, "psf_voxel_size": scale, "check": False, "workers": workers}
        return fastmpr.metrics.psnr(fastmpr.reconstruct(views, psf, poses, **options).x, truth)

    best, errors, lost, begun = made(wide(1)), [], [], time.perf_counter()
    for fits in (False, True):
        found = fastmpr.ab_initio(fastmpr.Dataset(views, wide(factor)), fit_psf=fits, workers=workers)
        own = in_frame_of(found.poses, poses, group)
        errors.append(float(np.median(degrees(own.matrix, poses.matrix, group))))
        lost.append(best - made(wide(factor), found.psf_scale))
    seconds = time.perf_counter() - begun
    numbers = [*errors, factor * found.psf_scale, *lost]
    return (
        f"| {name} | {noise} | {factor} | " + " | ".join(f"{number:.2f}" for number in numbers) + f" | {seconds:.0f} |"
    )


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.67, 1.0, 1.5])
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.141, 0.316])
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)  # that the PSF does not fit
    print(
        "| structure | noise | PSF | degrees | with the PSF found | its width | dB lost | with the PSF found | both, s |"
    )
    print("|---" * 9 + "|")
    for name in STRUCTURES:
        for noise in args.noise:
            for factor in args.factors:
                print(measure(name, factor, noise, args.workers), flush=True)


if __name__ == "__main__":
    main()
