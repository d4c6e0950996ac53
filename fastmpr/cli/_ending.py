"""How a command ends before its work is done: by Ctrl-C, by SIGTERM or by --timeout, with the volume so far."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from ..runtime.stopping import Cancelled
from ._arguments import positive

UNFINISHED = 3  # exit status: there is a volume, which has not converged
_STATUS = """\
exit status: 0 when done; 2 after an error; 3 if what was written has not converged, or --timeout came first;
130 after Ctrl-C and 143 after SIGTERM: both write the volume so far, if there is one. A second Ctrl-C ends at once."""
_TWICE = 1.0  # seconds: sooner it is the same signal, which a program in between has passed on


class Interrupted(KeyboardInterrupt):
    """A signal ends the command.

    Attributes
    ----------
    signal : int
        Its number.
    """

    def __init__(self, number: int):
        super().__init__()
        self.signal = number

    @property
    def word(self) -> str:
        """What to say."""
        return "interrupted" if self.signal == signal.SIGINT else "terminated"


class Ending:
    """Signals and a timeout as a long call takes them: ``cancel=ending, timeout=ending.left``.

    Within its block the first signal ends the call, and the command goes on to write what came of it.

    Parameters
    ----------
    timeout : float or None
        Seconds from now.
    """

    def __init__(self, timeout: float | None):
        self._timeout, self._start = timeout, time.monotonic()
        self._signal: int | None = None
        self._when = 0.0

    def __enter__(self) -> Self:
        self._handled = handled(self._take, signal.SIGINT, signal.SIGTERM)
        self._handled.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._handled.__exit__(None, None, None)
        if isinstance(error, Cancelled):
            if self._signal is not None:
                raise Interrupted(self._signal) from error
            found = f"found {self._timeout:g} seconds, which end before there is a volume"
            raise ValueError(f"--timeout: {found} ({error}), need more") from error

    def is_set(self) -> bool:
        """Return whether a signal has come."""
        return self._signal is not None

    @property
    def left(self) -> float | None:
        """Seconds until the timeout, more than 0; None without one."""
        return None if self._timeout is None else max(self._start + self._timeout - time.monotonic(), 1e-3)

    @property
    def has_come(self) -> bool:
        """Whether a signal has come, or the time is over."""
        over = self._timeout is not None and time.monotonic() >= self._start + self._timeout
        return self.is_set() or over

    def status(self, done: bool) -> int:
        """Return the exit status once all is written, or raise `Interrupted`."""
        if not done and self._signal is not None:
            raise Interrupted(self._signal)
        return 0 if done else UNFINISHED

    def _take(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._signal is None:
            self._signal, self._when = number, now
        elif number == signal.SIGINT and now > self._when + _TWICE:
            raise Interrupted(number)


def is_done(status: str, tol: float) -> bool:
    """Return whether all that was asked for is done: convergence, or with tol 0 all iterations."""
    return status == "converged" or (status == "max_iter" and tol == 0)


def add_ending(command: Any) -> None:
    """Add --timeout, and to the description what the exit status tells."""
    text = "end after so many seconds, with the volume so far (default: never)"
    command.add_argument("--timeout", type=positive, metavar="SECONDS", help=text)
    command.description += f"\n\n{_STATUS}"


def interrupt(number: int, frame: Any) -> None:
    """Handle a signal as Python handles Ctrl-C: what is half written is removed on the way out."""
    raise Interrupted(number)


@contextmanager
def handled(handler: Callable[[int, Any], None], *numbers: int) -> Iterator[None]:
    """Let a function handle signals while the block lasts; those that are ignored, as under nohup, stay ignored."""
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():  # no other may
            for number in numbers:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
