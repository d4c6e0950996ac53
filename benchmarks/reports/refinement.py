"""Poses wrong by 10 degrees and 2 voxels, improved by SPFluo, by acryo and by us: errors and times of one run.

    pip install -e ".[cli,spfluo]" acryo
    python -m benchmarks.reports.refinement [DATA] [--workers 1] [--seed 0]

DATA is a folder with ``particles/``, ``poses.csv``, ``psf.tiff`` and ``gt.tiff``, in SPFluo's conventions: its own test data
centriole-translations, looked for in the folder that FASTMPR_DATA names. A peer that is not installed is named and left out.

Every search begins at the same wrong poses and makes three passes. In each, SPFluo and acryo compare 125 rotations, over 20,
10 and 5 degrees. The first tables are of refinements without a volume, with the symmetry C9 and without it, SPFluo's at its
default lambda and with the PSF scaled as in its own program. Their errors are after one rotation and shift of all poses. The
last table is of searches against the true volume, whose frame is fixed. acryo knows no PSF: it is given the volume as it is,
or blurred by the PSF in the orientation at which each pass begins. All errors are modulo C9. A call of less than ten seconds
is made twice, and the second is timed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.compat import spfluo as doors

from .alignment import degrees, in_frame_of
from .peers import limit_threads
from .spfluo import FOLD, Data, as_spfluo, folder_of, read

STEPS, RANGES = (5, 5, 5), (20.0, 10.0, 5.0)
WRONG, SHIFTED = 10.0, 2.0  # degrees, voxels
REACHES = (4.0, 2.0, 1.0)  # voxels that acryo may shift a view in each pass
SHORT = 10.0  # seconds
GROUP = fastmpr.Dataset(np.zeros((1, 2, 2, 2)), symmetry=f"C{FOLD}", symmetry_axis=(1, 0, 0)).group

Search = Callable[[], Any]  # what comes of it is poses


def wrong(poses: fastmpr.Poses, seed: int) -> fastmpr.Poses:
    """Return poses off by an angle about a random axis, and by a length in a random direction."""
    axes, ways = np.random.default_rng(seed).normal(size=(2, len(poses), 3))
    axes, ways = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (axes, ways))
    return fastmpr.Poses(
        poses.rotation * Rotation.from_rotvec(np.radians(WRONG) * axes), poses.translation + SHIFTED * ways
    )


def as_poses(given: NDArray) -> fastmpr.Poses:
    """Return SPFluo's poses (N, 6) as ours."""
    return fastmpr.Poses(Rotation.from_euler("XZX", given[:, :3], degrees=True), given[:, 3:])


def row(name: str, search: Search, data: Data, framed: bool) -> str:
    """Run a search, and return its row of a table."""
    start = time.perf_counter()
    found = search()
    seconds = time.perf_counter() - start
    if seconds < SHORT:
        start = time.perf_counter()
        found = search()
        seconds = time.perf_counter() - start
    found = found if framed else in_frame_of(found, data.poses, GROUP)
    errors = degrees(found.matrix, data.poses.matrix, GROUP)
    shifts = np.linalg.norm(found.translation - data.poses.translation, axis=1)
    return (
        f"| {name} | {np.median(errors):.2f} | {errors.max():.2f} | {np.median(shifts):.2f} | {shifts.max():.2f} | "
        f"{seconds:.2f} | {seconds / len(STEPS):.2f} |"
    )


def without_a_volume(data: Data, start: fastmpr.Poses, fold: int) -> dict[str, Search]:
    """Return the refinements that begin with poses alone."""
    views, psf = data.views[:, None], (data.psf / data.psf.max())[None]
    options = {"steps": list(STEPS), "ranges": list(RANGES), "symmetry": fold, "device": "cpu", "batch_size": 8}
    given = fastmpr.Dataset(data.views, data.psf, start, symmetry=f"C{fold}", symmetry_axis=(1, 0, 0))
    return {
        "SPFluo's `refine`": lambda: as_poses(of_spfluo().refine(views, psf, as_spfluo(start), **options)[1]),
        "`compat.spfluo.refine`": lambda: as_poses(doors.refine(views, psf, as_spfluo(start), **options)[1]),
        "`fastmpr.refine`": lambda: fastmpr.refine(given).poses,
    }


def against_the_truth(data: Data, start: fastmpr.Poses) -> dict[str, Search]:
    """Return the searches against the true volume."""
    given = fastmpr.Dataset(data.views, data.psf, start)
    return {
        "SPFluo's `convolution_matching_poses`": lambda: matched(of_spfluo(), data, start),
        "`compat.spfluo.convolution_matching_poses`": lambda: matched(doors, data, start),
        "acryo, ZNCC": lambda: with_acryo("ZNCCAlignment", data, start, False),
        "acryo, ZNCC, blurred volume": lambda: with_acryo("ZNCCAlignment", data, start, True),
        "acryo, PCC": lambda: with_acryo("PCCAlignment", data, start, False),
        "acryo, PCC, blurred volume": lambda: with_acryo("PCCAlignment", data, start, True),
        '`fastmpr.align(search="local")`, one pass': lambda: fastmpr.align(given, data.truth, search="local").poses,
    }


def of_spfluo() -> Any:
    """Return SPFluo's refinement."""
    import spfluo.refinement

    return spfluo.refinement


def matched(home: Any, data: Data, start: fastmpr.Poses) -> fastmpr.Poses:
    """Return the best poses of three grids, each about those of the one before."""
    poses = as_spfluo(start)
    for step, length in zip(STEPS, RANGES, strict=True):
        offsets = np.linspace(-length / 2, length / 2, step)
        grid = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1).reshape(1, -1, 3)
        candidates = np.zeros((len(poses), grid.shape[1], 6), np.float32)
        candidates[..., :3] = poses[:, None, :3] + grid
        poses, _ = home.convolution_matching_poses(
            data.truth[None], data.views[:, None], data.psf[None], candidates, device="cpu", batch_size=8
        )
    return as_poses(poses)


def with_acryo(model: str, data: Data, start: fastmpr.Poses, blurred: bool) -> fastmpr.Poses:
    """Return the best poses of three grids by one of acryo's models of alignment; the volume is turned as each begins."""
    import acryo.alignment

    none = np.zeros((3, 3, 3))
    none[1, 1, 1] = 1
    poses = start
    for step, length, reach in zip(STEPS, RANGES, REACHES, strict=True):
        templates = fastmpr.simulate(data.truth, data.psf if blurred else none, poses)
        rotations, shifts = [], []
        for view, template, pose in zip(data.views, templates, poses, strict=True):
            search = getattr(acryo.alignment, model)(template, rotations=((length / 2, length / (step - 1)),) * 3)
            found = search.align(view, (reach,) * 3)
            turn = Rotation.from_quat(found.quat)
            rotations.append(turn * pose.rotation)
            shifts.append(turn.apply(pose.translation[0]) + found.shift)
        poses = fastmpr.Poses(Rotation.concatenate(rotations), np.array(shifts))
    return poses


def table(searches: dict[str, Search], data: Data, framed: bool) -> None:
    """Print the rows of some searches as they come."""
    print("| | degrees, median | worst | voxels, median | worst | s | s per pass |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, search in searches.items():
        try:
            print(row(name, search, data, framed), flush=True)
        except ImportError as error:
            print(f"| {name} | skipped: found no package {error.name} | | | | | |")
    print()


def main() -> None:
    """Read the data, print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reports.refinement", description=__doc__.splitlines()[0]
    )
    parser.add_argument("data", nargs="?", help="the folder (default: centriole-translations in FASTMPR_DATA)")
    parser.add_argument("--workers", type=int, default=1, help="threads that each may use (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the wrong poses (default 0)")
    parser.add_argument("--only", choices=["refinements", "truth"], help="one of the tables (default both)")
    arguments = parser.parse_args()
    limit_threads(arguments.workers)
    warnings.simplefilter("ignore")
    data = read(folder_of(arguments.data, parser))
    start = wrong(data.poses, arguments.seed)
    if arguments.only != "truth":
        for fold in (FOLD, 1):
            print(f"Without a volume, C{fold}:\n")
            table(without_a_volume(data, start, fold), data, False)
    if arguments.only != "refinements":
        print("Against the true volume:\n")
        table(against_the_truth(data, start), data, True)


if __name__ == "__main__":
    main()
