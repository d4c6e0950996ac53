"""The times of SPFluo's reconstruction, of its drop-in and of this program's own, on ten particles, in one run, in turn.

    pip install -e ".[cli,spfluo]"
    python -m benchmarks.reports.spfluo DATA

DATA is a folder with ``particles/``, ``poses.csv``, ``psf.tiff`` and ``gt.tiff``, in SPFluo's conventions: its own test data
centriole-translations. Where it is not given, that folder is looked for in the one that FASTMPR_DATA names.

SPFluo's `reconstruction_L2` does little beside its sums over the poses, so the whole call stands for them. Beside it stand
`fastmpr.accumulate`, the part that grows with the poses, all of `reconstruct`, and `average`. SPFluo gets the lambda that is
best for it by the ground truth, fastmpr what ``lam="auto"`` chooses without it; the comparison counts only if fastmpr's
volume is no worse. The table goes to ``benchmarks/results/spfluo.md``.

A second table is of whole calls as SPFluo's own programs make them, at its default lambda: by itself, under
`fastmpr.compat.spfluo.patch`, and under ``patch("hessian")``, which upgrades the answer.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmpr
from fastmpr import io
from fastmpr.compat.spfluo import patch
from fastmpr.io.particles import open_particles
from fastmpr.metrics import psnr

from ..suite.common import seconds
from .peers import limit_threads

TABLE = Path(__file__).parents[1] / "results" / "spfluo.md"
LAMBDAS = 10.0 ** np.arange(-4, 2.5, 0.5)
DEFAULT = 100.0  # SPFluo's lambda where nobody gives one
FOLD = 9  # of the particle's symmetry
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
    psf, truth = (io.read(folder / name)[0] for name in ("psf.tiff", "gt.tiff"))
    return Data(np.stack(list(particles)), psf, poses, truth)


def spfluo_of(data: Data) -> Callable[[float], NDArray]:
    """Return SPFluo's reconstruction as a function of its lambda."""
    try:
        from spfluo.refinement import reconstruction_L2
    except ImportError as error:
        need = 'need it beside fastmpr: pip install "fastmpr[spfluo]"'
        raise SystemExit(f"python -m benchmarks.reports.spfluo: error: found no package {error.name}, {need}") from None
    poses = as_spfluo(data.poses)
    return lambda lam: reconstruction_L2(data.views, data.psf, poses, np.asarray(lam, np.float32), device="cpu")


def as_spfluo(poses: fastmpr.Poses) -> NDArray:
    """Return poses as SPFluo has them, (N, 6)."""
    return np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation]).astype(np.float32)


def copies(poses: NDArray) -> NDArray:
    """Return the symmetric copies (k, N, 6) of poses: about the model's first axis, the last of the three angles."""
    turns = np.zeros((FOLD, 1, 6), np.float32)
    turns[:, 0, 2] = np.arange(FOLD) * 360 / FOLD
    return poses + turns


def drop_in_table(data: Data, rounds: int) -> str:
    """Time whole calls of SPFluo's function, by itself and patched, and score what comes of them."""
    import spfluo.refinement as spfluo
    from spfluo.utils.symmetrize_particle import symmetrize

    poses, lam = as_spfluo(data.poses), np.float32(DEFAULT)

    def given(poses: NDArray) -> NDArray:
        return spfluo.reconstruction_L2(data.views, data.psf, poses, lam, symmetry=poses.ndim == 3, device="cpu")

    calls = {
        f"{len(poses)} particles": lambda: given(poses),
        f"{len(poses)} particles, {FOLD} copies of each": lambda: given(copies(poses)),
        f"its `symmetrize`, {FOLD} copies of 1": lambda: symmetrize(data.views[0], (0.0, 0.0), FOLD, data.psf, lam),
    }
    ways = {"SPFluo": nullcontext, "patched": patch, "hessian": lambda: patch("hessian")}
    lines = [
        '| | SPFluo, ms | `patch()`, ms | times | `patch("hessian")`, ms | PSNR, SPFluo | `patch()` | `patch("hessian")` |',
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, call in calls.items():
        theirs, ours, upgraded = patched_times(call, ways, rounds)
        scores = [f"{psnr(x, data.truth):.2f}" if x.ndim == 3 else "" for x in patched_results(call, ways)]
        numbers = f"{theirs:.1f} | {ours:.1f} | {theirs / ours:.1f} | {upgraded:.0f}"
        lines.append(f"| {name} | {numbers} | {' | '.join(scores)} |")
    return "\n".join(lines)


def patched_results(call: Callable[[], Any], ways: dict[str, Callable[[], Any]]) -> list[Any]:
    """Return what comes of a call in each way; this compiles."""
    results = []
    for way in ways.values():
        with way():
            results.append(call())
    return results


def patched_times(call: Callable[[], Any], ways: dict[str, Callable[[], Any]], rounds: int) -> list[float]:
    """Return the median milliseconds of a call in each way, in turn; the time to patch is not in them."""
    patched_results(call, ways)
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for readings, way in zip(times, ways.values(), strict=True):
            with way():
                time.sleep(0.1)
                readings.append(1e3 * seconds(call))
    return [median(readings) for readings in times]


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.spfluo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "data", type=Path, nargs="?", help="the folder (default: centriole-translations in FASTMPR_DATA)"
    )
    parser.add_argument("--workers", type=int, default=2, help="threads that both may use (default 2)")
    parser.add_argument("--rounds", type=int, default=7, help="readings of each (default 7)")
    parser.add_argument("--output", type=Path, default=TABLE, help=f"the table (default {TABLE.name} in results/)")
    parsed = parser.parse_args(arguments)
    parsed.data = folder_of(parsed.data, parser)
    return parsed


def folder_of(given: str | Path | None, parser: argparse.ArgumentParser) -> Path:
    """Return the folder with the particles, as it is given or in the one that FASTMPR_DATA names."""
    if given is None and "FASTMPR_DATA" not in os.environ:
        parser.error("found neither an argument nor FASTMPR_DATA, need the folder with the particles")
    folder = Path(os.environ["FASTMPR_DATA"]) / "centriole-translations" if given is None else Path(given)
    if not folder.is_dir():
        parser.error(f"{folder}: found no such folder, need one with particles/, poses.csv, psf.tiff and gt.tiff")
    return folder


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
            "fastmpr.average": lambda: fastmpr.average(data.views, poses=data.poses, workers=arguments.workers),
        },
        arguments.rounds,
    )
    scores = (
        f"PSNR: SPFluo {theirs:.2f} dB at its best lambda, {best:.2g}; "
        f"fastmpr {ours:.2f} dB at its own choice, {auto.lam:.3g}."
    )
    whole = "Whole calls of SPFluo's `reconstruction_L2` at its default lambda, by itself and patched; medians."
    text = "\n\n".join([told, table(times, len(data.views)), scores, whole, drop_in_table(data, arguments.rounds)])
    print(text)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(text + "\n", encoding="utf-8")
    print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()
