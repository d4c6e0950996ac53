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
from ..runtime.stopping import Stop
from ..solver.options import Run, Until
from ..sums.accumulator import Accumulator
from ..sums.observation import observe
from ..sums.resampling import inner
from ..views.dataset import Dataset
from .search import Plan, Search

_ITERATIONS = 25  # of a solve between two alignments
_DEVIATIONS = 5.0  # robust standard deviations below the usual score: then a view shows something else
_MARGIN = 0.02  # of a score, that it lies below the usual one at least


class Cycle:
    """A data set whose poses become better from turn to turn.

    Attributes
    ----------
    data : Dataset
        With the poses of the moment; views that do not fit weigh nothing.
    x : (nz, ny, nx) ndarray
        The last volume.
    scores, gains : (N,) ndarray
        Of the last alignment.

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
        self.scores = np.full(len(data), np.nan)
        self._lam: float | None = None
        self.x = np.zeros(data.model_shape(), data.dtype)

    def turn(self, plan: Plan) -> None:
        """Reconstruct a volume, and align the views with it."""
        self.x = self._volume()
        found = Search(
            self.data.replace(weights=self._given), self.x, plan, self._workers, self._tell, self._stop
        ).run()
        self.scores = found.scores
        poses = Poses(Rotation.from_matrix(found.rotations), found.translations, unit=self.data.unit)
        self.data = self.data.replace(poses=poses, weights=self._given * fitting(found.scores))

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


def fitting(scores: NDArray) -> NDArray[np.bool_]:
    """Return which views fit about as well as most; one that was not aligned does not."""
    known = np.isfinite(scores)
    usual = float(np.median(scores[known])) if known.any() else 0.0
    spread = 1.4826 * float(np.median(np.abs(scores[known] - usual))) if known.any() else 0.0
    return known & (np.nan_to_num(scores) >= usual - max(_DEVIATIONS * spread, _MARGIN))
