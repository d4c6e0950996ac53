"""A view held against what a volume shows of it: sums over both where they are smooth, and third differences."""

from __future__ import annotations

import math

import numpy as np

from .jit import JIT, JIT_INLINE, JIT_SUM, like, njit

STEP = 2  # voxels between two points of the lattice on which smooth images are compared: they hold no more
REACH = 2  # voxels on each side of a point that its smooth value is made of
# A Gaussian of one voxel, nearly: its standard deviation is 1, and its transform cos(pi f)^4 is 0 at the highest frequency.
TAPS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
SQUARES = sum(tap * tap for tap in TAPS) ** 3  # what smoothing leaves of the variance of white noise
# What is noted of a view y and its prediction p, inside and outside of an ellipsoid: n and the sums of p, y, p^2, p y
# and y^2 where both are smooth; how many third differences, and the sum of their squares.
NUMBERS = 8


@njit(**JIT_INLINE)
def _chord(z, y, centre, half, size):
    """Where a row goes into an ellipsoid, and where it leaves it."""
    rest = 1.0 - ((z - centre[0]) / half[0]) ** 2 - ((y - centre[1]) / half[1]) ** 2
    if rest <= 0.0:
        return size, size
    reach = half[2] * math.sqrt(rest)
    return max(0, int(math.ceil(centre[2] - reach))), min(size, int(math.floor(centre[2] + reach)) + 1)


@njit(**JIT)
def _mix(rows, at, stride, target, size):
    """Target <- five rows that begin at ``at`` and so far apart, smoothed across."""
    one = rows[0]
    a, b, c = like(TAPS[0], one), like(TAPS[1], one), like(TAPS[2], one)
    for i in range(size):
        p = np.uintp(at + i)
        outer = rows[p] + rows[np.uintp(at + 4 * stride + i)]
        inner = rows[np.uintp(at + stride + i)] + rows[np.uintp(at + 3 * stride + i)]
        target[np.uintp(i)] = a * outer + b * inner + c * rows[np.uintp(at + 2 * stride + i)]


@njit(**JIT)
def _note(row, shown, seen, begin, first, last, sums):
    """Add to sums what the columns first <= i < last of a smooth row of the lattice and its prediction tell."""
    n, p, y, pp, py, yy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(first, last):
        if seen.size > 0 and not seen[begin + i]:
            continue
        k = STEP * i
        outer, inner = row[k] + row[k + 4], row[k + 1] + row[k + 3]
        v = float(TAPS[0] * outer + TAPS[1] * inner + TAPS[2] * row[k + 2])
        u = float(shown[begin + i])
        n += 1.0
        p += u
        y += v
        pp += u * u
        py += u * v
        yy += v * v
    for k, value in enumerate((n, p, y, pp, py, yy)):
        sums[k] += value


@njit(**JIT)
def compare_smooth(image, shown, seen, centre, half, start, stop, sums):
    """Smooth a view, and compare it with its prediction in the planes start <= z < stop of a lattice.

    Parameters
    ----------
    image : (nz, ny, nx)
        Of a view.
    shown : (mz, my, mx)
        What a volume shows of it where it is as smooth, at the voxels ``REACH + STEP l`` for l on the lattice.
    seen : (mz, my, mx) uint8
        Where that was seen; everywhere if empty.
    centre, half : (3,)
        Of the ellipsoid, in voxels.
    sums : (2, NUMBERS) float64
        Inside and outside; is added to.
    """
    ny, nx = image.shape[1], image.shape[2]
    my, mx = shown.shape[1], shown.shape[2]
    flat, flat_shown, flat_seen = image.reshape(-1), shown.reshape(-1), seen.reshape(-1)
    plane, row = np.empty(ny * nx, image.dtype), np.empty(nx, image.dtype)
    for k in range(start, stop):
        _mix(flat, STEP * k * ny * nx, ny * nx, plane, ny * nx)
        for j in range(my):
            _mix(plane, STEP * j * nx, nx, row, nx)
            first, last = _chord(REACH + STEP * k, REACH + STEP * j, centre, half, nx)
            first = min(max((first - REACH + STEP - 1) // STEP, 0), mx)
            last = max(min((last - 1 - REACH) // STEP + 1, mx), first)
            begin = (k * my + j) * mx
            _note(row, flat_shown, flat_seen, begin, first, last, sums[0])
            _note(row, flat_shown, flat_seen, begin, 0, first, sums[1])
            _note(row, flat_shown, flat_seen, begin, last, mx, sums[1])


@njit(**JIT_SUM)
def _squares(image, at, size):
    """The sum of the squares of all third differences in a row."""
    total, three = like(0.0, image[0]), like(3.0, image[0])
    for i in range(size - 3):
        p = np.uintp(at + i)
        step = image[np.uintp(p + 3)] - image[p] - three * (image[np.uintp(p + 2)] - image[np.uintp(p + 1)])
        total += step * step
    return total


@njit(**JIT)
def _add_differences(image, voxels, at, size, sums):
    """Add what a row's third differences tell, of those between voxels that were seen."""
    if size < 4:
        return
    if voxels.size == 0:
        sums[6] += size - 3
        sums[7] += _squares(image, at, size)
        return
    for i in range(at, at + size - 3):
        if voxels[i] and voxels[i + 1] and voxels[i + 2] and voxels[i + 3]:
            step = float(image[i + 3]) - image[i] - 3.0 * (image[i + 2] - image[i + 1])
            sums[6] += 1
            sums[7] += step * step


@njit(**JIT)
def third_differences(image, voxels, centre, half, start, stop, sums):
    """Take third differences along the rows of the planes start <= z < stop: of what is smooth they see little.

    The rest is as `compare_smooth` has it; of the ``voxels`` those were seen that are not 0, all where there are none.
    """
    ny, nx = image.shape[1], image.shape[2]
    flat, flat_voxels = image.reshape(-1), voxels.reshape(-1)
    for k in range(start, stop):
        for j in range(ny):
            first, last = _chord(k, j, centre, half, nx)
            last = max(first, last)
            begin = (k * ny + j) * nx
            _add_differences(flat, flat_voxels, begin + first, last - first, sums[0])
            _add_differences(flat, flat_voxels, begin, first, sums[1])
            _add_differences(flat, flat_voxels, begin + last, nx - last, sums[1])
