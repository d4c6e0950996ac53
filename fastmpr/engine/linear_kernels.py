"""The kernels of SPFluo's reconstruction: rotation by linear interpolation, and the sums of its closed form.

All of them are serial and release the GIL.
"""

from __future__ import annotations

import numpy as np

from .jit import JIT, inside, narrow, njit

# A product and a sum rounded as one would move points across the border, where the volume ends at once.
_ROUNDED = {**JIT, "fastmath": {"nsz"}}
_PLACES = {**_ROUNDED, "cache": False, "inline": "always"}


@njit(**_PLACES)
def _row_start(matrix, origin, axis, k, j):
    return origin[axis] + k * matrix[axis, 0] + j * matrix[axis, 1]


@njit(**_ROUNDED)
def _first_and_last(start, step, end, first, last):
    """Cut the index range [first, last) to those i with 0 <= start + i step <= end, as rounded."""
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
    flat, target = a.reshape(-1), out.reshape(-1)
    strides = (a.shape[1] * a.shape[2], a.shape[2])
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    nz, ny, nx, _ = out.shape
    at, fractions = np.empty(nx, np.int32), np.empty((3, nx), a.dtype)
    for k in range(nz):
        for j in range(ny):
            z, y, x = (
                _row_start(matrix, origin, 0, k, j),
                _row_start(matrix, origin, 1, k, j),
                _row_start(matrix, origin, 2, k, j),
            )
            first, last = _first_and_last(z, step[0], a.shape[0] - 2.0, 0, nx)
            first, last = _first_and_last(y, step[1], a.shape[1] - 2.0, first, last)
            first, last = _first_and_last(x, step[2], a.shape[2] - 2.0, first, last)
            begin = (k * ny + j) * nx * 2 + part
            for i in range(first):
                target[np.uintp(begin + 2 * i)] = 0
            for i in range(last, nx):
                target[np.uintp(begin + 2 * i)] = 0
            if first < last:
                _locate((z, y, x), step, strides, first, last, at, fractions[0], fractions[1], fractions[2])
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
                r[kx] += quarter * complex(
                    h.real * y.imag - h.imag * y.real, -(h.real * y.real + h.imag * y.imag)
                )
