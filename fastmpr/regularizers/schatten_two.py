"""The Hessian's Frobenius norm, Schatten's for p = 2."""

from __future__ import annotations

import math

from .._validation import Vector
from .pointwise import Pointwise


def _size(zz, yy, xx, zy, zx, yx):
    return math.sqrt(zz * zz + yy * yy + xx * xx + 2.0 * (zy * zy + zx * zx + yx * yx))


def _project(zz, yy, xx, zy, zx, yx):
    square = zz * zz + yy * yy + xx * xx + 2.0 * (zy * zy + zx * zx + yx * yx)
    shrink = 1.0 / math.sqrt(square if square > 1.0 else 1.0)
    return shrink * zz, shrink * yy, shrink * xx, shrink * zy, shrink * zx, shrink * yx


class SchattenTwo(Pointwise):
    """Sum over voxels of the Frobenius norm of the Hessian; compiled once per process.

    Parameters
    ----------
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.
    """

    def __init__(self, voxel_size: float | Vector = 1.0):
        super().__init__("hessian", _project, _size, voxel_size)
