"""The Hessian's largest singular value: bending along one direction costs as much as along all three."""

from __future__ import annotations

import math

from .._validation import Vector
from .pointwise import Pointwise


def _project(a, b, c):
    """Shrink three eigenvalues by t, until their absolute values sum to 1 at most."""
    p, q, r = abs(a), abs(b), abs(c)
    p, q = (p, q) if p > q else (q, p)
    q, r = (q, r) if q > r else (r, q)
    p, q = (p, q) if p > q else (q, p)
    one, two, three = p - 1.0, 0.5 * (p + q - 1.0), (p + q + r - 1.0) / 3.0  # t where so many are left
    t = one if one > two else two
    t = t if t > three else three
    t = t if t > 0.0 else 0.0
    p, q, r = abs(a) - t, abs(b) - t, abs(c) - t
    p, q, r = (p if p > 0.0 else 0.0), (q if q > 0.0 else 0.0), (r if r > 0.0 else 0.0)
    return math.copysign(p, a), math.copysign(q, b), math.copysign(r, c)


def _largest(a, b, c):
    p, q, r = abs(a), abs(b), abs(c)
    p = p if p > q else q
    return p if p > r else r


class SchattenInfinity(Pointwise):
    """Sum over voxels of the largest absolute eigenvalue of the Hessian; compiled once per process.

    Parameters are those of `Hessian`.
    """

    def __init__(self, voxel_size: float | Vector = 1.0):
        super().__init__("hessian", _project, _largest, voxel_size)
