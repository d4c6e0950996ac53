"""The paper's experiment: volumes, views, methods, and their numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import psf as psfs
from .._validation import Size, as_count, as_positive, as_shape, as_volume
from ..geometry.poses import Poses
from ..reconstruction.baselines import average, deconvolve_average
from ..runtime.stopping import Stop
from ..simulation import simulate
from ..solver.admm import solve
from ..sums.accumulate import accumulate
from ..sums.resampling import inner
from ..views.dataset import Dataset

SHAPE: Size = (35, 70, 70)
PSF_SHAPE: Size = (43, 69, 69)
PSF_SIGMA = (5.0, 1.6, 1.6)  # voxels
SEED = 2018

# Start of the search for the best lam at variance 1, to be divided by the variance; a bad start costs time, not decibels.
FIRST_LAM = {"deconvolve_average": 420.0, "tv": 11.0, "hessian": 36.0}
_LAM_STEP = 3.0


@dataclass(frozen=True)
class Plan:
    """The size of a run: poses and noise draws of Table 1, pose counts of Figures 2 and 3, and when solves stop."""

    n_poses: int = 100
    draws: int = 3
    counts: tuple[int, ...] = (5, 10, 20, 50, 100, 200)
    timed: tuple[int, ...] = (1, 3, 10, 30, 100)
    variances: tuple[int, ...] = (1, 5, 10)
    shown: int = 5  # the variance of the figures
    max_iter: int = 40
    tol: float = 1e-3
    timed_max_iter: int = 400  # of Figure 3
    timed_tol: float = 2e-3

    def __post_init__(self):
        for name, value in list(vars(self).items()):
            if name in ("counts", "timed", "variances"):
                if not (isinstance(value, tuple | list) and value):
                    raise ValueError(f"{name}: found {value!r}, need a tuple of integers of at least 1")
                checked: Any = tuple(as_count(number, name) for number in value)
            else:
                checked = as_positive(value, name) if "tol" in name else as_count(value, name)
            object.__setattr__(self, name, checked)
        if self.shown not in self.variances:
            raise ValueError(f"shown: found {self.shown!r}, need one of the variances {self.variances}")


FULL = Plan()
QUICK = Plan(n_poses=6, draws=1, counts=(2, 4, 6), timed=(1, 2, 6), max_iter=25)


def fitted(volume: ArrayLike, shape: int | Size = SHAPE, name: str = "volume") -> NDArray:
    """Bin, crop and pad a volume about its centre so that its content fits into a shape.

    The binning factor is the smallest one with which no voxel above 2 % of the maximum is cut off.

    Parameters
    ----------
    volume : (nz, ny, nx) array_like
        A particle that is brighter than its surroundings.
    shape : int or (int, int, int)
        Shape of the result.
    name : str
        Name of the volume in error messages.

    Returns
    -------
    ndarray
        float32, scaled to a standard deviation of 1.

    Raises
    ------
    ValueError
        If the volume is not 3-D and finite, has nothing above zero or is constant.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr import paper
    >>> x = np.zeros((100, 100, 100))
    >>> x[40:60, 10:90, 10:90] = 1
    >>> paper.fitted(x).shape, round(float(paper.fitted(x).std()), 5)
    ((35, 70, 70), 1.0)
    """
    whole, shape = as_volume(volume, name), as_shape(shape)
    _check_content(whole, name)
    # scaled to 1, so that sums and squares are finite in any unit
    whole = whole.astype(np.float64) / max(whole.max(), -whole.min())
    for factor in range(1, max(whole.shape) + 1):
        binned = _binned(whole, factor)
        inside = _centred(binned, shape)
        if np.count_nonzero(inside > 0.02 * binned.max()) == np.count_nonzero(binned > 0.02 * binned.max()):
            break
    _check_content(inside, name)
    return (inside / inside.std()).astype(np.float32)


def _check_content(volume: NDArray, name: str) -> None:
    if not volume.min() < volume.max() > 0:
        raise ValueError(f"{name}: found nothing above zero or no contrast, need a particle")


def _binned(volume: NDArray, factor: int) -> NDArray:
    """Average blocks of factor^3 voxels; the edges are padded to whole blocks with zeros."""
    padded = np.pad(volume, [(0, -n % factor) for n in volume.shape])
    z, y, x = (n // factor for n in padded.shape)
    return padded.reshape(z, factor, y, factor, x, factor).mean(axis=(1, 3, 5))


def _centred(volume: NDArray, shape: Size) -> NDArray:
    """Crop or pad each axis about its middle."""
    padded = np.pad(
        volume,
        [((s - n) // 2, s - n - (s - n) // 2) if s > n else (0, 0) for n, s in zip(volume.shape, shape, strict=True)],
    )
    return padded[inner(padded.shape, shape)]


@dataclass(frozen=True)
class Experiment:
    """One volume with its PSF, poses and noise: everything that a cell needs."""

    truth: NDArray
    plan: Plan
    stop: Stop = Stop("paper.run")

    @cached_property
    def psf(self) -> NDArray:
        """The PSF of all views."""
        return psfs.gaussian(PSF_SHAPE, sigma=PSF_SIGMA)

    @cached_property
    def poses(self) -> Poses:
        """The poses for the largest cell, at least two for Figure 1; smaller cells take the first of them."""
        return Poses.random(max(2, self.plan.n_poses, *self.plan.counts, *self.plan.timed), rng=SEED)

    @cached_property
    def _clean(self) -> NDArray:
        return simulate(self.truth, self.psf, self.poses, frame="model")

    def data(self, n: int, variance: float, draw: int) -> Dataset:
        """Return the first n views with the noise of one draw."""
        rng = np.random.default_rng([SEED, int(variance), draw])
        noise = rng.standard_normal(self._clean.shape, dtype=np.float32)[:n]
        views = self._clean[:n] + np.float32(np.sqrt(variance)) * noise
        return Dataset(views, self.psf, self.poses[:n], frame="model")

    def run(self, method: str, data: Dataset, lam: float, timed: bool = False) -> NDArray:
        """Return a method's volume from some views; a timed run continues until it is accurate."""
        plan = self.plan
        options: dict[str, Any] = {"max_iter": plan.max_iter, "tol": plan.tol, "cancel": self.stop}
        if timed:
            options |= {"max_iter": plan.timed_max_iter, "tol": plan.timed_tol}
        if method == "average":
            return average(data, cancel=self.stop)
        if method == "deconvolve_average":
            return deconvolve_average(data, lam=lam, **options)
        sums = accumulate(data, cancel=self.stop)
        x = solve(sums, lam, method, **options).x
        self.stop.check()  # the result of a stopped solve must not count as finished
        return sums.crop(x)


def best_lam(score: Callable[[float], float], start: float) -> float:
    """Search start * _LAM_STEP ** k for the highest score; return the top of the parabola through it and its neighbours.

    Examples
    --------
    >>> import math
    >>> from fastmpr.paper.experiment import best_lam
    >>> round(best_lam(lambda lam: -(math.log(lam / 42) ** 2), 1.0), 6)
    42.0
    """
    known = {k: score(start * _LAM_STEP**k) for k in (-1, 0, 1)}
    while (best := max(known, key=lambda k: known[k])) in (min(known), max(known)) and len(known) < 12:
        beyond = best - 1 if best == min(known) else best + 1
        known[beyond] = score(start * _LAM_STEP**beyond)
    left, top, right = (known.get(best + k, known[best]) for k in (-1, 0, 1))
    curvature = left - 2 * top + right
    return start * _LAM_STEP ** (best + (0.5 * (left - right) / curvature if curvature else 0))
