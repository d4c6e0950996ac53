"""The result of a solve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector, times
from ..quality.curve import Curve


@dataclass
class Result:
    """The result of `solve` and `reconstruct`, with the names that SciPy uses.

    Attributes
    ----------
    x : (nz, ny, nx) ndarray
        The volume; no voxel is negative, except with ``positivity=False``.
    lam : float
        The weight of the data term that was used.
    nit : int
        Number of iterations done.
    status : {"converged", "max_iter", "cancelled", "timeout", "callback"}
        Why the solver stopped: the residuals fell below ``tol``, ``max_iter`` iterations were done, ``cancel`` was set,
        ``timeout`` passed, or the callback raised StopIteration. Empty while the solver runs.
    message : str
        The same in words, with numbers.
    history : list of dict
        One entry per check of the residuals: ``nit``, ``primal`` and ``dual`` (normalised, see `solve`), ``mu``, ``mu2``.
    voxel_size : (z, y, x)
        Voxel size of ``x``, in the unit of the views' voxel size; (1, 1, 1) if that is unknown.
    fit : float or None
        How well the volume explains the views (`reconstruct`): the residual of the views over their noise, about 1 if
        the volume explains them. None if this was not checked.
    resolution : float or None
        The finest period that the volume shows, in the unit of ``voxel_size``, told by two halves of the views: where the
        Fourier shell correlation with the truth is expected to fall below 0.5, or the period of the corner of the spectrum
        if it does not. None if this was not asked for (``assess=True`` of `reconstruct`).
    curve : Curve or None
        That correlation, told from below, with its standard error.
    weights : (N,) ndarray or None
        The weights of the views that `reconstruct` fitted (``weights="robust"`` or ``gain="fit"`` of `Dataset`), 0 for those
        that were left out. None if they were given.
    """

    x: NDArray
    lam: float
    nit: int
    status: str
    message: str
    history: list[dict[str, float]]
    voxel_size: Vector
    fit: float | None = None
    resolution: float | None = None
    curve: Curve | None = None
    weights: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        fit = "" if self.fit is None else f", fit {self.fit:.3g}"
        fine = "" if self.resolution is None else f", resolution {self.resolution:.3g}"
        where = f"{times(self.x.shape)}, voxels of {times(self.voxel_size)}"
        return f"<Result: {where}, lam {self.lam:.4g}{fit}{fine}, {self.nit} iterations: {self.message or 'running'}>"

    @property
    def success(self) -> bool:
        """Whether the solver converged."""
        return self.status == "converged"

    @property
    def was_cut_short(self) -> bool:
        """Whether ``cancel``, ``timeout`` or the callback stopped the solver."""
        return self.status in ("cancelled", "timeout", "callback")
