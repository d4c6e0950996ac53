"""Halves of particles whose poses are searched for: each half finds its own, from the start."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import Progress
from ..alignment.main import ab_initio, align, refine
from ..alignment.results import PoseResult
from ..geometry.poses import Poses
from ..geometry.symmetry import is_auto
from ..reconstruction.making import Made
from ..reconstruction.problem import problem_of
from ..regularizers import as_regularizer
from ..resolution.told import FEWEST_VIEWS, period_told, told
from ..runtime.stopping import Cancelled, Stop
from ..runtime.threads import as_workers
from ..solver.options import Run
from ..sums.accumulator import Accumulator
from ..sums.observation import observe
from ..views.dataset import Dataset

SEARCHES: dict[str, Callable[..., PoseResult]] = {"refine": refine, "ab_initio": ab_initio}
_FEWEST = 2 * 3  # particles: a search needs three


class Search(NamedTuple):
    """How poses are searched for.

    Attributes
    ----------
    name : {"refine", "ab_initio"}
    checkpoint : path or None
        A folder; the halves keep theirs in folders within.
    workers, tell, stop
        As all public functions have them.
    """

    name: str
    checkpoint: str | os.PathLike[str] | None
    workers: int | None
    tell: Progress | None
    stop: Stop

    def run(self, data: Dataset, rng: int, part: str = "") -> PoseResult:
        """Search for the poses of all particles, or of a part of them."""
        options: dict[str, Any] = {"rng": rng} if self.name == "ab_initio" else {}
        folder = None if self.checkpoint is None else Path(self.checkpoint, part or "whole")
        found = SEARCHES[self.name](
            data, checkpoint=folder, workers=self.workers, progress=self.tell, cancel=self.stop, **options
        )
        self.stop.check(" before the resolution was told", found)
        return found


def searched(data: Dataset, search: Search, seed: int) -> Made:
    """Return the volume of all particles, and two halves that know nothing of each other.

    What passes from all particles to a half is how its volume lies as a whole, and the symmetry, if it is to be found.
    """
    if len(data.used) < max(_FEWEST, FEWEST_VIEWS):
        raise ValueError(
            f"particles: found {len(data.used)} that weigh something, need {_FEWEST} or more for two searches"
        )
    whole = search.run(data, seed)
    if is_auto(data.symmetry):
        name = None if whole.symmetry is None else whole.symmetry.name
        data = data.replace(symmetry=None if name == "C1" else name)
    order = np.random.default_rng(seed).permutation(data.used)
    groups = [np.sort(order[k::2]) for k in (0, 1)]
    rotations, translations = np.tile(np.eye(3), (len(data), 1, 1)), np.zeros((len(data), 3))
    weights, gains = np.zeros(len(data)), np.ones(len(data))
    for k, which in enumerate(groups):
        found = search.run(data[which], seed, f"half-{k + 1}")
        poses = _as_the_whole(found, whole, data, search)
        rotations[which], translations[which] = poses.matrix, poses.translation
        weights[which], gains[which] = found.weights, found.gains
    both = data.replace(
        poses=Poses(Rotation.from_matrix(rotations), translations, names=data.names, unit=data.unit),
        weights=weights,
        gain=gains,
    )
    return _halved(both, [which[weights[which] > 0] for which in groups], whole, search)


def _halved(data: Dataset, groups: list[NDArray], whole: PoseResult, search: Search) -> Made:
    """Return the volume of all particles with the halves, solved with its lam."""
    run = Run(workers=search.workers, stop=search.stop)
    model = whole.x.shape
    observation = observe(Accumulator(data.levelled(), groups, model, search.workers, search.tell, search.stop))
    transfers = observation.accumulator.transfers
    try:
        halves = problem_of(observation, None, keeps=True).halves(whole.lam, as_regularizer("hessian"), run)
    except Cancelled as cut:
        cut.result = whole
        raise
    curve = told(halves, as_workers(search.workers, whole.x.size))
    own = data.replace(poses=whole.poses, weights=whole.weights, gain=whole.gains)  # what the volume is made with
    return Made(replace(whole, curve=curve, resolution=period_told(curve)), transfers, own, halves)


def _as_the_whole(found: PoseResult, whole: PoseResult, data: Dataset, search: Search) -> Poses:
    """Return the poses of a half with its model turned and shifted as that of all particles lies."""
    point = np.zeros((5, 5, 5))
    point[2, 2, 2] = 1
    volume = Dataset(
        found.x[np.newaxis], point, seen="all", outside="dark", background="none"
    )  # in voxels of the model
    lies = align(volume, whole.x, workers=search.workers, cancel=search.stop).poses
    rotation, shift = lies.matrix[0], lies.translation[0] * whole.voxel_size[0]
    if len(data.group) > 1:
        rotation, shift = _about_the_axis(rotation, shift, data)
    return found.poses.moved(rotation.T, -rotation.T @ shift)


def _about_the_axis(rotation: NDArray, shift: NDArray, data: Dataset) -> tuple[NDArray, NDArray]:
    """Return the nearest motion that keeps the axis and the centre of symmetry where they are."""
    along = data.group.mean(axis=0)  # projects on what the symmetry leaves as it is
    own = data.symmetry_axis
    axis = np.array(own[0] if isinstance(own[0], tuple) else own, float)
    axis /= np.linalg.norm(axis)
    to = np.sign(axis @ rotation @ axis) or 1.0
    nearest, _ = Rotation.align_vectors(to * axis[np.newaxis], (rotation @ axis)[np.newaxis])
    return nearest.as_matrix() @ rotation, along @ shift
