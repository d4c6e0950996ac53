"""``fastmpr warmup``."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import fastmpr

from ._arguments import ZYX, count, new_command
from ._words import mebibytes, put, size


def add(commands: Any) -> None:
    """Add the command."""
    summary = "compile everything ahead into Numba's cache, for container images that are built once and run read-only"
    warmup = new_command(commands, "warmup", run, summary, "fastmpr warmup --shape 36 72 72")
    warmup.add_argument(
        "--shape",
        type=count,
        nargs=3,
        metavar=ZYX,
        help="of a grid: run one iteration on it too; from a million voxels on, measure its FFTs first and keep the plans",
    )


def run(args: argparse.Namespace) -> None:
    """Compile, and print where the cache is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmpr.FastmprWarning)  # of the cache: the error says it
        warmed = fastmpr.warm_up(args.shape)
    text = f"{warmed.folder}: {warmed.files} files, {mebibytes(warmed.size)}, after {warmed.seconds:.1f} s"
    if warmed.solve_seconds is not None:
        text += f"; {size(args.shape)}: planned and one iteration in {warmed.solve_seconds:.2f} s"
    put(text)
