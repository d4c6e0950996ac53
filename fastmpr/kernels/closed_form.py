"""What SPFluo's closed form needs: volumes turned by linear interpolation, and the sums over their spectra."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from .jit import JIT, narrow, njit

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
def _cut(start, step, samples, end, first, last):
    """Cut the index range [first, last) to those i with 0 <= start + i step <= end, as rounded.

    ``samples`` is 1 / step, or 0 where that is so large that rounding may move an end by more than one sample.
    """
    low, high = first, last
    if samples != 0:
        zero, top = -start * samples, (end - start) * samples
        low = max(first, int(min(max(min(zero, top), 0.0), last)))
        high = min(last, int(max(min(max(zero, top), last), 0.0)) + 2)
    while low < high and not 0 <= start + low * step <= end:
        low += 1
    while high > low and not 0 <= start + (high - 1) * step <= end:
        high -= 1
    return low, high


@njit(**JIT)
def _inverse(step):
    return 1 / step if abs(step) > 1e-6 else 0.0


@njit(**_ROUNDED)
def _locate(start, step, strides, first, last, at, fz, fy, fx):
    """Where the eight samples around start + i step begin, for first <= i < last, and the fractions beyond them.

    They stand from 0 on; the last one is repeated up to a multiple of `_LANES`.
    """
    (z, y, x), (dz, dy, dx) = start, step
    plane, row = np.int32(strides[0]), np.int32(strides[1])
    one = fz[0]
    for n in range((last - first + _LANES - 1) // _LANES * _LANES):
        i = np.int32(min(first + n, last - 1))
        pz, py, px = z + i * dz, y + i * dy, x + i * dx
        iz, iy, ix = np.int32(pz), np.int32(py), np.int32(px)
        fz[n], fy[n], fx[n] = narrow(pz - iz, one), narrow(py - iy, one), narrow(px - ix, one)
        at[n] = iz * plane + iy * row + ix


_LANES = 8  # points that are interpolated side by side


def _blend(a, row, plane, at, fz, fy, fx, k, out):
    """out[i] <- between the 2 x 2 x 2 samples from flat index at[i] on, by fractions, for `_LANES` points from k on."""
    for i in range(k, k + _LANES):
        values = a[at[i] + plane * np.arange(2)[:, None, None] + row * np.arange(2)[:, None] + np.arange(2)]
        for share in (fz[i], fy[i], fx[i]):
            values = values[0] + share * (values[1] - values[0])
        out[i] = values


@intrinsic
def _blend_vectors(typingctx, a, row, plane, at, fz, fy, fx, k, out):
    """Do what `_blend` does, in vectors: of each point the two samples along x side by side, as they are in memory."""

    def build(context, builder, signature, args):
        number, index, size = context.get_value_type(a.dtype), ir.IntType(32), args[7].type

        def shuffled(first, order, second=None):
            return builder.shuffle_vector(first, second or first, ir.Constant(ir.VectorType(index, len(order)), order))

        def place(argument, offset):
            data = context.make_array(signature.args[argument])(context, builder, args[argument]).data
            return builder.gep(data, [offset])

        def load(argument, offset, count):
            kind = ir.VectorType(number, count).as_pointer()
            return builder.load(builder.bitcast(place(argument, offset), kind), align=a.dtype.bitwidth // 8)

        def between(one, other, share):
            return builder.fadd(
                one, builder.fmul(share, builder.fsub(other, one), flags=("contract",)), flags=("contract",)
            )

        def corner(z, y):
            offset = builder.add(builder.mul(args[2], size(z)), builder.mul(args[1], size(y)))
            parts = [load(0, builder.add(start, offset), 2) for start in starts]
            while len(parts) > 1:
                joined = list(range(2 * parts[0].type.count))
                parts = [shuffled(one, joined, other) for one, other in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]

        def twice(argument):
            return shuffled(load(argument, args[7], _LANES), [lane // 2 for lane in range(2 * _LANES)])

        starts = [
            builder.zext(builder.load(place(3, builder.add(args[7], size(point)))), size) for point in range(_LANES)
        ]
        along_y, along_z = twice(5), twice(4)
        near, far = (between(corner(z, 0), corner(z, 1), along_y) for z in (0, 1))
        both = between(near, far, along_z)
        low, high = (shuffled(both, list(range(side, 2 * _LANES, 2))) for side in (0, 1))
        value = between(low, high, load(6, args[7], _LANES))
        target = builder.bitcast(place(8, args[7]), value.type.as_pointer())
        builder.store(value, target, align=a.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(a, types.intp, types.intp, at, fz, fy, fx, types.intp, out), build


@overload(_blend, inline="always")
def _blend_typed(a, row, plane, at, fz, fy, fx, k, out):
    return lambda a, row, plane, at, fz, fy, fx, k, out: _blend_vectors(a, row, plane, at, fz, fy, fx, k, out)


@njit(**JIT)
def turn(a, matrix, origin, out, part):
    """Sample a volume on a turned grid: out[p, part] <- ``a`` between its samples at matrix p + origin, zero outside.

    ``a`` has one sample more on each axis than the volume, zeros at the end. The last axis of ``out`` holds two numbers.
    """
    flat, target, width = a.reshape(-1), out.reshape(-1), out.shape[2]
    strides = (a.shape[1] * a.shape[2], a.shape[2])
    step, end = (matrix[0, 2], matrix[1, 2], matrix[2, 2]), (a.shape[0] - 2.0, a.shape[1] - 2.0, a.shape[2] - 2.0)
    samples, most = (_inverse(step[0]), _inverse(step[1]), _inverse(step[2])), width + _LANES
    at, values = np.empty(most, np.int32), np.empty(most, a.dtype)
    fz, fy, fx = np.empty(most, a.dtype), np.empty(most, a.dtype), np.empty(most, a.dtype)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            start, first, last = _row(matrix, origin, k, j), 0, width
            for axis in range(3):
                first, last = _cut(start[axis], step[axis], samples[axis], end[axis], first, last)
            if first < last:
                _locate(start, step, strides, first, last, at, fz, fy, fx)
                for i in range(0, last - first, _LANES):
                    _blend(flat, strides[1], strides[0], at, fz, fy, fx, i, values)
            begin = (k * out.shape[1] + j) * width * 2 + part
            for i in range(first):
                target[np.uintp(begin + 2 * i)] = 0
            for i in range(last - first):
                target[np.uintp(begin + 2 * (first + i))] = values[i]
            for i in range(last, width):
                target[np.uintp(begin + 2 * i)] = 0


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
