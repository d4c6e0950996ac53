"""What is said of PSFs and of beads: false alarms among right ones, and what defects and neighbours cost.

    python -m benchmarks.reports.psfs [--count 100] [--seed 0]

Planes of any optics, noisy ones among them, are looked at as `fastmpr.deconvolve` looks at them. Beads in two and three
dimensions go to `fastmpr.psf.measured`, clean and with what spoils them; how far the PSF is off is told over its own size,
beside that of the same beads without. Prints a table; nothing is written.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import fastmpr
from fastmpr.psf.checks import check

OFFSET, READ = 100.0, 1.6  # counts
SHAPES = {2: (31, 31), 3: (31, 25, 25)}
LENSES = [(0.4, 1.0), (0.8, 1.33), (1.2, 1.33), (1.4, 1.515), (1.49, 1.515)]  # NA, refractive index
KINDS: list[dict[str, Any]] = [{}, {"confocal": True}, {"confocal": True, "pinhole": 1.0}]
NARROW = 0.75  # of the peak at the border: an array that is too small, which is said
WORSE = 0.06  # of the PSF's size


def said(function: Callable[[], Any]) -> tuple[Any, int]:
    """Return what a function returns, and how many warnings it gives."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        return function(), len(found)


def optics(rng: np.random.Generator, shape: tuple[int, ...], finest: float = 0.05) -> NDArray:
    """Return a PSF of Born and Wolf's, or a Gaussian."""
    na, index = LENSES[rng.integers(len(LENSES))]
    wavelength = rng.uniform(0.4, 0.8)
    pixel = wavelength / na * rng.uniform(finest, 0.25)
    if rng.random() < 0.3:
        return fastmpr.psf.gaussian(shape, sigma=rng.uniform(0.9, 2.2, len(shape)), dtype="f8")
    voxel = (2.5 * pixel, pixel, pixel)[-len(shape) :]
    lens = {"wavelength": wavelength, "na": na, "refractive_index": index, "dtype": "f8"}
    return fastmpr.psf.born_wolf(shape, voxel_size=voxel, **lens, **KINDS[rng.integers(len(KINDS))])


def at_border(psf: NDArray) -> float:
    """Return the brightest of a plane's border over its peak, as it is looked at: of odd sizes."""
    odd = psf[tuple(slice(1 - n % 2, None) for n in psf.shape)]
    return float(max(odd[0].max(), odd[-1].max(), odd[:, 0].max(), odd[:, -1].max()) / odd.max())


def planes(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Yield the false alarms among planes."""
    alarms, looked, noisy, small = 0, 0, [0, 0], 0
    for _ in range(count):
        psf = optics(rng, tuple(rng.integers(5, 66, 2)))
        _, told = said(lambda: check({"psf": psf[None]}))  # noqa: B023
        small += at_border(psf) > NARROW
        looked += at_border(psf) <= NARROW
        alarms += bool(told) and at_border(psf) <= NARROW
        if at_border(psf) < 0.3:
            peak = np.exp(rng.uniform(np.log(200), np.log(20000)))
            counts = rng.poisson(psf / psf.max() * peak) + READ * rng.standard_normal(psf.shape)
            _, told = said(lambda: check({"psf": counts[None]}))  # noqa: B023
            noisy[0] += 1
            noisy[1] += bool(told)
    yield f"| planes | {looked} | {alarms} false alarms; {small} more are too small, and told so |"
    yield f"| planes with noise | {noisy[0]} | {noisy[1]} false alarms |"


class Scene:
    """Beads of one PSF and brightness.

    Parameters
    ----------
    rng : Generator
    dimensions : {2, 3}
    """

    def __init__(self, rng: np.random.Generator, dimensions: int):
        self.rng, self.shape = rng, SHAPES[dimensions]
        self.psf = optics(rng, self.shape, finest=0.13)
        self.peak = np.exp(rng.uniform(np.log(200), np.log(10000)))

    def counts(self, light: NDArray) -> NDArray:
        """Return what a camera makes of light."""
        photons = self.rng.poisson(np.maximum(light, 0) / self.psf.max() * self.peak)
        noise = READ * self.rng.standard_normal(self.shape)
        return np.clip(np.rint(photons + OFFSET + noise), 0, 65535).astype(np.uint16)

    def bead(self, near: float = 0, far: float = 0) -> NDArray:
        """Return a bead between the voxels, and another one from ``near`` to ``far`` pixels beside it if that is not 0."""
        place = self.rng.uniform(-0.5, 0.5, len(self.shape))
        light = ndimage.shift(self.psf, place, order=3)
        if far:
            aside = self.rng.standard_normal(2)
            aside *= self.rng.uniform(near, far) / np.linalg.norm(aside)
            other = [*self.rng.uniform(-3, 3, len(self.shape) - 2), *aside]
            light = light + self.rng.uniform(0.5, 0.9) * ndimage.shift(self.psf, place + other, order=3)
        return self.counts(light)

    def hot(self) -> NDArray:
        """Return a bead with a hot voxel, and a line of the camera's."""
        bead = self.bead()
        bead[tuple(self.rng.integers(0, n) for n in self.shape)] = 65535
        bead[..., self.rng.choice([1, 4, -5])] += np.uint16(0.3 * self.peak)
        return bead

    def off(self, stack: Any) -> tuple[float, int]:
        """Return how far the PSF that is made of beads is off, and how many warnings come."""
        found, told = said(lambda: fastmpr.psf.measured(stack))
        _, again = said(lambda: check({"psf": found.reshape(-1, *found.shape[-2:])}))
        return float(np.linalg.norm(found - self.psf) / np.linalg.norm(self.psf)), told + 100 * again


SPOILT: dict[str, Callable[[Scene, list[NDArray]], Any]] = {
    "six beads": lambda scene, good: good,
    "a hot voxel and a bright line": lambda scene, good: scene.hot(),
    "a bead with a neighbour": lambda scene, good: scene.bead(6, 10),
    "six, each with a neighbour": lambda scene, good: [scene.bead(6, 10) for _ in good],
    "six, one two beads in one": lambda scene, good: [*good[1:], scene.bead(2.5, 4)],
    "six, two of them two beads in one": lambda scene, good: [*good[2:], scene.bead(2.5, 4), scene.bead(2.5, 4)],
    "six, one of them empty": lambda scene, good: [*good[1:], scene.counts(0 * scene.psf)],
}


def beads(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Yield how far PSFs of spoilt beads are off."""
    for dimensions in SHAPES:
        scenes = [(scene, [scene.bead() for _ in range(6)]) for scene in (Scene(rng, dimensions) for _ in range(count))]
        for name, spoil in SPOILT.items():
            stacks = [spoil(scene, good) for scene, good in scenes]
            clean = [
                scene.off(good if isinstance(stack, list) else good[0])[0]
                for (scene, good), stack in zip(scenes, stacks, strict=True)
            ]
            found, told = zip(
                *(scene.off(stack) for (scene, _), stack in zip(scenes, stacks, strict=True)), strict=True
            )
            worse = int((np.subtract(found, clean) > WORSE).sum())
            yield (
                f"| {dimensions}-D: {name} | {count} | off by {np.median(found):.1%} (clean {np.median(clean):.1%}), "
                f"{worse} worse by {WORSE:.0%}; told {sum(n % 100 > 0 for n in told)}, "
                f"and where it is used {sum(n >= 100 for n in told)} |"
            )


def main() -> None:
    """Print the table line by line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.psfs", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="of scenes; twenty times as many planes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    print("| what | of | found |\n|---|---|---|")
    for line in planes(rng, 20 * arguments.count):
        print(line, flush=True)
    for line in beads(rng, arguments.count):
        print(line, flush=True)


if __name__ == "__main__":
    main()
