"""The solver: ADMM on the normal equations, with two FFTs per iteration for any number of views.

One iteration is, with the relaxation r, the scaled duals d and d2, and the split variables u and u2 of D x = u and x = u2:

    x  <- F^-1 { (F{ D^T (u - d) + mu2 (u2 - d2) } + lam B) / (mu |D^|^2 + mu2 + lam S) }
    v  <- r mu D x + (1 - r) u  + d       d  <- P(v)            u  <- v  - d
    v2 <- r x      + (1 - r) u2 + d2      u2 <- max(v2, 0)      d2 <- v2 - u2

Here u and d are mu times those of the textbook. So d is the multiplier itself, and P, the projection on the subgradients of
phi, does not depend on mu. Neither u nor d is stored: the next v needs only the state s = (1 - r) u + d, and the next x
needs only D^T (u - d) + mu2 (u2 - d2), which is called the feedback. A team of threads goes through four phases. In each
phase a thread works on its own slab of planes or block of columns, and then waits for the others at a barrier.
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
    """Return the objective (lam / 2) sum_i w_i ||y_i - H_i x||^2 + phi(x), which `solve` minimises over x >= 0."""
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

    Every array has the shape of the sums: nothing is padded or resampled. The dtype of ``sums.gram`` decides the precision.

    Parameters
    ----------
    sums : NormalEquations
        The sums over the views, from `accumulate`.
    lam : float
        Weight of the data term. A larger lam gives a volume that is closer to the data, and noisier. In software that
        weights the prior instead, such as scikit-image, the weight is 1 / lam.
    regularizer : str or Regularizer
        ``"hessian"``: the nuclear norm of the Hessian; ``"tv"``: isotropic total variation; ``"tikhonov"``: half the
        squared gradient, minimised in closed form and then clipped at 0, so that most options have no effect. See
        `fastmpr.regularizers` for more, and for how to write your own.
    x0 : (nz, ny, nx) ndarray, optional
        The volume to start from; by default zeros.
    max_iter : int
        Maximum number of iterations.
    tol : float
        The solve stops when all normalised residuals are below ``tol``. At the default, the objective is then about
        2e-4 phi(x) above its minimum, 5e-3 phi(x) at most (or 1e-4 of the objective, if phi(x) is less than a thousandth of
        it). 0 runs exactly ``max_iter`` iterations.
    mu : float or (mu1, mu2), optional
        Penalty parameters of D x = u and x = u2, which stay fixed. By default they are chosen and adapted during the solve.
    relaxation : float
        Over-relaxation, between 0 and 2 (exclusive).
    positivity : bool
        False minimises over all x; then mu2 is not used, and is 0 in the history.
    workers : int, optional
        Maximum number of threads; by default all that this process may use. Small grids use fewer, about one for each
        16,000 voxels.
    deterministic : bool
        Request the same bits from run to run with the same ``workers``. At present every solve gives the same bits; set this
        flag where you rely on it. Only `warm_up` changes them: once, for the grid that it prepares, if that grid has a
        million voxels or more.
    callback : callable, optional
        Called after every iteration with the current `Result`; it may raise StopIteration to end the solve.
    cancel : threading.Event, optional
        An event, or any object with ``is_set()``, that is checked after every iteration: once it is set, the solve ends and
        returns the current volume.
    timeout : float, optional
        Seconds from the call after which the solve ends and returns the current volume.

    Returns
    -------
    Result
        The volume and how the solve ended; ``success`` is True only if the residuals fell below ``tol``.

    Raises
    ------
    ValueError
        If ``lam``, ``mu``, ``relaxation``, ``max_iter``, ``tol``, ``timeout`` or ``x0`` is out of its range.
    MemoryError
        Before the first iteration, if the solve cannot fit in the memory that this process may use.

    Notes
    -----
    The residuals measure the optimality conditions. Primal: ||Dx - u|| and ||x - u2||, each divided by the larger norm of
    its two terms; and the change of the objective that they could cause, sqrt(k n) ||Dx - u|| + mu2 ||d2|| ||x - u2||,
    divided by 2 phi (k = 3 for the Hessian, 1 for the gradient, n voxels). Dual: r = ||lam (S x - B) + mu D^T d + mu2 d2||,
    divided by the largest norm that the last two terms can have for their d and d2; and r ||x||, divided by 120 phi. Here
    phi is <u, d>. If <u, d> is less than a thousandth of the objective, phi is a hundredth of the objective in the primal
    residual, and a thousandth in the dual one. If x tends to 0, at least a thousandth of a first guess of ||D x|| is used.
    The residuals cost no FFT. Without over-relaxation and adaptation, the iteration is that of [1]_; the nuclear norm
    follows [2]_.

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
    """Check that the data term, multiplied by ``lam``, stays in the range of the precision."""
    least, most = (limit**2 for limit in RANGE[sums.gram.dtype.type])
    largest = max(sizes(sums.gram, sums.rhs))
    if largest and not least < lam * largest < most:
        raise ValueError(
            f"lam: found {lam:g}, need between {least / largest:.1g} and {most / largest:.1g} for these sums in "
            f"{sums.gram.dtype}"
        )
