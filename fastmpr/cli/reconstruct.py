"""``fastmpr reconstruct``."""

from __future__ import annotations

import argparse
from typing import Any

import fastmpr

from ..io.files import check_writable
from ..io.formats import writable_format
from ._arguments import add_solver, add_talk, new_command
from ._views import add_views, loaded
from ._words import explain, lengths, put, say, size, watched


def add(commands: Any) -> None:
    """Add the command."""
    summary = "reconstruct one volume from many particles"
    example = "fastmpr reconstruct particles --psf psf.tif --poses poses.csv -o volume.ome.tif"
    reconstruct = new_command(commands, "reconstruct", run, summary, example)
    add = reconstruct.add_argument
    add_views(reconstruct)
    add("-o", "--output", required=True, metavar="OUT.ome.tif", help="the volume to write")
    add_solver(reconstruct, "volume", 1000, 2e-3)
    add("--overwrite", action="store_true", help="replace the output if it is there")
    add_talk(reconstruct)


def run(args: argparse.Namespace) -> None:
    """Load, reconstruct, write."""
    writable_format(args.output)
    check_writable(args.output, args.overwrite)
    data = loaded(args)
    told = (repr(data).strip("<>"), *data.assumed)
    for text in told:
        explain(args, text)
    result = fastmpr.reconstruct(
        data,
        lam=args.lam,
        regularizer=args.regularizer,
        max_iter=args.max_iter,
        tol=args.tol,
        workers=args.workers,
        progress=watched(args),
    )
    for text in set(data.assumed).difference(told):  # of crops, which are known when they were read
        explain(args, text)
    explain(args, f"lam {result.lam:.6g}, {result.nit} iterations: {result.message}")
    if not result.success:
        put(f"fastmpr: warning: {result.message}", error=True)
    known = data.unit == "um"
    fastmpr.io.write(args.output, result.x, result.voxel_size if known else None, args.overwrite)
    voxel = lengths(result.voxel_size) if known else "unknown size, taken as cubes"
    say(args, f"{args.output}: {size(result.x.shape)} voxels of {voxel}")
    fit = "" if result.fit is None else f", fit {result.fit:.3g} (1: the volume explains the views)"
    say(args, f"lam {result.lam:.4g}, {result.nit} iterations{fit}")
