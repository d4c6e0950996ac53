"""A volume sampled on a rotated grid, from its coefficients of cubic B-splines."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from .jit import JIT, JIT_INLINE, JIT_SUM, like, narrow, njit
from .rows import inside
from .spline_coefficients import MARGIN

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
def row_memory(a, size):
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
def sample_row(a, strides, start, step, first, last, at, fz, fy, fx, values):
    """values[i - first] <- the spline with coefficients ``a`` at start + i step, for first <= i < last.

    ``strides`` (of a plane and a row) are those of the flattened ``a``; the rest is memory from `row_memory`.
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
    Only the planes start <= z < stop of ``out`` and the first nx columns are filled. ``a`` comes from `spline_columns`.
    """
    strides, coefficients, target = (a.shape[1] * a.shape[2], a.shape[2]), a.reshape(-1), out.reshape(-1)
    top = (a.shape[0] - 2 * MARGIN - 0.5, a.shape[1] - 2 * MARGIN - 0.5, a.shape[2] - 2 * MARGIN - 0.5)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    ny, width = out.shape[1], out.shape[2]
    at, fz, fy, fx, values = row_memory(coefficients, nx)
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
                sample_row(coefficients, strides, begin, step, first, last, at, fz, fy, fx, values)
            total += _place_row(values, first, last, target, (k * ny + j) * width, nx)
    return total
