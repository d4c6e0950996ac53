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

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from .._validation import as_finite, as_flag, as_number, as_positive
from ..regularizers import ClosedForm, Regularizer, as_regularizer, has_closed_form
from ..runtime.stopping import Event, as_stop
from ..sums.normal_equations import RANGE, NormalEquations, as_sums, sizes
from .options import as_run, as_until
from .quadratic import Quadratic
from .result import Result
from .running import Running, closed_form


def objective(
    x: NDArray, sums: NormalEquations, lam: float, regularizer: str | Regularizer | ClosedForm = "hessian"
) -> float:
    """Return (lam / 2) sum_i w_i ||y_i - H_i x||^2 + phi(x), the function that `solve` minimises over x >= 0."""
    as_sums(sums)
    x = as_finite(x, "x")
    if x.shape != sums.shape:
        raise ValueError(f"x: found shape {x.shape}, need the shape of the sums, {sums.shape}")
    return 0.5 * as_positive(lam, "lam") * sums.misfit(x) + as_regularizer(regularizer).value(x)


def solve(
    sums: NormalEquations,
    lam: float,
    regularizer: str | Regularizer | ClosedForm = "hessian",
    *,
    x0: NDArray | None = None,
    max_iter: int = 1000,
    tol: float = 2e-3,
    mu: float | tuple[float, float] | None = None,
    relaxation: float = 1.8,
    positivity: bool = True,
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
        squared gradient, in closed form and then clipped at 0, so that most options are idle; others, and how to make one of
        your own, in `fastmpr.regularizers`.
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
    positivity : bool
        False minimises over all x. Then mu2 is of no use, and 0 in the history.
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
    until = as_until(max_iter, tol)
    relaxation = as_number(relaxation, "relaxation", 1e-3, 2 - 1e-3, "a number from 0.001 to 1.999")
    run, _ = as_run(workers, positivity, callback, stop), as_flag(deterministic, "deterministic")
    check_lam(lam, as_sums(sums))
    chosen = as_regularizer(regularizer)
    if has_closed_form(chosen):
        return closed_form(chosen.minimiser(sums.gram, sums.rhs, sums.shape, lam, positivity), lam, sums.voxel_size)
    data = Quadratic.of(sums)
    with Running(data, lam, chosen, until, run, x0=x0, mu=mu, relaxation=relaxation) as running:
        running.go_on()
        return running.result()


def check_lam(lam: float, sums: NormalEquations) -> None:
    """Refuse a weight with which the data term leaves the range of the precision."""
    least, most = (limit**2 for limit in RANGE[sums.gram.dtype.type])
    largest = max(sizes(sums.gram, sums.rhs))
    if largest and not least < lam * largest < most:
        raise ValueError(
            f"lam: found {lam:g}, need between {least / largest:.1g} and {most / largest:.1g} for these sums in "
            f"{sums.gram.dtype}"
        )
