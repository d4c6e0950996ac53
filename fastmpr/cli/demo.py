"""``fastmpr demo``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import fastmpr

from ..io.files import check_folder_writable, folder_written_whole
from ._arguments import add_talk, count, new_command
from ._words import check_extras, explain, put, say, watched

VOXEL = 0.0125  # micrometres
SHAPE = 56
PSF_SIGMA = (0.08, 0.02, 0.02)  # micrometres: four times as long along the optical axis as across it
NOISE = 0.05  # of the brightest voxel of the truth
FILES = ("truth.ome.tif", "view.ome.tif", "average.ome.tif", "reconstruction.ome.tif", "sections.png")


def add(commands: Any) -> None:
    """Add the command."""
    summary = "simulate views of a centriole, reconstruct it, and draw both"
    demo = new_command(commands, "demo", run, summary, "fastmpr demo --out fastmpr-demo --poses 60")
    demo.add_argument(
        "-o",
        "--out",
        default="fastmpr-demo",
        metavar="DIR",
        help="folder for the files; an older demo there is replaced (default: %(default)s)",
    )
    demo.add_argument("--poses", type=count, default=60, metavar="N", help="number of views (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="of the random poses and the noise (default: %(default)s)")
    add_talk(demo)


def run(args: argparse.Namespace) -> None:
    """Simulate, reconstruct, write, and compare."""
    check_extras("tifffile", "matplotlib")
    check_folder_writable(args.out, FILES, overwrite=True)
    truth, data = _views(args)
    start = time.perf_counter()
    mean = fastmpr.average(data)
    between = time.perf_counter()
    result = fastmpr.reconstruct(data, progress=watched(args))
    end = time.perf_counter()
    explain(args, f"lam {result.lam:.6g}, {result.nit} iterations: {result.message}")
    if not result.success:
        put(f"fastmpr: warning: {result.message}", error=True)

    volumes = {"truth": truth, "one raw view": data.read(0), "average": mean, "reconstruction": result.x}
    with folder_written_whole(args.out, FILES, overwrite=True) as folder:
        for name, volume in zip(FILES[:4], volumes.values(), strict=True):
            fastmpr.io.write(folder / name, volume, VOXEL)
        fastmpr.plot.sections(volumes, VOXEL, folder / FILES[4])

    psnr = fastmpr.metrics.psnr
    say(args, f"\n{'':16}{'PSNR (dB)':>10}{'time (s)':>10}")
    say(args, f"{'average':16}{psnr(mean, truth):10.2f}{between - start:10.2f}")
    say(args, f"{'reconstruction':16}{psnr(result.x, truth):10.2f}{end - between:10.2f}")
    say(args, f"\nThe files are in {Path(args.out).resolve()}:\n  " + "\n  ".join(FILES))


def _views(args: argparse.Namespace) -> tuple[Any, fastmpr.Dataset]:
    """Return the truth and views of it."""
    rng = np.random.default_rng(args.seed)
    truth = fastmpr.phantom.centriole(SHAPE, voxel_size=VOXEL)
    psf = fastmpr.psf.gaussian(SHAPE, sigma=PSF_SIGMA, voxel_size=VOXEL)
    poses = fastmpr.Poses.random(args.poses, max_translation=2 * VOXEL, rng=rng)
    say(args, f"simulating {len(poses)} views of a centriole ...")
    noise_sigma = NOISE * float(truth.max())
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=noise_sigma, voxel_size=VOXEL, rng=rng)
    return truth, fastmpr.Dataset(views, psf, poses, voxel_size=VOXEL)
