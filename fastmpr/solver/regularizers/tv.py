"""Total variation."""

from __future__ import annotations

from numpy.typing import NDArray

from ...engine import kernels
from .protocol import sum_over_planes


class TotalVariation:
    """Isotropic total variation: sum over voxels of the length of the gradient (forward differences, periodic).

    References
    ----------
    L. I. Rudin, S. Osher, E. Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60, 1992.
    """

    components = 3
    order = 1
    sweep = staticmethod(kernels.tv_sweep)

    def value(self, x: NDArray) -> float:
        """Return the sum over voxels of the length of the gradient of ``x``."""
        return sum_over_planes(kernels.tv_value, x)
