"""``fastmpr paper``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import fastmpr

from .._messages import telling
from ._arguments import add_talk, new_command
from ._words import check_extras, explain, say, watched


def add(commands: Any) -> None:
    """Add the command."""
    summary = "reproduce the table and the figures of the paper, for the methods that it compares"
    paper = new_command(commands, "paper", run, summary, "fastmpr paper --out fastmpr-paper --quick")
    add = paper.add_argument
    add(
        "-o",
        "--out",
        default="fastmpr-paper",
        metavar="DIR",
        help="folder for the files; what is finished there is not computed again (default: %(default)s)",
    )
    add("--quick", action="store_true", help="few poses and one noise draw, to see that it works")
    add(
        "--volume",
        action="append",
        default=[],
        metavar="FILE",
        help="a file with a 3-D volume to use in place of the built-in particles; may be repeated",
    )
    add_talk(paper)


def run(args: argparse.Namespace) -> None:
    """Run the experiment and print its table."""
    check_extras("matplotlib")
    paper = fastmpr.paper
    plan = paper.QUICK if args.quick else paper.FULL
    names = [_stem(path) for path in args.volume]
    if len(set(names)) < len(names):
        raise ValueError("--volume: found two files of the same name, need different ones")
    # the experiment counts in voxels, of whatever size
    read = {name: fastmpr.io.read(path, 1.0)[0] for name, path in zip(names, args.volume, strict=True)}
    volumes = {name: paper.fitted(read[name], name=path) for name, path in zip(names, args.volume, strict=True)}
    start, cells = time.perf_counter(), paper.count(len(volumes) or 2, plan)
    with telling(watched(args)) as tell:
        done: list[str] = []

        def tick(name: str) -> None:
            done.append(name)
            if tell:
                tell("cells", len(done), cells)
            explain(args, f"{time.perf_counter() - start:7.1f} s  {name}")

        table = paper.run(args.out, volumes or None, plan, tick)
    say(args, table)
    say(args, f"\nThe figures and the record are in {Path(args.out).resolve() / 'index.html'}")


def _stem(path: str) -> str:
    """Return a file's name without its suffixes, all of it where nothing else is left."""
    return Path(path).name.split(".")[0] or Path(path).name
