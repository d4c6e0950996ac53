"""How a solve runs, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .._messages import Progress
from .._validation import as_count, as_flag, as_number, shown
from ..runtime.stopping import Stop


@dataclass(frozen=True)
class Until:
    """When a solve ends by itself: after so many iterations, or at residuals below a tolerance."""

    max_iter: int
    tol: float


@dataclass(frozen=True)
class Run:
    """How all solves of a call run.

    Attributes
    ----------
    workers : int, optional
        Threads at most.
    positivity : bool
        Whether volumes are nowhere negative.
    callback : callable, optional
        Called after every iteration with the `Result` so far.
    stop : Stop
        When the call is to end.
    """

    workers: int | None = None
    positivity: bool = True
    callback: Callable[[Any], Any] | None = None
    stop: Stop = field(default_factory=lambda: Stop("solve"))


class SolveOptions(TypedDict, total=False):
    """Keywords of `solve` that searches for lam pass on to it."""

    max_iter: int
    tol: float
    mu: float | tuple[float, float] | None
    relaxation: float
    positivity: bool
    workers: int | None
    deterministic: bool
    callback: Callable[[Any], Any] | None


def as_until(max_iter: Any, tol: Any) -> Until:
    """Return when to end, or raise an error."""
    return Until(as_count(max_iter, "max_iter"), as_number(tol, "tol", 0, 1, "a number from 0 to 1"))


def as_run(workers: Any, positivity: Any, callback: Any, stop: Stop) -> Run:
    """Return how to run, or raise an error; the number of threads is checked where they are counted."""
    return Run(workers, as_flag(positivity, "positivity"), as_callback(callback), stop)


def as_callback(callback: Any, name: str = "callback") -> Callable[[Any], Any] | None:
    """Return what is to be called with what was found, if anything."""
    if callback is not None and not callable(callback):
        raise TypeError(f"{name}: found {shown(callback)}, need a callable(result)")
    return callback


def counting(callback: Callable[[Any], Any] | None, tell: Progress | None) -> Callable[[Any], Any] | None:
    """Return a callback that also tells how many iterations are done, those that chose lam included."""
    if tell is None:
        return callback
    done = 0

    def count(intermediate_result: Any) -> None:
        nonlocal done
        done += 1
        tell("iterations", done, None)
        if callback is not None:
            callback(intermediate_result)

    return count
