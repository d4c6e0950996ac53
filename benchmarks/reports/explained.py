"""Whether a volume is said to explain its views where it does, and not where it does not.

    python -m benchmarks.reports.explained [--seeds 0 1] [--views 16] [--only right slight wrong single hard few]

Simulated views of 28 x 28 x 28 voxels with an offset, automatic lam. ``right`` sets have nothing wrong with them, ``slight``
ones what any set may have (poses 2 degrees off, translations 0.1 voxel, a PSF 10 % off), ``wrong`` ones a usual mistake, of
which those count that cost more than 1 dB; in ``single`` ones, of 40 views, one is unlike the others; ``hard`` ones are told
for the figure; ``few`` are right, of 1 to 7 views. Noise is a share of the brightest voxel of the noise-free views. Printed
are how many of the sets were warned of, and fit, PSNR and warning of those where that was not as it should be. With
``FASTMPR_DATA`` set to the folder of shared data, its ribosome is the fourth particle.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.metrics import psnr

DATA = os.environ.get("FASTMPR_DATA")
SIZE, OFFSET = 28, 0.2
PSF = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
COST = 1.0  # dB, from which a mistake must be told
NOISE = (0.03, 0.2)
KINDS = ("right", "slight", "wrong", "single", "hard", "few")


class Set(NamedTuple):
    """Views as somebody gives them, and the truth."""

    label: str
    views: NDArray
    poses: fastmpr.Poses
    truth: NDArray
    psf: NDArray = PSF
    options: dict[str, Any] = {}


class Told(NamedTuple):
    """What came of a set."""

    fit: float
    quality: float
    word: str


class Maker:
    """Makes sets of one particle."""

    def __init__(self, truth: NDArray, count: int, seed: int):
        self.truth, self.count, self.rng = truth, count, np.random.default_rng(seed)
        self.poses = fastmpr.Poses.random(count, max_translation=1.5, rng=seed)
        self.clean = fastmpr.simulate(truth, PSF, self.poses)
        self.peak = float(self.clean.max())

    def noisy(self, clean: NDArray, noise: float) -> NDArray:
        """Return views with noise and an offset."""
        grain = self.rng.standard_normal(clean.shape, np.float32)
        return clean + np.float32(noise * self.peak) * grain + np.float32(OFFSET)

    def of(self, label: str, views: NDArray, poses: fastmpr.Poses | None = None, **changes: Any) -> Set:
        """Return a set of this particle."""
        return Set(label, views, poses or self.poses, **{"truth": self.truth, **changes})

    def right(self) -> Iterator[Set]:
        """Yield sets with nothing wrong."""
        for noise in (0, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0):
            yield self.of(f"white {noise}", self.noisy(self.clean, noise))
        for peak in (10, 100):
            light = self.clean.clip(0) / self.peak + 0.1
            yield self.of(f"{peak} photons", self.rng.poisson(peak * light).astype(np.float32))
        for noise in NOISE:
            views = self.noisy(self.clean, noise)
            gain = 1.5 ** self.rng.uniform(-1, 1, (self.count, 1, 1, 1)).astype(np.float32)
            yield self.of(f"gains fitted {noise}", views * gain, options={"gain": "fit"})
            yield self.of(f"crops {noise}", self._cropped(views))
            away = self.rng.uniform(-0.5, 0.5, (self.count, 3))
            moved = np.stack([scipy.ndimage.shift(*one, mode="nearest") for one in zip(views, away, strict=True)])
            poses = fastmpr.Poses(self.poses.rotation, self.poses.translation + away)
            yield self.of(f"interpolated {noise}", moved, poses)
            ring = np.mean([_spun(self.truth, 40 * k) for k in range(9)], axis=0, dtype=np.float32)
            seen = self.noisy(fastmpr.simulate(ring, PSF, self.poses), noise)
            yield self.of(f"symmetric {noise}", seen, truth=ring, options={"symmetry": "C9"})
        aligned = self.noisy(fastmpr.simulate(self.truth, PSF, self.poses, frame="model"), 0.1) - np.float32(OFFSET)
        yield self.of("aligned 0.1", aligned, options={"frame": "model"})

    def slight(self) -> Iterator[Set]:
        """Yield sets as good as those of any microscope."""
        for noise in (0.01, *NOISE):
            views, rotation = self.noisy(self.clean, noise), self.poses.rotation
            for factor in (0.9, 1.1):
                yield self.of(f"PSF x {factor} {noise}", views, psf=_wide(factor))
            tilt = Rotation.from_rotvec(np.radians(2 / 3**0.5) * self.rng.standard_normal((self.count, 3)))
            yield self.of(f"2 degrees {noise}", views, fastmpr.Poses(tilt * rotation, self.poses.translation))
            away = 0.1 * self.rng.standard_normal((self.count, 3))
            yield self.of(f"t off 0.1 {noise}", views, fastmpr.Poses(rotation, self.poses.translation + away))

    def wrong(self) -> Iterator[Set]:
        """Yield sets with a mistake; the first is right, for comparison."""
        for noise in NOISE:
            views = self.noisy(self.clean, noise)
            yield self.of(f"right {noise}", views)
            for label, poses in self._misread():
                yield self.of(f"{label} {noise}", views, poses)
            for label, changed in self._mistaken(views):
                yield self.of(f"{label} {noise}", changed)
            for label, psf in self._other_psfs():
                yield self.of(f"{label} {noise}", views, psf=psf)
            centred = self.noisy(fastmpr.simulate(self.truth, PSF, fastmpr.Poses(self.poses.rotation)), noise)
            yield self.of(f"centred, but t given {noise}", centred)

    def _misread(self) -> Iterator[tuple[str, fastmpr.Poses]]:
        """Yield poses as they are misread."""
        r, t, half = self.poses.rotation, np.array(self.poses.translation), self.count // 2
        angles, order = r.as_euler("XZX", degrees=True), np.arange(self.count)
        yield "inverted", fastmpr.Poses(r.inv(), t)
        yield "inverted, t along", fastmpr.Poses(r.inv(), -r.inv().apply(t))
        yield "t sign", fastmpr.Poses(r, -t)
        yield "t in x, y, z", fastmpr.Poses(r, t[:, ::-1])
        yield "t left out", fastmpr.Poses(r)
        yield "t twice", fastmpr.Poses(r, 2 * t)
        yield "t before the turn", fastmpr.Poses(r, r.inv().apply(t))
        for axes in ("ZXZ", "ZYZ", "xzx", "zyz"):
            yield f"angles as {axes}", fastmpr.Poses(Rotation.from_euler(axes, angles, degrees=True), t)
        yield "angles negated", fastmpr.Poses(Rotation.from_euler("XZX", -angles, degrees=True), t)
        yield "radians", fastmpr.Poses(Rotation.from_euler("XZX", np.radians(angles), degrees=True), t)
        yield "axes reversed", fastmpr.Poses(Rotation.from_matrix(r.as_matrix()[:, ::-1, ::-1]), t[:, ::-1])
        yield "half inverted", fastmpr.Poses(Rotation.concatenate([r[:half], r[half:].inv()]), t)
        yield "all the first", fastmpr.Poses(Rotation.concatenate([r[:1]] * self.count), t)
        yield "rows moved", self.poses[np.roll(order, 1)]
        yield "rows reversed", self.poses[order[::-1]]
        yield "stage turned", fastmpr.Poses(Rotation.from_euler("Y", 30, degrees=True) * r, t)
        corner = np.full(3, 0.5)
        yield "centre n // 2", fastmpr.Poses(r, t + corner - r.apply(corner))

    def _mistaken(self, views: NDArray) -> Iterator[tuple[str, NDArray]]:
        """Yield views that something happened to."""
        half, ramp = self.count // 2, np.linspace(-0.15, 0.15, SIZE, dtype=np.float32)[: views.shape[3]]
        for axis, name in enumerate("zyx", 1):
            yield f"mirrored along {name}", np.flip(views, axis)
        yield "half mirrored", np.concatenate([views[:half], views[half:, ::-1]])
        yield "contrast", views.max() - views
        yield "half contrast", np.concatenate([views[:half], views.max() - views[half:]])
        yield "a gradient", views + self.peak * (ramp + 0.5 * ramp[:, None, None])
        bright = views.copy()
        bright[3] *= 1000
        yield "one x 1000", bright

    def _other_psfs(self) -> Iterator[tuple[str, NDArray]]:
        """Yield PSFs of other microscopes."""
        yield "PSF x 1.4", _wide(1.4)
        yield "PSF along x", np.swapaxes(PSF, 0, 2)
        yield "PSF along y", np.swapaxes(PSF, 0, 1)
        for shift in ((1, 0, 0), (2, 0, 0), (0, 1, 0)):
            yield f"PSF off by {shift}", np.roll(np.pad(PSF, 3), shift, (0, 1, 2))

    def single(self) -> Iterator[Set]:
        """Yield sets with one view unlike the others."""
        for noise in NOISE:
            views = self.noisy(self.clean, noise)
            other = fastmpr.simulate(np.ascontiguousarray(self.truth[::-1].swapaxes(1, 2)) ** 2, PSF, self.poses)
            instead = {
                "foreign": self.noisy(other, noise)[7],
                "mirrored": views[7, ::-1],
                "of another pose": views[3],
                "3 voxels aside": np.roll(views[7], 3, 1),
                "contrast": views[7].max() - views[7],
                "noise": self.noisy(0 * self.clean[:1], noise)[0],
                "x 10": 10 * views[7],
            }
            for label, view in instead.items():
                changed = views.copy()
                changed[7] = view
                yield self.of(f"{label} {noise}", changed)

    def hard(self) -> Iterator[Set]:
        """Yield what is hard to tell, or right and hard to explain."""
        for noise in NOISE:
            views, cut = self.noisy(self.clean, noise), SIZE // 6
            yield self.of(f"PSF x 0.7 {noise}", views, psf=_wide(0.7))
            empty = views.copy()
            empty[::2] = self.noisy(0 * self.clean[::2], noise)
            yield self.of(f"every second empty {noise}", empty)
            ball = _distance(self.truth.shape) <= 0.39 * SIZE
            yield self.of(f"ball painted {noise}", views * ball)
            yield self.of(f"ball seen {noise}", views, options={"seen": [ball] * self.count})
            inner = (slice(None), *(slice(cut, -cut),) * 3)
            tight, truth = np.ascontiguousarray(views[inner]), self.truth[inner[1:]]
            yield self.of(f"tight {noise}", tight, truth=truth)
            moved = fastmpr.Poses(self.poses.rotation, -self.poses.translation)
            yield self.of(f"tight, t sign {noise}", tight, moved, truth=truth)
            blurred = scipy.ndimage.gaussian_filter(views - self.clean, (0, 0.6, 0.6, 0.6))
            yield self.of(f"noise blurred {noise}", self.clean + blurred)
            yield self.of(f"gains not fitted {noise}", views * np.linspace(0.7, 1.4, self.count)[:, None, None, None])

    def few(self) -> Iterator[Set]:
        """Yield right sets of few views."""
        for noise in (0.01, *NOISE, 0.5):
            views = self.noisy(self.clean, noise)
            yield self.of(f"{self.count} views {noise}", views)
            yield self.of(f"{self.count} crops {noise}", self._cropped(views))

    def _cropped(self, views: NDArray) -> NDArray:
        """Return crops pasted into zeros."""
        crops = np.zeros_like(views)
        for view, crop in zip(views, crops, strict=True):
            low, high = self.rng.integers(0, 5, 3), np.array(view.shape) - self.rng.integers(0, 5, 3)
            box = tuple(slice(*side) for side in zip(low, high, strict=True))
            crop[box] = view[box]
        return crops


def particles() -> dict[str, NDArray]:
    """Return the particles by name."""
    found = {name: getattr(fastmpr.phantom, name)((SIZE,) * 3) for name in ("centriole", "nuclear_pore")}
    place = np.indices((SIZE,) * 3) - (SIZE - 1) / 2
    beads = [np.array([2 * (k - 4), 5.6 * np.sin(0.8 * k), 5.6 * np.cos(0.8 * k)]) for k in range(9)]
    away = [((place - bead[:, None, None, None]) ** 2).sum(axis=0) for bead in beads]
    found["helix"] = sum((0.4 + 0.07 * k) * np.exp(-d / 3.4) for k, d in enumerate(away)).astype(np.float32)
    if DATA:
        whole = np.maximum(fastmpr.io.read(Path(DATA) / "ribosome" / "4v7r.mrc", 1.0)[0], 0)
        part = whole[3:-3, 3:-3, 3:-3].reshape(18, 5, 18, 5, 18, 5).mean(axis=(1, 3, 5))
        found["ribosome"] = np.pad(part / part.max(), 5).astype(np.float32)
    return found


def tell(one: Set) -> Told:
    """Reconstruct a set, and return what came of it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = fastmpr.reconstruct(one.views, one.psf, one.poses, **one.options)
    x = np.asarray(result.x, float)
    quality = psnr(x * ((x * one.truth).sum() / max((x * x).sum(), 1e-30)), one.truth)
    words = {"does not fit": "wrong", "fits roughly": "rough", "unlike the others": "single"}
    found = [word for text, word in words.items() if any(text in str(warning.message) for warning in said)]
    return Told(np.nan if result.fit is None else result.fit, quality, "+".join(found) or "-")


def _wide(factor: float) -> NDArray:
    """Return a PSF so many times as wide as that of the views."""
    shape = tuple(2 * round(6 * factor * s) + 1 for s in (3, 1, 1))
    return fastmpr.psf.gaussian(shape, sigma=tuple(factor * s for s in (3, 1, 1)))


def _spun(x: NDArray, angle: float) -> NDArray:
    """Return a particle turned about z."""
    return scipy.ndimage.rotate(x, angle, axes=(1, 2), reshape=False).clip(0)


def _distance(shape: tuple[int, ...]) -> NDArray:
    """Return how far from the middle a voxel is."""
    return np.linalg.norm(np.indices(shape).T - (np.array(shape) - 1) / 2, axis=-1).T


def expected(kind: str, told: Told, right: float) -> bool | None:
    """Return whether a warning, or none, is right; None where that is not to be judged."""
    if kind in ("right", "slight", "few"):
        return told.word == "-"
    if kind == "single":
        return "single" in told.word
    if kind == "hard" or right - told.quality < COST:
        return None
    return told.word != "-"


def main() -> None:
    """Print a line for each kind, and then the sets that were not judged as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--views", type=int, nargs="+", default=[16])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    args = parser.parse_args()
    counts = {"single": [40], "few": range(1, 8)}
    print("| sets | judged | as they should be | warned of |\n|---|---:|---:|---:|", flush=True)
    astray: list[str] = []
    for kind in args.only:
        judged, good, warned = 0, 0, 0
        for seed in args.seeds:
            for count in counts.get(kind, args.views):
                for name, truth in particles().items():
                    right = np.inf
                    for one in getattr(Maker(truth, count, seed), kind)():
                        told = tell(one)
                        is_right = kind == "wrong" and one.label.startswith("right")
                        right = told.quality if is_right else right
                        fine = expected("right" if is_right else kind, told, right)
                        judged, good, warned = (
                            judged + (fine is not None),
                            good + bool(fine),
                            warned + (told.word != "-"),
                        )
                        if fine is False or kind == "hard":
                            figures = f"fit {told.fit:.3g}, {told.quality:.1f} dB, {told.word}"
                            astray.append(f"{kind} {name} {count} {one.label} (seed {seed}): {figures}")
        print(f"| {kind} | {judged} | {good} | {warned} |", flush=True)
    print("\n" + "\n".join(astray))


if __name__ == "__main__":
    main()
