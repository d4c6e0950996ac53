"""What a solve returns."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from .._validation import Vector, times


@dataclass
class Result:
    """What `solve` and `reconstruct` return, under scipy's names.

    Attributes
    ----------
    x : (nz, ny, nx) ndarray
        The volume; nowhere negative, but with ``positivity=False``.
    lam : float
        The weight of the data term that was used.
    nit : int
        Iterations done.
    status : {"converged", "max_iter", "cancelled", "timeout", "callback"}
        Why the solver stopped: the residuals fell below the tolerance, the iterations were used up, somebody set ``cancel``,
        ``timeout`` was over, or the callback raised StopIteration. Empty while it runs.
    message : str
        The same in words, with figures.
    history : list of dict
        One entry per check of the residuals: ``nit``, ``primal`` and ``dual`` (normalised, see `solve`), ``mu``, ``mu2``.
    voxel_size : (z, y, x)
        Voxel of ``x``, in the unit of the views' (1, 1, 1 where none is known).
    fit : float or None
        How well the volume explains the views it was made of: what is left of them over their noise, about 1 where it does
        (`reconstruct`). None where that was not looked at.
    """

    x: NDArray
    lam: float
    nit: int
    status: str
    message: str
    history: list[dict[str, float]]
    voxel_size: Vector
    fit: float | None = None

    def __repr__(self) -> str:
        fit = "" if self.fit is None else f", fit {self.fit:.3g}"
        where = f"{times(self.x.shape)}, voxels of {times(self.voxel_size)}"
        return f"<Result: {where}, lam {self.lam:.4g}{fit}, {self.nit} iterations: {self.message or 'running'}>"

    @property
    def success(self) -> bool:
        """Whether it converged."""
        return self.status == "converged"

    @property
    def was_cut_short(self) -> bool:
        """Whether somebody ended it before its time: by ``cancel``, ``timeout`` or the callback."""
        return self.status in ("cancelled", "timeout", "callback")
