"""All that a usual mistake may be in: what a data set says of its views, and how they were stored."""

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
from ..views.dataset import Dataset
from ..views.types import BackgroundWord

Step = Callable[[NDArray], NDArray]
MARGIN = 1.004  # times the misfit must fall by what undoes a mistake: by chance it fell 1.003 times at most in 100 sets


@dataclass(frozen=True, eq=False)
class Setup:
    """What a data set says of its views: a cure makes another one of it, and reads no particle.

    Attributes
    ----------
    given : Dataset
        As the caller gave it.
    poses, psfs, background, symmetry_axis, symmetry_centre
        As those of a `Dataset`.
    psf_scale : float
        How many times as wide the PSFs are, voxels and all.
    steps : tuple of callable
        What every particle goes through first: (nz, ny, nx) to the same shape.
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
        """Return what a data set with poses says."""
        assert data.poses is not None, "see require"
        return cls(data, data.poses, data.psfs, data.background, data.symmetry_axis, data.symmetry_centre)

    @property
    def psf(self) -> tuple[NDArray, ...]:
        """The PSFs, as a `Dataset` takes them."""
        return self.psfs

    @property
    def psf_voxel_size(self) -> Vector:
        """The voxel of the PSFs, in the unit of the particles'."""
        z, y, x = np.multiply(self.given.psf_voxel_size, self.psf_scale).tolist()
        return z, y, x

    @cached_property
    def placed(self) -> Poses:
        """The poses, as `Dataset.placed` has them."""
        data = self.given
        poses = self.poses.in_unit_of(data.known_voxel)
        return poses.about_middle(data.particle_shape, data.voxel_size, data.symmetry, self.symmetry_axis)

    @cached_property
    def group(self) -> NDArray[np.float64]:
        """The rotations (n, 3, 3) that leave the particle as it is."""
        return as_group(self.given.symmetry, self.symmetry_axis, self.poses.two_fold)

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The keywords of a `Dataset` that differ from those given."""
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
        """Return the given views with all that differs changed."""
        data, changes = self.given, dict[str, Any]()
        for name in self.changed:
            changes[name] = Stepped(data, self.steps) if name == "particles" else getattr(self, name)
        if "psf_voxel_size" in changes:  # which needs the other
            changes["voxel_size"] = data.voxel_size
        if "particles" in changes:
            changes["thread_safe"] = data.source.thread_safe
            if data.masks is not None:  # the masks are in what is read
                changes["seen"] = "auto"
        return data.replace(**changes) if changes else data


@dataclass(frozen=True)
class Cure:
    """What undoes a mistake.

    Attributes
    ----------
    name : str
        What is done.
    mistake : str
        What went wrong, if this mends it: it follows "looks as if".
    code : str
        The same in Python: lines that make ``data`` of ``data``.
    undo : callable
        Makes a `Setup` of one; the same one where there is nothing to undo.
    margin : float
        How many times smaller the misfit must become.
    of_light : bool
        Whether it changes the intensities, so that what is left of them cannot be compared with what there was.
    """

    name: str
    mistake: str
    code: str
    undo: Callable[[Setup], Setup]
    margin: float = MARGIN
    of_light: bool = False


class Stepped:
    """Particles of a data set that go through steps when they are read: what was not seen moves along."""

    def __init__(self, data: Dataset, steps: tuple[Step, ...]):
        self._data, self._steps = data, steps

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: int) -> NDArray:
        return stepped(self._data.read(i), self._steps)


def stepped(particle: NDArray, steps: tuple[Step, ...]) -> NDArray:
    """Return a particle after some steps."""
    for step in steps:
        particle = step(particle)
    return particle
