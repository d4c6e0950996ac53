"""The Hessian and the gradient as PyLops operators; needs ``pip install "fastmpr[pylops]"``.

The Hessian's mixed components, zy, zx and yx, are the differences times sqrt(2), since each stands for two entries of a
symmetric matrix. So the inner product of two vectors, which defines PyLops' adjoints, equals that of the matrices, and the
norm of six components is a matrix's Frobenius norm. `fastmpr.compat.pyproximal` expects components in this form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import operators
from .._validation import Size, Vector, as_float_dtype, as_shape, as_voxel_size

_ROOT = math.sqrt(2)


def Hessian(
    dims: int | Size, *, voxel_size: float | Vector = 1.0, dtype: DTypeLike = "float64", workers: int | None = None
) -> Any:
    """Return the Hessian of a periodic volume, a ``pylops.LinearOperator`` from ``dims`` to ``(6, *dims)``.

    Parameters
    ----------
    dims : int or (nz, ny, nx)
        Shape of the volume.
    voxel_size, workers
        As in `fastmpr.operators.hessian`.
    dtype : float32 or float64

    Returns
    -------
    pylops.LinearOperator
        The operator; its components are zz, yy, xx, and sqrt(2) times zy, zx, yx.

    Raises
    ------
    ImportError
        If PyLops is not installed.
    ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from fastmpr.compat.pylops import Hessian
    >>> Hessian((4, 5, 6)).dimsd
    (6, 4, 5, 6)
    """
    shape, sides = as_shape(dims, "dims"), as_voxel_size(voxel_size)

    def forward(x: NDArray) -> NDArray:
        return weighted(operators.hessian(x, voxel_size=sides, workers=workers), _ROOT)

    def adjoint(h: NDArray) -> NDArray:
        return operators.hessian_adjoint(weighted(h.copy(), 1 / _ROOT), voxel_size=sides, workers=workers)

    return _operator("Hessian", forward, adjoint, shape, (6, *shape), dtype)


def Gradient(
    dims: int | Size, *, voxel_size: float | Vector = 1.0, dtype: DTypeLike = "float64", workers: int | None = None
) -> Any:
    """Return the gradient of a periodic volume, a ``pylops.LinearOperator`` from ``dims`` to ``(3, *dims)``.

    Parameters
    ----------
    dims, voxel_size, dtype, workers
        As in `Hessian`.

    Returns
    -------
    pylops.LinearOperator
        The operator; its components are the differences along z, y and x.

    Raises
    ------
    ImportError, ValueError
        As `Hessian`.

    Examples
    --------
    >>> from fastmpr.compat.pylops import Gradient
    >>> Gradient(4).dimsd
    (3, 4, 4, 4)
    """
    shape, sides = as_shape(dims, "dims"), as_voxel_size(voxel_size)

    def forward(x: NDArray) -> NDArray:
        return operators.gradient(x, voxel_size=sides, workers=workers)

    def adjoint(g: NDArray) -> NDArray:
        return operators.gradient_adjoint(g, voxel_size=sides, workers=workers)

    return _operator("Gradient", forward, adjoint, shape, (3, *shape), dtype)


def weighted(h: NDArray, factor: float) -> NDArray:
    """Multiply the three mixed components by a factor, in place."""
    h[3:] *= h.dtype.type(factor)
    return h


def _operator(
    name: str,
    forward: Callable[[NDArray], NDArray],
    adjoint: Callable[[NDArray], NDArray],
    dims: Size,
    dimsd: tuple[int, ...],
    dtype: DTypeLike,
) -> Any:
    try:
        import pylops
    except ImportError:
        raise ImportError('fastmpr.compat.pylops needs pylops: pip install "fastmpr[pylops]"') from None
    precision = as_float_dtype(dtype)

    class Operator(pylops.LinearOperator):
        def _matvec(self, x: NDArray) -> NDArray:
            return forward(np.asarray(x, precision).reshape(dims)).ravel()

        def _rmatvec(self, x: NDArray) -> NDArray:
            return adjoint(np.asarray(x, precision).reshape(dimsd)).ravel()

    return Operator(
        dtype=precision, shape=(math.prod(dimsd), math.prod(dims)), dims=dims, dimsd=dimsd, clinear=True, name=name
    )
