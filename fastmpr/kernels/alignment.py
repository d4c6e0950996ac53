"""The kernels of pose search: a volume's spectrum at the frequencies of a view, and normal equations of poses."""

from __future__ import annotations

import math

import numpy as np

from .jit import JIT_INLINE, JIT_SUM, njit

UNKNOWNS = 7  # of a pose: three of its rotation, three of its translation, and the gain


@njit(**JIT_INLINE)
def _spline(f, values, slopes):
    """Fill the weights of four samples, and their slopes, at a fraction f past the second."""
    g = 1.0 - f
    values[0], slopes[0] = g * g * g / 6, -g * g / 2
    values[1], slopes[1] = 2 / 3 - f * f + f * f * f / 2, 1.5 * f * f - 2 * f
    values[2], slopes[2] = 2 / 3 - g * g + g * g * g / 2, 2 * g - 1.5 * g * g
    values[3], slopes[3] = f * f * f / 6, f * f / 2


@njit(**JIT_INLINE)
def _turned_back(rotation, frequencies, k, out):
    """Fill the frequency R^T f of the model that a frequency f of the view shows."""
    for d in range(3):
        out[d] = (
            rotation[0, d] * frequencies[k, 0] + rotation[1, d] * frequencies[k, 1] + rotation[2, d] * frequencies[k, 2]
        )


@njit(**JIT_INLINE)
def _corner(place, shape, scale, corner, fraction):
    """Find the first of the 4 x 4 x 4 samples around a frequency of the model; return whether the table has them all."""
    known = True
    for d in range(3):
        at = place[d] * scale[d] + shape[d] // 2
        whole = math.floor(at)
        fraction[d] = at - whole
        corner[d] = int(whole) - 1
        known = known and corner[d] >= 0 and corner[d] + 4 <= shape[d]
    return known


@njit(**JIT_SUM)
def sample_spectrum(table, scale, frequencies, rotations, out):
    """out[m, k] <- the spectrum X of a volume at R^T f: of rotation m, at frequency k.

    Parameters
    ----------
    table : (tz, ty, tx) complex
        The spectrum's B-spline coefficients, zero frequency at ``size // 2`` on each axis.
    scale : (3,)
        Samples of the table per unit of frequency.
    frequencies : (K, 3)
    rotations : (M, 3, 3)
    out : (M, K) complex
        Zero beyond the table.
    """
    place, fraction, corner = np.empty(3), np.empty(3), np.empty(3, np.int64)
    w, s = np.empty((3, 4)), np.empty((3, 4))
    for m in range(len(rotations)):
        for k in range(len(frequencies)):
            _turned_back(rotations[m], frequencies, k, place)
            re = im = 0.0
            if _corner(place, table.shape, scale, corner, fraction):
                for d in range(3):
                    _spline(fraction[d], w[d], s[d])
                for a in range(4):
                    for b in range(4):
                        row, weight = table[corner[0] + a, corner[1] + b], w[0, a] * w[1, b]
                        for c in range(4):
                            value = row[corner[2] + c]
                            re += weight * w[2, c] * value.real
                            im += weight * w[2, c] * value.imag
            out[m, k] = complex(re, im)


@njit(**JIT_SUM)
def best_translations(moved, shown, scores, places):
    """scores[m], places[m] <- the largest sum of moved[t, k] shown[k, m] over k, and its t.

    Parameters
    ----------
    moved : (T, 4 K) float32
    shown : (4 K, M) float32
    scores : (M,) float32
    places : (M,) int64
    """
    row = np.empty(shown.shape[1], shown.dtype)
    scores[:] = -np.inf
    places[:] = 0
    for t in range(moved.shape[0]):
        row[:] = 0
        for k in range(0, moved.shape[1], 4):
            a, b, c, d = moved[t, k], moved[t, k + 1], moved[t, k + 2], moved[t, k + 3]
            p, q, r, s = shown[k], shown[k + 1], shown[k + 2], shown[k + 3]
            for m in range(row.size):
                row[m] += a * p[m] + b * q[m] + c * r[m] + d * s[m]
        for m in range(row.size):
            if row[m] > scores[m]:
                scores[m] = row[m]
                places[m] = t


@njit(**JIT_INLINE)
def _with_slopes(table, corner, w, s, out):
    """Fill real and imaginary part of a spectrum, and of its slopes along z, y, x, in samples."""
    for j in range(8):
        out[j] = 0.0
    for a in range(4):
        re = im = y_re = y_im = x_re = x_im = 0.0
        for b in range(4):
            row = table[corner[0] + a, corner[1] + b]
            v_re = v_im = d_re = d_im = 0.0
            for c in range(4):
                value = row[corner[2] + c]
                v_re += w[2, c] * value.real
                v_im += w[2, c] * value.imag
                d_re += s[2, c] * value.real
                d_im += s[2, c] * value.imag
            re += w[1, b] * v_re
            im += w[1, b] * v_im
            y_re += s[1, b] * v_re
            y_im += s[1, b] * v_im
            x_re += w[1, b] * d_re
            x_im += w[1, b] * d_im
        out[0] += w[0, a] * re
        out[1] += w[0, a] * im
        out[2] += s[0, a] * re
        out[3] += s[0, a] * im
        out[4] += w[0, a] * y_re
        out[5] += w[0, a] * y_im
        out[6] += w[0, a] * x_re
        out[7] += w[0, a] * x_im


@njit(**JIT_SUM)
def pose_equations(table, scale, frequencies, transfer, view, rotation, translation, gain, last, normal, slope):
    """Linearise a view's misfit around a pose: fill the normal equations of a step of its `UNKNOWNS`.

    The view y is predicted as gain p, p = h X(R^T f) exp(-2 pi i f.t). A step w of the rotation takes R to R exp([w]), which
    takes R^T f to R^T f + (R^T f) x w.

    Parameters
    ----------
    table, scale
        As in `sample_spectrum`.
    frequencies : (K, 3)
    transfer, view : (K,) complex
        h and y.
    rotation : (3, 3)
    translation : (3,)
    gain : float
    last : int
        How many of the frequencies count.
    normal : (7, 7)
        Filled with J^T J.
    slope : (7,)
        Filled with J^T (y - gain p).

    Returns
    -------
    left, power, common : float
        ||y - gain p||^2, ||p||^2 and <p, y>.
    """
    place, fraction, corner = np.empty(3), np.empty(3), np.empty(3, np.int64)
    w, s, x, jacobian = np.empty((3, 4)), np.empty((3, 4)), np.empty(8), np.empty((2, 7))
    normal[:] = 0.0
    slope[:] = 0.0
    left = power = common = 0.0
    for k in range(last):
        _turned_back(rotation, frequencies, k, place)
        if not _corner(place, table.shape, scale, corner, fraction):
            left += view[k].real ** 2 + view[k].imag ** 2
            continue
        for d in range(3):
            _spline(fraction[d], w[d], s[d])
        _with_slopes(table, corner, w, s, x)
        angle = 0.0
        for d in range(3):
            angle -= 2 * math.pi * frequencies[k, d] * translation[d]
        h = transfer[k] * complex(math.cos(angle), math.sin(angle))
        p = h * complex(x[0], x[1])
        for d in range(3):
            e, f = (d + 1) % 3, (d + 2) % 3  # component d of the cross product of slope and place
            re = x[2 + 2 * e] * scale[e] * place[f] - x[2 + 2 * f] * scale[f] * place[e]
            im = x[3 + 2 * e] * scale[e] * place[f] - x[3 + 2 * f] * scale[f] * place[e]
            turned = gain * h * complex(re, im)
            jacobian[0, d], jacobian[1, d] = turned.real, turned.imag
            moved = 2 * math.pi * gain * frequencies[k, d]
            jacobian[0, 3 + d], jacobian[1, 3 + d] = moved * p.imag, -moved * p.real
        jacobian[0, 6], jacobian[1, 6] = p.real, p.imag
        rest = view[k] - gain * p
        left += rest.real**2 + rest.imag**2
        power += p.real**2 + p.imag**2
        common += p.real * view[k].real + p.imag * view[k].imag
        for a in range(7):
            slope[a] += jacobian[0, a] * rest.real + jacobian[1, a] * rest.imag
            for b in range(a + 1):
                normal[a, b] += jacobian[0, a] * jacobian[0, b] + jacobian[1, a] * jacobian[1, b]
    for a in range(7):
        for b in range(a):
            normal[b, a] = normal[a, b]
    return left, power, common
