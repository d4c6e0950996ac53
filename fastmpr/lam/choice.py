"""Choose lam for views by the method that their number allows."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

from numpy.typing import NDArray

from ..regularizers import Regularizer
from ..solver.options import Run, SolveOptions
from ..sums.normal_equations import NormalEquations
from .selection import select_lam
from .stein import stein_lam


def choose_lam(
    groups: Sequence[NormalEquations], noise: NormalEquations | None, regularizer: Regularizer, run: Run
) -> tuple[float, NDArray]:
    """Return lam and a volume to start from: by two halves that judge each other or, given noise, for few views."""
    solve_options: SolveOptions = {"workers": run.workers, "callback": run.callback, "positivity": run.positivity}
    if noise is None:
        half, other = groups
        return select_lam(half, other, regularizer, cancel=run.stop, **solve_options)
    return stein_lam(functools.reduce(operator.add, groups), noise, regularizer, cancel=run.stop, **solve_options)
