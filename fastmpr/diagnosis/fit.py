"""Compare a volume with its views: numbers for each view, a median, and a warning if the volume does not fit."""

from __future__ import annotations

from typing import Any, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._messages import Progress, log, telling, warn
from .._validation import Size, as_intensities
from ..geometry.poses import Poses
from ..runtime.stopping import Cancelled, Event, Stop, as_stop
from ..solver.options import Run
from ..solver.result import Result
from ..sums.comparison import compare_views
from ..sums.frame import padded_shape
from ..sums.resampling import inner
from ..sums.transfer import TransferFunction, transfer_functions
from ..views.dataset import Dataset
from ..views.keywords import ViewKeywords
from ..views.shorthand import Running, RunningShorthand, as_dataset
from ..views.types import Particles, Psf
from .comparison import Measured, Residuals, measured
from .verdict import tell

_MOST = 64  # views to compare at most
_SEED = 22  # for the draw of these views
_ENOUGH = 60  # iterations after which a misfit does not come from stopping early


@overload
def residuals(data: Dataset, x: ArrayLike | Result, **options: Unpack[Running]) -> Residuals: ...
@overload
def residuals(
    data: Particles,
    x: ArrayLike | Result,
    psf: Psf | None = None,
    poses: Poses | None = None,
    **options: Unpack[RunningShorthand],
) -> Residuals: ...
def residuals(
    data: Dataset | Particles,
    x: ArrayLike | Result,
    psf: Psf | None = None,
    poses: Poses | None = None,
    *,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **views: Unpack[ViewKeywords],
) -> Residuals:
    """Compare a volume with every view, and return how much of each view it explains.

    Each view is predicted at its own voxels, so its noise is not interpolated. View and prediction are compared up to a
    gain and an offset, where the view saw something. The warnings of `reconstruct` about the fit are based on these
    numbers: on their medians, and on those of single views.

    Parameters
    ----------
    data : Dataset
        Needs a PSF and poses. Each particle is read once. In place of a `Dataset`, ``residuals(particles, x, psf, poses)``
        takes further keywords of `Dataset`.
    x : (nz, ny, nx) array_like or Result
        A volume as `reconstruct` returns it: in the middle of the model's frame, with cubic voxels as large as the smallest
        side of ``voxel_size``. Space beyond the volume is taken as dark.
    workers : int, optional
        Number of threads at most; by default all that this process may use. Small tasks take fewer.
    progress : bool or callable, optional
        True shows a bar (needs tqdm). A callable is called with ("checks", views done, views in all).
    cancel : threading.Event, optional
        Or any object with ``is_set()``. It is checked between views; the call ends once it is set.
    timeout : float, optional
        Seconds after which the call ends.

    Returns
    -------
    Residuals
        ``ratio``, ``unexplained``, ``correlation``, ``gain``, ``offset`` and ``noise``, each (N,) float64; NaN for
        views with weight 0 and views that saw nothing or too little to compare.

    Raises
    ------
    ValueError, TypeError
        As `Dataset` does; also if the PSF or poses are missing, or the volume is not finite or has another voxel size.
    MemoryError
        At once, if the memory that this process may use is too small.
    Cancelled
        If ``cancel`` is set or the ``timeout`` passes before all views are compared.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(20, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> views[7] = views[7, ::-1]
    >>> found = fastmpr.residuals(fastmpr.Dataset(views, psf, poses), truth)
    >>> int(found.unexplained.argmax()), bool(found.ratio[6] < 1.3 < found.ratio[7])
    (7, True)
    """
    stop = as_stop("residuals", cancel, timeout)
    data = as_dataset(residuals, data, psf, poses, views).require()
    volume = as_volume_of(x, data)
    grid = padded_shape(data, volume.shape)
    padded = np.zeros(grid, data.dtype)
    padded[inner(grid, volume.shape)] = volume
    transfers = transfer_functions(data)
    with telling(progress) as count:
        return _compared(data, data.used, padded, volume.shape, transfers, workers, count, stop)[0].residuals


def checked(
    data: Dataset,
    result: Result,
    model: Size,
    transfers: list[TransferFunction],
    given: bool,
    run: Run,
    count: Progress | None,
) -> float | None:
    """Compare a result with at most 64 of its views, and warn if it does not fit.

    Parameters
    ----------
    result : Result
        On its padded grid.
    model : (nz, ny, nx)
        Shape of the model in the middle of this grid.
    transfers : list of TransferFunction
        One per PSF.
    given : bool
        Whether the caller chose lam.
    run : Run

    Returns
    -------
    float or None
        The median ratio of `Residuals`; None if no view could be compared, or the call was stopped first.
    """
    which = drawn(data.used)
    try:
        found, flat = _compared(data, which, result.x, model, transfers, run.workers, count, run.stop)
    except Cancelled:
        return None
    except (MemoryError, OSError) as error:  # a failed check must not cost the volume
        warn(f"{error}; so the volume was not compared with its views")
        return None
    if len(which) < len(data.used):
        log.info(f"fit: {len(which)} of {len(data.used)} views are compared, drawn with seed {_SEED}")
    if flat:
        log.info(
            f"fit: {len(flat)} views, the first {data.source.name(flat[0])}, have one value around the particle, which was "
            "taken as not seen: see seen= of Dataset"
        )
    return tell(data, found, result.success or result.nit >= _ENOUGH, given)


def compared(
    data: Dataset, x: NDArray, model: Size, transfers: list[TransferFunction], run: Run, count: Progress | None
) -> Measured:
    """Compare all views with a volume on its padded grid, as `checked` has it."""
    return _compared(data, data.used, x, model, transfers, run.workers, count, run.stop)[0]


def drawn(used: NDArray) -> NDArray:
    """Return all views, or 64 of them: one at random from each of 64 equal runs of views."""
    if len(used) <= _MOST:
        return used
    edges = np.linspace(0, len(used), _MOST + 1).astype(int)
    return used[np.random.default_rng(_SEED).integers(edges[:-1], edges[1:])]


def _compared(
    data: Dataset,
    which: NDArray,
    x: NDArray,
    model: Size,
    transfers: list[TransferFunction],
    workers: int | None,
    count: Progress | None,
    stop: Stop,
) -> tuple[Measured, list[int]]:
    found = compare_views(data, which, x, model, transfers, workers, count, stop)
    return measured(found), found.flat


def as_volume_of(x: Any, data: Dataset) -> NDArray:
    """Return a volume in the precision of the views."""
    if isinstance(x, Result):
        if not np.allclose(x.voxel_size, data.model_voxel, rtol=1e-3):
            found, need = (" x ".join(f"{length:.4g}" for length in part) for part in (x.voxel_size, data.model_voxel))
            raise ValueError(f"x: found voxels of {found}, need {need} as reconstruct makes them of these views")
        x = x.x
    volume = as_intensities(x, "x")
    if data.frame == "model" and volume.shape != data.particle_shape:
        raise ValueError(
            f"x: found shape {volume.shape}, need {data.particle_shape}, the views' own, with frame='model'"
        )
    return volume
