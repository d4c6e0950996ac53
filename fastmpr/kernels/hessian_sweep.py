"""The Hessian's sweep between two FFTs: differences, proximal step and adjoint in one pass, and its value.

Kernels are serial and release the GIL; `threads.Team` runs them side by side on disjoint slabs. Read them from the end,
where the sweep is spelt out, towards its parts.
"""

from __future__ import annotations

import numpy as np

from .eigenvalue_steps import MEAN, ROOT, SCALE, WORK, A, B, C, D, E, F
from .eigenvalues import deviator
from .jit import JIT, JIT_INLINE, like, njit
from .packing import unpacked
from .periodic_edges import wrap_left
from .positivity import add_gap, measure_positivity, positivity
from .projection import project_chunk, value_of
from .residuals import measure
from .rows import CHUNK, add, copy


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
        work[MEAN + i], work[ROOT + i], work[SCALE + i] = mean, square, det
        work[A + i], work[B + i], work[C + i] = a, b, c
        work[D + i], work[E + i], work[F + i] = d, e, f


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
    """Differences and proximal step of a band of rows, chunk by chunk; where the results go, see `project_chunk`."""
    for i in range(0, size, CHUNK):
        n = min(CHUNK, size - i)
        _hessian_chunk(x, z, at + i, n, width, factors, state, work)
        project_chunk(work, n, rule, steps, first, to_first + i, second, to_second + i)


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
        wrap_left(q[k, : width + size], width, width, nx)
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
    step = max(1, CHUNK // width) * width
    v, d = np.empty((6, step), x.dtype), np.empty((6, step), x.dtype)
    work, q, wy = np.empty(WORK, x.dtype), np.zeros((6, step + width), x.dtype), np.zeros(step + width, x.dtype)
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
                positivity(plane[at:], pair, chunk, relaxation, weight, one / growth2)
            else:
                _hessian_steps(x, z, at, size, width, factors, s, work, rule, standing, d, 0, v, 0)
                for k in range(6):
                    measure(
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
                add_gap(plane[at:], pair, chunk, relaxation, weight)
                measure_positivity(plane[at:], pair, relaxation, nx, width, norms[z, 4:])
        _close_rows(q[1, :width], q[3, :width], wy[:width], carry, target, width)


@njit(**JIT)
def hessian_value(x, ny, nx, sums, start, stop, scales, rule):
    """sums[z] <- the sum over plane z of a rule's value of the Hessian, by default the nuclear norm.

    ``x`` has its first columns and rows repeated.
    """
    width = x.shape[2]
    work, zeros = np.empty(WORK, x.dtype), np.zeros((6, ny * width), x.dtype)
    for z in range(start, stop):
        sums[z] = 0
        for y in range(ny):
            for i in range(0, nx, CHUNK):
                size = min(CHUNK, nx - i)
                _hessian_chunk(x, z, y * width + i, size, width, scales, zeros, work)
                sums[z] += value_of(work, size, rule)
