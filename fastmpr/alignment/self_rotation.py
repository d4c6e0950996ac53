"""How like itself a volume is after a rotation: the axes about which it may be symmetric, and by how many folds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from ..sums.transfer import transfer_functions
from ..views.dataset import Dataset
from .reference import Reference
from .relatives import moments
from .spectra import band_of

_HIGHEST = 0.3  # cycles per voxel: finer detail is mostly noise
_FOLDS = range(3, 13)
_ROUND = 24  # rotations that tell how round a volume is
_FLIPS = 24  # half turns that are tried between two axes of a fold
_LIKE = 0.1  # of the way from the usual fold to the best: as good as the best, and the highest of these is the order
_TILT, _SHIFT = 0.05, 0.5  # radians and voxels: the first steps to a better axis


class Axis(NamedTuple):
    """An axis about which a volume may be symmetric.

    Attributes
    ----------
    direction : (3,) ndarray
        Of length 1.
    centre : (3,) ndarray
        A point on the axis, in voxels from the middle of the volume.
    two_fold : (3,) ndarray
        At a right angle to it, the direction about which half a turn changes the volume least.
    fold : int
    likeness : float
        The mean correlation of the volume with itself after the rotations of this fold.
    """

    direction: NDArray[np.float64]
    centre: NDArray[np.float64]
    two_fold: NDArray[np.float64]
    fold: int
    likeness: float

    def tilted(self) -> Axis:
        """Return an axis 45 degrees off, in the plane of this one and the two-fold one."""
        direction, two_fold = self.direction + self.two_fold, self.two_fold - self.direction
        return self._replace(direction=direction / np.sqrt(2), two_fold=two_fold / np.sqrt(2))


def across(direction: NDArray) -> NDArray[np.float64]:
    """Return two directions (2, 3) at right angles to one and to each other."""
    return np.asarray(np.linalg.svd(direction[np.newaxis])[2][1:])


def in_frame(data: Dataset, axis: Axis) -> Dataset:
    """Return views with poses that put an axis of the particle where the symmetry of the data set has its own."""
    own = data.symmetry_axis
    many_fold = np.array(own[0] if isinstance(own[0], tuple) else own)
    two_fold = _two_fold_of(data.group, many_fold)
    there = np.stack([many_fold, two_fold, np.cross(many_fold, two_fold)])
    here = np.stack([axis.direction, axis.two_fold, np.cross(axis.direction, axis.two_fold)])
    rotation = there.T @ here
    shift = data.symmetry_centre - rotation @ axis.centre * data.model_voxel[0]
    return data.replace(poses=data.placed.moved(Rotation.from_matrix(rotation), shift))


def _two_fold_of(group: NDArray, many_fold: NDArray) -> NDArray[np.float64]:
    """Return a two-fold axis of a group at a right angle to another axis, or any direction there if it has none."""
    half_turns = group[np.abs(np.trace(group, axis1=1, axis2=2) + 1) < 1e-6]
    aside = [turn for turn in half_turns if np.linalg.norm(turn @ many_fold + many_fold) < 1e-6]
    if not aside:
        return across(many_fold)[0]
    _, vectors = np.linalg.eigh(aside[0] + aside[0].T)
    return vectors[:, -1]


class SelfRotation:
    """A volume compared with itself.

    Parameters
    ----------
    x : (nz, ny, nx) ndarray
        Its voxels are cubes.
    """

    def __init__(self, x: NDArray):
        point = np.ones((1, 1, 1))
        data = Dataset(x[np.newaxis], point, seen="all", outside="dark", background="none")
        self.band = band_of(transfer_functions(data, 1)[0], data.particle_shape, (1.0, 1.0, 1.0), _HIGHEST)
        self.view, _ = self.band.spectrum(x, (1.0, 1.0, 1.0))
        self.reference = Reference(x, 1.0, _HIGHEST, 1)
        self.centre, _, self.inertia = moments(x)

    def likeness(self, direction: NDArray, centre: NDArray, angles: NDArray) -> NDArray[np.float64]:
        """Return the correlation of the volume with itself rotated by some angles (radians) about an axis."""
        rotations = Rotation.from_rotvec(angles[:, np.newaxis] * direction).as_matrix()
        shown = self.reference.sample(self.band, len(self.view), rotations)
        shown *= np.exp(-2j * np.pi * ((centre - rotations @ centre) @ self.band.frequencies.T))
        common = np.einsum("mk,k->m", shown.conj(), self.view).real
        return common / (np.linalg.norm(shown, axis=1) * np.linalg.norm(self.view))

    def folded(self, direction: NDArray, centre: NDArray, fold: int) -> float:
        """Return the mean correlation after the rotations of a fold."""
        return float(self.likeness(direction, centre, 2 * np.pi * np.arange(1, fold) / fold).mean())

    def main(self) -> Axis:
        """Return the best axis of three folds or more."""
        return max((self._many_fold(direction) for direction in self.inertia.T), key=lambda axis: axis.likeness)

    def axis(self, fold: int) -> Axis:
        """Return the best axis of a fold; of none, for the dihedral group that has a two-fold axis only."""
        if fold == 1:
            flip = self.axis(2)
            return flip._replace(direction=flip.two_fold, two_fold=flip.direction, fold=1)
        tried = [self._axis(direction, self.centre, fold) for direction in self.inertia.T]
        return max(tried, key=lambda axis: axis.likeness)

    def _many_fold(self, direction: NDArray) -> Axis:
        """Return the axis near a direction, with the number of folds that it has, if it has any."""
        direction, centre, _ = self._near(direction, self.centre, _ROUND)
        by_fold = {fold: self.folded(direction, centre, fold) for fold in _FOLDS}
        best, usual = max(by_fold.values()), float(np.median(list(by_fold.values())))
        fold = max(fold for fold, value in by_fold.items() if value >= best - _LIKE * (best - usual))
        return self._axis(direction, centre, fold)

    def _axis(self, direction: NDArray, centre: NDArray, fold: int) -> Axis:
        """Return the best axis of a fold near another."""
        direction, centre, likeness = self._near(direction, centre, min(fold, _ROUND))
        return Axis(direction, centre, self._two_fold(direction, centre, fold), fold, likeness)

    def _near(self, direction: NDArray, centre: NDArray, fold: int) -> tuple[NDArray, NDArray, float]:
        """Return the axis near one about which the volume is most like itself, a point on it, and how much so."""
        aside = across(direction)

        def moved(step: NDArray) -> tuple[NDArray, NDArray]:
            tilted = direction + _TILT * (step[:2] @ aside)
            return tilted / np.linalg.norm(tilted), centre + _SHIFT * (step[2:] @ aside)

        found = minimize(lambda step: -self.folded(*moved(step), fold), np.zeros(4), method="Powell", tol=1e-3)
        return *moved(found.x), -float(found.fun)

    def _two_fold(self, direction: NDArray, centre: NDArray, fold: int) -> NDArray[np.float64]:
        """Return the direction across an axis about which half a turn changes the volume least."""
        aside, angles = across(direction), np.linspace(0, np.pi / fold, _FLIPS)
        tried = np.cos(angles)[:, np.newaxis] * aside[0] + np.sin(angles)[:, np.newaxis] * aside[1]
        return tried[int(np.argmax([self.folded(one, centre, 2) for one in tried]))]
