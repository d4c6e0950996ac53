"""Measure how well views fit together under a setup: each half of the views predicts the other half."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts are loaded at their first use
from numpy.typing import NDArray

from .._messages import Progress
from .._validation import Size, Vector
from ..geometry.poses import Poses
from ..runtime.stopping import Stop
from ..sums.accumulator import Accumulator
from ..sums.frame import padded_shape
from ..sums.normal_equations import NormalEquations
from ..sums.observation import observe
from ..sums.resampling import inner_centre
from ..sums.symmetrize import Symmetrizer, symmetrizer
from ..sums.transfer import TransferFunction
from ..views.dataset import Dataset
from ..views.keywords import some_of
from .glance import MOST_VIEWS, Glance
from .setup import Setup, stepped

STRENGTHS = (1e-3, 1e-2, 1e-1)  # regularization weights over the maximum of S: the best of them is taken
_FOLDS = 2
_ASIDE = 0.75  # voxels from the middle, below which the centre of light is taken as the middle
_BRIGHT = 0.2  # of the brightest voxel: darker voxels may be noise
_TINY = 1e-30
_CLOSE = 1e-5  # tolerance for equal rotations, for translations in voxels, and for PSFs over their peak


@dataclass(frozen=True, eq=False)
class Misfit:
    """The part of each view that a prediction leaves unexplained.

    Attributes
    ----------
    left : (n,) ndarray
        The energy of each view less its prediction.
    energy : (n,) ndarray
        The energy of the part of each view that lies on the grid.
    """

    left: NDArray[np.float64]
    energy: NDArray[np.float64]


class Trials:
    """Tries setups on a few views, all on one grid: a smaller grid would cut off noise and so look better.

    Parameters
    ----------
    data : Dataset
        Needs a PSF and poses.
    workers, tell, stop
        As in the public functions.
    most : int
        Views at most.
    strengths : sequence of float
        Regularization weights over the maximum of S; the best of them is taken for each setup.
    """

    def __init__(
        self,
        data: Dataset,
        workers: int | None,
        tell: Progress | None,
        stop: Stop,
        most: int = MOST_VIEWS,
        strengths: Sequence[float] = STRENGTHS,
    ):
        self._workers, self._stop, self._strengths = workers, stop, strengths
        self.glance = Glance(data, tell, stop, most)
        self._few = data[self.glance.chosen].replace(
            particles=self.glance.views,
            poses=_bare(data.placed[self.glance.chosen]),
            voxel_size=self.glance.voxel_size,
            psf_voxel_size=data.psf_voxel_size,
            symmetry=None,
            radius=None,
            seen="all",
            outside="dark",
            background="none",
            gain="same",
        )
        self._grid: Size = (1, 1, 1)
        self._levelled: dict[Any, tuple[Any, NDArray]] = {}
        self._transfers: dict[Any, tuple[Any, list[TransferFunction]]] = {}

    def make_room(self, setups: list[Setup]) -> None:
        """Enlarge the grid until every setup fits."""
        for scale in {setup.psf_scale for setup in setups}:
            psf_voxel = tuple(scale * side for side in self._few.psf_voxel_size)
            grid = padded_shape(self._few.replace(psf_voxel_size=psf_voxel), self._few.model_shape())
            z, y, x = map(max, self._grid, grid)
            self._grid = z, y, x

    def __call__(self, setup: Setup, every: int = 1) -> Misfit:
        """Return the misfit of every view, or every second one, predicted from the other half of the views."""
        model = self._few.model_shape()
        symmetric = symmetrizer(self._symmetric(setup), model, self._grid)
        return predicted(self._sums(setup, every), symmetric, self._strengths)

    def centre_of_light(self, setup: Setup) -> Vector:
        """Return the offset of the particle's bright part from the middle of the model, in the unit of the data set.

        A small offset, which noise could make, is returned as 0.
        """
        total = functools.reduce(operator.add, self._sums(setup))
        volume = estimate(total, STRENGTHS[1])
        bright = np.where(volume > _BRIGHT * volume.max(), volume, 0)
        centre = inner_centre(self._grid, self._few.model_shape())
        off = np.subtract(scipy.ndimage.center_of_mass(bright), centre) if bright.any() else np.zeros(3)
        far = np.linalg.norm(off) > _ASIDE
        z, y, x = (off * far * self._few.model_voxel).tolist()
        return z, y, x

    def _sums(self, setup: Setup, every: int = 1) -> list[NormalEquations]:
        """Return separate sums for every view, or every second one."""
        poses = _bare(setup.placed[self.glance.chosen])
        data = self._few.replace(particles=self._views(setup), poses=poses)[::every]
        model, groups = data.model_shape(), [np.array([i]) for i in range(len(data))]
        transfers = self._transfers_of(setup)
        accumulator = Accumulator(data, groups, model, self._workers, None, self._stop, transfers, self._grid)
        observation = observe(accumulator)
        accumulator.free()
        return list(observation.sums)

    def are_same(self, setup: Setup, other: Setup) -> bool:
        """Return whether two setups mean the same for these views."""
        if setup.steps != other.steps or setup.background is not other.background:
            return False
        numbers = [(each.psf_scale, *each.symmetry_centre) for each in (setup, other)]
        if numbers[0] != numbers[1] or not all(map(_alike, setup.psfs, other.psfs)):
            return False
        if np.abs(setup.group - other.group).max() >= _CLOSE:
            return False
        here, there, few = setup.placed, other.placed, self.glance.chosen
        if np.abs(here.matrix[few] - there.matrix[few]).max() >= _CLOSE:
            return False
        return bool(np.abs(here.translation[few] - there.translation[few]).max() < _CLOSE * min(self._few.voxel_size))

    def _views(self, setup: Setup) -> NDArray:
        """Return the views of a setup without their background."""
        key = (*map(id, setup.steps), id(setup.background))
        if key not in self._levelled:
            background, chosen = setup.background, self.glance.chosen
            views = np.stack([stepped(view, setup.steps) for view in self.glance.views])
            few = self._few.replace(
                particles=views,
                background=background if isinstance(background, str) else background[chosen] / self.glance.unit,
                gain=some_of(setup.given.gain, chosen),
            ).levelled()
            self._levelled[key] = setup, np.stack([few.read(i) for i in range(len(few))])
        return self._levelled[key][1]

    def _symmetric(self, setup: Setup) -> Dataset:
        """Return the few views with the symmetry of a setup, if it has one."""
        symmetry = setup.given.symmetry
        if symmetry is None:
            return self._few
        axis, centre = setup.symmetry_axis, setup.symmetry_centre
        return self._few.replace(symmetry=symmetry, symmetry_axis=axis, symmetry_centre=centre)

    def _transfers_of(self, setup: Setup) -> list[TransferFunction]:
        key = (*map(id, setup.psfs), setup.psf_scale)
        if key not in self._transfers:
            made = [TransferFunction(psf, setup.psf_voxel_size, self._few.dtype) for psf in setup.psfs]
            self._transfers[key] = setup, made  # the setup keeps the PSFs alive whose ids are in the key
        return self._transfers[key][1]


def _alike(psf: NDArray, other: NDArray) -> bool:
    """Return whether two PSFs are the same."""
    return psf is other or (psf.shape == other.shape and np.abs(psf - other).max() <= _CLOSE * np.abs(psf).max())


def _bare(poses: Poses) -> Poses:
    """Return poses without a unit: their translations are in the unit of whatever voxel size goes with them."""
    return Poses(poses.rotation, poses.translation, two_fold=poses.two_fold)


def predicted(
    sums: list[NormalEquations], symmetric: Symmetrizer | None = None, strengths: Sequence[float] = STRENGTHS
) -> Misfit:
    """Return the misfit of each view to a prediction from the other half of the views.

    A prediction is a Wiener estimate, clipped at zero. Without the clip, views with inverted contrast would fit as well.

    Parameters
    ----------
    sums : list of NormalEquations
        One per view, on one grid.
    symmetric : Symmetrizer, optional
        For a symmetric particle: the sums that make a prediction are summed over its group.
    strengths : sequence of float
        As `Trials` has them.
    """
    shape, energy = sums[0].shape, np.array([view.energy for view in sums])
    gram, rhs = np.stack([view.gram for view in sums]), np.stack([view.rhs for view in sums])
    left = np.empty((len(strengths), len(sums)))
    fold = np.arange(len(sums)) % _FOLDS
    for half in range(_FOLDS):
        others = functools.reduce(operator.add, [view for view, own in zip(sums, fold, strict=True) if own != half])
        others = others if symmetric is None else symmetric.sums(others)
        for k, strength in enumerate(strengths):
            x = estimate(others, strength)
            own = slice(half, None, _FOLDS)
            left[k, own] = energy[own] + _products(gram[own], rhs[own], scipy.fft.rfftn(x, workers=1), shape)
    return Misfit(np.maximum(left[left.sum(axis=1).argmin()], 0), energy)


def estimate(sums: NormalEquations, strength: float) -> NDArray:
    """Return a Wiener estimate, clipped at zero."""
    floor = sums.gram.dtype.type(max(strength * float(sums.gram.max()), _TINY))
    return scipy.fft.irfftn(sums.rhs / (sums.gram + floor), sums.shape, workers=1).clip(0)


def _products(gram: NDArray, rhs: NDArray, spectrum: NDArray, shape: Size) -> NDArray[np.float64]:
    """Return <x, S x> - 2 <b, x> of each view, given the half spectrum of x."""
    weights = np.full(gram.shape[-1], 2 / math.prod(shape))
    # columns that are their own conjugate twins count once
    weights[0 :: max(shape[2] // 2, 1) if shape[2] % 2 == 0 else len(weights)] /= 2
    power = (weights * (spectrum.real**2 + spectrum.imag**2)).astype(gram.dtype)
    cross = (weights * spectrum).astype(rhs.dtype).view(gram.dtype)
    squares = np.einsum("nzyx,zyx->nzy", gram, power)
    return (squares - 2 * np.einsum("nzyx,zyx->nzy", rhs.view(gram.dtype), cross)).sum(axis=(1, 2), dtype=np.float64)
