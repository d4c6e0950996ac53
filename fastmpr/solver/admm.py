"""The solver: ADMM on the sums, two FFTs per iteration whatever the number of views.

One iteration, with r the relaxation, scaled duals d and d2, and u, u2 the split variables of D x = u, x = u2:

    x  <- F^-1 { (F{ D^T (u - d) + mu2 (u2 - d2) } + lam B) / (mu |D^|^2 + mu2 + lam S) }
    v  <- r mu D x + (1 - r) u  + d       d  <- P(v)            u  <- v  - d
    v2 <- r x      + (1 - r) u2 + d2      u2 <- max(v2, 0)      d2 <- v2 - u2

Here u and d are mu times those of the textbook: d is the multiplier itself, and P, which projects on the subgradients of
phi, does not depend on mu. Neither is stored: the state s = (1 - r) u + d is all that the next v needs, and
D^T (u - d) + mu2 (u2 - d2), here called the feedback, is all that the next x needs. A team of threads goes through four
phases, each on its own slab of planes or block of columns, and meets at a barrier after each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._limits import check_memory
from .._stopping import Event, as_stop
from .._validation import Size, as_count, as_finite, as_flag, as_number, as_positive, shown
from ..engine.threads import Team, as_workers
from ..engine.turns import taking_turns
from ..sums.normal_equations import RANGE, NormalEquations, as_sums
from .control import Control, Result
from .iteration import Iteration, bytes_needed
from .regularizers import Regularizer, Tikhonov, as_regularizer

_FINE = 1e-3  # a tolerance below which rounding to 16 bits could be seen in the residuals
_TOUCHY = 1 << 15  # voxels above which a solve's arrays fill a core's cache


def objective(x: NDArray, sums: NormalEquations, lam: float, regularizer: str | Regularizer = "hessian") -> float:
    """Return (lam / 2) sum_i w_i ||y_i - H_i x||^2 + phi(x), the function that `solve` minimises over x >= 0."""
    as_sums(sums)
    x = as_finite(x, "x")
    if x.shape != sums.shape:
        raise ValueError(f"x: found shape {x.shape}, need the shape of the sums, {sums.shape}")
    return 0.5 * as_positive(lam, "lam") * sums.misfit(x) + as_regularizer(regularizer).value(x)


def solve(
    sums: NormalEquations,
    lam: float,
    regularizer: str | Regularizer = "hessian",
    *,
    x0: NDArray | None = None,
    max_iter: int = 1000,
    tol: float = 2e-3,
    mu: float | tuple[float, float] | None = None,
    relaxation: float = 1.8,
    workers: int | None = None,
    deterministic: bool = False,
    callback: Callable[[Result], Any] | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> Result:
    """Minimise (lam / 2) sum_i w_i ||y_i - H_i x||^2 + phi(x) over x >= 0, on the periodic grid of the sums.

    Pure ADMM: no padding, no resampling. Every array has the shape of the sums; ``sums.gram`` decides the precision.

    Parameters
    ----------
    sums : NormalEquations
        What `accumulate` made of the views.
    lam : float
        Weight of the data term: the larger, the closer to the data and the noisier. Where the prior has the weight instead,
        as in scikit-image, that is 1 / lam.
    regularizer : str or Regularizer
        ``"hessian"``: the nuclear norm of the Hessian; ``"tv"``: isotropic total variation; ``"tikhonov"``: half the
        squared gradient, in closed form and then clipped at 0, so that all options but ``lam`` are idle.
    x0 : (nz, ny, nx) ndarray, optional
        Where to start; by default from nothing.
    max_iter : int
        Most iterations.
    tol : float
        Stop when all normalised residuals are below it; at the default the objective is about 2e-4 phi(x) above its
        minimum, 5e-3 at most (or 1e-4 of the objective, where phi(x) is less than a thousandth of it). 0 runs exactly
        ``max_iter`` iterations.
    mu : float or (mu1, mu2), optional
        Penalty parameters of D x = u and x = u2, then kept fixed. By default chosen, and adapted as it goes.
    relaxation : float
        Over-relaxation, between 0 and 2 (exclusive).
    workers : int, optional
        Threads at most; by default all that this process may use. Small grids take fewer, about one for each 16,000 voxels.
    deterministic : bool
        Promise the same bits from run to run with the same ``workers``. As it is, every solve keeps it; say so where you
        rely on it. Only `warm_up` changes those of the grid it is asked for, once, and of none below a million voxels.
    callback : callable, optional
        Called after every iteration with the `Result` so far; it may raise StopIteration to end the solve.
    cancel : threading.Event, optional
        Or anything with ``is_set()``, asked after every iteration: once it is set, the solve ends with what there is.
    timeout : float, optional
        Seconds from the call after which to end with what there is.

    Returns
    -------
    Result
        With ``success`` only if the residuals fell below ``tol``.

    Raises
    ------
    ValueError
        If ``lam``, ``mu``, ``relaxation``, ``max_iter``, ``tol``, ``timeout`` or ``x0`` is out of its range.
    MemoryError
        At once, if the solve cannot fit in the memory that this process may use.

    Notes
    -----
    The residuals are those of the optimality conditions. Primal: ||Dx - u|| and ||x - u2||, each over the larger of its
    two parts; and how much they could change the objective, sqrt(k n) ||Dx - u|| + mu2 ||d2|| ||x - u2|| over 2 phi (k = 3
    for the Hessian, 1 for the gradient, n voxels). Dual: r = ||lam (S x - B) + mu D^T d + mu2 d2|| over the largest that the
    last two terms could be for their d and d2, and r ||x|| over 120 phi. Here phi is <u, d>, or, where that is less than a
    thousandth of the objective, a hundredth of it (a thousandth in the dual one); where x fades away, D x counts as a
    thousandth of a first guess at least. They cost no FFT. Without over-relaxation and adaptation the iteration is that of
    [1]_; the nuclear norm follows [2]_.

    References
    ----------
    .. [1] S. Boyd et al., "Distributed optimization and statistical learning via the alternating direction method of
       multipliers", Foundations and Trends in Machine Learning 3(1), 2011.
    .. [2] D. Fortun et al., "Reconstruction from multiple particles for 3D isotropic resolution in fluorescence
       microscopy", IEEE Transactions on Medical Imaging 37(5), 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> gram = np.ones((8, 8, 5))
    >>> y = np.zeros((8, 8, 8))
    >>> y[4, 4, 4] = 1
    >>> sums = fastmpr.NormalEquations(gram, np.fft.rfftn(y), 1.0, 1, (8, 8, 8), 1.0)
    >>> fastmpr.solve(sums, lam=100.0).x.shape
    (8, 8, 8)
    """
    stop = as_stop("solve", cancel, timeout)
    lam = as_positive(lam, "lam")
    max_iter, tol = as_stopping(max_iter, tol)
    relaxation = as_number(relaxation, "relaxation", 1e-3, 2 - 1e-3, "a number from 0.001 to 1.999")
    callback, _ = as_callback(callback), as_flag(deterministic, "deterministic")
    _check_lam(lam, as_sums(sums))
    chosen = as_regularizer(regularizer)
    if isinstance(chosen, Tikhonov):
        return _finite(Result(chosen.minimiser(sums, lam), lam, 0, True, "closed form", [], sums.voxel_size))
    precise = mu is not None or 0 < tol < _FINE
    check_memory("sums", sums.shape, bytes_needed(sums, chosen, precise))
    voxels = math.prod(sums.shape)
    team = Team(threads_for(sums.shape, workers))
    with taking_turns(team.size if voxels > _TOUCHY else 0, stop.is_set) as turn:
        iteration = Iteration(sums, lam, chosen, mu, relaxation, team, precise)
        try:
            if x0 is not None:
                iteration.start_from(x0)
            control = Control(iteration, max_iter, tol, callback, stop, turn)
            team.run(lambda member: _loop(member, iteration, control))
            return _finite(control.result(last=True))
        finally:
            iteration.fft.free()


def threads_for(shape: Size, workers: int | None) -> int:
    """Return how many threads a solve takes: each has two planes or more."""
    return max(1, min(as_workers(workers, math.prod(shape)), shape[0] // 2))


def as_stopping(max_iter: Any, tol: Any) -> tuple[int, float]:
    """Return when to stop: after how many iterations, and at which residuals."""
    return as_count(max_iter, "max_iter"), as_number(tol, "tol", 0, 1, "a number from 0 to 1")


def as_callback(callback: Any) -> Callable[[Result], Any] | None:
    """Return what is to be called after every iteration, if anything."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback: found {shown(callback)}, need a callable(result)")
    return callback


def _finite(result: Result) -> Result:
    """Return a result, or raise an error where it is none."""
    if not all(np.isfinite(plane).all() for plane in result.x):  # by planes: memory is at its peak
        size = f"lam = {result.lam:.3g}, {result.x.dtype}"
        raise ValueError(
            f"sums: found numbers out of range while solving ({size}), need a smaller lam, mu or intensities"
        )
    return result


def _check_lam(lam: float, sums: NormalEquations) -> None:
    """Refuse a weight with which the data term leaves the range of the precision."""
    least, most = (limit**2 for limit in RANGE[sums.gram.dtype.type])
    largest = max(sums.sizes())
    if largest and not least < lam * largest < most:
        raise ValueError(
            f"lam: found {lam:g}, need between {least / largest:.1g} and {most / largest:.1g} for these sums in "
            f"{sums.gram.dtype}"
        )


def _loop(member: int, iteration: Iteration, control: Control) -> None:
    """What each member of the team does: step, now and then check the residuals, and stop when the control has a message."""
    for nit in itertools.count(1):
        check, fit = control.checks(nit), control.fits(nit)
        iteration.x_step(member, check or fit)
        if check:
            iteration.measure(member)
        if check or fit or control.watched:
            if member == 0:
                control.decide(nit, check)
            iteration.team.barrier(member)
            if control.message:
                return
        iteration.u_step(member)
        if member == 0:
            control.turn.offer()  # the others wait at the next barrier
