"""Eigenvalues of symmetric 3x3 matrices shrunk towards zero: the prox of the nuclear norm, and that norm."""

from __future__ import annotations

import numpy as np

from .eigenvalue_steps import (
    LEVEL,
    MEAN,
    REST,
    ROOT,
    SCALE,
    WORK,
    A,
    B,
    C,
    D,
    E,
    F,
    deviators,
    rest_squares,
    separated_roots,
)
from .eigenvalues import adjugate, clip, eigenvalues, larger, with_eigenvalues
from .jit import JIT, JIT_INLINE, JIT_SUM, like, njit
from .rules import absolute_sum

_CHUNK = 256  # matrices: as many as stay in a core's first cache; `eigenvalue_steps` has room for no more than 3200


@njit(**JIT_INLINE)
def shrunk(mean, root, s, square, bound):
    """Take eigenvalues towards 0 by ``bound``: return (k0, k1, k2) of k0 I + k1 adj(A - root I) + k2 A.

    The matrix less itself with a clipped spectrum loses no digit of what is far above the bound; what lies within is 0.
    """
    zero, one = like(0.0, mean), like(1.0, mean)
    first, high, low = eigenvalues(mean, root, square)
    inside = larger(larger(abs(low), abs(high)), abs(first)) <= bound
    c0, c1, c2 = with_eigenvalues(clip(first, bound), clip(high, bound), clip(low, bound), root, s, square)
    return zero if inside else mean - c0, zero if inside else -c1, zero if inside else one - c2


@njit(**JIT)
def _shrink(work, size, bound):
    for i in range(size):
        work[LEVEL + i], work[SCALE + i], work[REST + i] = shrunk(
            work[MEAN + i], work[ROOT + i], work[SCALE + i], work[REST + i], bound
        )


@njit(**JIT)
def _combine(work, back, zz, yy, xx, zy, zx, yx):
    for i in range(zz.size):
        a, b, c, d, e, f = work[A + i], work[B + i], work[C + i], work[D + i], work[E + i], work[F + i]
        k0, k1, k2 = back * work[LEVEL + i], back * work[SCALE + i], back * work[REST + i]
        pa, pb, pc, pd, pe, pf = adjugate(work[ROOT + i], a, b, c, d, e, f)
        zz[i], yy[i], xx[i] = k0 + k1 * pa + k2 * a, k0 + k1 * pb + k2 * b, k0 + k1 * pc + k2 * c
        zy[i], zx[i], yx[i] = k1 * pd + k2 * d, k1 * pe + k2 * e, k1 * pf + k2 * f


@njit(**JIT)
def _shrink_chunk(h, at, scale, bound, out, to, size, work):
    """All five steps for ``size`` matrices, from ``at`` on in the six rows of h and from ``to`` on in those of out."""
    deviators(h[0, at : at + size], h[1, at:], h[2, at:], h[3, at:], h[4, at:], h[5, at:], scale, work)
    separated_roots(work, size)
    rest_squares(work, size)
    _shrink(work, size, bound)
    one = like(1.0, scale)
    _combine(work, one / scale, out[0, to : to + size], out[1, to:], out[2, to:], out[3, to:], out[4, to:], out[5, to:])


@njit(**JIT)
def shrink_entries(h, scale, bound, out, start, stop):
    """Take eigenvalues towards 0 by bound / scale, in columns of (6, n) entries in the order zz, yy, xx, zy, zx, yx.

    ``scale`` is a power of 2 that makes entries 1e12 at most; ``out`` may be h.
    """
    work = np.empty(WORK, out.dtype)
    for at in range(start, stop, _CHUNK):
        _shrink_chunk(h, at, scale, bound, out, at, min(_CHUNK, stop - at), work)


@njit(**JIT)
def _take(h, at, size, rows):
    half = like(0.5, rows[0, 0])
    for i in range(size):
        zz, zy, zx, yz, yy, yx, xz, xy, xx = h[at + i]
        rows[0, i], rows[1, i], rows[2, i] = zz, yy, xx
        rows[3, i], rows[4, i], rows[5, i] = half * (zy + yz), half * (zx + xz), half * (yx + xy)


@njit(**JIT)
def _put(rows, out, at, size):
    for i in range(size):
        row = out[at + i]
        row[0], row[4], row[8] = rows[0, i], rows[1, i], rows[2, i]
        row[1], row[2], row[5] = rows[3, i], rows[4, i], rows[5, i]
        row[3], row[6], row[7] = rows[3, i], rows[4, i], rows[5, i]


@njit(**JIT)
def shrink_matrices(h, scale, bound, out, start, stop):
    """`shrink_entries` for rows of (n, 9) whole matrices, of which the symmetric part is taken."""
    work, rows = np.empty(WORK, out.dtype), np.empty((6, _CHUNK), out.dtype)
    for at in range(start, stop, _CHUNK):
        size = min(_CHUNK, stop - at)
        _take(h, at, size, rows)
        _shrink_chunk(rows, 0, scale, bound, rows, 0, size, work)
        _put(rows, out, at, size)


@njit(**JIT_SUM)
def _sum_norms(work, size):
    total = like(0.0, work[0])
    for i in range(size):
        first, high, low = eigenvalues(work[MEAN + i], work[ROOT + i], work[REST + i])
        total += absolute_sum(first, high, low)
    return total


@njit(**JIT)
def sum_nuclear_norms(h, scale):
    """Return the sum of the absolute eigenvalues of scale times (6, n) entries."""
    work, total = np.empty(WORK, h.dtype), 0.0
    for at in range(0, h.shape[1], _CHUNK):
        size = min(_CHUNK, h.shape[1] - at)
        deviators(h[0, at : at + size], h[1, at:], h[2, at:], h[3, at:], h[4, at:], h[5, at:], scale, work)
        separated_roots(work, size)
        rest_squares(work, size)
        total += _sum_norms(work, size)
    return total
