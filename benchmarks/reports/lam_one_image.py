"""How near the best weight `fastmpr.deconvolve` comes by itself, on images as people have them.

    pip install -e ".[dropins]"
    python -m benchmarks.reports.lam_one_image [--seeds 0 1 2] [--only planes counts]

Each image is cut out of a larger blurred specimen, and spoilt: few photons, few planes, an offset that was clipped, filters,
resampled noise, a PSF that is not quite the true one. Beside the automatic weight stand the best one (of powers of 2 around
it), scikit-image's Richardson-Lucy at the stop that is best for the truth, and the image itself, less its true offset. All
told in dB. A line is marked where the automatic result is more than 0.5 dB below Richardson-Lucy and more than 0.3 below the
best weight, or below the image. The table goes to ``benchmarks/results/lam_one_image.md``.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.signal
import scipy.special
from numpy.typing import NDArray
from scipy import ndimage

import fastmpr
from fastmpr.metrics import psnr

from .deconvolution import PATIENCE, lucy

TABLE = Path(__file__).parents[1] / "results" / "lam_one_image.md"
SIZE, MARGIN = (20, 48, 48), (8, 16, 16)  # voxels of an image, and of the specimen beyond each of its faces
VOXEL = (0.2, 0.1, 0.1)
LENS = {"voxel_size": VOXEL, "wavelength": 0.52, "na": 1.2, "refractive_index": 1.33}
OFFSET, READ = 100.0, 1.6  # counts
OCTAVES = range(-6, 7)  # around the automatic weight
MOST = 150  # iterations of Richardson-Lucy


class Spoilt(NamedTuple):
    """An image, what it is said to have been blurred by, what was there in its unit, and its true offset."""

    image: NDArray
    psf: NDArray
    truth: NDArray
    offset: float


# ----------------------------------------------------------------------------------------------------
# Specimens and optics
# ----------------------------------------------------------------------------------------------------


def specimen(shape: tuple[int, ...], seed: int) -> NDArray:
    """Return threads and balls in the dark, brightest 1."""
    rng = np.random.default_rng(seed)
    count = max(6, int(np.prod(shape)) // 6000)
    out, places = np.zeros(shape), np.indices(shape)
    for _ in range(count):
        steps = np.cumsum(0.15 * rng.standard_normal((max(shape), 3)), axis=0) + rng.standard_normal(3)
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        path = np.rint(rng.random(3) * shape + np.cumsum(steps, axis=0)).astype(int)
        path = path[((path >= 0) & (path < shape)).all(axis=1)]
        out[tuple(path.T)] += 1
        centre, radius = rng.random(3) * shape, rng.uniform(1.5, 4)
        out += 0.6 * (sum((axis - c) ** 2 for axis, c in zip(places, centre, strict=True)) < radius**2)
    out = ndimage.gaussian_filter(np.minimum(out, 1.5), 0.7)
    return out / out.max()


@functools.cache
def optics(name: str) -> NDArray:
    """Return a PSF."""
    if name == "Gaussian":
        return fastmpr.psf.gaussian((13, 9, 9), sigma=(2.2, 1.4, 1.4))
    if name == "undersampled":
        return fastmpr.psf.gaussian((9, 5, 5), sigma=(0.8, 0.4, 0.4))
    if name == "confocal":
        return fastmpr.psf.born_wolf((31, 23, 23), **LENS, confocal=True, pinhole=1)
    return fastmpr.psf.born_wolf((41, 31, 31), **LENS)


def aberrated(waves: float) -> NDArray:
    """Return the widefield PSF with so many waves of primary spherical aberration."""
    like = optics("widefield")
    z, y, x = (np.arange(n) - n // 2 for n in like.shape)
    radius = VOXEL[1] * np.hypot(y[:, None], x)
    rho, weights = scipy.special.roots_legendre(160)
    rho, weights = (rho + 1) / 2, weights * (rho + 1)
    table = np.linspace(0, radius.max(), 400)
    rings = scipy.special.j0(2 * np.pi / LENS["wavelength"] * LENS["na"] * np.outer(table, rho))
    defocus = np.pi / LENS["wavelength"] * LENS["na"] ** 2 / LENS["refractive_index"] * VOXEL[0] * z[:, None] * rho**2
    phase = 2 * np.pi * waves * (6 * rho**4 - 6 * rho**2 + 1) - defocus
    planes = np.abs((weights * np.exp(1j * phase)) @ rings.T) ** 2
    out = np.stack([np.interp(radius, table, plane) for plane in planes])
    return (out / out.sum()).astype(np.float32)


def seen(name: str, seed: int, planes: int = SIZE[0], psf: NDArray | None = None) -> tuple[NDArray, NDArray]:
    """Return what an image of so many planes shows without noise, and what is there."""
    full = [n + 2 * margin for n, margin in zip(SIZE, MARGIN, strict=True)]
    scene = specimen(tuple(full), seed)
    blurred = np.maximum(scipy.signal.fftconvolve(scene, optics(name) if psf is None else psf, "same"), 0)
    first = (full[0] - planes) // 2
    inner = (slice(first, first + planes), *(slice(m, n - m) for m, n in zip(MARGIN[1:], full[1:], strict=True)))
    return blurred[inner], scene[inner]


def photographed(
    name: str, seed: int, photons: float, offset: float = OFFSET, read: float = READ, **options: Any
) -> Spoilt:
    """Return what a camera makes of it, with so many photons at the brightest voxel."""
    clear, truth = seen(name, seed, **options)
    scale, rng = photons / clear.max(), np.random.default_rng(seed)
    counts = rng.poisson(clear * scale) + offset + read * rng.standard_normal(clear.shape)
    return Spoilt(np.clip(np.rint(counts), 0, None).astype(np.uint16), optics(name), scale * truth, offset)


def filtered(name: str, seed: int, change: Callable[[NDArray], NDArray]) -> Spoilt:
    """Return an image that somebody has changed before."""
    spoilt = photographed(name, seed, 150)
    return spoilt._replace(image=change(spoilt.image.astype(np.float32)))


def resampled(name: str, seed: int) -> Spoilt:
    """Return an image whose noise alone has been blurred by 0.6 voxel."""
    spoilt, clear = photographed(name, seed, 150), seen(name, seed)[0]
    light = clear * (150 / clear.max()) + OFFSET
    return spoilt._replace(image=(light + ndimage.gaussian_filter(spoilt.image - light, 0.6)).astype(np.float32))


def deskewed(seed: int) -> Spoilt:
    """Return an image whose planes have been moved by parts of a voxel, by linear interpolation."""
    clear, truth = seen("confocal", seed)
    scale, rng = 150 / clear.max(), np.random.default_rng(seed)
    skew = [(0, 0.37 * z % 1) for z in range(len(clear))]
    there = np.stack([ndimage.shift(plane, s, mode="nearest") for plane, s in zip(clear, skew, strict=True)])
    counts = rng.poisson(np.maximum(there, 0) * scale) + OFFSET + READ * rng.standard_normal(clear.shape)
    back = [ndimage.shift(p, (0, -s), order=1, mode="nearest") for p, (_, s) in zip(counts, skew, strict=True)]
    return Spoilt(np.stack(back).astype(np.float32), optics("confocal"), scale * truth, OFFSET)


def clipped(seed: int, taken: float) -> Spoilt:
    """Return an image of which so much was taken off, and what lies below 0 clipped."""
    spoilt = photographed("confocal", seed, 100)
    return spoilt._replace(image=np.maximum(spoilt.image - np.float32(taken), 0), offset=0.0)


SITUATIONS: dict[str, Callable[[int], Spoilt]] = {
    "plain widefield": lambda seed: photographed("widefield", seed, 250),
    "plain confocal": lambda seed: photographed("confocal", seed, 150),
    "plain Gaussian": lambda seed: photographed("Gaussian", seed, 150),
    "undersampled": lambda seed: photographed("undersampled", seed, 150),
    "dim": lambda seed: photographed("confocal", seed, 15),
    "bright": lambda seed: photographed("confocal", seed, 5000),
    "planes, 3": lambda seed: photographed("widefield", seed, 300, planes=3),
    "planes, 5": lambda seed: photographed("widefield", seed, 300, planes=5),
    "planes, 9": lambda seed: photographed("widefield", seed, 300, planes=9),
    "counts, 2": lambda seed: photographed("confocal", seed, 2, offset=0, read=0),
    "counts, 20": lambda seed: photographed("confocal", seed, 20, offset=0, read=0),
    "counts, 400": lambda seed: photographed("confocal", seed, 400, offset=0, read=0),
    "clipped at its offset": lambda seed: clipped(seed, OFFSET),
    "clipped 4 above": lambda seed: clipped(seed, OFFSET + 4),
    "median": lambda seed: filtered("confocal", seed, lambda image: ndimage.median_filter(image, (1, 3, 3))),
    "averaged": lambda seed: filtered("widefield", seed, lambda image: ndimage.uniform_filter(image, (1, 2, 2))),
    "resampled confocal": lambda seed: resampled("confocal", seed),
    "resampled widefield": lambda seed: resampled("widefield", seed),
    "deskewed": deskewed,
    "aberrated, 1/4": lambda seed: photographed("widefield", seed, 150, psf=aberrated(0.25)),
    "aberrated, -1/4": lambda seed: photographed("widefield", seed, 150, psf=aberrated(-0.25)),
}


# ----------------------------------------------------------------------------------------------------
# Scores
# ----------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line of the table: what each reaches, in dB, and what `deconvolve` says of it."""

    image: float
    lucy: float
    best: float
    auto: float
    octave: int
    found: dict[str, Any]

    @property
    def held(self) -> bool:
        """Whether the automatic weight is no worse than is asked."""
        return self.auto >= max(min(self.lucy - 0.5, self.best - 0.3), self.image)


def compare(spoilt: Spoilt) -> Line:
    """Return how well all do."""
    image, psf, truth, offset = spoilt
    told: list[dict[str, Any]] = []
    auto = psnr(fastmpr.deconvolve(image, psf, workers=1, report=told.append), truth)
    scores = {0: auto}
    for k in OCTAVES:
        if k:
            scores[k] = psnr(fastmpr.deconvolve(image, psf, lam=told[0]["lam"] * 2.0**k, workers=1), truth)
    best = max(scores, key=lambda k: scores[k])
    net = image.astype(np.float64) - offset
    return Line(psnr(net, truth), best_lucy(net, psf, truth), scores[best], auto, best, told[0])


def best_lucy(net: NDArray, psf: NDArray, truth: NDArray) -> float:
    """Return the best score of scikit-image's Richardson-Lucy, at the stop that the truth tells."""
    scale, best, stop = net.max(), -np.inf, 0
    for n, x in enumerate(lucy(np.maximum(net / scale, 1e-6 / scale), psf), 1):
        if (found := psnr(scale * x, truth)) > best:
            best, stop = found, n
        if n > PATIENCE * stop + 10 or n >= MOST:
            break
    return float(best)


def table(names: list[str], seeds: list[int]) -> Iterator[str]:
    """Yield the lines of the table, and the sums."""
    yield "| image | seed | itself | Richardson-Lucy, best stop | best lam | auto | loss | best at | decided by | fit | |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---|---:|---|"
    losses, held = [], 0
    for name in names:
        for seed in seeds:
            line = compare(SITUATIONS[name](seed))
            losses.append(line.best - line.auto)
            held += line.held
            fit = "-" if line.found["fit"] is None else f"{line.found['fit']:.2f}"
            cells = [f"{value:.2f}" for value in line[:4]] + [f"{losses[-1]:.2f}", f"2^{line.octave}"]
            marks = [line.found["lam_from"], fit, "" if line.held else "**below**"]
            yield f"| {name} | {seed} | {' | '.join(cells + marks)} |"
    yield f"\nMean loss {np.mean(losses):.2f} dB, worst {max(losses):.2f}; as good as asked: {held} of {len(losses)}."


def main() -> None:
    """Print the table line by line, and write it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reports.lam_one_image", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of specimens and noise")
    parser.add_argument("--only", nargs="+", default=[""], help="images whose names begin so")
    arguments = parser.parse_args()
    names = [name for name in SITUATIONS if name.startswith(tuple(arguments.only))]
    lines = []
    for line in table(names, arguments.seeds):
        print(line, flush=True)
        lines.append(line)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
