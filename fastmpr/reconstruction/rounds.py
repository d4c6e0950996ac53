"""Views that did not see all of their images: what they would have seen is predicted, in a few rounds.

The sums over what was seen do not know what is beyond it, and no FFT leaves it out. So in each round every such view is
asked once what the volume of the moment predicts for it, which tells how well that volume fits where the views saw
something, and how it should change; then the solver goes on with that (see `sums.partial`), its duals and penalties kept.
The particles themselves are not read again.
"""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import log
from ..lam.choice import chosen_lam
from ..lam.selection import START, guess_lam
from ..lam.stein import energy_of_one
from ..regularizers import Regularizer, Tikhonov
from ..runtime.fft import half_shape
from ..runtime.limits import check_memory
from ..runtime.stopping import Cancelled
from ..solver.control import Result
from ..solver.running import EVERY, begun, solve_near
from ..sums.accumulate import Accumulator
from ..sums.curvature import Curvature
from ..sums.normal_equations import NormalEquations
from ..sums.partial import PartialEquations, first_guess
from ..sums.resampling import inner

_HELD = 2 * 5 + 4  # spectra: two for each secant, and what multiplies by them
_MOST = 5  # predictions
_ITERATIONS = 20  # of the solver between two of them
_ENOUGH = 5e-3  # of phi: what a prediction must at least gain for another one
_NOBODY = 1e-9  # of the views' weight: no view at all, but for rounding
_PASSED = ("workers", "callback", "positivity")
_AT_MOST = 2.0  # times the guess: crops want no more, and where little was seen a half may want hundreds
_SETTLED = 0.1  # of phi: what the last one may gain where the solve succeeded


class Rounds:
    """Predictions, one after another, with the background of each view fitted on the way.

    Of all backgrounds the mean stays where it was estimated: a volume that is brighter everywhere, on backgrounds that are
    darker everywhere, looks the same to views that saw no darkness.

    Parameters
    ----------
    accumulator : Accumulator
        That has observed the views.
    fits : bool
        Whether to fit backgrounds.

    Raises
    ------
    MemoryError
        If what it holds cannot fit in the memory that this process may use.
    """

    def __init__(self, accumulator: Accumulator, fits: bool):
        half, groups = math.prod(half_shape(accumulator.grid)), len(accumulator.groups)
        need = 2 * np.dtype(accumulator.data.dtype).itemsize * half * (_HELD + 4 * groups)
        check_memory("particles", accumulator.model, need, "fewer voxels, or seen='all'")
        self.accumulator, self.fits, self.done = accumulator, fits, 0
        self.levels = np.zeros(len(accumulator.data))
        self.curvature = Curvature(accumulator.grid, accumulator.data.dtype, accumulator.team.size)
        self.seen = [accumulator.seen_weight(group) for group in range(len(accumulator.groups))]

    def share(self) -> NDArray:
        """Return the share of the views' weight that saw each voxel."""
        accumulator = self.accumulator
        weights = [accumulator.data.weights[which] @ ~accumulator.blind[which] for which in accumulator.groups]
        shares = (weight * share for weight, (share, _) in zip(weights, self.seen, strict=True))
        return sum(shares) / sum(weights)

    def at(self, x: NDArray) -> list[PartialEquations]:
        """Return the data term of each group near a volume."""
        accumulator = self.accumulator
        x = accumulator.symmetric(x)  # for a volume that is not, one pose does not tell what the others would
        sums, residual = accumulator.predict(x, self.levels)
        self.done += 1
        if self.fits:
            known = accumulator.tally[:, 0] > 0
            self.levels[known] = residual[known] - self._common(residual[known], accumulator.data.weights[known])
        voxels = math.prod(accumulator.model)
        return [
            PartialEquations(filled, x, share.astype(x.dtype), seen, voxels, self.curvature)
            for filled, (share, seen) in zip(sums, self.seen, strict=True)
        ]

    @staticmethod
    def _common(levels: NDArray, weights: NDArray) -> float:
        """Return the mean of levels: a view that counts for little has as little to say of the others' background."""
        return float(levels.mean() if np.ptp(weights) == 0 else np.average(levels, weights=weights))


def reconstruct_partial(
    accumulator: Accumulator,
    lam: float | str,
    regularizer: Regularizer,
    until: dict[str, Any],
    options: dict[str, Any],
    noise: NormalEquations | None,
) -> Result:
    """Choose lam where it is to be chosen, and minimise, where some views did not see all.

    Parameters
    ----------
    accumulator : Accumulator
        That has observed the views, in halves that can judge one another where there are two groups.
    until : dict
        ``max_iter`` and ``tol`` of the solve.
    options : dict
        ``workers``, ``callback``, ``positivity`` and ``cancel`` of all solves.
    noise : NormalEquations, optional
        Sums of noise like that of the views, where lam is to be chosen for few of them.

    Raises
    ------
    ValueError
        If lam is to be chosen for Tikhonov's prior.
    """
    if lam == "auto" and isinstance(regularizer, Tikhonov):
        raise ValueError(
            f"lam: found 'auto' with regularizer='tikhonov' and {int(accumulator.partial.sum())} views that saw a part of "
            "their images, need a number, or another regularizer: a closed form keeps too much noise to choose by"
        )
    rounds = Rounds(accumulator, accumulator.data.fits_background)
    try:
        return _minimised(rounds, *_begun(rounds, lam, regularizer, options, noise), regularizer, until, options)
    finally:
        rounds.curvature.free()
        accumulator.free()


def _minimised(
    rounds: Rounds,
    lam: float,
    target: PartialEquations,
    regularizer: Regularizer,
    until: dict[str, Any],
    options: dict[str, Any],
) -> Result:
    """Solve and predict in turn."""
    rest = {name: options[name] for name in _PASSED}
    solve = {"x0": target.x, "max_iter": until["max_iter"], "tol": 0.0, **rest}
    with begun(target.near(target.x), lam, regularizer, options["cancel"], **solve) as running:
        goes_on, gain = _follow(running, target), math.inf
        try:
            while goes_on and rounds.done < _MOST and not 0 <= gain < _ENOUGH:
                better = _sum(rounds.at(running.volume()))
                before, after = (_objective(term, lam, regularizer) for term in (target, better))
                gain = (before - after) / max(regularizer.value(better.x), 1e-3 * after)
                target = better.after(target) if after <= before else target.cautious()
                target.move(running.sums, running.volume())
                goes_on = _follow(running, target)
        except Cancelled:
            goes_on = running.go_on()  # which ends at once, and says why
        result = running.result()
    return _told(result, rounds, gain) if goes_on else result


def _begun(
    rounds: Rounds, lam: float | str, regularizer: Regularizer, options: dict[str, Any], noise: NormalEquations | None
) -> tuple[float, PartialEquations]:
    """Return lam, chosen where it is to be, and the data term near a volume to start from."""
    x = first_guess(_sum(rounds.accumulator.sums), rounds.share(), rounds.accumulator.team.size)
    target = _sum(rounds.at(x))
    if lam != "auto":
        return float(lam), target
    rest = {name: options[name] for name in _PASSED}
    energy = target.noise_energy() if noise is None else energy_of_one(target.filled, noise)
    most = guess_lam(target.filled, regularizer, energy)
    rough = solve_near(target, START * most, regularizer, options["cancel"], x, max_iter=_ITERATIONS, tol=0.0, **rest)
    try:
        options["cancel"].check()
        parts = rounds.at(rough.x)
    except Cancelled as cut:
        raise Cancelled(str(cut), rough) from None
    lam, _ = chosen_lam([part.filled for part in parts], noise, regularizer=regularizer, **options)
    most *= _AT_MOST
    if noise is None and lam > most:  # both halves were filled by one volume: where little was seen, they agree on it
        log.info("lam: bounded at %.4g by what is left of the views, the error is least at %.4g", most, lam)
        lam = most
    return lam, _sum(parts).after(target)


def _follow(running: Any, target: PartialEquations) -> bool:
    """Let the solver go on while its sums follow what is known of the data term; return whether it can go on still."""
    for _ in range(0, _ITERATIONS, EVERY):
        if not running.go_on(EVERY):
            return False
        target.move(running.sums, running.iterate())
    return True


def _objective(term: PartialEquations, lam: float, regularizer: Regularizer) -> float:
    return 0.5 * lam * term.filled.misfit(term.x) + regularizer.value(term.x)


def _sum(parts: list[Any]) -> Any:
    return functools.reduce(operator.add, parts)


def _told(result: Result, rounds: Rounds, gain: float) -> Result:
    """Return a result that says how it ended, how many views did not see all, and what nobody saw."""
    accumulator, share = rounds.accumulator, rounds.share()
    success = 0 <= gain <= _SETTLED
    nobody = int(np.count_nonzero(share[inner(accumulator.grid, accumulator.model)] <= _NOBODY))
    change = f"{'lowered' if gain >= 0 else 'raised'} the objective by {abs(gain):.2g} phi"
    views = f"{int(accumulator.partial.sum())} views that saw a part"
    ended = "converged" if success else "stopped"
    message = f"{ended} after {rounds.done} predictions for {views}, the last of which {change}"
    message += f"; {nobody} voxels that no view saw are the prior's" if nobody else ""
    return replace(result, success=success, message=message)
