"""Older methods, with which the paper compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import Progress, telling
from .._validation import Size
from ..geometry.poses import Poses
from ..kernels.masks import SEEN
from ..lam.selection import as_lam
from ..regularizers import Regularizer, as_regularizer
from ..runtime.stopping import Event, as_stop
from ..runtime.threads import Team, as_workers
from ..solver.options import Run, Until, as_until
from ..sums.accumulator import Accumulator
from ..sums.aligner import Aligner, tell_blind
from ..sums.frame import check_in_frame, padded_shape
from ..sums.memory import check_fits, check_tables_fit, crew_count, image_bytes, part_bytes, spline_bytes
from ..sums.noise import noise_sums
from ..sums.observation import observe
from ..sums.resampling import inner
from ..sums.transfer import transfer_functions
from ..sums.workspace import progress_counter
from ..views.dataset import Dataset
from ..views.keywords import Belongings, ViewKeywords
from ..views.shorthand import Summing, SummingShorthand, as_dataset
from ..views.types import Particles, Psf
from .problem import problem_of


@overload
def average(data: Dataset, **options: Unpack[Summing]) -> NDArray: ...
@overload
def average(
    data: Particles, psf: Psf | None = None, poses: Poses | None = None, **options: Unpack[SummingShorthand]
) -> NDArray: ...
def average(
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
) -> NDArray:
    """Return the weighted average of the aligned views; each voxel is averaged over the views that saw it.

    Parameters
    ----------
    data : Dataset
        With poses; it needs no PSF. ``particles, psf, poses`` and further keywords of `Dataset` are its shorthand.
    shape, workers, progress, cancel, timeout
        As in `fastmpr.accumulate`. The grid is the same, without padding.

    Returns
    -------
    (nz, ny, nx) ndarray
        float64 if the first particle is, else float32; zero where no view saw anything.

    Raises
    ------
    ValueError, TypeError, MemoryError, Cancelled
        As in `fastmpr.accumulate`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> poses = fastmpr.Poses.random(3, rng=0)
    >>> round(float(fastmpr.average(np.ones((3, 8, 8, 8)), poses=poses)[4, 4, 4]), 6)
    1.0
    """
    stop = as_stop("average", cancel, timeout)
    data = as_dataset(average, data, psf, poses, views)
    used = data.require(psf=False).used
    model, dtype = data.model_shape(shape), data.dtype
    check_in_frame(data, model)
    each = 2 * spline_bytes(data) + 3 * np.dtype(dtype).itemsize * math.prod(model)
    threads = as_workers(workers, math.prod(model) * len(used) * len(data.group))
    team = Team(crew_count(threads, each, len(used)), stop.check)
    check_fits(data, model, model, team.size * each)
    sums = np.zeros((team.size, *model), dtype)
    counts = np.zeros((team.size, *model), dtype)

    blind: set[int] = set()

    def add_share(member: int) -> None:
        aligner, seen = (Aligner(data, model, model, copies=data.symmetry is not None) for _ in range(2))
        seen.spline.load(np.ones(data.particle_shape))
        out = np.empty(model, dtype)
        first, last = team.share(len(used), member)
        for i in used[first:last]:
            weight = dtype(data.weights[i])
            for k, _ in enumerate(aligner.align(i, out)):
                sums[member] += weight * out
                if aligner.seen is not None:
                    np.equal(aligner.mask, SEEN, out=out)
                elif data.frame == "particle" or k > 0:
                    seen.sample(i, k, out)
                else:
                    out[:] = 1
                counts[member] += weight * out
                team.check()
            tick()
        blind.update(aligner.blind)

    with telling(progress) as tell:
        tick = progress_counter(tell, "particles", len(used))
        team.run(add_share)
    tell_blind(data, blind, len(used))
    data.tell()
    total, count = sums.sum(axis=0), counts.sum(axis=0)
    half = 0.5 * dtype(min(1.0, data.weights[used].min(initial=1.0)))
    return np.divide(total, count, out=np.zeros_like(total), where=count > half)


class _Options(Summing, total=False):
    """The keywords of `deconvolve_average` with a Dataset."""

    lam: float | Literal["auto"]
    regularizer: str | Regularizer
    max_iter: int
    tol: float


class _Shorthand(_Options, ViewKeywords, total=False):
    """The same keywords with particles."""


@overload
def deconvolve_average(data: Dataset, **options: Unpack[_Options]) -> NDArray: ...
@overload
def deconvolve_average(
    data: Particles, psf: Psf | None = None, poses: Poses | None = None, **options: Unpack[_Shorthand]
) -> NDArray: ...
def deconvolve_average(
    data: Dataset | Particles,
    psf: Psf | None = None,
    poses: Poses | None = None,
    *,
    lam: float | Literal["auto"] = "auto",
    regularizer: str | Regularizer = "tv",
    shape: int | Size | None = None,
    max_iter: int = 200,
    tol: float = 1e-3,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **views: Unpack[ViewKeywords],
) -> NDArray:
    """Deconvolve each view alone, then average: the method without a solver for all views at once.

    Each view is deconvolved in its own frame as `fastmpr.reconstruct` does for a single view, by the same solver to the same
    tolerance; then `average` aligns the deconvolved views. Parameters are those of `fastmpr.reconstruct`; ``lam`` weights
    the data of one view, and ``"auto"`` chooses it for each view.

    Returns
    -------
    (nz, ny, nx) ndarray
        float64 if the first particle is, else float32; zero where no view saw anything.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if counts, shapes or units disagree, or a value is not finite or out of its range.
    MemoryError, Cancelled
        As in `fastmpr.accumulate`.

    References
    ----------
    D. Fortun et al., "Reconstruction from multiple particles for 3D isotropic resolution in fluorescence microscopy", IEEE
    Transactions on Medical Imaging 37(5), 2018: called Deconv/Average there.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(6, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> data = fastmpr.Dataset(views, psf, poses)
    >>> sharp, blurred = fastmpr.deconvolve_average(data), fastmpr.average(data)
    >>> fastmpr.metrics.psnr(sharp, truth) > fastmpr.metrics.psnr(blurred, truth)
    True
    """
    stop = as_stop("deconvolve_average", cancel, timeout)
    data = as_dataset(deconvolve_average, data, psf, poses, views).require()
    if data.fits_gain:
        raise ValueError(
            "gain: found 'fit', which needs a volume of all views, need numbers or 'same' to deconvolve each alone"
        )
    if data.fits_weights:
        raise ValueError(
            "weights: found 'robust', which needs a volume of all views, need numbers or none to deconvolve each alone"
        )
    data = (data.replace(background="plane") if data.rises else data).levelled()
    run = Run(workers=1, stop=stop)
    alone = Deconvolved(data, as_lam(lam), as_regularizer(regularizer), as_until(max_iter, tol), run)
    cubic: Belongings = {
        "seen": data.seen if data.masks is None else "all",
        "psf": None,
        "psf_voxel_size": None,
        "voxel_size": data.model_voxel,
        "poses": data.placed,
        "names": None,
    }
    turned = data.replace(particles=alone, **cubic)
    mean = average(turned, shape=data.model_shape(shape), workers=workers, progress=progress, cancel=stop)
    data.tell()
    return mean


class Deconvolved(Sequence[NDArray]):
    """Views, each deconvolved on its own grid of cubic voxels when it is indexed, by any thread.

    All views share the grid and the tables of the PSFs.
    """

    thread_safe = True

    def __init__(self, data: Dataset, lam: float | str, regularizer: Regularizer, until: Until, run: Run):
        self.lam, self.regularizer, self.until, self.run = lam, regularizer, until, run
        self.model = data.model_shape()
        check_tables_fit(data)
        self.grid = padded_shape(data, self.model)
        check_fits(data, self.model, self.grid, image_bytes(data, self.grid) + 4 * part_bytes(data, self.grid))
        self.transfers = transfer_functions(data)
        # In its own frame a particle has the pose of the model; views in the model's frame keep their rotated PSFs.
        own = data.placed if data.frame == "model" else Poses(Rotation.identity(len(data)))
        self.data = data.replace(poses=own, names=None, symmetry=None, weights=None)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: Any) -> Any:
        stop = self.run.stop
        accumulator = Accumulator(self.data, [np.array([i])], self.model, 1, None, stop, self.transfers)
        try:
            observation = observe(accumulator)
            noise = noise_sums(observation) if self.lam == "auto" else None
            result = problem_of(observation, noise).minimise(self.lam, self.regularizer, self.until, self.run)
        finally:
            accumulator.free()
        stop.check()
        (counts,) = observation.counts  # NaN where the view saw nothing, if it saw a part
        x = result.x if counts is None else np.where(counts > 0, result.x, np.nan).astype(result.x.dtype)
        return np.ascontiguousarray(x[inner(self.grid, self.model)])
