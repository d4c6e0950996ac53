"""The constraint x >= 0 in an iteration: its step, and what its residuals are made of."""

from __future__ import annotations

from .eigenvalues import larger, smaller
from .jit import JIT, JIT_SUM, like, njit
from .residuals import accumulate


@njit(**JIT)
def positivity(x, v2, out, relaxation, weight, rescale):
    """Relax, project on x >= 0 and add weight (u - t d) = weight |v| to out; v holds u above zero, t d below."""
    zero, keep = like(0.0, relaxation), like(1.0, relaxation) - relaxation
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        v = v if v > zero else rescale * v
        v2[i] = v
        out[i] += weight * abs(v)


@njit(**JIT)
def add_gap(x, v2, out, relaxation, weight):
    """Add weight (x - d) to out; v2 stays."""
    zero, keep = like(0.0, relaxation), like(1.0, relaxation) - relaxation
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        out[i] += weight * (x[i] - smaller(v, zero))


@njit(**JIT_SUM)
def _positivity_norms(x, v2, relaxation):
    """Squares of x - u, x, u and d along a row."""
    zero, keep = like(0.0, relaxation), like(1.0, relaxation) - relaxation
    gap, first, second, third = zero, zero, zero, zero
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        u, d = larger(v, zero), smaller(v, zero)
        gap += (x[i] - u) * (x[i] - u)
        first += x[i] * x[i]
        second += u * u
        third += d * d
    return gap, first, second, third


@njit(**JIT)
def measure_positivity(x, v2, relaxation, nx, width, norms):
    """Add `_positivity_norms` of the true columns of every row of a chunk."""
    for row in range(0, v2.size, width):
        end = row + nx
        accumulate(norms, like(1.0, relaxation), _positivity_norms(x[row:end], v2[row:end], relaxation))
