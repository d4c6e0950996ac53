"""What a view saw: its mask in the model's frame, and what becomes of an image inside it and elsewhere."""

from __future__ import annotations

import math

import numpy as np

from .jit import JIT, JIT_INLINE, njit
from .rows import inside

UNSEEN, SEEN, DARK = 0, 1, 2  # dark: beyond the image, where it was seen that there is nothing


@njit(**JIT_INLINE)
def _fill_range(mask, begin, first, last, value):
    for i in range(first, last):
        mask[np.uintp(begin + i)] = value


@njit(**JIT_INLINE)
def _box_range(start, step, low, high, nx):
    """Which of the samples at start + i step lie in a box, ends included."""
    first, last = inside(start[0], step[0], low[0], high[0], 0, nx)
    first, last = inside(start[1], step[1], low[1], high[1], first, last)
    return inside(start[2], step[2], low[2], high[2], first, last)


@njit(**JIT)
def _between_seen(voxels, z, y, x):
    """Whether all voxels that a point lies between were seen."""
    nz, ny, nx = voxels.shape
    z, y, x = min(max(z, 0.0), nz - 1.0), min(max(y, 0.0), ny - 1.0), min(max(x, 0.0), nx - 1.0)
    for k in range(int(math.floor(z)), int(math.ceil(z)) + 1):
        for j in range(int(math.floor(y)), int(math.ceil(y)) + 1):
            for i in range(int(math.floor(x)), int(math.ceil(x)) + 1):
                if not voxels[k, j, i]:
                    return False
    return True


@njit(**JIT)
def mark_seen(mask, matrix, origin, centre, size, low, high, beyond, voxels, reach, start, stop):
    """Fill the planes start <= z < stop of a mask with UNSEEN, SEEN or DARK, and return how many voxels were SEEN.

    A voxel p lies at matrix (p - centre) + origin of the box that was seen, of a ``size``: it is SEEN between the centres
    of the outermost voxels, since a spline beyond them is a guess. The image reaches from ``low`` to ``high`` in voxels of
    the box; beyond it is dark if ``beyond``. Of the box, only ``voxels`` (not zero) were seen; all, where there are none.
    Farther than ``reach`` from the centre of the model nothing was.
    """
    step, flat, count = (matrix[0, 2], matrix[1, 2], matrix[2, 2]), mask.reshape(-1), 0
    ny, nx = mask.shape[1], mask.shape[2]
    outside = DARK if beyond else UNSEEN
    slack = np.where(size > 1, 0.0, 0.5)  # a plane alone would hardly be met
    first_voxel, last_voxel, first_edge, last_edge = -slack, size - 1 + slack, low - 0.5, high - 0.5
    for k in range(start, stop):
        for j in range(ny):
            begin, dz, dy, dx = (k * ny + j) * nx, k - centre[0], j - centre[1], -centre[2]
            z = origin[0] + matrix[0, 0] * dz + matrix[0, 1] * dy + matrix[0, 2] * dx
            y = origin[1] + matrix[1, 0] * dz + matrix[1, 1] * dy + matrix[1, 2] * dx
            x = origin[2] + matrix[2, 0] * dz + matrix[2, 1] * dy + matrix[2, 2] * dx
            chord = reach * reach - dz * dz - dy * dy
            _fill_range(flat, begin, 0, nx, outside if chord == np.inf else UNSEEN)
            if chord < np.inf:
                for i in range(nx):
                    if (i - centre[2]) ** 2 <= chord:
                        flat[begin + i] = outside
            first, last = _box_range((z, y, x), step, first_edge, last_edge, nx)
            _fill_range(flat, begin, first, last, UNSEEN)
            first, last = _box_range((z, y, x), step, first_voxel, last_voxel, nx)
            for i in range(first, last):
                if (i - centre[2]) ** 2 > chord:
                    continue
                if voxels.size == 0 or _between_seen(voxels, z + i * step[0], y + i * step[1], x + i * step[2]):
                    flat[begin + i] = SEEN
                    count += 1
    return count


@njit(**JIT)
def keep_seen(image, mask, start, stop):
    """Set what was not SEEN of an image to 0; return the sum of the rest and that of its squares."""
    total, squares = 0.0, 0.0
    for k in range(start, stop):
        for j in range(mask.shape[1]):
            for i in range(mask.shape[2]):
                if mask[k, j, i] != SEEN:
                    image[k, j, i] = 0
                total += image[k, j, i]
                squares += image[k, j, i] * image[k, j, i]
    return total, squares


@njit(**JIT)
def keep_unseen(image, mask, value, start, stop):
    """Set what was SEEN of an image to a value, and DARK to 0; return the sum of what was there, and the rest's squares."""
    total, squares = 0.0, 0.0
    for k in range(start, stop):
        for j in range(mask.shape[1]):
            for i in range(mask.shape[2]):
                if mask[k, j, i] == SEEN:
                    total += image[k, j, i]
                    image[k, j, i] = value
                elif mask[k, j, i] == DARK:
                    image[k, j, i] = 0
                else:
                    squares += image[k, j, i] * image[k, j, i]
    return total, squares


@njit(**JIT)
def count_seen(counts, mask, weight, start, stop):
    """Counts += weight where a voxel was SEEN or is DARK, in the planes start <= z < stop."""
    for k in range(start, stop):
        for j in range(mask.shape[1]):
            for i in range(mask.shape[2]):
                if mask[k, j, i] != UNSEEN:
                    counts[k, j, i] += weight
