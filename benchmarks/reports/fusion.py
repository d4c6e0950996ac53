"""The fusion of a few views with known poses: multiview-stitcher's deconvolution, BigStitcher's method, beside ours.

    pip install -e ".[dropins]"
    python -m benchmarks.reports.fusion

multiview-stitcher gets the views resampled into the common frame, NaN where a view saw nothing, weights that share each
voxel among those that saw it, and each view's own PSF, turned as the view was. The truth chooses the best of its kernels,
and for that one whether to clip the views at 0, how much to regularise, and always after how many iterations to stop.
fastmpr gets the same views as they were taken and chooses lam without the truth; a column tells what the best lam would
give. Both on one thread. The table goes to ``benchmarks/results/fusion.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import operator
import platform
import unittest.mock
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

import fastmpr
from fastmpr.metrics import psnr

from ..suite.common import timed
from .peers import limit_threads

TABLE = Path(__file__).parents[1] / "results" / "fusion.md"
SIZE, VIEWS = 36, 4
NOISE = (0.01, 0.03, 0.1)  # of the brightest voxel of the views
MOST = 100  # iterations
KERNELS = ("INDEPENDENT", "EFFICIENT_BAYESIAN", "OPTIMIZATION_I", "OPTIMIZATION_II")
LAMBDAS = (0.0, 1e-3, 1e-2)
FACTORS = 2.0 ** np.arange(-4, 5)  # of the lam that fastmpr chose, to find the best
HEAD = (
    "| particle | noise | multiview-stitcher at its best, dB | with | s | fastmpr, dB | at its best lam | s | gain, dB |\n"
    "|---|---:|---:|---|---:|---:|---:|---:|---:|"
)


class Problem(NamedTuple):
    """Views with known poses, what blurred them, and what was there."""

    particle: str
    noise: float
    views: NDArray
    psf: NDArray
    poses: fastmpr.Poses
    truth: NDArray


class Best(NamedTuple):
    """The best that multiview-stitcher can do, and with which arguments."""

    quality: float
    views: NDArray
    weights: NDArray
    options: dict[str, Any]


class EnoughError(Exception):
    """More iterations do not help."""


def problem(particle: str, noise: float, count: int = VIEWS) -> Problem:
    """Return views of a phantom in poses drawn at random."""
    truth = getattr(fastmpr.phantom, particle)(SIZE)
    psf = fastmpr.psf.gaussian((19, 7, 7), sigma=(3, 1, 1))
    poses = fastmpr.Poses.random(count, max_translation=1.0, rng=0)
    clean = fastmpr.simulate(truth, psf, poses)
    white = np.random.default_rng(0).standard_normal(clean.shape, np.float32)
    return Problem(particle, noise, clean + np.float32(noise * clean.max()) * white, psf, poses, truth)


def in_common_frame(given: Problem) -> tuple[NDArray, NDArray, list[NDArray]]:
    """Return views, their weights and PSFs as multiview-stitcher takes them."""
    matrices, shifts = given.poses.matrix, given.poses.translation
    views = np.stack([turned(*each, SIZE, np.nan) for each in zip(given.views, matrices, shifts, strict=True)])
    seen = np.isfinite(views)
    weights = (seen / np.maximum(seen.sum(axis=0), 1)).astype(np.float32)
    width = 2 * int(np.linalg.norm(np.array(given.psf.shape) // 2)) + 1
    psfs = [np.maximum(turned(given.psf, matrix, np.zeros(3), width, 0.0), 0) for matrix in matrices]
    return views, weights, psfs


def turned(volume: NDArray, matrix: NDArray, shift: NDArray, size: int, outside: float) -> NDArray:
    """Return a view, or a PSF, in the frame of the model: a point p of that is at R p + t."""
    centre = (np.array(volume.shape) - 1) / 2
    offset = centre + shift - matrix @ np.full(3, (size - 1) / 2)
    return scipy.ndimage.affine_transform(volume, matrix, offset, (size,) * 3, cval=outside)


def best_fusion(given: Problem) -> Best:
    """Return the best that multiview-stitcher does on these views."""
    views, weights, psfs = in_common_frame(given)

    def tried(kernel: str, strength: float = 0.0, clip: bool = False) -> Best:
        shown = np.maximum(views, 0) if clip else views
        options = {"psfs": psfs, "psf_type": kernel, "lambda_reg": strength}
        reached, n = best_stop(shown, weights, given.truth, options)
        return Best(reached, shown, weights, {**options, "n_iterations": n})

    quality = operator.attrgetter("quality")
    best = max((tried(kernel) for kernel in KERNELS), key=quality)
    variants = itertools.product([best.options["psf_type"]], LAMBDAS, (False, True))
    return max(best, *(tried(*variant) for variant in variants), key=quality)


def best_stop(views: NDArray, weights: NDArray, truth: NDArray, options: dict[str, Any]) -> tuple[float, int]:
    """Return the best PSNR, and after how many iterations.

    Its convolutions are done by FFTs, for speed, and looked into: the first of each iteration is that of the volume so far.
    """
    from multiview_stitcher.fusion import mv_deconv

    calls, best = itertools.count(), (-np.inf, 0)

    def convolve(x: NDArray, kernel: NDArray, mode: str, cval: float = 0.0) -> NDArray:
        nonlocal best
        n, step = divmod(next(calls), 2 * len(views))
        if step == 0 and n > 0:
            best = max(best, (psnr(x, truth), n))
            if n > best[1] + 5:
                raise EnoughError
        margins = [(k // 2, k // 2) for k in kernel.shape]
        padded = np.pad(x, margins, "reflect") if mode == "mirror" else np.pad(x, margins, constant_values=cval)
        return scipy.signal.fftconvolve(padded, kernel, "valid")

    with unittest.mock.patch.object(mv_deconv, "_convolve", convolve), contextlib.suppress(EnoughError):
        mv_deconv.multi_view_deconvolution(views, weights, n_iterations=MOST + 1, **options)
    return best


def ours(given: Problem, lam: float | str = "auto") -> fastmpr.Result:
    """Return what fastmpr makes of these views."""
    return fastmpr.reconstruct(given.views, given.psf, given.poses, lam=lam, workers=1)


class Fused(NamedTuple):
    """Theirs and ours: PSNR in dB and seconds."""

    theirs: float
    options: str
    slow: float
    ours: float
    at_best_lam: float
    fast: float


def compare(given: Problem) -> Fused:
    """Return how well and how fast both fuse these views."""
    from multiview_stitcher.fusion import multi_view_deconvolution

    best = best_fusion(given)
    theirs, slow = timed(lambda: multi_view_deconvolution(best.views, best.weights, **best.options))
    lam = ours(given).lam  # compiles
    x, fast = timed(lambda: ours(given).x)
    most = max(psnr(ours(given, factor * lam).x, given.truth) for factor in FACTORS)
    told = (
        f"{best.options['psf_type']}, {best.options['n_iterations']} iterations, lambda {best.options['lambda_reg']:g}"
    )
    return Fused(psnr(theirs, given.truth), told, slow, psnr(x, given.truth), most, fast)


def row(given: Problem) -> str:
    """Return a line of the table."""
    found = compare(given)
    theirs = f"{found.theirs:.2f} | {found.options} | {found.slow:.1f}"
    ours = f"{found.ours:.2f} | {found.at_best_lam:.2f} | {found.fast:.2f}"
    return f"| {given.particle} | {given.noise} | {theirs} | {ours} | {found.ours - found.theirs:+.2f} |"


def conditions(count: int) -> str:
    """Say what ran where."""
    names = ("fastmpr", "multiview-stitcher", "numba", "numpy", "scipy", "pyfftw")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{count} views of {SIZE} x {SIZE} x {SIZE}, one thread; Python {platform.python_version()}, {versions}."


def main() -> None:
    """Print the table line by line, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.fusion", description=__doc__.splitlines()[0])
    parser.add_argument("--noise", type=float, nargs="+", default=NOISE, help="of the brightest voxel")
    parser.add_argument("--views", type=int, default=VIEWS, help=f"how many (default {VIEWS})")
    arguments = parser.parse_args()
    limit_threads(1)
    lines = [conditions(arguments.views), "", HEAD]
    print("\n".join(lines))
    for particle, noise in itertools.product(("centriole", "nuclear_pore"), arguments.noise):
        lines.append(row(problem(particle, noise, arguments.views)))
        print(lines[-1], flush=True)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\nwritten to {TABLE}")


if __name__ == "__main__":
    main()
