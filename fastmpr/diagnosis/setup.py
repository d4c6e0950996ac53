"""The properties of a data set that a usual mistake can affect, and cures that change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from ..geometry.poses import Poses
from ..geometry.symmetry import Axes, as_group
from ..sums.transfer import energy_radius
from ..views.dataset import Dataset
from ..views.types import BackgroundWord

Step = Callable[[NDArray], NDArray]
MARGIN = 1.004  # factor by which a cure must lower the misfit: by chance it reached 1.003 at most in 100 data sets
_HELD = 0.95  # share of a PSF's light that should lie within the images


@dataclass(frozen=True, eq=False)
class Setup:
    """The properties of a data set as a cure has changed them; no particle is read.

    Attributes
    ----------
    given : Dataset
        The caller's data set.
    poses, psfs, background, symmetry_axis, symmetry_centre
        As in `Dataset`.
    psf_scale : float
        The factor by which the PSFs, and so their voxels, are wider.
    steps : tuple of callable
        Functions applied to every particle first, from (nz, ny, nx) to the same shape.
    """

    given: Dataset
    poses: Poses
    psfs: tuple[NDArray, ...]
    background: BackgroundWord | NDArray
    symmetry_axis: Axes
    symmetry_centre: Vector
    psf_scale: float = 1.0
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, data: Dataset) -> Setup:
        """Return the setup of a data set with poses, as given."""
        assert data.poses is not None, "see require"
        return cls(data, data.poses, data.psfs, data.background, data.symmetry_axis, data.symmetry_centre)

    @property
    def psf(self) -> tuple[NDArray, ...]:
        """The PSFs, under the name of the `Dataset` keyword."""
        return self.psfs

    @property
    def psf_voxel_size(self) -> Vector:
        """The voxel size of the PSFs, in the unit of the particles' voxel size."""
        z, y, x = np.multiply(self.given.psf_voxel_size, self.psf_scale).tolist()
        return z, y, x

    @cached_property
    def placed(self) -> Poses:
        """The poses as in `Dataset.placed`."""
        data = self.given
        poses = self.poses.in_unit_of(data.known_voxel)
        return poses.about_middle(data.particle_shape, data.voxel_size, data.symmetry, self.symmetry_axis)

    @cached_property
    def group(self) -> NDArray[np.float64]:
        """The rotations (n, 3, 3) that leave the particle as it is."""
        return as_group(self.given.symmetry, self.symmetry_axis, self.poses.two_fold)

    @property
    def cuts_psf(self) -> bool:
        """Whether much of a PSF that is centred in an image lies beyond the image's edges."""
        edge = np.multiply(self.given.particle_shape, self.given.voxel_size).min() / 2
        return any(energy_radius(psf, self.psf_voxel_size, _HELD) > edge for psf in self.psfs)

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The `Dataset` keywords whose values differ from the given ones."""
        data = self.given
        names = ["poses", "background", *(("symmetry_axis", "symmetry_centre") if data.symmetry else ())]
        found = [name for name in names if getattr(self, name) is not getattr(data, name)]
        changes = {
            "psf": self.psfs is not data.psfs,
            "psf_voxel_size": self.psf_scale != 1,
            "particles": bool(self.steps),
        }
        return *found, *(name for name, differs in changes.items() if differs)

    def dataset(self) -> Dataset:
        """Return the given data set with all changes."""
        data, changes = self.given, dict[str, Any]()
        for name in self.changed:
            changes[name] = Stepped(data, self.steps) if name == "particles" else getattr(self, name)
        if "psf_voxel_size" in changes:  # Dataset takes it only with a voxel size
            changes["voxel_size"] = data.voxel_size
        if "particles" in changes:
            changes["thread_safe"] = data.source.thread_safe
            if data.masks is not None:  # the masks are in the particles as NaN
                changes["seen"] = "auto"
        return data.replace(**changes) if changes else data


@dataclass(frozen=True)
class Cure:
    """A change that undoes a mistake.

    Attributes
    ----------
    name : str
        The change.
    mistake : str
        The mistake, in words that follow "looks as if".
    code : str
        The change in Python: lines that replace ``data`` by the corrected data set.
    undo : callable
        Takes a `Setup` and returns the changed one, or the same one if there is nothing to undo.
    margin : float
        The factor by which the misfit must fall.
    of_light : bool
        Whether the change affects intensities, so that energies before and after cannot be compared.
    """

    name: str
    mistake: str
    code: str
    undo: Callable[[Setup], Setup]
    margin: float = MARGIN
    of_light: bool = False


class Stepped:
    """Particles of a data set to which steps are applied when they are read; their NaN voxels move along."""

    def __init__(self, data: Dataset, steps: tuple[Step, ...]):
        self._data, self._steps = data, steps

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: int) -> NDArray:
        return stepped(self._data.read(i), self._steps)


def stepped(particle: NDArray, steps: tuple[Step, ...]) -> NDArray:
    """Apply steps to a particle, one after another."""
    for step in steps:
        particle = step(particle)
    return particle
