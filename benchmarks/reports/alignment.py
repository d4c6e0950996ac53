"""Poses from particles alone: errors beside those that the true volume gives as a reference, and times.

    python -m benchmarks.reports.alignment [structure ...] [--views 50] [--noise 0.141] [--seeds 3] [--workers N]

50^3 voxels, a Gaussian PSF of sigma (4.5, 1.2, 1.2), translations up to 3 voxels. Noise is its standard deviation over the
brightest voxel of the noise-free views. Errors are medians after one rotation and shift of all poses, modulo the particle's
symmetry, which the search is not told; "off" counts views wrong by more than 5 degrees, and "lost" is the PSNR of the volume
from the true poses less that from the poses found.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.metrics import psnr

SHAPE = (50, 50, 50)
PSF = fastmpr.psf.gaussian((41, 13, 13), sigma=(4.5, 1.2, 1.2))
SYMMETRY = {"centriole": "C9", "nuclear_pore": "C8"}
OFF = 5.0  # degrees


def chain(seed: int = 0) -> NDArray:
    """Return a particle without symmetry: blobs along a random walk."""
    rng, x = np.random.default_rng(seed), np.zeros(SHAPE)
    places = np.cumsum(rng.normal(size=(400, 3)), axis=0)
    places -= places.mean(axis=0)
    places *= 15 / np.abs(places).max()
    for place in places + 24.5:
        x[tuple(place.round().astype(int))] += 1
    return ndimage.gaussian_filter(x, 2.0)


def structure(name: str) -> NDArray:
    """Return a particle, its brightest voxel 1."""
    x = chain() if name == "chain" else getattr(fastmpr.phantom, name)(SHAPE, dtype=np.float64)
    return (x / x.max()).astype(np.float32)


def degrees(found: NDArray, true: NDArray, group: NDArray) -> NDArray:
    """Return the angle between rotations, modulo a group."""
    traces = np.einsum("nij,gjk,nik->ng", true, group, found).max(axis=1)
    return np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))


def in_frame_of(found: fastmpr.Poses, true: fastmpr.Poses, group: NDArray) -> fastmpr.Poses:
    """Return found poses rotated and shifted together, so that most of them agree with the true ones."""
    best, error = found, np.inf
    for k in range(min(12, len(true))):
        moved = found.moved(Rotation.from_matrix(true.matrix[k].T @ found.matrix[k]))
        for _ in range(4):
            near = group[np.einsum("nij,gjk,nik->ng", true.matrix, group, moved.matrix).argmax(axis=1)]
            turns = Rotation.from_matrix(
                np.einsum("nij,njk->nik", (true.matrix @ near).transpose(0, 2, 1), moved.matrix)
            )
            close = turns.magnitude() <= max(np.radians(OFF), np.median(turns.magnitude()))
            moved = moved.moved(turns[close].mean())
        median = float(np.median(degrees(moved.matrix, true.matrix, group)))
        if median < error:
            best, error = moved, median
    close = degrees(best.matrix, true.matrix, group) < OFF
    offset = (best.translation - true.translation)[close].ravel()
    return best.moved(shift=np.linalg.lstsq(best.matrix[close].reshape(-1, 3), offset, rcond=None)[0])


def measure(name: str, views: int, noise: float, seed: int, workers: int | None) -> str:
    """Return a row of the table."""
    truth = structure(name)
    poses = fastmpr.Poses.random(views, max_translation=3.0, rng=seed)
    clean = fastmpr.simulate(truth, PSF, poses)
    particles = clean + np.float32(noise * clean.max()) * np.random.default_rng(seed).standard_normal(
        clean.shape, np.float32
    )
    data = fastmpr.Dataset(particles, PSF)
    group = fastmpr.Dataset(particles, symmetry=SYMMETRY.get(name)).group
    start = time.perf_counter()
    found = fastmpr.ab_initio(data, rng=seed, workers=workers)
    seconds = time.perf_counter() - start
    given = fastmpr.align(data, truth, workers=workers).poses
    own = in_frame_of(found.poses, poses, group)
    best, volume = (fastmpr.reconstruct(data.replace(poses=one)).x for one in (poses, own))
    errors, others = (degrees(one.matrix, poses.matrix, group) for one in (own, given))
    shifts, other_shifts = (np.linalg.norm(one.translation - poses.translation, axis=1) for one in (own, given))
    return (
        f"| {name} | {noise} | {seed} | {np.median(errors):.2f} ({np.median(others):.2f}) | {np.median(shifts):.3f} "
        f"({np.median(other_shifts):.3f}) | {(errors > OFF).sum()} ({(others > OFF).sum()}) | "
        f"{psnr(best, truth) - psnr(volume, truth):.2f} | {found.confidence:.3f} | {seconds:.1f} |"
    )


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", nargs="*", default=["nuclear_pore", "centriole", "chain"])
    parser.add_argument("--views", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.141)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    fastmpr.align(
        fastmpr.Dataset(np.ones((1, 8, 8, 8)), PSF[16:25]), np.ones((8, 8, 8))
    )  # compiled before the clock starts
    print("| structure | noise | seed | degrees (true volume) | voxels | off | lost, dB | confidence | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in args.structures:
        for seed in range(args.seeds):
            print(measure(name, args.views, args.noise, seed, args.workers), flush=True)


if __name__ == "__main__":
    main()
