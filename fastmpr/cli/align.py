"""``fastmpr align``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import fastmpr

from ..io import pose_format
from ..io.files import check_writable
from ._again import add_again
from ._arguments import add_talk, count, new_command
from ._ending import Ending, add_ending
from ._found_poses import write_poses
from ._records import record_of, write_record
from ._views import add_views, loaded, views_of
from ._words import explain, say, watched


def add(commands: Any) -> None:
    """Add the command."""
    summary = "find the pose of each particle against a volume"
    example = "fastmpr align particles --psf psf.tif --volume volume.ome.tif -o poses.csv"
    command = new_command(commands, "align", run, summary, example)
    add_views(command, poses=False)
    add = command.add_argument
    add("--volume", required=True, metavar="VOLUME", help="what to align with: a volume as reconstruct writes it")
    add(
        "--start",
        dest="poses",
        metavar="POSES",
        help="a .csv or .star file to search near (default: search everywhere)",
    )
    add(
        "-o",
        "--output",
        required=True,
        metavar="POSES",
        help="the .csv (SPFluo) or .star (RELION) file to write; a record with the scores goes beside it",
    )
    add("--workers", type=count, metavar="N", help="threads (default: all that this process may use)")
    add_ending(command)
    add("--overwrite", action="store_true", help="replace the output if it is there")
    add_again(command)
    add_talk(command)


def run(args: argparse.Namespace) -> int:
    """Load, align, write; return the exit status."""
    pose_format(args.output)
    for path in (args.output, record_of(args.output)):
        check_writable(path, args.overwrite)
    args.inputs.add_file(args.volume)
    ending = Ending(args.timeout)
    data, (volume, voxel) = loaded(args), fastmpr.io.read(args.volume)
    if data.unit == "um" and voxel is not None and not np.allclose(voxel, data.model_voxel, rtol=1e-3):
        need = " x ".join(f"{side:.4g}" for side in data.model_voxel)
        raise ValueError(
            f"{args.volume}: found voxels of {' x '.join(f'{side:.4g}' for side in voxel)} um, need {need}"
        )
    explain(args, repr(data).strip("<>"))
    with ending:
        search = "global" if args.poses is None else "local"
        options = {"workers": args.workers, "progress": watched(args), "cancel": ending, "timeout": ending.left}
        found = fastmpr.align(data, volume, search=search, **options)
    write_poses(Path(args.output), found.poses, data, args.overwrite)
    scores = {data.source.name(i): float(score) for i, score in enumerate(found.scores)}
    record = {**views_of(args, data), "output": {"poses": args.output}, "volume": args.volume, "scores": scores}
    write_record(record_of(args.output), record, args)
    known = found.scores[np.isfinite(found.scores)]
    say(args, f"{args.output}: {len(known)} poses, scores {known.min():.3f} to {known.max():.3f}")
    return 0
