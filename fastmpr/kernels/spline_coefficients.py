"""A volume turned into the coefficients of cubic B-splines, for `spline_sampling`.

The recursion is that of Unser, Aldroubi and Eden (1993).
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from .jit import JIT, like, njit

_POLE = math.sqrt(3.0) - 2.0  # of the recursive filter that turns samples into cubic B-spline coefficients
HORIZON = {np.float32: 14, np.float64: 30}  # how many powers of the pole matter in each precision
MARGIN = 2  # mirrored coefficients kept on every side, so that no sample within half a voxel needs a bounds check


@njit(**JIT)
def _mirror(index, size):
    """The index that whole-sample mirroring brings into the range."""
    if size == 1:
        return 0
    index = abs(index) % (2 * size - 2)
    return index if index < size else 2 * size - 2 - index


# What is called for every row takes whole arrays, flat, and places in them: to cut a row out of an array counts a reference,
# which takes as long as a short row.


@njit(**JIT)
def _blend_row(target, begin, factor, source, at, share, size):
    """Target <- factor target + share source, along rows of a size that begin at two places."""
    for i in range(size):
        place = np.uintp(begin + i)
        target[place] = factor * target[place] + share * source[np.uintp(at + i)]


@njit(**JIT)
def _copy_row(source, at, target, begin, size):
    for i in range(size):
        target[np.uintp(begin + i)] = source[np.uintp(at + i)]


@njit(**JIT)
def _filter_rows(a, begin, stride, size, width, horizon):
    """Turn samples into interpolation coefficients, in place (mirror boundaries): a[begin + k stride + i] is line i's k-th.

    All lines 0 <= i < width at once: along one of them, each value would wait for the one before.
    """
    if size == 1:
        return
    work = np.zeros(width, a.dtype)
    one = like(1.0, work[0])
    pole, six = like(_POLE, one), like(6.0, one)
    power = six
    for k in range(horizon):
        _blend_row(work, 0, one, a, begin + _mirror(k, size) * stride, power, width)
        power *= pole
    _copy_row(work, 0, a, begin, width)
    for k in range(1, size):
        _blend_row(a, begin + k * stride, six, a, begin + (k - 1) * stride, pole, width)
    scale = pole / (pole * pole - one)
    _blend_row(a, begin + (size - 1) * stride, scale, a, begin + (size - 2) * stride, scale * pole, width)
    for k in range(size - 2, -1, -1):
        _blend_row(a, begin + k * stride, -pole, a, begin + (k + 1) * stride, pole, width)


_TILE = 8  # rows and columns of what is turned at once, a power of 2


def _turn_block(source, at, stride, target, begin, width):
    """target[begin + j width + i] <- source[at + i stride + j], for i and j below `_TILE`."""
    i, j = np.arange(_TILE)[:, None], np.arange(_TILE)
    target[begin + j * width + i] = source[at + i * stride + j]


@intrinsic
def _turn_vectors(typingctx, source, at, stride, target, begin, width):
    """Do what `_turn_block` does, in vectors: bit by bit, the numbers of vectors and of lanes in them change places."""

    def build(context, builder, signature, args):
        number, size, index = context.get_value_type(source.dtype), args[1].type, ir.IntType(32)
        kind = ir.VectorType(number, _TILE)

        def row(array, first, step, k):
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            place = builder.add(args[first], builder.mul(args[step], size(k)))
            return builder.bitcast(builder.gep(data, [place]), kind.as_pointer())

        rows = [builder.load(row(0, 1, 2, k), align=source.dtype.bitwidth // 8) for k in range(_TILE)]
        for bit in (1, 2, 4):  # of the places below `_TILE`
            low = [lane if not lane & bit else lane - bit + _TILE for lane in range(_TILE)]
            high = [lane + bit if not lane & bit else lane + _TILE for lane in range(_TILE)]
            for k in (k for k in range(_TILE) if not k & bit):
                a, b = rows[k], rows[k + bit]
                rows[k], rows[k + bit] = (
                    builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(index, _TILE), lanes))
                    for lanes in (low, high)
                )
        for k, vector in enumerate(rows):
            builder.store(vector, row(3, 4, 5, k), align=source.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), build


@overload(_turn_block, inline="always")
def _turn_block_typed(source, at, stride, target, begin, width):
    return lambda source, at, stride, target, begin, width: _turn_vectors(source, at, stride, target, begin, width)


@njit(**JIT)
def _turn(source, at, stride, target, begin, width, rows, columns):
    """target[begin + j width + i] <- source[at + i stride + j], for i below ``rows`` and j below ``columns``.

    In tiles; the last ones reach back into those before.
    """
    if rows < _TILE or columns < _TILE:
        for i in range(rows):
            for j in range(columns):
                target[begin + j * width + i] = source[at + i * stride + j]
        return
    for row in range(0, rows, _TILE):
        i = min(row, rows - _TILE)
        for column in range(0, columns, _TILE):
            j = min(column, columns - _TILE)
            _turn_block(source, at + i * stride + j, stride, target, begin + j * width + i, width)


@njit(**JIT)
def spline_planes(a, horizon, first, last):
    """Turn samples into spline coefficients along x and y, in the planes first <= z < last inside ``a``, in place.

    ``a`` is C-ordered and has `MARGIN` extra planes, rows and columns on every side, which are filled by mirroring. After
    ``horizon`` terms the pole's powers are below the precision.
    """
    ny, nx = a.shape[1] - 2 * MARGIN, a.shape[2] - 2 * MARGIN
    flat, row = a.reshape(-1), a.shape[2]
    turned = np.empty(nx * ny, a.dtype)
    for z in range(MARGIN + first, MARGIN + last):
        plane = z * a.shape[1] * row
        inside = plane + MARGIN * row + MARGIN
        _turn(flat, inside, row, turned, 0, ny, ny, nx)
        _filter_rows(turned, 0, ny, nx, ny, horizon)
        _turn(turned, 0, ny, flat, inside, row, nx, ny)
        _filter_rows(flat, inside, row, ny, nx, horizon)
        for begin in range(inside, inside + ny * row, row):
            for k in range(1, MARGIN + 1):
                flat[begin - k] = flat[begin + _mirror(k, nx)]
                flat[begin + nx - 1 + k] = flat[begin + _mirror(nx - 1 + k, nx)]
        _mirror_rows(flat, plane, row, ny, row)


@njit(**JIT)
def _mirror_rows(a, begin, stride, size, width):
    """Fill `MARGIN` rows on either side of as many as ``size`` by mirroring; the first of all begins at ``begin``."""
    for k in range(1, MARGIN + 1):
        _copy_row(a, begin + (MARGIN + _mirror(k, size)) * stride, a, begin + (MARGIN - k) * stride, width)
        last = MARGIN + size - 1
        _copy_row(a, begin + (MARGIN + _mirror(size - 1 + k, size)) * stride, a, begin + (last + k) * stride, width)


_COLUMNS = 128  # lines along z that are filtered side by side: they stay in cache on the way back


@njit(**JIT)
def spline_columns(a, horizon, first, last):
    """Turn what `spline_planes` made into coefficients along z too, for the columns first <= i < last of a plane."""
    nz, plane, flat = a.shape[0] - 2 * MARGIN, a.shape[1] * a.shape[2], a.reshape(-1)
    for start in range(first, last, _COLUMNS):
        width = min(_COLUMNS, last - start)
        _filter_rows(flat, MARGIN * plane + start, plane, nz, width, horizon)
        _mirror_rows(flat, start, plane, nz, width)
