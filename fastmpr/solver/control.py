"""When a solve ends, and what it returns: the residuals are checked now and then, and the penalties fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from ..runtime.queue import Turn
from ..runtime.stopping import Stop
from .iteration import Iteration
from .penalties import EVERY, LAST

_CHECK_EVERY = 10  # iterations between two checks of the residuals; a check costs about half an iteration


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
    success : bool
        Whether the residuals fell below the tolerance.
    message : str
        Why the solver stopped.
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
    success: bool
    message: str
    history: list[dict[str, float]]
    voxel_size: Vector
    fit: float | None = None


class Control:
    """Checks the residuals, adapts the penalty parameters, and decides when and why to stop.

    Members of the team keep in step by counting for themselves; they wait for a decision only where one may fall.
    """

    def __init__(self, iteration: Iteration, max_iter: int, tol: float, callback: Any, stop: Stop, turn: Turn):
        self.iteration, self.max_iter, self.tol = iteration, max_iter, tol
        self.callback, self.stop, self.turn = callback, stop, turn
        self.watched = callback is not None or stop.possible
        self.nit, self.converged, self.message = 0, False, ""
        self.history: list[dict[str, float]] = []

    def checks(self, nit: int) -> bool:
        """Return whether to check the residuals of an iteration: to stop or to report."""
        return nit == self.max_iter or (nit % _CHECK_EVERY == 0 and self.tol > 0)

    def fits(self, nit: int) -> bool:
        """Return whether to fit the penalty parameters after an iteration."""
        return self.iteration.schedule is not None and nit % EVERY == 0 and nit <= LAST

    def decide(self, nit: int, check: bool) -> None:
        """After the x-step of an iteration: take note of the residuals, adapt, fill ``message`` if it is the last."""
        self.nit = nit
        if check:
            self._check()
        if self.fits(nit):
            self.iteration.fit()
        if self.converged:
            self.message = f"converged: all residuals below tol = {self.tol:g} after {nit} iterations"
        elif nit == self.max_iter:
            self.message = self._unfinished()
        elif reason := self.stop.reason():
            self.message = f"{reason} after {nit} iterations"
        if self.callback is not None:
            try:
                with self.turn.lent():
                    self.callback(self.result())
            except StopIteration:
                self.message = f"stopped by the callback after {nit} iterations"

    def _check(self) -> None:
        iteration = self.iteration
        primal, dual = iteration.residuals()
        self.history.append({"nit": self.nit, "primal": primal, "dual": dual, "mu": iteration.mu, "mu2": iteration.mu2})
        self.converged = bool(np.max([primal, dual]) < self.tol)  # which NaN is not, and max would skip it

    def _unfinished(self) -> str:
        """Return what to say, and to advise, where the iterations are used up."""
        message = f"stopped at max_iter = {self.max_iter} iterations"
        if self.tol == 0:
            return message
        worst = max(self.history[-1]["primal"], self.history[-1]["dual"]) / self.tol
        return f"{message}, residuals {worst:.2g} times tol: raise max_iter, or lower a lam far above what noise allows"

    def result(self, last: bool = False) -> Result:
        """Return the volume as it is now, and what is known of it; after the ``last`` one the iteration is spent."""
        iteration = self.iteration
        return Result(
            x=iteration.volume(last),
            lam=iteration.lam,
            nit=self.nit,
            success=self.converged,
            message=self.message,
            history=list(self.history),
            voxel_size=iteration.sums.voxel_size,
        )
