"""Two halves of the views, each with a volume of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from numpy.typing import NDArray

from ..regularizers import Regularizer
from ..solver.admm import solve
from ..solver.options import Run
from ..sums.normal_equations import NormalEquations

_ITERATIONS = 20  # from zero: the resolution is the same to 1 % after 15, and after convergence


class Halves(NamedTuple):
    """Two disjoint sets of views, and what each shows.

    Attributes
    ----------
    sums : pair of NormalEquations
        On one grid.
    volumes : pair of (nz, ny, nx) ndarray
        The volume of each half, on the model. They must not know the other half: a start from the volume of all views would.
    order : int
        Number of poses that are equivalent by symmetry: so many frequencies hold the same noise.
    """

    sums: tuple[NormalEquations, NormalEquations]
    volumes: tuple[NDArray, NDArray]
    order: int


def solved(groups: Sequence[NormalEquations], lam: float, regularizer: Regularizer, run: Run, order: int) -> Halves:
    """Return two halves, solved from zero with the weight that all views have.

    Raises
    ------
    Cancelled
        If the call is to end before both are solved.
    """
    volumes = []
    for sums in groups:
        result = solve(
            sums,
            lam,
            regularizer,
            max_iter=_ITERATIONS,
            tol=0.0,
            positivity=run.positivity,
            workers=run.workers,
            callback=run.callback,
            cancel=run.stop,
        )
        run.stop.check(" while its resolution was estimated", result)
        volumes.append(sums.crop(result.x))
    one, other = groups
    return Halves((one, other), (volumes[0], volumes[1]), order)
