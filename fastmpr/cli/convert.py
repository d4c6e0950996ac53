"""``fastmpr convert``."""

from __future__ import annotations

import argparse
from typing import Any

import fastmpr

from ._arguments import add_talk, count, new_command, positive
from ._words import say


def add(commands: Any) -> None:
    """Add the command."""
    summary = "write poses, a volume, an image or a stack in another format"
    examples = (
        "fastmpr convert poses.csv poses.star --voxel-size 0.1 --shape 70",
        "fastmpr convert particles particles.ome.tif",
    )
    command = new_command(commands, "convert", run, summary, *examples)
    add = command.add_argument
    add("source", metavar="A", help="a file of poses or of an image; or a folder, pattern or list of volumes")
    add(
        "target",
        metavar="B",
        help="the file to write: .csv (SPFluo), .poses.csv (fastmpr), .star (RELION), or an image",
    )
    text = "micrometres, one number or z y x: of the image if its file does not say, or to convert the poses' lengths"
    add("--voxel-size", nargs="+", type=positive, metavar="UM", help=text)
    text = "voxels of a particle, one number or z y x, where the formats of poses turn boxes about different points"
    add("--shape", nargs="+", type=count, metavar="N", help=text)
    add("--channel", type=number_or_name, metavar="C", help="take this channel, by its number from 0 or its name")
    add("--frame", type=int, metavar="T", help="take this frame, from 0")
    add("--scene", type=number_or_name, metavar="S", help="take this image of several in A, by its number or name")
    add("--overwrite", action="store_true", help="replace B if it is there")
    add_talk(command)


def number_or_name(text: str) -> int | str:
    """Return a number where the text is one."""
    return int(text) if text.isdecimal() else text


def run(args: argparse.Namespace) -> None:
    """Convert, and say so."""
    options = {name: getattr(args, name) for name in ("channel", "frame", "scene", "overwrite")}
    sizes = {name: _one_or_three(name, getattr(args, name)) for name in ("voxel_size", "shape")}
    fastmpr.convert(args.source, args.target, **sizes, **options)
    say(args, f"{args.target}: from {args.source}")


def _one_or_three(name: str, values: list[Any] | None) -> Any:
    """Return a number or three of them, as the library takes them."""
    if values is None:
        return None
    if len(values) not in (1, 3):
        raise ValueError(f"--{name.replace('_', '-')}: found {len(values)} numbers, need one, or three (z y x)")
    return values[0] if len(values) == 1 else tuple(values)
