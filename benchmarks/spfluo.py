"""The time per pose of SPFluo's reconstruction and of this one, on the same ten particles, in one run, in turn.

    pip install -e ".[cli]" spfluo==0.1.0
    python -m benchmarks.spfluo DATA

DATA is a folder with ``particles/``, ``poses.csv``, ``psf.tiff`` and ``gt.tiff``, in SPFluo's conventions: its own test data
centriole-translations. Where it is not given, that folder is looked for in the one that FASTMPR_DATA names.

SPFluo's `reconstruction_L2` does little beside its sums over the poses, so the whole call stands for them. Beside it stand
`fastmpr.accumulate`, the part that grows with the poses, all of `reconstruct`, and `average`. SPFluo gets the lambda that is
best for it by the ground truth, fastmpr what ``lam="auto"`` chooses without it; the comparison counts only if fastmpr's
volume is no worse. The table goes to ``benchmarks/results/spfluo.md``.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmpr
from fastmpr.io import tiff
from fastmpr.io.particles import open_particles
from fastmpr.metrics import psnr

from .common import seconds
from .peers import limit_threads

TABLE = Path(__file__).parent / "results" / "spfluo.md"
LAMBDAS = 10.0 ** np.arange(-4, 2.5, 0.5)
LEAST_PSNR = 28.0  # of SPFluo on its own data; less means that it was called wrongly


class Data(NamedTuple):
    """Everything that both are given, and the truth."""

    views: NDArray
    psf: NDArray
    poses: fastmpr.Poses
    truth: NDArray


def read(folder: Path) -> Data:
    """Read all files before any clock runs."""
    particles = open_particles(folder / "particles")
    poses = fastmpr.Poses.read(folder / "poses.csv").matched(particles.names)
    psf, truth = (tiff.read(folder / name)[0] for name in ("psf.tiff", "gt.tiff"))
    return Data(np.stack(list(particles)), psf, poses, truth)


def spfluo_of(data: Data) -> Callable[[float], NDArray]:
    """Return SPFluo's reconstruction as a function of its lambda."""
    try:
        from spfluo.refinement import reconstruction_L2
    except ImportError as error:
        need = "need it beside fastmpr: pip install spfluo==0.1.0"
        raise SystemExit(f"python -m benchmarks.spfluo: error: found no package {error.name}, {need}") from None
    angles = data.poses.rotation.as_euler("XZX", degrees=True)
    poses = np.hstack([angles, data.poses.translation]).astype(np.float32)
    return lambda lam: reconstruction_L2(data.views, data.psf, poses, np.asarray(lam, np.float32), device="cpu")


def times_in_turn(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Time each call once per round, one after the other: what slows the machine slows all."""
    for call in calls.values():  # compiles
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(0.1)  # let the threads of the one before go to sleep
            times[name].append(seconds(call))
    return times


def table(times: dict[str, list[float]], poses: int) -> str:
    """Format the times in Markdown; the first row is SPFluo's."""
    spfluos = median(next(iter(times.values())))
    lines = ["| | ms per pose, median (least to most) | SPFluo's over this |", "|---|---:|---:|"]
    for name, readings in times.items():
        least, middle, most = (1e3 * t / poses for t in (min(readings), median(readings), max(readings)))
        lines.append(f"| {name} | {middle:.2f} ({least:.2f} to {most:.2f}) | {spfluos / median(readings):.1f} |")
    return "\n".join(lines)


def conditions(data: Data, arguments: argparse.Namespace) -> str:
    """Say what ran where."""
    versions = [f"{name} {version(name)}" for name in ("fastmpr", "spfluo", "numba", "numpy", "scipy", "pyfftw")]
    size = " x ".join(str(n) for n in data.views.shape[1:])
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    return (
        f"{len(data.views)} particles of {size}, float32, {arguments.workers} threads allowed, {arguments.rounds} rounds "
        f"in turn{load}; Python {platform.python_version()}, {', '.join(versions)}."
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spfluo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "data", type=Path, nargs="?", help="the folder (default: centriole-translations in FASTMPR_DATA)"
    )
    parser.add_argument("--workers", type=int, default=2, help="threads that both may use (default 2)")
    parser.add_argument("--rounds", type=int, default=7, help="readings of each (default 7)")
    parser.add_argument("--output", type=Path, default=TABLE, help=f"the table (default {TABLE.name} in results/)")
    parsed = parser.parse_args(arguments)
    if parsed.data is None:
        if "FASTMPR_DATA" not in os.environ:
            parser.error("found neither an argument nor FASTMPR_DATA, need the folder with the particles")
        parsed.data = Path(os.environ["FASTMPR_DATA"]) / "centriole-translations"
    if not parsed.data.is_dir():
        parser.error(f"{parsed.data}: found no such folder, need one with particles/, poses.csv, psf.tiff and gt.tiff")
    return parsed


def main() -> None:
    """Check that both reconstruct well, time them, print, write."""
    arguments = parse()
    limit_threads(arguments.workers)
    data = read(arguments.data)
    spfluo = spfluo_of(data)
    told = conditions(data, arguments)
    given = {"psf": data.psf, "poses": data.poses, "workers": arguments.workers}

    theirs, best = max((psnr(spfluo(lam), data.truth), lam) for lam in LAMBDAS)
    auto = fastmpr.reconstruct(data.views, **given)
    ours = psnr(auto.x, data.truth)
    if theirs < LEAST_PSNR or ours < theirs:
        raise SystemExit(
            f"found {theirs:.2f} dB by SPFluo, need {LEAST_PSNR}; {ours:.2f} by fastmpr, need SPFluo's at least"
        )

    times = times_in_turn(
        {
            "SPFluo, reconstruction_L2": lambda: spfluo(best),
            "fastmpr.accumulate": lambda: fastmpr.accumulate(data.views, **given),
            "fastmpr.reconstruct, lam given": lambda: fastmpr.reconstruct(data.views, **given, lam=auto.lam),
            'fastmpr.reconstruct, lam="auto"': lambda: fastmpr.reconstruct(data.views, **given),
            "fastmpr.average": lambda: fastmpr.average(data.views, data.poses, workers=arguments.workers),
        },
        arguments.rounds,
    )
    scores = (
        f"PSNR: SPFluo {theirs:.2f} dB at its best lambda, {best:.2g}; "
        f"fastmpr {ours:.2f} dB at its own choice, {auto.lam:.3g}."
    )
    text = "\n\n".join([told, table(times, len(data.views)), scores])
    print(text)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(text + "\n", encoding="utf-8")
    print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()
