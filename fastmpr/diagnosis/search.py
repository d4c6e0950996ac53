"""Which usual mistake, undone, makes the views fit."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .._messages import Progress, telling
from .._stopping import Event, Stop, as_stop
from ..data.dataset import Dataset, as_dataset
from ..poses import Poses
from .cures import cures_of
from .findings import Finding, ranked
from .glance import LEAST_VIEWS
from .misfits import Trials
from .ranking import SECOND_MARGIN, Tried, is_better, unexplained
from .setup import MARGIN, Cure, Setup
from .turns import ROWS


def diagnose(
    data: Dataset | Sequence[ArrayLike] | NDArray,
    psf: ArrayLike | None = None,
    poses: Poses | None = None,
    *,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **views: Any,
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
        Threads at most; by default all that this process may use.
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
    data = as_dataset(data, psf, poses, views).require()
    if len(data.used) < LEAST_VIEWS:
        raise ValueError(
            f"particles: found {len(data.used)} to look at, need at least {LEAST_VIEWS} to hold against others"
        )
    with telling(progress) as tell:
        return _Search(data, workers, tell, stop).findings()


class _Search:
    """Tries cures on a data set: all, then all on top of the best."""

    def __init__(self, data: Dataset, workers: int | None, tell: Progress | None, stop: Stop):
        self._trials, self._tell, self._count = Trials(data, workers, tell, stop), tell, 0
        setup = Setup.of(data)
        self._cures = list(cures_of(setup))
        self._trials.make_room([setup, *(cure.undo(setup) for cure in self._cures)])
        self._given = self._tried((), setup)

    def findings(self) -> list[Finding]:
        """Return what was found, the best first."""
        given, singles = self._round(self._given, [(cure,) for cure in self._cures])
        best = next((one for one in singles if is_better(one, given, one.cures[-1].margin)), given)
        found = [given, *singles]
        if best is not given:
            single = best
            again, pairs = self._round(single, [(cure,) for cure in cures_of(single.setup)])
            best = next((one for one in pairs if is_better(one, again, SECOND_MARGIN)), again)
            found = [again if one is single else one for one in found] + [best] * (best is not again)
        if not (sure := self._rows_hold(best)):
            _, pairs = self._round(given, [(cure, row) for cure in self._cures for row in ROWS if cure not in ROWS])
            better = next((one for one in pairs if is_better(one, best, SECOND_MARGIN)), None)
            if better is not None:
                best, sure = better, True
                found.append(best)
        return ranked(given, best, found, sure)

    def _rows_hold(self, best: Tried) -> bool:
        """Return whether views fit better with their own poses than with those of other particles."""
        again, moved = self._round(best, [(row,) for row in ROWS])
        return all(is_better(again, one, MARGIN) for one in moved)

    def _round(self, origin: Tried, chains: Iterable[tuple[Cure, ...]]) -> tuple[Tried, list[Tried]]:
        """Return a setup again and what comes of chains of cures on top of it, the best first.

        Those that come to one setup are tried once.
        """
        found = [origin]
        for chain in chains:
            setup = functools.reduce(lambda now, cure: cure.undo(now), chain, origin.setup)
            same = next((one for one in found if self._trials.are_same(one.setup, setup)), None)
            name = " + ".join(cure.name for cure in chain)
            if same is None:
                found.append(self._tried((*origin.cures, *chain), setup))
            elif same is not origin:
                same.alike.append(name)
        changed = [any(cure.of_light for cure in one.cures[len(origin.cures) :]) for one in found]
        left = unexplained([one.misfit for one in found], changed)
        again, *others = (replace(one, left=energy) for one, energy in zip(found, left, strict=True))
        return again, sorted(others, key=lambda one: one.total)

    def _tried(self, cures: tuple[Cure, ...], setup: Setup) -> Tried:
        misfit = self._trials(setup)
        self._count += 1
        if self._tell:
            self._tell("hypotheses", self._count, None)
        return Tried(cures, setup, misfit, misfit.left)
