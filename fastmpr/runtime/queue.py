"""Calls of one process that want more threads than there are cores take turns.

Each then has its arrays in cache for a while; at every moment that the system cares to switch between them, all would push
one another out. Turns are short, and nobody depends on having one: who waits in vain for a second goes on without.
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
_CROWD = 2  # threads for each core: while one call sets up, or hands over, another works
_PATIENCE = 1.0  # seconds without any change after which a call goes on without
_LOOK = 0.05  # seconds between two looks whether to go on waiting: each takes the interpreter lock from those who work


class _Queue:
    """Who has cores of this process, and who waits for some, first come first served."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holders: WeakSet[Turn] = WeakSet()  # who ends without a word, by an interrupt, is forgotten
        self.waiting: deque[Turn] = deque()
        self.changed = time.monotonic()
        self.cores, self.counted = 1, -math.inf

    def serve(self) -> None:
        """With the lock: call those who wait, as long as there are cores for the first of them."""
        while self.waiting and self._has(self.waiting[0].size):
            turn = self.waiting.popleft()
            self.holders.add(turn)
            turn.began = self.changed = time.monotonic()
            turn.called.set()

    def _has(self, cores: int) -> bool:
        held = sum(turn.size for turn in self.holders)
        return held == 0 or held + cores <= _CROWD * self._cores()

    def _cores(self) -> int:
        """Return how many cores there are, looked up once a second: it takes as long as an iteration."""
        if time.monotonic() > self.counted + 1:
            self.cores, self.counted = available_workers(), time.monotonic()
        return self.cores


_queue = _Queue()


def _forget_all() -> None:
    """In a forked child: nobody else is there."""
    global _queue
    _queue = _Queue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class Turn:
    """One call's place among those that want cores.

    Parameters
    ----------
    size : int
        Threads that the call runs; 0 if they are not worth a turn.
    unwanted : callable
        Whether the call is to end: then it does not wait.
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
            with _queue.lock, suppress(ValueError):  # not there, if it was called
                _queue.waiting.remove(self)

    def end(self) -> None:
        """Give the cores back."""
        with _queue.lock:
            if self in _queue.holders:
                _queue.holders.discard(self)
                _queue.changed = time.monotonic()
                _queue.serve()

    def offer(self) -> None:
        """Between two steps: let others have a turn, where this one has lasted long enough."""
        if _queue.waiting and self.size and time.monotonic() > self.began + _TURN:
            self.end()
            self.begin()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let others have the cores while something else is done, which may even wait for them."""
        self.end()
        try:
            yield
        finally:
            self.begin()


@contextmanager
def taking_turns(size: int, unwanted: Callable[[], Any]) -> Iterator[Turn]:
    """Give a call its turn, and give the cores back however it ends."""
    turn = Turn(size, unwanted)
    try:
        turn.begin()
        yield turn
    finally:
        turn.end()
