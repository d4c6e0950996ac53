"""``fastmpr ab-initio``."""

from __future__ import annotations

import argparse
from typing import Any

from ._arguments import new_command
from ._found_poses import add_arguments, find


def add(commands: Any) -> None:
    """Add the command."""
    summary = "find poses and a volume from particles alone"
    example = "fastmpr ab-initio particles --psf psf.tif -o volume.ome.tif"
    command = new_command(commands, "ab-initio", run, summary, example)
    add_arguments(command, poses=False)
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="for the first rotations (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Find poses and write what came of it; return the exit status."""
    return find(args, "ab_initio", rng=args.seed)
