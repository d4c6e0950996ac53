"""Planes of a spectrum turned about an axis of the grid, many of them side by side."""

from __future__ import annotations

import numpy as np

from .jit import JIT, like, njit


@njit(**JIT)
def _add_four(source, at, weights, factor, out, begin, size):
    """out[begin + i] += factor times the weighted sum of source[at + i] over four places, for i below ``size``."""
    a, b, c, d = np.uintp(at[0]), np.uintp(at[1]), np.uintp(at[2]), np.uintp(at[3])
    u, v, w, x = factor * weights[0], factor * weights[1], factor * weights[2], factor * weights[3]
    for i in range(size):
        k = np.uintp(i)
        total = u * source[a + k] + v * source[b + k] + w * source[c + k] + x * source[d + k]
        out[np.uintp(begin) + k] += total


@njit(**JIT)
def _spline_taps(position, size, taps, weights):
    """Find the four samples around a position, at most half a period from the first, and the weights of their splines."""
    first = int(np.floor(position))
    f = position - first
    for k in range(4):
        place = first - 1 + k
        taps[k] = place + size if place < 0 else place
    weights[0] = like((1 - f) ** 3 / 6, weights[0])
    weights[1] = like(2 / 3 - f * f + f**3 / 2, weights[0])
    weights[2] = like(2 / 3 - (1 - f) ** 2 + (1 - f) ** 3 / 2, weights[0])
    weights[3] = like(f**3 / 6, weights[0])


@njit(**JIT)
def add_turned_planes(table, turns, factors, out):
    """out[u, v] += the sum over turns of factor times the periodic spline with coefficients ``table`` at turn (u, v).

    u and v are signed frequencies, the turns (n, 2, 2) lead to samples of the table, whose zero frequency comes first. What
    lies beyond the table's Nyquist frequency is zero, and nothing is added at frequencies without a sign (Nyquist). The
    last axis of both arrays is that of the planes.
    """
    mu, mv, size = table.shape
    nu, nv = out.shape[:2]
    source, target = table.reshape(-1), out.reshape(-1)
    taps_u, taps_v, at = np.empty(4, np.intp), np.empty(4, np.intp), np.empty(4, np.intp)
    weights_u, weights_v = np.empty(4, out.dtype), np.empty(4, out.dtype)
    for i in range(nu):
        u = i if 2 * i < nu else i - nu
        for j in range(nv):
            v = j if 2 * j < nv else j - nv
            if 2 * u == -nu or 2 * v == -nv:
                continue
            for n in range(len(turns)):
                p, q = turns[n, 0, 0] * u + turns[n, 0, 1] * v, turns[n, 1, 0] * u + turns[n, 1, 1] * v
                if 2 * abs(p) >= mu or 2 * abs(q) >= mv:
                    continue
                _spline_taps(p, mu, taps_u, weights_u)
                _spline_taps(q, mv, taps_v, weights_v)
                for k in range(4):
                    for m in range(4):
                        at[m] = (taps_u[k] * mv + taps_v[m]) * size
                    _add_four(source, at, weights_v, factors[n] * weights_u[k], target, (i * nv + j) * size, size)
