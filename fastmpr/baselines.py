"""What people did before: the methods that the paper compares with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from ._fft import ForwardFFT
from ._threads import Team, as_workers
from ._validation import Size, Vector, as_voxel_size
from .admm import solve
from .normal_equations import NormalEquations, padded_shape
from .poses import Poses
from .regularizers import Regularizer
from .resampling import inner
from .selection import as_lam, infer_lam
from .transfer import TransferFunction, energy_radius
from .views import Aligner, Foreground, Views


def average(
    particles: Sequence[ArrayLike] | NDArray,
    poses: Poses,
    *,
    frame: str = "particle",
    voxel_size: float | Vector = 1.0,
    shape: int | Size | None = None,
    workers: int | None = None,
) -> NDArray:
    """Average the aligned views, voxel by voxel over the views that saw it.

    Parameters are those of `fastmpr.accumulate`; so is the grid, without its padding.

    Returns
    -------
    (nz, ny, nx) ndarray
        float64 if the first particle is, else float32; zero where no view saw anything.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> poses = fastmpr.Poses.random(3, rng=0)
    >>> round(float(fastmpr.average(np.ones((3, 8, 8, 8)), poses)[4, 4, 4]), 6)
    1.0
    """
    views = Views(particles, poses, frame, as_voxel_size(voxel_size))
    model = views.model_shape(shape)
    team = Team(min(as_workers(workers), len(poses)))
    sums = np.zeros((team.size, *model), views.dtype)
    counts = np.zeros((team.size, *model), views.dtype)

    def add_share(member: int) -> None:
        aligner, seen = Aligner(views, model, model), Aligner(views, model, model)
        seen.spline.load(np.ones(views.particle_shape))
        out = np.empty(model, views.dtype)
        for i in range(*team.share(len(poses), member)):
            aligner.align(i, out)
            sums[member] += out
            if frame == "particle":
                seen.resample(i, out)
            else:
                out[:] = 1
            counts[member] += out

    team.run(add_share)
    total, count = sums.sum(axis=0), counts.sum(axis=0)
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0.5)


def deconvolve_average(
    particles: Sequence[ArrayLike] | NDArray,
    psf: ArrayLike,
    poses: Poses,
    *,
    lam: float | str = "auto",
    regularizer: str | Regularizer = "tv",
    frame: str = "particle",
    voxel_size: float | Vector = 1.0,
    psf_voxel_size: float | Vector | None = None,
    shape: int | Size | None = None,
    max_iter: int = 200,
    tol: float = 1e-3,
    workers: int | None = None,
) -> NDArray:
    """Deconvolve each view alone, then average: what one does without a solver for all views at once.

    Every view is deconvolved as `fastmpr.reconstruct` would do it from this view only, by the same solver to the same
    tolerance, in its own frame; then `average` aligns the deconvolved views. Parameters are those of
    `fastmpr.reconstruct`; ``lam`` weighs the data of one view, and ``"auto"`` chooses it for each.

    Returns
    -------
    (nz, ny, nx) ndarray
        float64 if the first particle is, else float32; zero where no view saw anything.

    Raises
    ------
    ValueError
        If counts, shapes or units disagree, or a value is not finite or out of its range; the message names it.

    References
    ----------
    D. Fortun et al., "Reconstruction from multiple particles for 3D isotropic resolution in fluorescence microscopy", IEEE
    Transactions on Medical Imaging 37(5), 2018: there called Deconv/Average.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(6, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> sharp, blurred = fastmpr.deconvolve_average(views, psf, poses), fastmpr.average(views, poses)
    >>> fastmpr.metrics.psnr(sharp, truth) > fastmpr.metrics.psnr(blurred, truth)
    True
    """
    seen = Foreground(particles) if frame == "particle" else particles
    views = Views(seen, poses, frame, as_voxel_size(voxel_size))
    psf_voxel = views.particle_voxel if psf_voxel_size is None else as_voxel_size(psf_voxel_size, "psf_voxel_size")
    alone = Deconvolved(
        views, psf, psf_voxel, as_lam(lam), regularizer=regularizer, max_iter=max_iter, tol=tol, workers=1
    )
    return average(
        alone, poses, frame=frame, voxel_size=views.voxel_size, shape=views.model_shape(shape), workers=workers
    )


class Deconvolved(Sequence[NDArray]):
    """Views, each deconvolved when it is asked for, on its own grid of cubic voxels; any thread may ask.

    The PSF's table and the grid are shared. ``options`` go to `solve`.
    """

    def __init__(self, views: Views, psf: ArrayLike, psf_voxel: Vector, lam: float | str, **options: Any):
        self.lam, self.options = lam, options
        self.model = views.model_shape()
        self.grid = padded_shape(self.model, energy_radius(psf, psf_voxel) / views.voxel_size[0])
        self.transfer = TransferFunction(psf, psf_voxel, views.dtype)
        # In its own frame a particle has the pose of the model; views in the model's frame keep their turned PSFs.
        unmoved = Poses(Rotation.identity(len(views.poses)), np.zeros((len(views.poses), 3)))
        own = views.poses if views.frame == "model" else unmoved
        self.views = Views(views.particles, own, views.frame, views.particle_voxel)
        self._first = self._deconvolve(0)  # whoever averages looks at the first view's shape before all else

    def __len__(self) -> int:
        return len(self.views.poses)

    def __getitem__(self, i: Any) -> Any:
        return self._first if i == 0 else self._deconvolve(i)

    def sums(self, i: int) -> NormalEquations:
        """Return the normal equations of one view."""
        image = ForwardFFT(self.grid, self.views.dtype)
        energy = Aligner(self.views, self.grid, self.model).align(i, image.image)
        image.execute()
        h = self.transfer.sample(self.views.poses.matrix[i], self.grid, self.views.voxel_size)
        gram, rhs = h.real**2 + h.imag**2, h.conj() * image.spectrum
        return NormalEquations(gram, rhs, energy, 1, self.grid, self.views.voxel_size)

    def _deconvolve(self, i: int) -> NDArray:
        sums = self.sums(i)
        search = {name: self.options[name] for name in ("regularizer", "workers")}
        chosen, start = infer_lam(sums, **search) if self.lam == "auto" else (self.lam, None)
        result = solve(sums, float(chosen), x0=start, **self.options)
        return np.ascontiguousarray(result.x[inner(self.grid, self.model)])
