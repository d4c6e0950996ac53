"""Short solves of one problem with many weights of the data term, and the search for the best weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..runtime.stopping import as_stop
from ..runtime.threads import as_workers
from ..solver.admm import solve
from ..solver.options import SolveOptions
from ..sums.normal_equations import NormalEquations

STEP = math.log(4.0)  # from one weight that is tried to the next
_TRIALS = 7
_TOLERANCE = 1e-2


class Trials:
    """The short solves of a search; a stop of one solve ends the search.

    Parameters
    ----------
    name : str
        The function that searches, for messages.
    regularizer, cancel, timeout, options
        As in `select_lam`.
    first, later : int
        Iterations of a solve from zero, and of one from a volume, unless ``options`` set them.
    """

    def __init__(
        self,
        name: str,
        regularizer: Any,
        cancel: Any,
        timeout: Any,
        options: SolveOptions,
        first: int = 14,
        later: int = 8,
    ):
        self.stop, self.regularizer = as_stop(name, cancel, timeout), regularizer
        self.options: SolveOptions = {"tol": _TOLERANCE, **options}
        self.most = first, later

    def __call__(self, sums: NormalEquations, lam: float, x0: NDArray | None) -> NDArray:
        """Return the volume for one weight."""
        options: SolveOptions = {"max_iter": self.most[x0 is not None], **self.options}
        result = solve(sums, lam, self.regularizer, x0=x0, cancel=self.stop, **options)
        self.stop.check(" while lam was being chosen", result)
        return result.x

    def workers(self, sums: NormalEquations) -> int:
        """Return the number of threads for an FFT."""
        return as_workers(self.options.get("workers"), math.prod(sums.shape))


class Least(NamedTuple):
    """The minimum of an error.

    Attributes
    ----------
    lam : float
    volumes : tuple of ndarray
        The volumes of the nearest weight that was tried.
    found : bool
        Whether weights on both sides were worse.
    """

    lam: float
    volumes: tuple[NDArray, ...]
    found: bool


Error = Callable[[float, tuple[NDArray, ...] | None], tuple[float, tuple[NDArray, ...]]]


def least(error: Error, guess: float) -> Least:
    """Return the weight of least error.

    The search tries weights a factor of 4 apart, downhill from a guess, and fits a parabola through the best three.

    Parameters
    ----------
    error : callable
        Takes a weight and the volumes of the nearest weight tried (None at first); returns the error and the volumes.
    guess : float
        The first weight to try.
    """
    errors: dict[int, float] = {}
    volumes: dict[int, tuple[NDArray, ...]] = {}

    def at(k: int) -> float:
        if k not in errors:
            nearest = min(volumes, key=lambda j: abs(j - k), default=None)
            start = None if nearest is None else volumes[nearest]
            errors[k], volumes[k] = error(guess * math.exp(k * STEP), start)
        return errors[k]

    best, downhill = 0, 1 if at(0) > at(1) else -1
    while len(errors) < _TRIALS and at(best + downhill) < at(best):
        best += downhill
    left, centre, right = at(best - 1), at(best), at(best + 1)
    curvature = left - 2 * centre + right
    shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    lam = guess * math.exp((best + min(max(shift, -1.0), 1.0)) * STEP)
    return Least(lam, volumes[best], centre <= min(left, right))
