"""Eigenvalues of a symmetric 3x3 matrix, and the matrix with others in their place, without an eigenvector.

A matrix is its six distinct entries in the order zz, yy, xx, zy, zx, yx; the last three count twice in every sum.
"""

from __future__ import annotations

import math

import numpy as np
from numba.core import types
from numba.extending import overload

from .jit import JIT_INLINE, like, njit

# Minimax polynomial of 2 cos(acos(r) / 3) on 0 <= r <= 1, off by at most 2e-8.
_COS_THIRD = (
    1.7320508268425336,
    0.3333306540262685,
    -0.09616363387419363,
    0.04883769693243076,
    -0.028728895038427592,
    0.015546567095746946,
    -0.006003182470609976,
    0.0011299857597487331,
)


@njit(**JIT_INLINE)
def smaller(a, b):
    """The smaller of two numbers; unlike min, it vectorises."""
    return a if a < b else b


@njit(**JIT_INLINE)
def larger(a, b):
    """The larger of two numbers; unlike max, it vectorises."""
    return a if a > b else b


@njit(**JIT_INLINE)
def clip(value, bound):
    """Clip a number to [-bound, bound]."""
    return larger(smaller(value, bound), -bound)


def _polish(root, r):
    """Return ``root`` of l^3 - 3 l = 2 r in full precision: float64 needs one step of Newton's, float32 none."""
    return root if type(root) is np.float32 else root - (root * (root * root - 3) - 2 * r) / (3 * root * root - 3)


@overload(_polish, inline="always")
def _polish_typed(root, r):
    if root == types.float32:
        return lambda root, r: root
    return lambda root, r: root - (root * (root * root - 3.0) - 2.0 * r) / (3.0 * root * root - 3.0)


@njit(**JIT_INLINE)
def two_cos_third(r):
    """2 cos(acos(r) / 3) for 0 <= r <= 1: the largest root of l^3 - 3 l = 2 r, between sqrt(3) and 2.

    Sums in pairs (Estrin's scheme) keep the chain of dependent operations short.
    """
    r2 = r * r
    low = (like(_COS_THIRD[0], r) + like(_COS_THIRD[1], r) * r) + (
        like(_COS_THIRD[2], r) + like(_COS_THIRD[3], r) * r
    ) * r2
    high = (like(_COS_THIRD[4], r) + like(_COS_THIRD[5], r) * r) + (
        like(_COS_THIRD[6], r) + like(_COS_THIRD[7], r) * r
    ) * r2
    return _polish(low + high * (r2 * r2), r)


# What follows is clipping the eigenvalues of M = mean I + A, with tr A = 0, in five steps. No eigenvector is formed.
# A has a best separated eigenvalue l, whose projector is P = s adj(A - l I); its other two are -l / 2 +- g, and with
# B = A + l / 2 I - (3 l / 2) P, of norm g sqrt(2), any function h of the spectrum is
#
#     h(M) = h(mean + l) P + (h(m + g) + h(m - g)) / 2 (I - P) + (h(m + g) - h(m - g)) / (2 g) B,   m = mean - l / 2.
#
# Where nothing is clipped this is M whatever l, P and g are, so what rounding does to them does no harm there. Entries
# may be as large as 1e12 in float32, and count as zero below 1e-18.


@njit(**JIT_INLINE)
def deviator(zz, yy, xx, zy, zx, yx):
    """Return the mean of a symmetric matrix, the rest's tr A^2 / 6 and det A / 2, and A's diagonal."""
    half, third, tiny = like(0.5, zz), like(1 / 3, zz), like(1e-36, zz)
    mean = (zz + yy + xx) * third
    a, b, c = zz - mean, yy - mean, xx - mean
    square = (half * (a * a + (b * b + c * c)) + (zy * zy + (zx * zx + yx * yx))) * third + tiny
    det = (a * (b * c - yx * yx) - zy * (zy * c - zx * yx)) + zx * (zy * yx - b * zx)
    return mean, square, half * det, a, b, c


@njit(**JIT_INLINE)
def separated_root(square, det):
    """Return the best separated eigenvalue l of a deviator, and s = 1 / tr adj(A - l I)."""
    one, three = like(1.0, det), like(3.0, det)
    inverse, size = one / square, math.sqrt(square)
    r = (det * inverse) * (size * inverse)
    root = two_cos_third(smaller(abs(r), one))
    return math.copysign(root * size, r), inverse / (three * root * root - three)


@njit(**JIT_INLINE)
def adjugate(root, a, b, c, d, e, f):
    """adj(A - root I), six entries."""
    a, b, c = a - root, b - root, c - root
    return b * c - f * f, a * c - e * e, a * b - d * d, e * f - c * d, d * f - b * e, d * e - a * f


@njit(**JIT_INLINE)
def rest_square(root, s, a, b, c, d, e, f):
    """g^2, half the squared norm of B."""
    half, tiny = like(0.5, a), like(1e-37, a)
    pa, pb, pc, pd, pe, pf = adjugate(root, a, b, c, d, e, f)
    mid = -half * root
    gap = (root - mid) * s
    a, b, c = (a - mid) - gap * pa, (b - mid) - gap * pb, (c - mid) - gap * pc
    d, e, f = d - gap * pd, e - gap * pe, f - gap * pf
    return half * (a * a + (b * b + c * c)) + (d * d + (e * e + f * f)) + tiny


@njit(**JIT_INLINE)
def eigenvalues(mean, root, square):
    """The three eigenvalues, the best separated one first; ``square`` is g^2."""
    middle, g = mean - like(0.5, mean) * root, math.sqrt(square)
    return mean + root, middle + g, middle - g


@njit(**JIT_INLINE)
def with_eigenvalues(first, high, low, root, s, square):
    """Return (c0, c1, c2) of the matrix c0 I + c1 adj(A - root I) + c2 A with these in place of its `eigenvalues`."""
    half = like(0.5, root)
    mid = -half * root
    level = half * (low + high)
    slope = (high - low) * (math.sqrt(square) * (half / square))
    return level - slope * mid, ((first - level) - slope * (root - mid)) * s, slope
