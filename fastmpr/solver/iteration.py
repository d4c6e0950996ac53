"""The buffers and phases of one solve; the equations stand in `admm`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import as_finite, as_positive, shown
from ..engine import fourier_kernels, kernels
from ..engine.fft import Block, SlabFFT
from ..engine.threads import Team
from ..sums.normal_equations import NormalEquations
from .penalties import Schedule
from .regularizers import Regularizer, axis_symbols

_LEAST = 1e-8  # of mu times the rms of D x, and one over it the most: what the kernels' arithmetic can take


def _operator_norm(regularizer: Regularizer) -> float:
    """Return ||D||, the square root of the largest value of the symbol of D^T D in three dimensions."""
    return 12 ** (regularizer.order / 2)


def as_penalties(mu: Any) -> tuple[float, float]:
    """Return the pair (mu1, mu2) of positive numbers; one number stands for both."""
    pair = tuple(mu) if isinstance(mu, tuple | list) or np.ndim(mu) == 1 else (mu, mu)
    if len(pair) != 2:
        raise ValueError(f"mu: found {shown(mu)}, need a positive number or a pair of them")
    return as_positive(pair[0], "mu"), as_positive(pair[1], "mu")


def wiener_size(sums: NormalEquations, regularizer: Regularizer) -> float:
    """Return the rms of D x for a Wiener estimate of x; positive."""
    dtype = sums.gram.dtype.type
    symbols = [axis.astype(dtype) for axis in axis_symbols(sums.shape)]
    floor = dtype(0.01 * max(float(sums.gram.max()), float(np.finfo(dtype).tiny)))
    norm = fourier_kernels.wiener_norm(sums.gram, sums.rhs, *symbols, regularizer.order, floor, sums.shape[2])
    return math.sqrt(norm) / math.prod(sums.shape) or 1.0


def bytes_needed(sums: NormalEquations, regularizer: Regularizer) -> int:
    """Return what a solve takes at its peak, beside the sums: the buffers of `Iteration`, and the volume it returns."""
    nz, ny, nx = sums.shape
    voxels, half = nz * ny * (nx + 2), sums.gram.size
    return sums.gram.dtype.itemsize * ((5 + regularizer.components) * voxels + 3 * half)


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
    ):
        nz, ny, _ = sums.shape
        self.dtype = sums.gram.dtype.type
        self.sums, self.lam, self.regularizer, self.relaxation = sums, lam, regularizer, relaxation
        size = wiener_size(sums, regularizer)
        self.schedule = Schedule(regularizer.order, lam * float(sums.gram.max()), size) if mu is None else None
        self.next_penalties = self.mu, self.mu2 = as_penalties(mu) if self.schedule is None else self.schedule.first()
        if not _LEAST < self.mu * size < 1 / _LEAST:
            least, most = _LEAST / size, 1 / (_LEAST * size)
            raise ValueError(f"mu: found {self.mu:g}, need between {least:.1g} and {most:.1g} for these sums")
        self.team, self.size = team, math.prod(sums.shape)
        self.fft = SlabFFT(sums.shape, self.dtype, team)
        row = self.fft.feedback.shape[2]
        self.state = np.zeros((nz, regularizer.components, ny * row), self.dtype)
        self.v2 = np.zeros_like(self.fft.feedback)
        turned = tuple(sums.gram.shape[axis] for axis in (1, 2, 0))
        self.inverse = np.empty(turned, self.dtype)
        self.bias = np.empty(turned, sums.rhs.dtype)
        self.symbols = [axis.astype(self.dtype) for axis in axis_symbols(sums.shape)]
        self.carries = [np.zeros((2, ny * row), self.dtype) for _ in range(team.size)]
        self.norms = np.zeros((nz, 8))
        self.dual_norms = np.zeros(nz)
        self.gradient_norms = np.zeros(ny)
        for rows in self.fft.rows:
            self._prepare_columns(*rows)

    def start_from(self, x0: NDArray) -> None:
        """Begin with the u-step: as if x0, scaled to the data and without over-relaxation, were the first x."""
        x0 = as_finite(x0, "x0")
        if x0.shape != self.sums.shape:
            raise ValueError(f"x0: found shape {x0.shape}, need the shape of the sums, {self.sums.shape}")
        nz, ny, nx = x0.shape
        start = np.maximum(x0, 0)
        start /= start.max() or 1  # its products stay in range
        self.fft.image[:, :ny, :nx] = start * (self.sums.best_scale(start) / self.relaxation)
        kernels.wrap_edges(self.fft.image, ny, nx, 0, nz)
        for member in range(self.team.size):
            self._sweep(member, self.fft.feedback)

    def x_step(self, member: int, check: bool) -> None:
        """X <- F^-1 { (F feedback + lam B) / (mu |D^|^2 + mu2 + lam S) }."""
        fft, (start, stop) = self.fft, self.fft.slabs[member]
        self._close_planes(fft.feedback, member)
        fft.forward_planes(member)
        self.team.barrier(member)
        for block in fft.blocks[member]:
            block.forward()
            fourier_kernels.solve_columns(
                block.columns, self.inverse[block.first : block.last], self.bias[block.first : block.last]
            )
            if check:
                self._measure_gradient(block)
            block.inverse()
        self.team.barrier(member)
        fft.inverse_planes(member)
        kernels.wrap_edges(fft.image, *self.sums.shape[1:], start, stop)
        self.team.barrier(member)

    def u_step(self, member: int) -> None:
        """Update u, d, u2, d2 and the feedback from x; the planes at the slab's edge are closed by the next x-step."""
        self._sweep(member, self.fft.feedback)
        if self.next_penalties != (self.mu, self.mu2):
            self._prepare_columns(*self.fft.rows[member])
        self.team.barrier(member)
        if member == 0:
            self.settle()  # the others read it only after the next x-step's barriers

    def measure(self, member: int) -> None:
        """Fill the norms that `residuals` needs, from x and the state as they stand between the two steps."""
        fft, slab = self.fft, self.fft.slabs[member]
        self._sweep(member, fft.scratch, moves=False)
        self.team.barrier(member)
        self._close_planes(fft.scratch, member)
        fourier_kernels.squares_of_difference(fft.feedback, fft.scratch, self.sums.shape[2], self.dual_norms, *slab)
        self.team.barrier(member)

    def residuals(self) -> tuple[float, float, float]:
        """Return the normalised residuals after `measure`: ||Dx - u||, ||x - u2|| and the dual one."""
        gap, dx, u, d, gap2, x, u2, d2 = np.sqrt(self.norms.sum(axis=0))
        largest = math.hypot(_operator_norm(self.regularizer) * d, self.mu2 * d2)
        dual = np.sqrt(self.dual_norms.sum())
        tiny = np.finfo(self.dtype).tiny
        with np.errstate(over="ignore"):
            ratios = gap / max(dx, u, 0.01 * self.mu * x, tiny), gap2 / max(x, u2, tiny), dual / max(largest, tiny)
        primal, primal2, dual = (float(np.minimum(ratio, 1e300)) for ratio in ratios)
        return primal, primal2, dual

    def fit(self) -> None:
        """Let the next `u_step` go over to penalty parameters that fit x as measured."""
        if self.schedule is not None:
            dx = math.sqrt(self.norms[:, 1].sum() / self.size) / self.mu
            self.change_penalties(*self.schedule.fitted(self.mu, dx))

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
        kernels.close_planes(out, self.carries[member - 1], start)

    def _prepare_columns(self, start: int, stop: int) -> None:
        numbers = (self.dtype(value) for value in (self.lam, *self.next_penalties, 1 / self.size))
        order = self.regularizer.order
        fourier_kernels.prepare_columns(
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

    def _measure_gradient(self, block: Block) -> None:
        size, nx = self.dtype(self.size), self.sums.shape[2]
        fourier_kernels.gradient_norm(
            self.sums.gram, self.sums.rhs, block.columns, size, nx, block.first, self.gradient_norms
        )
