"""The gradient's sweep between two FFTs: differences, proximal step and adjoint in one pass, and total variation."""

from __future__ import annotations

import numpy as np

from .jit import JIT, JIT_SUM, like, njit
from .periodic_edges import wrap_left
from .positivity import add_gap, measure_positivity, positivity
from .residuals import measure
from .rows import CHUNK, add, copy
from .rules import length, mixed, of_three


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
    wrap_left(q[2, : width + size], width, width, nx)
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
    step = max(1, CHUNK // width) * width
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
                positivity(plane[at:], pair, chunk, relaxation, weight, one / growth2)
            else:
                for k in range(3):
                    copy(s[k, at : at + size], d[k, :size])
                _gradient_steps(x, z, at, size, width, factors, rule, standing, ones, d, 0, v, 0)
                for k in range(3):
                    measure(v[k], d[k], relaxation, scales[k], one, s[k, at : at + size], nx, width, q[k], norms[z])
                _gradient_adjoint(q, carry, at, width, nx, chunk)
                add_gap(plane[at:], pair, chunk, relaxation, weight)
                measure_positivity(plane[at:], pair, relaxation, nx, width, norms[z, 4:])
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
