"""The kernels of a view: sampling a volume, and a PSF's transfer function, by cubic B-splines.

All of them are serial and release the GIL.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from .jit import JIT, JIT_INLINE, JIT_SUM, inside, like, narrow, njit
from .splines import MARGIN

# ----------------------------------------------------------------------------------------------------
# Resampling with cubic B-splines
# ----------------------------------------------------------------------------------------------------


# The four cubic B-spline weights at a fraction f past the second of four samples, as polynomials in f: constants first.
_SPLINE = ((1 / 6, 2 / 3, 1 / 6, 0), (-1 / 2, 0, 1 / 2, 0), (1 / 2, -1, 1 / 2, 0), (-1 / 6, 1 / 2, -1 / 2, 1 / 6))


def _spline_pair(a, row, plane, at, fz, fy, fx, k, out):
    """For i of k and k + 1: out[i] <- the sum of 4 x 4 x 4 coefficients from flat index at[i] on, weighted for fractions."""
    for i in (k, k + 1):
        wz, wy, wx = (np.array(_SPLINE, f.dtype).T @ f[i] ** np.arange(4, dtype=f.dtype) for f in (fz, fy, fx))
        block = at[i] + plane * np.arange(4)[:, None, None] + row * np.arange(4)[:, None] + np.arange(4)
        out[i] = np.einsum("zyx,z,y,x", a[block], wz, wy, wx)


@intrinsic
def _spline_vectors(typingctx, a, row, plane, at, fz, fy, fx, k, out):
    """Do what `_spline_pair` does, in vectors: two points side by side, four coefficients of each, real and imaginary parts.

    Numba does not combine neighbouring scalar operations, so all that comes in fours is written as vectors here: 16 loads
    a point instead of 64, and of two points all arithmetic at once.
    """
    parts = 2 if isinstance(a.dtype, types.Complex) else 1

    def build(context, builder, signature, args):
        number, index = context.get_value_type(fx.dtype), ir.IntType(32)

        def vector(count):
            return ir.VectorType(number, count)

        def shuffled(first, order, second=None):
            return builder.shuffle_vector(first, second or first, ir.Constant(ir.VectorType(index, len(order)), order))

        def times_plus(a, b, c):
            return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

        def place(argument, offset):
            data = context.make_array(signature.args[argument])(context, builder, args[argument]).data
            return builder.gep(data, [offset])

        def load(pointer, kind):
            return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=fx.dtype.bitwidth // 8)

        def weights(argument):
            f = shuffled(load(place(argument, args[7]), vector(2)), [0] * 4 + [1] * 4)
            value = ir.Constant(vector(8), list(_SPLINE[3]) * 2)
            for power in (2, 1, 0):
                value = times_plus(value, f, ir.Constant(vector(8), list(_SPLINE[power]) * 2))
            return value

        def spread(w):
            return [shuffled(w, [tap] * 4 * parts + [4 + tap] * 4 * parts) for tap in range(4)]

        def line(z, y):
            offset = builder.add(builder.mul(args[2], size(z)), builder.mul(args[1], size(y)))
            one, two = (load(place(0, builder.add(start, offset)), vector(4 * parts)) for start in starts)
            return shuffled(one, list(range(8 * parts)), two)

        def weighted_sum(spread_weights, vectors):
            total = ir.Constant(vector(8 * parts), [0.0] * (8 * parts))
            for weight, line in zip(spread_weights, vectors, strict=True):
                total = times_plus(weight, line, total)
            return total

        size = args[7].type
        starts = [builder.load(place(3, builder.add(args[7], size(point)))) for point in range(2)]
        wz, wy, wx = (weights(argument) for argument in (4, 5, 6))
        along_z, along_y = spread(wz), spread(wy)
        planes = [weighted_sum(along_y, [line(z, y) for y in range(4)]) for z in range(4)]
        sums = builder.fmul(weighted_sum(along_z, planes), shuffled(wx, [lane // parts for lane in range(8 * parts)]))
        for taps in (4, 2):  # the upper half of each point's taps is added to the lower
            lanes = [point * taps * parts + lane for point in range(2) for lane in range(taps // 2 * parts)]
            sums = builder.fadd(shuffled(sums, lanes), shuffled(sums, [lane + taps // 2 * parts for lane in lanes]))
        target = builder.bitcast(place(8, args[7]), sums.type.as_pointer())
        builder.store(sums, target, align=fx.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(a, types.intp, types.intp, at, fz, fy, fx, types.intp, out), build


@overload(_spline_pair, inline="always")
def _spline_pair_typed(a, row, plane, at, fz, fy, fx, k, out):
    return lambda a, row, plane, at, fz, fy, fx, k, out: _spline_vectors(a, row, plane, at, fz, fy, fx, k, out)


_CHUNK = 8  # samples whose places are found side by side


@njit(**JIT)
def _row_memory(a, size):
    """Memory that sampling a row of up to ``size`` values needs: flat indices, fractions along z, y and x, and values."""
    padded = size + _CHUNK
    places = np.empty((3, padded), a.real.dtype)
    return np.empty(padded, np.intp), places[0], places[1], places[2], np.empty(padded, a.dtype)


@njit(**JIT_INLINE)
def _locate_row(strides, start, step, first, last, at, fz, fy, fx):
    """Where the splines at start + i step begin, for first <= i < last: flat indices, and fractions.

    The last one is repeated up to a multiple of `_CHUNK`: what does not fill vectors is slow.
    """
    (z, y, x), (dz, dy, dx) = start, step
    one = fz[0]
    plane, row = strides
    for k in range((last - first + _CHUNK - 1) // _CHUNK * _CHUNK):
        i = np.int32(min(first + k, last - 1))
        pz, py, px = z + i * dz, y + i * dy, x + i * dx
        iz, iy, ix = np.int32(pz), np.int32(py), np.int32(px)  # in 64 bits not every processor has vectors of them
        fz[k], fy[k], fx[k] = narrow(pz - iz, one), narrow(py - iy, one), narrow(px - ix, one)
        at[k] = iz * plane + iy * row + ix - (plane + row + 1)


@njit(**JIT)
def _sample_row(a, strides, start, step, first, last, at, fz, fy, fx, values):
    """values[i - first] <- the spline with coefficients ``a`` at start + i step, for first <= i < last.

    ``strides`` (of a plane and a row) are those of the flattened ``a``; the rest is memory from `_row_memory`.
    """
    _locate_row(strides, start, step, first, last, at, fz, fy, fx)
    for k in range(0, last - first, 2):
        _spline_pair(a, strides[1], strides[0], at, fz, fy, fx, k, values)


@njit(**JIT_SUM)
def _place_row(values, first, last, out, begin, size):
    """Put values into the columns first <= i < last of a row of ``out``, zero elsewhere; return their sum of squares."""
    total = like(0.0, values[0])
    for i in range(first):
        out[np.uintp(begin + i)] = 0
    for i in range(last - first):
        out[np.uintp(begin + first + i)] = values[i]
        total += values[i] * values[i]
    for i in range(last, size):
        out[np.uintp(begin + i)] = 0
    return total


@njit(**JIT)
def gather(a, matrix, origin, out, nx, centre, start, stop):
    """Sample a volume given by its spline coefficients on a rotated grid, and return the sum of squares of the samples.

    out[p] <- the spline at matrix (p - centre) + origin, in samples of the volume; zero outside it (half a voxel of slack).
    Only the planes start <= z < stop of ``out`` and the first nx columns are filled. ``a`` comes from `spline_coefficients`.
    """
    strides, coefficients, target = (a.shape[1] * a.shape[2], a.shape[2]), a.reshape(-1), out.reshape(-1)
    top = (a.shape[0] - 2 * MARGIN - 0.5, a.shape[1] - 2 * MARGIN - 0.5, a.shape[2] - 2 * MARGIN - 0.5)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    ny, width = out.shape[1], out.shape[2]
    at, fz, fy, fx, values = _row_memory(coefficients, nx)
    total = 0.0
    for k in range(start, stop):
        for j in range(ny):
            dz, dy, dx = k - centre[0], j - centre[1], -centre[2]
            z = origin[0] + matrix[0, 0] * dz + matrix[0, 1] * dy + matrix[0, 2] * dx
            y = origin[1] + matrix[1, 0] * dz + matrix[1, 1] * dy + matrix[1, 2] * dx
            x = origin[2] + matrix[2, 0] * dz + matrix[2, 1] * dy + matrix[2, 2] * dx
            first, last = inside(z, step[0], -0.5, top[0], 0, nx)
            first, last = inside(y, step[1], -0.5, top[1], first, last)
            first, last = inside(x, step[2], -0.5, top[2], first, last)
            if first < last:
                begin = (z + MARGIN, y + MARGIN, x + MARGIN)
                _sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
            total += _place_row(values, first, last, target, (k * ny + j) * width, nx)
    return total


# ----------------------------------------------------------------------------------------------------
# Transfer functions of rotated PSFs
# ----------------------------------------------------------------------------------------------------


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
    at, fz, fy, fx, values = _row_memory(coefficients, out.shape[2])
    out[:] = 0
    for kz in range(out.shape[0]):
        for ky in range(out.shape[1]):
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                _sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
                out[kz, ky, first:last] = values[: last - first]


@njit(**JIT)
def add_turned(table, reach, matrix, shape, weight, out, start, stop):
    """Add weight times what `sample_transfer` samples to ``out``, in the planes start <= z < stop."""
    strides, coefficients = (table.shape[1] * table.shape[2], table.shape[2]), table.reshape(-1)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    ny, nx = out.shape[1], out.shape[2]
    at, fz, fy, fx, values = _row_memory(coefficients, nx)
    target = out.reshape(-1)
    for kz in range(start, stop):
        for ky in range(ny):
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                _sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
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
    at, fz, fy, fx, values = _row_memory(coefficients, half)
    flat = (columns.reshape(-1), gram.reshape(-1), rhs.reshape(-1))
    for kz in range(nz):
        for ky in range(start, stop):
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                _sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
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
    at, fz, fy, fx, values = _row_memory(coefficients, half)
    source, target = volume.reshape(-1), columns.reshape(-1)
    for kz in range(nz):
        for ky in range(start, stop):
            row, place = (kz * (stop - start) + ky - start) * half, (kz * ny + ky) * half
            for i in range(half):
                target[np.uintp(row + i)] = 0
            begin, first, last = _known_columns(table.shape, reach, matrix, shape, kz, ky)
            if first < last:
                _sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
                for i in range(first, last):
                    target[np.uintp(row + i)] = scale * (values[np.uintp(i - first)] * source[np.uintp(place + i)])
