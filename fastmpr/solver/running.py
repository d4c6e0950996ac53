"""A solve in progress: it goes on until it ends, or until what it minimises is to change a little."""

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

_FINE = 1e-3  # a tolerance below which rounding to 16 bits could be seen in the residuals
_LOWER = 0.01  # times the penalties, to begin again with: `reports.movie`
_TOUCHY = 1 << 15  # voxels above which a solve's arrays fill a core's cache

Write = Callable[[NDArray, NDArray], Any]  # given a volume, fills the rhs that the data term has there


class Solve(Protocol):
    """A solve in progress, used in a ``with`` statement, which frees it."""

    def __enter__(self) -> Solve:
        """Return itself."""

    def __exit__(self, *_: Any) -> None:
        """Free what it takes."""

    def go_on(self, iterations: int | None = None) -> bool:
        """Do so many iterations more, by default until it ends; return whether it goes on after that."""

    def change(self, write: Write, x: NDArray | None = None) -> None:
        """Let the rhs that the data term has at a volume, by default at x as it is now, take the place of its own."""

    def volume(self) -> NDArray:
        """Return the volume as it is now."""

    def result(self) -> Result:
        """Return what came of it, which ends it; raise an error where it is not finite."""


def begin(data: Quadratic, lam: float, regularizer: Regularizer, until: Until, run: Run, x0: NDArray) -> Solve:
    """Begin a solve whose data term is to change."""
    if has_closed_form(regularizer):
        return Substituting(data, lam, regularizer, until, run)
    return Running(data, lam, regularizer, until, run, x0=x0)


class Running:
    """A `Solve` by ADMM, its buffers and its threads.

    Parameters
    ----------
    data : Quadratic
        With numbers that were checked.
    lam, regularizer, x0, mu, relaxation
        As in `fastmpr.solve`, all of them checked.
    until : Until
    run : Run
    split : Split, optional
        The data term that ``data`` is a part of.
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
        self._size = self.team.size if math.prod(data.shape) > _TOUCHY else 0
        self._data, self._x0, self._until, self._run = data, x0, until, run
        self._given = data, lam, regularizer, mu, relaxation, self.team, precise, run.positivity, split
        self.control: Control | None = None

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.control is not None:
            self.control.iteration.fft.free()

    def go_on(self, iterations: int | None = None) -> bool:
        """Do so many iterations more, by default until it ends; return whether it goes on after that."""
        with taking_turns(self._size, self._run.stop.is_set) as turn:
            control = self._begun(turn)
            last = None if iterations is None else control.nit + iterations
            self.team.run(lambda member: _loop(member, control, control.nit, last))
        return not control.status

    def again(self, slack: float) -> None:
        """Begin to count anew, with u and d as they are: what it minimises has changed a little, or all over by noise.

        Then the penalties are lowered for a while. It ends at residuals of ``slack`` times its tolerance: it is nearer its
        minimum than a solve from nothing at the same residuals.
        """
        assert self.control is not None
        iteration = self.control.iteration
        iteration.change_penalties(_LOWER * iteration.mu, _LOWER * iteration.mu2)
        until = Until(max(self._until.max_iter, 2), slack * self._until.tol)
        self.control = Control(iteration, until, self._run, self.control.turn)
        self.control.nit = 1  # begin with the u-step: x is there

    def change(self, write: Write, x: NDArray | None = None) -> None:
        """Let the rhs that the data term has at a volume, by default at x as it is now, take the place of its own.

        That is x before positivity clips it: what follows it must not be led astray by a clip.
        """
        assert self.control is not None
        _, ny, nx = self._data.shape
        write(self.control.iteration.fft.image[:, :ny, :nx] if x is None else x, self._data.rhs)

    def volume(self) -> NDArray:
        """Return the volume as it is now."""
        assert self.control is not None
        return self.control.iteration.volume()

    def result(self) -> Result:
        """Return what came of it, which ends it; raise an error where it is not finite."""
        assert self.control is not None
        return finite(self.control.result(last=True))

    def _begun(self, turn: Turn) -> Control:
        """Return the control, with a turn; its buffers are made when the first turn has come."""
        if self.control is None:
            iteration = Iteration(*self._given)
            self.control = Control(iteration, self._until, self._run, turn)
            if self._x0 is not None:
                iteration.start_from(self._x0)
        self.control.turn = turn
        return self.control


class Substituting:
    """A `Solve` where the minimiser has a closed form: a data term that changes calls for it again."""

    def __init__(self, data: Quadratic, lam: float, regularizer: ClosedForm, until: Until, run: Run):
        self._data, self._lam, self._regularizer, self._until, self._run = data, lam, regularizer, until, run
        self._nit, self._x = 0, np.zeros(data.shape, data.gram.dtype)

    def __enter__(self) -> Substituting:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def go_on(self, iterations: int | None = None) -> bool:
        """Minimise over the data term as it is."""
        self._nit += 1
        data = self._data
        self._x = self._regularizer.minimiser(data.gram, data.rhs, data.shape, self._lam, self._run.positivity)
        return iterations is not None and self._nit < self._until.max_iter and not self._run.stop.is_set()

    def change(self, write: Write, x: NDArray | None = None) -> None:
        """Let the rhs that the data term has at a volume, by default at the last one, take the place of its own."""
        write(self._x if x is None else x, self._data.rhs)

    def volume(self) -> NDArray:
        """Return the volume as it is now."""
        return self._x

    def result(self) -> Result:
        """Return what came of it."""
        result = closed_form(self._x, self._lam, self._data.voxel_size)
        if status := self._run.stop.status():
            return replace(result, nit=self._nit, status=status, message=WORDS[status])
        if self._nit < self._until.max_iter:
            return replace(result, nit=self._nit)
        message = f"stopped at max_iter = {self._until.max_iter} iterations"
        return replace(result, nit=self._nit, status="max_iter", message=message)


def closed_form(x: NDArray, lam: float, voxel_size: Vector) -> Result:
    """Return a minimiser that took no iterations."""
    return finite(Result(x, lam, 0, "converged", "closed form", [], voxel_size))


def threads_for(shape: Size, workers: int | None) -> int:
    """Return how many threads a solve takes: each has two planes or more."""
    return max(1, min(as_workers(workers, math.prod(shape)), shape[0] // 2))


def finite(result: Result) -> Result:
    """Return a result, or raise an error where it is none."""
    if not all(np.isfinite(plane).all() for plane in result.x):  # by planes: memory is at its peak
        size = f"lam = {result.lam:.3g}, {result.x.dtype}"
        raise ValueError(
            f"sums: found numbers out of range while solving ({size}), need a smaller lam, mu or intensities"
        )
    return result


def _loop(member: int, control: Control, done: int, last: int | None) -> None:
    """What each member of the team does: step, now and then check the residuals, and stop when the control says why."""
    iteration = control.iteration
    for nit in itertools.count(done + 1):
        if nit > 1:
            iteration.u_step(member)
            if member == 0:
                control.turn.offer()  # the others wait at the next barrier
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
