"""Reconstruct and align in turn: each volume is made of the poses that were found with the one before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import Progress
from ..geometry.poses import Poses
from ..io.checkpoints import Arrays
from ..lam.selection import START, guess_lam
from ..reconstruction.problem import problem_of
from ..regularizers import as_regularizer
from ..runtime.stopping import WORDS, Stop
from ..solver.options import Run, Until
from ..solver.result import Result
from ..sums.accumulator import Accumulator
from ..sums.observation import observe
from ..sums.resampling import inner
from ..views.dataset import Dataset
from .scores import contrasts, fitting, precisions
from .search import Aligned, Plan, Search

_ITERATIONS = 25  # of a solve between two alignments


class Cycle:
    """A data set whose poses become better from turn to turn.

    Attributes
    ----------
    data : Dataset
        With the poses of the moment; views that do not fit weigh nothing.
    x : (nz, ny, nx) ndarray
        The last volume.
    aligned : Dataset
        The data as the last alignment left them, with poses in the frame of the last volume.
    scores : (N,) ndarray
        Of the last alignment.
    fitting : (N,) ndarray of bool
        The views that fit about as well as most.
    gains : (N,) ndarray
        How bright the views are, beside most.
    weights : (N,) ndarray
        What they weigh: more, the clearer they are.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses to begin with.
    workers, stop
        As the public functions have them.
    """

    def __init__(self, data: Dataset, workers: int | None, stop: Stop):
        self.data, self._given = data, data.weights
        self._workers, self._stop = workers, stop
        self.scores, self.fitting = np.full(len(data), np.nan), np.ones(len(data), bool)
        self.gains = np.ones(len(data)) if data.gains is None else data.gains
        self.weights = data.weights
        self._lam: float | None = None
        self.x, self.aligned = np.zeros(data.model_shape(), data.dtype), data

    def turned(self, plan: Plan, tell: Progress | None) -> Arrays:
        """Reconstruct a volume, and align the views with it; return all that `take` needs."""
        x, lam = self.volume()
        data = self.data.replace(weights=self._given).levelled()
        found = Search(data, x, plan, self._workers, tell, self._stop).run()
        return {"x": x, "lam": np.array(lam)} | found._asdict()

    def take(self, turn: Arrays) -> NDArray[np.float64]:
        """Go on from what a turn found; return by how many degrees each view turned."""
        self.x, self._lam = turn["x"], float(turn["lam"])
        found = Aligned(*(turn[name] for name in Aligned._fields))
        self.scores, self.fitting = found.scores, fitting(found.scores, found.gains)
        if not (self._given * self.fitting).any():
            raise ValueError(
                "particles: found no view that resembles the volume of all, need several of one particle, in their images"
            )
        self.gains = self.gains * contrasts(found.gains, found.clearness, self.fitting)
        self.weights = self._given * precisions(found.clearness, self.fitting)
        rotation, known = Rotation.from_matrix(found.rotations), self.data.poses
        two_fold = "y" if known is None else known.two_fold
        poses = Poses(rotation, found.translations, unit=self.data.unit, two_fold=two_fold)
        before, used = self.data.placed, self.data.used
        self.data = self.aligned = self.data.replace(poses=poses, weights=self.weights, gain=self.gains)
        return np.degrees((before.rotation.inv() * self.data.placed.rotation).magnitude()[used])

    def go_on(self, data: Dataset) -> None:
        """Go on with the same views, as symmetric ones in another frame."""
        self.data, self._lam = data, None

    def result(self, status: str) -> Result:
        """Return the last volume, for a call that ends before there is a better one."""
        voxel = self.data.model_voxel
        message = f"{WORDS[status]} before the last reconstruction: the volume is that of the last alignment"
        return Result(self.x, self._lam or 0.0, _ITERATIONS, status, message, [], voxel)

    def volume(self) -> tuple[NDArray, float]:
        """Return a volume of the poses of the moment, soon and roughly, and its lam, which all turns share."""
        data, regularizer = self.data.levelled(), as_regularizer("hessian")
        model = data.model_shape()
        observation = observe(Accumulator(data, [data.used], model, self._workers, None, self._stop))
        lam = self._lam or float(START * guess_lam(observation.sums[0], regularizer))
        run = Run(self._workers, stop=self._stop)
        x = problem_of(observation, None).minimise(lam, regularizer, Until(_ITERATIONS, 0.0), run).x
        self._stop.check()
        if not x.any():
            raise ValueError("particles: found no signal above the background, need particles that show something")
        return np.ascontiguousarray(x[inner(x.shape, model)]), lam
