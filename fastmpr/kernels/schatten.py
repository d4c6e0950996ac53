"""Rules of the Schatten norms of a Hessian: each norm, and the projection on its dual unit ball."""

from __future__ import annotations

import math

from .jit import like
from .rules import Rule


@Rule
def frobenius(zz, yy, xx, zy, zx, yx):
    """The Frobenius norm, for p = 2."""
    return math.sqrt(zz * zz + yy * yy + xx * xx + like(2.0, zz) * (zy * zy + zx * zx + yx * yx))


@Rule
def shorten(zz, yy, xx, zy, zx, yx):
    """Shorten a matrix to a Frobenius norm of 1."""
    one = like(1.0, zz)
    square = zz * zz + yy * yy + xx * xx + like(2.0, zz) * (zy * zy + zx * zx + yx * yx)
    shrink = one / math.sqrt(square if square > one else one)
    return shrink * zz, shrink * yy, shrink * xx, shrink * zy, shrink * zx, shrink * yx


@Rule
def largest(a, b, c):
    """The largest absolute eigenvalue, for infinite p."""
    p, q, r = abs(a), abs(b), abs(c)
    p = p if p > q else q
    return p if p > r else r


@Rule
def shrink_to_simplex(a, b, c):
    """Shrink three eigenvalues by t, until their absolute values sum to 1 at most."""
    zero, one = like(0.0, a), like(1.0, a)
    p, q, r = abs(a), abs(b), abs(c)
    p, q = (p, q) if p > q else (q, p)
    q, r = (q, r) if q > r else (r, q)
    p, q = (p, q) if p > q else (q, p)
    first, two = p - one, like(0.5, a) * (p + q - one)  # t where so many are left
    three = (p + q + r - one) / like(3.0, a)
    t = first if first > two else two
    t = t if t > three else three
    t = t if t > zero else zero
    p, q, r = abs(a) - t, abs(b) - t, abs(c) - t
    p, q, r = (p if p > zero else zero), (q if q > zero else zero), (r if r > zero else zero)
    return math.copysign(p, a), math.copysign(q, b), math.copysign(r, c)
