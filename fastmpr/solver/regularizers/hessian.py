"""The nuclear norm of the Hessian."""

from __future__ import annotations

from numpy.typing import NDArray

from ...engine import kernels
from .protocol import sum_over_planes


class Hessian:
    """Sum over voxels of the nuclear norm of the Hessian (forward differences, periodic).

    The six distinct components are in the order zz, yy, xx, zy, zx, yx; the last three count twice.

    References
    ----------
    S. Lefkimmiatis, J. P. Ward, M. Unser, "Hessian Schatten-norm regularization for linear inverse problems", IEEE
    Transactions on Image Processing 22(5), 2013.
    """

    components = 6
    order = 2
    packs = True  # its sweep takes a state in 16 bits
    sweep = staticmethod(kernels.hessian_sweep)

    def value(self, x: NDArray) -> float:
        """Return the sum over voxels of the nuclear norm of the Hessian of ``x``."""
        return sum_over_planes(kernels.hessian_value, x)
