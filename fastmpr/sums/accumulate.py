"""From views to sums: one FFT each, whatever the poses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._messages import Progress, telling, warn
from .._validation import Size
from ..geometry.poses import Poses
from ..runtime.fft import fast_shape, irfftn, rfftn
from ..runtime.stopping import Event, Stop, as_stop
from ..runtime.threads import Team, as_workers
from ..views.dataset import Dataset, as_dataset
from .aligner import tell_blind
from .bench import Bench, Part, Tally
from .frame import check_in_frame
from .memory import check_fits, check_tables_fit, crew_count, image_bytes, part_bytes, spline_bytes
from .normal_equations import NormalEquations, half_sum
from .symmetrize import symmetrizer
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
        accumulator = observed(data, [data.used], model, workers, tell, stop)
    accumulator.free()
    (total,) = accumulator.sums
    if count := int(accumulator.partial.sum()):
        warn(
            f"particles: found {count} of {len(data.used)} that did not see all of their images; sums cannot leave out "
            "voxels, so those are taken for dark: fastmpr.reconstruct knows better"
        )
    return total


def observed(data: Dataset, groups: list[NDArray], *options: Any) -> Accumulator:
    """Return an accumulator that has observed several sets of views; ``options`` are those of `Accumulator`."""
    accumulator = Accumulator(data, groups, *options)
    try:
        accumulator.observe()
    except BaseException:
        accumulator.free()
        raise
    data.tell()
    return accumulator


_ALIKE = 5.0  # standard errors that the correlation of a view with its prediction lies above nothing, at least
_LEAST_TRUST = 1e-6


class Accumulator:
    """Sums several sets of views apart, and predicts what they did not see, again and again in the same buffers.

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
        self.grams: list[NDArray] = []  # of the views as they are, where the sums are turned

    def free(self) -> None:
        """Let go of the buffers; the sums stay."""
        for bench in self.benches:
            bench.fft.free()
        self.benches = []

    def observe(self) -> None:
        """Fill ``sums``, those of each group over what its views saw; each particle is read once.

        There are none where nothing was seen in one of the groups: then it is ``lopsided``.
        """
        tick = counted(self.tell, "particles", sum(map(len, self.groups)))
        parts = self._shared(self.groups, False, lambda bench, which, part, place: bench.add(which, part, place, tick))
        self.tally = sum(bench.tally.values.sum(axis=0) for bench in self.benches)
        self.partial = np.isin(np.arange(len(self.data)), [i for bench in self.benches for i in bench.partial])
        self.blind = np.isin(np.arange(len(self.data)), [i for bench in self.benches for i in bench.aligner.blind])
        shown = self.blind | (self.partial & (self.tally[:, 0] == 0))
        tell_blind(self.data, set(np.flatnonzero(shown).tolist()), sum(map(len, self.groups)))
        self.lopsided = any(self.blind[which].all() for which in self.groups)
        if self.lopsided:
            return
        self.counts = [self._turned_counts(part.counts) for part in parts]
        self.sums = [self._total(part, which) for part, which in zip(parts, self.groups, strict=True)]

    def predict(self, x: NDArray, levels: NDArray) -> tuple[list[NormalEquations], NDArray]:
        """Return the sums of each group with a volume's prediction wherever a view saw nothing, after `observe`.

        Their least squares lie above those over what was seen, and touch them at ``x``.

        Parameters
        ----------
        x : (nz, ny, nx) ndarray
            On the padded grid.
        levels : (N,) ndarray
            How far the background of each view lies above what was taken for it.

        Returns
        -------
        list of NormalEquations
        residual : (N,) ndarray
            The mean of what each view saw less what is predicted there, levels included; 0 for views that saw all.
        """
        groups = [which[self.partial[which]] for which in self.groups]
        tick = counted(self.tell, "predictions", sum(map(len, groups)))
        spectrum, tallies = self._shown(x, 3)

        def work(bench: Bench, which: NDArray, part: Part, place: int) -> None:
            bench.predict(which, spectrum, levels, part, tallies[bench], place, tick)

        parts = self._shared(groups, True, work)
        predicted = sum(tally.values.sum(axis=0) for tally in tallies.values())
        count, total, _ = self.tally.T
        energy = len(self.data.group) * self.data.weights * (predicted[:, 2] - 2 * levels * total + levels**2 * count)
        residual = (total - predicted[:, 1]) / np.maximum(count, 1)
        sums = []
        for group, (seen, part, which) in enumerate(zip(self.sums, parts, groups, strict=True)):
            added, offset = self._turned(group, part.rhs, spectrum)
            sums.append(replace(seen, rhs=seen.rhs + added, energy=seen.energy + offset + float(energy[which].sum())))
        return sums, residual

    def gains(self, x: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compare the views with what is predicted of them.

        Returns
        -------
        gain : (N,) ndarray
            The slope of each view over its prediction, over their median; 1 where it does not look like that at all.
        trust : (N,) ndarray
            The variance of what is left of a view once it is divided by its gain, in the median over its own; 1 at most.
        """
        tick = counted(self.tell, "gains", sum(map(len, self.groups)))
        spectrum, tallies = self._shown(x, 6)
        self._shared(
            self.groups,
            True,
            lambda bench, which, part, place: bench.compare(which, spectrum, tallies[bench], place, tick),
        )
        n, p, y, pp, py, yy = sum(tally.values.sum(axis=0) for tally in tallies.values()).T
        n = np.maximum(n, 1)
        spread, common, own = pp - p * p / n, py - p * y / n, np.maximum(yy - y * y / n, np.finfo(float).tiny)
        alike = (spread > 0) & (common > 0) & (n * common**2 > _ALIKE**2 * np.maximum(spread, 0) * own)
        if not alike.any():
            return np.ones(len(n)), np.ones(len(n))
        slope = np.divide(common, spread, out=np.ones(len(n)), where=alike)
        gain = np.where(alike, slope / np.median(slope[alike]), 1.0)
        rest = np.maximum(own - np.where(alike, slope * common, 0), 1e-12 * own) / n / gain**2
        usual = float(np.median(rest[alike]))
        return gain, np.clip(usual / np.maximum(rest, usual * _LEAST_TRUST), _LEAST_TRUST, 1.0)

    def _shown(self, x: NDArray, numbers: int) -> tuple[NDArray, dict[Bench, Tally]]:
        """Return the spectrum of a volume that is to be shown to the views, and where each crew notes so many numbers."""
        for bench in self.benches:
            bench.fft.plan_inverse()
        tallies = {bench: Tally(len(self.data), bench.crew.size, numbers) for bench in self.benches}
        return rfftn(x.astype(self.data.dtype, copy=False), self.team.size), tallies

    def symmetric(self, x: NDArray) -> NDArray:
        """Return a volume's mean over the particle's symmetry."""
        if self.turned is None:
            return x
        turned = self.turned.rhs(rfftn(x, self.team.size))
        return irfftn(turned, self.grid, self.team.size) / x.dtype.type(len(self.data.group))

    def seen_weight(self, group: int) -> tuple[NDArray, float]:
        """Return the share of a group's weight that saw each voxel, and how many voxels its views saw, all told."""
        which = self.groups[group]
        which = which[~self.blind[which]]
        weights, counts, whole = self.data.weights[which], self.counts[group], ~self.partial[which]
        share = np.ones(self.grid) if counts is None else (counts + weights[whole].sum()) / weights.sum()
        voxels = self.tally[which, 0].sum() + np.count_nonzero(whole) * math.prod(self.model)
        return share, len(self.data.group) * float(voxels)

    def _shared(
        self, groups: list[NDArray], prediction: bool, work: Callable[[Bench, NDArray, Part, int], None]
    ) -> list[Part]:
        """Let every crew work on its share of each group; return the groups' sums."""
        parts = [[Part(self.grid, self.data.dtype, crew, prediction) for crew in self.crews] for _ in groups]
        places = [(k, place) for k, crew in enumerate(self.crews) for place in range(crew.size)]

        def add_share(member: int) -> None:
            crew, place = places[member]
            for group, chosen in enumerate(groups):
                first, last = (len(chosen) * k // len(self.crews) for k in (crew, crew + 1))
                work(self.benches[crew], chosen[first:last], parts[group][crew], place)

        self.team.run(add_share)
        for first, *others in parts:
            for part in others:
                first.add(part)
        return [first for first, *_ in parts]

    def _total(self, part: Part, which: NDArray) -> NormalEquations:
        count = int(np.count_nonzero(~self.blind[which]))
        sums = NormalEquations(part.gram, part.rhs, math.fsum(part.energy), count, self.grid, self.data.model_voxel)
        if self.turned is None:
            return sums
        if self.partial.any():
            self.grams.append(sums.gram.copy())
        return self.turned.sums(sums)

    def _turned(self, group: int, rhs: NDArray, spectrum: NDArray) -> tuple[NDArray, float]:
        """Return what was predicted in all poses that the particle's symmetry cannot tell from those given.

        S is turned everywhere, rhs where the grid has room for it. Elsewhere S x takes the place of what is turned to it,
        and its product with x, which is returned too, that of its energy.
        """
        if self.turned is None:
            return rhs, 0.0
        rest = self.sums[group].gram * spectrum - self.turned.rhs(self.grams[group] * spectrum)
        product = half_sum((spectrum.conj() * rest).real, self.grid) / math.prod(self.grid)
        return self.turned.rhs(rhs) + rest, product

    def _turned_counts(self, counts: NDArray | None) -> NDArray | None:
        """Return how often a voxel was seen, over all those poses in the mean."""
        if counts is None or self.turned is None:
            return counts
        turned = self.symmetric(counts)
        return np.where(turned < 1e-3 * counts[counts > 0].min(initial=np.inf), 0, np.minimum(turned, counts.max()))


def padded_shape(data: Dataset, model: Size) -> Size:
    """Return a grid with fast FFTs on which light that a PSF carries out of the model does not come back in."""
    margin = max(energy_radius(psf, data.psf_voxel_size) for psf in data.psfs) / data.model_voxel[0]
    nz, ny, nx = (n + min(math.ceil(margin), n) if n > 1 else 1 for n in model)
    return fast_shape((nz, ny, nx))


def transfer_functions(data: Dataset, workers: int = 1) -> list[TransferFunction]:
    """Return the transfer function of each PSF."""
    return [TransferFunction(psf, data.psf_voxel_size, data.dtype, workers) for psf in data.psfs]


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
