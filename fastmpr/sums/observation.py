"""The sums over the seen voxels of views, and predictions of the unseen voxels from a volume."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..views.dataset import Dataset
from .accumulator import Accumulator
from .aligner import tell_blind
from .normal_equations import NormalEquations, half_sum
from .workspace import CrewSums


@dataclass(frozen=True, eq=False)
class Observation:
    """The sums over the seen voxels of several groups of views, for which each particle is read once.

    Attributes
    ----------
    accumulator : Accumulator
        The accumulator that computed the sums, and that computes predictions.
    sums : tuple of NormalEquations
        The sums of each group over the seen voxels; empty if all views of one group are blind.
    statistics : (N, 3) ndarray
        Number of seen voxels of each view, their sum and the sum of their squares; zeros for views without unseen voxels.
    partial : (N,) ndarray of bool
        Which views are partial, that is, have unseen voxels.
    blind : (N,) ndarray of bool
        Which views are blind, that is, have no seen voxel.
    counts : tuple of (nz, ny, nx) ndarray or None
        For each group and voxel, the summed weights of the partial views in which it is seen; None without partial views.
    grams : tuple of (nz, ny, nx // 2 + 1) ndarray
        S of each group before symmetrisation; empty without symmetry or without partial views.
    """

    accumulator: Accumulator
    sums: tuple[NormalEquations, ...]
    statistics: NDArray[np.float64]
    partial: NDArray[np.bool_]
    blind: NDArray[np.bool_]
    counts: tuple[NDArray | None, ...]
    grams: tuple[NDArray, ...]

    @property
    def lopsided(self) -> bool:
        """Whether all views of one group are blind."""
        return not self.sums

    def weight_seen(self, group: int) -> tuple[NDArray, float]:
        """Return, for a group, the share of its weight in which each voxel is seen, and its total number of seen voxels."""
        data, which = self.accumulator.data, self.accumulator.groups[group]
        which = which[~self.blind[which]]
        weights, counts, whole = data.weights[which], self.counts[group], ~self.partial[which]
        share = np.ones(self.accumulator.grid) if counts is None else (counts + weights[whole].sum()) / weights.sum()
        voxels = self.statistics[which, 0].sum() + np.count_nonzero(whole) * math.prod(self.accumulator.model)
        return share, len(data.group) * float(voxels)


class Prediction(NamedTuple):
    """Sums in which unseen voxels are predicted from a volume.

    Attributes
    ----------
    sums : list of NormalEquations
        The sums of each group, with predictions in the unseen voxels: their least squares are an upper bound on those over
        the seen voxels, and equal to them at the volume.
    residual : (N,) ndarray
        The mean over the seen voxels of each view minus its prediction; the background level is not subtracted. 0 for
        views without unseen voxels.
    """

    sums: list[NormalEquations]
    residual: NDArray[np.float64]


def observe(accumulator: Accumulator) -> Observation:
    """Sum the groups of views over their seen voxels; if that fails, free the accumulator."""
    try:
        return _observed(accumulator)
    except BaseException:
        accumulator.free()
        raise


def predict(observation: Observation, x: NDArray, levels: NDArray) -> Prediction:
    """Predict the unseen voxels of the observed views from a volume.

    Parameters
    ----------
    observation : Observation
        The sums over the seen voxels.
    x : (nz, ny, nx) ndarray
        The volume, on the padded grid.
    levels : (N,) ndarray
        The remaining background of each view, after the subtraction of its estimated background.
    """
    accumulator = observation.accumulator
    data, groups = accumulator.data, [which[observation.partial[which]] for which in accumulator.groups]
    spectrum = accumulator.spectrum(x)
    predictions, recorded = accumulator.process(
        groups,
        "predictions",
        lambda workspace, which, sums, statistics, place: workspace.predict(
            which, spectrum, levels, sums, statistics, place
        ),
        prediction=True,
    )
    _, light, squares = recorded.numbers.T
    count, total, _ = observation.statistics.T
    energy = len(data.group) * data.weights * (squares - 2 * levels * total + levels**2 * count)
    residual = (total - light) / np.maximum(count, 1)
    sums = []
    for group, (seen, predicted, which) in enumerate(zip(observation.sums, predictions, groups, strict=True)):
        added, offset = _symmetrized(observation, group, predicted.rhs, spectrum)
        sums.append(replace(seen, rhs=seen.rhs + added, energy=seen.energy + offset + float(energy[which].sum())))
    return Prediction(sums, residual)


def _observed(accumulator: Accumulator) -> Observation:
    data, groups = accumulator.data, accumulator.groups
    totals, recorded = accumulator.process(
        groups,
        "particles",
        lambda workspace, which, sums, statistics, place: workspace.add(which, sums, statistics, place),
    )
    statistics, partial = recorded.numbers, _flags(data, recorded.partial)
    blind = _flags(data, *(workspace.aligner.blind for workspace in accumulator.workspaces))
    unseen = blind | (partial & (statistics[:, 0] == 0))
    tell_blind(data, set(np.flatnonzero(unseen).tolist()), sum(map(len, groups)))
    if any(blind[which].all() for which in groups):
        return Observation(accumulator, (), statistics, partial, blind, (), ())
    counts = tuple(_symmetrized_counts(accumulator, total.counts) for total in totals)
    keeps = accumulator.symmetrizer is not None and partial.any()
    grams = tuple(total.gram.copy() for total in totals) if keeps else ()
    seeing = [which[~blind[which]] for which in groups]
    sums = tuple(_normal_equations(accumulator, total, len(which)) for total, which in zip(totals, seeing, strict=True))
    return Observation(accumulator, sums, statistics, partial, blind, counts, grams)


def _flags(data: Dataset, *found: set[int]) -> NDArray[np.bool_]:
    """Return a mask of the views whose indices are in any of the sets."""
    return np.isin(np.arange(len(data)), sorted(set().union(*found)))


def _normal_equations(accumulator: Accumulator, total: CrewSums, count: int) -> NormalEquations:
    """Return the normal equations of a group of ``count`` views in all poses that are equivalent by symmetry."""
    gram, rhs, energy = total.gram, total.rhs, math.fsum(total.energy)
    if symmetrizer := accumulator.symmetrizer:
        n = len(accumulator.data.group)
        gram, rhs, energy, count = symmetrizer.gram(gram), symmetrizer.rhs(rhs), n * energy, n * count
    voxel = accumulator.data.model_voxel
    return NormalEquations(gram, rhs, energy, count, accumulator.grid, voxel, accumulator.model)


def _symmetrized(observation: Observation, group: int, rhs: NDArray, spectrum: NDArray) -> tuple[NDArray, float]:
    """Return the predicted rhs and energy of a group in all poses that are equivalent by symmetry.

    S is symmetrised everywhere, but the rhs only where the grid has room for its rotated copies. Elsewhere S x stands in for
    the rotated rhs, and its product with x for the energy, which is the second result.
    """
    symmetrizer, grid = observation.accumulator.symmetrizer, observation.accumulator.grid
    if symmetrizer is None:
        return rhs, 0.0
    outside = observation.sums[group].gram * spectrum - symmetrizer.rhs(observation.grams[group] * spectrum)
    product = half_sum((spectrum.conj() * outside).real, grid) / math.prod(grid)
    return symmetrizer.rhs(rhs) + outside, product


def _symmetrized_counts(accumulator: Accumulator, counts: NDArray | None) -> NDArray | None:
    """Return the counts averaged over all poses that are equivalent by symmetry."""
    if counts is None or accumulator.symmetrizer is None:
        return counts
    mean = accumulator.symmetric(counts)
    return np.where(mean < 1e-3 * counts[counts > 0].min(initial=np.inf), 0, np.minimum(mean, counts.max()))
