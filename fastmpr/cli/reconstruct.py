"""``fastmpr reconstruct``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import fastmpr

from .._validation import Vector
from ..io.files import check_writable
from ..io.formats import check_output
from ._again import add_again
from ._arguments import add_solver, add_talk, new_command
from ._assessed import add_assess, assessed, check_assessed, is_assessed, say_assessed, write_assessed
from ._ending import Ending, add_ending, is_done
from ._pages import add_page, check_page, write_page
from ._records import Notes, beside, noting, record_of, write_record
from ._views import add_views, loaded, views_of
from ._words import check_extras, complain, explain, lengths, say, size, watched

_OPTIONS = ("lam", "regularizer", "max_iter", "tol", "workers", "timeout")


def add(commands: Any) -> None:
    """Add the command."""
    summary = "reconstruct one volume from many particles"
    example = "fastmpr reconstruct particles --psf psf.tif --poses poses.csv -o volume.ome.tif"
    command = new_command(commands, "reconstruct", run, summary, example)
    add_arguments(command)
    add_assess(command)


def add_arguments(command: Any) -> None:
    """Add the arguments of a command that reconstructs."""
    add = command.add_argument
    add_views(command)
    text = "the volume to write; a record of how it came about goes beside it, OUT.json"
    add("-o", "--output", required=True, metavar="OUT.ome.tif", help=text)
    add_solver(command, "volume", 1000, 2e-3)
    add_ending(command)
    add("--preview", action="store_true", help="also write OUT.png: the volume beside the average of the views")
    add_page(command)
    add("--overwrite", action="store_true", help="replace the output and the files beside it if they are there")
    add_again(command)
    add_talk(command)


def run(args: argparse.Namespace) -> int:
    """Load, reconstruct, write; return the exit status."""
    picture = beside(Path(args.output), ".png")
    _check(args, picture)
    ending, start = Ending(args.timeout), time.perf_counter()
    with noting() as notes:
        data = loaded(args)
        told = (repr(data).strip("<>"), *data.assumed)
        for text in told:
            explain(args, text)
        with ending:
            result, quality = _made(args, data, ending)
            done = is_done(result.status, args.tol)
            for text in set(data.assumed).difference(told):  # what was recognised when the particles were read
                explain(args, text)
            explain(args, f"lam {result.lam:.6g}, {result.nit} iterations: {result.message}")
            if not done:
                complain(result.message, "warning")
            done = is_assessed(args, quality, ending) and done
            record = _write(args, data, result, quality, notes, time.perf_counter() - start)
            if args.preview or args.page:
                average = fastmpr.average(data, workers=args.workers)
                if args.preview:
                    fastmpr.plot.result(result, average, _known(data, result), picture, args.overwrite)
                write_page(args, record, data, result, average, quality)
            return ending.status(done)


def _check(args: argparse.Namespace, picture: Path) -> None:
    """Raise an error now if what is written at the end could not be."""
    check_output(args.output, args.overwrite)
    check_extras(*(["matplotlib"] if args.preview else []))
    check_page(args)
    check_assessed(args)
    for path in (record_of(args.output), *([picture] if args.preview else [])):
        check_writable(path, args.overwrite)


def _made(
    args: argparse.Namespace, data: fastmpr.Dataset, ending: Ending
) -> tuple[fastmpr.Result, fastmpr.Quality | None]:
    """Return the volume, and how good it is if that is asked for and could be told in time."""
    options: dict[str, Any] = {
        "lam": args.lam,
        "regularizer": args.regularizer,
        "max_iter": args.max_iter,
        "tol": args.tol,
        "workers": args.workers,
        "progress": watched(args),
        "cancel": ending,
        "timeout": ending.left,
    }
    return assessed(args, data, options) if args.assess else (fastmpr.reconstruct(data, **options), None)


def _write(
    args: argparse.Namespace,
    data: fastmpr.Dataset,
    result: fastmpr.Result,
    quality: fastmpr.Quality | None,
    notes: Notes,
    seconds: float,
) -> dict[str, Any]:
    """Write the volume and its record, say so, and return the record."""
    voxel = _known(data, result)
    fastmpr.io.write(args.output, result.x, voxel, args.overwrite)
    names = ("lam", "nit", "success", "status", "message", "fit", "history")
    record = {
        **views_of(args, data),
        "options": {name: getattr(args, name) for name in _OPTIONS},
        "output": {"file": args.output, "shape": result.x.shape, "voxel_size": voxel},
        "assumed": data.assumed,
        **notes.taken(),
        "found": {name: getattr(result, name) for name in names},
        "quality": write_assessed(args, quality, voxel),
        "seconds": round(seconds, 3),
    }
    written = write_record(record_of(args.output), record, args)
    sides = lengths(voxel) if voxel else "unknown size, taken as cubes"
    say(args, f"{args.output}: {size(result.x.shape)} voxels of {sides}")
    fit = "" if result.fit is None else f", fit {result.fit:.3g} (1: the volume explains the views)"
    say(args, f"lam {result.lam:.4g}, {result.nit} iterations{fit}")
    say_assessed(args, quality, data.unit)
    return written


def _known(data: fastmpr.Dataset, result: fastmpr.Result) -> Vector | None:
    """Return the voxel size of the volume in micrometres, None if it is unknown."""
    return result.voxel_size if data.unit == "um" else None
