"""Reconstruct one volume from views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Unpack, overload

from .._messages import Progress, telling
from .._validation import Size, as_flag
from ..geometry.poses import Poses
from ..lam.selection import as_lam
from ..regularizers import ClosedForm, Regularizer, as_regularizer
from ..runtime.stopping import Event, as_stop
from ..solver.options import as_run, as_until, counting
from ..solver.result import Result
from ..sums.frame import check_in_frame
from ..views.dataset import Dataset
from ..views.keywords import ViewKeywords
from ..views.shorthand import Summing, as_dataset
from ..views.types import Particles, Psf
from .making import Asked, made


class _Options(Summing, total=False):
    """The keywords of `reconstruct` with a Dataset."""

    lam: float | Literal["auto"]
    regularizer: str | Regularizer | ClosedForm
    positivity: bool
    max_iter: int
    tol: float
    check: bool
    assess: bool
    callback: Callable[[Result], Any] | None


class _Shorthand(_Options, ViewKeywords, total=False):
    """The same keywords with particles."""


@overload
def reconstruct(data: Dataset, **options: Unpack[_Options]) -> Result: ...
@overload
def reconstruct(
    data: Particles, psf: Psf | None = None, poses: Poses | None = None, **options: Unpack[_Shorthand]
) -> Result: ...
def reconstruct(
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
    check: bool = True,
    assess: bool = False,
    workers: int | None = None,
    callback: Callable[[Result], Any] | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **views: Unpack[ViewKeywords],
) -> Result:
    """Reconstruct one isotropic volume from many blurred views of a particle.

    Subtracts each view's background (not with ``frame="model"``), sums the normal equations (`accumulate`), chooses ``lam``
    (by cross-validation of halves of the views, `select_lam`; with fewer than 6 views by Stein's estimate of the error),
    minimises (`solve`) and crops the padding. If views did not see all of their images (see ``seen`` of `Dataset`), the data
    term covers the voxels that they saw; the rest is predicted from the volume a few times while the solver runs.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses. Each particle is read once, or twice if copies of an image are found, and at most 64 particles
        once more for ``check``; several times if gains or weights are fitted. ``particles, psf, poses`` and further keywords
        of `Dataset` are its shorthand.
    lam : float or "auto"
        Weight of the data term, see `solve`. It scales as the inverse of the intensities.
    regularizer : str or Regularizer
        ``"hessian"``: the nuclear norm of the Hessian.
    shape : int or (nz, ny, nx), optional
        Shape of the result; by default it covers a particle image.
    positivity, max_iter, tol, workers, callback
        As in `fastmpr.solve`. ``callback`` is also called for the iterations that choose ``lam``.
    check : bool
        Whether to compare up to 64 views, spread over all of them, with their predictions from the volume.
    assess : bool
        Whether to tell the resolution of the volume, from two halves of the views; `fastmpr.assess` tells more. Needs four
        views that differ, or it is left out with a warning.
    progress : bool or callable, optional
        True shows bars (needs tqdm). A callable receives what is counted ("particles", then "iterations", and "predictions"
        of views that saw a part; "gains"; "checks"), how many are done, and of how many (None for iterations).
    cancel : threading.Event, optional
        Or anything with ``is_set()``, checked between views and after iterations; once it is set, the call ends with the
        volume so far.
    timeout : float, optional
        Seconds after which the call ends with the volume so far.

    Returns
    -------
    Result
        ``x`` has cubic voxels as large as the smallest side of ``voxel_size``, and the precision of the first particle
        (float32 unless the particle is float64). ``success`` is that of `solve`. If views saw a part, ``success`` is True if
        the last prediction lowered the objective by at most a tenth of phi, which leaves it some hundredths of phi above its
        minimum (``tol`` is not used then); ``message`` tells the number of those views, and of voxels that no view saw.
        ``fit`` is the median ``ratio`` of `residuals` over the views compared: about 1 if the volume explains them. With
        ``assess``, ``resolution`` and ``curve`` tell how fine the details of the volume are. ``weights`` are those that
        ``weights="robust"`` or ``gain="fit"`` of `Dataset` found.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if counts, shapes or units disagree, or a value is not finite or out of its range.
    MemoryError
        At once, if the sums or the solve cannot fit in the memory that this process may use.
    Cancelled
        If ``cancel`` or ``timeout`` ends the call before there is a volume, while the views are summed.

    References
    ----------
    D. Fortun et al., "Reconstruction from multiple particles for 3D isotropic resolution in fluorescence microscopy", IEEE
    Transactions on Medical Imaging 37(5), 2018.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(20, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> data = fastmpr.Dataset(views, psf, poses)
    >>> result = fastmpr.reconstruct(data)
    >>> fastmpr.metrics.psnr(result.x, truth) > fastmpr.metrics.psnr(fastmpr.average(data), truth) + 3
    True
    """
    stop = as_stop("reconstruct", cancel, timeout)
    lam, chosen, until = as_lam(lam), as_regularizer(regularizer), as_until(max_iter, tol)
    run, check, assess = as_run(workers, positivity, callback, stop), as_flag(check, "check"), as_flag(assess, "assess")
    data = as_dataset(reconstruct, data, psf, poses, views).require().supposed()
    model = data.model_shape(shape)
    check_in_frame(data, model)
    with telling(progress) as tell:
        asked = Asked(
            model, lam, chosen, until, replace(run, callback=counting(run.callback, tell)), tell, check, assess
        )
        return made(data, asked).result
