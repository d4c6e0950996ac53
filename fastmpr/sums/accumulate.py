"""From views to sums: one FFT each, whatever the poses."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._messages import Progress, telling
from .._validation import Size
from ..data.dataset import Dataset, as_dataset
from ..engine import view_kernels
from ..engine.fft import ForwardFFT, fast_shape, half_shape
from ..engine.threads import Team, as_workers
from ..poses import Poses
from .aligner import Aligner
from .frame import check_in_frame
from .normal_equations import NormalEquations
from .transfer import TransferFunction, energy_radius


def accumulate(
    data: Dataset | Sequence[ArrayLike] | NDArray,
    psf: ArrayLike | None = None,
    poses: Poses | None = None,
    *,
    shape: int | Size | None = None,
    workers: int | None = None,
    progress: bool | Progress | None = None,
    **views: Any,
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
        Threads; by default all that this process may use.
    progress : bool or callable, optional
        True shows a bar (needs tqdm); a callable is called with ("particles", how many are done, of how many).

    Returns
    -------
    NormalEquations
        On a padded periodic grid of cubic voxels, as large as the smallest side of ``voxel_size``; the model is in its
        middle, as `reconstruct` crops it.

    Raises
    ------
    ValueError, TypeError
        As `Dataset` does, and for a particle that is not a finite volume like the others.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> psf = fastmpr.psf.gaussian((9, 9, 9), sigma=(2, 1, 1))
    >>> data = fastmpr.Dataset(np.ones((3, 8, 8, 8)), psf, fastmpr.Poses.random(3, rng=0))
    >>> fastmpr.accumulate(data).n_poses
    3
    """
    data = as_dataset(data, psf, poses, views).require()
    model = data.model_shape(shape)
    check_in_frame(data, model)
    with telling(progress) as tell:
        (total,) = accumulate_groups(data, [data.used], model, workers, tell)
    return total


def accumulate_groups(
    data: Dataset, groups: list[NDArray], model: Size, workers: int | None, tell: Progress | None = None
) -> list[NormalEquations]:
    """Sum several sets of views apart, each given by the places of its views."""
    threads = as_workers(workers)
    grid, transfers = padded_shape(data, model), transfer_functions(data, threads)
    team = Team(min(threads, *map(len, groups)))
    parts: list[list[Any]] = [[None] * team.size for _ in groups]
    tick = _counted(team, tell, sum(map(len, groups)))

    def add_share(member: int) -> None:
        aligner, fft = Aligner(data, grid, model), ForwardFFT(grid, data.dtype)
        for group, chosen in enumerate(groups):
            first, last = team.share(len(chosen), member)
            parts[group][member] = _sum_views(aligner, fft, transfers, chosen[first:last], tick)

    team.run(add_share)
    data.source.tell_suspects()
    return [functools.reduce(operator.add, shares) for shares in parts]


def _sum_views(
    aligner: Aligner, fft: ForwardFFT, transfers: list[TransferFunction], which: NDArray, tick: Callable[[], None]
) -> NormalEquations:
    """Sum some of the views on the calling thread."""
    data, grid = aligner.data, fft.image.shape
    gram = np.zeros(half_shape(grid), data.dtype)
    rhs = np.zeros_like(fft.spectrum)
    energy = 0.0
    for i in which:
        transfer, weight = transfers[data.psf_of[i]], data.weights[i]
        for rotation, square in aligner.align(i, fft.image):
            energy += weight * square
            fft.execute()
            matrix = transfer.matrix(rotation, grid, data.model_voxel)
            view_kernels.add_view(*transfer.table, matrix, grid, fft.spectrum, data.dtype(weight), gram, rhs)
        tick()
    return NormalEquations(gram, rhs, energy, len(which) * len(data.group), grid, data.model_voxel)


def padded_shape(data: Dataset, model: Size) -> Size:
    """Return a grid with fast FFTs on which light that a PSF carries out of the model does not come back in."""
    margin = max(energy_radius(psf, data.psf_voxel_size) for psf in data.psfs) / data.model_voxel[0]
    nz, ny, nx = (n + min(math.ceil(margin), n) if n > 1 else 1 for n in model)
    return fast_shape((nz, ny, nx))


def transfer_functions(data: Dataset, workers: int = 1) -> list[TransferFunction]:
    """Return the transfer function of each PSF."""
    return [TransferFunction(psf, data.psf_voxel_size, data.dtype, workers) for psf in data.psfs]


def _counted(team: Team, tell: Progress | None, total: int) -> Callable[[], None]:
    """Return what any thread calls when it is done with a view."""
    if tell is None:
        return team.check
    lock, done = Lock(), 0

    def tick() -> None:
        nonlocal done
        team.check()
        with lock:
            done += 1
            tell("particles", done, total)

    return tick
