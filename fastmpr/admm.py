"""The solver: ADMM on the sums, two FFTs per iteration whatever the number of views.

One iteration, with r the relaxation, scaled duals d and d2, and u, u2 the split variables of D x = u, x = u2:

    x  <- F^-1 { (F{ D^T (u - d) + mu2 (u2 - d2) } + lam B) / (mu |D^|^2 + mu2 + lam S) }
    v  <- r mu D x + (1 - r) u  + d       d  <- P(v)            u  <- v  - d
    v2 <- r x      + (1 - r) u2 + d2      u2 <- max(v2, 0)      d2 <- v2 - u2

Here u and d are mu times those of the textbook: d is the multiplier itself, and P, which projects on the subgradients of
phi, does not depend on mu. Neither is stored: the state s = (1 - r) u + d is all that the next v needs, and
D^T (u - d) + mu2 (u2 - d2), here called the residue, is all that the next x needs. A team of threads goes through four
phases, each on its own slab of planes or block of columns, and meets at a barrier after each.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._fft import SlabFFT
from ._threads import Team, as_workers
from ._validation import Vector, as_count, as_finite, as_positive
from .normal_equations import NormalEquations, as_sums, half_sum
from .regularizers import Regularizer, Tikhonov, as_regularizer, axis_symbols, symbol

_CHECK_EVERY = 10  # iterations between two looks at the residuals; a look costs about half an iteration
# mu times the rms of D x: at the start, then after the first looks, but never more than so many times the last mu. Small
# steps find the shape, larger ones settle it; after these looks mu stays fixed. First-order regularisers do best without
# growth.
_START, _GROWTH, _MOST_GROWTH = 1.0, (2.0, 6.0, 10.0), 5.0
_LEAST = 1e-8  # of mu times the rms of D x, and one over it the most: what the kernels' arithmetic can take


@dataclass
class Result:
    """What `solve` and `reconstruct` return, under scipy's names.

    Attributes
    ----------
    x : (nz, ny, nx) ndarray
        The volume; nowhere negative.
    lam : float
        The weight of the data term that was used.
    nit : int
        Iterations done.
    success : bool
        Whether the residuals fell below the tolerance.
    message : str
        Why the solver stopped.
    history : list of dict
        One entry per look at the residuals: ``nit``, ``primal`` and ``dual`` (normalised, see `solve`), ``mu``, ``mu2``.
    voxel_size : (z, y, x)
        Voxel of ``x``, in micrometres.
    """

    x: NDArray
    lam: float
    nit: int
    success: bool
    message: str
    history: list[dict[str, float]]
    voxel_size: Vector


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
    max_iter: int = 200,
    tol: float = 2e-3,
    mu: float | tuple[float, float] | None = None,
    relaxation: float = 1.8,
    workers: int | None = None,
    deterministic: bool = False,
    callback: Callable[[Result], Any] | None = None,
    timeout: float | None = None,
) -> Result:
    """Minimise (lam / 2) sum_i w_i ||y_i - H_i x||^2 + phi(x) over x >= 0, on the periodic grid of the sums.

    Pure ADMM: no padding, no resampling. Every array has the shape of the sums; ``sums.gram`` decides the precision.

    Parameters
    ----------
    sums : NormalEquations
        What `accumulate` made of the views.
    lam : float
        Weight of the data term.
    regularizer : str or Regularizer
        ``"hessian"``: the nuclear norm of the Hessian; ``"tv"``: isotropic total variation; ``"tikhonov"``: half the
        squared gradient, in closed form and then clipped at 0, so that all options but ``lam`` are idle.
    x0 : (nz, ny, nx) ndarray, optional
        Where to start; by default from nothing.
    max_iter : int
        Most iterations.
    tol : float
        Stop when all normalised residuals are below it; at the default the objective is about 1e-3 phi(x) above its
        minimum, with total variation up to 3e-3. 0 runs exactly ``max_iter`` iterations.
    mu : float or (mu1, mu2), optional
        Penalty parameters of D x = u and x = u2, then kept fixed. By default chosen, and adapted as it goes.
    relaxation : float
        Over-relaxation, between 0 and 2 (exclusive).
    workers : int, optional
        Threads; by default all that this process may use.
    deterministic : bool
        Promise the same bits from run to run with the same ``workers``. Grids under a million voxels keep it anyway.
    callback : callable, optional
        Called after every iteration with the `Result` so far; it may raise StopIteration to end the solve.
    timeout : float, optional
        Seconds after which to stop with what there is.

    Returns
    -------
    Result
        With ``success`` only if the residuals fell below ``tol``.

    Raises
    ------
    ValueError
        If ``lam``, ``mu``, ``relaxation``, ``max_iter``, ``tol``, ``timeout`` or ``x0`` is out of its range.

    Notes
    -----
    The residuals are those of the optimality conditions. Primal: ||Dx - u|| and ||x - u2||, each over the larger of its
    two parts. Dual: ||lam (S x - B) + mu D^T d + mu2 d2|| over the largest that the last two terms could be for their
    d and d2. They cost no FFT. Without over-relaxation
    and adaptation the iteration is that of [1]_; the nuclear norm follows [2]_.

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
    lam = as_positive(lam, "lam")
    max_iter = as_count(max_iter, "max_iter")
    for name, value, low, high in (("tol", tol, 0, 1), ("relaxation", relaxation, 1e-3, 2 - 1e-3)):
        if not low <= value <= high:
            raise ValueError(f"{name}: found {value!r}, need a number from {low} to {high}")
    if timeout is not None:
        as_positive(timeout, "timeout")
    as_sums(sums)
    chosen = as_regularizer(regularizer)
    if isinstance(chosen, Tikhonov):
        return Result(chosen.minimiser(sums, lam), lam, 0, True, "closed form", [], sums.voxel_size)
    team = Team(max(1, min(as_workers(workers), sums.shape[0] // 2)))
    iteration = Iteration(sums, lam, chosen, mu, relaxation, team, deterministic)
    if x0 is not None:
        iteration.start_from(x0)
    control = Control(iteration, max_iter, tol, callback, timeout)
    team.run(lambda member: _loop(member, iteration, control))
    return control.result()


def _loop(member: int, iteration: Iteration, control: Control) -> None:
    """What each member of the team does: step, now and then look and let the control decide, until it says stop."""
    for nit in itertools.count(1):
        look = control.looks_at(nit)
        iteration.x_step(member, look)
        if look:
            iteration.measure(member)
        if look or control.watched:
            if member == 0:
                control.decide(nit, look)
            iteration.team.barrier(member)
            if control.message:
                return
        iteration.u_step(member)


class Control:
    """Looks at the residuals, adapts the penalty parameters, and says when and why to stop.

    Members of the team keep in step by counting for themselves; they wait for a decision only where one may fall.
    """

    def __init__(self, iteration: Iteration, max_iter: int, tol: float, callback: Any, timeout: float | None):
        self.iteration, self.max_iter, self.tol, self.callback = iteration, max_iter, tol, callback
        self.deadline = np.inf if timeout is None else time.monotonic() + timeout
        self.watched = callback is not None or timeout is not None
        self.nit, self.converged, self.message = 0, False, ""
        self.history: list[dict[str, float]] = []

    def looks_at(self, nit: int) -> bool:
        """Return whether to look at the residuals of an iteration: to stop, to adapt or to report."""
        adapts = self.iteration.adaptive and nit <= _CHECK_EVERY * len(_GROWTH)
        return nit == self.max_iter or (nit % _CHECK_EVERY == 0 and (self.tol > 0 or adapts))

    def decide(self, nit: int, look: bool) -> None:
        """After the x-step of an iteration: take note of the residuals, adapt, fill ``message`` if it is the last."""
        self.nit = nit
        if look:
            self._look()
        if self.converged:
            self.message = f"converged: all residuals below tol = {self.tol:g} after {nit} iterations"
        elif nit == self.max_iter:
            self.message = f"stopped at max_iter = {self.max_iter} iterations"
        elif time.monotonic() > self.deadline:
            self.message = f"stopped by the timeout after {nit} iterations"
        if self.callback is not None:
            try:
                self.callback(self.result())
            except StopIteration:
                self.message = f"stopped by the callback after {nit} iterations"

    def _look(self) -> None:
        iteration = self.iteration
        primal, primal2, dual = iteration.residuals()
        record = {"primal": float(max(primal, primal2)), "dual": float(dual), "mu": iteration.mu, "mu2": iteration.mu2}
        self.history.append({"nit": self.nit, **record})
        self.converged = bool(max(primal, primal2, dual) < self.tol)
        if iteration.adaptive and len(self.history) <= len(_GROWTH):
            growth = _GROWTH[len(self.history) - 1] ** (iteration.regularizer.order - 1)
            iteration.change_penalties(*iteration.fitting_penalties(growth))

    def result(self) -> Result:
        """Return the volume as it is now, and what is known of it."""
        iteration = self.iteration
        return Result(
            x=iteration.volume(),
            lam=iteration.lam,
            nit=self.nit,
            success=self.converged,
            message=self.message,
            history=list(self.history),
            voxel_size=iteration.sums.voxel_size,
        )


def _operator_norm(regularizer: Regularizer) -> float:
    """Return ||D||, the square root of the largest value of the symbol of D^T D in three dimensions."""
    return 12 ** (regularizer.order / 2)


def as_penalties(mu: Any) -> tuple[float, float]:
    """Return the pair (mu1, mu2) of positive numbers; one number stands for both."""
    if np.ndim(mu) == 0:
        mu = (mu, mu)
    if len(mu) != 2:
        raise ValueError(f"mu: found {mu!r}, need a positive number or a pair of them")
    return as_positive(mu[0], "mu"), as_positive(mu[1], "mu")


def wiener_size(sums: NormalEquations, regularizer: Regularizer) -> float:
    """Return the rms of D x for a Wiener estimate of x; positive."""
    wiener = sums.rhs / (sums.gram + 0.01 * max(sums.gram.max(), np.finfo(sums.gram.dtype).tiny))
    power = wiener.real**2 + wiener.imag**2
    size = math.sqrt(half_sum(power * symbol(regularizer, sums.shape), sums.shape)) / math.prod(sums.shape)
    return size if size > 0 else 1.0


class Iteration:
    """The buffers, plans and parameters of one solve, and the phases that a team goes through.

    Attributes
    ----------
    state : (nz, components, ny * (nx + 2))
        s = (1 - r) u + d.
    v2 : (nz, ny, nx + 2)
        u2 where it is positive, d2 where it is negative: the two never share a voxel.
    """

    def __init__(
        self,
        sums: NormalEquations,
        lam: float,
        regularizer: Regularizer,
        mu: float | tuple[float, float] | None,
        relaxation: float,
        team: Team,
        deterministic: bool = False,
    ):
        nz, ny, _ = sums.shape
        self.dtype = sums.gram.dtype.type
        self.sums, self.lam, self.regularizer, self.relaxation = sums, lam, regularizer, relaxation
        self.adaptive = mu is None
        size = wiener_size(sums, regularizer)
        self.next_penalties = self.mu, self.mu2 = as_penalties(_START / size if mu is None else mu)
        if not _LEAST < self.mu * size < 1 / _LEAST:
            least, most = _LEAST / size, 1 / (_LEAST * size)
            raise ValueError(f"mu: found {self.mu:g}, need between {least:.1g} and {most:.1g} for these sums")
        self.team, self.size = team, math.prod(sums.shape)
        self.fft = SlabFFT(sums.shape, self.dtype, team, deterministic)
        row = self.fft.residue.shape[2]
        self.state = np.zeros((nz, regularizer.components, ny * row), self.dtype)
        self.v2 = np.zeros_like(self.fft.residue)
        self.inverse = np.empty_like(sums.gram)
        self.bias = np.empty_like(sums.rhs)
        self.symbols = [axis.astype(self.dtype) for axis in axis_symbols(sums.shape)]
        self.carries = [np.zeros((2, ny * row), self.dtype) for _ in range(team.size)]
        self.norms = np.zeros((nz, 8))
        self.dual_norms = np.zeros(nz)
        self.gradient_norms = np.zeros(ny)
        for start, stop in self.fft.slabs:
            self._prepare_columns(start, stop)

    def start_from(self, x0: NDArray) -> None:
        """Begin with the u-step: as if x0, without over-relaxation, were the first x."""
        x0 = as_finite(x0, "x0")
        if x0.shape != self.sums.shape:
            raise ValueError(f"x0: found shape {x0.shape}, need the shape of the sums, {self.sums.shape}")
        nz, ny, nx = x0.shape
        self.fft.image[:, :ny, :nx] = np.maximum(x0, 0) / self.relaxation
        _kernels.wrap_edges(self.fft.image, ny, nx, 0, nz)
        for member in range(self.team.size):
            self._sweep(member, self.fft.residue)

    def x_step(self, member: int, look: bool) -> None:
        """X <- F^-1 { (F residue + lam B) / (mu |D^|^2 + mu2 + lam S) }."""
        fft, (start, stop) = self.fft, self.fft.slabs[member]
        self._close_planes(fft.residue, member)
        fft.forward_planes(member)
        self.team.barrier(member)
        for first, last, forward, inverse in fft.blocks[member]:
            forward()
            _kernels.solve_columns(fft.spectrum, self.inverse, self.bias, first, last)
            if look:
                self._measure_gradient(first, last)
            inverse()
        self.team.barrier(member)
        fft.inverse_planes(member)
        _kernels.wrap_edges(fft.image, *self.sums.shape[1:], start, stop)
        self.team.barrier(member)

    def u_step(self, member: int) -> None:
        """Update u, d, u2, d2 and the residue from x; the planes at the slab's edge are closed by the next x-step."""
        self._sweep(member, self.fft.residue)
        if self.next_penalties != (self.mu, self.mu2):
            self._prepare_columns(*self.fft.slabs[member])
        self.team.barrier(member)
        if member == 0:
            self.settle()  # the others read it only after the next x-step's barriers

    def measure(self, member: int) -> None:
        """Fill the norms that `residuals` needs, from x and the state as they stand between the two steps."""
        fft, slab = self.fft, self.fft.slabs[member]
        self._sweep(member, fft.scratch, moves=False)
        self.team.barrier(member)
        self._close_planes(fft.scratch, member)
        _kernels.squares_of_difference(fft.residue, fft.scratch, self.sums.shape[2], self.dual_norms, *slab)
        self.team.barrier(member)

    def residuals(self) -> tuple[float, float, float]:
        """Return the normalised residuals after `measure`: ||Dx - u||, ||x - u2|| and the dual one."""
        gap, dx, u, d, gap2, x, u2, d2 = np.sqrt(self.norms.sum(axis=0))
        largest = math.hypot(_operator_norm(self.regularizer) * d, self.mu2 * d2)
        dual = np.sqrt(self.dual_norms.sum())
        tiny = np.finfo(self.dtype).tiny
        return gap / max(dx, u, 0.01 * self.mu * x, tiny), gap2 / max(x, u2, tiny), dual / max(largest, tiny)

    def fitting_penalties(self, factor: float) -> tuple[float, float]:
        """Return (mu, mu2) for x as measured: ``factor`` over the rms of D x, and a few times gradient over x."""
        _, dx, _, _, _, x, _, _ = np.sqrt(self.norms.sum(axis=0) / self.size)
        gradient = self.lam * np.sqrt(self.gradient_norms.sum()) / self.size
        tiny = np.finfo(self.dtype).tiny
        mu = float(min(factor / max(dx / self.mu, 1e-3 * x, tiny), _MOST_GROWTH * self.mu))
        return mu, float(min(max(5 * gradient / max(x, tiny), 0.01 * mu), mu))

    def volume(self) -> NDArray:
        """Return max(x, 0): feasible like u2, and nearer the minimum."""
        _, ny, nx = self.sums.shape
        return np.maximum(self.fft.image[:, :ny, :nx], 0)

    def change_penalties(self, mu: float, mu2: float) -> None:
        """Let the next `u_step` go over to other penalty parameters; the multipliers d and mu2 d2 stay as they are."""
        self.next_penalties = mu, mu2

    def settle(self) -> None:
        """After a `u_step`: what it went over to is what holds."""
        self.mu, self.mu2 = self.next_penalties

    def _sweep(self, member: int, out: NDArray, moves: bool = True) -> None:
        mu, mu2 = self.next_penalties
        values = (self.relaxation, self.mu, mu2, mu / self.mu, mu2 / self.mu2)
        self.regularizer.sweep(
            self.fft.image,
            self.sums.shape[2],
            self.state,
            self.v2,
            out,
            self.carries[member],
            tuple(self.dtype(value) for value in values),
            moves,
            self.norms,
            *self.fft.slabs[member],
        )

    def _close_planes(self, out: NDArray, member: int) -> None:
        start, _ = self.fft.slabs[member]
        _kernels.close_planes(out, self.carries[member - 1], start)

    def _prepare_columns(self, start: int, stop: int) -> None:
        numbers = (self.dtype(value) for value in (self.lam, *self.next_penalties, 1 / self.size))
        order = self.regularizer.order
        _kernels.prepare_columns(
            self.sums.gram,
            self.sums.rhs,
            *self.symbols,
            order,
            *numbers,
            self.inverse,
            self.bias,
            start,
            stop,
        )

    def _measure_gradient(self, first: int, last: int) -> None:
        size, nx = self.dtype(self.size), self.sums.shape[2]
        _kernels.gradient_norm(
            self.sums.gram, self.sums.rhs, self.fft.spectrum, size, nx, first, last, self.gradient_norms
        )
