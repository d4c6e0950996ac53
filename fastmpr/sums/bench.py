"""Where a crew of threads works on views, one after another, and the sums that grow there."""

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


class Part:
    """The sums over one crew's share of a group, while they grow.

    Attributes
    ----------
    gram, rhs, energy
        As in `NormalEquations`, the energy by member. Of a ``prediction``, there is no gram.
    counts : (nz, ny, nx), optional
        The weights of the views that saw a voxel, of those that did not see all.
    """

    def __init__(self, grid: Size, dtype: Any, crew: Crew, prediction: bool = False):
        self.grid, self.dtype = grid, dtype
        self.gram = np.zeros((0, 0, 0) if prediction else half_shape(grid), dtype)
        self.rhs = np.zeros(half_shape(grid), complex_dtype(dtype))
        self.energy = [0.0] * crew.size
        self.counts: NDArray | None = None

    def add(self, other: Part) -> None:
        """Add what another crew has summed."""
        self.gram += other.gram
        self.rhs += other.rhs
        self.energy += other.energy
        if self.counts is None:
            self.counts = other.counts
        elif other.counts is not None:
            self.counts += other.counts


class Tally:
    """What a crew notes of each view, by its members: some numbers, whether it saw all, and when it is done with it.

    Attributes
    ----------
    values : (members, N, numbers) ndarray
    partial : set of int
        The views that did not see all of their images.
    """

    def __init__(self, views: int, members: int, tick: Callable[[], None], numbers: int = 3):
        self.values, self.partial, self._tick = np.zeros((members, views, numbers)), set[int](), tick

    def add(self, member: int, i: int, *values: float) -> None:
        """Add what a member saw of view ``i``."""
        self.values[member, i] += values

    def done(self, member: int) -> None:
        """Count a view that all members are done with."""
        if member == 0:
            self._tick()


class Noted(NamedTuple):
    """What all crews noted: some numbers of each view, (N, numbers), and which views did not see all of their images."""

    numbers: NDArray[np.float64]
    partial: set[int]

    @classmethod
    def of(cls, tallies: Sequence[Tally]) -> Noted:
        """Return the sum of what each crew noted."""
        numbers = np.sum([tally.values.sum(axis=0) for tally in tallies], axis=0)
        return cls(numbers, set[int]().union(*(tally.partial for tally in tallies)))


class Bench:
    """What a crew needs to sum views: each view goes through all its members' hands, who call the same methods."""

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

    def add(self, which: NDArray, part: Part, tally: Tally, place: int) -> None:
        """Add some of the views to a part; note how many voxels each saw, their sum and that of their squares."""
        data, fft = self.aligner.data, self.fft
        for i in which:
            for view in self.aligner.align(i, fft.image, place):
                self.crew.check()
                part.energy[place] += data.weights[i] * view.square
                if self.aligner.seen is not None:
                    tally.partial.add(int(i))
                    tally.add(place, i, view.voxels, view.total, view.square)
                    self._count(part, data.weights[i], place)
                self._transform(i, view.rotation, part, place)
            tally.done(place)

    def predict(self, which: NDArray, spectrum: NDArray, levels: NDArray, part: Part, tally: Tally, place: int) -> None:
        """Add to a part what views that did not see all would have seen of a volume where they saw nothing.

        Where they saw something, their background above ``levels`` is taken off. Of what is predicted there, the tally notes
        how many voxels that are, their sum and that of their squares.
        """
        data, planes = self.aligner.data, self.crew.share(self.grid[0], place)
        for i in which:
            level = data.dtype(-levels[i])
            for k, rotation in enumerate(self.aligner.look(i, place)):
                self.crew.check()
                self._predict_image(i, rotation, spectrum, place)
                count = self.aligner.mark(i, k, place)
                total, squares = keep_unseen(self.fft.image, self.aligner.mask, level, *planes)
                tally.add(place, i, count, total, squares)
                self._transform(i, rotation, part, place)
            tally.done(place)

    def compare(self, which: NDArray, spectrum: NDArray, tally: Tally, place: int) -> None:
        """Note n and the sums of p, y, p^2, p y and y^2 of each view y and its prediction p, where it saw something."""
        first, last = self.crew.share(self.grid[0], place)
        image = self.fft.image[first:last, :, : self.grid[2]]
        for i in which:
            for view in self.aligner.align(i, self.fft.image, place):
                self.crew.check()
                seen = image.copy()
                self.crew.barrier(place)
                self._predict_image(i, view.rotation, spectrum, place)
                shown = image.ravel() if self.aligner.seen is None else image[self.aligner.mask[first:last] == SEEN]
                seen = seen.ravel() if self.aligner.seen is None else seen[self.aligner.mask[first:last] == SEEN]
                sums = (part.sum(dtype=np.float64) for part in (shown, seen, shown * shown, shown * seen, seen * seen))
                tally.add(place, i, shown.size, *sums)
                self.crew.barrier(place)
            tally.done(place)

    def _count(self, part: Part, weight: float, place: int) -> None:
        """Count which voxels the view in hand saw."""
        if place == 0 and part.counts is None:
            part.counts = np.zeros(part.grid, part.dtype)
        self.crew.barrier(place)
        planes = self.crew.share(self.grid[0], place)
        count_seen(part.counts, self.aligner.mask, part.dtype(weight), *planes)

    def _predict_image(self, i: int, rotation: NDArray, spectrum: NDArray, place: int) -> None:
        """Fill a member's planes of the image with what a view shows of a volume with a spectrum."""
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

    def _transform(self, i: int, rotation: NDArray, part: Part, place: int) -> None:
        """Transform the image, and add a member's rows of its spectrum block by block, while each is in cache."""
        data, transfer = self.aligner.data, self.transfers[self.aligner.data.psf_of[i]]
        self.fft.forward_planes(place)
        self.crew.barrier(place)
        matrix, weight = transfer.matrix(rotation, self.grid, data.model_voxel), data.dtype(data.weights[i])
        for block in self.fft.blocks[place]:
            block.forward()
            rows = block.first, block.last
            add_columns(*transfer.table, matrix, self.grid, block.columns, weight, part.gram, part.rhs, *rows)
        self.crew.barrier(place)


def counted(tell: Progress | None, what: str, total: int) -> Callable[[], None]:
    """Return what any thread calls when it is done with a view."""
    lock, done = Lock(), 0

    def tick() -> None:
        nonlocal done
        if tell is None:
            return
        with lock:
            done += 1
            tell(what, done, total)

    return tick
