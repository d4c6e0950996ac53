"""Frames of a movie: what they have in common, background and lam, and a solve that goes on from each to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import log
from ..images.cells import CELL, cells_of
from ..images.image import Image, Plane
from ..lam.whiteness import Choice
from ..solver.result import Result
from ..solver.running import Running
from .image_term import ImageTerm
from .one import Job, running

LEAST = 5  # frames that an axis without a name has: fewer are channels
_FEWEST = 3  # frames that a common level is read from
ALIKE = 0.8  # is the correlation of two frames' cells, at least, where the second starts from the first
_CELLS = 16  # that this is read from, at least
_SAME_LIGHT = 1.25  # times another frame's: their lam is one
_DIM = 0.1  # of the usual light: the shutter was closed
_DARKEST, _DARK_CELLS = 0.1, 8  # share of the cells, and least number, that shifts of the background are read from
_SURE = 4.0  # standard errors of a shift
_CHOSEN_ON = 5  # frames
_SLACK = 3.0  # times the tolerance, at which a frame ends that goes on from another


class Glance(NamedTuple):
    """What is looked at before the first frame is begun.

    Attributes
    ----------
    level : float or other
        The frame's own background.
    light : float
        By how much its cells differ.
    cells : (n,) ndarray
        Their means.
    """

    level: Any
    light: float
    cells: NDArray[np.float64]


def glance(image: Image) -> Glance:
    """Look at a frame, less its background."""
    means, variance = cells_of(Image(image.values, 0.0, image.unseen))
    noise = float(np.nanmean(variance)) / min(CELL**3, image.values.size)
    return Glance(image.level, math.sqrt(max(float(np.nanvar(means)) - noise, 0.0)), means.ravel())


def alike(a: NDArray, b: NDArray) -> bool:
    """Return whether the cells of two images rise and fall together."""
    return _correlation(a, b) >= ALIKE


def _correlation(a: NDArray, b: NDArray) -> float:
    known = ~np.isnan(a) & ~np.isnan(b)
    if np.count_nonzero(known) < _CELLS:
        return 0.0
    a, b = a[known] - a[known].mean(), b[known] - b[known].mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size else 0.0


def likeness(pairs: Sequence[tuple[NDArray, NDArray]]) -> float:
    """Return the median correlation of pairs of images, by their cells; 0 where those are too few to tell.

    A pair says nothing of which one is NaN or flat.
    """
    told = [_correlation(a, b) for a, b in pairs if not (_is_flat(a) or _is_flat(b))]
    return float(np.median(told)) if told else 0.0


def _is_flat(cells: NDArray) -> bool:
    known = cells[~np.isnan(cells)]
    return not known.size or bool(known.min() == known.max())


class Plan(NamedTuple):
    """What is common to frames.

    Attributes
    ----------
    levels : list
        The background of each; None where it is to be sought in the frame alone.
    groups : list of int or None
        Frames of one group have one lam; None for one of its own.
    """

    levels: list[Any]
    groups: list[int | None]


def plan(glances: Sequence[Glance | None], sure: bool) -> Plan:
    """Return what is common to frames, None among them for one of which nothing was seen.

    Parameters
    ----------
    glances : sequence of Glance or None
    sure : bool
        Whether they are said to be alike; otherwise only those are that look so.
    """
    lights = {k: one.light for k, one in enumerate(glances) if one is not None}
    usual = float(np.median(list(lights.values()))) if lights else 0.0
    lit = [k for k, light in lights.items() if sure or light > _DIM * usual]
    levels: list[Any] = [None] * len(glances)
    groups: list[int | None] = [None] * len(glances)
    if len(lit) < (1 if sure else _FEWEST):
        return Plan(levels, groups)
    seen = [one for k in lit if (one := glances[k]) is not None]
    for k, level in zip(lit, _levels(seen, sure), strict=True):
        levels[k] = level
    first, group = seen[0].light, 0
    for k, one in zip(lit, seen, strict=True):
        if not sure and not first / _SAME_LIGHT <= one.light <= first * _SAME_LIGHT:
            first, group = one.light, group + 1
        groups[k] = group
    return Plan(levels, groups)


def _levels(seen: Sequence[Glance], sure: bool) -> list[Any]:
    """Return the background of each frame: what is usual, and by how much each lies above that, where it surely does.

    Where an object moves or shines into a frame's darkest cells, its own level is uncertain by more than the noise there; a
    shift of the same cells from frame to frame is not. But light that fades shifts dark cells too, by its haze: so the
    frames' own levels, which are without that, must have shifted with them.
    """
    own = np.array([one.level for one in seen], dtype=float)
    usual = np.median(own, axis=0)
    if sure or own.ndim > 1:
        return [float(usual) if own.ndim == 1 else Plane(*usual.tolist())] * len(own)
    shifts = _shifts(np.array([one.cells for one in seen]))
    spread = float(shifts.var())
    if spread:
        slope = float(np.mean((shifts - shifts.mean()) * (own - own.mean()))) / spread
        left = float(np.std(own - slope * shifts)) / math.sqrt(spread * max(len(own) - 2, 1))
        if slope > 0.5 and slope > 2 * left:
            log.info("deconvolve: the background shifts by %.3g from frame to frame", float(np.ptp(shifts)))
            return [float(level) for level in np.median(own - shifts) + shifts]
    log.info("deconvolve: one background for %d frames, %.4g", len(own), float(usual))
    return [float(usual)] * len(own)


def _shifts(cells: NDArray) -> NDArray[np.float64]:
    """Return by how much the dark cells of each frame lie above the usual, 0 where that is not sure."""
    cells = cells[:, ~np.isnan(cells).any(axis=0)]
    usual = np.median(cells, axis=0)
    count = max(_DARK_CELLS, int(_DARKEST * usual.size))
    if count > usual.size:
        return np.zeros(len(cells))
    dark = np.argsort(usual, kind="stable")[:count]
    above = cells[:, dark] - usual[dark]
    shift = np.median(above, axis=1)
    error = 1.4826 * np.median(np.abs(above - shift[:, None]), axis=1) * math.sqrt(math.pi / 2 / count)
    shift -= np.median(shift)
    return np.where(np.abs(shift) > _SURE * error, shift, 0.0)


class Movie:
    """What deconvolves the frames of a movie, one after another.

    Parameters
    ----------
    job : Job
    frame : callable
        Gives frame k as an `Image`, given its background, None to seek one.
    glances : sequence of Glance or None
        Of all frames.
    sure : bool
        As in `plan`.
    """

    def __init__(self, job: Job, frame: Callable[[int, Any], Image], glances: Sequence[Glance | None], sure: bool):
        self._job, self._frame, self._glances, self._sure = job, frame, glances, sure
        self._plan, self._choices = plan(glances, sure), dict[int, Choice]()
        self._running: Running | None = None
        self._term: ImageTerm | None = None
        self._lam, self._last = 0.0, -1

    def __call__(self, k: int, out: Any) -> dict[str, Any]:
        """Deconvolve a frame of which something was seen; return what was found."""
        group = self._plan.groups[k]
        if group is None:
            self.end()
            return self._job.run(self._frame(k, None), out)
        choice = self._choices.get(group) or self._chosen(group)
        if not self._follows(k):
            self.end()
        found = self._job.run(self._frame(k, self._plan.levels[k]), out, choice, self._go_on)
        self._last = k
        return found

    def end(self) -> None:
        """Free what goes on from frame to frame."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
        self._running = self._term = None

    def _follows(self, k: int) -> bool:
        before, now = self._glances[self._last], self._glances[k]
        return self._running is not None and before is not None and now is not None and alike(before.cells, now.cells)

    def _chosen(self, group: int) -> Choice:
        """Return the weight for a group, the geometric mean of those for some of its frames.

        Chance takes each of them up or down; what is lost by that grows faster than its logarithm, so their mean loses less.
        """
        self.end()
        members = [k for k, one in enumerate(self._plan.groups) if one == group]
        picked = np.linspace(0, len(members) - 1, 2 * min(_CHOSEN_ON, len(members)) + 1)[1::2].round().astype(int)
        tried = [self._job.choose_lam(self._frame(members[i], self._plan.levels[members[i]])) for i in picked]
        by = sorted(tried)[len(tried) // 2].by
        choice = Choice(math.exp(float(np.mean([math.log(one.lam) for one in tried]))), by)
        self._choices[group] = choice
        return choice

    def _go_on(self, image: Image, lam: float) -> tuple[ImageTerm, Result, float]:
        """Solve for a frame from where the last one ended, if the two are of one kind."""
        job, slack = self._job, _SLACK
        if self._term is not None and self._fits(image, lam, self._term):
            assert self._running is not None
            self._term.show(image)
            self._running.restart(slack)
        else:
            self.end()
            slack, self._lam, self._term = 1.0, lam, job.term(image, job.dark)
            self._running = running(self._term, lam, job.regularizer, job.until, job.how)
        self._running.go_on()
        return self._term, self._running.result(), slack

    def _fits(self, image: Image, lam: float, term: ImageTerm) -> bool:
        split = not self._job.dark or image.unseen is not None
        return (lam, split, image.shape) == (self._lam, term.is_split, term.image.shape)
