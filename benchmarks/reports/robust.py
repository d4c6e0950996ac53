"""What wrong views cost, with and without ``weights="robust"``, and which of them are named.

    python -m benchmarks.reports.robust [--runs 10] [--only wrong hard right]

100 simulated views of 24 x 48 x 48 voxels, of the centriole and of the nuclear pore in turn, with noise of 0.1 (standard
deviation over the brightest voxel of the noise-free views), automatic lam. ``wrong``: 10 % of the views are noise alone, in
random poses, shifted by 4 voxels, of another particle, or 4 times as noisy; the same with brightness that varies by a
factor of 3, and ``gain="fit"``. ``hard``: fewer views, more noise, more wrong ones, crops. ``right``: nothing is wrong,
or what any set may have, so nothing is to be gained. ``lost`` is against the reconstruction of the good views alone, in dB,
the mean over the runs: by equal weights, by robust ones. ``named`` are the wrong views and the good ones that are named.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.metrics import psnr

SHAPE = (24, 48, 48)
PSF = fastmpr.psf.gaussian((21, 13, 13), sigma=(3, 1.2, 1.2))
PARTICLES = ("centriole", "nuclear_pore")
SHIFT, OFFSET = 4, 0.2
NOISY = 4
TOLD = 0.01  # below 1: a weight that a view was named for


class Case(NamedTuple):
    """A kind of sets."""

    kind: str
    count: int = 100
    noise: float = 0.1
    share: float = 0.1
    brightness: float = 1.0
    crops: bool = False
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        parts = [self.kind, f"{self.count} views", f"noise {self.noise}", f"{100 * self.share:.0f} % wrong"]
        parts += [f"brightness x {self.brightness:g}"] * (self.brightness != 1) + ["crops"] * self.crops
        return ", ".join(parts + [f"{name}={value!r}" for name, value in self.options.items()])


class Row(NamedTuple):
    """What a set told: dB lost with equal and with robust weights; wrong and good views, and how many were named."""

    equal: float
    robust: float
    wrong: int
    found: int
    good: int
    blamed: int


KINDS = ("noise", "random pose", "shifted", "other particle", "noisy")
FITTED = {"brightness": 3.0, "options": {"gain": "fit"}}
CASES = {
    "wrong": [
        *(Case(kind) for kind in KINDS),
        *(Case(kind, brightness=3.0) for kind in KINDS[:2]),
        *(Case(kind, **FITTED) for kind in KINDS),
    ],
    "hard": [
        case
        for kind in KINDS[:2]
        for case in (
            Case(kind, count=20),
            Case(kind, noise=0.05),
            Case(kind, noise=0.2),
            Case(kind, noise=0.4),
            Case(kind, share=0.2),
            Case(kind, share=0.3),
            Case(kind, share=0.4),
            Case(kind, crops=True),
        )
    ],
    "right": [
        *(Case("right", count=count, noise=noise, share=0) for count in (20, 100) for noise in (0.02, 0.1, 0.4)),
        Case("right", share=0, brightness=3.0),
        Case("right", share=0, **FITTED),
        Case("right", share=0, crops=True),
        Case("2 degrees off", share=0),
        Case("5 degrees off", share=0),
        Case("5 degrees off", share=0, noise=0.02),
        Case("photons", share=0),
        Case("PSF too wide", share=0),
    ],
}


def made(case: Case, run: int) -> tuple[NDArray, fastmpr.Dataset, NDArray]:
    """Return the truth, the views, and which are wrong."""
    rng, n = np.random.default_rng(1000 + run), case.count
    truth, other = (getattr(fastmpr.phantom, PARTICLES[(run + k) % 2])(SHAPE) for k in (0, 1))
    poses = fastmpr.Poses.random(n, max_translation=1.5, rng=rng)
    clean = fastmpr.simulate(truth, PSF, poses)
    peak = float(clean.max())
    wrong = np.sort(rng.choice(n, round(case.share * n), replace=False))
    spread = np.full(n, case.noise * peak)
    if case.kind == "noise":
        clean[wrong] = 0
    elif case.kind == "random pose":
        away = fastmpr.Poses.random(n, max_translation=1.5, rng=rng)
        clean[wrong] = fastmpr.simulate(truth, PSF, away[wrong])
    elif case.kind == "shifted":
        step = rng.standard_normal((len(wrong), 3))
        step *= SHIFT / np.linalg.norm(step, axis=1, keepdims=True)
        clean[wrong] = fastmpr.simulate(
            truth, PSF, fastmpr.Poses(poses.rotation[wrong], poses.translation[wrong] + step)
        )
    elif case.kind == "other particle":
        strange = fastmpr.simulate(other, PSF, poses[wrong])
        clean[wrong] = strange * (peak / strange.max())
    elif case.kind == "noisy":
        spread[wrong] *= NOISY
    elif "degrees" in case.kind:
        angle = np.radians(float(case.kind.split()[0]) / 3**0.5)
        poses = fastmpr.Poses(
            Rotation.from_rotvec(angle * rng.standard_normal((n, 3))) * poses.rotation, poses.translation
        )
    gain = case.brightness ** rng.uniform(-0.5, 0.5, n)
    views = gain[:, None, None, None] * (clean + OFFSET * peak)
    if case.kind == "photons":  # as noisy at the peak as the others
        views = rng.poisson(views.clip(0) / (peak * case.noise**2)) * (peak * case.noise**2)
    else:
        views = views + spread[:, None, None, None] * rng.standard_normal(views.shape)
    if case.crops:
        for view, (low, high) in zip(views, rng.integers(0, 8, (n, 2)), strict=True):
            view[:, :low], view[:, view.shape[1] - high :] = np.nan, np.nan
    psf = fastmpr.psf.gaussian(PSF.shape, sigma=(3.3, 1.32, 1.32)) if case.kind == "PSF too wide" else PSF
    data = fastmpr.Dataset(views.astype(np.float32), psf, poses, **case.options)
    return truth, data, np.isin(np.arange(n), wrong)


def told(case: Case, run: int) -> Row:
    """Return what a set tells."""
    truth, data, wrong = made(case, run)
    equal, robust = (fastmpr.reconstruct(data.replace(weights=weights)) for weights in (None, "robust"))
    good = fastmpr.reconstruct(data[~wrong]) if wrong.any() else equal
    assert robust.weights is not None
    named = robust.weights < 1 - TOLD
    if data.fits_gain:  # which lowers the weights of dim views too
        named = robust.weights == 0
    best, *rest = (psnr(fitted(one.x, truth), truth) for one in (good, equal, robust))
    counts = (int(part.sum()) for part in (wrong, named & wrong, ~wrong, named & ~wrong))
    return Row(best - rest[0], best - rest[1], *counts)


def fitted(x: NDArray, truth: NDArray) -> NDArray:
    """Return a volume in the brightness of the truth, which views do not tell."""
    return x * (float((x * truth).sum()) / float(np.square(x).sum()))


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for part in args.only:
        print(
            f"\n| {part} | lost, dB | lost, robust | most lost, robust | wrong ones named | good ones named |",
            flush=True,
        )
        print("|---|---:|---:|---:|---:|---:|")
        for case in CASES[part]:
            rows = [told(case, run) for run in range(args.runs)]
            equal, robust = (float(np.mean([getattr(row, name) for row in rows])) for name in ("equal", "robust"))
            worst, (wrong, found, good, blamed) = (
                max(row.robust for row in rows),
                np.sum([row[2:] for row in rows], axis=0),
            )
            shares = f"{found} of {wrong} | {100 * blamed / good:.1f} %"
            print(f"| {case} | {equal:.2f} | {robust:.2f} | {worst:.2f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
