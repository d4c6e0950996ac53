"""Particles, their views, and the usual mistakes made with them: what `diagnosis` tries."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Dataset, Poses

DATA = Path(os.environ.get("FASTMPR_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
PARTICLES = ("centriole", "nuclear_pore", "helix", "ribosome")
PSF = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
VOXEL = 0.1
OFFSET = 0.2  # of the camera, over the brightest voxel of the truth
CONVENTIONS = ("ZXZ", "ZYZ", "xzx", "zyz", "XYZ", "xyz")


class Views(NamedTuple):
    """Noisy views of a truth with all that is right about them; translations in voxels."""

    truth: NDArray
    views: NDArray
    poses: Poses
    noise: float
    seed: int
    psf: NDArray = PSF

    def again(self, poses: Poses) -> NDArray:
        """Return other views of the truth."""
        return seen(self.truth, poses, self.noise, self.seed, self.psf)

    def data(self, views: NDArray | None = None, poses: Poses | None = None, psf: NDArray | None = None) -> Dataset:
        """Return the data set, some of it exchanged; translations without a unit are in voxels."""
        poses = self.poses if poses is None else poses
        if poses.unit is None:
            poses = Poses(poses.rotation, VOXEL * poses.translation)
        return Dataset(
            self.views if views is None else views, self.psf if psf is None else psf, poses, voxel_size=VOXEL
        )


def particle(name: str, size: int) -> NDArray:
    """Return a truth whose brightest voxel is 1."""
    if name == "helix":
        return helix(size)
    if name == "ribosome":
        return ribosome(size)
    return getattr(fastmpr.phantom, name)((size,) * 3)


def helix(size: int) -> NDArray:
    """Return spots along one: no symmetry, and a hand."""
    place = np.stack(np.indices((size,) * 3), axis=-1) - (size - 1) / 2
    volume = np.zeros((size,) * 3)
    for k in range(9):
        spot = size * np.array([(k - 4) / 14, 0.2 * np.sin(0.8 * k), 0.2 * np.cos(0.8 * k)])
        volume += (0.4 + 0.07 * k) * np.exp(-0.5 * np.square((place - spot) / 1.3).sum(axis=-1))
    return (volume / volume.max()).astype(np.float32)


def ribosome(size: int) -> NDArray:
    """Return the shared one, binned to three quarters of the box."""
    whole, _ = fastmpr.io.read(DATA / "ribosome" / "4v7r.mrc")
    factor = 0.75 * size / len(whole)
    small = ndimage.zoom(
        ndimage.gaussian_filter(whole, 0.5 / factor), factor, order=1, grid_mode=True, mode="grid-constant"
    )
    low = (size - len(small)) // 2
    volume = np.pad(small, [(low, size - len(small) - low)] * 3).clip(0)
    return (volume / volume.max()).astype(np.float32)


def seen(truth: NDArray, poses: Poses, noise: float, seed: int, psf: NDArray = PSF) -> NDArray:
    """Return views; noise is a share of the brightest voxel of those without."""
    clean = np.stack(list(fastmpr.simulate(truth, psf, poses)))
    draws = np.random.default_rng(seed).standard_normal(clean.shape)
    return (clean + noise * clean.max() * draws + OFFSET).astype(np.float32)


def views_of(name: str, noise: float, count: int, size: int = 24, seed: int = 1, psf: NDArray = PSF) -> Views:
    """Return a set of views."""
    truth = particle(name, size)
    poses = Poses.random(count, max_translation=1.5 * size / 28, rng=seed)
    return Views(truth, seen(truth, poses, noise, seed + 1, psf), poses, noise, seed + 1, psf)


def of_file(angles: NDArray, translation: NDArray) -> Poses:
    """Return poses of a file with these angles, whatever they mean."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [",".join(map(str, [i, *row])) for i, row in enumerate(np.hstack([angles, translation]))]
        path = Path(folder) / "poses.csv"
        path.write_text("\n".join(rows))
        return Poses.read(path)


def widened(psf: NDArray, factor: float) -> NDArray:
    """Return a PSF that is so many times as wide."""
    shape = [int(np.ceil(n * max(factor, 1))) | 1 for n in psf.shape]
    first = [n // 2 - (m // 2) / factor for n, m in zip(psf.shape, shape, strict=True)]
    return ndimage.affine_transform(psf, np.eye(3) / factor, first, tuple(shape), order=3).clip(0)


def moved(psf: NDArray, step: tuple[int, int, int]) -> NDArray:
    """Return a PSF beside its centre."""
    return np.roll(np.pad(psf, 3), step, (0, 1, 2))


def mistakes(made: Views) -> Iterator[tuple[str, Dataset, str]]:
    """Yield every mistake: its name, the data set with it, and the cure that undoes it."""
    r, t, views = made.poses.rotation, np.array(made.poses.translation), made.views
    yield "right", made.data(), "as given"
    yield from _of_poses(made, r, t)
    yield from _of_angles(made, r, t)
    for axis, name in enumerate("zyx"):
        yield f"mirrored {name}", made.data(np.flip(views, axis + 1)), f"stacks mirrored along {name}"
    yield "stacks x, y, z", made.data(np.transpose(views, (0, 3, 2, 1))), "stacks' axes reversed"
    yield "contrast", made.data(views.max() - views), "contrast inverted"
    yield "PSF given 1.4 wide", made.data(psf=widened(made.psf, 1.4)), "PSF 0.7 as wide"
    yield "PSF given 0.7 wide", made.data(psf=widened(made.psf, 0.7)), "PSF 1.4 as wide"
    yield "PSF along x", made.data(psf=np.swapaxes(made.psf, 0, 2)), "PSF's z and x swapped"
    yield "PSF along y", made.data(psf=np.swapaxes(made.psf, 0, 1)), "PSF's z and y swapped"
    for step in ((1, 0, 0), (-2, 0, 0), (0, 1, 0)):
        yield f"PSF off {step}", made.data(psf=moved(made.psf, step)), f"PSF moved by {tuple(-k for k in step)}"
    slope = np.linspace(-0.15, 0.15, views.shape[-1], dtype=np.float32)
    yield (
        "a gradient",
        made.data(views + (views.max() - OFFSET) * (slope[:, None] + 0.5 * slope[:, None, None])),
        "background a plane",
    )


def _of_poses(made: Views, r: Rotation, t: NDArray) -> Iterator[tuple[str, Dataset, str]]:
    half = 0.5 * np.array([1 - n % 2 for n in made.truth.shape])
    middle = made.again(Poses(r, t + half - r.apply(half)))
    others = {
        "rotations inverted": (Poses(r.inv(), t), "rotations inverted"),
        "poses inverted": (Poses(r.inv(), -r.inv().apply(t)), "inverted, t turned along"),
        "t of other sign": (Poses(r, -t), "t of other sign"),
        "t x, y, z": (Poses(r, t[:, ::-1]), "t in x, y, z"),
        "t doubled": (Poses(r, 2 * t), "t halved"),
        "t in um, read as voxels": (Poses(r, VOXEL * t, unit="voxel"), "t in micrometres"),
        "t in voxels, read as um": (Poses(r, t, unit="um"), "t in voxels"),
        "t before the turn": (Poses(r, r.inv().apply(t)), "t turned by R"),
        "t before, other sign": (Poses(r, -r.inv().apply(t)), "t turned by R, other sign"),
        "poses x, y, z": (Poses(made.poses.matrix[:, ::-1, ::-1], t[:, ::-1]), "poses in x, y, z"),
        "rows moved": (made.poses[np.roll(np.arange(len(t)), 1)], "rows moved by -1"),
    }
    for name, (poses, cure) in others.items():
        yield name, made.data(poses=poses), cure
    yield "centred already", made.data(made.again(Poses(r))), "t left out"
    if half.any():
        yield "centre n // 2", made.data(middle), "centre n // 2"


def _of_angles(made: Views, r: Rotation, t: NDArray) -> Iterator[tuple[str, Dataset, str]]:
    for convention in CONVENTIONS:
        angles = r.as_euler(convention, degrees=True)
        yield f"angles {convention}", made.data(poses=of_file(angles, t)), f"angles as {convention}"
    angles = r.as_euler("XZX", degrees=True)
    yield "angles negated", made.data(poses=of_file(-angles, t)), "angles negated"
    yield "angles in radians", made.data(poses=of_file(np.radians(angles), t)), "angles in radians"
