"""Poses from particles alone: errors beside those that the true volume gives as a reference, and times.

    python -m benchmarks.reports.alignment [structure ...] [--scene usual] [--views 50] [--noise 0.141] [--seeds 3]
        [--workers N]

50^3 voxels, a Gaussian PSF of sigma (4.5, 1.2, 1.2), translations up to 3 voxels. Noise is its standard deviation over the
brightest voxel of the noise-free views. Errors are medians after one rotation and shift of all poses, modulo the particle's
symmetry, which the search is not told; "off" counts views wrong by more than 5 and by more than 15 degrees, "lost" is the
PSNR of the volume from the true poses less that from the poses found. In brackets: with the true volume as a reference.

Structures are the phantoms, ``chain`` and ``clumps`` without symmetry, or the file of a volume that fits the box. Scenes:

usual
    As above.
few
    20 views without translations, a PSF of sigma (5, 1.1, 1.1).
small
    The structure at 28/44 of its size, translations up to 8 voxels, offsets up to 30 % of the brightest voxel, brightness
    times 0.5 to 2.
junk
    A quarter of the views show other things: half of them noise alone, half another structure. Errors are those of the
    others; the last column is the area under the curve by which scores tell them apart.
labels
    The structure is 400 spots of light, of which each view lacks 30 %, others in each.
dilated
    Each view shows the structure larger by 0 to 20 %.
cone
    All views look along one direction within 30 degrees.
start
    `refine`, from poses wrong by 10 degrees and 2 voxels.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

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
FAR = (OFF, 15.0)  # degrees, that are counted


def chain(seed: int = 0) -> NDArray:
    """Return a particle without symmetry: blobs along a random walk."""
    rng, x = np.random.default_rng(seed), np.zeros(SHAPE)
    places = np.cumsum(rng.normal(size=(400, 3)), axis=0)
    places -= places.mean(axis=0)
    places *= 15 / np.abs(places).max()
    for place in places + 24.5:
        x[tuple(place.round().astype(int))] += 1
    return ndimage.gaussian_filter(x, 2.0)


def clumps(seed: int = 0) -> NDArray:
    """Return a particle without symmetry: a few balls of several sizes and brightness."""
    rng, x = np.random.default_rng(seed), np.zeros(SHAPE)
    for _ in range(14):
        place, sigma = rng.normal(size=3), rng.uniform(1.0, 2.0)
        place *= rng.uniform(4, 16) / np.linalg.norm(place)
        squares = [((np.arange(n) - (n - 1) / 2 - p) / sigma) ** 2 for n, p in zip(SHAPE, place, strict=True)]
        x += rng.uniform(0.5, 1.5) * np.exp(-np.add.outer(np.add.outer(squares[0], squares[1]), squares[2]) / 2)
    return x


def structure(name: str) -> NDArray:
    """Return a particle, its brightest voxel 1."""
    made = {"chain": chain, "clumps": clumps}
    if name in made:
        x = made[name]()
    elif Path(name).suffix:
        x, _ = fastmpr.io.read(name)
        wide = np.zeros(SHAPE)
        first = [(n - m) // 2 for n, m in zip(SHAPE, x.shape, strict=True)]
        wide[tuple(slice(f, f + m) for f, m in zip(first, x.shape, strict=True))] = x
        x = wide
    else:
        x = getattr(fastmpr.phantom, name)(SHAPE, dtype=np.float64)
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
    alone = np.eye(3)[np.newaxis]
    frames = [best.moved(Rotation.from_matrix(one)) for one in group]  # a particle may be a little less symmetric
    best = min(frames, key=lambda moved: float(np.median(degrees(moved.matrix, true.matrix, alone))))
    close = degrees(best.matrix, true.matrix, group) < OFF
    offset = (best.translation - true.translation)[close].ravel()
    return best.moved(shift=np.linalg.lstsq(best.matrix[close].reshape(-1, 3), offset, rcond=None)[0])


class Scene(NamedTuple):
    """Views, what they show, and how."""

    truth: NDArray
    particles: NDArray
    psf: NDArray
    poses: fastmpr.Poses
    good: NDArray


def scene(kind: str, name: str, views: int, noise: float, seed: int) -> Scene:
    """Return simulated views."""
    rng, truth, psf, reach = np.random.default_rng(seed), structure(name), PSF, 3.0
    if kind == "few":
        views, psf, reach = 20, fastmpr.psf.gaussian((45, 13, 13), sigma=(5, 1.1, 1.1)), 0.0
    if kind == "small":
        truth, reach = resized(truth, 28 / 44), 8.0
    poses = fastmpr.Poses.random(views, max_translation=reach, rng=seed)
    if kind == "cone":
        tilts = Rotation.from_rotvec(rng.uniform(-1, 1, (views, 3)) * [0, 0.35, 0.35])  # of z, up to 28 degrees
        spins = Rotation.from_rotvec(rng.uniform(0, 2 * np.pi, (views, 1)) * [1, 0, 0])
        poses = fastmpr.Poses(spins * tilts, poses.translation)
    good = np.ones(views, bool)
    if kind == "labels":
        spots = spots_of(truth, 400, rng)
        truth = light_of(spots)
        shown = [light_of(spots[rng.random(len(spots)) > 0.3]) for _ in range(views)]
    elif kind == "dilated":
        shown = [resized(truth, factor) for factor in rng.uniform(1, 1.2, views)]
    else:
        shown = [truth]
    one_each = len(shown) > 1
    parts = [fastmpr.simulate(x, psf, poses[[k]] if one_each else poses) for k, x in enumerate(shown)]
    clean = np.concatenate(parts)
    brightest = clean.max()
    if kind == "small":
        clean = clean * rng.uniform(0.5, 2, (views, 1, 1, 1)) + rng.uniform(0, 0.3, (views, 1, 1, 1)) * brightest
    if kind == "junk":
        bad = rng.choice(views, views // 4, replace=False)
        good[bad] = False
        clean[bad[::2]] = 0
        other = structure("clumps" if name == "chain" else "chain")
        clean[bad[1::2]] = fastmpr.simulate(other, psf, poses[bad[1::2]])
    particles = clean + np.float32(noise * brightest) * rng.standard_normal(clean.shape, np.float32)
    return Scene(truth, particles.astype(np.float32), psf, poses, good)


def resized(x: NDArray, factor: float) -> NDArray:
    """Return a volume with its particle enlarged about the middle."""
    middle = (np.array(x.shape) - 1) / 2
    return ndimage.affine_transform(x, np.eye(3) / factor, middle - middle / factor, order=1)


def spots_of(x: NDArray, count: int, rng: np.random.Generator) -> NDArray:
    """Return places drawn with the brightness of a volume."""
    chosen = rng.choice(x.size, count, p=x.ravel() / x.sum(dtype=float))
    return np.stack(np.unravel_index(chosen, x.shape), axis=1)


def light_of(spots: NDArray) -> NDArray:
    """Return a volume of spots."""
    x = np.zeros(SHAPE)
    np.add.at(x, tuple(spots.T), 1)
    return ndimage.gaussian_filter(x, 1.2).astype(np.float32)


def told_apart(scores: NDArray, good: NDArray) -> float:
    """Return the area under the curve of the scores of good views and of others."""
    if good.all():
        return float("nan")
    apart = np.nan_to_num(scores[good])[:, np.newaxis] - np.nan_to_num(scores[~good])
    return float(np.mean((apart > 0) + 0.5 * (apart == 0)))


def measure(
    name: str, symmetry: str | None, kind: str, views: int, noise: float, seed: int, workers: int | None
) -> str:
    """Return a row of the table."""
    truth, particles, psf, poses, good = scene(kind, name, views, noise, seed)
    data, group = fastmpr.Dataset(particles, psf), fastmpr.Dataset(particles, symmetry=symmetry).group
    start, cpu = time.perf_counter(), time.process_time()
    if kind == "start":
        rng = np.random.default_rng(seed)
        turns, shifts = (v / np.linalg.norm(v, axis=1)[:, np.newaxis] for v in rng.normal(size=(2, len(poses), 3)))
        wrong = fastmpr.Poses(
            poses.rotation * Rotation.from_rotvec(np.radians(10) * turns), poses.translation + 2 * shifts
        )
        found = fastmpr.refine(data.replace(poses=wrong), workers=workers)
    else:
        found = fastmpr.ab_initio(data, rng=seed, workers=workers)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    given = fastmpr.align(data, truth, workers=workers).poses
    own = in_frame_of(found.poses[good], poses[good], group)
    best, volume = (fastmpr.reconstruct(data[good].replace(poses=one)).x for one in (poses[good], own))
    errors, others = (degrees(one.matrix, poses[good].matrix, group) for one in (own, given[good]))
    shifts, other_shifts = (
        np.linalg.norm(one.translation - poses[good].translation, axis=1) for one in (own, given[good])
    )
    off, other_off = (" / ".join(str(int((e > far).sum())) for far in FAR) for e in (errors, others))
    return (
        f"| {name} | {kind} | {noise} | {seed} | {np.median(errors):.2f} ({np.median(others):.2f}) | "
        f"{np.median(shifts):.3f} ({np.median(other_shifts):.3f}) | {off} ({other_off}) | "
        f"{psnr(best, truth) - psnr(volume, truth):.2f} | {found.confidence:.3f} | {seconds:.1f} | {cpu:.1f} | "
        f"{told_apart(found.scores, good):.3f} |"
    )


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", nargs="*", default=["nuclear_pore", "centriole", "chain", "clumps"])
    parser.add_argument(
        "--scene", default="usual", choices=("usual", "few", "small", "junk", "labels", "dilated", "cone", "start")
    )
    parser.add_argument("--symmetry", help="of the structures in files")
    parser.add_argument("--views", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.141)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    fastmpr.align(
        fastmpr.Dataset(np.eye(8)[np.newaxis, np.newaxis].repeat(8, 1), PSF[16:25]), np.ones((8, 8, 8))
    )  # compiled before the clock starts
    print("| structure | scene | noise | seed | degrees | voxels | off | lost | confidence | s | CPU s | apart |")
    print("|---" * 12 + "|")
    for name in args.structures:
        for seed in range(args.seeds):
            print(
                measure(
                    name, SYMMETRY.get(name, args.symmetry), args.scene, args.views, args.noise, seed, args.workers
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
