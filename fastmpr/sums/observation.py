"""What was observed of views, and what a volume predicts where they saw nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..views.dataset import Dataset
from .accumulator import Accumulator
from .aligner import tell_blind
from .bench import Part
from .normal_equations import NormalEquations, half_sum


@dataclass(frozen=True, eq=False)
class Observation:
    """What was observed of several sets of views, each particle read once.

    Attributes
    ----------
    accumulator : Accumulator
        What observed them, and predicts.
    sums : tuple of NormalEquations
        Of each set over what its views saw; none where nothing was seen in one of the sets.
    tally : (N, 3) ndarray
        How many voxels each view saw, their sum and that of their squares; zeros for views that saw all.
    partial : (N,) ndarray of bool
        The views that did not see all of their images.
    blind : (N,) ndarray of bool
        The views of which nothing was seen.
    counts : tuple of (nz, ny, nx) ndarray or None
        The weights of the views of each set that saw a voxel, of those that did not see all; None where all did.
    grams : tuple of (nz, ny, nx // 2 + 1) ndarray
        S of each set without the particle's symmetry, where it has one and views did not see all.
    """

    accumulator: Accumulator
    sums: tuple[NormalEquations, ...]
    tally: NDArray[np.float64]
    partial: NDArray[np.bool_]
    blind: NDArray[np.bool_]
    counts: tuple[NDArray | None, ...]
    grams: tuple[NDArray, ...]

    @property
    def lopsided(self) -> bool:
        """Whether nothing was seen in one of the sets."""
        return not self.sums

    def weight_seen(self, group: int) -> tuple[NDArray, float]:
        """Return the share of a set's weight that saw each voxel, and how many voxels its views saw, all told."""
        data, which = self.accumulator.data, self.accumulator.groups[group]
        which = which[~self.blind[which]]
        weights, counts, whole = data.weights[which], self.counts[group], ~self.partial[which]
        share = np.ones(self.accumulator.grid) if counts is None else (counts + weights[whole].sum()) / weights.sum()
        voxels = self.tally[which, 0].sum() + np.count_nonzero(whole) * math.prod(self.accumulator.model)
        return share, len(data.group) * float(voxels)


class Prediction(NamedTuple):
    """What a volume predicts of views that did not see all.

    Attributes
    ----------
    sums : list of NormalEquations
        Of each set, with the prediction wherever a view saw nothing: their least squares lie above those over what was seen,
        and touch them at the volume.
    residual : (N,) ndarray
        The mean of what each view saw less what is predicted there, its level included; 0 for views that saw all.
    """

    sums: list[NormalEquations]
    residual: NDArray[np.float64]


def observe(accumulator: Accumulator) -> Observation:
    """Sum the sets of views over what they saw; the accumulator is freed where that fails."""
    try:
        return _observed(accumulator)
    except BaseException:
        accumulator.free()
        raise


def predict(observation: Observation, x: NDArray, levels: NDArray) -> Prediction:
    """Predict what views did not see.

    Parameters
    ----------
    observation : Observation
    x : (nz, ny, nx) ndarray
        The volume, on the padded grid.
    levels : (N,) ndarray
        How far the background of each view lies above what was taken for it.
    """
    accumulator = observation.accumulator
    data, groups = accumulator.data, [which[observation.partial[which]] for which in accumulator.groups]
    spectrum = accumulator.spectrum(x)
    parts, noted = accumulator.share(
        groups,
        "predictions",
        lambda bench, which, part, tally, place: bench.predict(which, spectrum, levels, part, tally, place),
        prediction=True,
    )
    _, light, squares = noted.numbers.T
    count, total, _ = observation.tally.T
    energy = len(data.group) * data.weights * (squares - 2 * levels * total + levels**2 * count)
    residual = (total - light) / np.maximum(count, 1)
    sums = []
    for group, (seen, part, which) in enumerate(zip(observation.sums, parts, groups, strict=True)):
        added, offset = _turned(observation, group, part.rhs, spectrum)
        sums.append(replace(seen, rhs=seen.rhs + added, energy=seen.energy + offset + float(energy[which].sum())))
    return Prediction(sums, residual)


def _observed(accumulator: Accumulator) -> Observation:
    data, groups = accumulator.data, accumulator.groups
    parts, noted = accumulator.share(
        groups, "particles", lambda bench, which, part, tally, place: bench.add(which, part, tally, place)
    )
    tally, partial = noted.numbers, _flags(data, noted.partial)
    blind = _flags(data, *(bench.aligner.blind for bench in accumulator.benches))
    unseen = blind | (partial & (tally[:, 0] == 0))
    tell_blind(data, set(np.flatnonzero(unseen).tolist()), sum(map(len, groups)))
    if any(blind[which].all() for which in groups):
        return Observation(accumulator, (), tally, partial, blind, (), ())
    counts = tuple(_turned_counts(accumulator, part.counts) for part in parts)
    keeps = accumulator.turned is not None and partial.any()
    grams = tuple(part.gram.copy() for part in parts) if keeps else ()
    own = [which[~blind[which]] for which in groups]
    sums = tuple(_total(accumulator, part, len(which)) for part, which in zip(parts, own, strict=True))
    return Observation(accumulator, sums, tally, partial, blind, counts, grams)


def _flags(data: Dataset, *found: set[int]) -> NDArray[np.bool_]:
    """Return which views are in one of some sets."""
    return np.isin(np.arange(len(data)), sorted(set().union(*found)))


def _total(accumulator: Accumulator, part: Part, count: int) -> NormalEquations:
    """Return the sums of a part, in all poses that the particle's symmetry cannot tell from those given."""
    gram, rhs, energy = part.gram, part.rhs, math.fsum(part.energy)
    if turned := accumulator.turned:
        n = len(accumulator.data.group)
        gram, rhs, energy, count = turned.gram(gram), turned.rhs(rhs), n * energy, n * count
    voxel = accumulator.data.model_voxel
    return NormalEquations(gram, rhs, energy, count, accumulator.grid, voxel, accumulator.model)


def _turned(observation: Observation, group: int, rhs: NDArray, spectrum: NDArray) -> tuple[NDArray, float]:
    """Return what was predicted in all poses that the particle's symmetry cannot tell from those given.

    S is turned everywhere, rhs where the grid has room for it. Elsewhere S x takes the place of what is turned to it, and
    its product with x, which is returned too, that of its energy.
    """
    turned, grid = observation.accumulator.turned, observation.accumulator.grid
    if turned is None:
        return rhs, 0.0
    rest = observation.sums[group].gram * spectrum - turned.rhs(observation.grams[group] * spectrum)
    product = half_sum((spectrum.conj() * rest).real, grid) / math.prod(grid)
    return turned.rhs(rhs) + rest, product


def _turned_counts(accumulator: Accumulator, counts: NDArray | None) -> NDArray | None:
    """Return how often a voxel was seen, over all those poses in the mean."""
    if counts is None or accumulator.turned is None:
        return counts
    turned = accumulator.symmetric(counts)
    return np.where(turned < 1e-3 * counts[counts > 0].min(initial=np.inf), 0, np.minimum(turned, counts.max()))
