"""A solve in progress, which can pause so that its data term may change a little."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, Vector
from ..regularizers import ClosedForm, Regularizer, has_closed_form
from ..runtime.limits import check_memory
from ..runtime.queue import Turn, taking_turns
from ..runtime.stopping import WORDS
from ..runtime.threads import Team, as_workers
from .control import Control
from .iteration import Iteration, bytes_needed
from .options import Run, Until
from .quadratic import Quadratic, Split
from .result import Result

_FINE = 1e-3  # tolerance below which rounding to 16 bits could affect the residuals
_LOWER = 0.01  # factor on the penalties at a restart: `reports.movie`
_CACHED = 1 << 15  # voxels up to which the arrays of a solve fit in the cache of a core

Write = Callable[[NDArray, NDArray], Any]  # write(x, rhs) fills rhs with the rhs of the data term at the volume x


class Solve(Protocol):
    """A solve in progress, for use in a ``with`` statement, which frees its buffers."""

    def __enter__(self) -> Solve:
        """Return the solve itself."""

    def __exit__(self, *_: Any) -> None:
        """Free the buffers."""

    def go_on(self, iterations: int | None = None) -> bool:
        """Do more iterations, by default until the solve ends; return False once it has ended."""

    def change(self, write: Write, x: NDArray | None = None) -> None:
        """Replace the rhs of the data term by the one at a volume, by default at the current x."""

    def volume(self) -> NDArray:
        """Return the current volume."""

    def result(self) -> Result:
        """End the solve and return its result; raise an error if the volume is not finite."""


def begin(data: Quadratic, lam: float, regularizer: Regularizer, until: Until, run: Run, x0: NDArray) -> Solve:
    """Return a solve whose data term may change; no iteration is done yet."""
    if has_closed_form(regularizer):
        return ClosedFormSolve(data, lam, regularizer, until, run)
    return Running(data, lam, regularizer, until, run, x0=x0)


class Running:
    """A `Solve` by ADMM, with its buffers and threads.

    Parameters
    ----------
    data : Quadratic
        The data term, with numbers that are already checked.
    lam, regularizer, x0, mu, relaxation
        As in `fastmpr.solve`, already checked.
    until : Until
        When the solve ends.
    run : Run
        How the solve runs.
    split : Split, optional
        The data term of which ``data`` is a part, if H x is a split variable.
    """

    def __init__(
        self,
        data: Quadratic,
        lam: float,
        regularizer: Regularizer,
        until: Until,
        run: Run,
        *,
        x0: NDArray | None = None,
        mu: float | tuple[float, float] | None = None,
        relaxation: float = 1.8,
        split: Split | None = None,
    ):
        precise = mu is not None or 0 < until.tol < _FINE
        check_memory(
            "sums", data.shape, bytes_needed(data.shape, data.gram.dtype, regularizer, precise, run.positivity)
        )
        self.team = Team(threads_for(data.shape, run.workers))
        self._size = self.team.size if math.prod(data.shape) > _CACHED else 0
        self._data, self._x0, self._until, self._run = data, x0, until, run
        self._given = data, lam, regularizer, mu, relaxation, self.team, precise, run.positivity, split
        self.control: Control | None = None

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.control is not None:
            self.control.iteration.fft.free()

    def go_on(self, iterations: int | None = None) -> bool:
        """Do more iterations, by default until the solve ends; return False once it has ended."""
        with taking_turns(self._size, self._run.stop.is_set) as turn:
            control = self._control_with(turn)
            last = None if iterations is None else control.nit + iterations
            self.team.run(lambda member: _loop(member, control, control.nit, last))
        return not control.status

    def restart(self, slack: float) -> None:
        """Count iterations anew from the current u and d, after a small change of the data term, or new noise everywhere.

        The penalties are lowered for a while. The solve ends at residuals of ``slack`` times the tolerance, because after a
        restart the volume is nearer to the minimum than a solve from zeros is at the same residuals.
        """
        assert self.control is not None
        iteration = self.control.iteration
        iteration.change_penalties(_LOWER * iteration.mu, _LOWER * iteration.mu2)
        until = Until(max(self._until.max_iter, 2), slack * self._until.tol)
        self.control = Control(iteration, until, self._run, self.control.turn)
        self.control.nit = 1  # start with the u-step, since x exists

    def change(self, write: Write, x: NDArray | None = None) -> None:
        """Replace the rhs of the data term by the one at a volume, by default at the current x.

        The current x is used before positivity clips it, so that clipping does not distort the data term.
        """
        assert self.control is not None
        _, ny, nx = self._data.shape
        write(self.control.iteration.fft.image[:, :ny, :nx] if x is None else x, self._data.rhs)

    def volume(self) -> NDArray:
        """Return the current volume."""
        assert self.control is not None
        return self.control.iteration.volume()

    def result(self) -> Result:
        """End the solve and return its result; raise an error if the volume is not finite."""
        assert self.control is not None
        return finite(self.control.result(last=True))

    def _control_with(self, turn: Turn) -> Control:
        """Return the control with the current time slice; the first time slice allocates the buffers."""
        if self.control is None:
            iteration = Iteration(*self._given)
            self.control = Control(iteration, self._until, self._run, turn)
            if self._x0 is not None:
                iteration.start_from(self._x0)
        self.control.turn = turn
        return self.control


class ClosedFormSolve:
    """A `Solve` whose minimiser has a closed form, which is computed again after each change of the data term."""

    def __init__(self, data: Quadratic, lam: float, regularizer: ClosedForm, until: Until, run: Run):
        self._data, self._lam, self._regularizer, self._until, self._run = data, lam, regularizer, until, run
        self._nit, self._x = 0, np.zeros(data.shape, data.gram.dtype)

    def __enter__(self) -> ClosedFormSolve:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def go_on(self, iterations: int | None = None) -> bool:
        """Compute the minimiser for the current data term; return whether the solve goes on."""
        self._nit += 1
        data = self._data
        self._x = self._regularizer.minimiser(data.gram, data.rhs, data.shape, self._lam, self._run.positivity)
        return iterations is not None and self._nit < self._until.max_iter and not self._run.stop.is_set()

    def change(self, write: Write, x: NDArray | None = None) -> None:
        """Replace the rhs of the data term by the one at a volume, by default at the current one."""
        write(self._x if x is None else x, self._data.rhs)

    def volume(self) -> NDArray:
        """Return the current volume."""
        return self._x

    def result(self) -> Result:
        """Return the result; raise an error if the volume is not finite."""
        result = closed_form(self._x, self._lam, self._data.voxel_size)
        if status := self._run.stop.status():
            return replace(result, nit=self._nit, status=status, message=WORDS[status])
        if self._nit < self._until.max_iter:
            return replace(result, nit=self._nit)
        message = f"stopped at max_iter = {self._until.max_iter} iterations"
        return replace(result, nit=self._nit, status="max_iter", message=message)


def closed_form(x: NDArray, lam: float, voxel_size: Vector) -> Result:
    """Return the result of a solve in closed form, without iterations."""
    return finite(Result(x, lam, 0, "converged", "closed form", [], voxel_size))


def threads_for(shape: Size, workers: int | None) -> int:
    """Return the number of threads of a solve, each with at least two planes."""
    return max(1, min(as_workers(workers, math.prod(shape)), shape[0] // 2))


def finite(result: Result) -> Result:
    """Return the result, or raise an error if its volume is not finite."""
    if not all(np.isfinite(plane).all() for plane in result.x):  # by planes, to save memory at the peak
        size = f"lam = {result.lam:.3g}, {result.x.dtype}"
        raise ValueError(
            f"sums: found numbers out of range while solving ({size}), need a smaller lam, mu or smaller intensities"
        )
    return result


def _loop(member: int, control: Control, done: int, last: int | None) -> None:
    """Run the iterations of one member of the team, until the control sets a status or ``last`` is reached."""
    iteration = control.iteration
    for nit in itertools.count(done + 1):
        if nit > 1:
            iteration.u_step(member)
            if member == 0:
                control.turn.offer()  # the other members wait at the next barrier
            if iteration.split is not None:
                iteration.split.follow(iteration.fft, nit, member)
        check, fit = control.checks(nit), control.fits(nit)
        iteration.x_step(member, check or fit)
        if check:
            iteration.measure(member)
        if check or fit or control.watched or nit == last:
            if member == 0:
                control.decide(nit, check)
            iteration.team.barrier(member)
            if control.status or nit == last:
                return
