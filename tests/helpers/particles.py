"""A particle with a hand and without symmetry, its views, and what tells two data sets apart."""

from __future__ import annotations

import numpy as np

import fastmpr
from fastmpr import Dataset, Poses

SIZE, N, VOXEL = 14, 6, 0.1
PSF = fastmpr.psf.gaussian((11, 7, 7), sigma=(2.5, 0.8, 0.8))


def helix(size: int = SIZE) -> np.ndarray:
    place = np.stack(np.indices((size,) * 3), axis=-1) - (size - 1) / 2
    volume = np.zeros((size,) * 3)
    for k in range(9):
        spot = size * np.array([(k - 4) / 14, 0.2 * np.sin(0.8 * k), 0.2 * np.cos(0.8 * k)])
        volume += (0.4 + 0.07 * k) * np.exp(-0.5 * np.square(place - spot).sum(axis=-1))
    return volume.astype(np.float32)


POSES = Poses.random(N, max_translation=1.0, rng=2)  # in voxels


def views_of(poses: Poses, offset: float = 0.2) -> np.ndarray:
    return fastmpr.simulate(helix(), PSF, poses, noise_sigma=0.02, rng=3) + np.float32(offset)


VIEWS = views_of(POSES)


def data_of(views=VIEWS, rotation=POSES.rotation, translation=POSES.translation, psf=PSF, unit="voxel", **options):
    """A Dataset of mistaken or right arguments; its poses are in voxels."""
    poses = rotation if isinstance(rotation, Poses) else Poses(rotation, translation, unit=unit)
    return Dataset(views, psf, poses, **({"voxel_size": VOXEL} | options))


def levelled(data: Dataset) -> np.ndarray:
    return np.stack([part.read(0) for part in (data[[i]].levelled() for i in range(len(data)))])


def widths(data: Dataset) -> np.ndarray:
    """Centre and standard deviation of the PSF along each axis, in voxels of a particle."""
    psf, found = np.asarray(data.psf, float), []
    for axis, n in enumerate(psf.shape):
        share = psf.sum(axis=tuple({0, 1, 2} - {axis})) / psf.sum()
        offsets = (np.arange(n) - n // 2) * data.psf_voxel_size[axis] / data.voxel_size[axis]
        mean = share @ offsets
        found += [mean, np.sqrt(share @ (offsets - mean) ** 2)]
    return np.array(found)


def assert_same(data: Dataset, other: Dataset, psf: float = 0.02) -> None:
    """That two data sets say the same of the same views, whatever the constant behind them."""
    a, b = data.placed, other.placed
    np.testing.assert_allclose(a.matrix, b.matrix, atol=1e-6)
    lengths = (data.voxel_size[0], other.voxel_size[0])  # an unknown voxel may have become 1
    np.testing.assert_allclose(a.translation / lengths[0], b.translation / lengths[1], atol=1e-4)
    np.testing.assert_allclose(levelled(data), levelled(other), atol=1e-3 * np.ptp(levelled(other)))
    np.testing.assert_allclose(widths(data), widths(other), atol=psf)
