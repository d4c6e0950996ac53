"""Calls of one process take turns if together they want more threads than there are cores.

During its turn a call keeps its arrays in cache. If the system switched between all calls at once, they would evict one
another's arrays. Turns are short, and no call depends on having one: after a second of waiting without any change, a call
runs without a turn.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from .limits import available_workers

_TURN = 0.3  # seconds that a call may keep its cores while others wait
_CROWD = 2  # threads per core: while one call sets up or hands over, another one works
_PATIENCE = 1.0  # seconds without any change after which a call runs without a turn
_LOOK = 0.05  # seconds between two checks of a waiting call: each check takes the interpreter lock from working threads


class _Queue:
    """The calls that hold cores of this process, and the calls that wait, first come first served."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holders: WeakSet[Turn] = WeakSet()  # weak, since an interrupted call may not give its cores back
        self.waiting: deque[Turn] = deque()
        self.changed = time.monotonic()
        self.cores, self.counted = 1, -math.inf

    def serve(self) -> None:
        """Give turns to waiting calls as long as there are cores for the first; the caller holds the lock."""
        while self.waiting and self._has(self.waiting[0].size):
            turn = self.waiting.popleft()
            self.holders.add(turn)
            turn.began = self.changed = time.monotonic()
            turn.called.set()

    def _has(self, cores: int) -> bool:
        held = sum(turn.size for turn in self.holders)
        return held == 0 or held + cores <= _CROWD * self._cores()

    def _cores(self) -> int:
        """Return the number of cores, looked up at most once a second, since the look-up takes as long as an iteration."""
        if time.monotonic() > self.counted + 1:
            self.cores, self.counted = available_workers(), time.monotonic()
        return self.cores


_queue = _Queue()


def _forget_all() -> None:
    """Empty the queue in a forked child, which has no other threads."""
    global _queue
    _queue = _Queue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class Turn:
    """A call's place in the queue for cores.

    Parameters
    ----------
    size : int
        Number of threads of the call; 0 if the call is too small for a turn.
    unwanted : callable
        Returns true if the call should end; the call then does not wait.
    """

    def __init__(self, size: int, unwanted: Callable[[], Any]):
        self.size, self.unwanted, self.began = size, unwanted, 0.0
        self.called = threading.Event()

    def begin(self) -> None:
        """Wait for the cores."""
        if self.size == 0:
            return
        self.called.clear()
        with _queue.lock:
            _queue.waiting.append(self)
            _queue.serve()
        try:
            while not self.called.wait(_LOOK) and not self.unwanted() and time.monotonic() < _queue.changed + _PATIENCE:
                with _queue.lock:
                    _queue.serve()
        finally:
            with _queue.lock, suppress(ValueError):  # a call that got its turn is no longer in the list
                _queue.waiting.remove(self)

    def end(self) -> None:
        """Give the cores back."""
        with _queue.lock:
            if self in _queue.holders:
                _queue.holders.discard(self)
                _queue.changed = time.monotonic()
                _queue.serve()

    def offer(self) -> None:
        """Let other calls have a turn if this one has lasted long enough; called between two steps."""
        if _queue.waiting and self.size and time.monotonic() > self.began + _TURN:
            self.end()
            self.begin()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give the cores to other calls for the duration of a block, which may itself wait for these calls."""
        self.end()
        try:
            yield
        finally:
            self.begin()


@contextmanager
def taking_turns(size: int, unwanted: Callable[[], Any]) -> Iterator[Turn]:
    """Wait for a call's turn, and give the cores back however the block ends."""
    turn = Turn(size, unwanted)
    try:
        turn.begin()
        yield turn
    finally:
        turn.end()
