"""The kernels of a view: sampling a volume, and a PSF's transfer function, by cubic B-splines.

All of them are serial and release the GIL. Those that call each other live in one file because Numba's cache does not
notice changes in other files.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from .jit import JIT, add, copy, like, narrow, njit

# ----------------------------------------------------------------------------------------------------
# Resampling with cubic B-splines
# ----------------------------------------------------------------------------------------------------

_POLE = math.sqrt(3.0) - 2.0  # of the recursive filter that turns samples into cubic B-spline coefficients
MARGIN = 2  # mirrored coefficients kept on every side, so that no sample within half a voxel needs a bounds check


@njit(**JIT)
def _mirror(index, size):
    """The index that whole-sample mirroring brings into the range."""
    if size == 1:
        return 0
    index = abs(index) % (2 * size - 2)
    return index if index < size else 2 * size - 2 - index


@njit(**JIT)
def _filter_line(line, first, size, horizon):
    """Turn ``size`` samples, from ``first`` on, into interpolation coefficients, in place (mirror boundaries)."""
    if size == 1:
        return
    pole, six = like(_POLE, line[0]), like(6.0, line[0])
    total, power = like(0.0, line[0]), like(1.0, line[0])
    for k in range(horizon):
        total += power * line[first + _mirror(k, size)]
        power *= pole
    line[first] = six * total
    for i in range(first + 1, first + size):
        line[i] = six * line[i] + pole * line[i - 1]
    last = first + size - 1
    line[last] = pole / (pole * pole - like(1.0, pole)) * (line[last] + pole * line[last - 1])
    for i in range(last - 1, first - 1, -1):
        line[i] = pole * (line[i + 1] - line[i])


@njit(**JIT)
def _scale_row(row, factor):
    for i in range(row.size):
        row[i] *= factor


@njit(**JIT)
def _blend_row(target, source, factor, pole):
    """Target <- factor target + pole source."""
    for i in range(target.size):
        target[i] = factor * target[i] + pole * source[i]


@njit(**JIT)
def _retreat_row(target, source, pole):
    """Target <- pole (source - target)."""
    for i in range(target.size):
        target[i] = pole * (source[i] - target[i])


@njit(**JIT)
def _filter_rows(a, rows, horizon, first, last):
    """`_filter_line` across rows: a[rows[k], i] is the k-th sample of line i, for first <= i < last."""
    size = len(rows)
    if size == 1:
        return
    work = np.zeros(last - first, a.dtype)
    pole, six = like(_POLE, work[0]), like(6.0, work[0])
    power = like(1.0, work[0])
    for k in range(horizon):
        add(work, power, a[rows[_mirror(k, size)]][first:last])
        power *= pole
    start = a[rows[0]][first:last]
    copy(work, start)
    _scale_row(start, six)
    for k in range(1, size):
        _blend_row(a[rows[k]][first:last], a[rows[k - 1]][first:last], six, pole)
    end = a[rows[size - 1]][first:last]
    _blend_row(end, a[rows[size - 2]][first:last], like(1.0, pole), pole)
    _scale_row(end, pole / (pole * pole - like(1.0, pole)))
    for k in range(size - 2, -1, -1):
        _retreat_row(a[rows[k]][first:last], a[rows[k + 1]][first:last], pole)


@njit(**JIT)
def spline_planes(a, horizon, first, last):
    """Turn samples into spline coefficients along x and y, in the planes first <= z < last inside ``a``."""
    ny, nx = a.shape[1] - 2 * MARGIN, a.shape[2] - 2 * MARGIN
    inside = np.arange(MARGIN, MARGIN + ny)
    for z in range(MARGIN + first, MARGIN + last):
        for y in range(MARGIN, MARGIN + ny):
            row = a[z, y]
            _filter_line(row, MARGIN, nx, horizon)
            for k in range(1, MARGIN + 1):
                row[MARGIN - k] = row[MARGIN + _mirror(k, nx)]
                row[MARGIN + nx - 1 + k] = row[MARGIN + _mirror(nx - 1 + k, nx)]
        _filter_rows(a[z], inside, horizon, 0, a.shape[2])
        for k in range(1, MARGIN + 1):
            copy(a[z, MARGIN + _mirror(k, ny)], a[z, MARGIN - k])
            copy(a[z, MARGIN + _mirror(ny - 1 + k, ny)], a[z, MARGIN + ny - 1 + k])


@njit(**JIT)
def spline_columns(a, horizon, first, last):
    """Turn what `spline_planes` made into coefficients along z too, for the columns first <= i < last of a plane."""
    nz = a.shape[0] - 2 * MARGIN
    planes = a.reshape(a.shape[0], -1)
    _filter_rows(planes, np.arange(MARGIN, MARGIN + nz), horizon, first, last)
    for k in range(1, MARGIN + 1):
        copy(planes[MARGIN + _mirror(k, nz)][first:last], planes[MARGIN - k][first:last])
        copy(planes[MARGIN + _mirror(nz - 1 + k, nz)][first:last], planes[MARGIN + nz - 1 + k][first:last])


@njit(**JIT)
def spline_coefficients(a, horizon):
    """Turn the samples inside ``a`` into cubic B-spline coefficients, in place, and fill its margins by mirroring.

    ``a`` is C-ordered and has `MARGIN` extra planes, rows and columns on every side; ``horizon`` is the number of terms
    after which the pole's powers are below the precision. The recursion is that of Unser, Aldroubi and Eden (1993).
    """
    spline_planes(a, horizon, 0, a.shape[0] - 2 * MARGIN)
    spline_columns(a, horizon, 0, a.shape[1] * a.shape[2])


@njit(**JIT)
def _inside(start, step, low, high, first, last):
    """Cut the index range [first, last) to those i with low <= start + i step <= high."""
    if step == 0:
        return (first, last) if low <= start <= high else (first, first)
    a, b = (low - start) / step, (high - start) / step
    if a > b:
        a, b = b, a
    # a step of rounding's size puts the ends beyond what an integer holds
    first = int(math.ceil(min(max(a, first), last)))
    return first, max(first, int(math.floor(min(max(b, first - 1), last - 1))) + 1)


# The four cubic B-spline weights at a fraction f past the second of four samples, as polynomials in f: constants first.
_SPLINE = ((1 / 6, 2 / 3, 1 / 6, 0), (-1 / 2, 0, 1 / 2, 0), (1 / 2, -1, 1 / 2, 0), (-1 / 6, 1 / 2, -1 / 2, 1 / 6))


def _spline_value(a, at, row, plane, fz, fy, fx):
    """Sum of the 4 x 4 x 4 coefficients from flat index ``at`` on, weighted for the fractions fz, fy and fx."""
    wz, wy, wx = (np.array(_SPLINE, a.dtype).T @ f ** np.arange(4, dtype=a.dtype) for f in (fz, fy, fx))
    block = at + plane * np.arange(4)[:, None, None] + row * np.arange(4)[:, None] + np.arange(4)
    return a.dtype.type(np.einsum("zyx,z,y,x", a[block], wz, wy, wx))


@intrinsic
def _spline_vectors(typingctx, a, at, row, plane, fz, fy, fx):
    """Do what `_spline_value` does, in vectors of four.

    Numba does not combine neighbouring scalar operations, so all that comes in fours is written as vectors here: 16 loads
    instead of 64.
    """
    real = a.dtype

    def build(context, builder, signature, args):
        number = context.get_value_type(real)
        lanes, size = ir.VectorType(number, 4), args[1].type
        data = context.make_array(signature.args[0])(context, builder, args[0]).data

        def spread(vector, lane):
            return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), 4), [lane] * 4))

        def times_plus(a, b, c):
            return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

        def weights(fraction):
            f = spread(builder.insert_element(ir.Constant(lanes, ir.Undefined), fraction, ir.IntType(32)(0)), 0)
            value = ir.Constant(lanes, list(_SPLINE[3]))
            for power in (2, 1, 0):
                value = times_plus(value, f, ir.Constant(lanes, list(_SPLINE[power])))
            return value

        def line(k, j):
            offset = builder.add(builder.mul(args[3], size(k)), builder.mul(args[2], size(j)))
            pointer = builder.gep(data, [builder.add(args[1], offset)])
            return builder.load(builder.bitcast(pointer, lanes.as_pointer()), align=real.bitwidth // 8)

        def weighted_sum(spread_weights, vectors):
            total = ir.Constant(lanes, [0.0] * 4)
            for weight, vector in zip(spread_weights, vectors, strict=True):
                total = times_plus(weight, vector, total)
            return total

        wz, wy, wx = (weights(args[k]) for k in (4, 5, 6))
        along_y, along_z = ([spread(w, lane) for lane in range(4)] for w in (wy, wz))
        planes = [weighted_sum(along_y, [line(k, j) for j in range(4)]) for k in range(4)]
        products = builder.fmul(weighted_sum(along_z, planes), wx)
        a, b, c, d = (builder.extract_element(products, ir.IntType(32)(lane)) for lane in range(4))
        return builder.fadd(builder.fadd(a, c), builder.fadd(b, d))

    return real(a, types.intp, types.intp, types.intp, real, real, real), build


@overload(_spline_value, inline="always")
def _spline_value_typed(a, at, row, plane, fz, fy, fx):
    return lambda a, at, row, plane, fz, fy, fx: _spline_vectors(a, at, row, plane, fz, fy, fx)


@njit(**JIT)
def _gather_row(a, row, plane, start, step, out, first, last):
    """out[i] <- the spline with coefficients ``a`` at start + i step, for first <= i < last; return the sum of squares.

    ``row`` and ``plane`` are the strides of the flattened ``a``.
    """
    squares = like(0.0, out[0])
    (z, y, x), (dz, dy, dx) = start, step
    for i in range(first, last):
        pz, py, px = z + i * dz, y + i * dy, x + i * dx
        iz, iy, ix = int(pz), int(py), int(px)
        fz, fy, fx = narrow(pz - iz, squares), narrow(py - iy, squares), narrow(px - ix, squares)
        value = _spline_value(a, (iz - 1) * plane + (iy - 1) * row + ix - 1, row, plane, fz, fy, fx)
        out[i] = value
        squares += value * value
    return squares


@njit(**JIT)
def gather(a, matrix, origin, out, centre, start, stop):
    """Sample a volume given by its spline coefficients on a rotated grid, and return the sum of squares of the samples.

    out[p] <- the spline at matrix (p - centre) + origin, in samples of the volume; zero outside it (half a voxel of slack).
    Only the planes start <= z < stop of ``out`` are filled. ``a`` comes from `spline_coefficients`.
    """
    row, plane, flat = a.shape[2], a.shape[1] * a.shape[2], a.ravel()
    top = (a.shape[0] - 2 * MARGIN - 0.5, a.shape[1] - 2 * MARGIN - 0.5, a.shape[2] - 2 * MARGIN - 0.5)
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    total = 0.0
    for k in range(start, stop):
        for j in range(out.shape[1]):
            dz, dy, dx = k - centre[0], j - centre[1], -centre[2]
            z = origin[0] + matrix[0, 0] * dz + matrix[0, 1] * dy + matrix[0, 2] * dx
            y = origin[1] + matrix[1, 0] * dz + matrix[1, 1] * dy + matrix[1, 2] * dx
            x = origin[2] + matrix[2, 0] * dz + matrix[2, 1] * dy + matrix[2, 2] * dx
            first, last = _inside(z, step[0], -0.5, top[0], 0, out.shape[2])
            first, last = _inside(y, step[1], -0.5, top[1], first, last)
            first, last = _inside(x, step[2], -0.5, top[2], first, last)
            line = out[k, j]
            line[:first] = 0
            line[last:] = 0
            total += _gather_row(flat, row, plane, (z + MARGIN, y + MARGIN, x + MARGIN), step, line, first, last)
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
def _sample_row(real, imag, row, plane, start, step, first, last, values):
    """values[i] <- the complex spline with coefficients real + i imag at start + i step, for first <= i < last.

    A PSF that is symmetric about its centre has a real transform: its ``imag`` is None.
    """
    one = real[0]
    (z, y, x), (dz, dy, dx) = start, step
    for i in range(first, last):
        pz, py, px = z + i * dz, y + i * dy, x + i * dx
        iz, iy, ix = int(pz), int(py), int(px)
        fz, fy, fx = narrow(pz - iz, one), narrow(py - iy, one), narrow(px - ix, one)
        at = (iz - 1) * plane + (iy - 1) * row + ix - 1
        value = _spline_value(real, at, row, plane, fz, fy, fx)
        if imag is None:
            values[i] = value
        else:
            values[i] = complex(value, _spline_value(imag, at, row, plane, fz, fy, fx))


@njit(**JIT)
def _sample_frequencies(real, imag, reach, matrix, shape, kz, ky, values):
    """Fill one row of a transfer function's half spectrum; return the range of columns where it is not zero.

    The table's value at zero frequency is at its centre; its last three samples on each side serve the spline only. The
    function is zero beyond them, outside the ellipsoid with the semi-axes ``reach``, and at frequencies without a sign
    (Nyquist), so that it belongs to a real volume.
    """
    fz, no_sign_z = _signed_frequency(kz, shape[0])
    fy, no_sign_y = _signed_frequency(ky, shape[1])
    if no_sign_z or no_sign_y:
        return 0, 0
    tz, ty, tx = real.shape
    z = matrix[0, 0] * fz + matrix[0, 1] * fy
    y = matrix[1, 0] * fz + matrix[1, 1] * fy
    x = matrix[2, 0] * fz + matrix[2, 1] * fy
    step = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    scaled = (step[0] / reach[0], step[1] / reach[1], step[2] / reach[2])
    first, last = _inside_ball((z / reach[0], y / reach[1], x / reach[2]), scaled, 0, (shape[2] + 1) // 2)
    z, y, x = z + tz // 2, y + ty // 2, x + tx // 2
    first, last = _inside(z, step[0], 3.0, tz - 4.0, first, last)
    first, last = _inside(y, step[1], 3.0, ty - 4.0, first, last)
    first, last = _inside(x, step[2], 3.0, tx - 4.0, first, last)
    if imag is None:
        _sample_row(real.ravel(), None, tx, ty * tx, (z, y, x), step, first, last, values)
    else:
        _sample_row(real.ravel(), imag.ravel(), tx, ty * tx, (z, y, x), step, first, last, values)
    return first, last


@njit(**JIT)
def sample_transfer(real, imag, reach, matrix, shape, out):
    """Fill the half spectrum of a rotated PSF's transfer function; frequency k lies at centre + matrix k of the table."""
    values = np.empty(out.shape[2], out.dtype)
    for kz in range(out.shape[0]):
        for ky in range(out.shape[1]):
            first, last = _sample_frequencies(real, imag, reach, matrix, shape, kz, ky, values)
            out[kz, ky] = 0
            out[kz, ky, first:last] = values[first:last]


@njit(**JIT)
def _add_normal_row(values, spectrum, weight, first, last, gram, rhs):
    for i in range(first, last):
        h, y = values[i], spectrum[i]
        gram[i] += weight * (h.real * h.real + h.imag * h.imag)
        rhs[i] += weight * (y * h.conjugate())


@njit(**JIT)
def add_view(real, imag, reach, matrix, shape, spectrum, weight, gram, rhs, start, stop):
    """Gram += w |h|^2 and rhs += w conj(h) y in the planes start <= z < stop for one view, h being `sample_transfer`'s."""
    values = np.empty(gram.shape[2], rhs.dtype)
    for kz in range(start, stop):
        for ky in range(gram.shape[1]):
            first, last = _sample_frequencies(real, imag, reach, matrix, shape, kz, ky, values)
            _add_normal_row(values, spectrum[kz, ky], weight, first, last, gram[kz, ky], rhs[kz, ky])
