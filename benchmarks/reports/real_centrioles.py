"""A ring of nine from real centrioles, without poses or symmetry: its spots, and how far several runs agree.

    python -m benchmarks.reports.real_centrioles [--seeds 3] [--workers N] [--save FOLDER]

Needs ``FASTMPR_DATA``, the folder that holds ``centriole-real``: 24 crops and a measured PSF, which are not a part of this
repository. `ab_initio` runs with its defaults on all of them from several seeds, on two halves, each on its own, and with
``symmetry="auto"``. A spot is a maximum of the profile along the ring, at its brightest radius and after a Gaussian of 6
degrees, that rises by 3 % of the largest above the least value within 28 degrees on either side. Two volumes are compared
after one is aligned with the other: their Fourier shell correlation at 0.20 cycles per voxel, the same when one is spun by
20 degrees, half a spot, and the frequency where it falls below a half.
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.alignment.relatives import distinct_axis, moments

SMOOTH, NEAR, RISE = 6, 28, 0.03  # degrees, degrees, of the largest
AT = 0.20  # cycles per voxel
SPIN = 20.0  # degrees


def turned(x: NDArray, rotation: NDArray, shift: NDArray | float = 0.0) -> NDArray:
    """Return a volume rotated about its middle, then shifted (voxels)."""
    middle = (np.array(x.shape) - 1) / 2
    return ndimage.affine_transform(x, rotation.T, middle - rotation.T @ (middle + shift), order=3)


def upright(x: NDArray) -> tuple[NDArray, NDArray]:
    """Return a ring's centre (voxels) and the rotation that turns its axis to z."""
    centre, values, axes = moments(x)
    own, _ = distinct_axis(values)
    rotation = np.roll(axes, -own, axis=1).T
    rotation[2] *= np.linalg.det(rotation)
    return centre + (np.array(x.shape) - 1) / 2, rotation


def profile(x: NDArray) -> NDArray:
    """Return the light along a ring at its brightest radius, a value each degree."""
    centre, rotation = upright(x)
    angles, radii = np.radians(np.arange(360)), np.arange(2, min(x.shape) / 2 - 2, 0.25)
    heights = np.arange(-3, 3.01, 0.5)
    h, r, a = np.meshgrid(heights, radii, angles, indexing="ij")
    places = rotation.T @ np.stack([h, r * np.sin(a), r * np.cos(a)]).reshape(3, -1) + centre[:, np.newaxis]
    light = ndimage.map_coordinates(x, places, order=3).reshape(h.shape).mean(axis=0)
    return ndimage.gaussian_filter1d(light[light.mean(axis=1).argmax()], SMOOTH, mode="wrap")


def spots(line: NDArray) -> NDArray:
    """Return the places of the spots along a profile, in degrees."""
    tops = np.flatnonzero((line > np.roll(line, 1)) & (line >= np.roll(line, -1)))
    least = RISE * line.max()

    def rises(top: int, way: int) -> bool:
        return line[top] - line[(top + way * np.arange(NEAR + 1)) % 360].min() >= least

    return np.array([top for top in tops if rises(top, 1) and rises(top, -1)])


def spacings(line: NDArray) -> NDArray:
    """Return the angles between neighbouring spots."""
    places = spots(line)
    return np.diff(np.append(places, places[0] + 360)) if len(places) else places


def differ(one: NDArray, other: NDArray) -> float:
    """Return how far two lists of spacings differ, whichever spot and whichever way each begins with."""
    if len(one) != len(other):
        return float("inf")
    return min(np.abs(one - np.roll(way, k)).max() for way in (other, other[::-1]) for k in range(len(one)))


def correlation(one: NDArray, other: NDArray) -> tuple[NDArray, NDArray]:
    """Return the Fourier shell correlation of two volumes, and its frequencies in cycles per voxel."""
    a, b = np.fft.fftn(one), np.fft.fftn(other)
    radius = np.sqrt(sum(f * f for f in np.meshgrid(*map(np.fft.fftfreq, one.shape), indexing="ij")))
    shells = np.round(radius * one.shape[0]).astype(int).ravel()

    def total(values: NDArray) -> NDArray:
        return np.bincount(shells, values.real.ravel())[: one.shape[0] // 2]

    common = total(a * b.conj()) / np.sqrt(total(np.abs(a) ** 2) * total(np.abs(b) ** 2))
    return common, np.arange(len(common)) / one.shape[0]


def aligned(x: NDArray, with_: NDArray) -> NDArray:
    """Return a ring in the frame of another: the best of what a search finds, and of that by whole spots farther."""
    point = np.zeros((5, 5, 5))
    point[2, 2, 2] = 1
    data = fastmpr.Dataset(x[np.newaxis], point, seen="all", outside="dark", background="none")
    first, (_, own) = fastmpr.align(data, with_).poses, upright(with_)
    found = []
    for angle in range(0, 360, 40):
        poses = first.moved(Rotation.from_matrix(own.T @ about_z(angle) @ own))
        found.append(fastmpr.align(data.replace(poses=poses), with_, search="local"))
    best = max(found, key=lambda one: one.scores[0]).poses
    back, shift = best.matrix[0].T, best.translation[0]
    return turned(x, back, -back @ shift)


def about_z(angle: float) -> NDArray:
    """Return the rotation of (z, y, x) by an angle in degrees about z."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def spun(x: NDArray) -> NDArray:
    """Return a ring turned by half a spot about its own axis."""
    centre, rotation = upright(x)
    turn = rotation.T @ about_z(SPIN) @ rotation
    off = centre - (np.array(x.shape) - 1) / 2
    return turned(x, turn, off - turn @ off)


def crops() -> fastmpr.Dataset:
    """Return the particles and their PSF."""
    folder = os.environ.get("FASTMPR_DATA")
    if not folder:
        raise SystemExit("FASTMPR_DATA: not set, need the folder that holds centriole-real")
    return fastmpr.load(Path(folder) / "centriole-real" / "particles", Path(folder) / "centriole-real" / "psf.tif")


def main() -> None:
    """Run all, and print what holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write the volumes and their sections there")
    args = parser.parse_args()
    data = crops()
    runs = {f"seed {seed}": (data, seed) for seed in range(args.seeds)}
    runs |= {"even half": (data[::2], 0), "odd half": (data[1::2], 0)}
    volumes: dict[str, NDArray] = {}
    print("| run | s | confidence | spots | between neighbours, degrees |\n|---|---|---|---|---|")
    for name, (part, seed) in runs.items():
        start = time.perf_counter()
        result = fastmpr.ab_initio(part, rng=seed, workers=args.workers)
        seconds, between = time.perf_counter() - start, spacings(profile(result.x))
        volumes[name] = result.x
        print(f"| {name} | {seconds:.0f} | {result.confidence:.3f} | {len(between)} | {between.tolist()} |", flush=True)
        if args.save:
            args.save.mkdir(parents=True, exist_ok=True)
            fastmpr.io.write(args.save / f"{name}.tif", result.x, overwrite=True)
    start = time.perf_counter()
    found = fastmpr.ab_initio(data.replace(symmetry="auto"), workers=args.workers)
    print(f"\nsymmetry='auto', {time.perf_counter() - start:.0f} s: {found.symmetry}", flush=True)
    if args.save:
        fastmpr.plot.sections(volumes, None, args.save / "sections.png", overwrite=True)
    print(f"\n| two runs | FSC at {AT} | one spun | below 0.5 at | spacings differ by |\n|---|---|---|---|---|")
    for one, other in combinations(volumes, 2):
        moved = aligned(volumes[other], volumes[one])
        common, frequencies = correlation(volumes[one], moved)
        control, _ = correlation(volumes[one], spun(moved))
        at, spun_at = (np.interp(AT, frequencies, line) for line in (common, control))
        crossing = frequencies[np.argmax(common < 0.5)] if (common < 0.5).any() else np.nan
        apart = differ(spacings(profile(volumes[one])), spacings(profile(volumes[other])))
        print(f"| {one}, {other} | {at:.3f} | {spun_at:.3f} | {crossing:.2f} | {apart:.0f} |", flush=True)


if __name__ == "__main__":
    main()
