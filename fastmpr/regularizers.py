"""What a regulariser is to the solver: operator, adjoint, symbol, proximal step (in a fused sweep) and value."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._validation import Size


class Regularizer(Protocol):
    """A convex function phi(D x) that the solver can minimise.

    Attributes
    ----------
    components : int
        Distinct components that D x has at each voxel.
    order : int
        D^T D is multiplication by (sum_d (2 - 2 cos w_d)) ** order in Fourier space.
    sweep, residual : compiled functions
        The work between two FFTs and its motionless twin; see `_kernels.hessian_sweep` and `hessian_residual`.
    """

    components: int
    order: int
    sweep: Any
    residual: Any

    def value(self, x: NDArray) -> float:
        """Return phi(D x)."""


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
    sweep = staticmethod(_kernels.hessian_sweep)
    residual = staticmethod(_kernels.hessian_residual)

    def value(self, x: NDArray) -> float:
        """Return the sum over voxels of the nuclear norm of the Hessian of ``x``."""
        wrapped = np.pad(x, ((0, 0), (0, 0), (0, 2)), mode="wrap")
        planes = np.empty(len(x))
        _kernels.hessian_value(wrapped, x.shape[2], planes, 0, len(x))
        return float(planes.sum())


_KNOWN: dict[str, Regularizer] = {"hessian": Hessian()}


def as_regularizer(regularizer: str | Regularizer) -> Regularizer:
    """Return the regulariser of a name, or the object itself."""
    if not isinstance(regularizer, str):
        return regularizer
    if regularizer not in _KNOWN:
        raise ValueError(f"regularizer: found {regularizer!r}, need one of {', '.join(map(repr, _KNOWN))}")
    return _KNOWN[regularizer]


def axis_symbols(shape: Size) -> list[NDArray]:
    """Return 2 - 2 cos w along each axis of the half spectrum, float64."""
    full = [2 - 2 * np.cos(2 * np.pi * np.arange(n) / n) for n in shape]
    return [full[0], full[1], full[2][: shape[2] // 2 + 1]]


def symbol(regularizer: Regularizer, shape: Size) -> NDArray:
    """Return |D^|^2 on the half spectrum: what D^T D multiplies by, shape (nz, ny, nx // 2 + 1), float64."""
    lz, ly, lx = axis_symbols(shape)
    return (lz[:, None, None] + ly[None, :, None] + lx) ** regularizer.order
