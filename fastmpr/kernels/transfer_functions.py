"""The transfer function of a rotated PSF, sampled from one table, and what it makes of the spectra of views and volumes."""

from __future__ import annotations

import math

import numpy as np

from .jit import JIT, njit
from .rows import inside
from .spline_sampling import row_memory, sample_row


@njit(**JIT)
def _signed_frequency(index, size):
    """Signed FFT frequency of an index, and whether it is the Nyquist frequency, which has no sign."""
    return (index if 2 * index < size else index - size), 2 * index == size


@njit(**JIT)
def _inside_ball(start, step, first, last):
    """Cut the index range [first, last) to those i with |start + i step| <= 1, for 3-vectors."""
    a = step[0] ** 2 + step[1] ** 2 + step[2] ** 2
    b = start[0] * step[0] + start[1] * step[1] + start[2] * step[2]
    c = start[0] ** 2 + start[1] ** 2 + start[2] ** 2 - 1
    if b * b < a * c:
        return first, first
    half = math.sqrt(b * b - a * c)
    first = max(first, int(math.ceil((-b - half) / a)))
    return first, max(first, min(last, int(math.floor((half - b) / a)) + 1))


@njit(**JIT)
def _known_columns(size, reach, matrix, shape, kz, ky):
    """Return where a row of a half spectrum begins in a table of a size, and the range of columns where it is not zero.

    The table's value at zero frequency is at its centre; its last three samples on each side serve the spline only. The
    function is zero beyond them, outside the ellipsoid with the semi-axes ``reach``, and at frequencies without a sign
    (Nyquist), so that it belongs to a real volume.
    """
    fz, no_sign_z = _signed_frequency(kz, shape[0])
    fy, no_sign_y = _signed_frequency(ky, shape[1])
    z = matrix[0, 0] * fz + matrix[0, 1] * fy
    y = matrix[1, 0] * fz + matrix[1, 1] * fy
    x = matrix[2, 0] * fz + matrix[2, 1] * fy
    begin = (z + size[0] // 2, y + size[1] // 2, x + size[2] // 2)
    if no_sign_z or no_sign_y:
        return begin, 0, 0
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    scaled = (step[0] / reach[0], step[1] / reach[1], step[2] / reach[2])
    first, last = _inside_ball((z / reach[0], y / reach[1], x / reach[2]), scaled, 0, (shape[2] + 1) // 2)
    if first >= last:
        return begin, 0, 0
    first, last = inside(begin[0], step[0], 3.0, size[0] - 4.0, first, last)
    first, last = inside(begin[1], step[1], 3.0, size[1] - 4.0, first, last)
    first, last = inside(begin[2], step[2], 3.0, size[2] - 4.0, first, last)
    return begin, first, last


@njit(**JIT)
def sample_transfer(table, reach, matrix, shape, out):
    """Fill the half spectrum of a rotated PSF's transfer function; frequency k lies at centre + matrix k of the table."""
    strides, coefficients = (table.shape[1] * table.shape[2], table.shape[2]), table.reshape(-1)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    at, fz, fy, fx, values = row_memory(coefficients, out.shape[2])
    out[:] = 0
    for kz in range(out.shape[0]):
        for ky in range(out.shape[1]):
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
                out[kz, ky, first:last] = values[: last - first]


@njit(**JIT)
def add_turned(table, reach, matrix, shape, weight, out, start, stop):
    """Add weight times what `sample_transfer` samples to ``out``, in the planes start <= z < stop."""
    strides, coefficients = (table.shape[1] * table.shape[2], table.shape[2]), table.reshape(-1)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    ny, nx = out.shape[1], out.shape[2]
    at, fz, fy, fx, values = row_memory(coefficients, nx)
    target = out.reshape(-1)
    for kz in range(start, stop):
        for ky in range(ny):
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
                place = (kz * ny + ky) * nx + first
                for i in range(last - first):
                    target[np.uintp(place + i)] += weight * values[i]


@njit(**JIT)
def _add_normal_row(values, columns, at, weight, begin, size, gram, rhs):
    for i in range(size):
        p = np.uintp(begin + i)
        h, y = values[i], columns[np.uintp(at + i)]
        gram[p] += weight * (h.real * h.real + h.imag * h.imag)
        rhs[p] += weight * (y * h.conjugate())


@njit(**JIT)
def _add_rhs_row(values, columns, at, weight, begin, size, rhs):
    for i in range(size):
        p = np.uintp(begin + i)
        rhs[p] += weight * (columns[np.uintp(at + i)] * values[i].conjugate())


@njit(**JIT)
def add_columns(table, reach, matrix, shape, columns, weight, gram, rhs, start, stop):
    """Gram += w |h|^2 and rhs += w conj(h) y in the rows start <= y < stop for one view, h being `sample_transfer`'s.

    ``columns`` (nz, stop - start, nx // 2 + 1) hold these rows of y. An empty gram is left alone.
    """
    strides, coefficients = (table.shape[1] * table.shape[2], table.shape[2]), table.reshape(-1)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    nz, ny, half = rhs.shape
    at, fz, fy, fx, values = row_memory(coefficients, half)
    flat = (columns.reshape(-1), gram.reshape(-1), rhs.reshape(-1))
    for kz in range(nz):
        for ky in range(start, stop):
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
                row, place = kz * (stop - start) + ky - start, kz * ny + ky
                at_row, at_place, count = row * half + first, place * half + first, last - first
                if gram.size == 0:
                    _add_rhs_row(values, flat[0], at_row, weight, at_place, count, flat[2])
                else:
                    _add_normal_row(values, flat[0], at_row, weight, at_place, count, flat[1], flat[2])


@njit(**JIT)
def predict_columns(table, reach, matrix, shape, volume, scale, columns, start, stop):
    """Columns <- scale h X in the rows start <= y < stop: what a view shows of a volume with the spectrum X."""
    strides, coefficients = (table.shape[1] * table.shape[2], table.shape[2]), table.reshape(-1)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    nz, ny, half = volume.shape
    at, fz, fy, fx, values = row_memory(coefficients, half)
    source, target = volume.reshape(-1), columns.reshape(-1)
    for kz in range(nz):
        for ky in range(start, stop):
            row, place = (kz * (stop - start) + ky - start) * half, (kz * ny + ky) * half
            for i in range(half):
                target[np.uintp(row + i)] = 0
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
                for i in range(first, last):
                    target[np.uintp(row + i)] = scale * (values[np.uintp(i - first)] * source[np.uintp(place + i)])
