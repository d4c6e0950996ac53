"""The public functions: align views with a volume, improve poses, and find poses from particles alone."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from .._messages import Count, Progress, log, telling, warn
from .._validation import MOST, as_choice, as_flag, as_rng
from ..diagnosis.fit import as_volume_of
from ..geometry.poses import Poses
from ..geometry.symmetry import as_group, is_auto
from ..io.checkpoints import Checkpoint, digest
from ..runtime.stopping import Cancelled, Event, as_stop
from ..runtime.threads import as_workers
from ..solver.result import Result
from ..sums.aligner import tell_blind
from ..views.dataset import Dataset
from ..views.usable import identity, usable
from .beginning import AGREED, begun
from .refinement import Sought, best_so_far, poses_of, refined
from .results import Alignment, PoseResult
from .search import LOCAL, Plan, Search
from .turns import Turns, last_work, settling_work

_FEWEST = 3  # least number of views to find poses without a volume


def align(
    data: Dataset,
    x: ArrayLike | Result,
    *,
    search: str = "global",
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> Alignment:
    """Find the pose of each view against a volume.

    The spectrum of each view is compared with that of the volume, at the frequencies that the view's PSF passes. The view's
    offset is ignored, and its gain is fitted; its noise is known from the frequencies that the PSF does not pass. A global
    search first tries rotations about 24 degrees apart, and translations of up to a quarter of the box, at low frequencies
    only. The best candidates are then improved by Levenberg-Marquardt steps, while higher frequencies are added. Unseen
    voxels are taken as dark at first, then as the volume predicts them.

    Parameters
    ----------
    data : Dataset
        Needs a PSF, and poses for a local search. If the particle is symmetric, several poses are equivalent; one of them
        is returned. Views with weight 0 keep their poses, and so do particles that cannot be read or show nothing.
    x : (nz, ny, nx) array_like or Result
        A volume as `reconstruct` returns it: in the middle of the model's frame, with cubic voxels as large as the smallest
        side of ``voxel_size``.
    search : {"global", "local"}
        "global" searches all poses, and near those of the data set, if it has any; "local" only near those, within about
        10 degrees and 2 voxels.
    workers : int, optional
        Threads at most; by default all that this process may use.
    progress : bool or callable, optional
        True shows a bar (needs tqdm); a callable is called with ("views", how many are done, of how many).
    cancel : threading.Event, optional
        Or any object with ``is_set()``. It is checked between views; the call ends once it is set.
    timeout : float, optional
        Seconds after which the call ends.

    Returns
    -------
    Alignment
        ``poses`` and ``scores``.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if the data set lacks a PSF or the poses that it needs, or has ``frame="model"``; or if the
        volume is not finite or has another voxel size.
    Cancelled
        If ``cancel`` is set or the ``timeout`` passes before all views are aligned.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(4, max_translation=1, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> found = fastmpr.align(fastmpr.Dataset(views, psf, symmetry="C9"), truth)
    >>> bool(found.scores.min() > 0.9)
    True
    """
    stop = as_stop("align", cancel, timeout)
    everywhere = as_choice(search, "search", ("global", "local")) == "global"
    data = usable(_checked(data, poses=not everywhere), 1, workers, stop)[0].supposed()
    volume = as_volume_of(x, data)
    if not volume.any():
        raise ValueError("x: found zeros only, need a volume that views can be aligned with")
    plan = Plan() if everywhere else LOCAL
    with telling(progress) as tell:
        found = Search(data.levelled(), volume, plan, workers, tell, stop).run()
    data.tell()
    tell_blind(data, set(np.flatnonzero(np.isnan(found.scores)).tolist()) & set(data.used.tolist()), len(data.used))
    return Alignment(poses_of(data, Poses(Rotation.from_matrix(found.rotations), found.translations)), found.scores)


def refine(
    data: Dataset,
    *,
    fit_psf: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> PoseResult:
    """Improve poses: reconstruct a volume and align the views with it near their poses, in turn; then reconstruct.

    This ends when nine of ten views turn by less than 0.2 degrees, after eight turns at most.

    Where views differ in brightness by more than their errors, each is divided by its gain, and where some are more than
    twice as clear as others, they weigh more. A warning names the views that fit far worse than most; they get weight 0 in
    the volume. So do particles that cannot be read or show nothing.

    Parameters
    ----------
    data : Dataset
        Needs a PSF, and poses within about 10 degrees and 2 voxels of the right ones.
    fit_psf : bool
        Whether to find how wide the PSF is, half to twice as wide as given, and to use it so; ``psf_scale`` of the result
        tells. This is a remedy where the PSF is not known well: it needs a PSF of the right shape, longer along one axis,
        and images that hold most of it.
    checkpoint : path, optional
        A folder that keeps what each round finds; it is made if it does not exist. If the call ends early, the same call
        goes on from the last round that is there, and returns exactly what it would have returned. Each particle is read
        first, to see that it has not changed; a folder of other data, options or package versions is refused.
    workers, cancel
        As in `align`.
    progress : bool or callable, optional
        True shows one bar for the whole call (needs tqdm); a callable is called with the name of the function, the work
        done and the work in all, both in some unit. The work in all becomes less where some proves unnecessary.
    timeout : float, optional
        Seconds after which the call ends.

    Returns
    -------
    PoseResult
        As `reconstruct` returns it, with ``poses`` and ``scores``. If ``cancel`` or ``timeout`` ends the call early, it is
        the best so far: the volume that the views were last aligned with, or that of the last reconstruction as far as it
        went; ``status`` and ``message`` say so.

    Raises
    ------
    ValueError, TypeError
        As `align` does, if fewer than three particles can be used, or if ``checkpoint`` belongs to another call.
    OSError
        If ``checkpoint`` cannot be written. A disk that is full later is a warning.
    Cancelled
        If ``cancel`` or ``timeout`` ends the call before the first round does.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(12, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> moved = fastmpr.Poses(poses.rotation, poses.translation + 0.5)
    >>> result = fastmpr.refine(fastmpr.Dataset(views, psf, moved))
    >>> len(result.poses), result.x.shape
    (12, (24, 24, 24))
    """
    stop = as_stop("refine", cancel, timeout)
    given, finds = _without_auto(data)
    data, hashes = usable(_checked(given, poses=True, fewest=_FEWEST), _FEWEST, workers, stop)
    fits = as_flag(fit_psf, "fit_psf")
    kept = _checkpoint("refine", checkpoint, data, hashes, workers, finds_symmetry=str(finds), fits_psf=str(fits))
    with telling(progress) as tell:
        turns = Turns(Count(tell, "refine"), kept)
        turns.count.expect(settling_work(data, far=False) + last_work(data))
        try:
            data = data.supposed()
            return refined(data, data.placed, Sought(False, finds, fits), workers, turns, stop)
        except Cancelled as cut:
            return best_so_far(data, turns, cut)


def ab_initio(
    data: Dataset,
    *,
    rng: np.random.Generator | int | None = 0,
    fit_psf: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> PoseResult:
    """Find poses and a volume from particles alone.

    The views are resampled to coarse voxels and start at random rotations. Reconstruction and a search over all poses
    alternate; then poses that look alike at low frequencies are compared. This is done from two starts, or from up to four
    until two of them agree; the one that explains the views best is refined at full size, as in `refine`. The volume may be
    rotated and shifted as a whole. It is not mirrored, because each view is a 3-D image.

    Parameters
    ----------
    data : Dataset
        Needs a PSF and at least three views; tens of views from all sides are usual. Its poses, if any, are ignored. If it
        has a ``symmetry``, the volume is symmetric about its ``symmetry_axis``.
    rng : numpy.random.Generator or int, optional
        Generator of the initial rotations, or its seed: the same seed and the same ``workers`` give the same result.
        None, a seed from the system, cannot be used with ``checkpoint``.
    fit_psf, checkpoint, workers, progress, cancel, timeout
        As in `refine`.

    Returns
    -------
    PoseResult
        As `refine` returns it, with ``confidence``. If the call ends early, before the first round at full size, the volume
        is that of the best start so far; its coarse voxels are as large as ``voxel_size`` says.

    Raises
    ------
    ValueError, TypeError, OSError, Cancelled
        As `refine` does.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> views = fastmpr.simulate(truth, psf, fastmpr.Poses.random(20, rng=0), noise_sigma=0.02, rng=0)
    >>> result = fastmpr.ab_initio(fastmpr.Dataset(views, psf))
    >>> len(result.poses), result.confidence > 0.9
    (20, True)
    """
    stop = as_stop("ab_initio", cancel, timeout)
    given, finds = _without_auto(data)
    data, hashes = usable(_checked(given, fewest=_FEWEST).replace(poses=None), _FEWEST, workers, stop)
    if rng is None and checkpoint is not None:
        raise ValueError("rng: found None with checkpoint=, need a seed, so that the same call is the same again")
    generator = as_rng(rng)
    fits = as_flag(fit_psf, "fit_psf")
    options = {"rng": digest(generator.bit_generator.state), "finds_symmetry": str(finds), "fits_psf": str(fits)}
    kept = _checkpoint("ab_initio", checkpoint, data, hashes, workers, **options)
    with telling(progress) as tell:
        turns = Turns(Count(tell, "ab_initio"), kept)
        turns.count.expect(settling_work(data, far=True) + last_work(data))
        try:
            data = data.supposed()
            poses, turns.confidence = begun(data.levelled(), generator, workers, turns, stop)
            _tell_starts(turns.confidence)
            return refined(data, poses_of(data, poses), Sought(True, finds, fits), workers, turns, stop)
        except Cancelled as cut:
            return best_so_far(data, turns, cut)


def _checkpoint(
    call: str, folder: Any, data: Dataset, hashes: list[str], workers: int | None, **options: str
) -> Checkpoint:
    """Return the checkpoint of a call, opened; without a folder it keeps nothing."""
    if folder is None:
        return Checkpoint(None, {})
    threads = str(as_workers(workers, MOST))
    return Checkpoint(folder, {"call": call, **identity(data, hashes), **options, "workers": threads})


def _without_auto(data: Any) -> tuple[Any, bool]:
    """Return a data set without the symmetry "auto", and whether it had it."""
    finds = isinstance(data, Dataset) and is_auto(data.symmetry)
    return data.replace(symmetry=None) if finds else data, finds


def _checked(data: Any, poses: bool = False, fewest: int = 1) -> Dataset:
    """Return ``data``, or raise an error before any view is read."""
    if not isinstance(data, Dataset):
        raise TypeError(f"data: found {type(data).__name__}, need a fastmpr.Dataset")
    if not data.psfs:
        raise ValueError("psf: found none, need a PSF, given with the particles or by replace(psf=...)")
    if poses:
        data.require()
    as_group(data.symmetry, data.symmetry_axis)  # "auto" is none
    if data.frame != "particle":
        raise ValueError("frame: found 'model', need particles as imaged, frame='particle', to find their poses")
    if len(data.used) < fewest:
        raise ValueError(f"particles: found {len(data.used)} that weigh something, need {fewest} or more to find poses")
    return data


def _tell_starts(confidence: float) -> None:
    """Warn if no two starts agree."""
    log.info("ab_initio: the volumes of the two best starts have a correlation of %.3f", confidence)
    if confidence < AGREED:
        warn(
            f"ab_initio: found starts that all ended at different volumes (correlation {confidence:.2f}), so the poses may "
            "be wrong: need more views, from more sides, or less noise; look at the volume, or try another rng="
        )
