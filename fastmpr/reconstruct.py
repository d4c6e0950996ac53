"""The public function: checks, sums, lam, solve, crop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._validation import Size, Vector, as_voxel_size
from .admm import Result, solve
from .normal_equations import accumulate
from .poses import Poses
from .regularizers import Regularizer
from .resampling import inner
from .selection import as_lam, select_lam
from .views import Views


def reconstruct(
    particles: Sequence[ArrayLike],
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
    tol: float = 1e-3,
    workers: int | None = None,
    callback: Callable[[Result], Any] | None = None,
) -> Result:
    lam = as_lam(lam)
    sums = accumulate(
        particles,
        psf,
        poses,
        frame=frame,
        voxel_size=voxel_size,
        psf_voxel_size=psf_voxel_size,
        shape=shape,
        weights=weights,
        workers=workers,
    )
    model = Views(particles, poses, frame, as_voxel_size(voxel_size)).model_shape(shape)
    options = {"regularizer": regularizer, "workers": workers, "callback": callback}
    chosen, start = select_lam(sums, **options) if lam == "auto" else (lam, None)
    result = solve(sums, chosen, x0=start, max_iter=max_iter, tol=tol, **options)
    return replace(result, x=np.ascontiguousarray(result.x[inner(sums.shape, model)]))
