"""Reconstruct and align in turn: each volume is made of the poses that were found with the one before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import Progress
from ..geometry.poses import Poses
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
from .search import Plan, Search

_ITERATIONS = 25  # of a solve between two alignments
_DEVIATIONS, _SHARE = (
    5.0,
    0.75,
)  # below the usual score by more robust deviations, and below a share of it: another thing
_BRIGHTER = 5.0  # times the usual gain: such a view would be all that a volume shows


class Cycle:
    """A data set whose poses become better from turn to turn.

    Attributes
    ----------
    data : Dataset
        With the poses of the moment; views that do not fit weigh nothing.
    x : (nz, ny, nx) ndarray
        The last volume.
    scores : (N,) ndarray
        Of the last alignment.
    fitting : (N,) ndarray of bool
        The views that fit about as well as most.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses to begin with. Less its backgrounds.
    workers, tell, stop
        As the public functions have them.
    """

    def __init__(self, data: Dataset, workers: int | None, tell: Progress | None, stop: Stop):
        self.data, self._given = data, data.weights
        self._workers, self._tell, self._stop = workers, tell, stop
        self.scores, self.fitting = np.full(len(data), np.nan), np.ones(len(data), bool)
        self._lam: float | None = None
        self.x = np.zeros(data.model_shape(), data.dtype)

    def turn(self, plan: Plan) -> None:
        """Reconstruct a volume, and align the views with it."""
        self.x = self._volume()
        found = Search(
            self.data.replace(weights=self._given), self.x, plan, self._workers, self._tell, self._stop
        ).run()
        self.scores, self.fitting = found.scores, fitting(found.scores, found.gains)
        rotation, known = Rotation.from_matrix(found.rotations), self.data.poses
        two_fold = "y" if known is None else known.two_fold
        if not (self._given * self.fitting).any():
            raise ValueError("particles: found no view that resembles the volume of all, need several of one particle")
        poses = Poses(rotation, found.translations, unit=self.data.unit, two_fold=two_fold)
        self.data = self.data.replace(poses=poses, weights=self._given * self.fitting)

    def result(self, status: str) -> Result:
        """Return the last volume, for a call that ends before there is a better one."""
        message = f"{WORDS[status]} before the last reconstruction: the volume is that of the last alignment"
        return Result(self.x, self._lam or 0.0, _ITERATIONS, status, message, [], self.data.model_voxel)

    def _volume(self) -> NDArray:
        """Return a volume of the poses of the moment, soon and roughly."""
        data, regularizer = self.data, as_regularizer("hessian")
        model = data.model_shape()
        observation = observe(Accumulator(data, [data.used], model, self._workers, None, self._stop))
        if self._lam is None:
            self._lam = START * guess_lam(observation.sums[0], regularizer)
        run = Run(self._workers, stop=self._stop)
        x = problem_of(observation, None).minimise(self._lam, regularizer, Until(_ITERATIONS, 0.0), run).x
        self._stop.check()
        if not x.any():
            raise ValueError("particles: found no signal above the background, need particles that show something")
        return np.ascontiguousarray(x[inner(x.shape, model)])


def fitting(scores: NDArray, gains: NDArray) -> NDArray[np.bool_]:
    """Return which views fit about as well as most, and are not far brighter; a view that was not aligned does not fit."""
    known = np.isfinite(scores)
    if not known.any():
        return known
    usual = float(np.median(scores[known]))
    spread = 1.4826 * float(np.median(np.abs(scores[known] - usual)))
    least = min(usual - _DEVIATIONS * spread, _SHARE * usual)
    return known & (np.nan_to_num(scores) >= least) & (gains <= _BRIGHTER * np.median(gains[known]))
