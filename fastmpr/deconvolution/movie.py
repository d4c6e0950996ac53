"""Frames of a movie: the background and lam that they share, and one solve that continues from frame to frame."""

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
from .deconvolver import Deconvolver, running
from .image_term import ImageTerm

LEAST = 5  # frames along an axis without a letter; a shorter axis holds channels
_FEWEST = 3  # frames needed for a common background
ALIKE = 0.8  # least correlation of two frames' cells for the second frame to start from the first
_CELLS = 16  # cells needed for a correlation
_SAME_LIGHT = 1.25  # ratio of the light of two frames up to which they share lam
_DIM = 0.1  # of the usual light; with less, the shutter was closed
_DARKEST, _DARK_CELLS = 0.1, 8  # share of the cells, and their least number, that show shifts of the background
_SURE = 4.0  # standard errors from which a shift counts
_CHOSEN_ON = 5  # frames of a group on which lam is chosen
_SLACK = 3.0  # times the tolerance at which a frame stops that starts from another frame


class FrameSummary(NamedTuple):
    """What is measured on a frame before the first frame is deconvolved.

    Attributes
    ----------
    level : float or other
        The frame's own background.
    light : float
        The standard deviation of the frame's cells, less the part of the noise.
    cells : (n,) ndarray
        The means of the cells.
    """

    level: Any
    light: float
    cells: NDArray[np.float64]


def summarise(image: Image) -> FrameSummary:
    """Measure a frame, less its background."""
    means, variance = cells_of(Image(image.values, 0.0, image.unseen))
    noise = float(np.nanmean(variance)) / min(CELL**3, image.values.size)
    return FrameSummary(image.level, math.sqrt(max(float(np.nanvar(means)) - noise, 0.0)), means.ravel())


def alike(a: NDArray, b: NDArray) -> bool:
    """Return whether the cells of two images are correlated."""
    return _correlation(a, b) >= ALIKE


def _correlation(a: NDArray, b: NDArray) -> float:
    known = ~np.isnan(a) & ~np.isnan(b)
    if np.count_nonzero(known) < _CELLS:
        return 0.0
    a, b = a[known] - a[known].mean(), b[known] - b[known].mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size else 0.0


def likeness(pairs: Sequence[tuple[NDArray, NDArray]]) -> float:
    """Return the median correlation of pairs of images, cell by cell; 0 if there are too few cells.

    A pair in which one image is NaN or flat does not count.
    """
    told = [_correlation(a, b) for a, b in pairs if not (_is_flat(a) or _is_flat(b))]
    return float(np.median(told)) if told else 0.0


def _is_flat(cells: NDArray) -> bool:
    known = cells[~np.isnan(cells)]
    return not known.size or bool(known.min() == known.max())


class Plan(NamedTuple):
    """What frames share.

    Attributes
    ----------
    levels : list
        The background of each frame; None if it is to be estimated from the frame alone.
    groups : list of int or None
        The group of each frame: a group shares one lam. None for a frame with its own lam.
    """

    levels: list[Any]
    groups: list[int | None]


def plan(summaries: Sequence[FrameSummary | None], sure: bool) -> Plan:
    """Return what frames share.

    Parameters
    ----------
    summaries : sequence of FrameSummary or None
        None for a frame of which nothing was seen.
    sure : bool
        Whether the caller says that the frames are alike; otherwise only frames that look alike count as such.
    """
    lights = {k: one.light for k, one in enumerate(summaries) if one is not None}
    usual = float(np.median(list(lights.values()))) if lights else 0.0
    lit = [k for k, light in lights.items() if sure or light > _DIM * usual]
    levels: list[Any] = [None] * len(summaries)
    groups: list[int | None] = [None] * len(summaries)
    if len(lit) < (1 if sure else _FEWEST):
        return Plan(levels, groups)
    seen = [one for k in lit if (one := summaries[k]) is not None]
    for k, level in zip(lit, _levels(seen, sure), strict=True):
        levels[k] = level
    first, group = seen[0].light, 0
    for k, one in zip(lit, seen, strict=True):
        if not sure and not first / _SAME_LIGHT <= one.light <= first * _SAME_LIGHT:
            first, group = one.light, group + 1
        groups[k] = group
    return Plan(levels, groups)


def _levels(seen: Sequence[FrameSummary], sure: bool) -> list[Any]:
    """Return the background of each frame: the median of all frames, plus the shift of each frame if that is significant.

    If an object moves or shines into the darkest cells of a frame, the frame's own level is uncertain by more than the
    noise. The shift of the same cells from frame to frame is not. But fading light also shifts dark cells, by its haze.
    Therefore the frames' own levels, which exclude haze, must shift with the cells.
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
    """Return the shift of the dark cells of each frame from their usual value; 0 if it is not significant."""
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
    """Deconvolve the frames of a movie, one after another.

    Parameters
    ----------
    deconvolver : Deconvolver
    frame : callable
        Returns frame k as an `Image`, given k and its background, or None to estimate the background.
    summaries : sequence of FrameSummary or None
        One for each frame.
    sure : bool
        As in `plan`.
    """

    def __init__(
        self,
        deconvolver: Deconvolver,
        frame: Callable[[int, Any], Image],
        summaries: Sequence[FrameSummary | None],
        sure: bool,
    ):
        self._deconvolver, self._frame, self._summaries, self._sure = deconvolver, frame, summaries, sure
        self._plan, self._choices = plan(summaries, sure), dict[int, Choice]()
        self._running: Running | None = None
        self._term: ImageTerm | None = None
        self._lam, self._last = 0.0, -1

    def __call__(self, k: int, out: Any) -> dict[str, Any]:
        """Deconvolve frame k; return what was found."""
        group = self._plan.groups[k]
        if group is None:
            self.end()
            return self._deconvolver.run(self._frame(k, None), out)
        choice = self._choices.get(group) or self._chosen(group)
        if not self._follows(k):
            self.end()
        found = self._deconvolver.run(self._frame(k, self._plan.levels[k]), out, choice, self._go_on)
        self._last = k
        return found

    def end(self) -> None:
        """Free the solve that continues from frame to frame."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
        self._running = self._term = None

    def _follows(self, k: int) -> bool:
        before, now = self._summaries[self._last], self._summaries[k]
        return self._running is not None and before is not None and now is not None and alike(before.cells, now.cells)

    def _chosen(self, group: int) -> Choice:
        """Return lam for a group: the geometric mean of the weights for some of its frames.

        Each single weight errs by chance. The loss grows faster than the error in log lam, so the mean loses less.
        """
        self.end()
        members = [k for k, one in enumerate(self._plan.groups) if one == group]
        picked = np.linspace(0, len(members) - 1, 2 * min(_CHOSEN_ON, len(members)) + 1)[1::2].round().astype(int)
        tried = [self._deconvolver.choose_lam(self._frame(members[i], self._plan.levels[members[i]])) for i in picked]
        by = sorted(tried)[len(tried) // 2].by
        choice = Choice(math.exp(float(np.mean([math.log(one.lam) for one in tried]))), by)
        self._choices[group] = choice
        return choice

    def _go_on(self, image: Image, lam: float) -> tuple[ImageTerm, Result, float]:
        """Solve for a frame; start from the result of the last frame if term, weight and shape are the same."""
        deconvolver, slack = self._deconvolver, _SLACK
        if self._term is not None and self._fits(image, lam, self._term):
            assert self._running is not None
            self._term.replace_image(image)
            self._running.restart(slack)
        else:
            self.end()
            slack, self._lam, self._term = 1.0, lam, deconvolver.term(image, deconvolver.dark)
            self._running = running(
                self._term, lam, deconvolver.regularizer, deconvolver.until, deconvolver.run_options
            )
        self._running.go_on()
        return self._term, self._running.result(), slack

    def _fits(self, image: Image, lam: float, term: ImageTerm) -> bool:
        split = not self._deconvolver.dark or image.unseen is not None
        return (lam, split, image.shape) == (self._lam, term.is_split, term.image.shape)
