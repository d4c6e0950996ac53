"""From views to sums: one FFT each, whatever the poses."""

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
    """Sum the normal equations of all views: one FFT each, whatever the poses.

    Every view is brought into the frame of the model by a cubic spline, and the transfer function of its PSF is sampled
    there from one table; B and S are made of the same samples, so they belong to one least-squares problem. Views are taken
    as they are: no background is subtracted.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses; each particle is read once. ``particles, psf, poses`` and further keywords of `Dataset` are
        its shorthand.
    shape : int or (nz, ny, nx), optional
        Shape of the volume to reconstruct, before padding; by default what a particle image covers.
    workers : int, optional
        Threads at most; by default all that this process may use. Little work takes fewer.
    progress : bool or callable, optional
        True shows a bar (needs tqdm); a callable is called with ("particles", how many are done, of how many).
    cancel : threading.Event, optional
        Or anything with ``is_set()``, asked between views: once it is set, the call ends.
    timeout : float, optional
        Seconds after which to give up.

    Returns
    -------
    NormalEquations
        On a padded periodic grid of cubic voxels, as large as the smallest side of ``voxel_size``; the model lies in
        its middle, and `NormalEquations.crop` takes it out.

    Raises
    ------
    ValueError, TypeError
        As `Dataset` does, and for a particle that is not a finite volume like the others.
    MemoryError
        At once, if the sums cannot fit in the memory that this process may use.
    Cancelled
        If ``cancel`` is set or ``timeout`` is over before all views are summed.

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
            f"particles: found {count} of {len(data.used)} that did not see all of their images; sums cannot leave out "
            "voxels, so those are taken for dark: fastmpr.reconstruct knows better"
        )
    return total
