"""What a single blurred image gives: `fastmpr.deconvolve` beside what scikit-image and deconwolf make of it.

    pip install -e ".[dropins]"
    python -m benchmarks.reports.deconvolution

The problems are cut out of larger blurred fields, so that light from outside is in them, as in every microscope's image.
scikit-image's Richardson-Lucy stops where the truth says that it should; fastmpr chooses lam without it. "mirrored" gives
scikit-image more than its users do: the image continued by its mirror image, the result cut. All on one thread.

With the folder of shared data at ``../shared/data`` or where ``FASTMPR_DATA`` says, its ribosome is there too, and the stack
of which it has deconwolf's record: deconwolf itself is not run. The tables go to ``benchmarks/results/deconvolution.md``.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import platform
import unittest.mock
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.signal
from numpy.typing import NDArray

import fastmpr
from fastmpr.metrics import psnr

from ..suite.common import seconds, timed
from .peers import limit_threads

DATA = Path(os.environ.get("FASTMPR_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
TABLE = Path(__file__).parents[1] / "results" / "deconvolution.md"
FIELDS = ("centriole", "nuclear_pore", "both", "ribosome")
NOISE = (0.01, 0.03, 0.1)  # of the brightest voxel of the blurred image
SIZE, SURROUNDINGS = 64, 24  # voxels of an image, and of what lies beyond each of its faces
RIM = 8  # voxels that "inside" leaves out at each face
TIMED = 100  # iterations
MOST, PATIENCE = 400, 1.3  # Richardson-Lucy is stopped when so many times the best iterations have not done better
DECONWOLF = {
    20: (32.60, "5 iterations, 1.1 s"),
    200: (35.82, "20 iterations, 3.1 s"),
}  # version 0.4.7, 2 threads, recorded
OFFSET = 10  # of the camera, in deconwolf's stack


class Problem(NamedTuple):
    """A noisy image, what blurred it, and what was there."""

    field: str
    blur: str
    noise: float
    image: NDArray
    psf: NDArray
    truth: NDArray


class Score(NamedTuple):
    """PSNR of a whole image and of its inside, in dB, and what else there is to say."""

    whole: float
    inside: float
    remark: str = ""


# ----------------------------------------------------------------------------------------------------
# Problems
# ----------------------------------------------------------------------------------------------------


def problems(names: Sequence[str] = FIELDS, noises: Sequence[float] = NOISE) -> Iterator[Problem]:
    """Yield the problems: fields through every PSF with every noise, in units of the brightest voxel."""
    inner = (slice(SURROUNDINGS, SURROUNDINGS + SIZE),) * 3
    for field in names:
        if (scene := scene_of(field)) is None:
            continue
        for blur, psf in psfs().items():
            blurred = np.maximum(scipy.signal.fftconvolve(scene, psf, "same")[inner], 0)
            white = np.random.default_rng(0).standard_normal(blurred.shape, np.float32)
            for noise in noises:
                image = blurred + np.float32(noise * blurred.max()) * white
                yield Problem(field, blur, noise, image, psf, scene[inner])


@functools.cache
def psfs() -> dict[str, NDArray]:
    """Return the PSFs, all much longer along z."""
    lens = {"voxel_size": 0.08, "wavelength": 0.52, "na": 1.2, "refractive_index": 1.33}
    return {
        "Gaussian": fastmpr.psf.gaussian((33, 11, 11), sigma=(4, 1.2, 1.2)),
        "widefield": fastmpr.psf.born_wolf((49, 33, 33), **lens),
    }


def scene_of(field: str) -> NDArray | None:
    """Return a field of particles of one kind or, smaller and more of them, of two; None where its data are not there."""
    if field == "both":
        return crowd([fastmpr.phantom.centriole(32), fastmpr.phantom.nuclear_pore(32)], 28)
    if field != "ribosome":
        return crowd([getattr(fastmpr.phantom, field)(56)], 48)
    if not (path := DATA / "ribosome" / "4v7r.mrc").exists():
        return None
    density = np.maximum(fastmpr.io.read(path, 1.0)[0], 0)
    half = density.reshape(48, 2, 48, 2, 48, 2).mean(axis=(1, 3, 5), dtype=np.float32)
    return crowd([half / half.max()], 48)


def crowd(particles: list[NDArray], spacing: int) -> NDArray:
    """Return a field with surroundings: particles in turn, posed at random, on a cubic grid, one of them in the middle."""
    width, reach = SIZE + 2 * SURROUNDINGS, particles[0].shape[0]
    first = width // 2 % spacing
    centres = np.stack(np.meshgrid(*[np.arange(first, width, spacing)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    poses = fastmpr.Poses.random(len(centres), rng=0)
    point = np.ones((1, 1, 1), np.float32)
    field = np.zeros((width + 2 * reach,) * 3, np.float32)
    for i, centre in enumerate(centres):
        posed = fastmpr.simulate(particles[i % len(particles)], point, poses[i : i + 1])[0]
        box = tuple(slice(c, c + reach) for c in centre + reach - reach // 2)
        field[box] += np.maximum(posed, 0)
    return field[(slice(reach, reach + width),) * 3]


# ----------------------------------------------------------------------------------------------------
# Methods
# ----------------------------------------------------------------------------------------------------


def ours(image: NDArray, psf: NDArray, workers: int = 1) -> NDArray:
    """`fastmpr.deconvolve`, lam chosen by itself."""
    return fastmpr.deconvolve(image, psf, workers=workers)


def best_lucy(problem: Problem, mirrored: bool = False) -> Score:
    """Return the best scores of scikit-image's Richardson-Lucy, of image and inside each at its own best stop.

    The better of the image as it is and clipped at 0.
    """
    scale = problem.image.max()  # scikit-image clips at 1
    margins = [n // 2 if mirrored else 0 for n in problem.psf.shape]
    box = tuple(slice(m, n + m) for m, n in zip(margins, problem.image.shape, strict=True))
    found = []
    for start in (problem.image / scale, np.maximum(problem.image / scale, 0)):
        best, stops = np.full(2, -np.inf), np.zeros(2, int)
        for n, x in enumerate(lucy(np.pad(start, [(m, m) for m in margins], "symmetric"), problem.psf), 1):
            scores = np.array(score(x[box], problem.truth)[:2])
            stops[scores > best] = n
            best = np.maximum(best, scores)
            if n > PATIENCE * stops.max() + 10:
                break
        found.append(Score(*best.tolist(), f"after {stops[0]}, {stops[1]}"))
    return max(found)


def lucy(image: NDArray, psf: NDArray) -> Iterator[NDArray]:
    """Yield what scikit-image's `richardson_lucy` returns for 1, 2, ... iterations, without starting anew for each."""
    x, mirror = np.full(image.shape, 0.5, image.dtype), np.flip(psf)
    for _ in range(MOST):
        blurred = scipy.signal.fftconvolve(x, psf, "same") + 1e-12
        x = x * scipy.signal.fftconvolve(image / blurred, mirror, "same")
        if not np.isfinite(x).all():  # it divides by nothing
            return
        yield np.clip(x, -1, 1)


def best_wiener(problem: Problem) -> Score:
    """Return the score of scikit-image's `unsupervised_wiener`, the better of the image as it is and mirrored."""
    scale, found = problem.image.max(), []
    for margins in ([0, 0, 0], [n // 2 for n in problem.psf.shape]):
        box = tuple(slice(m, n + m) for m, n in zip(margins, problem.image.shape, strict=True))
        x = wiener(np.pad(problem.image / scale, [(m, m) for m in margins], "symmetric"), problem.psf)[box]
        found.append(score(x, problem.truth, "mirrored" if any(margins) else "as it is"))
    return max(found)


def wiener(image: NDArray, psf: NDArray) -> NDArray:
    """Return what scikit-image's `unsupervised_wiener` makes of an image, clipped at 0.

    Of three axes it transforms two, and ends with an error: here it is given transforms and a norm of all three.
    """
    from skimage.restoration import uft, unsupervised_wiener

    def quad_norm(half: NDArray) -> float:
        energy = np.abs(half) ** 2
        return float(2 * energy.sum() - energy[..., 0].sum())

    with unittest.mock.patch.multiple(uft, urfft2=uft.urfftn, uirfft2=uft.uirfftn, image_quad_norm=quad_norm):
        return np.maximum(unsupervised_wiener(image, psf, rng=0)[0], 0)


def score(x: NDArray, truth: NDArray, remark: str = "") -> Score:
    """Return how near a volume comes to the truth."""
    inside = (slice(RIM, -RIM),) * 3
    return Score(psnr(x, truth), psnr(x[inside], truth[inside]), remark)


# ----------------------------------------------------------------------------------------------------
# Tables
# ----------------------------------------------------------------------------------------------------


class Scores(NamedTuple):
    """How near each comes to the truth."""

    blurred: Score
    lucy: Score
    mirrored: Score
    wiener: Score
    ours: Score


class Seconds(NamedTuple):
    """How long each takes."""

    lucy: float  # `TIMED` iterations
    wiener: float
    ours: float


def compare(problem: Problem) -> tuple[Scores, Seconds]:
    """Return how well and how fast all do."""
    from skimage.restoration import richardson_lucy

    image, psf, truth = problem.image, problem.psf, problem.truth
    unit = np.maximum(image / image.max(), 0)
    ours(image, psf)  # compiles
    x, fast = timed(lambda: ours(image, psf))
    theirs, slow = timed(lambda: richardson_lucy(unit, psf, TIMED))
    if not np.allclose(next(itertools.islice(lucy(unit, psf), TIMED - 1, None)), theirs, atol=1e-4):
        raise SystemExit("found iterations that are not scikit-image's, need those to find its best stop")
    times = Seconds(slow, seconds(wiener, unit, psf), fast)
    best = best_lucy(problem), best_lucy(problem, mirrored=True), best_wiener(problem)
    return Scores(score(image, truth), *best, score(x, truth)), times


def scikit_image_table(names: Sequence[str], noises: Sequence[float]) -> Iterator[str]:
    """Yield the lines of the comparison with scikit-image."""
    yield (
        "| field | PSF | noise | blurred | Richardson-Lucy, best stop | mirrored | unsupervised_wiener | fastmpr "
        f"| gain over the first | {TIMED} iterations of it, s | fastmpr, s |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for problem in problems(names, noises):
        scores, times = compare(problem)
        cells = [f"{s.whole:.2f}, {s.inside:.2f}" + (f" ({s.remark})" if s.remark else "") for s in scores]
        gain = f"{scores.ours.whole - scores.lucy.whole:+.2f}, {scores.ours.inside - scores.lucy.inside:+.2f}"
        row = [problem.field, problem.blur, f"{problem.noise}", *cells, gain, f"{times.lucy:.2f}", f"{times.ours:.2f}"]
        yield f"| {' | '.join(row)} |"


class OneView(NamedTuple):
    """What deconwolf has on record for its stack, and ours."""

    blurred: float
    theirs: float
    remark: str
    ours: float
    seconds: float


def against_deconwolf(photons: int, workers: int = 2) -> OneView:
    """Return ours beside deconwolf's record."""
    image, psf, truth = one_view(photons)
    ours(image, psf, workers)  # compiles
    x, took = timed(lambda: ours(image, psf, workers))
    return OneView(affine_psnr(image, truth), *DECONWOLF[photons], affine_psnr(x, truth), took)


def deconwolf_table() -> Iterator[str]:
    """Yield the lines of the comparison with what deconwolf did on its stack, on two threads."""
    yield "| photons | blurred, dB | deconwolf at its best stop (recorded) | fastmpr | gain | s |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for photons in DECONWOLF:
        blurred, theirs, remark, found, took = against_deconwolf(photons)
        yield f"| {photons} | {blurred:.2f} | {theirs:.2f} ({remark}) | {found:.2f} | {found - theirs:+.2f} | {took:.1f} |"


def one_view(photons: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return deconwolf's stack at so many photons in the brightest voxel, less the camera's offset, its PSF, the truth."""
    names = (f"image-{photons}-photons.tif", "psf.tif", "truth.tif")
    image, psf, truth = (fastmpr.io.read(DATA / "one-view" / name, 1.0)[0].astype(np.float32) for name in names)
    return np.maximum(image - OFFSET, 0), psf, truth


def affine_psnr(x: NDArray, truth: NDArray) -> float:
    """Return the PSNR in dB after the best fit a x + b: deconwolf's record knows neither gain nor background."""
    a, b = np.polyfit(x.ravel().astype(float), truth.ravel(), 1)
    return float(10 * np.log10(truth.max() ** 2 / np.mean((a * x + b - truth) ** 2)))


def conditions() -> str:
    """Say what ran where."""
    versions = [f"{name} {version(name)}" for name in ("fastmpr", "scikit-image", "numba", "numpy", "scipy", "pyfftw")]
    return (
        f"Images of {SIZE} x {SIZE} x {SIZE}, float32, one thread; PSNR in dB of all and of what is {RIM} voxels from the "
        f"faces. Python {platform.python_version()}, {', '.join(versions)}."
    )


def main() -> None:
    """Print the tables line by line, and write them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reports.deconvolution", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--field", nargs="+", choices=FIELDS, default=FIELDS, help="of which particles (default: all)")
    parser.add_argument("--noise", type=float, nargs="+", default=NOISE, help="of the brightest voxel")
    parser.add_argument("--part", choices=("scikit-image", "deconwolf"), help="only this part (default: both)")
    arguments = parser.parse_args()
    lines: list[str] = []

    def tell(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    if arguments.part != "scikit-image" and (DATA / "one-view").exists():
        for line in deconwolf_table():
            tell(line)
        tell("")
    if arguments.part != "deconwolf":
        limit_threads(1)
        tell(conditions() + "\n")
        for line in scikit_image_table(arguments.field, arguments.noise):
            tell(line)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\nwritten to {TABLE}")


if __name__ == "__main__":
    main()
