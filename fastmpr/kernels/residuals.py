"""What the residuals of an iteration are made of: sums of squares of gaps and duals along the rows of a band."""

from __future__ import annotations

from .jit import JIT, JIT_SUM, njit
from .packing import unpacked


@njit(**JIT)
def _stay(v, d, relaxation, factor, state, q):
    """Q = factor (mu Dx - d), from v = relaxation mu Dx + state; the state stays."""
    for i in range(v.size):
        q[i] = factor * ((v[i] - unpacked(state[i])) / relaxation - d[i])


@njit(**JIT_SUM)
def _primal_norms(v, d, relaxation, state):
    """Sums of the squares of mu Dx - u, mu Dx and d and of u d along a row; v = relaxation mu Dx + state, u = v - d."""
    gap = v[0] - v[0]
    first, second, third = gap, gap, gap
    for i in range(v.size):
        dx = (v[i] - unpacked(state[i])) / relaxation
        u = v[i] - d[i]
        gap += (dx - u) * (dx - u)
        first += dx * dx
        second += u * d[i]
        third += d[i] * d[i]
    return gap, first, second, third


@njit(**JIT)
def accumulate(sums, weight, values):
    """Add four values, so many times."""
    for k in range(4):
        sums[k] += weight * values[k]


@njit(**JIT)
def measure(v, d, relaxation, scale, count, state, nx, width, q, norms):
    """`_stay` for a band, and ``count`` times `_primal_norms` of the true columns of its rows added to ``norms``."""
    size = state.size
    _stay(v[:size], d, relaxation, scale, state, q[width:])
    for row in range(0, size, width):
        end = row + nx
        accumulate(norms, count, _primal_norms(v[row:end], d[row:end], relaxation, state[row:end]))
