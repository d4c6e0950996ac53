"""Which usual mistake, undone, makes the views fit."""

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
from .ranking import SECOND_MARGIN, Idea, Tried, is_better, unexplained
from .setup import MARGIN, Cure, Setup
from .turns import ROWS

_DOUBT = 0.05  # that views fit better by chance with their own poses than with those of others: few views differ much
_FINALISTS = 6  # of those that half of the views were shown
_BEAM = 3  # of the best first cures, that a second one is tried on top of
_NEAR = 1.5  # times the misfit of the best, at most


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
    """Find which usual mistake, undone, makes the views fit together.

    Some seventy mistakes are undone in turn: in what rotations, translations and angles mean, in the order of rows and axes,
    in contrast and background, in the PSF and in the symmetry. Each time, half of the views predict the other half, by
    Wiener estimates clipped at zero, and what they leave unexplained ranks the mistakes; then a second one is sought on top
    of the best. Nothing is changed.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses, of at least 4 views: 16 of them, spread, are read once and looked at with wide voxels.
        ``particles, psf, poses`` and further keywords of `Dataset` are its shorthand. The conventions of angles about three
        different axes are tried well only with poses that were read from a file (`Poses.angles`).
    workers : int, optional
        Threads at most; never more than this process may use, since sums are made again and again.
    progress : bool or callable, optional
        True shows bars (needs tqdm); a callable is called with what is counted ("particles", then "hypotheses"), how many
        are done, and of how many (None for hypotheses).
    cancel : threading.Event, optional
        Or anything with ``is_set()``, asked between hypotheses: once it is set, the call ends.
    timeout : float, optional
        Seconds after which to give up.

    Returns
    -------
    list of Finding
        The best first; "as given" is one of them. What is `Finding.named` is likely; the rest is ranked only. None is named
        where the views fit no better than with the poses of other particles, however they are taken.

    Raises
    ------
    ValueError, TypeError
        As `Dataset` does; for fewer than 4 views, or fewer that show something.
    MemoryError
        At once, if the sums cannot fit in the memory that this process may use.
    Cancelled
        If ``cancel`` is set or ``timeout`` is over before the end.

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
            f"particles: found {len(data.used)} to look at, need at least {LEAST_VIEWS} to hold against one another"
        )
    most = available_workers() if workers is None else min(as_count(workers, "workers"), available_workers())
    with telling(progress) as tell:
        return _Search(data, most, tell, stop).findings()


class _Search:
    """Tries cures on a data set: all, then all on top of the best."""

    def __init__(self, data: Dataset, workers: int | None, tell: Progress | None, stop: Stop):
        self._trials, self._tell, self._stop, self._count = Trials(data, workers, tell, stop), tell, stop, 0
        setup = Setup.of(data)
        self._cures = list(cures_of(setup))
        self._trials.make_room([setup, *(cure.undo(setup) for cure in self._cures)])
        self._given = Idea((), setup)
        self._most = np.zeros(len(self._trials.glance.chosen))  # of the light of each view that any grid held

    def findings(self) -> list[Finding]:
        """Return what was found, the best first."""
        given, singles = self._round(self._given, [(cure,) for cure in self._all(self._given.setup)])
        better = [one for one in singles if is_better(one, given, one.idea.cures[-1].margin)]
        best = better[0] if better else given
        beam = [single for single in better[:_BEAM] if single.total < _NEAR * better[0].total]
        pairs = [pair for single in beam if (pair := self._on_top(single))]
        if pairs and is_better(second := min(pairs, key=lambda one: one.total), best, SECOND_MARGIN):
            best = second
        sure = self._rows_hold(best)
        if not sure and (moved := self._with_rows_moved(best)):
            best, sure = moved, True
        found = [given, *singles] + [best] * (len(best.idea.cures) > 1)
        return ranked(given, best if sure else given, found, sure)

    def _all(self, setup: Setup) -> list[Cure]:
        """Return all cures of a setup, also the one that takes the views themselves to find."""
        by_light = [] if setup.given.symmetry is None else [about_light(self._trials.centre_of_light(setup))]
        return [*cures_of(setup), *by_light]

    def _on_top(self, single: Tried) -> Tried | None:
        """Return the best that a second cure makes of the first, if that is worth it."""
        again, pairs = self._round(single.idea, [(cure,) for cure in self._all(single.idea.setup)], screened=True)
        return next(
            (one for one in pairs if is_better(one, again, max(SECOND_MARGIN, one.idea.cures[-1].margin))), None
        )

    def _with_rows_moved(self, best: Tried) -> Tried | None:
        """Return the best of all cures with rows moved besides, which hide every other mistake."""
        chains = [(cure, row) for cure in self._cures for row in ROWS if cure not in ROWS]
        _, pairs = self._round(self._given, chains, screened=True)
        return next((one for one in pairs if is_better(one, best, SECOND_MARGIN) and self._rows_hold(one)), None)

    def _rows_hold(self, best: Tried) -> bool:
        """Return whether views fit better with their own poses than with those of other particles."""
        again, moved = self._round(best.idea, [(row,) for row in ROWS])
        return all(is_better(again, one, MARGIN, _DOUBT) for one in moved)

    def _round(
        self, origin: Idea, chains: Iterable[tuple[Cure, ...]], screened: bool = False
    ) -> tuple[Tried, list[Tried]]:
        """Return a setup again and what comes of chains of cures on top of it, the best first.

        Where they are ``screened``, half of the views choose those few that all views look at.
        """
        ideas = self._distinct(origin, chains)
        if screened:
            first, *rest = self._compared(ideas, every=2)
            chosen = sorted(rest, key=lambda one: one.total)[:_FINALISTS]
            ideas = [one.idea for one in (first, *chosen)]
        again, *others = self._compared(ideas)
        return again, sorted(others, key=lambda one: one.total)

    def _distinct(self, origin: Idea, chains: Iterable[tuple[Cure, ...]]) -> list[Idea]:
        """Return what comes of chains of cures, after what they begin with: once, where several come to one setup."""
        found = [origin]
        for chain in chains:
            setup = functools.reduce(lambda now, cure: cure.undo(now), chain, origin.setup)
            idea = Idea((*origin.cures, *chain), setup)
            same = next((one for one in found if self._trials.are_same(one.setup, setup)), None)
            if same is None:
                found.append(idea)
            elif same is not origin:
                same.alike.append(idea.name)
        return found

    def _compared(self, ideas: list[Idea], every: int = 1) -> list[Tried]:
        """Return what each of some ideas leaves unexplained; the first is what the others were made of."""
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
        if not any(cure.of_light for cure in ideas[0].cures):  # then it is the same light as in the first round
            self._most = max((*kept, self._most), key=np.sum) if every == 1 else self._most
            kept = [self._most[::every]]
        left = unexplained(misfits, changed, max(kept, key=np.sum))
        return [Tried(*parts) for parts in zip(ideas, misfits, left, strict=True)]
