"""Messages besides a result: likely mistakes as warnings, assumptions in the log, and progress."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from ._validation import shown

log = logging.getLogger("fastmpr")
_LISTENING: ContextVar[tuple[list[str], ...]] = ContextVar("_LISTENING", default=())

Progress = Callable[[str, int, int | None], object]
Phases = Mapping[str, tuple[float, float, int]]


class FastmprWarning(UserWarning):
    """A likely mistake; the message tells what was found, why it looks wrong, and what to do."""


def warn(message: str) -> None:
    """Issue a warning, attributed to the first caller outside of this package."""
    for said in _LISTENING.get():
        said.append(message)
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, FastmprWarning, stacklevel=level)


@contextmanager
def hearing() -> Iterator[list[str]]:
    """Yield a list that receives what is warned of while the block lasts, whether it is shown or not."""
    said: list[str] = []
    token = _LISTENING.set((*_LISTENING.get(), said))
    try:
        yield said
    finally:
        _LISTENING.reset(token)


@contextmanager
def telling(progress: bool | Progress | None) -> Iterator[Progress | None]:
    """Yield the function that receives progress, None if the caller wants none.

    Its arguments are the counted noun, the number done, and the number in all (None if unknown). True shows a bar for each
    noun.
    """
    if progress is None or progress is False:
        yield None
    elif progress is True:
        with ExitStack() as bars:
            yield _bars(bars)
    elif callable(progress):
        yield progress
    else:
        raise TypeError(f"progress: found {shown(progress)}, need True, False or a callable(what, done, total)")


def _bars(stack: ExitStack) -> Progress:
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError('progress=True needs tqdm: pip install "fastmpr[cli]"') from None
    bars: dict[str, Any] = {}

    def tell(what: str, done: int, total: int | None) -> None:
        if what not in bars:
            bars[what] = stack.enter_context(tqdm(total=total, desc=what, leave=False))
        bars[what].total = total
        bars[what].update(done - bars[what].n)

    return tell


class Count:
    """One count over all steps of a long call, whatever each step counts on its own; the share that is done never falls.

    Parameters
    ----------
    tell : callable, optional
        Receives the progress.
    what : str
        What is counted.
    """

    def __init__(self, tell: Progress | None, what: str):
        self._tell, self._what = tell, what
        self._total = self._before = self._done = 0

    def expect(self, work: int) -> None:
        """Add work to the total before any is done, in any unit; work below 0 need not be done after all."""
        self._total += work

    def step(self, work: int, phases: Phases) -> Progress | None:
        """Return the function that receives the progress of the next step.

        Parameters
        ----------
        work : int
            Of this step.
        phases : mapping
            For each noun that the step counts: from which share of its work to which this phase goes, and how many it
            counts if it does not say how many. Other nouns are ignored.
        """
        if self._tell is None:
            return None

        def tell(what: str, done: int, total: int | None) -> None:
            if what in phases:
                first, last, usual = phases[what]
                share = first + (last - first) * min(done / (total or usual), 1.0)
                self._reach(self._before + int(work * share))

        return tell

    def end(self, work: int) -> None:
        """Count a step as done."""
        self._before += work
        self._reach(self._before)

    def _reach(self, done: int) -> None:
        if self._tell is not None and done > self._done:
            self._done = done
            self._tell(self._what, done, self._total)
