"""How much worse volumes are resolved along the optical axis than across it: for one view, many, and many from one side.

    python -m benchmarks.reports.isotropy [--seeds 0 1 2] [--noise 0.05 0.1] [--size 48] [--only one all within]

Phantoms seen through PSFs of different lengths, automatic lam, noise as a share of the brightest voxel of the noise-free
views. ``one`` view with its optical axis along z, and ``all``, 100 random poses: the period along z over the mean of those
along y and x, each in a cone of 20 degrees at a correlation of 0.5 with the truth. ``within``, 40 views whose optical axes
lie within 20 degrees of z: the same, and what `assess` tells of it without the truth: the worst resolution over the best,
and whether it warns. Each figure is the median of the seeds, with the least and the largest.

One view is more than 3 times worse along z with a Gaussian that is 6 times as long as wide; with the others the solver finds
back more along z than across, and 1.4 to 2.7 times remain.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import fastmpr

OIL = {"voxel_size": 0.1, "wavelength": 0.52, "na": 1.4, "refractive_index": 1.515}
PSFS = {
    "Gaussian, 3.3 times as long": fastmpr.psf.gaussian((27, 9, 9), sigma=(4, 1.2, 1.2)),
    "Gaussian, 4 times as long": fastmpr.psf.gaussian((33, 11, 11), sigma=(5.6, 1.4, 1.4)),
    "Gaussian, 6 times as long": fastmpr.psf.gaussian((51, 9, 9), sigma=(7.2, 1.2, 1.2)),
    "confocal, oil, NA 1.4": fastmpr.psf.born_wolf((41, 25, 25), confocal=True, **OIL),
    "widefield, oil, NA 1.4": fastmpr.psf.born_wolf((41, 25, 25), **OIL),
}
PHANTOMS = ("centriole", "nuclear_pore")
KINDS = ("one", "all", "within")


def poses_of(kind: str, seed: int) -> fastmpr.Poses:
    """Return the poses of a set."""
    if kind == "one":
        return fastmpr.Poses(Rotation.identity(1), np.zeros((1, 3)))
    return fastmpr.Poses.random(100, rng=seed) if kind == "all" else within(20, 40, seed)


def within(degrees: float, count: int, seed: int) -> fastmpr.Poses:
    """Return poses whose optical axes lie within an angle of the model's z axis, evenly."""
    rng = np.random.default_rng(seed)
    spin = Rotation.from_rotvec(rng.uniform(0, 2 * np.pi, (count, 1)) * [1, 0, 0])
    tilt = np.arccos(rng.uniform(np.cos(np.radians(degrees)), 1, count))
    turn = rng.uniform(0, 2 * np.pi, count)
    axis = np.column_stack([np.zeros(count), np.cos(turn), np.sin(turn)])
    return fastmpr.Poses(Rotation.from_rotvec(tilt[:, None] * axis) * spin, np.zeros((count, 3)))


def noisy(truth: NDArray, psf: NDArray, poses: fastmpr.Poses, noise: float, seed: int) -> NDArray:
    """Return the views."""
    views = fastmpr.simulate(truth.astype(np.float32), psf, poses)
    return views + np.float32(noise * views.max()) * np.random.default_rng(seed).standard_normal(
        views.shape, np.float32
    )


def measure(kind: str, truth: NDArray, psf: NDArray, noise: float, seed: int) -> list[float]:
    """Return axial over lateral resolution; and for ``within`` what halves tell, and the number of warnings of it."""
    poses = poses_of(kind, seed)
    views = noisy(truth, psf, poses, noise, seed)
    if kind != "within":
        return [axial_over_lateral(fastmpr.reconstruct(views, psf, poses, check=False).x, truth)]
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        quality = fastmpr.assess(views, psf, poses)
    said = sum("need views from other sides" in line for line in quality.warnings)
    return [axial_over_lateral(quality.result.x, truth), quality.cones.ratio, said]


def axial_over_lateral(x: NDArray, truth: NDArray) -> float:
    """Return the period along z over the mean of those along y and x."""
    axial, *lateral = fastmpr.conical_fsc(x, truth, directions=3).resolution
    return float(axial / np.mean(lateral))


def rows(kinds: list[str], noises: list[float], seeds: list[int], size: int) -> Iterator[str]:
    """Yield the rows of the table."""
    for kind in kinds:
        for label, psf in PSFS.items():
            for name in PHANTOMS:
                truth = getattr(fastmpr.phantom, name)((size,) * 3)
                for noise in noises:
                    told = np.array([measure(kind, truth, psf, noise, seed) for seed in seeds])
                    true, rest = shown(told[:, 0]), ""
                    if kind == "within":
                        rest = f"{shown(told[:, 1])} | {int((told[:, 2] > 0).sum())} of {len(told)}"
                    yield f"| {kind} | {label} | {name} | {noise} | {true} | {rest or ' | '} |"


def shown(values: NDArray) -> str:
    """Return the median and the range."""
    return f"{np.median(values):.2f} ({values.min():.2f}-{values.max():.2f})"


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    args = parser.parse_args()
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)
    print("| views | PSF | phantom | noise | axial over lateral, by the truth | worst over best, told | warned |")
    print("|---" * 7 + "|")
    for row in rows(args.only, args.noise, args.seeds, args.size):
        print(row, flush=True)


if __name__ == "__main__":
    main()
