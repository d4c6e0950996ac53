"""The buffers and phases of one solve; `admm` has the equations."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, as_finite, as_positive, shown
from ..kernels.periodic_edges import close_planes, wrap_edges
from ..kernels.x_step import column_products, solve_columns, squares, wiener_norm
from ..regularizers import Regularizer, axis_symbols, ratios_of
from ..runtime.fft import Block, SlabFFT, wide_size
from ..runtime.threads import Team
from ..sums.normal_equations import NormalEquations, sizes
from .penalties import Schedule
from .quadratic import Quadratic, Split

_LARGE = 1 << 20  # voxels from which memory is the bottleneck
_PART_BYTES = 1 << 17  # bytes of the feedback that are copied at a time while residuals are measured
_ROOMY = 1.02  # largest buffer that a result keeps, over the size of its volume
_RANK = {1: 1, 2: 3}  # by the order of D: phi(v) <= sqrt(rank n) ||v|| over n voxels
_FAINT = 1e-3  # smallest scale of the residuals, over the guessed rms of D x and the largest possible d
_UNEVEN, _SLOPE = 2.0, 120.0  # values of these residuals that count as much as 1 in the others: see `solve`
_LEAST = 1e-8  # minimum of mu times the rms of D x in the kernels' arithmetic; the maximum is 1 / _LEAST


def _operator_norm(regularizer: Regularizer) -> float:
    """Return ||D||, the square root of the largest value of the symbol of D^T D in three dimensions."""
    return (4 * sum(r * r for r in ratios_of(regularizer))) ** (regularizer.order / 2)


def as_penalties(mu: Any) -> tuple[float, float]:
    """Return the pair (mu1, mu2) of positive numbers; a single number is used for both."""
    pair = tuple(mu) if isinstance(mu, tuple | list) or np.ndim(mu) == 1 else (mu, mu)
    if len(pair) != 2:
        raise ValueError(f"mu: found {shown(mu)}, need a positive number or a pair of them")
    return as_positive(pair[0], "mu"), as_positive(pair[1], "mu")


def wiener_size(sums: NormalEquations | Quadratic, regularizer: Regularizer) -> float:
    """Return the rms of D x for a Wiener estimate of x; 1 if it is 0."""
    dtype = sums.gram.dtype.type
    symbols = [axis.astype(dtype) for axis in axis_symbols(regularizer, sums.shape)]
    floor = dtype(0.01 * max(float(sums.gram.max()), float(np.finfo(dtype).tiny)))
    norm = wiener_norm(sums.gram, sums.rhs, *symbols, regularizer.order, floor, sums.shape[2])
    return math.sqrt(norm) / math.prod(sums.shape) or 1.0


def state_dtype(shape: Size, dtype: np.dtype, regularizer: Regularizer, precise: bool) -> np.dtype:
    """Return the dtype of the state: 16-bit integers (see `packing`) for a large grid in float32, unless ``precise``.

    With 16 bits, rounding keeps the residuals above about 1e-4.
    """
    packs = getattr(regularizer, "packs", False) and dtype == np.float32 and not precise
    return np.dtype(np.int16) if packs and math.prod(shape) >= _LARGE else dtype


def bytes_needed(
    shape: Size, dtype: np.dtype, regularizer: Regularizer, precise: bool = False, positivity: bool = True
) -> int:
    """Return the peak memory of a solve, in bytes, without the sums: the buffers of `Iteration` and the result."""
    state = state_dtype(shape, dtype, regularizer, precise).itemsize * regularizer.components
    return wide_size(shape) * (state + (3 + positivity) * dtype.itemsize)


class Iteration:
    """The buffers, plans and parameters of one solve, and the phases that a team goes through.

    Attributes
    ----------
    state : (nz, components, ny * width)
        s = (1 - r) u + d, for large grids in 16 bits unless ``precise``.
    v2 : (nz, ny, width)
        Both u2 and d2, which never share a voxel: u2 in positive values, d2 in negative ones. Without positivity, the shape
        is (nz, 0, 0) and mu2 is 0.
    """

    def __init__(
        self,
        data: Quadratic,
        lam: float,
        regularizer: Regularizer,
        mu: float | tuple[float, float] | None,
        relaxation: float,
        team: Team,
        precise: bool = False,
        positivity: bool = True,
        split: Split | None = None,
    ):
        nz, ny, _ = data.shape
        self.dtype = data.gram.dtype.type
        self.data, self.lam, self.regularizer, self.relaxation = data, lam, regularizer, relaxation
        self.guess = size = wiener_size(data, regularizer)
        steepest, strongest = sizes(data.gram, data.rhs)
        self.schedule = Schedule(regularizer.order, lam * steepest, size) if mu is None else None
        self.positivity = positivity
        self.change_penalties(*(as_penalties(mu) if self.schedule is None else self.schedule.first()))
        self.adopt_penalties()
        if not _LEAST < self.mu * size < 1 / _LEAST:
            least, most = _LEAST / size, 1 / (_LEAST * size)
            raise ValueError(f"mu: found {self.mu:g}, need between {least:.1g} and {most:.1g} for these sums")
        self.team, self.size = team, math.prod(data.shape)
        # A lower bound on ||x||, approximately.
        self.brightness = strongest / steepest / math.sqrt(self.size) if steepest else 0.0
        self.fft = SlabFFT(data.shape, self.dtype, team)
        plane = math.prod(self.fft.feedback.shape[1:])
        kind = state_dtype(data.shape, data.gram.dtype, regularizer, precise)
        self.state = np.zeros((nz, regularizer.components, plane), kind)
        self.v2 = np.zeros_like(self.fft.feedback) if positivity else np.empty((nz, 0, 0), self.dtype)
        self.symbols = [axis.astype(self.dtype) for axis in axis_symbols(regularizer, data.shape)]
        self.carries = [np.zeros((2, plane), self.dtype) for _ in range(team.size)]
        self.norms = np.zeros((nz, 8))
        self.dual_norms = np.zeros(nz)
        self.products = np.zeros((ny, 3))
        self.split = split
        if split is not None:
            split.begin(self.fft, team)

    def start_from(self, x0: NDArray) -> None:
        """Do the first u-step with x0, scaled to the data, as the first x, without over-relaxation."""
        x0 = as_finite(x0, "x0")
        if x0.shape != self.data.shape:
            raise ValueError(f"x0: found shape {x0.shape}, need the shape of the sums, {self.data.shape}")
        nz, ny, nx = x0.shape
        start = np.maximum(x0, 0) if self.positivity else x0
        start = start / (np.abs(start).max() or 1)  # so that products stay in range
        self.fft.image[:, :ny, :nx] = start * (self.data.best_scale(start) / self.relaxation)
        wrap_edges(self.fft.image, ny, nx, 0, nz)
        for member in range(self.team.size):
            self._sweep(member, *self.fft.slabs[member])

    def x_step(self, member: int, fit: bool) -> None:
        """Compute x <- F^-1 { (F feedback + lam B) / (mu |D^|^2 + mu2 + lam S) }; with ``fit``, fill ``products`` too."""
        fft, (start, stop) = self.fft, self.fft.slabs[member]
        self._close_planes(member)
        fft.forward_planes(member)
        self.team.barrier(member)
        for block in fft.blocks[member]:
            block.forward()
            self._solve_columns(block)
            if fit:
                self._measure_columns(block)
            block.inverse()
        self.team.barrier(member)
        fft.inverse_planes(member)
        wrap_edges(fft.image, *self.data.shape[1:], start, stop)
        self.team.barrier(member)

    def u_step(self, member: int) -> None:
        """Update u, d, u2, d2 and the feedback from x; the next x-step completes the planes at the edges of the slabs."""
        self._sweep(member, *self.fft.slabs[member])
        self.team.barrier(member)
        if member == 0:
            self.adopt_penalties()  # other members read them only after the barriers of the next x-step

    def measure(self, member: int) -> None:
        """Compute the norms for `residuals` from x and the state, between the x-step and the u-step.

        A sweep that leaves the state unchanged computes the feedback anew, a few planes at a time. Its difference from the
        old feedback replaces the feedback, which the next `u_step` overwrites.
        """
        fft, (start, stop) = self.fft, self.fft.slabs[member]
        parts = max(1, min((stop - start) // 2, fft.feedback[start:stop].nbytes // _PART_BYTES))
        edges = [start + (stop - start) * k // parts for k in range(parts + 1)]
        owed = None
        for first, last in itertools.pairwise(edges):
            part = fft.feedback[first:last]
            feedback = part.copy()
            self._sweep(member, first, last, moves=False)
            np.subtract(part, feedback, out=part)
            del feedback  # frees the memory before the next copy
            if owed is None:
                owed = np.empty_like(self.carries[member])
            else:
                close_planes(fft.feedback, owed, first)
            owed[:] = self.carries[member]
        self.team.barrier(member)
        self._close_planes(member)
        squares(fft.feedback, self.data.shape[2], self.dual_norms, start, stop)
        self.team.barrier(member)

    def residuals(self) -> tuple[float, float]:
        """Return the primal and the dual residual after `measure`, as defined in `solve`."""
        squares = self.norms.sum(axis=0)
        phi = float(squares[2]) / self.mu
        gap, dx, _, d, gap2, x, u2, d2 = np.sqrt(np.maximum(squares, 0))
        dual, whole = float(np.sqrt(self.dual_norms.sum())), self._objective(phi)
        unit, broad = phi if phi > 1e-3 * whole else 0.01 * whole, max(phi, 1e-3 * whole)
        tiny = float(np.finfo(self.dtype).tiny)
        root, steep = math.sqrt(self.size), _operator_norm(self.regularizer)
        faint = _FAINT * self.guess * root  # the scale if x tends to 0
        most = math.hypot(steep * max(d, _FAINT * root), self.mu2 * d2)
        uneven = math.sqrt(_RANK[self.regularizer.order]) * root * gap / self.mu + self.mu2 * d2 * gap2
        with np.errstate(over="ignore"):
            gaps = [gap / max(dx, self.mu * max(0.01 * x, faint)), gap2 / max(x, u2, faint / steep)]
            if self.split is not None:
                gaps.append(self.split.residual())
            primal = np.max([*gaps, uneven / max(unit, tiny) / _UNEVEN])  # np.max propagates NaN
            slopes = np.max([dual / most, dual * max(x, self.brightness) / max(broad, tiny) / _SLOPE])
        return float(np.minimum(primal, 1e300)), float(np.minimum(slopes, 1e300))

    def _objective(self, phi: float) -> float:
        """Return the objective for a given phi."""
        _, seen, passed = self.products.sum(axis=0)
        data = 0.5 * self.lam * (self.data.energy - 2 * seen + passed * self.size)
        return float(max(phi, 0.0) + max(data, 0.0))

    def fit(self) -> None:
        """Choose penalty parameters for the next `u_step`, after an `x_step` with ``fit``."""
        if self.schedule is not None:
            self.change_penalties(*self.schedule.fitted(self.mu, math.sqrt(self.products[:, 0].sum())))

    def volume(self, last: bool = False) -> NDArray:
        """Return max(x, 0), which is feasible like u2 and nearer to the minimum; without positivity, return x.

        The ``last`` volume reuses the memory of the feedback, unless that is much larger than the volume.
        """
        _, ny, nx = self.data.shape
        out = None
        if last and self.fft.feedback.size < _ROOMY * self.size:
            out = self.fft.feedback.reshape(-1)[: self.size].reshape(self.data.shape)
        image = self.fft.image[:, :ny, :nx]
        if self.positivity:
            return np.maximum(image, 0, out=out)
        if out is None:
            return image.copy()
        out[:] = image
        return out

    def change_penalties(self, mu: float, mu2: float) -> None:
        """Set the penalty parameters for the next `u_step`, which keeps the multipliers d and mu2 d2 unchanged."""
        self.next_penalties = mu, mu2 if self.positivity else 0.0

    def adopt_penalties(self) -> None:
        """Make the next penalty parameters the current ones, after the `u_step` that introduces them."""
        self.mu, self.mu2 = self.next_penalties

    def _sweep(self, member: int, start: int, stop: int, moves: bool = True) -> None:
        mu, mu2 = self.next_penalties
        values = (self.relaxation, self.mu, mu2, mu / self.mu, mu2 / self.mu2 if self.positivity else 1.0)
        self.regularizer.sweep(
            self.fft.image,
            self.data.shape[2],
            self.state,
            self.v2,
            self.fft.feedback,
            self.carries[member],
            tuple(self.dtype(value) for value in values),
            moves,
            self.norms,
            start,
            stop,
        )

    def _close_planes(self, member: int) -> None:
        start, _ = self.fft.slabs[member]
        close_planes(self.fft.feedback, self.carries[member - 1], start)

    def _solve_columns(self, block: Block) -> None:
        solve_columns(
            block.columns,
            self.data.gram,
            self.data.rhs,
            *self.symbols,
            self.regularizer.order,
            *(self.dtype(value) for value in (self.lam, self.mu, self.mu2, 1 / self.size)),
            block.first,
            block.last,
        )

    def _measure_columns(self, block: Block) -> None:
        column_products(
            block.columns,
            self.data.gram,
            self.data.rhs,
            *self.symbols,
            self.regularizer.order,
            self.data.shape[2],
            self.products,
            block.first,
            block.last,
        )
