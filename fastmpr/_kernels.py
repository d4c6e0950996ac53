"""Every Numba kernel: pointwise functions first, then loops over rows, then over slabs of planes.

All of them are serial and release the GIL; `_threads.Team` runs them side by side on disjoint slabs. They live in one
file because Numba's cache does not notice changes in other files. Symmetric 3x3 matrices are stored as their six
distinct entries in the order zz, yy, xx, zy, zx, yx; the last three count twice in every sum.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

# Only the relaxations that keep NaN and infinity honest; "contract" is what allows fused multiply-adds.
JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy", "cache": True, "fastmath": {"contract", "nsz"}}
# Pointwise functions are inlined before typing: LLVM does not vectorise a loop that calls a function returning a tuple.
JIT_INLINE: dict[str, Any] = {**JIT, "cache": False, "inline": "always"}
# A sum that may be taken in any order is a sum that vectorises.
JIT_SUM: dict[str, Any] = {**JIT, "fastmath": {"contract", "nsz", "reassoc"}}

# Minimax polynomial of 2 cos(acos(r) / 3) in sqrt((1 + r) / 2) on 0 <= r <= 1, off by at most 1.3e-14.
_COS_THIRD = (
    -0.00021616920120701379,
    0.001970880655472537,
    -0.0085281971823014024,
    0.023943590070167108,
    -0.05160545499690487,
    0.10018371723896395,
    -0.22007164813385709,
    1.1542872751855746,
    1.0000360063640812,
)


# ----------------------------------------------------------------------------------------------------
# Pointwise functions
# ----------------------------------------------------------------------------------------------------


def _like(constant, value):
    """Return a constant in the precision of ``value``: a float64 literal would drag float32 loops to float64."""
    return type(value)(constant)


@overload(_like, inline="always")
def _like_typed(constant, value):
    if value == types.float32:
        return lambda constant, value: np.float32(constant)
    return lambda constant, value: np.float64(constant)


def _narrow(number, value):
    """Return a float64 number in the precision of ``value``."""
    return type(value)(number)


@overload(_narrow, inline="always")
def _narrow_typed(number, value):
    if value == types.float32:
        return lambda number, value: np.float32(number)
    return lambda number, value: number


@njit(**JIT_INLINE)
def smaller(a, b):
    """The smaller of two numbers; unlike min, it vectorises."""
    return a if a < b else b


@njit(**JIT_INLINE)
def larger(a, b):
    """The larger of two numbers; unlike max, it vectorises."""
    return a if a > b else b


@njit(**JIT_INLINE)
def clip(value, bound):
    """Clip a number to [-bound, bound]."""
    return larger(smaller(value, bound), -bound)


@njit(**JIT_INLINE)
def two_cos_third(r):
    """2 cos(acos(r) / 3) for 0 <= r <= 1: the largest root of l^3 - 3 l - 2 r."""
    s = math.sqrt(_like(0.5, r) + _like(0.5, r) * r)
    value = _like(_COS_THIRD[0], r)
    value = value * s + _like(_COS_THIRD[1], r)
    value = value * s + _like(_COS_THIRD[2], r)
    value = value * s + _like(_COS_THIRD[3], r)
    value = value * s + _like(_COS_THIRD[4], r)
    value = value * s + _like(_COS_THIRD[5], r)
    value = value * s + _like(_COS_THIRD[6], r)
    value = value * s + _like(_COS_THIRD[7], r)
    return value * s + _like(_COS_THIRD[8], r)


@njit(**JIT_INLINE)
def split_spectrum(zz, yy, xx, zy, zx, yx):
    """Split a symmetric 3x3 matrix A = size (mean I + norm (root P + mid (I - P) + B)).

    ``root`` is the best separated eigenvalue of the scaled deviator, P = adj(A - root I) / tr adj(A - root I) its
    projector; the other two eigenvalues are mid +- g, and B is what they add to mid on the plane they span. Scaling by
    the largest entry, removing the trace and dividing by the norm keep everything from over- and underflowing.

    Returns
    -------
    size, mean, norm, root, mid, g, P (6 entries), B (6 entries)
    """
    half, third, two = _like(0.5, zz), _like(1 / 3, zz), _like(2.0, zz)
    one, tiny = _like(1.0, zz), _like(1e-30, zz)

    size = larger(larger(larger(abs(zz), abs(yy)), larger(abs(xx), abs(zy))), larger(larger(abs(zx), abs(yx)), tiny))
    shrink = one / size
    mean = (zz + yy + xx) * third * shrink
    a, b, c = zz * shrink - mean, yy * shrink - mean, xx * shrink - mean
    d, e, f = zy * shrink, zx * shrink, yx * shrink
    rest = (a + b + c) * third  # near a multiple of I, rounding leaves a trace that is not small beside the deviator
    a, b, c, mean = a - rest, b - rest, c - rest, mean + rest

    norm = math.sqrt((half * (a * a + b * b + c * c) + (d * d + e * e + f * f)) * third + tiny)
    unit = one / norm
    a, b, c, d, e, f = a * unit, b * unit, c * unit, d * unit, e * unit, f * unit

    r = half * (a * (b * c - f * f) - d * (d * c - e * f) + e * (d * f - b * e))
    root = two_cos_third(smaller(abs(r), one))
    root = root if r >= _like(0.0, r) else -root

    al, bl, cl = a - root, b - root, c - root
    pa, pb, pc = bl * cl - f * f, al * cl - e * e, al * bl - d * d
    pd, pe, pf = e * f - cl * d, d * f - bl * e, d * e - al * f
    scale = one / (pa + pb + pc)
    pa, pb, pc, pd, pe, pf = pa * scale, pb * scale, pc * scale, pd * scale, pe * scale, pf * scale

    root = (a * pa + b * pb + c * pc) + two * (d * pd + e * pe + f * pf)  # the Rayleigh quotient: twice the digits
    mid = -half * root
    gap = root - mid
    a, b, c = a - gap * pa - mid, b - gap * pb - mid, c - gap * pc - mid
    d, e, f = d - gap * pd, e - gap * pe, f - gap * pf
    g = math.sqrt(half * (a * a + b * b + c * c) + (d * d + e * e + f * f) + tiny)
    return size, mean, norm, root, mid, g, pa, pb, pc, pd, pe, pf, a, b, c, d, e, f


@njit(**JIT_INLINE)
def clip_spectrum(zz, yy, xx, zy, zx, yx, bound):
    """Clip the eigenvalues of a symmetric 3x3 matrix to [-bound, bound].

    No eigenvector is formed: with A split as in `split_spectrum`, any function f of the spectrum is

        f(A) = f(l) P + (f(m + g) + f(m - g)) / 2 (I - P) + (f(m + g) - f(m - g)) / (2 g) B.
    """
    half = _like(0.5, zz)
    size, mean, norm, root, mid, g, pa, pb, pc, pd, pe, pf, a, b, c, d, e, f = split_spectrum(zz, yy, xx, zy, zx, yx)
    centre, radius = size * mean, size * norm
    low = clip(centre + radius * (mid - g), bound)
    high = clip(centre + radius * (mid + g), bound)
    level = half * (low + high)
    slope = half * (high - low) / g
    jump = clip(centre + radius * root, bound) - level
    return (
        level + jump * pa + slope * a,
        level + jump * pb + slope * b,
        level + jump * pc + slope * c,
        jump * pd + slope * d,
        jump * pe + slope * e,
        jump * pf + slope * f,
    )


@njit(**JIT_INLINE)
def nuclear_norm(zz, yy, xx, zy, zx, yx):
    """Sum of the absolute eigenvalues of a symmetric 3x3 matrix."""
    size, mean, norm, root, mid, g, _, _, _, _, _, _, _, _, _, _, _, _ = split_spectrum(zz, yy, xx, zy, zx, yx)
    return size * (abs(mean + norm * root) + abs(mean + norm * (mid + g)) + abs(mean + norm * (mid - g)))


@njit(**JIT_INLINE)
def spline_weights(f):
    """The four cubic B-spline weights at a fraction f past the second of four samples."""
    one, sixth, half = _like(1.0, f), _like(1 / 6, f), _like(0.5, f)
    g = one - f
    first, last = sixth * g * g * g, sixth * f * f * f
    second = _like(2 / 3, f) - half * f * f * (g + one)
    return first, second, one - first - second - last, last


# ----------------------------------------------------------------------------------------------------
# Hessian: the sweep between two FFTs
# ----------------------------------------------------------------------------------------------------


@njit(**JIT)
def wrap_columns(x, nx, start, stop):
    """Repeat the first columns behind the last ones, so that a row's periodic neighbours lie in a straight line."""
    for z in range(start, stop):
        for y in range(x.shape[1]):
            row = x[z, y]
            for i in range(nx, row.size):
                row[i] = row[i % nx]


@njit(**JIT_SUM)
def _sum_nuclear_norms(zz, yy, xx, zy, zx, yx):
    total = _like(0.0, zz[0])
    for i in range(zz.size):
        total += nuclear_norm(zz[i], yy[i], xx[i], zy[i], zx[i], yx[i])
    return total


@njit(**JIT)
def _second_difference(a, b, c, state, relaxation, v):
    """V = relaxation (a - 2 b + c) + state: a pure second derivative along z or y."""
    for i in range(v.size):
        v[i] = relaxation * ((a[i] - b[i]) - (b[i] - c[i])) + state[i]


@njit(**JIT)
def _second_difference_x(a, state, relaxation, v):
    """The same along the row itself."""
    for i in range(v.size):
        v[i] = relaxation * ((a[i + 2] - a[i + 1]) - (a[i + 1] - a[i])) + state[i]


@njit(**JIT)
def _mixed_difference(a, b, shift, state, relaxation, v):
    """V = relaxation (difference of b along it - difference of a along it) + state, ``shift`` samples apart."""
    for i in range(v.size):
        v[i] = relaxation * ((b[i + shift] - b[i]) - (a[i + shift] - a[i])) + state[i]


@njit(**JIT)
def _mixed_difference_zy(x00, x10, x01, x11, state, relaxation, v):
    """V = relaxation (mixed derivative across four rows) + state."""
    for i in range(v.size):
        v[i] = relaxation * ((x11[i] - x01[i]) - (x10[i] - x00[i])) + state[i]


@njit(**JIT)
def clip_spectra(zz, yy, xx, zy, zx, yx, bound, ozz, oyy, oxx, ozy, ozx, oyx):
    """`clip_spectrum` along rows."""
    for i in range(zz.size):
        ozz[i], oyy[i], oxx[i], ozy[i], ozx[i], oyx[i] = clip_spectrum(zz[i], yy[i], xx[i], zy[i], zx[i], yx[i], bound)


@njit(**JIT)
def _advance(v, d, keep, mix, cut, factor, state, q):
    """The new state keep v + mix d, and q = factor (v - cut d)."""
    for i in range(v.size):
        state[i] = keep * v[i] + mix * d[i]
        q[i] = factor * (v[i] - cut * d[i])


@njit(**JIT)
def _stay(v, d, relaxation, factor, state, q):
    """Q = factor (Hx - d), from v = relaxation Hx + state; the state stays."""
    for i in range(v.size):
        q[i] = factor * ((v[i] - state[i]) / relaxation - d[i])


@njit(**JIT_SUM)
def _primal_norms(v, d, relaxation, state):
    """Sums of squares of Dx - u, Dx, u and d along a row, from v = relaxation Dx + state and u = v - d."""
    gap = v[0] - v[0]
    first, second, third = gap, gap, gap
    for i in range(v.size):
        dx = (v[i] - state[i]) / relaxation
        u = v[i] - d[i]
        gap += (dx - u) * (dx - u)
        first += dx * dx
        second += u * u
        third += d[i] * d[i]
    return gap, first, second, third


@njit(**JIT)
def _cross_terms(qzy, previous_qzy, qzx, qzz, previous_qzz, w):
    """W = what the adjoint differentiates along z: qzz along z, qzy along y, qzx along x."""
    for i in range(w.size):
        w[i] = (previous_qzz[i] - qzz[i + 2]) + (previous_qzy[i + 2] - qzy[i + 2]) + (qzx[i + 1] - qzx[i + 2])


@njit(**JIT)
def _plane_terms(qyy, previous_qyy, qyx, w):
    """W = what the adjoint differentiates along y: qyy along y, qyx along x."""
    for i in range(w.size):
        w[i] = (previous_qyy[i + 2] - qyy[i + 2]) + (qyx[i + 1] - qyx[i + 2])


@njit(**JIT)
def _gather_terms(qxx, wy, previous_wy, wz, previous_wz, out):
    """Out = the adjoint along the row of qxx, along y of wy and along z of wz."""
    for i in range(out.size):
        along_x = (qxx[i] - qxx[i + 1]) - (qxx[i + 1] - qxx[i + 2])
        out[i] = along_x + (previous_wy[i] - wy[i]) + (previous_wz[i] - wz[i])


@njit(**JIT)
def _add(target, scale, values):
    for i in range(target.size):
        target[i] += scale * values[i]


@njit(**JIT)
def _accumulate(sums, weight, values):
    for k in range(4):
        sums[k] += weight * values[k]


@njit(**JIT)
def _copy(source, target):
    for i in range(target.size):
        target[i] = source[i]


@njit(**JIT)
def _wrap_left(q):
    """Repeat the last two columns before the first: the adjoint looks back where the operator looks ahead."""
    for k in range(q.shape[0]):
        row = q[k]
        q[k, 0], q[k, 1] = row[row.size - 2 if row.size > 3 else 2], row[row.size - 1]


@njit(**JIT)
def _hessian_values(x, z, y, state, relaxation, v):
    """V = relaxation Hx + state along one row, six components."""
    nz, ny = x.shape[0], x.shape[1]
    z1, z2, y1, y2 = (z + 1) % nz, (z + 2) % nz, (y + 1) % ny, (y + 2) % ny
    row, right, below = x[z, y], x[z, y1], x[z1, y]
    _second_difference(row, below, x[z2, y], state[0], relaxation, v[0])
    _second_difference(row, right, x[z, y2], state[1], relaxation, v[1])
    _second_difference_x(row, state[2], relaxation, v[2])
    _mixed_difference_zy(row, right, below, x[z1, y1], state[3], relaxation, v[3])
    _mixed_difference(row, below, 1, state[4], relaxation, v[4])
    _mixed_difference(row, right, 1, state[5], relaxation, v[5])


@njit(**JIT)
def _hessian_adjoint_row(q, previous_q, wy, previous_wy, w, carry, y, out):
    """One row of the adjoint, from this row's q and what is remembered of the row and the plane before.

    The mixed components of q must hold twice their values. ``carry`` holds the previous plane's qzz and w, and is
    given this plane's.
    """
    _wrap_left(q)
    _cross_terms(q[3], previous_q[3], q[4], q[0], carry[0, y], w)
    _plane_terms(q[1], previous_q[1], q[5], wy)
    _gather_terms(q[2], wy, previous_wy, w, carry[1, y], out)
    _copy(q[0, 2:], carry[0, y])
    _copy(w, carry[1, y])


@njit(**JIT)
def _close_rows(q, wy, carry, out, nx):
    """Give the first rows of a plane what its last row owes them across the periodic edge."""
    one = _like(1.0, wy[0])
    first, second = out[0, :nx], out[1 % out.shape[0], :nx]
    _add(first, one, wy)
    _add(first, -one, q[1, 2:])
    _add(second, one, q[1, 2:])
    _add(first, -one, q[3, 2:])
    _add(carry[1, 0], one, q[3, 2:])


@njit(**JIT)
def close_planes(out, carry, start):
    """Give the first two planes of a slab what the slab before owes them (its ``carry``)."""
    nz, ny, nx = out.shape[0], out.shape[1], carry.shape[2]
    one = _like(1.0, carry[0, 0, 0])
    for y in range(ny):
        first, second = out[start, y, :nx], out[(start + 1) % nz, y, :nx]
        _add(first, one, carry[1, y])
        _add(first, -one, carry[0, y])
        _add(second, one, carry[0, y])


@njit(**JIT)
def _positivity_row(x, v2, out, relaxation, weight, rescale):
    """Relax, project on x >= 0 and add weight (u - t d) = weight |v| to the row; v holds u above zero, t d below."""
    zero, keep = _like(0.0, relaxation), _like(1.0, relaxation) - relaxation
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        v = v if v > zero else rescale * v
        v2[i] = v
        out[i] += weight * abs(v)


@njit(**JIT_SUM)
def _positivity_norms(x, v2, out, relaxation, weight):
    """Add weight (x - d) to the row; return the squares of x - u, x, u and d."""
    zero, keep = _like(0.0, relaxation), _like(1.0, relaxation) - relaxation
    gap, first, second, third = zero, zero, zero, zero
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        u, d = larger(v, zero), smaller(v, zero)
        out[i] += weight * (x[i] - d)
        gap += (x[i] - u) * (x[i] - u)
        first += x[i] * x[i]
        second += u * u
        third += d * d
    return gap, first, second, third


@njit(**JIT)
def hessian_sweep(x, state, v2, out, carry, steps, start, stop):
    """Everything between two FFTs, for the planes of a slab: Hessian, proximal steps, adjoint, in one pass.

    With s the state, r the relaxation, v = r Hx + s, d = v with its eigenvalues clipped to ``bound`` and u = v - d:

        s <- (1 - r) u + t d        out <- H^T (u - t d) + weight (u2 - t2 d2)

    ``steps`` is (r, bound, weight, t, t2): t and t2 are the old penalty parameter over the new one, weight is mu2 / mu1.
    """
    relaxation, bound, weight, rescale, rescale2 = steps
    one = _like(1.0, bound)
    keep = one - relaxation
    mix, cut = rescale - keep, one + rescale
    ny, nx = state.shape[1], state.shape[3]
    v, d = np.empty((6, nx), x.dtype), np.empty((6, nx), x.dtype)
    rows, slopes, w = np.empty((2, 6, nx + 2), x.dtype), np.empty((2, nx), x.dtype), np.empty(nx, x.dtype)
    carry[:] = 0
    for z in range(start, stop):
        rows[1], slopes[1] = 0, 0
        for y in range(ny):
            now, before = y % 2, 1 - y % 2
            s, q, target = state[z, y], rows[now], out[z, y, :nx]
            _hessian_values(x, z, y, s, relaxation, v)
            clip_spectra(v[0], v[1], v[2], v[3], v[4], v[5], bound, d[0], d[1], d[2], d[3], d[4], d[5])
            for k in range(6):
                _advance(v[k], d[k], keep, mix, cut, one if k < 3 else one + one, s[k], q[k, 2:])
            _hessian_adjoint_row(q, rows[before], slopes[now], slopes[before], w, carry, y, target)
            _positivity_row(x[z, y], v2[z, y], target, relaxation, weight, rescale2)
        _close_rows(rows[(ny - 1) % 2], slopes[(ny - 1) % 2], carry, out[z], nx)


@njit(**JIT)
def hessian_residual(x, state, v2, out, carry, steps, norms, start, stop):
    """The sweep that moves nothing: out <- H^T (Hx - d) + weight (x - d2).

    norms[z] <- the squares of Hx - u, Hx, u, d, then of x - u2, x, u2, d2, over plane z.
    """
    relaxation, bound, weight, _, _ = steps
    one = _like(1.0, bound)
    ny, nx = state.shape[1], state.shape[3]
    v, d = np.empty((6, nx), x.dtype), np.empty((6, nx), x.dtype)
    rows, slopes, w = np.empty((2, 6, nx + 2), x.dtype), np.empty((2, nx), x.dtype), np.empty(nx, x.dtype)
    carry[:] = 0
    for z in range(start, stop):
        rows[1], slopes[1], norms[z] = 0, 0, 0
        for y in range(ny):
            now, before = y % 2, 1 - y % 2
            s, q, target = state[z, y], rows[now], out[z, y, :nx]
            _hessian_values(x, z, y, s, relaxation, v)
            clip_spectra(v[0], v[1], v[2], v[3], v[4], v[5], bound, d[0], d[1], d[2], d[3], d[4], d[5])
            for k in range(6):
                factor = one if k < 3 else one + one
                _stay(v[k], d[k], relaxation, factor, s[k], q[k, 2:])
                _accumulate(norms[z, :4], factor, _primal_norms(v[k], d[k], relaxation, s[k]))
            _hessian_adjoint_row(q, rows[before], slopes[now], slopes[before], w, carry, y, target)
            _accumulate(norms[z, 4:], one, _positivity_norms(x[z, y], v2[z, y], target, relaxation, weight))
        _close_rows(rows[(ny - 1) % 2], slopes[(ny - 1) % 2], carry, out[z], nx)


@njit(**JIT)
def hessian_value(x, nx, norms, start, stop):
    """norms[z] <- the sum over plane z of the nuclear norm of the Hessian; x has its first columns repeated."""
    ny, one = x.shape[1], _like(1.0, x[0, 0, 0])
    v, zeros = np.empty((6, nx), x.dtype), np.zeros((6, nx), x.dtype)
    for z in range(start, stop):
        norms[z] = 0
        for y in range(ny):
            _hessian_values(x, z, y, zeros, one, v)
            norms[z] += _sum_nuclear_norms(v[0], v[1], v[2], v[3], v[4], v[5])


# ----------------------------------------------------------------------------------------------------
# Fourier space
# ----------------------------------------------------------------------------------------------------


@njit(**JIT)
def _solve_row(spectrum, inverse, bias):
    for i in range(spectrum.size):
        spectrum[i] = spectrum[i] * inverse[i] + bias[i]


@njit(**JIT)
def solve_columns(spectrum, inverse, bias, start, stop):
    """Spectrum <- spectrum * inverse + bias, for the rows start <= y < stop of every plane: the x-step of ADMM."""
    for z in range(spectrum.shape[0]):
        for y in range(start, stop):
            _solve_row(spectrum[z, y], inverse[z, y], bias[z, y])


@njit(**JIT_SUM)
def residual_of_squares(a, b, norms, start, stop):
    """norms[z] <- the sum of squares of a - b over plane z; b may have longer rows."""
    for z in range(start, stop):
        total = 0.0
        for y in range(a.shape[1]):
            row, other, part = a[z, y], b[z, y], _like(0.0, a[0, 0, 0])
            for i in range(row.size):
                part += (row[i] - other[i]) * (row[i] - other[i])
            total += part
        norms[z] = total


@njit(**JIT)
def _prepare_row(gram, rhs, lzy, lx, order, lam, mu, mu2, scale, inverse, bias):
    for i in range(lx.size):
        symbol = lzy + lx[i]
        symbol = symbol * symbol if order == 2 else symbol
        unit = scale / (mu * symbol + mu2 + lam * gram[i])
        inverse[i] = mu * unit
        bias[i] = lam * unit * rhs[i]


@njit(**JIT)
def prepare_columns(gram, rhs, lz, ly, lx, order, lam, mu, mu2, scale, inverse, bias, start, stop):
    """Fill ``inverse`` and ``bias`` of `solve_columns` for the x-step (mu D^T D + mu2 + lam S) x = mu r + lam B.

    The symbol of D^T D is (lz + ly + lx) ** order; ``scale`` is the FFT's normalisation.
    """
    for z in range(start, stop):
        for y in range(gram.shape[1]):
            _prepare_row(
                gram[z, y],
                rhs[z, y],
                lz[z] + ly[y],
                lx,
                order,
                lam,
                mu,
                mu2,
                scale,
                inverse[z, y],
                bias[z, y],
            )


@njit(**JIT_SUM)
def gradient_norm(gram, rhs, spectrum, size, nx, start, stop, norms):
    """norms[y] <- the squares of S x - B over the rows y, from ``spectrum`` = x^ / size; every frequency counted."""
    half = (nx + 1) // 2
    for y in range(start, stop):
        total = 0.0
        for z in range(spectrum.shape[0]):
            for i in range(spectrum.shape[2]):
                value = spectrum[z, y, i] * size * gram[z, y, i] - rhs[z, y, i]
                square = value.real * value.real + value.imag * value.imag
                total += square if i == 0 or i >= half else square + square
        norms[y] = total


# ----------------------------------------------------------------------------------------------------
# Resampling with cubic B-splines
# ----------------------------------------------------------------------------------------------------

_POLE = math.sqrt(3.0) - 2.0  # of the recursive filter that turns samples into cubic B-spline coefficients
MARGIN = 2  # mirrored coefficients kept on every side, so that no sample within half a voxel needs a bounds check


@njit(**JIT)
def _mirror(index, size):
    """The index that whole-sample mirroring brings into the range."""
    if size == 1:
        return 0
    index = abs(index) % (2 * size - 2)
    return index if index < size else 2 * size - 2 - index


@njit(**JIT)
def _filter_line(line, first, size, horizon):
    """Turn ``size`` samples, from ``first`` on, into interpolation coefficients, in place (mirror boundaries)."""
    if size == 1:
        return
    pole, six = _like(_POLE, line[0]), _like(6.0, line[0])
    total, power = _like(0.0, line[0]), _like(1.0, line[0])
    for k in range(horizon):
        total += power * line[first + _mirror(k, size)]
        power *= pole
    line[first] = six * total
    for i in range(first + 1, first + size):
        line[i] = six * line[i] + pole * line[i - 1]
    last = first + size - 1
    line[last] = pole / (pole * pole - _like(1.0, pole)) * (line[last] + pole * line[last - 1])
    for i in range(last - 1, first - 1, -1):
        line[i] = pole * (line[i + 1] - line[i])


@njit(**JIT)
def _scale_row(row, factor):
    for i in range(row.size):
        row[i] *= factor


@njit(**JIT)
def _blend_row(target, source, factor, pole):
    """Target <- factor target + pole source."""
    for i in range(target.size):
        target[i] = factor * target[i] + pole * source[i]


@njit(**JIT)
def _retreat_row(target, source, pole):
    """Target <- pole (source - target)."""
    for i in range(target.size):
        target[i] = pole * (source[i] - target[i])


@njit(**JIT)
def _filter_rows(a, rows, horizon, work):
    """`_filter_line` across rows: a[rows[k]] is the k-th sample of every line."""
    size = len(rows)
    if size == 1:
        return
    pole, six = _like(_POLE, work[0]), _like(6.0, work[0])
    work[:] = 0
    power = _like(1.0, work[0])
    for k in range(horizon):
        _add(work, power, a[rows[_mirror(k, size)]])
        power *= pole
    _copy(work, a[rows[0]])
    _scale_row(a[rows[0]], six)
    for k in range(1, size):
        _blend_row(a[rows[k]], a[rows[k - 1]], six, pole)
    last = a[rows[size - 1]]
    _blend_row(last, a[rows[size - 2]], _like(1.0, pole), pole)
    _scale_row(last, pole / (pole * pole - _like(1.0, pole)))
    for k in range(size - 2, -1, -1):
        _retreat_row(a[rows[k]], a[rows[k + 1]], pole)


@njit(**JIT)
def spline_coefficients(a, horizon):
    """Turn the samples inside ``a`` into cubic B-spline coefficients, in place, and fill its margins by mirroring.

    ``a`` is C-ordered and has `MARGIN` extra planes, rows and columns on every side; ``horizon`` is the number of terms
    after which the pole's powers are below the precision. The recursion is that of Unser, Aldroubi and Eden (1993).
    """
    nz, ny, nx = a.shape[0] - 2 * MARGIN, a.shape[1] - 2 * MARGIN, a.shape[2] - 2 * MARGIN
    for z in range(MARGIN, MARGIN + nz):
        for y in range(MARGIN, MARGIN + ny):
            row = a[z, y]
            _filter_line(row, MARGIN, nx, horizon)
            for k in range(1, MARGIN + 1):
                row[MARGIN - k] = row[MARGIN + _mirror(k, nx)]
                row[MARGIN + nx - 1 + k] = row[MARGIN + _mirror(nx - 1 + k, nx)]
    inside_y, inside_z = np.arange(MARGIN, MARGIN + ny), np.arange(MARGIN, MARGIN + nz)
    work = np.empty(a.shape[2], a.dtype)
    for z in range(MARGIN, MARGIN + nz):
        _filter_rows(a[z], inside_y, horizon, work)
        for k in range(1, MARGIN + 1):
            _copy(a[z, MARGIN + _mirror(k, ny)], a[z, MARGIN - k])
            _copy(a[z, MARGIN + _mirror(ny - 1 + k, ny)], a[z, MARGIN + ny - 1 + k])
    planes = a.reshape(a.shape[0], -1)
    _filter_rows(planes, inside_z, horizon, np.empty(planes.shape[1], a.dtype))
    for k in range(1, MARGIN + 1):
        _copy(planes[MARGIN + _mirror(k, nz)], planes[MARGIN - k])
        _copy(planes[MARGIN + _mirror(nz - 1 + k, nz)], planes[MARGIN + nz - 1 + k])


@njit(**JIT)
def _inside(start, step, low, high, first, last):
    """Cut the index range [first, last) to those i with low <= start + i step <= high."""
    if step == 0:
        return (first, last) if low <= start <= high else (first, first)
    a, b = (low - start) / step, (high - start) / step
    if a > b:
        a, b = b, a
    first = max(first, int(math.ceil(a)))
    return first, max(first, min(last, int(math.floor(b)) + 1))


@intrinsic
def _spline_taps(typingctx, a, at, row, plane, wz, wy, wx):
    """Sum of the 4 x 4 x 4 coefficients from flat index ``at`` on, weighted by wz, wy and wx (four numbers each).

    Numba does not combine neighbouring scalar operations, so the four along x are written as one vector here: 16 loads
    instead of 64.
    """
    real = a.dtype

    def build(context, builder, signature, args):
        number = context.get_value_type(real)
        lanes = ir.VectorType(number, 4)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data

        def splat(value):
            first = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.IntType(32)(0))
            return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), 4), [0] * 4))

        def weighted_sum(terms):
            total = ir.Constant(lanes, [0.0] * 4)
            for weight, values in terms:
                product = builder.fmul(weight, values, flags=("contract",))
                total = builder.fadd(total, product, flags=("contract",))
            return total

        def line(k, j):
            size = args[1].type
            offset = builder.add(builder.mul(args[3], size(k)), builder.mul(args[2], size(j)))
            pointer = builder.gep(data, [builder.add(args[1], offset)])
            return builder.load(builder.bitcast(pointer, lanes.as_pointer()), align=real.bitwidth // 8)

        weights_z, weights_y, weights_x = (cgutils.unpack_tuple(builder, args[k], 4) for k in (4, 5, 6))
        splats_y = [splat(weight) for weight in weights_y]
        planes = [weighted_sum((splats_y[j], line(k, j)) for j in range(4)) for k in range(4)]
        total = weighted_sum((splat(weights_z[k]), planes[k]) for k in range(4))
        value = number(0.0)
        for k in range(4):
            tap = builder.extract_element(total, ir.IntType(32)(k))
            value = builder.fadd(value, builder.fmul(weights_x[k], tap, flags=("contract",)), flags=("contract",))
        return value

    weights = types.containers.UniTuple(real, 4)
    return real(a, types.intp, types.intp, types.intp, weights, weights, weights), build


@njit(**JIT)
def _gather_row(a, row, plane, start, step, out, first, last):
    """out[i] <- the spline with coefficients ``a`` at start + i step, for first <= i < last; return the sum of squares.

    ``row`` and ``plane`` are the strides of the flattened ``a``.
    """
    squares = _like(0.0, out[0])
    (z, y, x), (dz, dy, dx) = start, step
    for i in range(first, last):
        pz, py, px = z + i * dz, y + i * dy, x + i * dx
        iz, iy, ix = int(pz), int(py), int(px)
        wz = spline_weights(_narrow(pz - iz, squares))
        wy = spline_weights(_narrow(py - iy, squares))
        wx = spline_weights(_narrow(px - ix, squares))
        value = _spline_taps(a, (iz - 1) * plane + (iy - 1) * row + ix - 1, row, plane, wz, wy, wx)
        out[i] = value
        squares += value * value
    return squares


@njit(**JIT)
def gather(a, matrix, origin, out, centre):
    """Sample a volume given by its spline coefficients on a rotated grid, and return the sum of squares of the samples.

    out[p] <- the spline at matrix (p - centre) + origin, in samples of the volume; zero outside it (half a voxel of slack).
    ``a`` comes from `spline_coefficients`.
    """
    row, plane, flat = a.shape[2], a.shape[1] * a.shape[2], a.ravel()
    top = (a.shape[0] - 2 * MARGIN - 0.5, a.shape[1] - 2 * MARGIN - 0.5, a.shape[2] - 2 * MARGIN - 0.5)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    total = 0.0
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            dz, dy, dx = k - centre[0], j - centre[1], -centre[2]
            z = origin[0] + matrix[0, 0] * dz + matrix[0, 1] * dy + matrix[0, 2] * dx
            y = origin[1] + matrix[1, 0] * dz + matrix[1, 1] * dy + matrix[1, 2] * dx
            x = origin[2] + matrix[2, 0] * dz + matrix[2, 1] * dy + matrix[2, 2] * dx
            first, last = _inside(z, step[0], -0.5, top[0], 0, out.shape[2])
            first, last = _inside(y, step[1], -0.5, top[1], first, last)
            first, last = _inside(x, step[2], -0.5, top[2], first, last)
            line = out[k, j]
            line[:first] = 0
            line[last:] = 0
            total += _gather_row(flat, row, plane, (z + MARGIN, y + MARGIN, x + MARGIN), step, line, first, last)
    return total


# ----------------------------------------------------------------------------------------------------
# Transfer functions of rotated PSFs
# ----------------------------------------------------------------------------------------------------


@njit(**JIT)
def _signed_frequency(index, size):
    """Signed FFT frequency of an index, and whether it is the Nyquist frequency, which has no sign."""
    return (index if 2 * index < size else index - size), 2 * index == size


@njit(**JIT)
def _sample_row(real, imag, row, plane, start, step, first, last, values):
    """values[i] <- the complex spline with coefficients real + i imag at start + i step, for first <= i < last."""
    like = real[0]
    (z, y, x), (dz, dy, dx) = start, step
    for i in range(first, last):
        pz, py, px = z + i * dz, y + i * dy, x + i * dx
        iz, iy, ix = int(pz), int(py), int(px)
        wz = spline_weights(_narrow(pz - iz, like))
        wy = spline_weights(_narrow(py - iy, like))
        wx = spline_weights(_narrow(px - ix, like))
        at = (iz - 1) * plane + (iy - 1) * row + ix - 1
        values[i] = complex(
            _spline_taps(real, at, row, plane, wz, wy, wx), _spline_taps(imag, at, row, plane, wz, wy, wx)
        )


@njit(**JIT)
def _sample_frequencies(real, imag, matrix, shape, kz, ky, values):
    """Fill one row of a transfer function's half spectrum; return the range of columns where it is not zero.

    The table's value at zero frequency is at its centre; it is zero outside the table, and at frequencies without a
    sign (Nyquist), so that the spectrum belongs to a real volume.
    """
    fz, no_sign_z = _signed_frequency(kz, shape[0])
    fy, no_sign_y = _signed_frequency(ky, shape[1])
    if no_sign_z or no_sign_y:
        return 0, 0
    tz, ty, tx = real.shape
    z = tz // 2 + matrix[0, 0] * fz + matrix[0, 1] * fy
    y = ty // 2 + matrix[1, 0] * fz + matrix[1, 1] * fy
    x = tx // 2 + matrix[2, 0] * fz + matrix[2, 1] * fy
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    first, last = _inside(z, step[0], 1.0, tz - 2.001, 0, (shape[2] + 1) // 2)
    first, last = _inside(y, step[1], 1.0, ty - 2.001, first, last)
    first, last = _inside(x, step[2], 1.0, tx - 2.001, first, last)
    _sample_row(real.ravel(), imag.ravel(), tx, ty * tx, (z, y, x), step, first, last, values)
    return first, last


@njit(**JIT)
def sample_transfer(real, imag, matrix, shape, out):
    """Fill the half spectrum of a rotated PSF's transfer function; frequency k lies at centre + matrix k of the table."""
    values = np.empty(out.shape[2], out.dtype)
    for kz in range(out.shape[0]):
        for ky in range(out.shape[1]):
            first, last = _sample_frequencies(real, imag, matrix, shape, kz, ky, values)
            out[kz, ky] = 0
            out[kz, ky, first:last] = values[first:last]


@njit(**JIT)
def _add_normal_row(values, spectrum, weight, first, last, gram, rhs):
    for i in range(first, last):
        h, y = values[i], spectrum[i]
        gram[i] += weight * (h.real * h.real + h.imag * h.imag)
        rhs[i] += weight * (y * h.conjugate())


@njit(**JIT)
def add_view(real, imag, matrix, shape, spectrum, weight, gram, rhs):
    """Gram += w |h|^2 and rhs += w conj(h) y for one view, with the h of `sample_transfer`."""
    values = np.empty(gram.shape[2], rhs.dtype)
    for kz in range(gram.shape[0]):
        for ky in range(gram.shape[1]):
            first, last = _sample_frequencies(real, imag, matrix, shape, kz, ky, values)
            _add_normal_row(values, spectrum[kz, ky], weight, first, last, gram[kz, ky], rhs[kz, ky])


# ----------------------------------------------------------------------------------------------------
# Total variation: the sweep between two FFTs
# ----------------------------------------------------------------------------------------------------


@njit(**JIT_INLINE)
def vector_norm(z, y, x):
    """Length of a 3-vector; scaling by its largest entry keeps squares from over- and underflowing."""
    size = larger(larger(abs(z), abs(y)), larger(abs(x), _like(1e-30, z)))
    shrink = _like(1.0, z) / size
    z, y, x = z * shrink, y * shrink, x * shrink
    return size * math.sqrt(z * z + y * y + x * x)


@njit(**JIT)
def clip_vectors(z, y, x, bound, oz, oy, ox):
    """Shorten 3-vectors along rows to a length of at most ``bound``."""
    for i in range(z.size):
        shrink = bound / larger(larger(vector_norm(z[i], y[i], x[i]), bound), _like(1e-30, bound))
        oz[i], oy[i], ox[i] = shrink * z[i], shrink * y[i], shrink * x[i]


@njit(**JIT_SUM)
def _sum_lengths(z, y, x):
    total = _like(0.0, z[0])
    for i in range(z.size):
        total += vector_norm(z[i], y[i], x[i])
    return total


@njit(**JIT)
def _difference(a, b, state, relaxation, v):
    """V = relaxation (b - a) + state."""
    for i in range(v.size):
        v[i] = relaxation * (b[i] - a[i]) + state[i]


@njit(**JIT)
def _gradient_values(x, z, y, state, relaxation, v):
    """V = relaxation grad x + state along one row, three components (z, y, x)."""
    row = x[z, y]
    _difference(row, x[(z + 1) % x.shape[0], y], state[0], relaxation, v[0])
    _difference(row, x[z, (y + 1) % x.shape[1]], state[1], relaxation, v[1])
    _difference(row, row[1:], state[2], relaxation, v[2])


@njit(**JIT)
def _gather_differences(qz, previous_qz, qy, previous_qy, qx, out):
    """Out = the adjoint along z of qz, along y of qy and along the row of qx."""
    for i in range(out.size):
        out[i] = (previous_qz[i] - qz[i]) + (previous_qy[i] - qy[i]) + (qx[i] - qx[i + 1])


@njit(**JIT)
def _gradient_adjoint_row(q, previous_q, carry, y, out):
    """One row of the adjoint, whose q lies from its second column on; ``carry[1]`` holds the previous plane's qz."""
    q[2, 0] = q[2, out.size]
    _gather_differences(q[0, 1:], carry[1, y], q[1, 1:], previous_q[1, 1:], q[2], out)
    _copy(q[0, 1:], carry[1, y])


@njit(**JIT)
def tv_sweep(x, state, v2, out, carry, steps, start, stop):
    """`hessian_sweep` for the gradient: three components, shortened to ``bound`` in place of clipped eigenvalues."""
    relaxation, bound, weight, rescale, rescale2 = steps
    one = _like(1.0, bound)
    keep = one - relaxation
    mix, cut = rescale - keep, one + rescale
    ny, nx = state.shape[1], state.shape[3]
    v, d = np.empty((3, nx), x.dtype), np.empty((3, nx), x.dtype)
    rows = np.empty((2, 3, nx + 1), x.dtype)
    carry[:] = 0
    for z in range(start, stop):
        rows[1] = 0
        for y in range(ny):
            s, q, target = state[z, y], rows[y % 2], out[z, y, :nx]
            _gradient_values(x, z, y, s, relaxation, v)
            clip_vectors(v[0], v[1], v[2], bound, d[0], d[1], d[2])
            for k in range(3):
                _advance(v[k], d[k], keep, mix, cut, one, s[k], q[k, 1:])
            _gradient_adjoint_row(q, rows[1 - y % 2], carry, y, target)
            _positivity_row(x[z, y], v2[z, y], target, relaxation, weight, rescale2)
        _add(out[z, 0, :nx], one, rows[(ny - 1) % 2, 1, 1:])


@njit(**JIT)
def tv_residual(x, state, v2, out, carry, steps, norms, start, stop):
    """`hessian_residual` for the gradient: out <- D^T (Dx - d) + weight (x - d2), and the norms of every plane."""
    relaxation, bound, weight, _, _ = steps
    one = _like(1.0, bound)
    ny, nx = state.shape[1], state.shape[3]
    v, d = np.empty((3, nx), x.dtype), np.empty((3, nx), x.dtype)
    rows = np.empty((2, 3, nx + 1), x.dtype)
    carry[:] = 0
    for z in range(start, stop):
        rows[1], norms[z] = 0, 0
        for y in range(ny):
            s, q, target = state[z, y], rows[y % 2], out[z, y, :nx]
            _gradient_values(x, z, y, s, relaxation, v)
            clip_vectors(v[0], v[1], v[2], bound, d[0], d[1], d[2])
            for k in range(3):
                _stay(v[k], d[k], relaxation, one, s[k], q[k, 1:])
                _accumulate(norms[z, :3], one, _primal_norms(v[k], d[k], relaxation, s[k]))
            _gradient_adjoint_row(q, rows[1 - y % 2], carry, y, target)
            _accumulate(norms[z, 3:], one, _positivity_norms(x[z, y], v2[z, y], target, relaxation, weight))
        _add(out[z, 0, :nx], one, rows[(ny - 1) % 2, 1, 1:])


@njit(**JIT)
def tv_value(x, nx, norms, start, stop):
    """norms[z] <- the sum over plane z of the length of the gradient; x has its first columns repeated."""
    one = _like(1.0, x[0, 0, 0])
    v, zeros = np.empty((3, nx), x.dtype), np.zeros((3, nx), x.dtype)
    for z in range(start, stop):
        norms[z] = 0
        for y in range(x.shape[1]):
            _gradient_values(x, z, y, zeros, one, v)
            norms[z] += _sum_lengths(v[0], v[1], v[2])
