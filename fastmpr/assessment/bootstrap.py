"""Volumes of views that are drawn anew, with replacement: how they differ is how far to trust each voxel."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .._validation import Size
from ..reconstruction.making import Asked
from ..runtime.limits import check_memory
from ..runtime.stopping import WORDS, Cancelled
from ..solver.admm import solve
from ..solver.result import Result
from ..sums.accumulator import Accumulator
from ..sums.normal_equations import NormalEquations
from ..sums.observation import observe
from ..views.dataset import Dataset

_PARTS = 64  # partial sums at most: so many tell the spread of a mean to a tenth
_FEWEST = 8  # parts: fewer say too little
_ITERATIONS = 25
FEWEST_DRAWN = 2  # volumes that have a spread


def replicates(data: Dataset, result: Result, asked: Asked, count: int, rng: np.random.Generator) -> NDArray | None:
    """Return volumes of parts of the views drawn with replacement, (count, nz, ny, nx); None if they cannot be had.

    Every volume starts from zero and has the weight of the final one. If the call is to end early, there are fewer. The
    spread of n parts drawn from n is too small by sqrt((n - 1) / n), which is put right about the mean of the replicates.
    """
    drawn: list[NDArray] = []
    n = 0
    try:
        if (parts := _parts(data, asked, count, rng)) is None:
            return None
        n = len(parts)
        drawn.extend(_drawn(parts, result, asked, count, rng))
    except Cancelled as cut:
        warn(f"bootstrap: {WORDS[cut.status]} after {len(drawn)} of {count} volumes")
        if len(drawn) < FEWEST_DRAWN:
            return None
    volumes = np.array(drawn)
    middle = volumes.mean(axis=0)
    return middle + (volumes - middle) * volumes.dtype.type(np.sqrt(n / (n - 1)))


def _parts(data: Dataset, asked: Asked, count: int, rng: np.random.Generator) -> list[NormalEquations] | None:
    """Return the sums of disjoint parts of the views."""
    used = data.used
    if len(used) < _FEWEST:
        warn(f"bootstrap: found {len(used)} views, need {_FEWEST} or more to tell how they spread; it is left out")
        return None
    groups = [np.sort(part) for part in np.array_split(rng.permutation(used), min(_PARTS, len(used)))]
    _check_memory(asked.model, data, len(groups), count)
    observation = observe(
        Accumulator(data.levelled(), groups, asked.model, asked.run.workers, asked.tell, asked.run.stop)
    )
    observation.accumulator.free()
    if observation.partial.any():
        warn("bootstrap: found views that saw a part of their images, need whole ones; it is left out")
        return None
    return list(observation.sums)


def _check_memory(model: Size, data: Dataset, parts: int, count: int) -> None:
    """Raise an error if the sums of the parts, on a grid twice as wide at most, and the volumes cannot fit."""
    voxels = math.prod(model)
    need = np.dtype(data.dtype).itemsize * (3 * 8 * voxels // 2 * parts + 2 * voxels * count)
    check_memory("bootstrap", model, need, "fewer volumes or voxels")


def _drawn(
    parts: list[NormalEquations], result: Result, asked: Asked, count: int, rng: np.random.Generator
) -> Iterator[NDArray]:
    for _ in range(count):
        times = rng.multinomial(len(parts), np.full(len(parts), 1 / len(parts)))
        sums = functools.reduce(operator.add, (_times(part, n) for part, n in zip(parts, times, strict=True) if n))
        found = solve(
            sums,
            result.lam,
            asked.regularizer,
            max_iter=_ITERATIONS,
            tol=0.0,
            positivity=asked.run.positivity,
            workers=asked.run.workers,
            cancel=asked.run.stop,
        )
        asked.run.stop.check(" while views were drawn anew", result)
        yield sums.crop(found.x)


def _times(sums: NormalEquations, n: int) -> NormalEquations:
    """Return the sums of views that count n times."""
    if n == 1:
        return sums
    factor = sums.gram.dtype.type(n)
    return NormalEquations(
        factor * sums.gram,
        factor * sums.rhs,
        n * sums.energy,
        n * sums.n_poses,
        sums.shape,
        sums.voxel_size,
        sums.model_shape,
    )
