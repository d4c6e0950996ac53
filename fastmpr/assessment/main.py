"""How good a volume is, without the truth."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from inspect import signature
from typing import Any, Literal, Unpack, overload

import numpy as np

from .._messages import Progress, hearing, telling, warn
from .._validation import Size, as_choice, as_count, as_flag, as_rng, shown
from ..geometry.poses import Poses
from ..lam.selection import as_lam
from ..quality.directions import Cones, spread_axes
from ..reconstruction.making import Asked, Made, made
from ..regularizers import ClosedForm, Regularizer, as_regularizer
from ..resolution.evidence import Comparison, cell_axes, cones
from ..resolution.local import local_resolution
from ..resolution.told import FEWEST_VIEWS, told_curve
from ..runtime.stopping import Event, as_stop
from ..runtime.threads import as_workers
from ..solver.options import as_run, as_until, counting
from ..sums.frame import check_in_frame
from ..views.dataset import Dataset
from ..views.keywords import ViewKeywords
from ..views.shorthand import Summing, as_dataset
from ..views.types import Particles, Psf
from .bootstrap import FEWEST_DRAWN, replicates
from .findings import Coverage, Quality
from .searched import SEARCHES, Search, searched
from .sizes import profiles_of

_HALF_ANGLE = 40.0  # degrees, of a cone: narrower ones hold too few frequencies for halves to tell
_DIRECTIONS = 60
_UNEVEN = 1.5  # worst resolution over best: more deserves a warning
_RING = 0.7  # of the told frequency, from where on the coverage is measured


class _Options(Summing, total=False):
    """The keywords of `assess` with a Dataset."""

    lam: float | Literal["auto"]
    regularizer: str | Regularizer | ClosedForm
    positivity: bool
    max_iter: int
    tol: float
    search: Literal["refine", "ab_initio"] | None
    checkpoint: str | os.PathLike[str] | None
    bootstrap: int
    profiles: bool
    local: bool
    rng: np.random.Generator | int


class _Shorthand(_Options, ViewKeywords, total=False):
    """The same keywords with particles."""


@overload
def assess(data: Dataset, **options: Unpack[_Options]) -> Quality: ...
@overload
def assess(
    data: Particles, psf: Psf | None = None, poses: Poses | None = None, **options: Unpack[_Shorthand]
) -> Quality: ...
def assess(
    data: Dataset | Particles,
    psf: Psf | None = None,
    poses: Poses | None = None,
    *,
    lam: float | Literal["auto"] = "auto",
    regularizer: str | Regularizer | ClosedForm = "hessian",
    shape: int | Size | None = None,
    positivity: bool = True,
    max_iter: int = 1000,
    tol: float = 2e-3,
    search: Literal["refine", "ab_initio"] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    bootstrap: int = 0,
    profiles: bool = False,
    local: bool = False,
    rng: np.random.Generator | int = 0,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **views: Unpack[ViewKeywords],
) -> Quality:
    """Reconstruct a volume, and tell how good it is without knowing the truth.

    The views are divided into two halves that share no image. The volume of each half is compared with the deconvolved sums
    of the *other* half. These know no prior, so what agrees is there. The correlation of two regularised volumes would not
    be honest: prior, positivity and PSF invent the same details in both.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses, and four views or more that differ. ``particles, psf, poses`` and further keywords of `Dataset`
        are its shorthand.
    lam, regularizer, shape, positivity, max_iter, tol, workers, progress
        As in `reconstruct`.
    search : {"refine", "ab_initio"}, optional
        Find the poses in this way: for all views, and for each half again from the start, so that the halves stay
        independent. This takes twice as long as the search. ``lam`` and the solver's other options are those of the search.
    checkpoint : path, optional
        A folder that keeps what the searches find, as in `refine`.
    bootstrap : int
        Number of volumes of views drawn anew, for ``replicates`` and ``deviation``: 50 tell the standard error of a voxel to
        a tenth. Needs eight views, all seen whole.
    profiles : bool
        Whether to tell profiles about the axis of symmetry, or z, and the sizes of a ring and a barrel (`profile`).
    local : bool
        Whether to tell the resolution at each voxel too.
    rng : numpy.random.Generator or int
        Generator that draws the views, or its seed; and, for a search, the halves. Otherwise the halves depend on the poses.
    cancel : threading.Event, optional
        Or anything with ``is_set()``; once it is set, the call ends.
    timeout : float, optional
        Seconds after which the call ends.

    Returns
    -------
    Quality
        ``resolution``, ``curve``, ``halves``, ``cones``, ``coverage``, and ``result``, which is what `reconstruct` returns.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, as `reconstruct` does; if fewer than four views differ, so that there are no halves.
    MemoryError
        If the sums cannot fit in the memory that this process may use.
    Cancelled
        If ``cancel`` or ``timeout`` ends the call before the resolution is told. Later, there are fewer volumes drawn anew.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(20, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> quality = fastmpr.assess(fastmpr.Dataset(views, psf, poses, voxel_size=0.05))
    >>> told, true = quality.resolution, 1 / fastmpr.fsc(quality.result.x, truth, voxel_size=0.05).crossing(0.5)
    >>> 0.8 < true / told < 1.2
    True
    """
    start = time.perf_counter()
    stop = as_stop("assess", cancel, timeout)
    lam, chosen, until = as_lam(lam), as_regularizer(regularizer), as_until(max_iter, tol)
    everywhere = as_flag(local, "local")
    run, count, generator = as_run(workers, positivity, None, stop), _as_drawn(bootstrap), as_rng(rng)
    sized = as_flag(profiles, "profiles")
    searches = search is not None and as_choice(search, "search", tuple(SEARCHES))
    data = as_dataset(assess, data, psf, poses, views)
    if searches:
        _check_defaults(
            lam=lam, regularizer=regularizer, positivity=positivity, max_iter=max_iter, tol=tol, shape=shape
        )
    elif len(data.require().used) < FEWEST_VIEWS:
        raise ValueError(f"particles: found {len(data.used)} that weigh something, need {FEWEST_VIEWS} for two halves")
    data = data if searches else data.supposed()
    model = data.model_shape(shape)
    with telling(progress) as tell, hearing() as said:
        asked = Asked(model, lam, chosen, until, replace(run, callback=counting(None, tell)), tell, True, True)
        if searches:
            seed = int(generator.integers(2**31))
            found = searched(data, Search(str(search), checkpoint, workers, tell, stop), seed)
        else:
            check_in_frame(data, model)
            found = made(data, asked)
        stop.check(" before the resolution was told", found.result)
        if found.halves is None:
            raise ValueError(f"particles: found fewer than {FEWEST_VIEWS} that differ, need more for two halves")
        if not found.result.x.any():
            raise ValueError("particles: found nothing above their background, need views of a particle")
        quality = _quality(found, everywhere, as_workers(workers, found.result.x.size))
        volumes = replicates(found.data, found.result, asked, count, generator) if count else None
        sizes = profiles_of(found.data, found.result, volumes) if sized else None
    return replace(
        quality, replicates=volumes, profiles=sizes, warnings=tuple(said), seconds=round(time.perf_counter() - start, 3)
    )


def _as_drawn(bootstrap: Any) -> int:
    """Return 0, or a number of volumes that have a spread."""
    count = as_count(bootstrap, "bootstrap", 0)
    if 0 < count < FEWEST_DRAWN:
        raise ValueError(f"bootstrap: found {count}, need 0, or {FEWEST_DRAWN} volumes or more")
    return count


def _check_defaults(**given: Any) -> None:
    """Raise an error if options are given that a search chooses by itself."""
    for name, value in given.items():
        if (default := signature(assess).parameters[name].default) != value:
            raise ValueError(f"{name}: found {shown(value)} with search=, need {default!r}: a search has its own")


def _quality(found: Made, everywhere: bool, workers: int) -> Quality:
    result, halves = found.result, found.halves
    assert halves is not None and result.curve is not None and result.resolution is not None
    comparison = Comparison(halves, workers)
    local = local_resolution(comparison, result.x, result.resolution, workers) if everywhere else None
    quality = Quality(
        result=result,
        resolution=result.resolution,
        resolution_reached=result.curve.crossing(0.5) is not None,
        curve=result.curve,
        halves=comparison.correlation(),
        cones=_cones(comparison, halves.order),
        coverage=_coverage(comparison, 1 / result.resolution),
        local=local,
        half_volumes=np.array(halves.volumes),
        half_sums=halves.sums,
        replicates=None,
        profiles=None,
        warnings=(),
        seconds=0.0,
    )
    _tell_directions(quality)
    return quality


def _cones(comparison: Comparison, order: int) -> Cones:
    """Return the told correlation along many directions."""
    axes, frequency = spread_axes(_DIRECTIONS), comparison.shells.frequency
    evidence = comparison.evidence(in_cells=True)
    told = [told_curve(evidence.merged(row), frequency, order).correlation for row in cones(axes, _HALF_ANGLE)]
    return Cones(axes, frequency, np.array(told), _HALF_ANGLE)


def _coverage(comparison: Comparison, frequency: float) -> Coverage:
    strength = comparison.coverage(_RING * frequency, frequency)
    known = np.isfinite(strength)
    return Coverage(cell_axes()[known], strength[known])


def _tell_directions(quality: Quality) -> None:
    """Warn if the volume is much better resolved along one direction than along another."""
    if quality.cones.ratio > _UNEVEN:
        periods = quality.cones.resolution
        axis = np.round(quality.cones.axes[int(np.argmax(periods))], 2).tolist()
        warn(
            f"assess: found a resolution of {periods.max():.3g} along {axis} (z, y, x), but {periods.min():.3g} along the "
            "best direction: need views from other sides; do not read details along that axis"
        )
