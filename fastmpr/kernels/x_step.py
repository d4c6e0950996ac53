"""The x-step in Fourier space: pointwise work on columns, and the norms that penalties and residuals need."""

from __future__ import annotations

import numpy as np

from .jit import JIT, JIT_SUM, like, njit


@njit(**JIT)
def _solve(values, gram, rhs, lz, lyx, order, lam, mu, mu2, scale):
    """The x-step for numbers that are real: so it vectorises."""
    for i in range(gram.size):
        symbol = lz + lyx[i]
        symbol = symbol * symbol if order == 2 else symbol
        unit = scale / (mu * symbol + mu2 + lam * gram[i])
        values[2 * i] = (values[2 * i] + lam * rhs[2 * i]) * unit
        values[2 * i + 1] = (values[2 * i + 1] + lam * rhs[2 * i + 1]) * unit


@njit(**JIT)
def solve_columns(columns, gram, rhs, lz, ly, lx, order, lam, mu, mu2, scale, start, stop):
    """The x-step for rows of the spectrum: (mu D^T D + mu2 + lam S) x = r + lam B.

    ``columns`` holds r, and is given x times ``scale``, the FFT's normalisation; its rows are those from ``start`` to
    ``stop`` of the sums. The symbol of D^T D is (lz + ly + lx) ** order. All rows of a plane are one long loop, and its
    arrays are cut out of flat ones, which costs least.
    """
    (nz, ny, half), rows, dtype = gram.shape, stop - start, gram.dtype
    values, data = columns.view(dtype).reshape(nz, 2 * rows * half), rhs.view(dtype).reshape(nz, 2 * ny * half)
    weights, lyx = gram.reshape(nz, ny * half), np.empty(rows * half, dtype)
    for y in range(rows):
        for i in range(half):
            lyx[y * half + i] = ly[start + y] + lx[i]
    first, last = start * half, stop * half
    for z in range(nz):
        plane = data[z, 2 * first : 2 * last]
        _solve(values[z], weights[z, first:last], plane, lz[z], lyx, order, lam, mu, mu2, scale)


@njit(**JIT_SUM)
def squares(a, nx, norms, start, stop):
    """norms[z] <- the sum of squares over the first nx columns of plane z."""
    for z in range(start, stop):
        total = 0.0
        for y in range(a.shape[1]):
            row, part = a[z, y, :nx], like(0.0, a[0, 0, 0])
            for i in range(row.size):
                part += row[i] * row[i]
            total += part
        norms[z] = total


@njit(**JIT_SUM)
def _wiener_row(gram, rhs, lzy, lx, order, floor, first, last):
    total = like(0.0, lx[0])
    for i in range(first, last):
        symbol = lzy + lx[i]
        symbol = symbol * symbol if order == 2 else symbol
        scale = like(1.0, symbol) / (gram[i] + floor)
        real, imag = scale * rhs[i].real, scale * rhs[i].imag
        total += symbol * (real * real + imag * imag)
    return total


@njit(**JIT_SUM)
def wiener_norm(gram, rhs, lz, ly, lx, order, floor, nx):
    """Return the sum of |D^ rhs / (gram + floor)|^2 over all frequencies, |D^|^2 being (lz + ly + lx) ** order."""
    half, total = (nx + 1) // 2, 0.0
    for z in range(lz.size):
        for y in range(ly.size):
            lzy = lz[z] + ly[y]
            once = _wiener_row(gram[z, y], rhs[z, y], lzy, lx, order, floor, 0, 1)
            twice = _wiener_row(gram[z, y], rhs[z, y], lzy, lx, order, floor, 1, half)
            total += once + 2 * twice + _wiener_row(gram[z, y], rhs[z, y], lzy, lx, order, floor, max(half, 1), lx.size)
    return total


@njit(**JIT_SUM)
def _add_products(row, gram, rhs, lzy, lx, order, times, first, last, sums):
    """Add the square of D x, the product of b and x and that of x and S x, so many times."""
    zero = like(0.0, lzy)
    bent, seen, passed = zero, zero, zero
    for i in range(first, last):
        symbol = lzy + lx[i]
        symbol = symbol * symbol if order == 2 else symbol
        real, imag = row[i].real, row[i].imag
        power = real * real + imag * imag
        bent += symbol * power
        seen += rhs[i].real * real + rhs[i].imag * imag
        passed += gram[i] * power
    sums[0] += times * bent
    sums[1] += times * seen
    sums[2] += times * passed


@njit(**JIT_SUM)
def column_products(columns, gram, rhs, lz, ly, lx, order, nx, sums, start, stop):
    """sums[y] <- <D x, D x> / n, <b, x> and <x, S x> / n over rows from ``start`` to ``stop``.

    ``columns`` is what `solve_columns` leaves, x^ / n for n voxels; B is the transform of b. Every frequency counts: those
    between the first and the Nyquist plane twice.
    """
    half, (nz, _, end) = (nx + 1) // 2, gram.shape
    sums[start:stop] = 0
    for z in range(nz):
        for y in range(start, stop):
            row, lzy, out = columns[z, y - start], lz[z] + ly[y], sums[y]
            _add_products(row, gram[z, y], rhs[z, y], lzy, lx, order, 1, 0, 1, out)
            _add_products(row, gram[z, y], rhs[z, y], lzy, lx, order, 2, 1, half, out)
            _add_products(row, gram[z, y], rhs[z, y], lzy, lx, order, 1, max(half, 1), end, out)
