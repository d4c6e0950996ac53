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

from ._jit import CACHE

# Only the relaxations that keep NaN and infinity honest; "contract" is what allows fused multiply-adds.
JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy", "cache": CACHE, "fastmath": {"contract", "nsz"}}
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
def unit_deviator(zz, yy, xx, zy, zx, yx):
    """Write a symmetric 3x3 matrix as centre I + radius A with tr A = 0 and tr A^2 = 6; return also A's separated root.

    Scaling by the largest entry first keeps everything from over- and underflowing. The eigenvalues of A solve
    l^3 - 3 l - det A = 0; the one returned is the best separated of the three.

    Returns
    -------
    centre, radius, root, A (6 entries)
    """
    half, third, one, tiny = _like(0.5, zz), _like(1 / 3, zz), _like(1.0, zz), _like(1e-30, zz)

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
    return size * mean, size * norm, root if r >= _like(0.0, r) else -root, a, b, c, d, e, f


@njit(**JIT_INLINE)
def split_deviator(root, a, b, c, d, e, f):
    """Split a unit deviator A = root P + mid (I - P) + B about its best separated eigenvalue.

    P = adj(A - root I) / tr adj(A - root I) is that eigenvalue's projector; the other two are mid +- g, and B is what they
    add to mid on the plane they span.

    Returns
    -------
    root (refined), mid, g, P (6 entries), B (6 entries)
    """
    half, two, one, tiny = _like(0.5, a), _like(2.0, a), _like(1.0, a), _like(1e-30, a)
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
    return root, mid, g, pa, pb, pc, pd, pe, pf, a, b, c, d, e, f


@njit(**JIT_INLINE)
def clip_deviator(centre, radius, root, a, b, c, d, e, f, bound):
    """Clip the eigenvalues of centre I + radius A, as `unit_deviator` gives it, to [-bound, bound].

    No eigenvector is formed: with A split as in `split_deviator`, any function h of the spectrum is

        h(A) = h(l) P + (h(m + g) + h(m - g)) / 2 (I - P) + (h(m + g) - h(m - g)) / (2 g) B.
    """
    half = _like(0.5, centre)
    root, mid, g, pa, pb, pc, pd, pe, pf, a, b, c, d, e, f = split_deviator(root, a, b, c, d, e, f)
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
    centre, radius, root, a, b, c, d, e, f = unit_deviator(zz, yy, xx, zy, zx, yx)
    root, mid, g, _, _, _, _, _, _, _, _, _, _, _, _ = split_deviator(root, a, b, c, d, e, f)
    return abs(centre + radius * root) + abs(centre + radius * (mid + g)) + abs(centre + radius * (mid - g))


@njit(**JIT_INLINE)
def spline_weights(f):
    """The four cubic B-spline weights at a fraction f past the second of four samples."""
    one, sixth, half = _like(1.0, f), _like(1 / 6, f), _like(0.5, f)
    g = one - f
    first, last = sixth * g * g * g, sixth * f * f * f
    second = _like(2 / 3, f) - half * f * f * (g + one)
    return first, second, one - first - second - last, last


# ----------------------------------------------------------------------------------------------------
# Rows: the steps of a sweep, each a loop over one-dimensional arrays
# ----------------------------------------------------------------------------------------------------
#
# The sweeps work on volumes whose rows are at least two columns wider than the model, so that a chunk of several rows is
# one long array and x + 1 and x + 2 are always the next elements. The extra columns of x repeat its first ones; those of
# all else hold nothing of meaning.

_CHUNK = 1600  # elements in a chunk: loops long enough to pay for their overhead, arrays that stay near the core


@njit(**JIT)
def wrap_edges(x, ny, nx, start, stop):
    """Fill the extra columns and rows of planes with the first ones, so that periodic neighbours lie in line."""
    for z in range(start, stop):
        for y in range(ny):
            for i in range(nx, x.shape[2]):
                x[z, y, i] = x[z, y, i % nx]
        for y in range(ny, x.shape[1]):
            _copy(x[z, y % ny], x[z, y])


@njit(**JIT_SUM)
def _sum_nuclear_norms(zz, yy, xx, zy, zx, yx):
    total = _like(0.0, zz[0])
    for i in range(zz.size):
        total += nuclear_norm(zz[i], yy[i], xx[i], zy[i], zx[i], yx[i])
    return total


@njit(**JIT)
def _second_difference(a, b, c, state, relaxation, v):
    """V = relaxation (a - 2 b + c) + state."""
    for i in range(v.size):
        v[i] = relaxation * ((a[i] - b[i]) - (b[i] - c[i])) + state[i]


@njit(**JIT)
def _mixed_difference(a, b, c, d, state, relaxation, v):
    """V = relaxation ((d - c) - (b - a)) + state: first differences along two axes."""
    for i in range(v.size):
        v[i] = relaxation * ((d[i] - c[i]) - (b[i] - a[i])) + state[i]


@njit(**JIT)
def _unit_deviators(zz, yy, xx, zy, zx, yx, centre, radius, root, a, b, c, d, e, f):
    for i in range(zz.size):
        centre[i], radius[i], root[i], a[i], b[i], c[i], d[i], e[i], f[i] = unit_deviator(
            zz[i], yy[i], xx[i], zy[i], zx[i], yx[i]
        )


@njit(**JIT)
def _clip_deviators(centre, radius, root, a, b, c, d, e, f, bound):
    for i in range(a.size):
        a[i], b[i], c[i], d[i], e[i], f[i] = clip_deviator(
            centre[i], radius[i], root[i], a[i], b[i], c[i], d[i], e[i], f[i], bound
        )


@njit(**JIT)
def clip_spectra(zz, yy, xx, zy, zx, yx, bound, ozz, oyy, oxx, ozy, ozx, oyx):
    """Clip the eigenvalues of symmetric matrices, entry by entry in rows, to [-bound, bound].

    Two loops are faster than one: the chain of dependent operations is long, and in half of it the processor has room
    to work on twice as many elements at once.
    """
    work = np.empty((3, zz.size), zz.dtype)
    _unit_deviators(zz, yy, xx, zy, zx, yx, work[0], work[1], work[2], ozz, oyy, oxx, ozy, ozx, oyx)
    _clip_deviators(work[0], work[1], work[2], ozz, oyy, oxx, ozy, ozx, oyx, bound)


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
def _wrap_left(q, first, width, nx):
    """Put each row's last two columns right before it: the adjoint looks back where the operator looks ahead."""
    for row in range(first, q.size, width):
        q[row - 1] = q[row + nx - 1]
        q[row - 2] = q[row + (nx - 2) % nx]


@njit(**JIT)
def _positivity(x, v2, out, relaxation, weight, rescale):
    """Relax, project on x >= 0 and add weight (u - t d) = weight |v| to out; v holds u above zero, t d below."""
    zero, keep = _like(0.0, relaxation), _like(1.0, relaxation) - relaxation
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        v = v if v > zero else rescale * v
        v2[i] = v
        out[i] += weight * abs(v)


@njit(**JIT)
def _add_gap(x, v2, out, relaxation, weight):
    """Add weight (x - d) to out; v2 stays."""
    zero, keep = _like(0.0, relaxation), _like(1.0, relaxation) - relaxation
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        out[i] += weight * (x[i] - smaller(v, zero))


@njit(**JIT_SUM)
def _positivity_norms(x, v2, relaxation):
    """Squares of x - u, x, u and d along a row."""
    zero, keep = _like(0.0, relaxation), _like(1.0, relaxation) - relaxation
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
def _measure(v, d, relaxation, state, factor, nx, width, norms):
    """Add `_primal_norms` of the true columns of every row of a chunk."""
    for row in range(0, state.size, width):
        end = row + nx
        _accumulate(norms, factor, _primal_norms(v[row:end], d[row:end], relaxation, state[row:end]))


@njit(**JIT)
def _measure_positivity(x, v2, relaxation, nx, width, norms):
    """Add `_positivity_norms` of the true columns of every row of a chunk."""
    for row in range(0, v2.size, width):
        end = row + nx
        _accumulate(norms, _like(1.0, relaxation), _positivity_norms(x[row:end], v2[row:end], relaxation))


@njit(**JIT)
def close_planes(out, carry, start):
    """Give the first planes of a slab what the slab before owes them.

    ``carry`` holds its last plane of what the adjoint differentiates once (1) and twice (0) along z.
    """
    one = _like(1.0, carry[0, 0])
    first, second = out[start].ravel(), out[(start + 1) % out.shape[0]].ravel()
    _add(first, one, carry[1])
    _add(first, -one, carry[0])
    _add(second, one, carry[0])


# ----------------------------------------------------------------------------------------------------
# Hessian: the sweep between two FFTs
# ----------------------------------------------------------------------------------------------------


@njit(**JIT)
def _hessian_values(x, z, at, size, width, state, relaxation, v):
    """V = relaxation Hx + state for the ``size`` elements from ``at`` on of plane z; six components."""
    nz = x.shape[0]
    here, below, beneath = x[z].ravel()[at:], x[(z + 1) % nz].ravel()[at:], x[(z + 2) % nz].ravel()[at:]
    right = here[width:]
    _second_difference(here, below, beneath, state[0, at:], relaxation, v[0, :size])
    _second_difference(here, right, right[width:], state[1, at:], relaxation, v[1, :size])
    _second_difference(here, here[1:], here[2:], state[2, at:], relaxation, v[2, :size])
    _mixed_difference(here, right, below, below[width:], state[3, at:], relaxation, v[3, :size])
    _mixed_difference(here, here[1:], below, below[1:], state[4, at:], relaxation, v[4, :size])
    _mixed_difference(here, here[1:], right, right[1:], state[5, at:], relaxation, v[5, :size])


@njit(**JIT)
def _clip_chunk(v, bound, d, size):
    clip_spectra(
        v[0, :size],
        v[1, :size],
        v[2, :size],
        v[3, :size],
        v[4, :size],
        v[5, :size],
        bound,
        d[0, :size],
        d[1, :size],
        d[2, :size],
        d[3, :size],
        d[4, :size],
        d[5, :size],
    )


@njit(**JIT)
def _cross_terms(qzy, previous_qzy, qzx, previous_qzx, qzz, previous_qzz, w):
    """W = what the adjoint differentiates along z: qzz along z, qzy along y, qzx along x."""
    for i in range(w.size):
        w[i] = (previous_qzz[i] - qzz[i]) + (previous_qzy[i] - qzy[i]) + (previous_qzx[i] - qzx[i])


@njit(**JIT)
def _plane_terms(qyy, previous_qyy, qyx, previous_qyx, w):
    """W = what the adjoint differentiates along y: qyy along y, qyx along x."""
    for i in range(w.size):
        w[i] = (previous_qyy[i] - qyy[i]) + (previous_qyx[i] - qyx[i])


@njit(**JIT)
def _gather_terms(qxx, wy, previous_wy, wz, previous_wz, out):
    """Out = the adjoint along x of qxx (from two columns before on), along y of wy and along z of wz."""
    for i in range(out.size):
        along_x = (qxx[i] - qxx[i + 1]) - (qxx[i + 1] - qxx[i + 2])
        out[i] = along_x + (previous_wy[i] - wy[i]) + (previous_wz[i] - wz[i])


@njit(**JIT)
def _hessian_adjoint(q, wy, w, carry, at, width, nx, out):
    """The adjoint for a chunk, from its q and what is remembered of the row and the plane before.

    q and wy begin with the row before the chunk; the mixed components of q hold twice their values. ``carry`` holds the
    previous plane's qzz and w, and is given this plane's.
    """
    size = out.size
    for k in (2, 4, 5):
        _wrap_left(q[k], width, width, nx)
    qzz, left = q[0, width:], width - 1
    _cross_terms(q[3, width:], q[3], q[4, width:], q[4, left:], qzz, carry[0, at:], w)
    _plane_terms(q[1, width:], q[1], q[5, width:], q[5, left:], wy[width:])
    _gather_terms(q[2, width - 2 :], wy[width:], wy, w, carry[1, at:], out)
    _copy(qzz, carry[0, at : at + size])
    _copy(w, carry[1, at : at + size])
    for row in (q[1], q[3], wy):
        _copy(row[size:], row[:width])


@njit(**JIT)
def _close_rows(qyy, qzy, wy, carry, out, width):
    """Give the first rows of a plane what its last row owes them across the periodic edge."""
    one = _like(1.0, wy[0])
    first = out[:width]
    second = out[width : 2 * width] if out.size > width else first
    _add(first, one, wy)
    _add(first, -one, qyy)
    _add(second, one, qyy)
    _add(first, -one, qzy)
    _add(carry[1, :width], one, qzy)


@njit(**JIT)
def hessian_sweep(x, nx, state, v2, out, carry, steps, moves, norms, start, stop):
    """Everything between two FFTs, for the planes of a slab: Hessian, proximal steps, adjoint, in one pass.

    With s the state, r the relaxation, v = r Hx + s, d = v with its eigenvalues clipped to ``bound`` and u = v - d:

        s <- (1 - r) u + t d        out <- H^T (u - t d) + weight (u2 - t2 d2)

    if ``moves``; otherwise state and v2 stay, out <- H^T (Hx - d) + weight (x - d2), and norms[z] <- the squares of
    Hx - u, Hx, u, d, then of x - u2, x, u2, d2, over plane z.

    Parameters
    ----------
    x : (nz, ny + 2 or more, width), see `wrap_edges`
    state : (nz, 6, ny * width)
    v2, out : (nz, ny, width)
    carry : (2, ny * width)
        What the first two planes of the next slab lack, see `close_planes`.
    steps : (r, bound, weight, t, t2)
        t and t2 are the old penalty parameters over the new ones, weight is mu2 / mu1.
    """
    relaxation, bound, weight, rescale, rescale2 = steps
    one = _like(1.0, bound)
    keep = one - relaxation
    mix, cut = rescale - keep, one + rescale
    ny, width = out.shape[1], out.shape[2]
    step = max(1, _CHUNK // width) * width
    v, d, w = np.empty((6, step), x.dtype), np.empty((6, step), x.dtype), np.empty(step, x.dtype)
    q, wy = np.zeros((6, step + width), x.dtype), np.zeros(step + width, x.dtype)
    carry[:] = 0
    for z in range(start, stop):
        plane, plane2, target = x[z].ravel(), v2[z].ravel(), out[z].ravel()
        q[:, :width] = 0
        wy[:width] = 0
        norms[z] = 0
        for at in range(0, ny * width, step):
            size = min(step, ny * width - at)
            _hessian_values(x, z, at, size, width, state[z], relaxation, v)
            _clip_chunk(v, bound, d, size)
            for k in range(6):
                factor, s, row = one if k < 3 else one + one, state[z, k, at : at + size], q[k, width:]
                if moves:
                    _advance(v[k, :size], d[k, :size], keep, mix, cut, factor, s, row)
                else:
                    _stay(v[k, :size], d[k, :size], relaxation, factor, s, row)
                    _measure(v[k], d[k], relaxation, s, factor, nx, width, norms[z, :4])
            chunk, pair = target[at : at + size], plane2[at : at + size]
            _hessian_adjoint(q, wy, w, carry, at, width, nx, chunk)
            if moves:
                _positivity(plane[at:], pair, chunk, relaxation, weight, rescale2)
            else:
                _add_gap(plane[at:], pair, chunk, relaxation, weight)
                _measure_positivity(plane[at:], pair, relaxation, nx, width, norms[z, 4:])
        _close_rows(q[1, :width], q[3, :width], wy[:width], carry, target, width)


@njit(**JIT)
def hessian_value(x, ny, nx, sums, start, stop):
    """sums[z] <- the sum over plane z of the nuclear norm of the Hessian; x has its first columns and rows repeated."""
    width, one = x.shape[2], _like(1.0, x[0, 0, 0])
    v, zeros = np.empty((6, width), x.dtype), np.zeros((6, ny * width), x.dtype)
    for z in range(start, stop):
        sums[z] = 0
        for at in range(0, ny * width, width):
            _hessian_values(x, z, at, nx, width, zeros, one, v)
            sums[z] += _sum_nuclear_norms(v[0, :nx], v[1, :nx], v[2, :nx], v[3, :nx], v[4, :nx], v[5, :nx])


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
def squares_of_difference(a, b, nx, norms, start, stop):
    """norms[z] <- the sum of squares of a - b over the first nx columns of plane z."""
    for z in range(start, stop):
        total = 0.0
        for y in range(a.shape[1]):
            row, other, part = a[z, y, :nx], b[z, y, :nx], _like(0.0, a[0, 0, 0])
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

    The table's value at zero frequency is at its centre; its last three samples on each side serve the spline only. The
    function is zero beyond them, and at frequencies without a sign (Nyquist), so that it belongs to a real volume.
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
    first, last = _inside(z, step[0], 3.0, tz - 4.0, 0, (shape[2] + 1) // 2)
    first, last = _inside(y, step[1], 3.0, ty - 4.0, first, last)
    first, last = _inside(x, step[2], 3.0, tx - 4.0, first, last)
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
def _gradient_values(x, z, at, size, width, state, relaxation, v):
    """V = relaxation grad x + state for the ``size`` elements from ``at`` on of plane z; three components (z, y, x)."""
    here, below = x[z].ravel()[at:], x[(z + 1) % x.shape[0]].ravel()[at:]
    _difference(here, below, state[0, at:], relaxation, v[0, :size])
    _difference(here, here[width:], state[1, at:], relaxation, v[1, :size])
    _difference(here, here[1:], state[2, at:], relaxation, v[2, :size])


@njit(**JIT)
def _gather_differences(qz, previous_qz, qy, previous_qy, qx, previous_qx, out):
    """Out = the adjoint along z of qz, along y of qy and along x of qx."""
    for i in range(out.size):
        out[i] = (previous_qz[i] - qz[i]) + (previous_qy[i] - qy[i]) + (previous_qx[i] - qx[i])


@njit(**JIT)
def _gradient_adjoint(q, carry, at, width, nx, out):
    """`_hessian_adjoint` for the gradient; ``carry[1]`` holds the previous plane's qz."""
    size = out.size
    _wrap_left(q[2], width, width, nx)
    qz = q[0, width:]
    _gather_differences(qz, carry[1, at:], q[1, width:], q[1], q[2, width:], q[2, width - 1 :], out)
    _copy(qz, carry[1, at : at + size])
    _copy(q[1, size:], q[1, :width])


@njit(**JIT)
def tv_sweep(x, nx, state, v2, out, carry, steps, moves, norms, start, stop):
    """`hessian_sweep` for the gradient: three components, shortened to ``bound`` in place of clipped eigenvalues."""
    relaxation, bound, weight, rescale, rescale2 = steps
    one = _like(1.0, bound)
    keep = one - relaxation
    mix, cut = rescale - keep, one + rescale
    ny, width = out.shape[1], out.shape[2]
    step = max(1, _CHUNK // width) * width
    v, d = np.empty((3, step), x.dtype), np.empty((3, step), x.dtype)
    q = np.zeros((3, step + width), x.dtype)
    carry[:] = 0
    for z in range(start, stop):
        plane, plane2, target = x[z].ravel(), v2[z].ravel(), out[z].ravel()
        q[:, :width] = 0
        norms[z] = 0
        for at in range(0, ny * width, step):
            size = min(step, ny * width - at)
            _gradient_values(x, z, at, size, width, state[z], relaxation, v)
            clip_vectors(v[0, :size], v[1, :size], v[2, :size], bound, d[0, :size], d[1, :size], d[2, :size])
            for k in range(3):
                s, row = state[z, k, at : at + size], q[k, width:]
                if moves:
                    _advance(v[k, :size], d[k, :size], keep, mix, cut, one, s, row)
                else:
                    _stay(v[k, :size], d[k, :size], relaxation, one, s, row)
                    _measure(v[k], d[k], relaxation, s, one, nx, width, norms[z, :4])
            chunk, pair = target[at : at + size], plane2[at : at + size]
            _gradient_adjoint(q, carry, at, width, nx, chunk)
            if moves:
                _positivity(plane[at:], pair, chunk, relaxation, weight, rescale2)
            else:
                _add_gap(plane[at:], pair, chunk, relaxation, weight)
                _measure_positivity(plane[at:], pair, relaxation, nx, width, norms[z, 4:])
        _add(target[:width], one, q[1, :width])


@njit(**JIT)
def tv_value(x, ny, nx, sums, start, stop):
    """sums[z] <- the sum over plane z of the length of the gradient; x has its first columns and rows repeated."""
    width, one = x.shape[2], _like(1.0, x[0, 0, 0])
    v, zeros = np.empty((3, width), x.dtype), np.zeros((3, ny * width), x.dtype)
    for z in range(start, stop):
        sums[z] = 0
        for at in range(0, ny * width, width):
            _gradient_values(x, z, at, nx, width, zeros, one, v)
            sums[z] += _sum_lengths(v[0, :nx], v[1, :nx], v[2, :nx])
