"""The kernels of Fourier space: the x-step's pointwise work on columns, and the norms that penalties and residuals need.

All of them are serial and release the GIL.
"""

from __future__ import annotations

import numpy as np

from .jit import JIT, JIT_SUM, like, njit


@njit(**JIT)
def _units(gram, lz, lyx, order, lam, mu, mu2, scale, unit):
    """What the x-step multiplies by, twice each: for the real and the imaginary part."""
    for i in range(gram.size):
        symbol = lz + lyx[i]
        symbol = symbol * symbol if order == 2 else symbol
        value = scale / (mu * symbol + mu2 + lam * gram[i])
        unit[2 * i] = value
        unit[2 * i + 1] = value


@njit(**JIT)
def _solve(values, rhs, lam, unit):
    for i in range(values.size):
        values[i] = (values[i] + lam * rhs[i]) * unit[i]


@njit(**JIT)
def solve_columns(columns, gram, rhs, lz, ly, lx, order, lam, mu, mu2, scale, start, stop):
    """The x-step for rows of the spectrum: (mu D^T D + mu2 + lam S) x = r + lam B.

    ``columns`` holds r, and is given x times ``scale``, the FFT's normalisation; its rows are those from ``start`` to
    ``stop`` of the sums. The symbol of D^T D is (lz + ly + lx) ** order. All rows of a plane are one long loop, over
    numbers that are real: so it vectorises.
    """
    half, rows = lx.size, stop - start
    values, data = columns.view(gram.dtype), rhs.view(gram.dtype)
    lyx, unit = np.empty((rows, half), gram.dtype), np.empty(2 * rows * half, gram.dtype)
    for y in range(rows):
        for i in range(half):
            lyx[y, i] = ly[start + y] + lx[i]
    first, last = start * half, stop * half
    for z in range(lz.size):
        _units(gram[z].ravel()[first:last], lz[z], lyx.ravel(), order, lam, mu, mu2, scale, unit)
        _solve(values[z].ravel(), data[z].ravel()[2 * first : 2 * last], lam, unit)


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
def _gradient_row(values, gram, rhs, size, first, last):
    total = like(0.0, size)
    for i in range(first, last):
        real = values[i].real * size * gram[i] - rhs[i].real
        imag = values[i].imag * size * gram[i] - rhs[i].imag
        total += real * real + imag * imag
    return total


@njit(**JIT_SUM)
def gradient_norm(columns, gram, rhs, size, nx, norms, start, stop):
    """norms[y] <- the squares of S x - B over rows of `solve_columns`, from columns = x^ / size; every frequency counted."""
    half = (nx + 1) // 2
    norms[start:stop] = 0
    for z in range(gram.shape[0]):
        for y in range(start, stop):
            row = columns[z, y - start]
            once = _gradient_row(row, gram[z, y], rhs[z, y], size, 0, 1)
            twice = _gradient_row(row, gram[z, y], rhs[z, y], size, 1, half)
            norms[y] += once + 2 * twice + _gradient_row(row, gram[z, y], rhs[z, y], size, max(half, 1), gram.shape[2])
