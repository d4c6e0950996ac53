"""What a movie gains: the time of a frame in a series over its time alone, and how near the truth both come.

    python -m benchmarks.reports.movie [--frames 200] [--only still moving]

Frames of cells under a camera (`benchmarks.reports.lam_one_image`): still, moving by two pixels each, fading to a
fifth, and stacks.
``fastmpr.deconvolve`` has all frames in one array, and some of them alone; the processor's time is told, of one thread. PSNR
is the mean over the frames that were also done alone, flicker the spread of a frame's sum over its mean, where the truth's
does not change. The table goes to ``benchmarks/results/movie.md``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.signal
from numpy.typing import NDArray

import fastmpr
from fastmpr.metrics import psnr

from .lam_one_image import OFFSET, READ, specimen

TABLE = Path(__file__).parents[1] / "results" / "movie.md"
PEAK = 300.0  # photons
ALONE = 9  # frames that are done alone, too
STEP = 2  # pixels from frame to frame, of what moves


class Movie(NamedTuple):
    """Frames, their PSF, and what was there in their unit."""

    frames: NDArray
    psf: NDArray
    truths: NDArray


def camera(light: NDArray, seed: int) -> NDArray:
    """Return what a camera makes of so many photons."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(np.maximum(light, 0)) + OFFSET + READ * rng.standard_normal(light.shape)
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


def made(kind: str, count: int, side: int) -> Movie:
    """Return a movie of a kind."""
    deep = kind == "stacks"
    psf = fastmpr.psf.gaussian((11, 11, 11) if deep else (1, 13, 13), sigma=(1.8, 1.5, 1.5))
    psf = psf if deep else psf[0]
    shape = (20, side // 4, side // 4) if deep else (1, side, side + STEP * count * (kind == "moving"))
    whole = specimen(shape, 3)
    whole = whole if deep else whole[0]
    blurred = scipy.signal.fftconvolve(whole, psf, mode="same")
    scale = PEAK / blurred.max()
    fade = np.exp(-np.arange(count) * np.log(5) / max(count - 1, 1)) if kind == "fading" else np.ones(count)
    truths, frames = [], []
    for k in range(count):
        cut = np.s_[..., STEP * k : STEP * k + side] if kind == "moving" else np.s_[...]
        truths.append(fade[k] * scale * whole[cut])
        frames.append(camera(fade[k] * scale * blurred[cut], k))
    return Movie(np.array(frames), psf, np.array(truths, np.float32))


def line(kind: str, count: int, side: int) -> str:
    """Return a line of the table."""
    movie = made(kind, count, side)
    fastmpr.deconvolve(movie.frames[:2], movie.psf, frames="each", max_iter=2, workers=1)  # compiles
    picked = np.unique(np.linspace(0, count - 1, ALONE).astype(int))
    begun = time.process_time()
    alone = [fastmpr.deconvolve(movie.frames[k], movie.psf, workers=1) for k in picked]
    lonely = (time.process_time() - begun) / len(picked)
    begun, found = time.process_time(), []
    series = fastmpr.deconvolve(movie.frames, movie.psf, workers=1, report=found.append)
    together = (time.process_time() - begun) / count
    errors = [
        np.mean([psnr(solid(x), solid(movie.truths[k])) for k, x in zip(picked, results, strict=True)])
        for results in (alone, series[picked])
    ]
    light = movie.truths.sum(axis=tuple(range(1, movie.truths.ndim)))
    flicker = [np.std(ratio) / np.mean(ratio) for ratio in ratios(alone, series, light, picked)]
    nit = np.mean([one["nit"] for one in found])
    cells = [kind, f"{count} x {' x '.join(map(str, movie.frames.shape[1:]))}", f"{lonely:.3f} s", f"{together:.3f} s"]
    cells += [f"{together / lonely:.2f}", f"{nit:.0f}", *(f"{error:.2f}" for error in errors)]
    return " | ".join(["", *cells, *(f"{100 * spread:.2f} %" for spread in flicker), ""]).strip()


def solid(image: NDArray) -> NDArray:
    """Return an image as a volume."""
    return image.reshape(-1, *image.shape[-2:])


def ratios(alone: list[NDArray], series: NDArray, light: NDArray, picked: NDArray) -> list[NDArray]:
    """Return the sums of results over the truth's."""
    return [
        np.array([x.sum(dtype=float) for x in alone]) / light[picked],
        series.sum(axis=tuple(range(1, series.ndim)), dtype=float) / light,
    ]


def main() -> None:
    """Make the table."""
    kinds = ("still", "moving", "fading", "stacks")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    args = parser.parse_args()
    times, figures = "alone | in a series | ratio", "dB alone | in a series | flicker alone | in a series"
    head = f"movie | frames | {times} | iterations | {figures}"
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    for kind in args.only:
        lines.append(line(kind, args.frames if kind != "stacks" else max(args.frames // 10, 5), args.side))
        print(lines[-1], flush=True)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
