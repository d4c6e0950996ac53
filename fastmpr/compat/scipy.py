"""S and each view's H_i as SciPy linear operators, for SciPy's iterative solvers and others that take such operators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from .._validation import Size
from ..runtime.fft import irfftn, rfftn
from ..runtime.threads import as_workers
from ..sums.frame import padded_shape
from ..sums.normal_equations import NormalEquations, as_sums
from ..sums.transfer import TransferFunction, transfer_functions
from ..views.dataset import Dataset


class _Filter(LinearOperator):
    """A convolution on a periodic grid."""

    def __init__(self, grid: Size, dtype: Any, workers: int | None):
        size = math.prod(grid)
        super().__init__(np.dtype(dtype), (size, size))
        self.grid, self.workers = grid, as_workers(workers, size)

    def _spectrum(self) -> NDArray:
        raise NotImplementedError

    def _filtered(self, x: NDArray, spectrum: NDArray) -> NDArray:
        volume = np.ascontiguousarray(x, self.dtype).reshape(self.grid)
        return irfftn(rfftn(volume, self.workers) * spectrum, self.grid, self.workers).ravel()

    def _matvec(self, x: NDArray) -> NDArray:
        return self._filtered(x, self._spectrum())

    def _rmatvec(self, x: NDArray) -> NDArray:
        return self._filtered(x, self._spectrum().conj())


class _Gram(_Filter):
    def __init__(self, sums: NormalEquations, workers: int | None):
        super().__init__(sums.shape, sums.gram.dtype, workers)
        self.sums = sums

    def _spectrum(self) -> NDArray:
        return self.sums.gram


class _View(_Filter):
    """H_i; each product samples the transfer function anew, faster than an FFT, since storing all would need much memory."""

    def __init__(self, grid: Size, data: Dataset, transfer: TransferFunction, rotation: NDArray, workers: int | None):
        super().__init__(grid, data.dtype, workers)
        self._of, self._sample = transfer, (rotation, grid, data.model_voxel)

    def _spectrum(self) -> NDArray:
        return self._of.sample(*self._sample)


def gram(sums: NormalEquations, *, workers: int | None = None) -> LinearOperator:
    """Return S, the sum over views of w_i H_i^T H_i, as a symmetric linear operator.

    Parameters
    ----------
    sums : NormalEquations
    workers : int, optional
        Number of threads at most; by default all that this process may use. Small tasks take fewer.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        It maps volumes of ``sums.shape``, as vectors, to such volumes, in the precision of ``sums.gram``.

    Raises
    ------
    TypeError, ValueError
        If ``sums`` is no NormalEquations, or has values too large or too small to be squared.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> from fastmpr.compat.scipy import gram
    >>> half = np.full((4, 4, 3), 2.0)
    >>> sums = fastmpr.NormalEquations(half, half + 0j, 1.0, 1, (4, 4, 4), 1.0)
    >>> gram(sums).matvec(np.ones(64))[:3].round(9)
    array([2., 2., 2.])
    """
    return _Gram(as_sums(sums), workers)


def views(data: Dataset, *, shape: int | Size | None = None, workers: int | None = None) -> list[LinearOperator]:
    """Return each view's operator H_i: the convolution with the view's rotated PSF, in the frame of the model.

    Parameters
    ----------
    data : Dataset
        Needs a PSF and poses. Unseen parts of the views are ignored: every H_i is the full convolution.
    shape : int or (nz, ny, nx), optional
        Shape of the model, as in `fastmpr.accumulate`.
    workers : int, optional
        Number of threads at most; by default all that this process may use. Small tasks take fewer.

    Returns
    -------
    list of scipy.sparse.linalg.LinearOperator
        Operators on volumes, as vectors in the precision of the data, on the padded grid of `fastmpr.accumulate` (their
        ``grid``; the model is in its middle). There is one per view, or n successive ones per view with a symmetry of n
        rotations. With the weights w_i of the views, sum_i w_i H_i^T H_i is the S of `fastmpr.accumulate`.

    Raises
    ------
    ValueError, TypeError
        If ``data`` is no Dataset, or lacks a PSF or poses.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> from fastmpr.compat.scipy import views
    >>> psf = fastmpr.psf.gaussian((9, 9, 9), sigma=(2, 1, 1))
    >>> data = fastmpr.Dataset(np.ones((3, 8, 8, 8)), psf, fastmpr.Poses.random(3, rng=0))
    >>> h = views(data)
    >>> len(h), h[0].grid == fastmpr.accumulate(data).shape
    (3, True)
    """
    if not isinstance(data, Dataset):
        raise TypeError(f"data: found {type(data).__name__}, need fastmpr.Dataset")
    grid = padded_shape(data.require(), data.model_shape(shape))
    transfers = transfer_functions(data, as_workers(workers, math.prod(grid)))
    return [
        _View(grid, data, transfers[data.psf_of[i]], rotation, workers)
        for i, own in enumerate(data.placed.matrix)
        for rotation in own @ data.group
    ]
