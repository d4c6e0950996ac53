"""What the commands that find poses have in common: a volume, its poses, a record and a picture."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmpr

from ..geometry.symmetry import is_auto
from ..io import pose_format
from ..io.files import check_writable
from ..io.formats import check_output
from ._again import add_again
from ._arguments import add_talk, count
from ._assessed import add_assess, assessed, check_assessed, is_assessed, say_assessed, write_assessed
from ._ending import Ending, add_ending
from ._pages import add_page, check_page, write_page
from ._records import Notes, beside, noting, record_of, write_record
from ._views import add_views, loaded, views_of
from ._words import check_extras, complain, explain, lengths, say, size, watched

_NAMES = (
    "lam",
    "nit",
    "success",
    "status",
    "message",
    "fit",
    "history",
    "confidence",
    "psf_scale",
    "rounds",
    "scores",
    "weights",
    "gains",
)


def add_arguments(command: Any, poses: bool) -> None:
    """Add the arguments of a command that makes a volume and its poses, with or without poses to begin with."""
    add_views(command, poses)
    text = "the volume to write; its poses OUT.csv, a record OUT.json and a picture OUT.png go beside it"
    command.add_argument("-o", "--output", required=True, metavar="OUT.ome.tif", help=text)
    text = "where the poses go instead; a .star file is RELION's"
    command.add_argument("--poses-output", metavar="POSES", help=text)
    text = "find how wide the PSF is, half to twice as wide as given; OUT.json tells (default: as it is)"
    command.add_argument("--fit-psf", action="store_true", help=text)
    command.add_argument("--workers", type=count, metavar="N", help="threads (default: all that this process may use)")
    text = (
        "a folder that keeps what each round finds: the same command again goes on from there, and replaces its output"
    )
    command.add_argument("--checkpoint", metavar="DIR", help=text)
    add_ending(command)
    add_page(command)
    add_assess(command)
    command.add_argument("--overwrite", action="store_true", help="replace files that are there")
    add_again(command)
    add_talk(command)


def find(args: argparse.Namespace, search: str, **own: Any) -> int:
    """Load, find poses and a volume, write; return the exit status.

    ``search`` is the name of a public function, ``own`` holds options that only it has.
    """
    check_extras("matplotlib")
    if args.assess and args.fit_psf:
        raise ValueError(
            "--assess: found --fit-psf beside it, need one after the other: the halves search with one PSF"
        )
    poses = Path(args.poses_output or beside(Path(args.output), ".csv"))
    pose_format(poses)
    picture = beside(Path(args.output), ".png")
    args.overwrite = args.overwrite or _goes_on(args)
    check_output(args.output, args.overwrite)
    for path in (record_of(args.output), poses, picture):
        check_writable(path, args.overwrite)
    check_page(args)
    check_assessed(args)
    ending, start = Ending(args.timeout), time.perf_counter()
    with noting() as notes:
        data = loaded(args)
        for text in (repr(data).strip("<>"), *data.assumed):
            explain(args, text)
        with ending:
            options = {"workers": args.workers, "progress": watched(args), "cancel": ending, "timeout": ending.left}
            result, quality = _searched(args, data, search, options | own)
            done = result.success
            if not done:
                complain(result.message, "warning")
            done = is_assessed(args, quality, ending) and done
            record = _write(args, data, result, quality, notes, poses, picture, time.perf_counter() - start)
            if args.page:
                found = _with_found(data, result)
                write_page(args, record, found, result, _average(found, result, args.workers), quality)
            return ending.status(done)


def _searched(
    args: argparse.Namespace, data: fastmpr.Dataset, search: str, options: dict[str, Any]
) -> tuple[fastmpr.PoseResult, fastmpr.Quality | None]:
    """Return the volume with its poses, and how good it is if that is asked for and could be told in time."""
    options = options | {"checkpoint": args.checkpoint}
    if not args.assess:
        return getattr(fastmpr, search)(data, fit_psf=args.fit_psf, **options), None
    result, quality = assessed(args, data, options | {"search": search})
    assert isinstance(result, fastmpr.PoseResult)
    return result, quality


def _with_found(data: fastmpr.Dataset, result: fastmpr.PoseResult) -> fastmpr.Dataset:
    """Return the views in the poses, and with the symmetry and weights, that the volume is made with."""
    if is_auto(data.symmetry):
        data = data.replace(symmetry=None if result.symmetry is None else result.symmetry.name)
    return data.replace(poses=result.poses, weights=result.weights, gain=result.gains)


def _average(data: fastmpr.Dataset, result: fastmpr.PoseResult, workers: int | None) -> NDArray | None:
    """Return the average of the views; None where the call ended early, with a volume of coarser voxels."""
    if result.voxel_size != data.model_voxel:
        return None
    return fastmpr.average(data, workers=workers)


def _goes_on(args: argparse.Namespace) -> bool:
    """Return whether the output is there because the same command, with the same checkpoint, ended early."""
    if args.checkpoint is None:
        return False
    try:
        record = json.loads(record_of(args.output).read_text(encoding="utf-8"))
        return record["checkpoint"] == args.checkpoint and record["found"]["status"] in ("cancelled", "timeout")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def write_poses(path: Path, poses: fastmpr.Poses, data: fastmpr.Dataset, overwrite: bool) -> None:
    """Write poses of a data set."""
    voxel = data.voxel_size if data.unit == "um" else None
    poses.write(path, overwrite, shape=data.particle_shape, voxel_size=voxel)


def _write(
    args: argparse.Namespace,
    data: fastmpr.Dataset,
    result: fastmpr.PoseResult,
    quality: fastmpr.Quality | None,
    notes: Notes,
    poses: Path,
    picture: Path,
    seconds: float,
) -> dict[str, Any]:
    """Write the volume, its poses, the record and the picture, say so, and return the record."""
    voxel = result.voxel_size if data.unit == "um" else None
    symmetry = None if result.symmetry is None else asdict(result.symmetry)
    fastmpr.io.write(args.output, result.x, voxel, args.overwrite)
    write_poses(poses, result.poses, data, args.overwrite)
    fastmpr.plot.poses(result, voxel, picture, args.overwrite)
    record = {
        **views_of(args, data),
        "checkpoint": args.checkpoint,
        "output": {"file": args.output, "poses": poses, "shape": result.x.shape, "voxel_size": voxel},
        "assumed": data.assumed,
        **notes.taken(),
        "found": {name: getattr(result, name) for name in _NAMES} | {"symmetry": symmetry},
        "quality": write_assessed(args, quality, voxel),
        "seconds": round(seconds, 3),
    }
    written = write_record(record_of(args.output), record, args)
    sides = lengths(voxel) if voxel else "unknown size, taken as cubes"
    say(args, f"{args.output}: {size(result.x.shape)} voxels of {sides}")
    known = result.scores[np.isfinite(result.scores)]
    agree = "" if np.isnan(result.confidence) else f"; the volumes of two starts correlate by {result.confidence:.3f}"
    spread = f", scores {known.min():.3f} to {known.max():.3f}" if len(known) else ""
    say(args, f"{poses}: {len(known)} poses{spread}{agree}")
    if args.fit_psf:
        say(args, f"psf: {result.psf_scale:.3f} times as wide as given")
    if result.symmetry is not None:
        say(args, f"symmetry: {result.symmetry}")
    say_assessed(args, quality, data.unit)
    return written
