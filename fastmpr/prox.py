"""Proximal maps on arrays, for use in your own solvers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validation import as_number
from .kernels.shrinkage import shrink_entries, shrink_matrices, sum_nuclear_norms
from .runtime.arrays import as_input, as_output, filled

_ASYMMETRY = {np.float32: 1e-4, np.float64: 1e-10}  # of the largest entry: tolerance for rounding
_NEED = "a finite number of at least 0"
_TOP = 39  # binary digits of the largest entry after scaling


def nuclear(
    h: ArrayLike, threshold: float, *, out: NDArray | None = None, workers: int | None = None
) -> NDArray[np.floating]:
    """Threshold the singular values of symmetric 3x3 matrices: the prox of ``threshold`` times their nuclear norm.

    Every eigenvalue s becomes sign(s) max(|s| - threshold, 0), in closed form and without eigenvectors.

    Parameters
    ----------
    h : (6, ...) or (..., 3, 3) array_like
        Entries in the order zz, yy, xx, zy, zx, yx, as `fastmpr.operators.hessian` returns them, or whole matrices. An array
        whose shape ends in (3, 3) is read as matrices, also (6, 3, 3). Integers become float32.
    threshold : float
        At least 0, in the unit of ``h``.
    out : ndarray, optional
        Array for the result, in the shape of ``h`` and the dtype of the result; may be ``h`` itself.
    workers : int, optional
        Number of threads at most; by default all that this process may use. Small tasks take fewer.

    Returns
    -------
    ndarray
        In the shape of ``h``; float64 if the input is float64, else float32. The error is below 2e-6 (float32) or 1e-14
        (float64) of each matrix's largest eigenvalue, unless this eigenvalue is below 1e-18 of the threshold or 1e-30 of the
        largest eigenvalue of all matrices. A matrix without an eigenvalue above the threshold becomes 0.

    Raises
    ------
    ValueError, TypeError
        If ``h`` has another shape, is not finite or not symmetric (to 1e-4 of the largest entry in float32, 1e-10 in
        float64), or is larger than a quarter of what its dtype can hold; if ``threshold`` is negative or not finite; if
        ``out`` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> fastmpr.prox.nuclear(np.diag([3.0, -2.0, 0.5]), 1.0).diagonal().round(9)
    array([ 2., -1.,  0.])
    >>> h = fastmpr.operators.hessian(np.random.default_rng(0).random((8, 8, 8)))
    >>> fastmpr.prox.nuclear(h, 0.5, out=h) is h
    True
    """
    h = as_input(h, "h", gain=4)
    dtype = h.dtype.type
    bound = min(as_number(threshold, "threshold", 0, np.finfo(float).max, _NEED), float(np.finfo(dtype).max))
    out = as_output(out, h.shape, dtype)
    if h.ndim >= 2 and h.shape[-2:] == (3, 3):
        _check_symmetric(h)
        kernel, layout, count = shrink_matrices, (-1, 9), h.size // 9
    elif h.shape[:1] == (6,):
        kernel, layout, count = shrink_entries, (6, -1), h.size // 6
    else:
        raise ValueError(f"h: found shape {h.shape}, need (6, ...) or (..., 3, 3)")
    scale = _scale(float(max(h.max(), -h.min())), bound, dtype)
    source, scaled = h.reshape(layout), dtype(bound * float(scale))

    def work(array: NDArray, start: int, stop: int) -> None:
        kernel(source, scale, scaled, array.reshape(layout), start, stop)

    return filled(out, h.shape, h, work, count, workers, in_place=True)


def nuclear_norm(h: ArrayLike) -> float:
    """Return the sum of the nuclear norms of symmetric 3x3 matrices; `nuclear` is its prox.

    Parameters
    ----------
    h : (6, ...) array_like
        Entries in the order zz, yy, xx, zy, zx, yx.

    Returns
    -------
    float
        The sum of the absolute values of all eigenvalues.

    Raises
    ------
    ValueError, TypeError
        As `nuclear`, for ``h``.

    Examples
    --------
    >>> import fastmpr
    >>> round(fastmpr.prox.nuclear_norm([3.0, -2.0, 0.5, 0, 0, 0]), 9)
    5.5
    """
    h = as_input(h, "h", gain=4)
    if h.shape[:1] != (6,):
        raise ValueError(f"h: found shape {h.shape}, need (6, ...)")
    largest = float(max(h.max(), -h.min()))
    scale = _scale(largest, largest, h.dtype.type)
    return sum_nuclear_norms(h.reshape(6, -1), scale) / float(scale)


def nonnegative(x: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray[np.floating]:
    """Project on nonnegative values: max(x, 0).

    Parameters
    ----------
    x : array_like
        Of any shape; integers become float32.
    out : ndarray, optional
        Array for the result, in the shape of ``x`` and the dtype of the result; may be ``x`` itself.
    workers : int, optional
        Number of threads at most; by default all that this process may use. Small tasks take fewer.

    Returns
    -------
    ndarray
        float64 if the input is float64, else float32.

    Raises
    ------
    ValueError, TypeError
        If ``x`` is empty or not finite, or ``out`` does not fit.

    Examples
    --------
    >>> import fastmpr
    >>> fastmpr.prox.nonnegative([1, -2, 3])
    array([1., 0., 3.], dtype=float32)
    """
    x = as_input(x, "x", gain=1)
    out, row = as_output(out, x.shape, x.dtype), x.reshape(-1)

    def work(array: NDArray, start: int, stop: int) -> None:
        np.maximum(row[start:stop], 0, out=array.reshape(-1)[start:stop])

    return filled(out, x.shape, x, work, x.size, workers, in_place=True)


def _scale(largest: float, bound: float, dtype: Any) -> Any:
    """Return the power of 2 that scales the bound to about 1, or less if the cube of the largest entry would overflow."""
    most = np.finfo(dtype).maxexp - 8  # so that the inverse is finite too
    exponent = min(-math.frexp(bound)[1], _TOP - math.frexp(largest or bound)[1])
    return dtype(math.ldexp(1.0, min(max(exponent, -most), most)))


def _check_symmetric(h: NDArray) -> None:
    """Refuse matrices that are not symmetric within rounding."""
    most = _ASYMMETRY[h.dtype.type] * float(max(h.max(), -h.min()))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        gap = float(np.abs(h[..., i, j] - h[..., j, i]).max())
        if gap > most:
            raise ValueError(f"h: found entries {i}{j} and {j}{i} that differ by {gap:.3g}, need symmetric matrices")
