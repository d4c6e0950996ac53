"""The Hessian's Frobenius norm, Schatten's for p = 2."""

from __future__ import annotations

from .._validation import Vector
from ..kernels.schatten import frobenius, shorten
from .fused import Fused


class SchattenTwo(Fused):
    """Sum over voxels of the Frobenius norm of the Hessian.

    Parameters
    ----------
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.
    """

    def __init__(self, voxel_size: float | Vector = 1.0):
        super().__init__("hessian", voxel_size, rules=(shorten, frobenius))
