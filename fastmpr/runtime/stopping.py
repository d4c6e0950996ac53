"""Stop a long call early: by an event that the caller sets, or by a deadline."""

from __future__ import annotations

import time
from typing import Any, Protocol

from .._validation import as_positive

WORDS = {"cancelled": "cancelled", "timeout": "stopped by the timeout"}  # "after n iterations" may follow


class Event(Protocol):
    """A `threading.Event`, or any object with its ``is_set()``."""

    def is_set(self) -> bool:
        """Return whether the event has happened; any thread may call this."""


class Cancelled(Exception):
    """A call was cancelled or reached its timeout before it had a result to return.

    Attributes
    ----------
    status : {"cancelled", "timeout"}
        The reason.
    result : Result or None
        If a search was stopped, its last volume, or None if there is none yet.

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
    """An `Event` that combines the caller's event with a deadline: it happens when either of them does.

    Parameters
    ----------
    name : str
        Name of the call, for the message of `Cancelled`.
    cancel : Event, optional
    timeout : float, optional
        Seconds from now.
    """

    def __init__(self, name: str, cancel: Event | None = None, timeout: float | None = None):
        self.name, self._cancel = name, cancel
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self.possible = cancel is not None or timeout is not None

    def status(self) -> str:
        """Return "cancelled" or "timeout" if the call must stop, else an empty string."""
        if isinstance(self._cancel, Stop):
            outer = self._cancel.status()
        else:
            outer = "cancelled" if self._cancel is not None and self._cancel.is_set() else ""
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return outer or ("timeout" if late else "")

    def is_set(self) -> bool:
        """Return whether the call must stop."""
        return bool(self.status())

    def check(self, when: str = "", result: Any = None) -> None:
        """Raise `Cancelled` if the call must stop; ``when`` goes into the message, ``result`` is the last volume."""
        if self.possible and (status := self.status()):
            raise Cancelled(f"{self.name}: {WORDS[status]}{when}", status, result)


def as_stop(name: str, cancel: Any, timeout: Any) -> Stop:
    """Return the `Stop` of a call; if ``cancel`` is itself a `Stop`, it is that of the calling function."""
    if timeout is not None:
        timeout = as_positive(timeout, "timeout")
    if cancel is not None and not callable(getattr(cancel, "is_set", None)):
        raise TypeError(f"cancel: found {type(cancel).__name__}, need a threading.Event or anything with is_set()")
    return cancel if isinstance(cancel, Stop) and timeout is None else Stop(name, cancel, timeout)
