"""The public function: checks, sums, lam, solve, crop."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validation import Size, Vector, as_voxel_size
from .admm import Result, solve
from .normal_equations import accumulate_groups
from .poses import Poses
from .regularizers import Regularizer, as_regularizer
from .resampling import inner
from .selection import ENOUGH_VIEWS, as_lam, infer_lam, select_lam
from .views import Foreground, Views


def reconstruct(
    particles: Sequence[ArrayLike] | NDArray,
    psf: ArrayLike,
    poses: Poses,
    *,
    lam: float | str = "auto",
    regularizer: str | Regularizer = "hessian",
    frame: str = "particle",
    voxel_size: float | Vector = 1.0,
    psf_voxel_size: float | Vector | None = None,
    shape: int | Size | None = None,
    weights: ArrayLike | None = None,
    max_iter: int = 200,
    tol: float = 2e-3,
    workers: int | None = None,
    callback: Callable[[Result], Any] | None = None,
) -> Result:
    """Reconstruct one isotropic volume from many blurred views of a particle.

    Subtracts each view's background, sums the normal equations (`accumulate`), chooses ``lam`` (by cross-validation of
    halves of the views, `select_lam`; with fewer than 8 views by `infer_lam`), minimises (`solve`) and crops the padding.

    Parameters
    ----------
    particles : sequence of N (nz, ny, nx) arrays
        Anything with ``len`` and ``[i]``: an array, a list, a memory map. One particle per thread is in memory at a time.
    psf : (nz, ny, nx) ndarray
        PSF of the microscope, centred at ``size // 2`` on each axis (see `fastmpr.psf.centred`); any positive sum. It may be
        larger than the particles.
    poses : Poses
        N poses, translations in the unit of ``voxel_size``.
    lam : float or "auto"
        Weight of the data term. It scales as the inverse of the intensities.
    regularizer : str or Regularizer
        ``"hessian"``: the nuclear norm of the Hessian.
    frame : {"particle", "model"}
        Whether the particles are as imaged, or already aligned with the model; then translations are not used, the voxels
        must be cubic, and no background is subtracted.
    voxel_size : float or (z, y, x)
        Voxel of the particles, in micrometres.
    psf_voxel_size : float or (z, y, x), optional
        Voxel of the PSF; by default that of the particles.
    shape : int or (nz, ny, nx), optional
        Shape of the result; by default what a particle image covers.
    weights : (N,) array_like, optional
        Weight of each view; 1 by default.
    max_iter, tol, workers, callback
        As in `fastmpr.solve`. While ``lam`` is being chosen, ``callback`` sees those iterations too.

    Returns
    -------
    Result
        ``x`` has cubic voxels as large as the smallest side of ``voxel_size``, and the precision of the first particle
        (float32 unless that is float64).

    Raises
    ------
    ValueError
        If counts, shapes or units disagree, or a value is not finite or out of its range; the message names it.

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
    >>> result = fastmpr.reconstruct(views, psf, poses)
    >>> average = fastmpr.average(views, poses)
    >>> fastmpr.metrics.psnr(result.x, truth) > fastmpr.metrics.psnr(average, truth) + 3
    True
    """
    lam = as_lam(lam)
    regularizer = as_regularizer(regularizer)
    seen = Foreground(particles) if frame == "particle" else particles
    model = Views(seen, poses, frame, as_voxel_size(voxel_size)).model_shape(shape)
    halves = accumulate_groups(
        seen,
        psf,
        poses,
        2 if lam == "auto" and len(poses) >= ENOUGH_VIEWS else 1,
        frame=frame,
        voxel_size=voxel_size,
        psf_voxel_size=psf_voxel_size,
        shape=shape,
        weights=weights,
        workers=workers,
    )
    sums = functools.reduce(operator.add, halves)
    options: dict[str, Any] = {"regularizer": regularizer, "workers": workers, "callback": callback}
    if lam != "auto":
        chosen, start = float(lam), None
    elif len(halves) == 2:
        chosen, start = select_lam(halves[0], halves[1], **options)
    else:
        chosen, start = infer_lam(sums, **options)
    result = solve(sums, chosen, x0=start, max_iter=max_iter, tol=tol, **options)
    return replace(result, x=np.ascontiguousarray(result.x[inner(sums.shape, model)]))
