"""Control of a solve: check the residuals, fit the penalty parameters, and decide when to stop."""

from __future__ import annotations

import numpy as np

from ..runtime.queue import Turn
from ..runtime.stopping import WORDS
from .iteration import Iteration
from .options import Run, Until
from .penalties import EVERY, LAST
from .result import Result

_CHECK_EVERY = 10  # iterations between two checks of the residuals: a check costs about half an iteration


class Control:
    """Checks the residuals, adapts the penalty parameters, and decides when and why to stop.

    Each member of the team counts the iterations itself. The members wait for a decision only after iterations that may end
    the solve or change the penalty parameters.
    """

    def __init__(self, iteration: Iteration, until: Until, run: Run, turn: Turn):
        self.iteration, self.until, self.turn = iteration, until, turn
        self.callback, self.stop = run.callback, run.stop
        self.watched = run.callback is not None or run.stop.possible
        self.nit, self.converged, self.status, self.message = 0, False, "", ""
        self.history: list[dict[str, float]] = []

    def checks(self, nit: int) -> bool:
        """Return whether to check the residuals after an iteration, to stop or to report them."""
        return nit == self.until.max_iter or (nit % _CHECK_EVERY == 0 and self.until.tol > 0)

    def fits(self, nit: int) -> bool:
        """Return whether to fit the penalty parameters after an iteration."""
        return self.iteration.schedule is not None and nit % EVERY == 0 and nit <= LAST

    def decide(self, nit: int, check: bool) -> None:
        """Record the residuals after the x-step, fit the penalty parameters, and set ``status`` if the solve ends."""
        self.nit = nit
        if check:
            self._check()
        if self.fits(nit):
            self.iteration.fit()
        if self.converged:
            self._end("converged", f"converged: all residuals below tol = {self.until.tol:g} after {nit} iterations")
        elif nit == self.until.max_iter:
            self._end("max_iter", self._unfinished())
        elif status := self.stop.status():
            self._end(status, f"{WORDS[status]} after {nit} iterations")
        if self.callback is not None:
            try:
                with self.turn.lent():
                    self.callback(self.result())
            except StopIteration:
                self._end("callback", f"stopped by the callback after {nit} iterations")

    def _end(self, status: str, message: str) -> None:
        self.status, self.message = status, message

    def _check(self) -> None:
        iteration = self.iteration
        primal, dual = iteration.residuals()
        self.history.append({"nit": self.nit, "primal": primal, "dual": dual, "mu": iteration.mu, "mu2": iteration.mu2})
        self.converged = bool(np.max([primal, dual]) < self.until.tol)  # np.max propagates NaN

    def _unfinished(self) -> str:
        """Return the message for a solve that reaches ``max_iter``, with advice."""
        message = f"stopped at max_iter = {self.until.max_iter} iterations"
        if self.until.tol == 0:
            return message
        worst = max(self.history[-1]["primal"], self.history[-1]["dual"]) / self.until.tol
        return (
            f"{message}, residuals {worst:.2g} times tol: raise max_iter, or lower lam if it is too high for the noise"
        )

    def result(self, last: bool = False) -> Result:
        """Return the current volume and the record of the solve; after the ``last`` result the iteration cannot go on."""
        iteration = self.iteration
        return Result(
            x=iteration.volume(last),
            lam=iteration.lam,
            nit=self.nit,
            status=self.status,
            message=self.message,
            history=list(self.history),
            voxel_size=iteration.data.voxel_size,
        )
