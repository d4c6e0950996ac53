"""Search for the usual mistake that, once undone, makes the views fit."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Unpack, overload

import numpy as np

from .._messages import Progress, telling
from .._validation import as_count
from ..geometry.poses import Poses
from ..runtime.limits import available_workers
from ..runtime.stopping import Event, Stop, as_stop
from ..views.dataset import Dataset
from ..views.keywords import ViewKeywords
from ..views.shorthand import Running, RunningShorthand, as_dataset
from ..views.types import Particles, Psf
from .cures import about_light, cures_of
from .findings import Finding, ranked
from .glance import LEAST_VIEWS
from .misfits import Trials
from .pose_mistakes import ROWS
from .ranking import SECOND_MARGIN, Idea, Tried, is_better, unexplained
from .setup import MARGIN, Cure, Setup

_DOUBT = 0.05  # probability that views fit better by chance with their own poses: few views differ much
_FINALISTS = 6  # hypotheses that pass the screening with half of the views
_BEAM = 3  # first cures on which a second one is tried
_NEAR = 1.5  # times the misfit of the best, for these first cures


@overload
def diagnose(data: Dataset, **options: Unpack[Running]) -> list[Finding]: ...
@overload
def diagnose(
    data: Particles, psf: Psf | None = None, poses: Poses | None = None, **options: Unpack[RunningShorthand]
) -> list[Finding]: ...
def diagnose(
    data: Dataset | Particles,
    psf: Psf | None = None,
    poses: Poses | None = None,
    *,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **views: Unpack[ViewKeywords],
) -> list[Finding]:
    """Find the usual mistake that, once undone, makes the views fit together.

    Some forty mistakes are undone one after another: in the meaning of rotations, translations and angles, in the order
    of rows and axes, in contrast and background, in the PSF and in the symmetry. Each time, half of the views predict the
    other half by Wiener estimates clipped at zero, and the unexplained light ranks the mistakes. A second mistake is then
    sought on top of the best ones. The data set itself does not change.

    Parameters
    ----------
    data : Dataset
        Needs a PSF, poses and at least 4 views. 16 of them, evenly spread, are read once and compared at low resolution.
        In place of a `Dataset`, give its ``particles, psf, poses`` and further keywords. The conventions of angles about
        three different axes are tested well only with poses that were read from a file (`Poses.angles`).
    workers : int, optional
        Number of threads at most; never more than this process may use, since the sums are computed many times.
    progress : bool or callable, optional
        True shows bars (needs tqdm). A callable is called with the counted noun ("particles", then "hypotheses"), the number
        done, and the number in all (None for hypotheses).
    cancel : threading.Event, optional
        Or any object with ``is_set()``. It is checked between hypotheses; the call ends once it is set.
    timeout : float, optional
        Seconds after which the call ends.

    Returns
    -------
    list of Finding
        The best first; "as given" is one of them. A finding that is `Finding.named` is likely; the others are only ranked.
        None is named if, under every hypothesis, the views fit no better than with the poses of other particles.

    Raises
    ------
    ValueError, TypeError
        As `Dataset` does; also if there are fewer than 4 views, or fewer than 4 that show something.
    MemoryError
        At once, if the memory that this process may use is too small for the sums.
    Cancelled
        If ``cancel`` is set or the ``timeout`` passes before the end.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((16, 16, 16))
    >>> psf = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
    >>> poses = fastmpr.Poses.random(8, max_translation=1.0, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> wrong = fastmpr.Poses(poses.rotation.inv(), poses.translation)
    >>> best, *others = fastmpr.diagnose(views, psf, wrong)
    >>> best.name, best.named
    ('rotations inverted', True)
    >>> result = fastmpr.reconstruct(best.data)
    """
    stop = as_stop("diagnose", cancel, timeout)
    data = as_dataset(diagnose, data, psf, poses, views).require()
    if len(data.used) < LEAST_VIEWS:
        raise ValueError(
            f"particles: found {len(data.used)} in use, need at least {LEAST_VIEWS} to compare with one another"
        )
    most = available_workers() if workers is None else min(as_count(workers, "workers"), available_workers())
    with telling(progress) as tell:
        return _Search(data, most, tell, stop).findings()


class _Search:
    """Tries all cures on a data set, then all of them on top of the best ones."""

    def __init__(self, data: Dataset, workers: int | None, tell: Progress | None, stop: Stop):
        self._trials, self._tell, self._stop, self._count = Trials(data, workers, tell, stop), tell, stop, 0
        setup = Setup.of(data)
        self._cures = list(cures_of(setup))
        self._trials.make_room([setup, *(cure.undo(setup) for cure in self._cures)])
        self._given = Idea((), setup)
        self._most = np.zeros(len(self._trials.glance.chosen))  # largest energy of each view on the grid so far

    def findings(self) -> list[Finding]:
        """Return the findings, the best first."""
        given, singles = self._round(self._given, [(cure,) for cure in self._all(self._given.setup)])
        better = [tried for tried in singles if is_better(tried, given, tried.idea.cures[-1].margin)]
        best = better[0] if better else given
        beam = [single for single in better[:_BEAM] if single.total < _NEAR * better[0].total]
        pairs = [pair for single in beam if (pair := self._on_top(single))]
        if pairs and is_better(second := min(pairs, key=lambda tried: tried.total), best, SECOND_MARGIN):
            best = second
        sure = self._rows_hold(best)
        if not sure and (moved := self._with_rows_moved(best)):
            best, sure = moved, True
        found = [given, *singles] + [best] * (len(best.idea.cures) > 1)
        return ranked(given, best if sure else given, found, sure)

    def _all(self, setup: Setup) -> list[Cure]:
        """Return all cures of a setup, with the one that is computed from the views."""
        by_light = [] if setup.given.symmetry is None else [about_light(self._trials.centre_of_light(setup))]
        return [*cures_of(setup), *by_light]

    def _on_top(self, single: Tried) -> Tried | None:
        """Return the best result of a second cure on top of a first one, if it is clearly better than the first alone."""
        again, pairs = self._round(single.idea, [(cure,) for cure in self._all(single.idea.setup)], screened=True)
        return next(
            (pair for pair in pairs if is_better(pair, again, max(SECOND_MARGIN, pair.idea.cures[-1].margin))), None
        )

    def _with_rows_moved(self, best: Tried) -> Tried | None:
        """Return the best of all cures combined with moved rows, since moved rows hide every other mistake."""
        chains = [(cure, row) for cure in self._cures for row in ROWS if cure not in ROWS]
        _, pairs = self._round(self._given, chains, screened=True)
        return next((pair for pair in pairs if is_better(pair, best, SECOND_MARGIN) and self._rows_hold(pair)), None)

    def _rows_hold(self, best: Tried) -> bool:
        """Return whether views fit better with their own poses than with the poses of other particles."""
        again, moved = self._round(best.idea, [(row,) for row in ROWS])
        return all(is_better(again, other, MARGIN, _DOUBT) for other in moved)

    def _round(
        self, origin: Idea, chains: Iterable[tuple[Cure, ...]], screened: bool = False
    ) -> tuple[Tried, list[Tried]]:
        """Try a setup again, and chains of cures on top of it; return both results, those of the chains best first.

        With ``screened``, half of the views select a few chains, and only these are tried on all views.
        """
        ideas = self._distinct(origin, chains)
        if screened:
            first, *others = self._compared(ideas, every=2)
            chosen = sorted(others, key=lambda tried: tried.total)[:_FINALISTS]
            ideas = [tried.idea for tried in (first, *chosen)]
        again, *others = self._compared(ideas)
        return again, sorted(others, key=lambda tried: tried.total)

    def _distinct(self, origin: Idea, chains: Iterable[tuple[Cure, ...]]) -> list[Idea]:
        """Return the origin and the hypotheses that chains of cures lead to, each setup once."""
        found = [origin]
        for chain in chains:
            setup = functools.reduce(lambda now, cure: cure.undo(now), chain, origin.setup)
            idea = Idea((*origin.cures, *chain), setup)
            same = next((known for known in found if self._trials.are_same(known.setup, setup)), None)
            if same is None:
                found.append(idea)
            elif same is not origin:
                same.alike.append(idea.name)
        return found

    def _compared(self, ideas: list[Idea], every: int = 1) -> list[Tried]:
        """Return the misfit of each hypothesis; the others are derived from the first."""
        misfits = []
        for idea in ideas:
            self._stop.check()
            misfits.append(self._trials(idea.setup, every))
            self._count += 1
            if self._tell:
                self._tell("hypotheses", self._count, None)
        old = len(ideas[0].cures)
        changed = [any(cure.of_light for cure in idea.cures[old:]) for idea in ideas]
        kept = [misfit.energy for misfit, other in zip(misfits, changed, strict=True) if not other]
        if not any(cure.of_light for cure in ideas[0].cures):  # the intensities are those of the first round
            self._most = max((*kept, self._most), key=np.sum) if every == 1 else self._most
            kept = [self._most[::every]]
        left = unexplained(misfits, changed, max(kept, key=np.sum))
        return [Tried(*parts) for parts in zip(ideas, misfits, left, strict=True)]
