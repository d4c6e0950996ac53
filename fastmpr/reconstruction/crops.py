"""Solve for views that saw only a part of their images, by predicting the unseen part a few times.

An FFT covers the whole image, so the sums cannot leave out its unseen voxels. Therefore each such view is predicted from the
current volume a few times. The prediction shows how well the volume fits the seen voxels, and how it must change. The solver
then continues with this new data term (see `partial`) and keeps its duals and penalties. The particles are not read again.
"""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .._messages import log
from ..lam.choice import choose_lam
from ..lam.selection import START, guess_lam
from ..lam.stein import energy_of_one
from ..regularizers import Regularizer, has_closed_form
from ..resolution.halves import Halves
from ..runtime.fft import half_shape
from ..runtime.limits import check_memory
from ..runtime.stopping import Cancelled
from ..solver.options import Run, Until
from ..solver.result import Result
from ..solver.running import Solve, begin
from ..sums.normal_equations import NormalEquations
from ..sums.observation import Observation, predict
from ..sums.resampling import inner
from .curvature import Curvature
from .partial import PartialEquations, first_guess

_HELD = 2 * 5 + 4  # spectra in memory: two for each secant, and those of the products
_MOST = 5  # predictions at most
_ITERATIONS = 20  # of the solver between two predictions
_EVERY = 1  # iterations after which the data term is linearised again
_ENOUGH = 5e-3  # of phi: a prediction must lower the objective by this much for another one
_NOBODY = 1e-9  # of the views' weight: less is no view at all, but rounding
_AT_MOST = 2.0  # bound of lam in units of the guess: crops need no more, but halves that saw little may choose hundreds
_HALF_ROUNDS = 3  # predictions of half of the views
_SETTLED = 0.1  # of phi: the last prediction may lower the objective by this much in a converged solve


class Crops:
    """A `Problem` with views of which some saw only a part of their images.

    Parameters
    ----------
    observation : Observation
    noise : NormalEquations, optional
        Sums of noise like that of the views, if lam is to be chosen for few views.
    keeps : bool
        Whether the halves are used after the problem is minimised.
    """

    def __init__(self, observation: Observation, noise: NormalEquations | None, keeps: bool):
        self._observation, self._noise, self._keeps = observation, noise, keeps

    def minimise(self, lam: float | str, regularizer: Regularizer, until: Until, run: Run) -> Result:
        """Choose lam if it is "auto", and minimise; see `Problem`.

        Raises
        ------
        ValueError
            If lam is to be chosen for a regulariser with a closed form.
        MemoryError
            If the predictions cannot fit in the memory that this process may use.
        """
        if lam == "auto" and has_closed_form(regularizer):
            raise ValueError(
                f"lam: found 'auto' with regularizer='tikhonov' and {int(self._observation.partial.sum())} views that saw "
                "a part of their images, need a number, or another regularizer: a closed form keeps too much noise for that"
            )
        predictions = Predictions(self._observation)
        try:
            chosen, target = self._start(predictions, lam, regularizer, run)
            return _minimised(predictions, chosen, target, regularizer, until, run)
        finally:
            predictions.free(keeps=self._keeps)

    def halves(self, lam: float, regularizer: Regularizer, run: Run) -> Halves:
        """Return the halves; see `Problem`. Each half predicts what its own views did not see."""
        workers, model = self._observation.accumulator.team.size, self._observation.accumulator.model
        sums, volumes = [], []
        for half, seen in enumerate(self._observation.sums):
            predictions = Predictions(self._observation)
            try:
                x = first_guess(seen, predictions.share(half), workers)
                for _ in range(_HALF_ROUNDS):
                    x = _solved_near(predictions.at(x)[half], lam, regularizer, run, x).x
                    run.stop.check(" while its resolution was estimated")
                sums.append(predictions.at(x)[half].filled)
            finally:
                predictions.free(keeps=half == 0)
            volumes.append(x[inner(x.shape, model)])
        order = len(self._observation.accumulator.data.group)
        return Halves((sums[0], sums[1]), (volumes[0], volumes[1]), order)

    def _start(
        self, predictions: Predictions, lam: float | str, regularizer: Regularizer, run: Run
    ) -> tuple[float, PartialEquations]:
        """Return lam, chosen if it is "auto", and the data term near a volume to start from."""
        workers, noise = self._observation.accumulator.team.size, self._noise
        x = first_guess(_sum(self._observation.sums), predictions.share(), workers)
        target = _sum(predictions.at(x))
        if not isinstance(lam, str):
            return float(lam), target
        energy = target.noise_energy() if noise is None else energy_of_one(target.filled, noise)
        most = guess_lam(target.filled, regularizer, energy)
        rough = _solved_near(target, START * most, regularizer, run, x)
        try:
            run.stop.check(" while lam was being chosen")
            parts = predictions.at(rough.x)
        except Cancelled as cut:
            cut.result = rough
            raise
        chosen, _ = choose_lam([part.filled for part in parts], noise, regularizer, run)
        most *= _AT_MOST
        if noise is None and chosen > most:  # one volume filled both halves, so they agree where little was seen
            log.info("lam: bounded at %.4g by the residual of the views, the error is least at %.4g", most, chosen)
            chosen = most
        return chosen, _sum(parts).after(target)


class Predictions:
    """Predict the views again and again, and fit the background of each view on the way.

    The mean of all backgrounds stays as it was estimated. Views that saw no dark voxels cannot tell a brighter volume from a
    brighter background.

    Raises
    ------
    MemoryError
        If the predictions cannot fit in the memory that this process may use.
    """

    def __init__(self, observation: Observation):
        accumulator = observation.accumulator
        half, groups = math.prod(half_shape(accumulator.grid)), len(accumulator.groups)
        need = 2 * np.dtype(accumulator.data.dtype).itemsize * half * (_HELD + 4 * groups)
        check_memory("particles", accumulator.model, need, "fewer voxels, or seen='all'")
        self.observation, self.done = observation, 0
        self._levels = np.zeros(len(accumulator.data))
        self._curvature = Curvature(accumulator.grid, accumulator.data.dtype, accumulator.team.size)
        self._seen = [observation.weight_seen(group) for group in range(groups)]

    def free(self, keeps: bool = False) -> None:
        """Free the buffers; those of the accumulator only if it is not to be kept."""
        self._curvature.free()
        if not keeps:
            self.observation.accumulator.free()

    def share(self, group: int | None = None) -> NDArray:
        """Return the share of the weight of all views, or of one group, that saw each voxel."""
        if group is not None:
            return self._seen[group][0]
        data, blind = self.observation.accumulator.data, self.observation.blind
        weights = [data.weights[which] @ ~blind[which] for which in self.observation.accumulator.groups]
        shares = (weight * share for weight, (share, _) in zip(weights, self._seen, strict=True))
        return sum(shares) / sum(weights)

    def at(self, x: NDArray) -> list[PartialEquations]:
        """Return the data term of each group near a volume."""
        accumulator = self.observation.accumulator
        x = accumulator.symmetric(x)  # otherwise one pose would not predict what its symmetric copies do
        sums, residual = predict(self.observation, x, self._levels)
        self.done += 1
        if accumulator.data.fits_background:
            known = self.observation.statistics[:, 0] > 0
            common = _mean_level(residual[known], accumulator.data.weights[known])
            self._levels[known] = residual[known] - common
        voxels = math.prod(accumulator.model)
        return [
            PartialEquations(filled, x, share.astype(x.dtype), seen, voxels, self._curvature)
            for filled, (share, seen) in zip(sums, self._seen, strict=True)
        ]


def _mean_level(levels: NDArray, weights: NDArray) -> float:
    """Return the weighted mean of the levels, or the plain mean if all weights are equal."""
    return float(levels.mean() if np.ptp(weights) == 0 else np.average(levels, weights=weights))


def _solved_near(term: PartialEquations, lam: float, regularizer: Regularizer, run: Run, x0: NDArray) -> Result:
    """Minimise the guessed data term and the prior for some iterations."""
    with begin(term.near(x0), lam, regularizer, Until(_ITERATIONS, 0.0), run, x0) as solve:
        while solve.go_on(_EVERY):
            solve.change(term.linearise)
        return solve.result()


def _minimised(
    predictions: Predictions, lam: float, target: PartialEquations, regularizer: Regularizer, until: Until, run: Run
) -> Result:
    """Alternate between solving and predicting; return the result."""
    until = Until(until.max_iter, 0.0)
    with begin(target.near(target.x), lam, regularizer, until, run, target.x) as solve:
        goes_on, gain = _follow(solve, target), math.inf
        try:
            while goes_on and predictions.done < _MOST and not 0 <= gain < _ENOUGH:
                better = _sum(predictions.at(solve.volume()))
                before, after = (_objective(term, lam, regularizer) for term in (target, better))
                gain = (before - after) / max(regularizer.value(better.x), 1e-3 * after)
                target = better.after(target) if after <= before else target.cautious()
                solve.change(target.linearise, solve.volume())
                goes_on = _follow(solve, target)
        except Cancelled:
            goes_on = solve.go_on()  # ends at once, with the reason
        result = solve.result()
    return _finished(result, predictions, gain) if goes_on else result


def _follow(solve: Solve, term: PartialEquations) -> bool:
    """Continue a solve for some iterations, with the data term linearised again; return whether it can continue."""
    for _ in range(0, _ITERATIONS, _EVERY):
        if not solve.go_on(_EVERY):
            return False
        solve.change(term.linearise)
    return True


def _objective(term: PartialEquations, lam: float, regularizer: Regularizer) -> float:
    return 0.5 * lam * term.filled.misfit(term.x) + regularizer.value(term.x)


def _sum(parts):
    return functools.reduce(operator.add, parts)


def _finished(result: Result, predictions: Predictions, gain: float) -> Result:
    """Return the result with a message: how it ended, how many views saw a part, and how many voxels no view saw."""
    observation, share = predictions.observation, predictions.share()
    status = "converged" if 0 <= gain <= _SETTLED else "max_iter"
    grid, model = observation.accumulator.grid, observation.accumulator.model
    nobody = int(np.count_nonzero(share[inner(grid, model)] <= _NOBODY))
    change = f"{'lowered' if gain >= 0 else 'raised'} the objective by {abs(gain):.2g} phi"
    views = f"{int(observation.partial.sum())} views that saw a part"
    ended = "converged" if status == "converged" else "stopped"
    message = f"{ended} after {predictions.done} predictions for {views}, the last of which {change}"
    message += f"; {nobody} voxels that no view saw come from the prior" if nobody else ""
    return replace(result, status=status, message=message)
