"""The Hessian, the gradient and their adjoints of a periodic volume, array to array.

They fill the planes of a slab, row by row. Rows that are differentiated along x are copied to where their first elements
follow the last, or their last come before the first.
"""

from __future__ import annotations

import numpy as np

from .jit import JIT, like, njit
from .rows import copy


@njit(**JIT)
def _add_first(here, there, weight, out):
    """A first difference: from here to there."""
    for i in range(out.size):
        out[i] += weight * (there[i] - here[i])


@njit(**JIT)
def _add_second(a, b, c, weight, out):
    """A second difference of three that follow each other."""
    for i in range(out.size):
        out[i] += weight * ((c[i] - b[i]) - (b[i] - a[i]))


@njit(**JIT)
def _add_mixed(here, one, other, both, weight, out):
    """A mixed difference: from here a step along one axis, along the other, and along both."""
    for i in range(out.size):
        out[i] += weight * ((both[i] - other[i]) - (one[i] - here[i]))


@njit(**JIT)
def _wrap_after(row, out):
    """Copy a row and put its first elements behind it."""
    copy(row, out[: row.size])
    for i in range(row.size, out.size):
        out[i] = row[i % row.size]


@njit(**JIT)
def _wrap_before(row):
    """Fill the first two of a row's elements with its last two; there may be one alone."""
    n = row.size - 2
    row[1] = row[1 + n]
    row[0] = row[2 + (n - 2) % n]


@njit(**JIT)
def hessian(x, weights, out, start, stop):
    """Out, (6, nz, ny, nx), <- weights times the second differences zz, yy, xx, zy, zx and yx of x."""
    nz, ny, nx = x.shape
    here, right, below = np.empty(nx + 2, x.dtype), np.empty(nx + 2, x.dtype), np.empty(nx + 2, x.dtype)
    for z in range(start, stop):
        plane, plane1, plane2 = x[z], x[(z + 1) % nz], x[(z + 2) % nz]
        for y in range(ny):
            y1, y2 = (y + 1) % ny, (y + 2) % ny
            _wrap_after(plane[y], here)
            _wrap_after(plane[y1], right)
            _wrap_after(plane1[y], below)
            out[:, z, y] = 0
            _add_second(here, below, plane2[y], weights[0], out[0, z, y])
            _add_second(here, right, plane[y2], weights[1], out[1, z, y])
            _add_second(here, here[1:], here[2:], weights[2], out[2, z, y])
            _add_mixed(here, below, right, plane1[y1], weights[3], out[3, z, y])
            _add_mixed(here, below, here[1:], below[1:], weights[4], out[4, z, y])
            _add_mixed(here, right, here[1:], right[1:], weights[5], out[5, z, y])


@njit(**JIT)
def hessian_adjoint(h, weights, out, start, stop):
    """Out, (nz, ny, nx), <- the adjoint of `hessian` with such weights."""
    nz, ny, nx = out.shape
    zz, yy, xx, zy, zx, yx = h[0], h[1], h[2], h[3], h[4], h[5]
    once, twice = np.zeros(nx + 2, out.dtype), np.zeros(nx + 2, out.dtype)
    for z in range(start, stop):
        z1, z2 = (z - 1) % nz, (z - 2) % nz
        for y in range(ny):
            y1, y2, row = (y - 1) % ny, (y - 2) % ny, out[z, y]
            row[:] = 0
            _add_second(zz[z, y], zz[z1, y], zz[z2, y], weights[0], row)
            _add_second(yy[z, y], yy[z, y1], yy[z, y2], weights[1], row)
            _add_mixed(zy[z, y], zy[z1, y], zy[z, y1], zy[z1, y1], weights[3], row)
            once[:] = 0
            _add_first(zx[z, y], zx[z1, y], weights[4], once[2:])
            _add_first(yx[z, y], yx[z, y1], weights[5], once[2:])
            _wrap_before(once)
            _add_first(once[2:], once[1:], like(1.0, weights[2]), row)
            copy(xx[z, y], twice[2:])
            _wrap_before(twice)
            _add_second(twice[2:], twice[1:], twice, weights[2], row)


@njit(**JIT)
def gradient(x, weights, out, start, stop):
    """Out, (3, nz, ny, nx), <- weights times the differences of x along z, y and x."""
    nz, ny, nx = x.shape
    row = np.empty(nx + 2, x.dtype)
    for z in range(start, stop):
        for y in range(ny):
            _wrap_after(x[z, y], row)
            out[:, z, y] = 0
            _add_first(row, x[(z + 1) % nz, y], weights[0], out[0, z, y])
            _add_first(row, x[z, (y + 1) % ny], weights[1], out[1, z, y])
            _add_first(row, row[1:], weights[2], out[2, z, y])


@njit(**JIT)
def gradient_adjoint(g, weights, out, start, stop):
    """Out, (nz, ny, nx), <- the adjoint of `gradient` with such weights."""
    nz, ny, nx = out.shape
    once = np.zeros(nx + 2, out.dtype)
    for z in range(start, stop):
        for y in range(ny):
            row = out[z, y]
            row[:] = 0
            _add_first(g[0, z, y], g[0, (z - 1) % nz, y], weights[0], row)
            _add_first(g[1, z, y], g[1, z, (y - 1) % ny], weights[1], row)
            copy(g[2, z, y], once[2:])
            _wrap_before(once)
            _add_first(once[2:], once[1:], weights[2], row)
