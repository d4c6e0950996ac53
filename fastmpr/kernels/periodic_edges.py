"""Where a periodic volume ends: columns, rows and planes repeated so that neighbours lie in line, and what slabs owe others.

Sweeps work on volumes whose rows are at least two columns wider than the model, so that a chunk of several rows is one long
array, and x + 1 and x + 2 are always the next elements. The extra columns of x repeat its first ones; those of other arrays
hold nothing of meaning.
"""

from __future__ import annotations

from .jit import JIT, like, njit
from .rows import add, copy
from .spline_coefficients import MARGIN


@njit(**JIT)
def wrap_edges(x, ny, nx, start, stop):
    """Fill the extra columns and rows of planes with the first ones, so that periodic neighbours lie in line."""
    for z in range(start, stop):
        for y in range(ny):
            for i in range(nx, x.shape[2]):
                x[z, y, i] = x[z, y, i % nx]
        for y in range(ny, x.shape[1]):
            copy(x[z, y % ny], x[z, y])


@njit(**JIT)
def wrap_left(q, first, width, nx):
    """Put each row's last two columns right before it: the adjoint reaches back where the operator reaches ahead."""
    for row in range(first, q.size, width):
        q[row - 1] = q[row + nx - 1]
        q[row - 2] = q[row + (nx - 2) % nx]


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


@njit(**JIT)
def wrap_planes(source, target, first, last):
    """Copy the planes first <= z < last of a periodic volume, whose rows may be longer, between margins that go round."""
    ny, nx = target.shape[1] - 2 * MARGIN, target.shape[2] - 2 * MARGIN
    for k in range(first, last):
        for j in range(target.shape[1]):
            row = (j - MARGIN) % ny
            for i in range(nx):
                target[k + MARGIN, j, i + MARGIN] = source[k, row, i]
            for i in range(MARGIN):
                target[k + MARGIN, j, i] = source[k, row, (i - MARGIN) % nx]
                target[k + MARGIN, j, i + MARGIN + nx] = source[k, row, i % nx]


@njit(**JIT)
def wrap_ends(target):
    """Fill the planes before the first and after the last that `wrap_planes` filled."""
    nz = target.shape[0] - 2 * MARGIN
    for k in range(MARGIN):
        target[k] = target[MARGIN + (k - MARGIN) % nz]
        target[k + MARGIN + nz] = target[MARGIN + k % nz]
