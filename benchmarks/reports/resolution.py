"""The resolution told without the truth, beside where the correlation with the truth falls below 0.5.

    python -m benchmarks.reports.resolution [told | held-out | wrong | crops | symmetric] [--workers N]

`told`: 40 sets like those on which the constants of `fastmpr.resolution.told` were chosen: both phantoms, the centriole and
the ribosome of the shared data, blobs; 6 to 100 views; noise 0.03 to 0.2 of the brightest voxel; Gaussian PSFs and a
widefield one; a fifth of the sets in preferred directions. `held-out`: 20 sets of other structures and other draws, run once
when the constants were fixed. `wrong`: assumptions that do not hold: photon noise, noise blurred by 0.6 voxel, a PSF that is
10 % too wide, poses off by 2 degrees and 0.3 voxel, lam ten times too large or small. `crops`: views that saw a part.
`symmetric`: C9. A ratio is the told frequency over the true one: above 1 is told too good.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr

DATA = Path(os.environ.get("FASTMPR_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
PSFS: dict[str, Callable[[], NDArray]] = {
    "Gaussian, 3 times longer": lambda: fastmpr.psf.gaussian((25, 13, 13), sigma=(4, 1.3, 1.3)),
    "Gaussian, 1.5 times": lambda: fastmpr.psf.gaussian((17, 13, 13), sigma=(2.4, 1.6, 1.6)),
    "widefield": lambda: fastmpr.psf.born_wolf(
        (31, 21, 21), na=1.3, wavelength=0.52, refractive_index=1.515, voxel_size=0.1
    ),
}
TOLD = ("centriole", "pore", "centriole of the data", "ribosome of the data", "blobs 1", "blobs 2", "centriole", "pore")
OTHERS = ("chain 1", "blobs 11", "chain 2", "pore", "blobs 12", "ribosome of the data", "chain 3", "centriole")


@dataclass(frozen=True)
class Case:
    """A simulated set: ``within`` is the angle about z that holds all optical axes, None for all directions."""

    structure: str
    size: int
    views: int
    noise: float
    psf: str
    within: float | None
    seed: int

    def truth(self) -> NDArray:
        """Return the volume."""
        return structure(self.structure, self.size)

    def poses(self) -> fastmpr.Poses:
        """Return the poses."""
        rng = np.random.default_rng(self.seed)
        shifts = rng.uniform(-1, 1, (self.views, 3))
        if self.within is None:
            return fastmpr.Poses(Rotation.random(self.views, rng=rng), shifts)
        turn, tilt = rng.uniform(0, 2 * np.pi, (2, self.views))
        tilt = np.radians(self.within) * np.sqrt(tilt / (2 * np.pi))
        across = np.column_stack([np.zeros(self.views), np.cos(turn), np.sin(turn)])
        spin = Rotation.from_rotvec(rng.uniform(0, 2 * np.pi, (self.views, 1)) * [1, 0, 0])
        return fastmpr.Poses(Rotation.from_rotvec(tilt[:, None] * across) * spin, shifts)

    def clean(self) -> NDArray:
        """Return the views without noise."""
        return fastmpr.simulate(self.truth(), PSFS[self.psf](), self.poses())

    def noisy(self, views: NDArray) -> NDArray:
        """Return views with white noise."""
        noise = np.random.default_rng(self.seed + 1).standard_normal(views.shape, np.float32)
        return views + np.float32(self.noise * views.max()) * noise


def structure(name: str, n: int) -> NDArray:
    """Return a volume by its name, of side ``n`` unless it is one of the data's."""
    kind, _, number = name.partition(" ")
    if name.endswith("of the data"):
        return of_the_data(kind)
    if kind in ("centriole", "pore"):
        return {"centriole": fastmpr.phantom.centriole, "pore": fastmpr.phantom.nuclear_pore}[kind]((n, n, n))
    rng, middle = np.random.default_rng(int(number)), (n - 1) / 2
    place = np.moveaxis(np.indices((n, n, n)), 0, -1)
    if kind == "blobs":
        spots, widths = middle + rng.normal(0, n / 9, (40, 3)), rng.uniform(0.7, 2.5, 40)
    else:  # a chain: small spots along a random walk
        spots = np.cumsum(rng.normal(0, 1, (60, 3)), axis=0)
        spots = middle + (spots - spots.mean(axis=0)) * (0.28 * n / np.abs(spots - spots.mean(axis=0)).max())
        widths = np.full(60, 0.9)
    x = sum(
        rng.uniform(0.3, 1) * np.exp(-np.square(place - spot).sum(axis=-1) / (2 * width**2))
        for spot, width in zip(spots, widths, strict=True)
    )
    return (x / np.max(x)).astype(np.float32)


def of_the_data(kind: str) -> NDArray:
    """Return a volume of the shared data: the centriole as it is, 50^3, the ribosome binned by two, 48^3."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA}: found no such folder, need the shared data (FASTMPR_DATA)")
    if kind == "centriole":
        x = fastmpr.io.read(DATA / "centriole-translations" / "gt.tiff")[0]
    else:
        x = fastmpr.io.read(DATA / "ribosome" / "4v7r.mrc")[0].reshape(48, 2, 48, 2, 48, 2).mean(axis=(1, 3, 5))
    return (np.maximum(x, 0) / x.max()).astype(np.float32)


def cases(count: int, structures: tuple[str, ...], seed: int) -> list[Case]:
    """Return sets whose settings are drawn."""
    rng = np.random.default_rng(seed)
    return [
        Case(
            structures[i % len(structures)],
            int(rng.choice([32, 36, 40])),
            int(rng.choice([6, 10, 30, 100])),
            float(rng.choice([0.03, 0.05, 0.1, 0.2])),
            str(rng.choice(list(PSFS))),
            float(rng.choice([20, 30, 40])) if i % 5 == 4 else None,
            1000 * seed + i,
        )
        for i in range(count)
    ]


def plain(case: Case) -> tuple[fastmpr.Dataset, dict]:
    """Return the views, as supposed."""
    return fastmpr.Dataset(case.noisy(case.clean()), PSFS[case.psf](), case.poses()), {}


def photons(case: Case) -> tuple[fastmpr.Dataset, dict]:
    """Return views with Poisson noise, and a background."""
    clean, rng = case.clean(), np.random.default_rng(case.seed)
    scale = 1 / (case.noise**2 * clean.max())
    views = rng.poisson(np.maximum(clean, 0) * scale + 0.02 / case.noise**2) / np.float32(scale)
    return fastmpr.Dataset(views.astype(np.float32), PSFS[case.psf](), case.poses()), {}


def blurred(case: Case) -> tuple[fastmpr.Dataset, dict]:
    """Return views whose noise was blurred."""
    clean = case.clean()
    noise = np.random.default_rng(case.seed).standard_normal(clean.shape)
    noise = ndimage.gaussian_filter(noise, (0, 0.6, 0.6, 0.6))
    views = clean + case.noise * clean.max() * noise / noise.std()
    return fastmpr.Dataset(views.astype(np.float32), PSFS[case.psf](), case.poses()), {}


def wide(case: Case) -> tuple[fastmpr.Dataset, dict]:
    """Return views with a PSF that is too wide."""
    data, _ = plain(case)
    return data.replace(voxel_size=1.0, psf_voxel_size=1.1), {}


def moved(case: Case) -> tuple[fastmpr.Dataset, dict]:
    """Return views with poses that are off."""
    data, _ = plain(case)
    rng = np.random.default_rng(case.seed + 2)
    off = Rotation.from_rotvec(np.radians(2) / np.sqrt(3) * rng.standard_normal((len(data), 3)))
    shifts = data.poses.translation + 0.3 / np.sqrt(3) * rng.standard_normal((len(data), 3))
    return data.replace(poses=fastmpr.Poses(off * data.poses.rotation, shifts)), {}


def scaled(factor: float) -> Callable[[Case], tuple[fastmpr.Dataset, dict]]:
    """Return a way to make views with lam off by a factor."""

    def make(case: Case) -> tuple[fastmpr.Dataset, dict]:
        data, _ = plain(case)
        return data, {"lam": factor * fastmpr.reconstruct(data, check=False).lam}

    return make


def cropped(case: Case) -> tuple[fastmpr.Dataset, dict]:
    """Return crops of two thirds of each side, at random places."""
    views, rng = case.noisy(case.clean()), np.random.default_rng(case.seed)
    for view in views:
        kept = np.zeros(view.shape, bool)
        kept[tuple(slice(at, at + 2 * n // 3) for n, at in ((n, rng.integers(0, n // 3 + 1)) for n in view.shape))] = (
            True
        )
        view[~kept] = np.nan
    return fastmpr.Dataset(views, PSFS[case.psf](), case.poses()), {}


def ninefold(case: Case) -> tuple[fastmpr.Dataset, dict]:
    """Return views of a nine-fold particle, and say so."""
    data, _ = plain(case)
    return data.replace(symmetry="C9"), {}


WRONG = {
    "photon noise": photons,
    "blurred noise": blurred,
    "PSF 10 % too wide": wide,
    "poses off": moved,
    "lam x 10": scaled(10),
    "lam / 10": scaled(0.1),
}


def ratios(name: str, sets: list[Case], make: Callable, workers: int | None) -> Iterator[float]:
    """Yield the told frequency over the true one; print a line for each set."""
    for case in sets:
        data, options = make(case)
        result = fastmpr.reconstruct(data, check=False, assess=True, workers=workers, **options)
        curve = fastmpr.fsc(result.x, case.truth())
        true = curve.crossing(0.5) or curve.frequency[-1]
        toward = "all" if case.within is None else f"{case.within:.0f}"
        print(
            f"| {name} | {case.structure} | {case.views} | {case.noise} | {case.psf} | {toward} | {1 / true:.2f} | "
            f"{result.resolution:.2f} | {1 / (result.resolution * true):.2f} |",
            flush=True,
        )
        yield 1 / (result.resolution * true)


def summary(name: str, found: list[float]) -> str:
    """Return what is asked of the ratios."""
    told = np.array(found)
    return (
        f"{name}: {len(told)} sets, {np.mean((told > 0.8) & (told < 1.2)):.1%} within 20 %, "
        f"{np.sum(told > 1.05)} more than 5 % too good, {np.sum(told > 1.15)} more than 15 %; "
        f"median {np.median(told):.2f}, {told.min():.2f} to {told.max():.2f}"
    )


def main() -> None:
    """Measure what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("told", "held-out", "wrong", "crops", "symmetric")
    parser.add_argument("part", nargs="?", choices=parts, default="told")
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)
    print("| | structure | views | noise | PSF | within degrees | true period | told | told frequency / true |")
    print("|---" * 9 + "|", flush=True)
    plans: dict[str, dict[str, tuple[list[Case], Callable]]] = {
        "told": {"told": (cases(40, TOLD, 21), plain)},
        "held-out": {"held out": (cases(20, OTHERS, 22), plain)},
        "wrong": {name: (cases(8, TOLD, 23 + k), make) for k, (name, make) in enumerate(WRONG.items())},
        "crops": {"crops": (cases(8, TOLD[:2] + TOLD[4:], 31), cropped)},
        "symmetric": {"C9": (cases(8, ("centriole",), 32), ninefold)},
    }
    lines = [summary(name, list(ratios(name, *plan, args.workers))) for name, plan in plans[args.part].items()]
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
