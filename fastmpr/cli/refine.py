"""``fastmpr refine``."""

from __future__ import annotations

import argparse
from typing import Any

from ._arguments import new_command
from ._found_poses import add_arguments, find


def add(commands: Any) -> None:
    """Add the command."""
    summary = "improve poses, and reconstruct a volume with them"
    example = "fastmpr refine particles --psf psf.tif --poses poses.csv -o volume.ome.tif"
    add_arguments(new_command(commands, "refine", run, summary, example), poses=True)


def run(args: argparse.Namespace) -> int:
    """Improve poses and write what came of it; return the exit status."""
    return find(args, "refine")
