"""Particles as they come, from memory or from files: read one at a time, each once, and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .._validation import Size, as_flag, as_float_type, as_intensities, check_background, check_intensities
from ..inspection.inverted import INVERTED, leaves_out_light
from ..inspection.strengths import Extent
from ..inspection.suspects import warn_of, warn_of_numbers
from ..runtime.stopping import Cancelled
from .seen import NothingSeenError, Seen, as_mask, seen_in
from .sequences import as_sequence, is_reader, is_safe, is_stack
from .shared import Shared

_MASKS = 5  # of which it is asked whether they are inverted


class ParticleError(ValueError):
    """A particle that cannot be used; the message begins with its place."""


class Source:
    """A sequence of particles, or some of it, read by any thread.

    Parameters
    ----------
    particles : sequence of (nz, ny, nx) arrays
        Anything with ``[i]``, and ``len`` or a ``shape``.
    thread_safe : bool, optional
        Whether ``[i]`` may be called from several threads at once. By default if it is an array, a list of arrays, or says
        so by an attribute of this name; else the threads take turns.

    Raises
    ------
    TypeError
        If it is no sequence.
    """

    def __init__(self, particles: Any, thread_safe: bool | None = None):
        self.particles = particles = as_sequence(particles)
        self.thread_safe = is_safe(particles) if thread_safe is None else as_flag(thread_safe, "thread_safe")
        self.steps: tuple[Callable[[NDArray], NDArray], ...] = ()
        self.rule: tuple[Any, str] = ("auto", "auto")
        self.mask_of = np.full(len(particles), -1)  # which of the rule's masks belongs to each, where it holds some
        self._seen: dict[tuple[int, int], Seen | None] = {}
        self._inverted: dict[int, bool] = {}
        self._levels, self._gains = np.zeros(len(particles)), np.ones(len(particles))
        self.which = self.places = np.arange(len(particles))  # in the sequence; in that which was first given
        self._share = Shared(self.thread_safe)

    def __len__(self) -> int:
        return len(self.which)

    def select(self, index: NDArray[np.intp]) -> Source:
        """Return some of the particles, by their places; what is known of one is known of all."""
        own = {name: getattr(self, name)[index] for name in ("which", "places", "mask_of", "_levels", "_gains")}
        return self._with(**own)

    def guarded(self, thread_safe: bool) -> Source:
        """Return the same particles, for threads that may or may not read them side by side."""
        safe = as_flag(thread_safe, "thread_safe")
        return self._with(thread_safe=safe, _share=Shared(safe))

    def then(self, step: Callable[[NDArray], NDArray]) -> Source:
        """Return the same particles, what was seen of each to go through a function when it is read."""
        return self._with(steps=(*self.steps, step))

    def seeing(self, seen: Any, outside: str) -> Source:
        """Return the same particles, with a rule of what was seen of them: "auto", "all" or masks, see `seen.seen_in`."""
        if seen is self.rule[0] and outside == self.rule[1]:
            return self
        mask_of = np.full(len(self), -1) if isinstance(seen, str) else np.arange(len(self))
        return self._with(rule=(seen, outside), mask_of=mask_of, _seen={}, _inverted={})

    def less(self, levels: NDArray) -> Source:
        """Return the same particles, each less a level of its own."""
        return self._with(_levels=levels)

    def over(self, gains: NDArray) -> Source:
        """Return the same particles, each over a gain of its own after all other steps."""
        return self._with(_gains=gains)

    def name(self, i: int) -> str:
        """Return what errors call particle ``i``: its place in the sequence that was given, and its file's name."""
        names = getattr(self.particles, "names", None) if is_reader(self.particles) else None
        return f"particles[{self.places[i]}]" + (f" ({names[self.which[i]]})" if names else "")

    def known(self) -> tuple[Size, type] | None:
        """Return shape and precision where they are known without reading a particle."""
        if self._share.look is None and is_stack(self.particles):
            self._share.look = self.particles.shape[1:], as_float_type(self.particles.dtype)
        return self._share.look

    def known_shape(self) -> Size | None:
        """Return the shape of a particle where it is known without reading one: files tell it."""
        told = self.particles.shape if is_reader(self.particles) else None
        return known[0] if (known := self.known()) else told

    def look(self, i: int = 0) -> tuple[Size, type]:
        """Return shape and precision of all particles, read off ``i``; that one is kept until it is asked for."""
        if (known := self.known()) is not None:
            return known
        particle = self._load(i)
        self._share.kept[int(self.places[i])] = particle
        return self._learn(particle)

    def read(self, i: int) -> NDArray:
        """Return particle ``i``, native, C-ordered, float32 or float64, of the shape of all others; NaN was not seen."""
        part, seen = self.view(i)
        return part if seen is None else seen.whole(part, self.look(i)[0])

    def glance(self, i: int) -> NDArray:
        """Return particle ``i`` as `read` does, and keep it until it is asked for: it is read once all the same."""
        place = int(self.places[i])
        particle = self._share.kept[place] if place in self._share.kept else self._load(i)
        self._share.kept[place] = particle
        try:
            return self.read(i)
        finally:
            self._share.kept[place] = particle

    def view(self, i: int) -> tuple[NDArray, Seen | None]:
        """Return the box that was seen of particle ``i``, finite, and what was seen in it: None where that is all.

        Raises
        ------
        NothingSeenError
            If that is nothing.
        """
        kept = self._share.kept.pop(int(self.places[i]), None)
        particle = self._load(i) if kept is None else kept
        shape, dtype = self._learn(particle)
        if particle.dtype != dtype:
            check_intensities(particle, self.name(i), dtype)
        if particle.shape != shape:
            raise ValueError(f"{self.name(i)}: found shape {particle.shape}, need {shape} like the first particle")
        seen = self._look_in(i, particle)
        part, place = particle if seen is None else seen.part(particle), int(self.places[i])
        self._share.note(place, particle, part, seen)
        if level := self._levels[i]:
            check_background(level, part.dtype)
            self._share.note_level(place, part, level)
            part = part - part.dtype.type(level)
        for step in self.steps:
            part = step(part)
        if (gain := self._gains[i]) != 1:
            part = part / part.dtype.type(gain)
        return part, seen

    def seen(self, i: int) -> Seen | None:
        """Return what was seen of particle ``i``, None where that is all; it is read where that is not known yet."""
        key = self._key(i)
        return self._seen[key] if key in self._seen else self.view(i)[1]

    def crops(self) -> dict[str, Seen]:
        """Return which of the particles that were read were recognised as crops, by their names."""
        found = {self.name(i): self._seen.get(self._key(i)) for i in range(len(self))}
        return {name: seen for name, seen in found.items() if seen is not None and seen.guessed}

    def is_new(self, text: str) -> bool:
        """Return whether a text is asked about for the first time, so that it is told once."""
        with self._share.learning:
            told = text in self._share.told
            self._share.told.add(text)
        return not told

    def _look_in(self, i: int, particle: NDArray) -> Seen | None:
        """Return what was seen of a particle, found out once."""
        key = self._key(i)
        if key not in self._seen:
            k, mask = key[1], None
            if k >= 0 and self.rule[0][k] is not None:
                mask = as_mask(self.rule[0][k], f"seen[{k}]", particle.shape)
                if k in self.mask_of[:_MASKS]:  # by place: threads read in any order
                    self._inverted[k] = leaves_out_light(particle, mask)
            try:
                self._seen[key] = seen_in(particle, mask, *self.rule)
            except NothingSeenError as error:
                raise NothingSeenError(f"{self.name(i)}: {error}") from None
        return self._seen[key]

    def _key(self, i: int) -> tuple[int, int]:
        """Return by what particle ``i`` and its mask are known: one image may be selected twice, with two of them."""
        return int(self.places[i]), int(self.mask_of[i])

    def tell_suspects(self) -> None:
        """Warn, once, of particles that were read and look as if something went wrong before they came here."""
        if 2 * sum(self._inverted.values()) > len(self._inverted):
            first = min(k for k, is_inverted in self._inverted.items() if is_inverted)
            self._inverted.update(dict.fromkeys(self._inverted, False))
            warn(f"seen[{first}]: found that the mask leaves out {INVERTED}")
        own = set(self.places.tolist())
        for noted, say in ((self._share.suspects, warn_of), (self._share.spoilt, warn_of_numbers)):
            found = {place: noted.pop(place) for place in noted.keys() & own}
            say({self.name(int(np.flatnonzero(self.places == place)[0])): found[place] for place in sorted(found)})
            if noted is self._share.spoilt:
                self._share.wrong.update(found)

    def forget(self, left_out: Iterable[int]) -> None:
        """Say no more of particles that are left out."""
        for place in self.places[[*left_out]].tolist():
            for noted in (self._share.suspects, self._share.spoilt, self._share.extents):
                noted.pop(place, None)

    def extents(self) -> dict[int, Extent]:
        """Return what a sample of each particle that was read shows, after its gain."""
        known = self._share.extents
        places = [(i, place) for i, place in enumerate(self.places.tolist()) if place in known]
        return {i: known[place]._replace(strength=known[place].strength / self._gains[i]) for i, place in places}

    def keep_strong(self, found: Iterable[int]) -> None:
        """Keep of which particles it was said that they are far stronger than the others."""
        self._share.strong.update(int(self.places[i]) for i in found)

    def strong(self) -> list[int]:
        """Return of which particles it was said that they are far stronger than the others."""
        return [i for i, place in enumerate(self.places.tolist()) if place in self._share.strong]

    def spoilt(self) -> list[int]:
        """Return of which particles it was said that their numbers cannot be meant, or how strong they are."""
        wrong = self._share.strong | self._share.wrong
        return [i for i, place in enumerate(self.places.tolist()) if place in wrong]

    def copies(self) -> dict[int, int]:
        """Return which of the particles that were read show the same image as an earlier one, by their places."""
        first: dict[int, int] = {}
        found = {}
        for i, place in sorted(enumerate(self.places.tolist()), key=lambda pair: pair[1]):
            mark = self._share.fingerprints.get(place)
            if mark is None or place == (other := first.setdefault(mark, place)):
                continue
            j = int(np.flatnonzero(self.places == other)[0])
            if np.array_equal(self._load(i), self._load(j), equal_nan=True):
                found[place] = other
        return found

    def _learn(self, particle: NDArray) -> tuple[Size, type]:
        """Take shape and precision from the first particle that anybody reads."""
        with self._share.learning:
            if (known := self.known()) is None:
                known = self._share.look = particle.shape, particle.dtype.type
        return known

    def _load(self, i: int) -> NDArray:
        try:
            with self._share.reading:
                return as_intensities(self.particles[int(self.which[i])], self.name(i), gaps=True)
        except (Cancelled, ImportError, MemoryError, ParticleError):
            raise
        except NothingSeenError:  # of a sequence that looks for itself
            raise NothingSeenError(f"{self.name(i)}: found no voxel that was seen, need some") from None
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if not reason.startswith(self.name(i)):
                reason = f"{self.name(i)}: cannot be read ({reason})"
            kind = OSError if isinstance(error, OSError) else ParticleError
            raise kind(reason) from error

    def __getstate__(self) -> dict[str, Any]:
        """Send no more than the chosen particles to other processes, where that can be told."""
        state = dict(self.__dict__)
        if isinstance(self.particles, np.ndarray):
            state |= {"particles": self.particles[self.which], "which": np.arange(len(self))}
        return state

    def _with(self, **changes: Any) -> Source:
        other = object.__new__(Source)
        other.__dict__.update(self.__dict__ | changes)
        return other
