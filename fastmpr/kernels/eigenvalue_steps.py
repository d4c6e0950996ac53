"""The formulas of `eigenvalues` for chunks of many matrices, in steps that leave their results to each other."""

from __future__ import annotations

from .eigenvalues import deviator, rest_square, separated_root
from .jit import JIT, njit
from .rows import CHUNK

# What the five steps of clipping leave to each other, for the elements of a chunk: rows of one flat array, as rows at
# distances known to LLVM need no checks for overlap. Five loops are faster than one: each is a short chain of dependent
# operations, so that the processor works on many elements at once.
MEAN, ROOT, SCALE, A, B, C, D, E, F, REST, LEVEL = (k * CHUNK for k in range(11))
WORK = 11 * CHUNK


@njit(**JIT)
def deviators(zz, yy, xx, zy, zx, yx, factor, work):
    """First step, for factor times the given entries; root and scale still hold tr A^2 / 6 and det A / 2."""
    for i in range(zz.size):
        d, e, f = factor * zy[i], factor * zx[i], factor * yx[i]
        mean, square, det, a, b, c = deviator(factor * zz[i], factor * yy[i], factor * xx[i], d, e, f)
        work[MEAN + i], work[ROOT + i], work[SCALE + i] = mean, square, det
        work[A + i], work[B + i], work[C + i] = a, b, c
        work[D + i], work[E + i], work[F + i] = d, e, f


@njit(**JIT)
def separated_roots(work, size):
    """Second step: `separated_root`, and its scale."""
    for i in range(size):
        work[ROOT + i], work[SCALE + i] = separated_root(work[ROOT + i], work[SCALE + i])


@njit(**JIT)
def rest_squares(work, size):
    """Third step: `rest_square`."""
    for i in range(size):
        a, b, c, d, e, f = work[A + i], work[B + i], work[C + i], work[D + i], work[E + i], work[F + i]
        work[REST + i] = rest_square(work[ROOT + i], work[SCALE + i], a, b, c, d, e, f)
