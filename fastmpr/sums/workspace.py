"""The buffers in which a crew of threads processes one view after another, and the sums that it accumulates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import Progress
from .._validation import Size
from ..kernels.masks import SEEN, count_seen, keep_unseen
from ..kernels.transfer_functions import add_columns, predict_columns
from ..runtime.fft import ViewFFT, complex_dtype, half_shape
from ..runtime.threads import Crew
from ..views.dataset import Dataset
from .aligner import Aligner
from .transfer import TransferFunction


class CrewSums:
    """The running sums over one crew's share of a group of views.

    Attributes
    ----------
    gram, rhs, energy
        As in `NormalEquations`, but one energy for each member. The gram of a ``prediction`` is empty.
    counts : (nz, ny, nx), optional
        For each voxel, the summed weights of the partial views (those with unseen voxels) in which it is seen.
    """

    def __init__(self, grid: Size, dtype: Any, crew: Crew, prediction: bool = False):
        self.grid, self.dtype = grid, dtype
        self.gram = np.zeros((0, 0, 0) if prediction else half_shape(grid), dtype)
        self.rhs = np.zeros(half_shape(grid), complex_dtype(dtype))
        self.energy = [0.0] * crew.size
        self.counts: NDArray | None = None

    def add(self, other: CrewSums) -> None:
        """Add the sums of another crew."""
        self.gram += other.gram
        self.rhs += other.rhs
        self.energy += other.energy
        if self.counts is None:
            self.counts = other.counts
        elif other.counts is not None:
            self.counts += other.counts


class CrewStatistics:
    """The numbers that the members of one crew record for each view, and the progress that they report.

    Attributes
    ----------
    values : (members, N, numbers) ndarray
        The recorded numbers.
    partial : set of int
        Indices of the views with unseen voxels.
    """

    def __init__(self, views: int, members: int, tick: Callable[[], None], numbers: int = 3):
        self.values, self.partial, self._tick = np.zeros((members, views, numbers)), set[int](), tick

    def add(self, member: int, i: int, *values: float) -> None:
        """Add a member's numbers for view ``i``."""
        self.values[member, i] += values

    def done(self, member: int) -> None:
        """Report that a view is done; all members call this, and one of them counts."""
        if member == 0:
            self._tick()


class ViewStatistics(NamedTuple):
    """The numbers that all crews recorded for each view, (N, numbers), and the indices of the views with unseen voxels."""

    numbers: NDArray[np.float64]
    partial: set[int]

    @classmethod
    def of(cls, recorded: Sequence[CrewStatistics]) -> ViewStatistics:
        """Return the sum over all crews and members."""
        numbers = np.sum([crew.values.sum(axis=0) for crew in recorded], axis=0)
        return cls(numbers, set[int]().union(*(crew.partial for crew in recorded)))


class Workspace:
    """The buffers with which a crew sums views: its members share the work on every view, and call the same methods."""

    def __init__(
        self,
        data: Dataset,
        grid: Size,
        model: Size,
        crew: Crew,
        transfers: list[TransferFunction],
    ):
        self.aligner, self.fft = Aligner(data, grid, model, crew), ViewFFT(grid, data.dtype, crew)
        self.grid, self.crew, self.transfers = grid, crew, transfers

    def add(self, which: NDArray, sums: CrewSums, statistics: CrewStatistics, place: int) -> None:
        """Add views to the sums; record the number of seen voxels of each, their sum and the sum of their squares."""
        data, fft = self.aligner.data, self.fft
        for i in which:
            for view in self.aligner.align(i, fft.image, place):
                self.crew.check()
                sums.energy[place] += data.weights[i] * view.square
                if self.aligner.seen is not None:
                    statistics.partial.add(int(i))
                    statistics.add(place, i, view.voxels, view.total, view.square)
                    self._count(sums, data.weights[i], place)
                self._transform(i, view.rotation, sums, place)
            statistics.done(place)

    def predict(
        self,
        which: NDArray,
        spectrum: NDArray,
        levels: NDArray,
        sums: CrewSums,
        statistics: CrewStatistics,
        place: int,
    ) -> None:
        """Predict the unseen voxels of views from the spectrum of a volume, and add these predictions to the sums.

        The seen voxels get the value -``levels``, which subtracts this background from the views. Three numbers are recorded
        for each view: the number of seen voxels, the sum of the prediction over them, and the sum of its squares over the
        unseen voxels.
        """
        data, planes = self.aligner.data, self.crew.share(self.grid[0], place)
        for i in which:
            level = data.dtype(-levels[i])
            for k, rotation in enumerate(self.aligner.load_seen(i, place)):
                self.crew.check()
                self._predict_image(i, rotation, spectrum, place)
                count = self.aligner.mark(i, k, place)
                total, squares = keep_unseen(self.fft.image, self.aligner.mask, level, *planes)
                statistics.add(place, i, count, total, squares)
                self._transform(i, rotation, sums, place)
            statistics.done(place)

    def compare(self, which: NDArray, spectrum: NDArray, statistics: CrewStatistics, place: int) -> None:
        """Record n and the sums of p, y, p^2, p y and y^2 over the seen voxels of each view y and its prediction p."""
        first, last = self.crew.share(self.grid[0], place)
        image = self.fft.image[first:last, :, : self.grid[2]]
        for i in which:
            for view in self.aligner.align(i, self.fft.image, place):
                self.crew.check()
                seen = image.copy()
                self.crew.barrier(place)
                self._predict_image(i, view.rotation, spectrum, place)
                predicted = image.ravel() if self.aligner.seen is None else image[self.aligner.mask[first:last] == SEEN]
                seen = seen.ravel() if self.aligner.seen is None else seen[self.aligner.mask[first:last] == SEEN]
                totals = (
                    product.sum(dtype=np.float64)
                    for product in (predicted, seen, predicted * predicted, predicted * seen, seen * seen)
                )
                statistics.add(place, i, predicted.size, *totals)
                self.crew.barrier(place)
            statistics.done(place)

    def _count(self, sums: CrewSums, weight: float, place: int) -> None:
        """Add the weight of the current view to the counts of its seen voxels."""
        if place == 0 and sums.counts is None:
            sums.counts = np.zeros(sums.grid, sums.dtype)
        self.crew.barrier(place)
        planes = self.crew.share(self.grid[0], place)
        count_seen(sums.counts, self.aligner.mask, sums.dtype(weight), *planes)

    def _predict_image(self, i: int, rotation: NDArray, spectrum: NDArray, place: int) -> None:
        """Fill a member's planes of the image with the prediction of a view from the spectrum of a volume."""
        transfer, dtype = self.transfers[self.aligner.data.psf_of[i]], self.aligner.data.dtype
        matrix, scale = (
            transfer.matrix(rotation, self.grid, self.aligner.data.model_voxel),
            dtype(1 / np.prod(self.grid)),
        )
        for block in self.fft.blocks[place]:
            rows = block.first, block.last
            predict_columns(*transfer.table, matrix, self.grid, spectrum, scale, block.columns, *rows)
            block.inverse()
        self.crew.barrier(place)
        self.fft.inverse_planes(place)

    def _transform(self, i: int, rotation: NDArray, sums: CrewSums, place: int) -> None:
        """Transform the image, and add a member's rows of its spectrum block by block, while each block is in cache."""
        data, transfer = self.aligner.data, self.transfers[self.aligner.data.psf_of[i]]
        self.fft.forward_planes(place)
        self.crew.barrier(place)
        matrix, weight = transfer.matrix(rotation, self.grid, data.model_voxel), data.dtype(data.weights[i])
        for block in self.fft.blocks[place]:
            block.forward()
            rows = block.first, block.last
            add_columns(*transfer.table, matrix, self.grid, block.columns, weight, sums.gram, sums.rhs, *rows)
        self.crew.barrier(place)


def progress_counter(tell: Progress | None, what: str, total: int) -> Callable[[], None]:
    """Return a function that any thread calls after each view, to report progress."""
    lock, done = Lock(), 0

    def tick() -> None:
        nonlocal done
        if tell is None:
            return
        with lock:
            done += 1
            tell(what, done, total)

    return tick
