"""Views that were observed, as something to be minimised: whether all saw all of their images, or some a part."""

from __future__ import annotations

import functools
import operator
from typing import Protocol

from ..lam.choice import choose_lam
from ..regularizers import Regularizer
from ..solver.admm import solve
from ..solver.options import Run, Until
from ..solver.result import Result
from ..sums.normal_equations import NormalEquations
from ..sums.observation import Observation
from .crops import Crops


class Problem(Protocol):
    """Views that were observed, in halves that can judge one another where there are two sets of them."""

    def minimise(self, lam: float | str, regularizer: Regularizer, until: Until, run: Run) -> Result:
        """Choose lam where that is "auto", and minimise on the padded grid; then the problem is spent.

        Raises
        ------
        Cancelled
            If the call is to end before lam is chosen.
        """


def problem_of(observation: Observation, noise: NormalEquations | None) -> Problem:
    """Return the problem of an observation, whose accumulator it takes over.

    Parameters
    ----------
    observation : Observation
    noise : NormalEquations, optional
        Sums of noise like that of the views, where lam is to be chosen for few of them.
    """
    if observation.partial.any():
        return Crops(observation, noise)
    observation.accumulator.free()
    return WholeViews(list(observation.sums), noise)


class WholeViews:
    """A `Problem` of views that saw all of their images: their sums are all that it needs."""

    def __init__(self, groups: list[NormalEquations], noise: NormalEquations | None):
        self._groups, self._noise = groups, noise

    def minimise(self, lam: float | str, regularizer: Regularizer, until: Until, run: Run) -> Result:
        """Choose lam where that is "auto", and minimise; see `Problem`."""
        auto = isinstance(lam, str)
        chosen, start = choose_lam(self._groups, self._noise, regularizer, run) if auto else (float(lam), None)
        sums = functools.reduce(operator.add, self._groups)
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
