"""From views to sums: one FFT each, whatever the poses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._messages import Progress, telling
from .._stopping import Event, Stop, as_stop
from .._validation import Size, Vector
from ..data.dataset import Dataset, as_dataset
from ..engine import view_kernels
from ..engine.fft import ForwardFFT, complex_dtype, fast_shape, half_shape
from ..engine.threads import Crew, Team, as_workers
from ..poses import Poses
from .aligner import Aligner
from .frame import check_in_frame
from .memory import check_fits, check_tables_fit, crew_count, image_bytes, part_bytes, spline_bytes
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
    cancel: Event | None = None,
    timeout: float | None = None,
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
        On a padded periodic grid of cubic voxels, as large as the smallest side of ``voxel_size``; the model is in its
        middle, as `reconstruct` crops it.

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
    data = as_dataset(data, psf, poses, views).require()
    model = data.model_shape(shape)
    check_in_frame(data, model)
    with telling(progress) as tell:
        (total,) = accumulate_groups(data, [data.used], model, workers, tell, stop)
    return total


def accumulate_groups(
    data: Dataset, groups: list[NDArray], model: Size, workers: int | None, tell: Progress | None, stop: Stop
) -> list[NormalEquations]:
    """Sum several sets of views apart, each given by the places of its views."""
    check_tables_fit(data)
    grid, views = padded_shape(data, model), sum(map(len, groups))
    team = Team(as_workers(workers, math.prod(grid) * views * len(data.group)), stop.check)
    each = spline_bytes(data) + image_bytes(data, grid) + len(groups) * part_bytes(data, grid)
    crews = team.crews(crew_count(team.size, each, min(map(len, groups))))
    check_fits(data, model, grid, len(crews) * each)
    transfers = transfer_functions(data, team.size)
    tick = _counted(tell, views)
    parts = [[_Part(grid, data.dtype, crew) for crew in crews] for _ in groups]
    benches = [_Bench(data, grid, model, crew, transfers, tick) for crew in crews]
    places = [(k, place) for k, crew in enumerate(crews) for place in range(crew.size)]

    def add_share(member: int) -> None:
        crew, place = places[member]
        for group, chosen in enumerate(groups):
            first, last = (len(chosen) * k // len(crews) for k in (crew, crew + 1))
            benches[crew].add(chosen[first:last], parts[group][crew], place)

    try:
        team.run(add_share)
    finally:
        for bench in benches:
            bench.fft.free()
    data.source.tell_suspects()
    poses = [len(chosen) * len(data.group) for chosen in groups]
    return [_total(shares, count, grid, data.model_voxel) for shares, count in zip(parts, poses, strict=True)]


def view_sums(data: Dataset, i: int, grid: Size, model: Size, transfers: list[TransferFunction]) -> NormalEquations:
    """Return the sums of one view, made by the calling thread."""
    crew = Crew(1)
    part, bench = _Part(grid, data.dtype, crew), _Bench(data, grid, model, crew, transfers, _counted(None, 1))
    bench.add(np.array([i]), part, 0)
    bench.fft.free()
    return _total([part], len(data.group), grid, data.model_voxel)


class _Part:
    """The sums over one crew's share of a group, while they grow."""

    def __init__(self, grid: Size, dtype: Any, crew: Crew):
        self.gram = np.zeros(half_shape(grid), dtype)
        self.rhs = np.zeros(half_shape(grid), complex_dtype(dtype))
        self.energy = [0.0] * crew.size


class _Bench:
    """What a crew needs to sum views, one after another: each view goes through all its members' hands."""

    def __init__(
        self,
        data: Dataset,
        grid: Size,
        model: Size,
        crew: Crew,
        transfers: list[TransferFunction],
        tick: Callable[[], None],
    ):
        self.aligner, self.fft = Aligner(data, grid, model, crew), ForwardFFT(grid, data.dtype, crew)
        self.grid, self.crew, self.transfers, self.tick = grid, crew, transfers, tick

    def add(self, which: NDArray, part: _Part, place: int) -> None:
        """Add some of the views to a part; every member of the crew calls this with its place."""
        data, fft = self.aligner.data, self.fft
        for i in which:
            transfer, weight = self.transfers[data.psf_of[i]], data.weights[i]
            for rotation, square in self.aligner.align(i, fft.image, place):
                self.crew.check()
                part.energy[place] += weight * square
                fft.forward_planes(place)
                self.crew.barrier(place)
                self._add_blocks(transfer, rotation, data.dtype(weight), part, place)
                self.crew.barrier(place)
            if place == 0:
                self.tick()

    def _add_blocks(self, transfer: TransferFunction, rotation: NDArray, weight: Any, part: _Part, place: int) -> None:
        """Add a member's rows of the view's spectrum, block by block, while each is in cache."""
        matrix = transfer.matrix(rotation, self.grid, self.aligner.data.model_voxel)
        for block in self.fft.blocks[place]:
            block.forward()
            rows = block.first, block.last
            view_kernels.add_columns(
                *transfer.table, matrix, self.grid, block.columns, weight, part.gram, part.rhs, *rows
            )


def _total(parts: list[_Part], count: int, grid: Size, voxel: Vector) -> NormalEquations:
    """Add up the parts of one group, in the first of them."""
    first, *others = parts
    for part in others:
        first.gram += part.gram
        first.rhs += part.rhs
    energies = [math.fsum(part.energy) for part in parts]
    return NormalEquations(first.gram, first.rhs, sum(energies), count, grid, voxel)


def padded_shape(data: Dataset, model: Size) -> Size:
    """Return a grid with fast FFTs on which light that a PSF carries out of the model does not come back in."""
    margin = max(energy_radius(psf, data.psf_voxel_size) for psf in data.psfs) / data.model_voxel[0]
    nz, ny, nx = (n + min(math.ceil(margin), n) if n > 1 else 1 for n in model)
    return fast_shape((nz, ny, nx))


def transfer_functions(data: Dataset, workers: int = 1) -> list[TransferFunction]:
    """Return the transfer function of each PSF."""
    return [TransferFunction(psf, data.psf_voxel_size, data.dtype, workers) for psf in data.psfs]


def _counted(tell: Progress | None, total: int) -> Callable[[], None]:
    """Return what any thread calls when it is done with a view."""
    lock, done = Lock(), 0

    def tick() -> None:
        nonlocal done
        if tell is None:
            return
        with lock:
            done += 1
            tell("particles", done, total)

    return tick
