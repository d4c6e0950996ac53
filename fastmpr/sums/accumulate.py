"""Sum views into normal equations, with one FFT per view in any pose."""

from __future__ import annotations

from typing import Unpack, overload

from .._messages import Progress, telling, warn
from .._validation import Size
from ..geometry.poses import Poses
from ..runtime.stopping import Event, as_stop
from ..views.dataset import Dataset
from ..views.keywords import ViewKeywords
from ..views.shorthand import Summing, SummingShorthand, as_dataset
from ..views.types import Particles, Psf
from .accumulator import Accumulator
from .frame import check_in_frame
from .normal_equations import NormalEquations
from .observation import observe


@overload
def accumulate(data: Dataset, **options: Unpack[Summing]) -> NormalEquations: ...
@overload
def accumulate(
    data: Particles, psf: Psf | None = None, poses: Poses | None = None, **options: Unpack[SummingShorthand]
) -> NormalEquations: ...
def accumulate(
    data: Dataset | Particles,
    psf: Psf | None = None,
    poses: Poses | None = None,
    *,
    shape: int | Size | None = None,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **views: Unpack[ViewKeywords],
) -> NormalEquations:
    """Sum the normal equations of all views, with one FFT per view in any pose.

    A cubic spline resamples every view in the frame of the model, and the transfer function of its PSF is sampled there
    from one table. B and S are computed from the same samples, so they belong to one least-squares problem. No background
    is subtracted from the views.

    Parameters
    ----------
    data : Dataset
        The views, with a PSF and poses; each particle is read once. Instead of a `Dataset`, give ``particles, psf, poses``
        and further keywords of `Dataset`.
    shape : int or (nz, ny, nx), optional
        Shape of the volume to reconstruct, before padding; by default the region that a particle image covers.
    workers : int, optional
        Maximum number of threads; by default all that this process may use. Small inputs use fewer.
    progress : bool or callable, optional
        True shows a progress bar (needs tqdm); a callable is called with ("particles", number done, total number).
    cancel : threading.Event, optional
        An event, or any object with ``is_set()``, that is checked between views: once it is set, the call ends.
    timeout : float, optional
        Seconds after which the call ends.

    Returns
    -------
    NormalEquations
        The sums on a padded periodic grid of cubic voxels, whose side is the smallest side of ``voxel_size``. The model lies
        in the middle of the grid; `NormalEquations.crop` crops a volume to it.

    Raises
    ------
    ValueError, TypeError
        As in `Dataset`, and if a particle is not a finite volume of the same shape as the others.
    MemoryError
        Before any view is read, if the sums cannot fit in the memory that this process may use.
    Cancelled
        If ``cancel`` is set or ``timeout`` passes before all views are summed.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> psf = fastmpr.psf.gaussian((9, 9, 9), sigma=(2, 1, 1))
    >>> data = fastmpr.Dataset(np.ones((3, 8, 8, 8)), psf, fastmpr.Poses.random(3, rng=0))
    >>> fastmpr.accumulate(data).n_poses
    3
    """
    stop = as_stop("accumulate", cancel, timeout)
    data = as_dataset(accumulate, data, psf, poses, views).require()
    model = data.model_shape(shape)
    check_in_frame(data, model)
    with telling(progress) as tell:
        observation = observe(Accumulator(data, [data.used], model, workers, tell, stop))
        data.tell()
    observation.accumulator.free()
    (total,) = observation.sums
    if count := int(observation.partial.sum()):
        warn(
            f"particles: found {count} of {len(data.used)} with unseen voxels; sums cannot leave voxels out, so unseen "
            "voxels count as dark: fastmpr.reconstruct leaves them out"
        )
    return total
