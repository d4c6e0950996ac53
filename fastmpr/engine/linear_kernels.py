"""The kernels of SPFluo's reconstruction: rotation by linear interpolation, and the sums of its closed form.

All of them are serial and release the GIL.
"""

from __future__ import annotations

import numpy as np

from .jit import JIT, inside, narrow, njit

# Rounded after each operation, and in this order, so are coordinates in scipy.ndimage: where a turn maps axes to axes,
# samples lie on the border of a volume, which ends there at once, and the last bit tells whether they are inside.
_ROUNDED = {**JIT, "fastmath": {"nsz"}}


@njit(**_ROUNDED)
def _row(matrix, origin, k, j):
    """Where a row begins."""
    z = origin[0] + k * matrix[0, 0] + j * matrix[0, 1]
    y = origin[1] + k * matrix[1, 0] + j * matrix[1, 1]
    x = origin[2] + k * matrix[2, 0] + j * matrix[2, 1]
    return z, y, x


@njit(**_ROUNDED)
def _cut(start, step, end, first, last):
    """Cut the index range [first, last) to those i with 0 <= start + i step <= end, as rounded."""
    low, high = first, last
    if abs(step) > 1e-6:  # else rounding may move an end by more than one sample
        low, high = inside(start, step, 0.0, end, first, last)
        low, high = max(low - 1, first), min(high + 1, last)
    while low < high and not 0 <= start + low * step <= end:
        low += 1
    while high > low and not 0 <= start + (high - 1) * step <= end:
        high -= 1
    return low, high


@njit(**_ROUNDED)
def _locate(start, step, strides, first, last, at, fz, fy, fx):
    """Where the eight samples around start + i step begin, for first <= i < last, and the fractions beyond them."""
    (z, y, x), (dz, dy, dx) = start, step
    plane, row = np.int32(strides[0]), np.int32(strides[1])
    one = fz[0]
    for i in range(first, last):
        pz, py, px = z + i * dz, y + i * dy, x + i * dx
        iz, iy, ix = np.int32(pz), np.int32(py), np.int32(px)
        fz[i], fy[i], fx[i] = narrow(pz - iz, one), narrow(py - iy, one), narrow(px - ix, one)
        at[i] = iz * plane + iy * row + ix


@njit(**JIT)
def _blend(a, strides, first, last, at, fz, fy, fx, out, begin):
    """out[begin + 2 i] <- the linear interpolation between eight samples, for first <= i < last."""
    plane, row = np.uintp(strides[0]), np.uintp(strides[1])
    one = np.uintp(1)
    for i in range(first, last):
        p = np.uintp(at[i])
        u, v, w = fx[i], fy[i], fz[i]
        q, r = p + row, p + plane
        s = r + row
        b = a[p] + u * (a[p + one] - a[p])
        c = a[q] + u * (a[q + one] - a[q])
        d = a[r] + u * (a[r + one] - a[r])
        e = a[s] + u * (a[s + one] - a[s])
        b += v * (c - b)
        d += v * (e - d)
        out[np.uintp(begin + 2 * i)] = b + w * (d - b)


@njit(**JIT)
def turn(a, matrix, origin, out, part):
    """Sample a volume on a turned grid: out[p, part] <- ``a`` between its samples at matrix p + origin, zero outside.

    ``a`` has one sample more on each axis than the volume, zeros at the end. The last axis of ``out`` holds two numbers.
    """
    flat, target, half = a.reshape(-1), out.reshape(-1), out.shape[2]
    strides = (a.shape[1] * a.shape[2], a.shape[2])
    step, end = (matrix[0, 2], matrix[1, 2], matrix[2, 2]), (a.shape[0] - 2.0, a.shape[1] - 2.0, a.shape[2] - 2.0)
    at, fractions = np.empty(half, np.int32), np.empty((3, half), a.dtype)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            start, first, last = _row(matrix, origin, k, j), 0, half
            for axis in range(3):
                first, last = _cut(start[axis], step[axis], end[axis], first, last)
            begin = (k * out.shape[1] + j) * half * 2 + part
            for i in range(first):
                target[np.uintp(begin + 2 * i)] = 0
            for i in range(last, half):
                target[np.uintp(begin + 2 * i)] = 0
            if first < last:
                _locate(start, step, strides, first, last, at, fractions[0], fractions[1], fractions[2])
                _blend(flat, strides, first, last, at, fractions[0], fractions[1], fractions[2], target, begin)


@njit(**JIT)
def add_pair(spectrum, gram, rhs):
    """Gram += |h|^2 and rhs += conj(h) y on half the spectrum, of two real volumes whose h + i y has this ``spectrum``.

    With Z(k) and the conjugate W of Z(-k), h is (Z + W) / 2 and y is (Z - W) / 2i.
    """
    nz, ny, nx = spectrum.shape
    half = rhs.shape[2]
    for kz in range(nz):
        for ky in range(ny):
            there, back = spectrum[kz, ky], spectrum[-kz % nz, -ky % ny]
            g, r = gram[kz, ky], rhs[kz, ky]
            for kx in range(half):
                z, w = there[kx], back[nx - kx if kx else 0].conjugate()
                h, y = z + w, z - w
                quarter = narrow(0.25, g[kx])
                g[kx] += quarter * (h.real * h.real + h.imag * h.imag)
                r[kx] += quarter * complex(h.real * y.imag - h.imag * y.real, -(h.real * y.real + h.imag * y.imag))
