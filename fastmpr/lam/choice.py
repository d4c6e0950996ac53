"""The weight of the data term for views, by the means that their number allows."""

from __future__ import annotations

import functools
import operator
from typing import Any

from numpy.typing import NDArray

from ..sums.normal_equations import NormalEquations
from .selection import select_lam
from .stein import stein_lam


def chosen_lam(groups: list[NormalEquations], noise: NormalEquations | None, **options: Any) -> tuple[float, NDArray]:
    """Return lam and a volume to start from: of two halves that judge one another, or, given noise, of few views.

    ``options`` are those of `select_lam`.
    """
    if noise is None:
        half, other = groups
        return select_lam(half, other, **options)
    return stein_lam(functools.reduce(operator.add, groups), noise, **options)
