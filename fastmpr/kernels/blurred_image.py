"""One blurred image in a running solve: products with its transfer function, and the image's own step.

Rows of a spectrum are those from ``start`` to ``stop``; ``columns`` hold them alone.
"""

from __future__ import annotations

import numpy as np

from .jit import JIT, JIT_SUM, like, njit


@njit(**JIT)
def blur(columns, transfer, scale, start, stop):
    """Columns <- scale h^ columns."""
    for z in range(transfer.shape[0]):
        for y in range(start, stop):
            row, factor = columns[z, y - start], transfer[z, y]
            for x in range(row.size):
                row[x] *= scale * factor[x]


@njit(**JIT)
def blur_back(columns, transfer, out, start, stop):
    """Out <- conj(h^) columns."""
    for z in range(transfer.shape[0]):
        for y in range(start, stop):
            row, factor, target = columns[z, y - start], transfer[z, y], out[z, y]
            for x in range(row.size):
                target[x] = np.conj(factor[x]) * row[x]


@njit(**JIT_SUM)
def _observe(blurred, image, state, relaxation, share):
    """A row's step: unseen where the image is NaN."""
    zero, one = like(0.0, relaxation), like(1.0, relaxation)
    gap, size, whole, keep = zero, zero, one / (one + share), one - relaxation
    for x in range(image.size):
        v = relaxation * blurred[x] + state[x]
        d = (v - image[x]) * whole
        d = d if d == d else zero
        z = v - d
        off = blurred[x] - z
        gap += off * off
        size += z * z
        blurred[x] = z - d
        state[x] = keep * z + d
    return gap, size


@njit(**JIT_SUM)
def _go_on(blurred, state, relaxation):
    """A row's step where nothing was seen: d = 0."""
    gap, size, keep = like(0.0, relaxation), like(0.0, relaxation), like(1.0, relaxation) - relaxation
    for x in range(state.size):
        z = relaxation * blurred[x] + state[x]
        off = blurred[x] - z
        gap += off * off
        size += z * z
        blurred[x] = z
        state[x] = keep * z
    return gap, size


@njit(**JIT_SUM)
def observe_plane(blurred, image, state, relaxation, share, norms):
    """The z-step of a plane: H x in, z - d out; the state s = (1 - r) z + d follows.

    With v = r H x + s, z lies between v and what was seen, whose weight is 1 to ``share``; z = v where the image is NaN or
    has ended. norms <- the sums of the squares of H x - z and z.
    """
    rows, seen = image.shape
    norms[:] = 0
    for y in range(state.shape[0]):
        first = seen if y < rows else 0
        if first:
            gap, size = _observe(blurred[y, :first], image[y], state[y, :first], relaxation, share)
            norms[0] += gap
            norms[1] += size
        gap, size = _go_on(blurred[y, first : state.shape[1]], state[y, first:], relaxation)
        norms[0] += gap
        norms[1] += size
