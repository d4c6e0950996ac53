"""Regularisers whose work between two FFTs is one compiled sweep, and the two that it is written for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector, as_ratios
from ..kernels.gradient_sweep import gradient_sweep, gradient_value
from ..kernels.hessian_sweep import hessian_sweep, hessian_value


class Fused:
    """A regulariser on the gradient or on the Hessian (forward differences, periodic), whose sweep is compiled.

    Parameters
    ----------
    operator : {"gradient", "hessian"}
    voxel_size : float or (z, y, x)
        Of the grid, in any unit: a difference along an axis is divided by the side of the voxel there, and multiplied by the
        smallest.
    rules : pair of `fastmpr.kernels.rules.Rule`, optional
        Projection and value at a voxel; by default those of the nuclear norm or of total variation.
    """

    packs = False

    def __init__(self, operator: str, voxel_size: float | Vector = 1.0, rules: tuple[Any, Any] = (None, None)):
        self._given = rules
        self.ratios = rz, ry, rx = as_ratios(voxel_size)
        if operator == "hessian":
            self.components, self.order, self.packs = 6, 2, True
            self._sweep, self._value = hessian_sweep, hessian_value
            scales: tuple[float, ...] = rz * rz, ry * ry, rx * rx, rz * ry, rz * rx, ry * rx
        else:
            self.components, self.order = 3, 1
            self._sweep, self._value = gradient_sweep, gradient_value
            scales = rz, ry, rx
        self._scales = {dtype: tuple(map(dtype, scales)) for dtype in (np.float32, np.float64)}

    def _rules(self, dtype: Any) -> tuple[Any, Any]:
        """Return projection and value at a voxel as the kernels take them in a precision."""
        return self._given

    def sweep(self, x: NDArray, *rest: Any) -> None:
        """Handle the planes of a slab, see `Regularizer`."""
        dtype = x.dtype.type
        self._sweep(x, *rest, self._scales[dtype], self._rules(dtype)[0])

    def value(self, x: NDArray) -> float:
        """Return phi(D x), as the sum over planes of that of x / max |x|, times max |x|: no intensity is out of range."""
        nz, ny, nx = x.shape
        size, dtype, planes = float(np.abs(x).max()) or 1.0, x.dtype.type, np.empty(nz)
        wrapped = np.pad(x / dtype(size), ((0, 0), (0, 3), (0, 2)), mode="wrap")
        self._value(wrapped, ny, nx, planes, 0, nz, self._scales[dtype], self._rules(dtype)[1])
        return size * float(planes.sum())


class Hessian(Fused):
    """Sum over voxels of the nuclear norm of the Hessian.

    The six distinct components are in the order zz, yy, xx, zy, zx, yx; the last three count twice.

    Parameters
    ----------
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.

    References
    ----------
    S. Lefkimmiatis, J. P. Ward, M. Unser, "Hessian Schatten-norm regularization for linear inverse problems", IEEE
    Transactions on Image Processing 22(5), 2013.
    """

    def __init__(self, voxel_size: float | Vector = 1.0):
        super().__init__("hessian", voxel_size)


class TotalVariation(Fused):
    """Isotropic total variation: sum over voxels of the length of the gradient.

    Parameters
    ----------
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.

    References
    ----------
    L. I. Rudin, S. Osher, E. Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60, 1992.
    """

    def __init__(self, voxel_size: float | Vector = 1.0):
        super().__init__("gradient", voxel_size)
