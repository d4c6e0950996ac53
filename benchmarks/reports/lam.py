"""What the automatic lam of views loses to the best one, by the truth.

    python -m benchmarks.reports.lam [SEED ...]

Simulated views of phantoms (and of the ribosome, with ``FASTMPR_DATA`` set to the folder of shared data): 1 to 100 of them,
noise from 0.01 to 0.3 of their brightest voxel, a quarter of them counts of photons, a long, a round and a widefield PSF, on
a background. Then what real data do: noise that was resampled, a PSF 10 % too wide, poses off by 2 degrees, photons alone,
other regularisers, weights and symmetry. The best lam is sought by factors of 2.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.metrics import psnr

DATA = os.environ.get("FASTMPR_DATA")
VIEWS = (1, 2, 3, 4, 6, 10, 30, 100)
NOISE = (0.01, 0.03, 0.1, 0.3)
BACKGROUND = 0.1
LONG = fastmpr.psf.gaussian((21, 9, 9), sigma=(3, 1, 1))
PSFS = {
    "long": LONG,
    "round": fastmpr.psf.gaussian((9, 9, 9), sigma=(1.3, 1.3, 1.3)),
    "widefield": fastmpr.psf.born_wolf((25, 21, 21), voxel_size=0.1, wavelength=0.52, na=1.2, refractive_index=1.33),
}
WIDER = fastmpr.psf.gaussian((21, 9, 9), sigma=(3.3, 1.1, 1.1))


class Problem(NamedTuple):
    """Views, and what they show."""

    kind: str
    data: fastmpr.Dataset
    truth: NDArray
    options: dict


def particle(name: str, n: int) -> NDArray:
    """Return a particle of n^3 voxels."""
    if name != "ribosome":
        return getattr(fastmpr.phantom, name)(n)
    whole = np.maximum(fastmpr.io.read(Path(str(DATA)) / "ribosome" / "4v7r.mrc", 1.0)[0], 0)
    small = ndimage.zoom(ndimage.gaussian_filter(whole, 1.5), 0.75 * n / len(whole), order=3)
    room = n - len(small)
    padded = np.pad(np.maximum(small, 0), (room // 2, room - room // 2))
    return (padded / padded.max()).astype(np.float32)


def noisy(clean: NDArray, noise: float, rng: np.random.Generator, photons: bool) -> NDArray:
    """Return views with noise, a share of their brightest voxel, on a background."""
    peak = float(clean.max())
    if not photons:
        return (clean + BACKGROUND + noise * peak * rng.standard_normal(clean.shape)).astype(np.float32)
    unit = 1 / (noise**2 * peak)
    return (rng.poisson((np.maximum(clean, 0) + BACKGROUND * peak) * unit) / unit).astype(np.float32)


def usual(seed: int) -> Iterator[Problem]:
    """Yield a problem for each number of views and noise."""
    names = ("centriole", "nuclear_pore", *(("ribosome",) if DATA else ()))
    for (a, count), (b, noise) in itertools.product(enumerate(VIEWS), enumerate(NOISE)):
        name, kind = names[(a + b + seed) % len(names)], list(PSFS)[(a + 2 * b + seed) % 3]
        rng = np.random.default_rng(1000 * seed + 10 * a + b)
        truth, poses = particle(name, 24 + 4 * ((a + b) % 3)), fastmpr.Poses.random(count, max_translation=1.0, rng=rng)
        views = noisy(fastmpr.simulate(truth, PSFS[kind], poses), noise, rng, (a + b) % 4 == 3)
        group = "1, 2" if count < 3 else "3 to 5" if count < 6 else "6 and more"
        yield Problem(f"{group} views, {kind}", fastmpr.Dataset(views, PSFS[kind], poses), truth, {})


def real(seed: int) -> Iterator[Problem]:
    """Yield problems of the kinds that real data are."""
    for name, count, noise in itertools.product(("centriole", "nuclear_pore"), (2, 4, 6, 12), (0.03, 0.1)):
        rng = np.random.default_rng(seed + count)
        truth, poses = particle(name, 28), fastmpr.Poses.random(count, max_translation=1.0, rng=rng)
        clean = fastmpr.simulate(truth, LONG, poses)
        plain = noisy(clean, noise, rng, False)
        spread = (0, 0.6, 0.6, 0.6)
        resampled = clean + ndimage.gaussian_filter(plain - clean, spread)
        photons = rng.poisson(np.maximum(clean, 0) / (noise**2 * clean.max())) * (noise**2 * clean.max())
        turned = Rotation.from_rotvec(np.radians(2) / math.sqrt(3) * rng.standard_normal((count, 3)))
        data = fastmpr.Dataset(plain, LONG, poses)
        yield Problem("plain", data, truth, {})
        yield Problem("noise resampled", data.replace(particles=resampled), truth, {})
        yield Problem("PSF 10 % too wide", data.replace(psf=WIDER), truth, {})
        off = fastmpr.Poses(turned * poses.rotation, poses.translation)
        yield Problem("poses off by 2 degrees", data.replace(poses=off), truth, {})
        yield Problem("photons alone", data.replace(particles=photons.astype(np.float32)), truth, {})
        yield Problem("tv", data, truth, {"regularizer": "tv"})
        yield Problem("weights 1 and 10", data.replace(weights=np.where(np.arange(count) % 2, 10.0, 1.0)), truth, {})
        if name == "centriole":
            yield Problem("C9", data.replace(symmetry="C9"), truth, {})


def loss(problem: Problem) -> float:
    """Return what the automatic lam loses, in dB."""

    def quality(lam: float | str) -> float:
        return psnr(fastmpr.reconstruct(problem.data, lam=lam, **problem.options).x, problem.truth)

    chosen = fastmpr.reconstruct(problem.data, **problem.options)
    found = {k: quality(chosen.lam * 2.0**k) for k in (-1, 0, 1)}
    while (best := max(found, key=lambda k: found[k])) in (min(found), max(found)):
        k = best - 1 if best == min(found) else best + 1
        found[k] = quality(chosen.lam * 2.0**k)
    return max(found[best] - psnr(chosen.x, problem.truth), 0.0)


def main() -> None:
    """Measure all and print the table."""
    seeds, rows = [int(seed) for seed in sys.argv[1:]] or [0], defaultdict(list)
    for problem in itertools.chain.from_iterable((*usual(seed), *real(seed)) for seed in seeds):
        rows[problem.kind].append(loss(problem))
    print("| problems | how many | lost in the mean, dB | at worst |")
    print("|---|---:|---:|---:|")
    for kind, lost in rows.items():
        print(f"| {kind} | {len(lost)} | {np.mean(lost):.2f} | {max(lost):.2f} |")


if __name__ == "__main__":
    main()
