"""Crews of threads that process views in buffers, which are reused for every view."""

from __future__ import annotations

import math
from collections.abc import Callable

from numpy.typing import NDArray

from .._messages import Progress
from .._validation import Size
from ..runtime.fft import irfftn, rfftn
from ..runtime.stopping import Stop
from ..runtime.threads import Team, as_workers
from ..views.dataset import Dataset
from .frame import padded_shape
from .memory import check_fits, check_tables_fit, crew_count, image_bytes, part_bytes, spline_bytes
from .symmetrize import symmetrizer
from .transfer import TransferFunction, transfer_functions
from .workspace import CrewStatistics, CrewSums, ViewStatistics, Workspace, progress_counter

# What one member, at its place in the crew, does with the crew's share of a group.
Work = Callable[[Workspace, NDArray, CrewSums, CrewStatistics, int], None]


class Accumulator:
    """Crews of threads, each with its buffers, that process groups of views; the results are kept elsewhere.

    Parameters
    ----------
    data : Dataset
        The views, with a PSF and poses.
    groups : list of (n,) ndarray
        Indices of the views in each group.
    model : (nz, ny, nx)
        Shape of the model.
    workers, tell, stop
        As in the public functions.
    transfers : list of TransferFunction, optional
        Transfer functions of the PSFs; by default they are computed.
    grid : (nz, ny, nx), optional
        Shape of the padded grid; by default `padded_shape`.
    """

    def __init__(
        self,
        data: Dataset,
        groups: list[NDArray],
        model: Size,
        workers: int | None,
        tell: Progress | None,
        stop: Stop,
        transfers: list[TransferFunction] | None = None,
        grid: Size | None = None,
    ):
        check_tables_fit(data)
        self.data, self.groups, self.model, self.tell, self.stop = data, groups, model, tell, stop
        self.grid, views = grid or padded_shape(data, model), sum(map(len, groups))
        self.team = Team(as_workers(workers, math.prod(self.grid) * views), stop.check)
        each = spline_bytes(data) + image_bytes(data, self.grid) + len(groups) * part_bytes(data, self.grid)
        self.crews = self.team.crews(crew_count(self.team.size, each, min(map(len, groups))))
        self.symmetrizer = symmetrizer(data, model, self.grid, self.team)
        check_fits(
            data,
            model,
            self.grid,
            len(self.crews) * each + (self.symmetrizer.bytes(data.dtype) if self.symmetrizer else 0),
        )
        self.transfers = transfers or transfer_functions(data, self.team.size)
        self.workspaces = [Workspace(data, self.grid, model, crew, self.transfers) for crew in self.crews]

    def free(self) -> None:
        """Free the buffers."""
        for workspace in self.workspaces:
            workspace.fft.free()
        self.workspaces = []

    def process(
        self, groups: list[NDArray], what: str, work: Work, *, prediction: bool = False, numbers: int = 3
    ) -> tuple[list[CrewSums], ViewStatistics]:
        """Run a function on every group of views, divided among the crews.

        Parameters
        ----------
        groups : list of (n,) ndarray
            Indices of the views in each group.
        what : str
            Name of the step, for the progress callback.
        work : callable
            The function that each member of a crew runs on the crew's share.
        prediction : bool
            Whether the sums are those of a prediction, which have no gram.
        numbers : int
            How many numbers are recorded for each view.

        Returns
        -------
        list of CrewSums
            The sums of each group.
        ViewStatistics
            The numbers that the crews recorded for each view.
        """
        sums = [[CrewSums(self.grid, self.data.dtype, crew, prediction) for crew in self.crews] for _ in groups]
        tick = progress_counter(self.tell, what, sum(map(len, groups)))
        recorded = [CrewStatistics(len(self.data), crew.size, tick, numbers) for crew in self.crews]
        places = [(k, place) for k, crew in enumerate(self.crews) for place in range(crew.size)]

        def process_share(member: int) -> None:
            crew, place = places[member]
            for group, chosen in enumerate(groups):
                first, last = (len(chosen) * k // len(self.crews) for k in (crew, crew + 1))
                work(self.workspaces[crew], chosen[first:last], sums[group][crew], recorded[crew], place)

        self.team.run(process_share)
        for first, *others in sums:
            for other in others:
                first.add(other)
        return [first for first, *_ in sums], ViewStatistics.of(recorded)

    def spectrum(self, x: NDArray) -> NDArray:
        """Return the spectrum of a volume on the padded grid, and plan the FFTs that predict views from it."""
        for workspace in self.workspaces:
            workspace.fft.plan_inverse()
        return rfftn(x.astype(self.data.dtype, copy=False), self.team.size)

    def symmetric(self, x: NDArray) -> NDArray:
        """Return the mean of a volume over the symmetry of the particle."""
        if self.symmetrizer is None:
            return x
        symmetrized = self.symmetrizer.rhs(rfftn(x, self.team.size))
        return irfftn(symmetrized, self.grid, self.team.size) / x.dtype.type(len(self.data.group))
