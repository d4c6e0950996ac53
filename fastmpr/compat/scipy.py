"""S and each view's H_i as SciPy's linear operators, for its iterative solvers and for whoever takes such operators."""

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
    """H_i; its transfer function is sampled at each product, in less time than an FFT, as those of all views need memory."""

    def __init__(self, grid: Size, data: Dataset, transfer: TransferFunction, rotation: NDArray, workers: int | None):
        super().__init__(grid, data.dtype, workers)
        self._of, self._sample = transfer, (rotation, grid, data.model_voxel)

    def _spectrum(self) -> NDArray:
        return self._of.sample(*self._sample)


def gram(sums: NormalEquations, *, workers: int | None = None) -> LinearOperator:
    """Return S, the sum over views of w_i H_i^T H_i, which is symmetric.

    Parameters
    ----------
    sums : NormalEquations
    workers : int, optional
        Threads at most; by default all that this process may use. Little work takes fewer.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        From and to volumes of ``sums.shape`` as vectors, in the precision of ``sums.gram``.

    Raises
    ------
    TypeError, ValueError
        If ``sums`` are none, or so large or small that they cannot be squared.

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
    """Return what each view makes of the model, H_i: the convolution with its rotated PSF, in the frame of the model.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses. What views did not see of their images is not left out.
    shape : int or (nz, ny, nx), optional
        Of the model, as in `fastmpr.accumulate`.
    workers : int, optional
        Threads at most; by default all that this process may use. Little work takes fewer.

    Returns
    -------
    list of scipy.sparse.linalg.LinearOperator
        From and to volumes on the padded grid that `fastmpr.accumulate` takes (their ``grid``; the model is in its middle),
        as vectors, in the precision of the data. One each; with a symmetry of n rotations n, view by view. With the weights
        of the views, sum_i w_i H_i^T H_i is the S of `fastmpr.accumulate`.

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
