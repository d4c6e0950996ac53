"""What was learnt of a sequence of particles as it was read: all selections from it share that."""

from __future__ import annotations

import os
from contextlib import nullcontext
from threading import Lock
from typing import Any
from weakref import WeakSet

from numpy.typing import NDArray

from .._validation import Size
from ..inspection.strengths import Extent, coarse, extent, too_dark
from ..inspection.suspects import fingerprint, sample, suspicion
from .seen import Seen


class Shared:
    """What all selections of one sequence share: its locks, and what was learnt of it."""

    def __init__(self, thread_safe: bool):
        self.thread_safe = thread_safe
        self.look: tuple[Size, type] | None = None
        self.fingerprints: dict[int, int | None] = {}
        self.suspects: dict[int, str] = {}
        self.spoilt: dict[int, str] = {}
        self.extents: dict[int, Extent] = {}
        self.levels: dict[int, float] = {}
        self.strong: set[int] = set()
        self.wrong: set[int] = set()
        self.kept: dict[int, NDArray] = {}
        self.told: set[str] = set()
        self.unlock()
        _ALL.add(self)

    def unlock(self) -> None:
        """Take new locks."""
        self.learning: Any = Lock()
        self.reading: Any = nullcontext() if self.thread_safe else Lock()

    def note(self, place: int, particle: NDArray, part: NDArray, seen: Seen | None) -> None:
        """Keep what may have to be said of a particle that is read for the first time, and of the part that was seen."""
        if place not in self.fingerprints:
            self.fingerprints[place] = fingerprint(particle)
            if (wrong := suspicion(part if seen is None else seen.evened(part))) is not None:
                self.suspects[place] = wrong
            self.extents[place] = found = extent(sample(part))
            if (wrong := coarse(found)) is not None:
                self.spoilt[place] = wrong

    def note_level(self, place: int, part: NDArray, level: float) -> None:
        """Keep what may have to be said of a background that was given."""
        is_new, self.levels[place] = self.levels.get(place) != level, level
        if is_new and too_dark(sample(part), level):
            self.spoilt[place] = f"hardly a voxel above its background of {level:g}: need what lies behind the particle"

    def __reduce__(self) -> Any:  # locks do not travel to other processes
        return Shared, (self.thread_safe,)


_ALL: WeakSet[Shared] = WeakSet()


def _unlock_all() -> None:
    """In a forked child: what other threads had locked stays locked, for they are not there to let go of it."""
    for shared in list(_ALL):
        shared.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)
