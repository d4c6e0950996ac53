"""``fastmpr reconstruct``."""

from __future__ import annotations

import argparse
from typing import Any

import fastmpr

from ..io.files import check_writable
from ..io.formats import writable_format
from ._arguments import ZYX, add_solver, add_talk, background, new_command, positive
from ._words import explain, lengths, put, say, size, watched


def add(commands: Any) -> None:
    """Add the command."""
    summary = "reconstruct one volume from many particles"
    example = "fastmpr reconstruct particles --psf psf.tif --poses poses.csv -o volume.ome.tif"
    reconstruct = new_command(commands, "reconstruct", run, summary, example)
    add = reconstruct.add_argument
    add("particles", metavar="PARTICLES", help="a folder of 3-D TIFF or MRC files, or one 4-D TIFF file")
    add("--psf", required=True, metavar="PSF", help="the point spread function, a 3-D TIFF or MRC file")
    add("--poses", required=True, metavar="POSES", help="a .csv (SPFluo) or .star (RELION) file")
    add("-o", "--output", required=True, metavar="OUT.ome.tif", help="the volume to write")
    add(
        "--voxel-size",
        type=positive,
        nargs=3,
        metavar=ZYX,
        help="in micrometres (default: what PARTICLES say, else 1 voxel)",
    )
    add(
        "--psf-voxel-size",
        type=positive,
        nargs=3,
        metavar=ZYX,
        help="in micrometres (default: what PSF says, else the particles')",
    )
    add(
        "--psf-measured",
        action="store_true",
        help="PSF is a bead as the camera gave it: take its offset off and centre it",
    )
    add("--symmetry", metavar="Cn|Dn", help="of the particle, such as C9 (default: none)")
    add("--symmetry-axis", type=float, nargs=3, metavar=ZYX, help="its direction in the model (default: z, 1 0 0)")
    add(
        "--symmetry-centre",
        type=float,
        nargs=3,
        metavar=ZYX,
        help="from the middle of the model, in micrometres, or voxels of unknown size (default: 0 0 0)",
    )
    add(
        "--seen",
        choices=("auto", "all"),
        default="auto",
        help="auto: what surrounds a crop, of one value, was not seen; all: it was (default: %(default)s)",
    )
    add(
        "--outside",
        choices=("auto", "dark", "unseen"),
        default="auto",
        help="what is beyond the edge of an image (default: dark, but for crops)",
    )
    add(
        "--radius",
        type=positive,
        metavar="R",
        help="of the particle, in micrometres, or voxels of unknown size: use nothing beyond (default: all)",
    )
    add(
        "--background",
        type=background,
        default="auto",
        metavar="auto|plane|none|LEVEL",
        help="behind the particles (default: estimated for each)",
    )
    add(
        "--gain",
        choices=("same", "fit"),
        default="same",
        help="of the camera: fit it for each particle, which takes twice as long (default: %(default)s)",
    )
    add_solver(reconstruct, "volume", 1000, 2e-3)
    add("--overwrite", action="store_true", help="replace the output if it is there")
    add_talk(reconstruct)


def run(args: argparse.Namespace) -> None:
    """Load, reconstruct, write."""
    writable_format(args.output)
    check_writable(args.output, args.overwrite)
    data = fastmpr.load(
        args.particles,
        args.psf,
        args.poses,
        voxel_size=args.voxel_size,
        psf_voxel_size=args.psf_voxel_size,
        psf_measured=args.psf_measured,
        symmetry=args.symmetry,
        symmetry_axis=args.symmetry_axis,
        symmetry_centre=args.symmetry_centre,
        seen=args.seen,
        outside=args.outside,
        radius=args.radius,
        background=args.background,
        gain=args.gain,
    )
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
