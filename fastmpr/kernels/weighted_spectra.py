"""Products of spectra with S, and with a guess of the curvature over seen voxels: see `reconstruction.curvature`.

The functions work on rows ``start`` to ``stop`` of each plane of a spectrum, in one loop; ``columns`` holds only these rows.
"""

from __future__ import annotations

import numpy as np

from .jit import JIT, JIT_SUM, like, njit


@njit(**JIT_SUM)
def _half_product(a, b, nx, half):
    """Return the inner product of whole rows from their halves, as real and imaginary parts: all but the ends twice."""
    total, once, last = like(0.0, a[0]), like(0.0, a[0]), 2 * (half - 1)
    for i in range(a.size):
        total += a[i] * b[i]
    for k in range(0, a.size, 2 * half):
        once += a[k] * b[k] + a[k + 1] * b[k + 1]
        if nx % 2 == 0:
            once += a[k + last] * b[k + last] + a[k + last + 1] * b[k + last + 1]
    return 2.0 * total - once


@njit(**JIT_SUM)
def product(columns, spectrum, nx, start, stop):
    """Return the sum of conj(a) b over whole spectra."""
    nz, ny, half = spectrum.shape
    a = columns.view(columns.real.dtype).reshape(nz, 2 * (stop - start) * half)
    b = spectrum.view(spectrum.real.dtype).reshape(nz, 2 * ny * half)
    total = 0.0
    for z in range(nz):
        total += _half_product(a[z], b[z, 2 * start * half : 2 * stop * half], nx, half)
    return total


@njit(**JIT)
def _weigh(values, weights, out):
    for i in range(weights.size):
        out[2 * i], out[2 * i + 1] = weights[i] * values[2 * i], weights[i] * values[2 * i + 1]


@njit(**JIT)
def _scale(values, weights, scale):
    for i in range(weights.size):
        root = scale * np.sqrt(weights[i])
        values[2 * i] *= root
        values[2 * i + 1] *= root


@njit(**JIT_SUM)
def weigh(columns, gram, out, scale, nx, start, stop):
    """Set out to S v, and v to scale S^1/2 v, where ``columns`` holds v; return the `product` of v and S v."""
    nz, ny, half = gram.shape
    values, weights = columns.view(gram.dtype).reshape(nz, 2 * (stop - start) * half), gram.reshape(nz, ny * half)
    target, first, last = out.view(gram.dtype).reshape(nz, 2 * ny * half), start * half, stop * half
    total = 0.0
    for z in range(nz):
        row = target[z, 2 * first : 2 * last]
        _weigh(values[z], weights[z, first:last], row)
        total += _half_product(values[z], row, nx, half)
        _scale(values[z], weights[z, first:last], scale)
    return total


@njit(**JIT)
def _take_off(values, weights, out):
    for i in range(weights.size):
        root = np.sqrt(weights[i])
        out[2 * i] -= root * values[2 * i]
        out[2 * i + 1] -= root * values[2 * i + 1]


@njit(**JIT)
def take_off(columns, gram, out, start, stop):
    """Out <- out - S^1/2 v."""
    nz, ny, half = gram.shape
    values, weights = columns.view(gram.dtype).reshape(nz, 2 * (stop - start) * half), gram.reshape(nz, ny * half)
    target, first, last = out.view(gram.dtype).reshape(nz, 2 * ny * half), start * half, stop * half
    for z in range(nz):
        _take_off(values[z], weights[z, first:last], target[z, 2 * first : 2 * last])


@njit(**JIT)
def _add_scaled(out, spectrum, factor):
    for i in range(out.size):
        out[i] += factor * spectrum[i]


@njit(**JIT)
def add_scaled(out, spectrum, factor, start, stop):
    """Out <- out + factor times another spectrum."""
    nz, ny, half = out.shape
    target = out.view(out.real.dtype).reshape(nz, 2 * ny * half)
    source = spectrum.view(spectrum.real.dtype).reshape(nz, 2 * ny * half)
    first, last = 2 * start * half, 2 * stop * half
    for z in range(nz):
        _add_scaled(target[z, first:last], source[z, first:last], factor)


@njit(**JIT_SUM)
def share_planes(image, share, start, stop):
    """Multiply planes of an image by the share of the views that saw them; return the sum of its squares times the share."""
    total, (ny, nx) = 0.0, share.shape[1:]
    for z in range(start, stop):
        for y in range(ny):
            row, seen, part = image[z, y, :nx], share[z, y], like(0.0, image[0, 0, 0])
            for x in range(nx):
                value = seen[x] * row[x]
                part += value * row[x]
                row[x] = value
            total += part
    return total
