"""``fastmpr check``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

import fastmpr

from ..diagnosis.glance import MOST_VIEWS
from ..io import pose_format
from ..io.files import check_writable
from ._arguments import add_talk, count, new_command
from ._views import add_views, loaded
from ._words import explain, say, table, watched

_SHOWN = 5  # of what was tried


def add(commands: Any) -> None:
    """Add the command."""
    check = new_command(
        commands,
        "check",
        run,
        "tell whether particles, PSF and poses fit together, and which usual mistake keeps them from it",
        "fastmpr check particles --psf psf.tif --poses poses.csv",
        "fastmpr check particles --psf psf.tif --poses poses.csv --fix fixed.csv",
    )
    add_views(check)
    add = check.add_argument
    add(
        "--fix",
        metavar="POSES",
        help="where the poses are the mistake, write poses that fit to this .csv or .star file",
    )
    add("--workers", type=count, metavar="N", help="threads (default: all that this process may use)")
    add("--overwrite", action="store_true", help="replace the poses to write if they are there")
    add_talk(check)


def run(args: argparse.Namespace) -> int:
    """Load, diagnose, print; return 0 if the views fit as given, else 1."""
    if args.fix is not None:
        pose_format(args.fix)
        check_writable(args.fix, args.overwrite)
    data = loaded(args)
    for text in (repr(data).strip("<>"), *data.assumed):
        explain(args, text)
    found = fastmpr.diagnose(data, workers=args.workers, progress=watched(args))
    named = next((finding for finding in found if finding.named), None)
    for line in _told(data, found, named):
        say(args, line)
    if args.fix is not None:
        say(args, _fixed(args, data, named))
    return 0 if named and not named.code else 1


def _told(data: Any, found: list[Any], named: Any) -> Iterator[str]:
    """Yield what was looked at, the verdict, the best of what was tried, and what to change."""
    yield f"{repr(data).strip('<>')}: looked at {min(len(data.used), MOST_VIEWS)} of them in {len(found)} ways"
    given = next(finding for finding in found if not finding.code)
    if named is None:
        yield f"does not fit, and no usual mistake explains it: {given.words}"
    else:
        yield f"{'does not fit' if named.code else 'fits'}: {named.words}"
    shown = found[:_SHOWN] + [given] * (given not in found[:_SHOWN])
    rows = [("unexplained", "times less than as given", "")]
    yield from table(rows + [(f"{100 * one.misfit:.3g} %", f"{one.margin:.3g}", one.name) for one in shown])
    if named and named.code:
        yield "to undo it on the command line: " + "; ".join(_changes(named))
        yield "to undo it in Python (data is a fastmpr.Dataset):"
        yield from (f"    {line}" for line in named.code.splitlines())


def _changes(named: Any) -> Iterator[str]:
    """Yield what to give to `reconstruct`, or to do first."""
    mended = named.data
    for name in named.changed:
        if name == "poses":
            yield "--poses with the file that --fix POSES writes"
        elif name == "psf_voxel_size":
            yield f"--voxel-size {_vector(mended.voxel_size)} --psf-voxel-size {_vector(mended.psf_voxel_size)}"
        elif name in ("symmetry_axis", "symmetry_centre"):
            yield f"--{name.replace('_', '-')} {_vector(getattr(mended, name))}"
        elif name == "background" and "particles" not in named.changed:
            yield f"--background {mended.background}"
        elif name in ("psf", "particles"):
            yield f"other files in place of {name.upper()}, as Python makes them"


def _fixed(args: argparse.Namespace, data: Any, named: Any) -> str:
    """Write poses that fit, if the poses are the mistake; return what was done."""
    if named is None or not named.code:
        return f"{args.fix}: not written, since no other poses are known to fit better"
    others = "; ".join(text for text in _changes(named) if not text.startswith("--poses"))
    if "poses" not in named.changed:
        return f"{args.fix}: not written, since the poses are not the mistake; need {others}"
    named.data.poses.write(args.fix, args.overwrite, shape=data.particle_shape, voxel_size=data.voxel_size)
    return f"{args.fix}: {len(data)} poses that fit" + (f"; need besides: {others}" if others else "")


def _vector(values: Any) -> str:
    return " ".join(f"{value:g}" for value in np.ravel(values))
