"""Choose lam for few views, from simulated noise like theirs.

Adding noise of the same kind to the views and solving again shows how far a volume follows the noise. This is what Stein's
unbiased estimate of the error needs beside the data. The estimate assumes that the views hold only the particle and this
noise. If a first volume leaves a larger residual, as with light that left the images or a wrong background, the excess
counts as noise and bounds lam.

References
----------
S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE: a black-box optimization of regularization parameters for general denoising
algorithms", IEEE Transactions on Image Processing 17(9), 2008.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Unpack

from numpy.typing import NDArray

from .._messages import log
from ..regularizers import Regularizer, as_regularizer
from ..runtime.fft import rfftn
from ..runtime.stopping import Event
from ..solver.options import SolveOptions
from ..sums.normal_equations import NormalEquations, as_sums
from .risk import error_weight, risk, weighted
from .selection import START, guess_lam
from .trials import Trials, least

_PRIOR = 0.25  # of the way from Stein's lam to the guess: they err by 0.7 and 1.2 octaves (`reports.lam`)
_PUSH = 0.5  # share of the noise that is added
_MORE = 4.0  # bound of lam in units of the guess: no problem of `reports.lam` needs more
_FLOOR = 1e-8  # least noise, as a share of the energy of the views
_REST = 1.3  # largest residual of a first volume, in units of the noise, for this bound
_ABOVE = 0.5  # bound for a larger residual, over that residual: too low a lam costs less than too high a one


def stein_lam(
    sums: NormalEquations,
    noise: NormalEquations,
    regularizer: str | Regularizer = "hessian",
    *,
    cancel: Event | None = None,
    timeout: float | None = None,
    **options: Unpack[SolveOptions],
) -> tuple[float, NDArray]:
    """Choose lam by Stein's estimate of the error.

    Parameters
    ----------
    sums : NormalEquations
    noise : NormalEquations
        Sums of noise alone, like the noise of the views and in their poses; see `sums.noise`.
    regularizer, cancel, timeout, **options
        As in `select_lam`, as are the returned values and the errors.
    """
    trial = Trials("reconstruct", regularizer, cancel, timeout, options)
    workers, energy = trial.workers(as_sums(sums)), energy_of_one(sums, noise)
    guess = START * guess_lam(sums, as_regularizer(regularizer), energy)
    first = trial(sums, guess, None)
    weight = error_weight(sums, first, energy, workers)
    pushed = replace(sums, rhs=sums.rhs + noise.rhs.dtype.type(_PUSH) * noise.rhs)

    def error(lam: float, near: tuple[NDArray, ...] | None) -> tuple[float, tuple[NDArray, ...]]:
        x, y = (trial(term, lam, x0) for term, x0 in zip((sums, pushed), near or (first, first), strict=True))
        follows = weighted(weight, rfftn(y - x, workers), noise.rhs, sums.shape)
        return risk(sums, x, weight, workers) + 2 / _PUSH * follows, (x, y)

    best = least(error, guess)
    most, lam = guess * _bound(sums.misfit(first) / (energy * sums.n_poses)), best.lam * (guess / best.lam) ** _PRIOR
    if lam > most:
        log.info("lam: bounded at %.4g, Stein's estimate of the error is least at %.4g", most, best.lam)
    return min(lam, most), best.volumes[0]


def energy_of_one(sums: NormalEquations, noise: NormalEquations) -> float:
    """Return the noise energy of one view; never zero, even without noise."""
    return max(noise.energy / noise.n_poses, _FLOOR * sums.energy / sums.n_poses) or float(math.prod(sums.shape))


def _bound(rest: float) -> float:
    """Return the largest lam in units of the guess, given the residual of the views over their noise."""
    return _MORE if rest < _REST else _ABOVE / rest
