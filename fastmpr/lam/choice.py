"""The weight of the data term for views, by the means that their number allows."""

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
    """Return lam and a volume to start from: of two halves that judge one another, or, given noise, of few views."""
    how: SolveOptions = {"workers": run.workers, "callback": run.callback, "positivity": run.positivity}
    if noise is None:
        half, other = groups
        return select_lam(half, other, regularizer, cancel=run.stop, **how)
    return stein_lam(functools.reduce(operator.add, groups), noise, regularizer, cancel=run.stop, **how)
