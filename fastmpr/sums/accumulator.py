"""Where views are summed: one FFT each, whatever the poses, by crews of threads in buffers that serve again and again."""

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
from .bench import Bench, Noted, Part, Tally, counted
from .frame import padded_shape
from .memory import check_fits, check_tables_fit, crew_count, image_bytes, part_bytes, spline_bytes
from .symmetrize import symmetrizer
from .transfer import TransferFunction, transfer_functions

Work = Callable[[Bench, NDArray, Part, Tally, int], None]  # on a crew's share of a group, by a member at its place


class Accumulator:
    """Crews of threads, each with its buffers, that work on several sets of views; it holds nothing that they found.

    Parameters
    ----------
    data : Dataset
        With a PSF and poses.
    groups : list of (n,) ndarray
        The places of each set's views.
    model : (nz, ny, nx)
        Shape of the model.
    workers, tell, stop
        As the public functions have them.
    transfers : list of TransferFunction, optional
        Of the PSFs, where they are there already.
    grid : (nz, ny, nx), optional
        By default `padded_shape`.
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
        self.turned = symmetrizer(data, model, self.grid, self.team)
        check_fits(
            data, model, self.grid, len(self.crews) * each + (self.turned.bytes(data.dtype) if self.turned else 0)
        )
        self.transfers = transfers or transfer_functions(data, self.team.size)
        self.benches = [Bench(data, self.grid, model, crew, self.transfers) for crew in self.crews]

    def free(self) -> None:
        """Let go of the buffers."""
        for bench in self.benches:
            bench.fft.free()
        self.benches = []

    def share(
        self, groups: list[NDArray], what: str, work: Work, *, prediction: bool = False, numbers: int = 3
    ) -> tuple[list[Part], Noted]:
        """Let every crew work on its share of each group.

        Parameters
        ----------
        groups : list of (n,) ndarray
            The places of each set's views.
        what : str
            As which views that are done are counted.
        work : callable
        prediction : bool
            Whether the parts have no gram.
        numbers : int
            That are noted of each view.

        Returns
        -------
        list of Part
            The sums of each group.
        Noted
            What the crews noted of each view.
        """
        parts = [[Part(self.grid, self.data.dtype, crew, prediction) for crew in self.crews] for _ in groups]
        tick = counted(self.tell, what, sum(map(len, groups)))
        tallies = [Tally(len(self.data), crew.size, tick, numbers) for crew in self.crews]
        places = [(k, place) for k, crew in enumerate(self.crews) for place in range(crew.size)]

        def add_share(member: int) -> None:
            crew, place = places[member]
            for group, chosen in enumerate(groups):
                first, last = (len(chosen) * k // len(self.crews) for k in (crew, crew + 1))
                work(self.benches[crew], chosen[first:last], parts[group][crew], tallies[crew], place)

        self.team.run(add_share)
        for first, *others in parts:
            for part in others:
                first.add(part)
        return [first for first, *_ in parts], Noted.of(tallies)

    def spectrum(self, x: NDArray) -> NDArray:
        """Return the spectrum of a volume on the padded grid that is to be shown to the views."""
        for bench in self.benches:
            bench.fft.plan_inverse()
        return rfftn(x.astype(self.data.dtype, copy=False), self.team.size)

    def symmetric(self, x: NDArray) -> NDArray:
        """Return a volume's mean over the particle's symmetry."""
        if self.turned is None:
            return x
        turned = self.turned.rhs(rfftn(x, self.team.size))
        return irfftn(turned, self.grid, self.team.size) / x.dtype.type(len(self.data.group))
