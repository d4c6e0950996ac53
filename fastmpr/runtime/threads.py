"""The number of threads of a call, and a team of threads that runs one function in parallel.

The kernels are serial and release the GIL, as do FFTW's one-thread plans. A team of Python threads runs both on disjoint
parts of the arrays. Numba's and FFTW's own thread pools are not used. So the settings of the host program stay as they are,
any number of solves can run at once, a fork is harmless, and no thread waits for a core that the idle thread of another pool
keeps busy.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from itertools import repeat
from typing import Any

import numpy as np

from .._validation import as_count
from ..kernels.barrier import LINE, meet
from .limits import available_workers

_SHARE = 1 << 14  # voxels; see `python -m benchmarks.reports.scaling`
_MOST = 128  # threads, unless the process may use more cores: more threads mostly wait for one another
_SPINS = 20_000  # about 50 microseconds: longer than a phase's imbalance, shorter than the system's time slice
_NAP = 0.005  # seconds between two checks whether to stop, in a waiting thread


def as_workers(workers: int | None, voxels: int) -> int:
    """Return the number of threads of a call: ``workers``, or all that the process may use, but fewer for small tasks.

    With fewer than `_SHARE` voxels per thread, starting and joining threads takes longer than the work.
    """
    useful = max(1, voxels // _SHARE)
    if workers is not None:
        return min(as_count(workers, "workers"), useful, max(_MOST, available_workers()))
    return min(available_workers(), useful) if useful > 1 else 1


def _taken_lock() -> Any:
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


def _forget_this_thread() -> None:
    """Remove this thread's dummy entry, which `threading.current_thread` makes and Python before 3.12 keeps forever."""
    known = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    if isinstance(known, threading._DummyThread):
        threading._active.pop(threading.get_ident(), None)  # type: ignore[attr-defined]


class TeamBroken(RuntimeError):
    """Another member of the team has failed, so this member stops."""


class Crew:
    """Threads of a team that go through the phases of one task together.

    Parameters
    ----------
    size : int
        Number of members.
    team : Team, optional
        A failure in this team ends the wait at a barrier.
    """

    def __init__(self, size: int, team: Team | None = None):
        self.size, self._team = size, team
        self._flags = np.zeros(size * LINE, np.int64)
        self._generations = [0] * size
        self._patience = [_SPINS] * size
        self._asleep: dict[int, Any] = {}

    def check(self) -> None:
        """Raise an error if a member of the team has failed; called between two items of the work."""
        if self._team is not None:
            self._team.check()

    def barrier(self, member: int) -> None:
        """Wait until every member has come here: spin for a moment without the interpreter lock, then sleep.

        Waking up takes long, but spinning takes the core that the awaited member may need. So a member that spun in vain
        spins for less time at the next barrier.
        """
        if self.size == 1:
            return
        self._generations[member] += 1
        if self._have_met(member, self._patience[member]):
            self._patience[member] = min(2 * self._patience[member], _SPINS)
            return
        self._patience[member] = max(self._patience[member] // 2, 1)
        self._sleep(member)

    def _have_met(self, member: int, patience: int) -> bool:
        met = meet(self._flags, self.size, member, self._generations[member], patience)
        if met and self._asleep:  # the last member to arrive wakes the others
            for sleeper in range(self.size):
                if alarm := self._asleep.pop(sleeper, None):
                    alarm.release()
        return met

    def _sleep(self, member: int) -> None:
        """Sleep until the last member arrives.

        No wake-up is lost, since a thread that holds the interpreter lock sees all writes of its previous holders: either
        the last member sees that this one sleeps, or this one sees that all have arrived.
        """
        while True:
            alarm = self._asleep[member] = _taken_lock()
            if self._have_met(member, 0):
                return
            alarm.acquire(timeout=_NAP)
            self.check()

    def share(self, count: int, member: int) -> tuple[int, int]:
        """Return the first and one past the last of ``count`` items that belong to a member."""
        return count * member // self.size, count * (member + 1) // self.size


class Team(Crew):
    """Threads that run one function at the same time, each on its own share.

    Parameters
    ----------
    size : int
        Number of members; member 0 is the thread that calls `run`.
    wanted : callable, optional
        Raises an error when the work is no longer wanted; `check` calls it, in any member.

    Examples
    --------
    >>> from fastmpr.runtime.threads import Team
    >>> squares = [0, 0]
    >>> def work(member):
    ...     squares[member] = (member + 1) ** 2
    >>> Team(2).run(work)
    >>> squares
    [1, 4]
    """

    def __init__(self, size: int, wanted: Callable[[], None] = lambda: None):
        super().__init__(size)
        self._failed, self._wanted = False, wanted

    def run(self, work: Callable[[int], Any]) -> None:
        """Call ``work(member)`` in every member and return when all are done; the first error is raised here."""
        errors: list[BaseException] = []
        finished: list[int] = []

        def fail(error: BaseException) -> None:
            self._failed = True  # releases members that wait at a barrier
            errors.append(error)

        def guarded(member: int) -> None:
            try:
                work(member)
            except BaseException as error:  # any error must reach the caller's thread
                fail(error)

        def thread(member: int, running: Any) -> None:
            guarded(member)
            _forget_this_thread()
            finished.append(member)
            running.release()

        self._failed = False
        started: list[int] = []
        locks = [_taken_lock() for _ in range(1, self.size)]
        try:
            # One call in C: an interrupt comes before or after it, so the list of started threads is right.
            started.extend(map(_thread.start_new_thread, repeat(thread), list(enumerate(locks, 1))))
            guarded(0)
        except BaseException as error:  # the system's limit of threads, or Ctrl-C between two lines
            fail(error)
        for member, running in enumerate(locks[: len(started)], 1):
            while member not in finished:
                try:
                    running.acquire()
                except BaseException as error:
                    fail(error)
        if errors:
            self._flags[:] = 0
            self._generations = [0] * self.size
            self._asleep.clear()
            first = next((e for e in errors if not isinstance(e, TeamBroken)), errors[0])
            errors.clear()  # the traceback refers to this list, which would keep the buffers of all members alive
            try:
                raise first
            finally:
                del first

    def check(self) -> None:
        """Raise an error if another member has failed or the work is no longer wanted; called between two items."""
        if self._failed:
            raise TeamBroken("another thread of this call has failed")
        self._wanted()

    def crews(self, count: int) -> list[Crew]:
        """Split the team into ``count`` crews of nearly equal size; the first members are the first crew."""
        sizes = np.diff([self.size * k // count for k in range(count + 1)]).tolist()
        return [Crew(size, self) for size in sizes]
