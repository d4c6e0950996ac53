"""``fastmpr simulate``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmpr

from .._messages import telling
from .._validation import Vector
from ..io.files import check_folder_writable, folder_written_whole
from ._arguments import ZYX, add_talk, count, new_command, not_negative, positive
from ._words import say, size, watched

PHANTOMS = ("centriole", "nuclear_pore")
FILES = ("particles", "poses.csv", "psf.tiff", "truth.tiff")


def add(commands: Any) -> None:
    """Add the command."""
    simulate = new_command(
        commands,
        "simulate",
        run,
        "simulate blurred and noisy views of a volume in random poses",
        "fastmpr simulate centriole -o views --poses 30",
        "fastmpr reconstruct views/particles --psf views/psf.tiff --poses views/poses.csv -o volume.ome.tif",
    )
    add = simulate.add_argument
    add("volume", metavar="VOLUME", help="a file with a 3-D volume, or centriole, or nuclear_pore")
    add("-o", "--out", required=True, metavar="DIR", help=f"folder for {', '.join(FILES)}")
    add("--poses", type=count, default=30, metavar="N", help="number of views (default: %(default)s)")
    add(
        "--max-translation",
        type=float,
        default=2.0,
        metavar="T",
        help="largest translation along each axis, in voxels (default: %(default)s)",
    )
    add(
        "--noise",
        type=not_negative,
        default=0.05,
        metavar="S",
        help="standard deviation of the noise over the maximum of VOLUME (default: %(default)s)",
    )
    add("--psf", metavar="PSF", help="a file with the point spread function (default: a Gaussian)")
    add(
        "--psf-sigma",
        type=positive,
        nargs=3,
        default=(4, 1, 1),
        metavar=ZYX,
        help="standard deviations of the Gaussian, in voxels (default: 4 1 1)",
    )
    add(
        "--shape",
        type=count,
        nargs=3,
        metavar=ZYX,
        help="of a centriole or nuclear_pore, in voxels (default: 64 64 64)",
    )
    add(
        "--voxel-size",
        type=positive,
        nargs=3,
        metavar=ZYX,
        help="in micrometres (default: what VOLUME says, if anything)",
    )
    add(
        "--psf-voxel-size",
        type=positive,
        nargs=3,
        metavar=ZYX,
        help="in micrometres (default: what PSF says, else that of VOLUME)",
    )
    add("--seed", type=int, default=0, help="of the random poses and the noise (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace what is there")
    add_talk(simulate)


def run(args: argparse.Namespace) -> None:
    """Write the views one at a time, then the poses, the PSF and the truth."""
    check_folder_writable(args.out, FILES, args.overwrite)
    truth, voxel_size = _truth(args)
    psf, psf_voxel_size = _psf(args, voxel_size)
    rng = np.random.default_rng(args.seed)
    random = fastmpr.Poses.random(args.poses, max_translation=args.max_translation, rng=rng)
    digits = max(3, len(str(len(random) - 1)))
    names = [f"particles/{i:0{digits}}.tiff" for i in range(len(random))]
    poses = fastmpr.Poses(random.rotation, random.translation, names=names, unit="voxel")
    options: dict[str, Any] = {
        "noise_sigma": args.noise * float(truth.max()),
        "voxel_size": voxel_size or (1.0, 1.0, 1.0),
        "psf_voxel_size": psf_voxel_size,
        "rng": rng,
    }
    with folder_written_whole(args.out, FILES, args.overwrite) as folder, telling(watched(args)) as tell:
        (folder / "particles").mkdir()
        for i, (name, pose) in enumerate(zip(names, poses, strict=True)):
            (view,) = fastmpr.simulate(truth, psf, pose, **options)
            fastmpr.io.write(folder / name, view, voxel_size)
            if tell:
                tell("views", i + 1, len(poses))
        poses.write(folder / "poses.csv")
        fastmpr.io.write(folder / "psf.tiff", psf, psf_voxel_size)
        fastmpr.io.write(folder / "truth.tiff", truth, voxel_size)
    say(args, f"{args.out}: {len(poses)} particles of {size(truth.shape)} voxels")


def _truth(args: argparse.Namespace) -> tuple[NDArray, Vector | None]:
    """Return the volume to simulate, from a file or a phantom, and its voxel size."""
    if args.volume in PHANTOMS and not Path(args.volume).exists():
        shape = args.shape or (64, 64, 64)
        return getattr(fastmpr.phantom, args.volume)(shape, voxel_size=args.voxel_size), args.voxel_size
    if args.shape:
        raise ValueError(f"--shape: is for {' and '.join(PHANTOMS)}, {args.volume} has its own")
    return fastmpr.io.read(args.volume, args.voxel_size)


def _psf(args: argparse.Namespace, voxel_size: Vector | None) -> tuple[NDArray, Vector | None]:
    """Return the PSF to simulate with, from a file or a Gaussian, and its voxel size."""
    if args.psf:
        psf, psf_voxel_size = fastmpr.io.read(args.psf, args.psf_voxel_size)
        if voxel_size is None and psf_voxel_size is not None:
            raise ValueError(f"{args.volume}: found no voxel size, but lengths in {args.psf}, need --voxel-size")
        return psf, psf_voxel_size or voxel_size
    z, y, x = (2 * math.ceil(4 * sigma) + 1 for sigma in args.psf_sigma)
    return fastmpr.psf.gaussian((z, y, x), sigma=args.psf_sigma), voxel_size
