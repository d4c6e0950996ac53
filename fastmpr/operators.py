"""The operators of the regularisers on arrays: Hessian and gradient by periodic forward differences, and their adjoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validation import Vector, as_ratios
from .kernels import differences
from .runtime.arrays import as_input, as_output, filled

_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_TWICE = (1, 1, 1, 2, 2, 2)


def hessian(
    x: ArrayLike, *, voxel_size: float | Vector = 1.0, out: NDArray | None = None, workers: int | None = None
) -> NDArray[np.floating]:
    """Return the second forward differences of a periodic volume, such as x[n + 2] - 2 x[n + 1] + x[n].

    Parameters
    ----------
    x : (nz, ny, nx) array_like
        Integers become float32.
    voxel_size : float or (z, y, x), optional
        Sides of a voxel, in any unit. A difference along an axis is multiplied by the smallest side over the side along
        this axis, so the unit of length is the smallest side. One number, as by default, means cubes: all factors are 1.
    out : (6, nz, ny, nx) ndarray, optional
        Array for the result, in the dtype of the result.
    workers : int, optional
        Number of threads at most; by default all that this process may use. Small tasks take fewer.

    Returns
    -------
    (6, nz, ny, nx) ndarray
        The distinct entries zz, yy, xx, zy, zx, yx; float64 if the input is float64, else float32. Each of the last three
        stands for two entries of the matrix, so it counts twice in products: <a, b> = sum(w a b), w = 1, 1, 1, 2, 2, 2.

    Raises
    ------
    ValueError, TypeError
        If ``x`` is not 3-D, not finite or so large that a difference would overflow; if ``out`` does not fit.

    Notes
    -----
    With these products and cubic voxels, H^T H is diagonal in Fourier space: it is the square of the sum over axes of
    2 - 2 cos w. All differences are forward differences, as in S. Lefkimmiatis, J. P. Ward and M. Unser, "Hessian
    Schatten-norm regularization for linear inverse problems", IEEE Transactions on Image Processing 22, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> x = np.zeros((4, 4, 4))
    >>> x[2, 2, 2] = 1
    >>> fastmpr.operators.hessian(x)[:, 2, 2, 2]
    array([1., 1., 1., 1., 1., 1.])
    >>> fastmpr.operators.hessian(x, voxel_size=(0.2, 0.1, 0.1))[:, 2, 2, 2]
    array([0.25, 1.  , 1.  , 0.5 , 0.5 , 1.  ])
    """
    x, ratios = _as_volume(x, 4), as_ratios(voxel_size)
    weights = [ratios[i] * ratios[j] for i, j in _PAIRS]
    return _applied(differences.hessian, x, weights, (6, *x.shape), out, workers)


def hessian_adjoint(
    h: ArrayLike, *, voxel_size: float | Vector = 1.0, out: NDArray | None = None, workers: int | None = None
) -> NDArray[np.floating]:
    """Apply the adjoint of `hessian`, with mixed entries counted twice: <H x, h> = <x, H^T h> with the products there.

    Parameters
    ----------
    h : (6, nz, ny, nx) array_like
        Entries zz, yy, xx, zy, zx, yx.
    voxel_size, workers
        As in `hessian`.
    out : (nz, ny, nx) ndarray, optional
        Array for the result, in the dtype of the result.

    Returns
    -------
    (nz, ny, nx) ndarray
        float64 if the input is float64, else float32.

    Raises
    ------
    ValueError, TypeError
        As `hessian`, for ``h``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.operators import hessian, hessian_adjoint
    >>> x = np.random.default_rng(0).random((2, 4, 5, 6))
    >>> w = np.array([1, 1, 1, 2, 2, 2])[:, None, None, None]
    >>> bool(np.isclose((w * hessian(x[0]) * hessian(x[1])).sum(), (x[0] * hessian_adjoint(hessian(x[1]))).sum()))
    True
    """
    h, ratios = _as_components(h, "h", 6, 36), as_ratios(voxel_size)
    weights = [w * ratios[i] * ratios[j] for w, (i, j) in zip(_TWICE, _PAIRS, strict=True)]
    return _applied(differences.hessian_adjoint, h, weights, h.shape[1:], out, workers)


def gradient(
    x: ArrayLike, *, voxel_size: float | Vector = 1.0, out: NDArray | None = None, workers: int | None = None
) -> NDArray[np.floating]:
    """Return the forward differences x[n + 1] - x[n] of a periodic volume.

    Parameters
    ----------
    x : (nz, ny, nx) array_like
        Integers become float32.
    voxel_size, workers
        As in `hessian`.
    out : (3, nz, ny, nx) ndarray, optional
        Array for the result, in the dtype of the result.

    Returns
    -------
    (3, nz, ny, nx) ndarray
        Differences along z, y and x; float64 if the input is float64, else float32.

    Raises
    ------
    ValueError, TypeError
        As `hessian`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> fastmpr.operators.gradient(np.arange(8.0).reshape(2, 2, 2))[:, 0, 0, 0]
    array([4., 2., 1.])
    """
    x = _as_volume(x, 2)
    return _applied(differences.gradient, x, as_ratios(voxel_size), (3, *x.shape), out, workers)


def gradient_adjoint(
    g: ArrayLike, *, voxel_size: float | Vector = 1.0, out: NDArray | None = None, workers: int | None = None
) -> NDArray[np.floating]:
    """Apply the adjoint of `gradient`: minus the divergence, by backward differences.

    Parameters
    ----------
    g : (3, nz, ny, nx) array_like
        Components along z, y and x.
    voxel_size, workers
        As in `hessian`.
    out : (nz, ny, nx) ndarray, optional
        Array for the result, in the dtype of the result.

    Returns
    -------
    (nz, ny, nx) ndarray
        float64 if the input is float64, else float32.

    Raises
    ------
    ValueError, TypeError
        As `hessian`, for ``g``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.operators import gradient, gradient_adjoint
    >>> x, g = np.random.default_rng(0).random((4, 5, 6)), gradient(np.eye(5)[:4, :, None] * np.ones(6))
    >>> bool(np.isclose((gradient(x) * g).sum(), (x * gradient_adjoint(g)).sum()))
    True
    """
    g = _as_components(g, "g", 3, 6)
    return _applied(differences.gradient_adjoint, g, as_ratios(voxel_size), g.shape[1:], out, workers)


def _as_volume(x: ArrayLike, gain: float) -> NDArray:
    volume = as_input(x, "x", gain)
    if volume.ndim != 3:
        raise ValueError(f"x: found an array of shape {volume.shape}, need a 3-D one (z, y, x)")
    return volume


def _as_components(value: ArrayLike, name: str, count: int, gain: float) -> NDArray:
    array = as_input(value, name, gain)
    if array.ndim != 4 or len(array) != count:
        raise ValueError(f"{name}: found shape {array.shape}, need ({count}, nz, ny, nx)")
    return array


def _applied(
    kernel: Callable[..., None],
    source: NDArray,
    weights: Sequence[float],
    shape: tuple[int, ...],
    out: Any,
    workers: int | None,
) -> NDArray:
    out, weights_of_dtype = as_output(out, shape, source.dtype), np.array(weights, source.dtype)

    def work(array: NDArray, start: int, stop: int) -> None:
        kernel(source, weights_of_dtype, array, start, stop)

    return filled(out, shape, source, work, shape[-3], workers)
