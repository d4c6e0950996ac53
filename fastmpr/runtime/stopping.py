"""When a long call is to end before it is done: somebody's wish, or a deadline."""

from __future__ import annotations

import time
from typing import Any, Protocol

from .._validation import as_positive

WORDS = {"cancelled": "cancelled", "timeout": "stopped by the timeout"}  # that "after n iterations" may follow


class Event(Protocol):
    """What can be asked whether it has happened: a `threading.Event`, or anything like it."""

    def is_set(self) -> bool:
        """Return whether it has happened. Any thread may ask."""


class Cancelled(Exception):
    """A call was cancelled, or ran out of time, before it had anything to return.

    Attributes
    ----------
    status : {"cancelled", "timeout"}
        Which of the two.
    result : Result or None
        The last volume of a search that was cut short, if it had come to one.

    Examples
    --------
    >>> import threading
    >>> import numpy as np
    >>> import fastmpr
    >>> cancel = threading.Event()
    >>> cancel.set()
    >>> views, poses = np.ones((3, 8, 8, 8)), fastmpr.Poses.random(3, rng=0)
    >>> try:
    ...     fastmpr.average(views, poses=poses, cancel=cancel)
    ... except fastmpr.Cancelled as stopped:
    ...     print(stopped)
    average: cancelled
    """

    def __init__(self, message: str, status: str = "cancelled", result: Any = None):
        super().__init__(message)
        self.status, self.result = status, result

    def __reduce__(self) -> tuple[Any, ...]:
        return Cancelled, (str(self), self.status, self.result)


class Stop:
    """A wish and a deadline in one: an `Event` that has happened when either says so.

    Parameters
    ----------
    name : str
        Of the call, for the message of `Cancelled`.
    cancel : Event, optional
    timeout : float, optional
        Seconds from now.
    """

    def __init__(self, name: str, cancel: Event | None = None, timeout: float | None = None):
        self.name, self._cancel = name, cancel
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self.possible = cancel is not None or timeout is not None

    def status(self) -> str:
        """Return "cancelled" or "timeout" where the call is to stop, else nothing."""
        if isinstance(self._cancel, Stop):
            outer = self._cancel.status()
        else:
            outer = "cancelled" if self._cancel is not None and self._cancel.is_set() else ""
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return outer or ("timeout" if late else "")

    def is_set(self) -> bool:
        """Return whether to stop."""
        return bool(self.status())

    def check(self, when: str = "", result: Any = None) -> None:
        """Raise `Cancelled` where the call is to stop: in words that say when, and with the last volume, if there is one."""
        if self.possible and (status := self.status()):
            raise Cancelled(f"{self.name}: {WORDS[status]}{when}", status, result)


def as_stop(name: str, cancel: Any, timeout: Any) -> Stop:
    """Return what a call asks whether to go on; a `Stop` that is given for ``cancel`` is that of the call around."""
    if timeout is not None:
        timeout = as_positive(timeout, "timeout")
    if cancel is not None and not callable(getattr(cancel, "is_set", None)):
        raise TypeError(f"cancel: found {type(cancel).__name__}, need a threading.Event or anything with is_set()")
    return cancel if isinstance(cancel, Stop) and timeout is None else Stop(name, cancel, timeout)
