"""The kernels of an iteration: pointwise functions, then loops over rows, then sweeps over slabs of planes.

All of them are serial and release the GIL; `threads.Team` runs them side by side on disjoint slabs. Read them from the end,
where each sweep is spelt out, towards the formulas at the beginning. Symmetric 3x3 matrices are stored as their six
distinct entries in the order zz, yy, xx, zy, zx, yx; the last three count twice in every sum.
"""

from __future__ import annotations

import math

import numpy as np
from numba.core import types
from numba.extending import overload

from .jit import JIT, JIT_INLINE, JIT_SUM, add, copy, like, njit
from .packing import packed, unpacked

# Minimax polynomial of 2 cos(acos(r) / 3) on 0 <= r <= 1, off by at most 2e-8.
_COS_THIRD = (
    1.7320508268425336,
    0.3333306540262685,
    -0.09616363387419363,
    0.04883769693243076,
    -0.028728895038427592,
    0.015546567095746946,
    -0.006003182470609976,
    0.0011299857597487331,
)


# ----------------------------------------------------------------------------------------------------
# Pointwise functions
# ----------------------------------------------------------------------------------------------------


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


def _polish(root, r):
    """Return ``root`` of l^3 - 3 l = 2 r in full precision: float64 needs one step of Newton's, float32 none."""
    return root if type(root) is np.float32 else root - (root * (root * root - 3) - 2 * r) / (3 * root * root - 3)


@overload(_polish, inline="always")
def _polish_typed(root, r):
    if root == types.float32:
        return lambda root, r: root
    return lambda root, r: root - (root * (root * root - 3.0) - 2.0 * r) / (3.0 * root * root - 3.0)


@njit(**JIT_INLINE)
def two_cos_third(r):
    """2 cos(acos(r) / 3) for 0 <= r <= 1: the largest root of l^3 - 3 l = 2 r, between sqrt(3) and 2.

    Sums in pairs (Estrin's scheme) keep the chain of dependent operations short.
    """
    r2 = r * r
    low = (like(_COS_THIRD[0], r) + like(_COS_THIRD[1], r) * r) + (
        like(_COS_THIRD[2], r) + like(_COS_THIRD[3], r) * r
    ) * r2
    high = (like(_COS_THIRD[4], r) + like(_COS_THIRD[5], r) * r) + (
        like(_COS_THIRD[6], r) + like(_COS_THIRD[7], r) * r
    ) * r2
    return _polish(low + high * (r2 * r2), r)


# What follows is clipping the eigenvalues of M = mean I + A, with tr A = 0, in five steps. No eigenvector is formed.
# A has a best separated eigenvalue l, whose projector is P = s adj(A - l I); its other two are -l / 2 +- g, and with
# B = A + l / 2 I - (3 l / 2) P, of norm g sqrt(2), any function h of the spectrum is
#
#     h(M) = h(mean + l) P + (h(m + g) + h(m - g)) / 2 (I - P) + (h(m + g) - h(m - g)) / (2 g) B,   m = mean - l / 2.
#
# Where nothing is clipped this is M whatever l, P and g are, so what rounding does to them does no harm there. Entries
# may be as large as 1e12 in float32, and count as zero below 1e-18.


@njit(**JIT_INLINE)
def deviator(zz, yy, xx, zy, zx, yx):
    """Return the mean of a symmetric matrix, the rest's tr A^2 / 6 and det A / 2, and A's diagonal."""
    half, third, tiny = like(0.5, zz), like(1 / 3, zz), like(1e-36, zz)
    mean = (zz + yy + xx) * third
    a, b, c = zz - mean, yy - mean, xx - mean
    square = (half * (a * a + (b * b + c * c)) + (zy * zy + (zx * zx + yx * yx))) * third + tiny
    det = (a * (b * c - yx * yx) - zy * (zy * c - zx * yx)) + zx * (zy * yx - b * zx)
    return mean, square, half * det, a, b, c


@njit(**JIT_INLINE)
def separated_root(square, det):
    """Return the best separated eigenvalue l of a deviator, and s = 1 / tr adj(A - l I)."""
    one, three = like(1.0, det), like(3.0, det)
    inverse, size = one / square, math.sqrt(square)
    r = (det * inverse) * (size * inverse)
    root = two_cos_third(smaller(abs(r), one))
    return math.copysign(root * size, r), inverse / (three * root * root - three)


@njit(**JIT_INLINE)
def adjugate(root, a, b, c, d, e, f):
    """adj(A - root I), six entries."""
    a, b, c = a - root, b - root, c - root
    return b * c - f * f, a * c - e * e, a * b - d * d, e * f - c * d, d * f - b * e, d * e - a * f


@njit(**JIT_INLINE)
def rest_square(root, s, a, b, c, d, e, f):
    """g^2, half the squared norm of B."""
    half, tiny = like(0.5, a), like(1e-37, a)
    pa, pb, pc, pd, pe, pf = adjugate(root, a, b, c, d, e, f)
    mid = -half * root
    gap = (root - mid) * s
    a, b, c = (a - mid) - gap * pa, (b - mid) - gap * pb, (c - mid) - gap * pc
    d, e, f = d - gap * pd, e - gap * pe, f - gap * pf
    return half * (a * a + (b * b + c * c)) + (d * d + (e * e + f * f)) + tiny


@njit(**JIT_INLINE)
def eigenvalues(mean, root, square):
    """The three eigenvalues, the best separated one first; ``square`` is g^2."""
    middle, g = mean - like(0.5, mean) * root, math.sqrt(square)
    return mean + root, middle + g, middle - g


@njit(**JIT_INLINE)
def with_eigenvalues(first, high, low, root, s, square):
    """Return (c0, c1, c2) of the matrix c0 I + c1 adj(A - root I) + c2 A with these in place of its `eigenvalues`."""
    half = like(0.5, root)
    mid = -half * root
    level = half * (low + high)
    slope = (high - low) * (math.sqrt(square) * (half / square))
    return level - slope * mid, ((first - level) - slope * (root - mid)) * s, slope


# What a regulariser does at a voxel, its rule: of three eigenvalues, three components of a gradient, or six entries of a
# Hessian. Those of the nuclear norm and of total variation follow, and stand where the rule is None. For another one,
# a compiled function, Numba compiles the loops below anew, with that function in them.


@njit(**JIT_INLINE)
def clip_three(a, b, c):
    """Clip three eigenvalues to [-1, 1]."""
    one = like(1.0, a)
    return clip(a, one), clip(b, one), clip(c, one)


@njit(**JIT_INLINE)
def absolute_sum(a, b, c):
    """The sum of absolute values."""
    return abs(a) + abs(b) + abs(c)


@njit(**JIT_INLINE)
def length(z, y, x):
    """The length of a vector."""
    return math.sqrt(z * z + (y * y + x * x))


def of_three(a, b, c, rule, default):
    """Apply a rule to three numbers."""
    return (default if rule is None else rule)(a, b, c)


@overload(of_three, inline="always")
def _of_three_typed(a, b, c, rule, default):
    function = (default if rule == types.none else rule).dispatcher
    return lambda a, b, c, rule, default: function(a, b, c)


def mixed(z, y, x, keep, mix, grow, cut, rule):
    """Keep v + mix d, and grow v - cut d: d is the projection of a vector v, by default its shortening to a length of 1."""
    if rule is None:
        shrink = 1 / math.sqrt(max(z * z + (y * y + x * x), 1))
        d = shrink * z, shrink * y, shrink * x
    else:
        d = rule(z, y, x)
    pairs = tuple(zip((z, y, x), d, strict=True))
    return tuple(keep * a + mix * b for a, b in pairs) + tuple(grow * a - cut * b for a, b in pairs)


@overload(mixed, inline="always")
def _mixed_typed(z, y, x, keep, mix, grow, cut, rule):
    def shortened(z, y, x, keep, mix, grow, cut, rule):
        one, square = like(1.0, z), z * z + (y * y + x * x)
        shrink = one / math.sqrt(square if square > one else one)
        k, kq = keep + mix * shrink, grow - cut * shrink
        return k * z, k * y, k * x, kq * z, kq * y, kq * x

    if rule == types.none:
        return shortened
    function = rule.dispatcher

    def projected(z, y, x, keep, mix, grow, cut, rule):
        dz, dy, dx = function(z, y, x)
        kept = keep * z + mix * dz, keep * y + mix * dy, keep * x + mix * dx
        return kept[0], kept[1], kept[2], grow * z - cut * dz, grow * y - cut * dy, grow * x - cut * dx

    return projected


def of_six(zz, yy, xx, zy, zx, yx, rule):
    """Apply a rule to six entries."""
    return rule(zz, yy, xx, zy, zx, yx)


@overload(of_six, inline="always")
def _of_six_typed(zz, yy, xx, zy, zx, yx, rule):
    function = rule.dispatcher
    return lambda zz, yy, xx, zy, zx, yx, rule: function(zz, yy, xx, zy, zx, yx)


def takes_entries(rule):
    """Return whether a rule for Hessians takes their six entries, not their three eigenvalues."""
    return rule is not None and getattr(rule, "py_func", rule).__code__.co_argcount == 6


# ----------------------------------------------------------------------------------------------------
# Rows: the steps of a sweep, each a loop over one-dimensional arrays
# ----------------------------------------------------------------------------------------------------
#
# The sweeps work on volumes whose rows are at least two columns wider than the model, so that a chunk of several rows is
# one long array and x + 1 and x + 2 are always the next elements. The extra columns of x repeat its first ones; those of
# all else hold nothing of meaning.

_CHUNK = (
    3200  # elements in a chunk: loops long enough to pay for their overhead, arrays that stay in a core's second cache
)


@njit(**JIT)
def wrap_edges(x, ny, nx, start, stop):
    """Fill the extra columns and rows of planes with the first ones, so that periodic neighbours lie in line."""
    for z in range(start, stop):
        for y in range(ny):
            for i in range(nx, x.shape[2]):
                x[z, y, i] = x[z, y, i % nx]
        for y in range(ny, x.shape[1]):
            copy(x[z, y % ny], x[z, y])


# What the five steps of clipping leave to each other, for the elements of a chunk: rows of one flat array, as rows at
# distances known to LLVM need no checks for overlap. Five loops are faster than one: each is a short chain of dependent
# operations, so that the processor works on many elements at once.
_MEAN, _ROOT, _SCALE, _A, _B, _C, _D, _E, _F, _REST, _LEVEL = (k * _CHUNK for k in range(11))
_WORK = 11 * _CHUNK


@njit(**JIT)
def _deviators(zz, yy, xx, zy, zx, yx, factor, work):
    """First step, for factor times the given entries; root and scale still hold tr A^2 / 6 and det A / 2."""
    for i in range(zz.size):
        d, e, f = factor * zy[i], factor * zx[i], factor * yx[i]
        mean, square, det, a, b, c = deviator(factor * zz[i], factor * yy[i], factor * xx[i], d, e, f)
        work[_MEAN + i], work[_ROOT + i], work[_SCALE + i] = mean, square, det
        work[_A + i], work[_B + i], work[_C + i] = a, b, c
        work[_D + i], work[_E + i], work[_F + i] = d, e, f


@njit(**JIT_INLINE)
def hessian_at(x, right, right2, below, diagonal, beneath, i):
    """The six second differences at element i of a row.

    ``right`` is one row ahead of x, ``right2`` two, ``below`` one plane, ``beneath`` two, ``diagonal`` a row and a plane.
    """
    dx, dy, dz = x[i + 1] - x[i], right[i] - x[i], below[i] - x[i]
    return (
        (beneath[i] - below[i]) - dz,
        (right2[i] - right[i]) - dy,
        (x[i + 2] - x[i + 1]) - dx,
        (diagonal[i] - below[i]) - dy,
        (below[i + 1] - below[i]) - dx,
        (right[i + 1] - right[i]) - dx,
    )


@njit(**JIT)
def _hessian_deviators(x, right, right2, below, diagonal, beneath, zz, yy, xx, zy, zx, yx, factors, work):
    """First step, for factors Hx + the given entries."""
    fzz, fyy, fxx, fzy, fzx, fyx = factors
    for i in range(zz.size):
        hzz, hyy, hxx, hzy, hzx, hyx = hessian_at(x, right, right2, below, diagonal, beneath, i)
        d, e, f = fzy * hzy + unpacked(zy[i]), fzx * hzx + unpacked(zx[i]), fyx * hyx + unpacked(yx[i])
        mean, square, det, a, b, c = deviator(
            fzz * hzz + unpacked(zz[i]), fyy * hyy + unpacked(yy[i]), fxx * hxx + unpacked(xx[i]), d, e, f
        )
        work[_MEAN + i], work[_ROOT + i], work[_SCALE + i] = mean, square, det
        work[_A + i], work[_B + i], work[_C + i] = a, b, c
        work[_D + i], work[_E + i], work[_F + i] = d, e, f


@njit(**JIT)
def _separated_roots(work, size):
    for i in range(size):
        work[_ROOT + i], work[_SCALE + i] = separated_root(work[_ROOT + i], work[_SCALE + i])


@njit(**JIT)
def _rest_squares(work, size):
    for i in range(size):
        a, b, c, d, e, f = work[_A + i], work[_B + i], work[_C + i], work[_D + i], work[_E + i], work[_F + i]
        work[_REST + i] = rest_square(work[_ROOT + i], work[_SCALE + i], a, b, c, d, e, f)


@njit(**JIT)
def _project_eigenvalues(work, size, rule):
    for i in range(size):
        root, s, square = work[_ROOT + i], work[_SCALE + i], work[_REST + i]
        first, high, low = eigenvalues(work[_MEAN + i], root, square)
        first, high, low = of_three(first, high, low, rule, clip_three)
        work[_LEVEL + i], work[_SCALE + i], work[_REST + i] = with_eigenvalues(first, high, low, root, s, square)


@njit(**JIT)
def _combine_spectra(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    """`_combine` where the steps before have found what to put together from A and its adjugate."""
    keep, mix, grow, cut, twice = steps
    for i in range(zz.size):
        a, b, c, d, e, f = work[_A + i], work[_B + i], work[_C + i], work[_D + i], work[_E + i], work[_F + i]
        mean, c0, c1, c2 = work[_MEAN + i], work[_LEVEL + i], work[_SCALE + i], work[_REST + i]
        pa, pb, pc, pd, pe, pf = adjugate(work[_ROOT + i], a, b, c, d, e, f)
        k0, k1, k2 = keep * mean + mix * c0, mix * c1, keep + mix * c2
        zz[i] = packed(k0 + k1 * pa + k2 * a, zz[i])
        yy[i] = packed(k0 + k1 * pb + k2 * b, yy[i])
        xx[i] = packed(k0 + k1 * pc + k2 * c, xx[i])
        zy[i] = packed(k1 * pd + k2 * d, zy[i])
        zx[i] = packed(k1 * pe + k2 * e, zx[i])
        yx[i] = packed(k1 * pf + k2 * f, yx[i])
        k0, k1, k2 = grow * mean - cut * c0, -cut * c1, grow - cut * c2
        qzz[i], qyy[i], qxx[i] = k0 + k1 * pa + k2 * a, k0 + k1 * pb + k2 * b, k0 + k1 * pc + k2 * c
        k1, k2 = twice * k1, twice * k2
        qzy[i], qzx[i], qyx[i] = k1 * pd + k2 * d, k1 * pe + k2 * e, k1 * pf + k2 * f


@njit(**JIT)
def _combine_entries(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    """`_combine` for a rule that takes entries."""
    keep, mix, grow, cut, twice = steps
    for i in range(zz.size):
        mean, d, e, f = work[_MEAN + i], work[_D + i], work[_E + i], work[_F + i]
        a, b, c = mean + work[_A + i], mean + work[_B + i], mean + work[_C + i]
        pa, pb, pc, pd, pe, pf = of_six(a, b, c, d, e, f, rule)
        zz[i] = packed(keep * a + mix * pa, zz[i])
        yy[i] = packed(keep * b + mix * pb, yy[i])
        xx[i] = packed(keep * c + mix * pc, xx[i])
        zy[i] = packed(keep * d + mix * pd, zy[i])
        zx[i] = packed(keep * e + mix * pe, zx[i])
        yx[i] = packed(keep * f + mix * pf, yx[i])
        qzz[i], qyy[i], qxx[i] = grow * a - cut * pa, grow * b - cut * pb, grow * c - cut * pc
        qzy[i], qzx[i], qyx[i] = (
            twice * (grow * d - cut * pd),
            twice * (grow * e - cut * pe),
            twice * (grow * f - cut * pf),
        )


def _combine(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    """Last step: keep v + mix d, and q = grow v - cut d with its mixed entries times ``twice``; d is the projection of v."""
    last = _combine_entries if takes_entries(rule) else _combine_spectra
    last(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx)


@overload(_combine, inline="always")
def _combine_typed(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    last = _combine_entries if takes_entries(getattr(rule, "dispatcher", None)) else _combine_spectra

    def typed(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
        last(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx)

    return typed


@njit(**JIT)
def _project_spectra(work, size, rule):
    """The steps between the first and the last."""
    _separated_roots(work, size)
    _rest_squares(work, size)
    _project_eigenvalues(work, size, rule)


def _prepare(work, size, rule):
    """`_project_spectra`, where a rule takes eigenvalues."""
    if not takes_entries(rule):
        _project_spectra(work, size, rule)


@overload(_prepare, inline="always")
def _prepare_typed(work, size, rule):
    if takes_entries(getattr(rule, "dispatcher", None)):
        return lambda work, size, rule: None
    return lambda work, size, rule: _project_spectra(work, size, rule)


@njit(**JIT)
def _project_chunk(work, size, rule, steps, first, at, second, to):
    """All but the first step; results go to the six rows of ``first``, from ``at`` on, and of ``second``, from ``to`` on."""
    _prepare(work, size, rule)
    _combine(
        work,
        rule,
        steps,
        first[0, at : at + size],
        first[1, at:],
        first[2, at:],
        first[3, at:],
        first[4, at:],
        first[5, at:],
        second[0, to:],
        second[1, to:],
        second[2, to:],
        second[3, to:],
        second[4, to:],
        second[5, to:],
    )


@njit(**JIT)
def clip_spectra(entries, bound, out):
    """Clip the eigenvalues of symmetric matrices, (6, n) entries, to [-bound, bound]."""
    work, ignored = np.empty(_WORK, entries.dtype), np.empty((6, _CHUNK), entries.dtype)
    zero, one = like(0.0, bound), like(1.0, bound)
    just_d = (zero, bound, zero, zero, zero)
    for at in range(0, entries.shape[1], _CHUNK):
        size = min(_CHUNK, entries.shape[1] - at)
        zz, yy, xx = entries[0, at : at + size], entries[1, at:], entries[2, at:]
        _deviators(zz, yy, xx, entries[3, at:], entries[4, at:], entries[5, at:], one / bound, work)
        _project_chunk(work, size, None, just_d, out, at, ignored, 0)


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
def _accumulate(sums, weight, values):
    for k in range(4):
        sums[k] += weight * values[k]


@njit(**JIT)
def _wrap_left(q, first, width, nx):
    """Put each row's last two columns right before it: the adjoint reaches back where the operator reaches ahead."""
    for row in range(first, q.size, width):
        q[row - 1] = q[row + nx - 1]
        q[row - 2] = q[row + (nx - 2) % nx]


@njit(**JIT)
def _positivity(x, v2, out, relaxation, weight, rescale):
    """Relax, project on x >= 0 and add weight (u - t d) = weight |v| to out; v holds u above zero, t d below."""
    zero, keep = like(0.0, relaxation), like(1.0, relaxation) - relaxation
    for i in range(v2.size):
        v = v2[i]
        v = relaxation * x[i] + (keep * v if v > zero else v)
        v = v if v > zero else rescale * v
        v2[i] = v
        out[i] += weight * abs(v)


@njit(**JIT)
def _add_gap(x, v2, out, relaxation, weight):
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
def _measure(v, d, relaxation, scale, count, state, nx, width, q, norms):
    """`_stay` for a band, and ``count`` times `_primal_norms` of the true columns of its rows added to ``norms``."""
    size = state.size
    _stay(v[:size], d, relaxation, scale, state, q[width:])
    for row in range(0, size, width):
        end = row + nx
        _accumulate(norms, count, _primal_norms(v[row:end], d[row:end], relaxation, state[row:end]))


@njit(**JIT)
def _measure_positivity(x, v2, relaxation, nx, width, norms):
    """Add `_positivity_norms` of the true columns of every row of a chunk."""
    for row in range(0, v2.size, width):
        end = row + nx
        _accumulate(norms, like(1.0, relaxation), _positivity_norms(x[row:end], v2[row:end], relaxation))


@njit(**JIT)
def close_planes(out, carry, start):
    """Give the first planes of a slab what the slab before owes them.

    ``carry`` holds its last plane of what the adjoint differentiates once (1) and twice (0) along z.
    """
    one = like(1.0, carry[0, 0])
    first, second = out[start].ravel(), out[(start + 1) % out.shape[0]].ravel()
    add(first, one, carry[1])
    add(first, -one, carry[0])
    add(second, one, carry[0])


# ----------------------------------------------------------------------------------------------------
# Hessian: the sweep between two FFTs
# ----------------------------------------------------------------------------------------------------


@njit(**JIT)
def _hessian_chunk(x, z, at, size, width, factors, state, work):
    """`_hessian_deviators` of factors Hx + state for the ``size`` elements from ``at`` on of plane z."""
    nz = x.shape[0]
    here, below, beneath = x[z].ravel()[at:], x[(z + 1) % nz].ravel()[at:], x[(z + 2) % nz].ravel()[at:]
    _hessian_deviators(
        here,
        here[width:],
        here[2 * width :],
        below,
        below[width:],
        beneath,
        state[0, at : at + size],
        state[1, at:],
        state[2, at:],
        state[3, at:],
        state[4, at:],
        state[5, at:],
        factors,
        work,
    )


@njit(**JIT)
def _hessian_steps(x, z, at, size, width, factors, state, work, rule, steps, first, to_first, second, to_second):
    """Differences and proximal step of a band of rows, chunk by chunk; where the results go, see `_project_chunk`."""
    for i in range(0, size, _CHUNK):
        n = min(_CHUNK, size - i)
        _hessian_chunk(x, z, at + i, n, width, factors, state, work)
        _project_chunk(work, n, rule, steps, first, to_first + i, second, to_second + i)


@njit(**JIT)
def _cross_terms(
    qzz, qyy, previous_qyy, qzy, previous_qzy, qzx, left_qzx, qyx, left_qyx, wy, before_qzz, before_w, out
):
    """What the adjoint differentiates along y, and along z already differentiated.

    ``wy`` takes qyy along y and qyx along x; w is qzz along z, qzy along y and qzx along x, and ``out`` is w along z.
    ``before_qzz`` and ``before_w`` hold those of the previous plane and are given this one's.
    """
    for i in range(out.size):
        along_z = qzz[i]
        w = (before_qzz[i] - along_z) + (previous_qzy[i] - qzy[i]) + (left_qzx[i] - qzx[i])
        before_qzz[i] = along_z
        out[i] = before_w[i] - w
        before_w[i] = w
        wy[i] = (previous_qyy[i] - qyy[i]) + (left_qyx[i] - qyx[i])


@njit(**JIT)
def _plane_terms(qxx, wy, previous_wy, out):
    """Add the adjoint along x of qxx (from two columns before on) and along y of wy."""
    for i in range(out.size):
        out[i] += ((qxx[i] - qxx[i + 1]) - (qxx[i + 1] - qxx[i + 2])) + (previous_wy[i] - wy[i])


@njit(**JIT)
def _hessian_adjoint(q, wy, carry, at, width, nx, out):
    """The adjoint for a band, from its q and what is remembered of the row and the plane before.

    q and wy begin with the row before the band; the mixed components of q hold twice their values. ``carry`` holds the
    previous plane's qzz and w, and is given this plane's.
    """
    size, left = out.size, width - 1
    for k in (2, 4, 5):
        _wrap_left(q[k, : width + size], width, width, nx)
    _cross_terms(
        q[0, width:],
        q[1, width:],
        q[1],
        q[3, width:],
        q[3],
        q[4, width:],
        q[4, left:],
        q[5, width:],
        q[5, left:],
        wy[width:],
        carry[0, at:],
        carry[1, at:],
        out,
    )
    _plane_terms(q[2, width - 2 :], wy[width:], wy, out)
    for row in (q[1], q[3], wy):
        copy(row[size:], row[:width])


@njit(**JIT)
def _close_rows(qyy, qzy, wy, carry, out, width):
    """Give the first rows of a plane what its last row owes them across the periodic edge."""
    one = like(1.0, wy[0])
    first = out[:width]
    second = out[width : 2 * width] if out.size > width else first
    add(first, one, wy)
    add(first, -one, qyy)
    add(second, one, qyy)
    add(first, -one, qzy)
    add(carry[1, :width], one, qzy)


@njit(**JIT)
def _multiply(row, factor):
    for i in range(row.size):
        row[i] *= factor


@njit(**JIT)
def _product(a, b):
    return a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3], a[4] * b[4], a[5] * b[5]


@njit(**JIT)
def hessian_sweep(x, nx, state, v2, out, carry, steps, moves, norms, start, stop, scales, rule):
    """Everything between two FFTs, for the planes of a slab: Hessian, proximal steps, adjoint, in one pass.

    With s the state, r the relaxation, v = r mu Hx + s, d = v with its eigenvalues clipped to [-1, 1] and u = v - d:

        s <- (1 - r) t u + d        out <- H^T (t u - d) + weight (u2 - d2 / t2)

    if ``moves``; otherwise state and v2 stay, out <- H^T (mu Hx - d) + weight (x - d2), and norms[z] <- the squares of
    mu Hx - u and mu Hx, <u, d>, and the squares of d, then of x - u2, x, u2, d2, over plane z.

    Parameters
    ----------
    x : (nz, ny + 2 or more, width), see `wrap_edges`
    state : (nz, 6, ny * width)
        Of x's type, or `packed`.
    v2, out : (nz, ny, width)
    carry : (2, ny * width)
        What the first two planes of the next slab lack, see `close_planes`.
    v2 : (nz, ny, width)
        Without positivity (nz, 0, 0), and weight 0.
    steps : (r, mu, weight, t, t2)
        t and t2 are the next penalty parameters over the present ones.
    scales : six numbers
        What each entry of the Hessian is multiplied by.
    rule : compiled function or None
        Another projection than clipping eigenvalues.
    """
    relaxation, mu, weight, growth, growth2 = steps
    zero, one = like(0.0, mu), like(1.0, mu)
    keep = (one - relaxation) * growth
    going = (keep, one - keep, growth, growth + one, one + one)
    standing = (zero, one, one, zero, one)  # d, and v
    counts = (one, one, one, one + one, one + one, one + one)
    back, uneven = _product(counts, scales), min(scales) < max(scales)
    ny, width = out.shape[1], out.shape[2]
    step = max(1, _CHUNK // width) * width
    v, d = np.empty((6, step), x.dtype), np.empty((6, step), x.dtype)
    work, q, wy = np.empty(_WORK, x.dtype), np.zeros((6, step + width), x.dtype), np.zeros(step + width, x.dtype)
    factor = relaxation * mu
    factors = _product((factor, factor, factor, factor, factor, factor), scales)
    carry[:] = 0
    for z in range(start, stop):
        plane, plane2, target, s = x[z].ravel(), v2[z].ravel(), out[z].ravel(), state[z]
        q[:, :width] = 0
        wy[:width] = 0
        norms[z] = 0
        for at in range(0, ny * width, step):
            size = min(step, ny * width - at)
            chunk, pair = target[at : at + size], plane2[at : at + size]
            if moves:
                _hessian_steps(x, z, at, size, width, factors, s, work, rule, going, s, at, q, width)
                if uneven:
                    for k in range(6):
                        _multiply(q[k, width : width + size], scales[k])
                _hessian_adjoint(q, wy, carry, at, width, nx, chunk)
                _positivity(plane[at:], pair, chunk, relaxation, weight, one / growth2)
            else:
                _hessian_steps(x, z, at, size, width, factors, s, work, rule, standing, d, 0, v, 0)
                for k in range(6):
                    _measure(
                        v[k],
                        d[k],
                        relaxation,
                        back[k],
                        counts[k],
                        s[k, at : at + size],
                        nx,
                        width,
                        q[k],
                        norms[z],
                    )
                _hessian_adjoint(q, wy, carry, at, width, nx, chunk)
                _add_gap(plane[at:], pair, chunk, relaxation, weight)
                _measure_positivity(plane[at:], pair, relaxation, nx, width, norms[z, 4:])
        _close_rows(q[1, :width], q[3, :width], wy[:width], carry, target, width)


@njit(**JIT_SUM)
def _sum_spectra(work, size, rule):
    total = like(0.0, work[0])
    for i in range(size):
        first, high, low = eigenvalues(work[_MEAN + i], work[_ROOT + i], work[_REST + i])
        total += of_three(first, high, low, rule, absolute_sum)
    return total


@njit(**JIT)
def _value_of_spectra(work, size, rule):
    _separated_roots(work, size)
    _rest_squares(work, size)
    return _sum_spectra(work, size, rule)


@njit(**JIT_SUM)
def _value_of_entries(work, size, rule):
    total = like(0.0, work[0])
    for i in range(size):
        mean, d, e, f = work[_MEAN + i], work[_D + i], work[_E + i], work[_F + i]
        total += of_six(mean + work[_A + i], mean + work[_B + i], mean + work[_C + i], d, e, f, rule)
    return total


def _value_of(work, size, rule):
    """Sum a rule's value over a chunk, after the first step."""
    return (_value_of_entries if takes_entries(rule) else _value_of_spectra)(work, size, rule)


@overload(_value_of, inline="always")
def _value_of_typed(work, size, rule):
    last = _value_of_entries if takes_entries(getattr(rule, "dispatcher", None)) else _value_of_spectra
    return lambda work, size, rule: last(work, size, rule)


@njit(**JIT)
def hessian_value(x, ny, nx, sums, start, stop, scales, rule):
    """sums[z] <- the sum over plane z of a rule's value of the Hessian, by default the nuclear norm.

    ``x`` has its first columns and rows repeated.
    """
    width = x.shape[2]
    work, zeros = np.empty(_WORK, x.dtype), np.zeros((6, ny * width), x.dtype)
    for z in range(start, stop):
        sums[z] = 0
        for y in range(ny):
            for i in range(0, nx, _CHUNK):
                size = min(_CHUNK, nx - i)
                _hessian_chunk(x, z, y * width + i, size, width, scales, zeros, work)
                sums[z] += _value_of(work, size, rule)


# ----------------------------------------------------------------------------------------------------
# Total variation: the sweep between two FFTs
# ----------------------------------------------------------------------------------------------------


@njit(**JIT)
def _project_gradients(here, right, below, factors, rule, steps, scales, state, q):
    """Differences and proximal step: v = factors grad + state, and d what the rule makes of it.

    state <- keep v + mix d, and q <- scales (grow v - cut d).
    """
    keep, mix, grow, cut = steps
    fz, fy, fx = factors
    sz, sy, sx = scales
    z, y, x = state
    qz, qy, qx = q
    for i in range(z.size):
        vz, vy, vx = (
            fz * (below[i] - here[i]) + z[i],
            fy * (right[i] - here[i]) + y[i],
            fx * (here[i + 1] - here[i]) + x[i],
        )
        z[i], y[i], x[i], vz, vy, vx = mixed(vz, vy, vx, keep, mix, grow, cut, rule)
        qz[i], qy[i], qx[i] = sz * vz, sy * vy, sx * vx


@njit(**JIT)
def _gradient_steps(x, z, at, size, width, factors, rule, steps, scales, state, to, q, to_q):
    """`_project_gradients` for ``size`` elements of plane z from ``at`` on; those of ``state`` and ``q`` begin elsewhere."""
    here, below = x[z].ravel()[at:], x[(z + 1) % x.shape[0]].ravel()[at:]
    rows, qs = (state[0, to : to + size], state[1, to:], state[2, to:]), (q[0, to_q:], q[1, to_q:], q[2, to_q:])
    _project_gradients(here, here[width:], below, factors, rule, steps, scales, rows, qs)


@njit(**JIT_SUM)
def _sum_gradients(z, y, x, scales, rule):
    total = like(0.0, z[0])
    sz, sy, sx = scales
    for i in range(z.size):
        total += of_three(sz * z[i], sy * y[i], sx * x[i], rule, length)
    return total


@njit(**JIT)
def _gather_differences(qz, previous_qz, qy, previous_qy, qx, previous_qx, out):
    """Out = the adjoint along z of qz, along y of qy and along x of qx."""
    for i in range(out.size):
        out[i] = (previous_qz[i] - qz[i]) + (previous_qy[i] - qy[i]) + (previous_qx[i] - qx[i])


@njit(**JIT)
def _gradient_adjoint(q, carry, at, width, nx, out):
    """`_hessian_adjoint` for the gradient; ``carry[1]`` holds the previous plane's qz."""
    size = out.size
    _wrap_left(q[2, : width + size], width, width, nx)
    qz = q[0, width:]
    _gather_differences(qz, carry[1, at:], q[1, width:], q[1], q[2, width:], q[2, width - 1 :], out)
    copy(qz, carry[1, at : at + size])
    copy(q[1, size:], q[1, :width])


@njit(**JIT)
def gradient_sweep(x, nx, state, v2, out, carry, steps, moves, norms, start, stop, scales, rule):
    """`hessian_sweep` for the gradient: three components, shortened to a length of 1 in place of clipped eigenvalues."""
    relaxation, mu, weight, growth, growth2 = steps
    zero, one = like(0.0, mu), like(1.0, mu)
    keep = (one - relaxation) * growth
    going = (keep, one - keep, growth, growth + one)
    standing = (zero, one, one, zero)  # d, and v
    ny, width = out.shape[1], out.shape[2]
    step = max(1, _CHUNK // width) * width
    v, d = np.empty((3, step), x.dtype), np.empty((3, step), x.dtype)
    q = np.zeros((3, step + width), x.dtype)
    factor = relaxation * mu
    factors, ones = (factor * scales[0], factor * scales[1], factor * scales[2]), (one, one, one)
    carry[:] = 0
    for z in range(start, stop):
        plane, plane2, target, s = x[z].ravel(), v2[z].ravel(), out[z].ravel(), state[z]
        q[:, :width] = 0
        norms[z] = 0
        for at in range(0, ny * width, step):
            size = min(step, ny * width - at)
            chunk, pair = target[at : at + size], plane2[at : at + size]
            if moves:
                _gradient_steps(x, z, at, size, width, factors, rule, going, scales, s, at, q, width)
                _gradient_adjoint(q, carry, at, width, nx, chunk)
                _positivity(plane[at:], pair, chunk, relaxation, weight, one / growth2)
            else:
                for k in range(3):
                    copy(s[k, at : at + size], d[k, :size])
                _gradient_steps(x, z, at, size, width, factors, rule, standing, ones, d, 0, v, 0)
                for k in range(3):
                    _measure(v[k], d[k], relaxation, scales[k], one, s[k, at : at + size], nx, width, q[k], norms[z])
                _gradient_adjoint(q, carry, at, width, nx, chunk)
                _add_gap(plane[at:], pair, chunk, relaxation, weight)
                _measure_positivity(plane[at:], pair, relaxation, nx, width, norms[z, 4:])
        add(target[:width], one, q[1, :width])


@njit(**JIT)
def _difference(a, b, v):
    for i in range(v.size):
        v[i] = b[i] - a[i]


@njit(**JIT)
def gradient_value(x, ny, nx, sums, start, stop, scales, rule):
    """`hessian_value` for the gradient, by default its length."""
    v = np.empty((3, nx), x.dtype)
    for z in range(start, stop):
        below = x[(z + 1) % x.shape[0]]
        sums[z] = 0
        for y in range(ny):
            _difference(x[z, y], below[y], v[0])
            _difference(x[z, y], x[z, y + 1], v[1])
            _difference(x[z, y], x[z, y, 1:], v[2])
            sums[z] += _sum_gradients(v[0], v[1], v[2], scales, rule)
