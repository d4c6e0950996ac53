"""The kernels of Fourier space: the x-step's pointwise work on columns, and the norms that penalties and residuals need.

All of them are serial and release the GIL.
"""

from __future__ import annotations

import numpy as np

from .jit import JIT, JIT_SUM, like, njit

_TILE = 16  # columns that are turned together: float32 numbers in a cache line


@njit(**JIT)
def solve_columns(columns, inverse, bias):
    """Columns <- columns * inverse + bias, for arrays (rows, nx // 2 + 1, nz): the x-step of ADMM."""
    values, factors, offsets = columns.ravel(), inverse.ravel(), bias.ravel()
    for i in range(values.size):
        values[i] = values[i] * factors[i] + offsets[i]


@njit(**JIT_SUM)
def squares_of_difference(a, b, nx, norms, start, stop):
    """norms[z] <- the sum of squares of a - b over the first nx columns of plane z."""
    for z in range(start, stop):
        total = 0.0
        for y in range(a.shape[1]):
            row, other, part = a[z, y, :nx], b[z, y, :nx], like(0.0, a[0, 0, 0])
            for i in range(row.size):
                part += (row[i] - other[i]) * (row[i] - other[i])
            total += part
        norms[z] = total


@njit(**JIT)
def _prepare_row(gram, rhs, lzy, lx, order, lam, mu, mu2, scale, inverse, bias):
    for i in range(lx.size):
        symbol = lzy + lx[i]
        symbol = symbol * symbol if order == 2 else symbol
        unit = scale / (mu * symbol + mu2 + lam * gram[i])
        inverse[i] = unit
        bias[i] = lam * unit * rhs[i]


@njit(**JIT)
def _turn(plane, out):
    """Out <- the transpose of a plane."""
    for first in range(0, plane.shape[1], _TILE):
        for z in range(plane.shape[0]):
            row = plane[z]
            for x in range(first, min(first + _TILE, plane.shape[1])):
                out[x, z] = row[x]


@njit(**JIT)
def prepare_columns(gram, rhs, lz, ly, lx, order, lam, mu, mu2, scale, inverse, bias, start, stop):
    """Fill rows of ``inverse`` and ``bias`` of `solve_columns` for the x-step (mu D^T D + mu2 + lam S) x = r + lam B.

    They are (ny, nx // 2 + 1, nz), the sums (nz, ny, nx // 2 + 1). The symbol of D^T D is (lz + ly + lx) ** order; ``scale``
    is the FFT's normalisation.
    """
    unit, offset = np.empty((lz.size, lx.size), inverse.dtype), np.empty((lz.size, lx.size), bias.dtype)
    for y in range(start, stop):
        for z in range(lz.size):
            _prepare_row(gram[z, y], rhs[z, y], lz[z] + ly[y], lx, order, lam, mu, mu2, scale, unit[z], offset[z])
        _turn(unit, inverse[y])
        _turn(offset, bias[y])


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
def gradient_norm(gram, rhs, columns, size, nx, start, norms):
    """norms[y] <- the squares of S x - B over rows from ``start``, from ``columns`` = x^ / size; every frequency counted."""
    half = (nx + 1) // 2
    for y in range(start, start + columns.shape[0]):
        total = 0.0
        for first in range(0, gram.shape[2], _TILE):
            for z in range(gram.shape[0]):
                for x in range(first, min(first + _TILE, gram.shape[2])):
                    value = columns[y - start, x, z] * size * gram[z, y, x] - rhs[z, y, x]
                    square = value.real * value.real + value.imag * value.imag
                    total += square if x == 0 or x >= half else square + square
        norms[y] = total
