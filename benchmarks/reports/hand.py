"""Which hand: from which length of the PSF on may an answer from particles alone be the mirror image?

    python -m benchmarks.reports.hand [--lengths 3 4.5 6 9 12] [--noise 0.141] [--workers N]

Fifty views of ``clumps`` (see `benchmarks.reports.alignment`), which differ from their mirror image, through Gaussian PSFs
of several lengths (sigma along z, voxels; 1.2 across). A view is a 3-D image, so it tells the particle from its mirror
image by what it shows along z. The table gives the correlation of the volume found with the particle and with its mirror
image, each after alignment, and how many views score higher with the mirror image of the particle than with the particle.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

import fastmpr

from .alignment import structure

VIEWS, ACROSS = 50, 1.2


def likeness(x: NDArray, reference: NDArray) -> float:
    """Return the correlation of a volume with another, after alignment."""
    point = np.zeros((5, 5, 5))
    point[2, 2, 2] = 1
    data = fastmpr.Dataset(x[np.newaxis], point, seen="all", outside="dark", background="none")
    return float(fastmpr.align(data, reference).scores[0])


def measure(length: float, noise: float, workers: int | None) -> str:
    """Return a row of the table."""
    truth = structure("clumps")
    mirror = np.ascontiguousarray(truth[::-1])
    psf = fastmpr.psf.gaussian((2 * round(4 * length) + 1, 11, 11), sigma=(length, ACROSS, ACROSS))
    poses = fastmpr.Poses.random(VIEWS, max_translation=3.0, rng=0)
    views = fastmpr.simulate(truth, psf, poses)
    views += np.float32(noise * views.max()) * np.random.default_rng(0).standard_normal(views.shape, np.float32)
    data = fastmpr.Dataset(views, psf)
    found = fastmpr.ab_initio(data, workers=workers)
    own, other = (fastmpr.align(data, x, workers=workers).scores for x in (truth, mirror))
    like = [likeness(found.x, x) for x in (truth, mirror)]
    return (
        f"| {length} | {like[0]:.3f} | {like[1]:.3f} | {int((other > own).sum())} | {np.median(own):.3f} | "
        f"{np.median(other):.3f} | {found.confidence:.3f} |"
    )


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=float, nargs="+", default=[3.0, 4.5, 6.0, 9.0, 12.0])
    parser.add_argument("--noise", type=float, default=0.141)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    print("| PSF | like the particle | like its mirror | views for the mirror | score | with the mirror | confidence |")
    print("|---" * 7 + "|")
    for length in args.lengths:
        print(measure(length, args.noise, args.workers), flush=True)


if __name__ == "__main__":
    main()
