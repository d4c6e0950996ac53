"""Options of a solve: how it runs, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .._messages import Progress
from .._validation import as_count, as_flag, as_number, shown
from ..runtime.stopping import Stop


@dataclass(frozen=True)
class Until:
    """When a solve ends by itself: after ``max_iter`` iterations, or when the residuals are below ``tol``."""

    max_iter: int
    tol: float


@dataclass(frozen=True)
class Run:
    """How all solves of a call run.

    Attributes
    ----------
    workers : int, optional
        Maximum number of threads.
    positivity : bool
        Whether volumes must not be negative.
    callback : callable, optional
        Called after every iteration with the current `Result`.
    stop : Stop
        Whether the call is cancelled or out of time.
    """

    workers: int | None = None
    positivity: bool = True
    callback: Callable[[Any], Any] | None = None
    stop: Stop = field(default_factory=lambda: Stop("solve"))


class SolveOptions(TypedDict, total=False):
    """The keywords that a search for lam passes on to `solve`."""

    max_iter: int
    tol: float
    mu: float | tuple[float, float] | None
    relaxation: float
    positivity: bool
    workers: int | None
    deterministic: bool
    callback: Callable[[Any], Any] | None


def as_until(max_iter: Any, tol: Any) -> Until:
    """Return the checked `Until`, or raise an error."""
    return Until(as_count(max_iter, "max_iter"), as_number(tol, "tol", 0, 1, "a number from 0 to 1"))


def as_run(workers: Any, positivity: Any, callback: Any, stop: Stop) -> Run:
    """Return the checked `Run`, or raise an error; `as_workers` checks the number of threads later."""
    return Run(workers, as_flag(positivity, "positivity"), as_callback(callback), stop)


def as_callback(callback: Any, name: str = "callback") -> Callable[[Any], Any] | None:
    """Return a callback or None, or raise an error."""
    if callback is not None and not callable(callback):
        raise TypeError(f"{name}: found {shown(callback)}, need a callable(result)")
    return callback


def counting(callback: Callable[[Any], Any] | None, tell: Progress | None) -> Callable[[Any], Any] | None:
    """Return a callback that also reports the number of iterations done, including those of the search for lam."""
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
