"""Observed views as a minimisation problem, whether all saw their whole images or some a part."""

from __future__ import annotations

import functools
import operator
from typing import Protocol

from ..lam.choice import choose_lam
from ..regularizers import Regularizer
from ..resolution.halves import Halves, solved
from ..solver.admm import solve
from ..solver.options import Run, Until
from ..solver.result import Result
from ..sums.normal_equations import NormalEquations
from ..sums.observation import Observation
from .crops import Crops


class Problem(Protocol):
    """Observed views; if they come as two halves, these can judge each other to choose lam."""

    def minimise(self, lam: float | str, regularizer: Regularizer, until: Until, run: Run) -> Result:
        """Choose lam if it is "auto", and minimise on the padded grid. Only `halves` can be used after that, if kept.

        Raises
        ------
        Cancelled
            If the call is to end before lam is chosen.
        """

    def halves(self, lam: float, regularizer: Regularizer, run: Run) -> Halves:
        """Return the halves, each with its own volume. The problem cannot be used again.

        Raises
        ------
        Cancelled
            If the call is to end before both are solved.
        """


def problem_of(observation: Observation, noise: NormalEquations | None, keeps: bool = False) -> Problem:
    """Return the problem of an observation; the problem takes over the accumulator.

    Parameters
    ----------
    observation : Observation
    noise : NormalEquations, optional
        Sums of noise like that of the views, if lam is to be chosen for few views.
    keeps : bool
        Whether the halves are used after the problem is minimised.
    """
    if observation.partial.any():
        return Crops(observation, noise, keeps)
    observation.accumulator.free()
    return WholeViews(list(observation.sums), noise, len(observation.accumulator.data.group), keeps)


class WholeViews:
    """A `Problem` of views that saw their whole images; it needs only their sums."""

    def __init__(self, groups: list[NormalEquations], noise: NormalEquations | None, order: int, keeps: bool):
        self._groups, self._noise, self._order, self._keeps = groups, noise, order, keeps

    def minimise(self, lam: float | str, regularizer: Regularizer, until: Until, run: Run) -> Result:
        """Choose lam if it is "auto", and minimise; see `Problem`."""
        auto = isinstance(lam, str)
        chosen, start = choose_lam(self._groups, self._noise, regularizer, run) if auto else (float(lam), None)
        sums = functools.reduce(operator.add, self._groups)
        if not self._keeps:
            self._groups.clear()  # as large as the solver's own arrays
        return solve(
            sums,
            chosen,
            regularizer,
            x0=start,
            max_iter=until.max_iter,
            tol=until.tol,
            positivity=run.positivity,
            workers=run.workers,
            callback=run.callback,
            cancel=run.stop,
        )

    def halves(self, lam: float, regularizer: Regularizer, run: Run) -> Halves:
        """Return the halves; see `Problem`."""
        return solved(self._groups, lam, regularizer, run, self._order)
