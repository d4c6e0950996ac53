"""The Hessian's largest singular value: bending along one direction costs as much as along all three."""

from __future__ import annotations

from .._validation import Vector
from ..kernels.schatten import largest, shrink_to_simplex
from .fused import Fused


class SchattenInfinity(Fused):
    """Sum over voxels of the largest absolute eigenvalue of the Hessian.

    Parameters
    ----------
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.
    """

    def __init__(self, voxel_size: float | Vector = 1.0):
        super().__init__("hessian", voxel_size, rules=(shrink_to_simplex, largest))
