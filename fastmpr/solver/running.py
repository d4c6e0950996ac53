"""A solve in progress: it goes on until it ends, or until what it minimises is to change a little."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Size
from ..regularizers import Regularizer, Tikhonov
from ..runtime.limits import check_memory
from ..runtime.queue import Turn, taking_turns
from ..runtime.stopping import Stop
from ..runtime.threads import Team, as_workers
from ..sums.normal_equations import NormalEquations
from ..sums.partial import PartialEquations
from .control import Control, Result
from .iteration import Iteration, bytes_needed
from .observed import Observed

EVERY = 1  # iterations after which sums that change do so
_FINE = 1e-3  # a tolerance below which rounding to 16 bits could be seen in the residuals
_LOWER = 0.01  # times the penalties, to begin again with: `benchmarks.movie`
_TOUCHY = 1 << 15  # voxels above which a solve's arrays fill a core's cache


class Running:
    """A solve, its buffers and its threads; used in a ``with`` statement, which frees them.

    Between two calls of `go_on`, the rhs of its ``sums`` may change.

    Parameters
    ----------
    sums : NormalEquations
        With numbers that were checked.
    lam, regularizer, x0, max_iter, tol, mu, relaxation, positivity, workers, callback
        As in `fastmpr.solve`, all of them checked.
    stop : Stop
    observed : Observed, optional
        The image that the sums stand for.
    """

    def __init__(
        self,
        sums: NormalEquations,
        lam: float,
        regularizer: Regularizer,
        stop: Stop,
        *,
        max_iter: int,
        tol: float,
        x0: NDArray | None = None,
        mu: float | tuple[float, float] | None = None,
        relaxation: float = 1.8,
        positivity: bool = True,
        workers: int | None = None,
        callback: Callable[[Result], Any] | None = None,
        observed: Observed | None = None,
    ):
        precise = mu is not None or 0 < tol < _FINE
        check_memory("sums", sums.shape, bytes_needed(sums.shape, sums.gram.dtype, regularizer, precise, positivity))
        self.team = Team(threads_for(sums.shape, workers))
        self.stop, self._size = stop, self.team.size if math.prod(sums.shape) > _TOUCHY else 0
        self.sums = sums
        self._given = sums, lam, regularizer, mu, relaxation, self.team, precise, positivity, observed
        self._x0, self._options = x0, (max_iter, tol, callback, stop)
        self.control: Control | None = None

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.control is not None:
            self.control.iteration.fft.free()

    def go_on(self, iterations: int | None = None) -> bool:
        """Do so many iterations more, by default until it ends; return whether it goes on after that."""
        with taking_turns(self._size, self.stop.is_set) as turn:
            control = self._begun(turn)
            last = None if iterations is None else control.nit + iterations
            self.team.run(lambda member: _loop(member, control, control.nit, last))
        return not control.message

    def again(self, slack: float) -> None:
        """Begin to count anew, with u and d as they are: what it minimises has changed a little, or all over by noise.

        Then the penalties are lowered for a while. It ends at residuals of ``slack`` times its tolerance: it is nearer its
        minimum than a solve from nothing at the same residuals.
        """
        assert self.control is not None
        iteration, (max_iter, tol, callback, stop) = self.control.iteration, self._options
        iteration.change_penalties(_LOWER * iteration.mu, _LOWER * iteration.mu2)
        self.control = Control(iteration, max(max_iter, 2), slack * tol, callback, stop, self.control.turn)
        self.control.nit = 1  # begin with the u-step: x is there

    def volume(self) -> NDArray:
        """Return the volume as it is now."""
        assert self.control is not None
        return self.control.iteration.volume()

    def iterate(self) -> NDArray:
        """Return x as it is now, negative where it is not there yet: what follows it must not be led astray by a clip."""
        assert self.control is not None
        _, ny, nx = self.sums.shape
        return self.control.iteration.fft.image[:, :ny, :nx]

    def result(self) -> Result:
        """Return what came of it, which ends it; raise an error where it is not finite."""
        assert self.control is not None
        return finite(self.control.result(last=True))

    def _begun(self, turn: Turn) -> Control:
        """Return the control, with a turn; its buffers are made when the first turn has come."""
        if self.control is None:
            iteration = Iteration(*self._given)
            self.control = Control(iteration, *self._options, turn)
            if self._x0 is not None:
                iteration.start_from(self._x0)
        self.control.turn = turn
        return self.control


class Substituting:
    """A solve like `Running`, where the minimiser has a closed form: sums that change call for it again."""

    def __init__(
        self,
        sums: NormalEquations,
        lam: float,
        regularizer: Tikhonov,
        stop: Stop,
        *,
        max_iter: int,
        positivity: bool = True,
    ):
        self.sums, self.lam, self.regularizer, self.stop, self._most = sums, lam, regularizer, stop, max_iter
        self.positivity = positivity
        self.nit, self.x = 0, np.zeros(sums.shape, sums.gram.dtype)

    def __enter__(self) -> Substituting:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def go_on(self, iterations: int | None = None) -> bool:
        """Minimise over the sums as they are."""
        self.nit, self.x = self.nit + 1, self.regularizer.minimiser(self.sums, self.lam, self.positivity)
        return iterations is not None and self.nit < self._most and not self.stop.is_set()

    def volume(self) -> NDArray:
        """Return the volume as it is now."""
        return self.x

    def iterate(self) -> NDArray:
        """Return the volume as it is now."""
        return self.x

    def result(self) -> Result:
        """Return what came of it."""
        stopped = self.stop.reason() or (
            "" if self.nit < self._most else f"stopped at max_iter = {self._most} iterations"
        )
        message = stopped or "closed form"
        return finite(Result(self.x, self.lam, self.nit, not stopped, message, [], self.sums.voxel_size))


def begun(sums: NormalEquations, lam: float, regularizer: Regularizer, stop: Stop, **options: Any) -> Any:
    """Return a solve that is to go on while its sums change: `Running` or `Substituting`."""
    if isinstance(regularizer, Tikhonov):
        given = {name: options[name] for name in ("max_iter", "positivity") if name in options}
        return Substituting(sums, lam, regularizer, stop, **given)
    return Running(sums, lam, regularizer, stop, **options)


def solve_near(
    equations: PartialEquations, lam: float, regularizer: Regularizer, stop: Stop, x0: NDArray | None, **options: Any
) -> Result:
    """Minimise what `PartialEquations` guess of the data term, and the prior; from the volume that they are exact at."""
    x0 = equations.x if x0 is None else x0
    with begun(equations.near(x0), lam, regularizer, stop, x0=x0, **options) as running:
        while running.go_on(EVERY):
            equations.move(running.sums, running.iterate())
        return running.result()


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
    """What each member of the team does: step, now and then check the residuals, and stop when the control has a message."""
    iteration = control.iteration
    for nit in itertools.count(done + 1):
        if nit > 1:
            iteration.u_step(member)
            if member == 0:
                control.turn.offer()  # the others wait at the next barrier
            if iteration.observed is not None:
                iteration.observed.follow(iteration.fft, nit, member)
        check, fit = control.checks(nit), control.fits(nit)
        iteration.x_step(member, check or fit)
        if check:
            iteration.measure(member)
        if check or fit or control.watched or nit == last:
            if member == 0:
                control.decide(nit, check)
            iteration.team.barrier(member)
            if control.message or nit == last:
                return
