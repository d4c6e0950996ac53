"""The nuclear norm of Hessians and the sign constraint for pyproximal; needs ``pip install "fastmpr[pyproximal]"``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import prox
from .._validation import Size, as_finite, as_positive, as_shape
from .pylops import weighted


def HessianNuclear(dims: int | Size, sigma: float = 1.0, *, workers: int | None = None) -> Any:
    """Return sigma times the sum over voxels of the Hessian's nuclear norm, as a ``pyproximal.ProxOperator``.

    Parameters
    ----------
    dims : int or (nz, ny, nx)
        Shape of the volume.
    sigma : float
        Factor of the norm, positive.
    workers : int, optional
        As in `fastmpr.prox.nuclear`.

    Returns
    -------
    pyproximal.ProxOperator
        It takes vectors of ``6 nz ny nx`` elements as `fastmpr.compat.pylops.Hessian` returns them, with mixed components
        times sqrt(2).

    Raises
    ------
    ImportError
        If pyproximal is not installed.
    ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from fastmpr.compat.pyproximal import HessianNuclear
    >>> norm = HessianNuclear(1)
    >>> norm.prox([3.0, -2, 0.5, 0, 0, 0], 1.0).round(9)
    array([ 2., -1.,  0.,  0.,  0.,  0.])
    """
    shape, factor = (6, *as_shape(dims, "dims")), as_positive(sigma, "sigma")
    base: Any = _base()

    def entries(x: NDArray) -> NDArray:
        vector = as_finite(x, "x")
        if vector.size != math.prod(shape):
            raise ValueError(f"x: found {vector.size} elements, need {math.prod(shape)} for a grid of {shape[1:]}")
        return weighted(vector.reshape(shape).copy(), math.sqrt(0.5))

    def shrunk(x: NDArray, threshold: float) -> NDArray:
        h = entries(x)
        return weighted(prox.nuclear(h, threshold, out=h, workers=workers), math.sqrt(2)).ravel()

    class HessianNuclear(base):
        def __call__(self, x: NDArray) -> float:
            return factor * prox.nuclear_norm(entries(x))

        def prox(self, x: NDArray, tau: float) -> NDArray:
            return shrunk(x, factor * as_positive(tau, "tau"))

        def proxdual(self, x: NDArray, tau: float) -> NDArray:
            as_positive(tau, "tau")  # the projection on a ball is the same for every step
            return np.asarray(x) - shrunk(x, factor)

    return HessianNuclear()


def Nonnegative(*, workers: int | None = None) -> Any:
    """Return the indicator of nonnegative vectors of any length, as a ``pyproximal.ProxOperator``.

    Parameters
    ----------
    workers : int, optional
        As in `fastmpr.prox.nonnegative`.

    Returns
    -------
    pyproximal.ProxOperator
        Like pyproximal's own indicators, a call returns whether the constraint holds.

    Raises
    ------
    ImportError
        If pyproximal is not installed.

    Examples
    --------
    >>> from fastmpr.compat.pyproximal import Nonnegative
    >>> Nonnegative().prox([1.0, -2.0], 1.0)
    array([1., 0.])
    """
    base: Any = _base()

    class Nonnegative(base):
        def __call__(self, x: NDArray) -> bool:
            return bool(np.min(x) >= 0)

        def prox(self, x: NDArray, tau: float) -> NDArray:
            as_positive(tau, "tau")  # the projection is the same for every step
            return prox.nonnegative(x, workers=workers)

        def proxdual(self, x: NDArray, tau: float) -> NDArray:
            return np.asarray(x) - self.prox(x, tau)

    return Nonnegative()


def _base() -> Any:
    try:
        from pyproximal import ProxOperator
    except ImportError:
        raise ImportError('fastmpr.compat.pyproximal needs pyproximal: pip install "fastmpr[pyproximal]"') from None
    return ProxOperator
