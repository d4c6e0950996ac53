"""The views and what belongs to them: arguments that several commands share."""

from __future__ import annotations

import argparse
from typing import Any

import fastmpr

from ..io.lists import is_list
from ._arguments import ZYX, Axes, background, not_negative_count, positive


def add_views(command: Any, poses: bool = True) -> None:
    """Add the arguments that a `fastmpr.Dataset` is made of; without poses, where these are to be found."""
    add = command.add_argument
    add(
        "particles",
        metavar="PARTICLES",
        nargs="+",
        help="a folder of 3-D images (TIFF, MRC, OME-Zarr, HDF5, NPY, NPZ), the files, or one 4-D image; file.h5:/name is "
        "one array of several",
    )
    add("--psf", required=True, metavar="PSF", help="the point spread function, a 3-D image file")
    if poses:
        add("--poses", required=True, metavar="POSES", help="a .csv (SPFluo) or .star (RELION) file")
    else:
        command.set_defaults(poses=None)
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
    text = "which of several {0} in each file of PARTICLES, by {1} (default: the only one)"
    add("--channel", metavar="NAME|N", help=text.format("channels", "name or number from 0"))
    add("--frame", type=not_negative_count, metavar="N", help=text.format("frames", "number from 0"))
    add("--scene", metavar="NAME|N", help=text.format("images", "name or number from 0"))
    add(
        "--psf-measured",
        action="store_true",
        help="PSF is the raw image of a bead: subtract its background and centre it",
    )
    text = "of the particle, such as C9; 'ab-initio' and 'refine' find it if it is auto (default: none)"
    add("--symmetry", metavar="Cn|Dn|auto", help=text)
    add(
        "--symmetry-axis",
        type=float,
        nargs="+",
        action=Axes,
        metavar="Z Y X",
        help="direction of its axis in the model (default: z, 1 0 0); for Dn also six numbers, with a two-fold axis",
    )
    add(
        "--symmetry-centre",
        type=float,
        nargs=3,
        metavar=ZYX,
        help="its centre, from the middle of the model, in micrometres, or in voxels of unknown size (default: 0 0 0)",
    )
    add(
        "--seen",
        choices=("auto", "all"),
        default="auto",
        help="auto: regions of one value, as around a crop, were not seen; all: every voxel was (default: %(default)s)",
    )
    add(
        "--outside",
        choices=("auto", "dark", "unseen"),
        default="auto",
        help="what lies beyond the edge of an image (auto: unseen around crops and where light leaves the image, else dark)",
    )
    add(
        "--radius",
        type=positive,
        metavar="R",
        help="of the particle, in micrometres, or in voxels of unknown size: ignore what lies beyond (default: use all)",
    )
    add(
        "--background",
        type=background,
        default="auto",
        metavar="auto|plane|none|LEVEL",
        help="to subtract from each particle; plane: one that rises in some direction (default: estimated for each)",
    )
    add(
        "--gain",
        choices=("same", "fit"),
        default="same",
        help="of the camera; fit: for each particle, which takes twice as long (default: %(default)s)",
    )
    add(
        "--weights",
        choices=("same", "robust"),
        default="same",
        help="of the views; robust: leave out those that fit far worse than most, which takes about twice as long "
        "(default: %(default)s)",
    )


_SAID = (
    "channel",
    "frame",
    "scene",
    "symmetry",
    "symmetry_axis",
    "symmetry_centre",
    "seen",
    "outside",
    "radius",
    "background",
    "gain",
    "weights",
)


def views_of(args: argparse.Namespace, data: fastmpr.Dataset) -> dict[str, Any]:
    """Return what a record tells of the views: their files, and what is given and known of them."""
    known = data.unit == "um"
    return {
        "input": {
            "particles": args.particles,
            "poses": args.poses,
            "count": len(data),
            "unit": data.unit,
            "shape": data.particle_shape,
            "voxel_size": data.voxel_size if known else None,
            "voxel_size_from": "given" if args.voxel_size else "file" if known else None,
            **{name: getattr(args, name) for name in _SAID},
        },
        "psf": {
            "file": args.psf,
            "measured": args.psf_measured,
            "shape": data.psfs[0].shape,
            "voxel_size": data.psf_voxel_size if known else None,
            "voxel_size_from": _origin(args, data),
        },
    }


def _origin(args: argparse.Namespace, data: fastmpr.Dataset) -> str | None:
    """Return where the PSF's voxel size comes from."""
    if args.psf_voxel_size:
        return "given"
    if data.known_psf_voxel is not None:
        return "file"
    return "particles" if data.unit == "um" else None


def loaded(args: argparse.Namespace) -> fastmpr.Dataset:
    """Return the data set; what is read of it is noted in ``args.inputs``."""
    for path in (args.psf, args.poses, *filter(is_list, args.particles)):
        args.inputs.add_file(path)
    data = fastmpr.load(
        args.particles[0] if len(args.particles) == 1 else args.particles,
        args.psf,
        args.poses,
        voxel_size=args.voxel_size,
        psf_voxel_size=args.psf_voxel_size,
        psf_measured=args.psf_measured,
        channel=args.channel,
        frame=args.frame,
        scene=args.scene,
        symmetry=args.symmetry,
        symmetry_axis=args.symmetry_axis,
        symmetry_centre=args.symmetry_centre,
        seen=args.seen,
        outside=args.outside,
        radius=args.radius,
        background=args.background,
        gain=args.gain,
        weights=None if args.weights == "same" else args.weights,
    )
    return args.inputs.watched(data)
