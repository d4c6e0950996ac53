"""The weight of the data term, chosen from the sums alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._stopping import Cancelled, Event, as_stop
from .._validation import as_positive
from ..engine.fft import rfftn
from ..engine.threads import as_workers
from ..sums.normal_equations import NormalEquations, as_sums, half_sum
from ..sums.partial import PartialEquations
from .admm import solve
from .iteration import wiener_size
from .regularizers import Regularizer, as_regularizer
from .risk import error_weight, risk, weighted
from .running import solve_near

ENOUGH_VIEWS = 8  # from which halves of the views can judge one another
_STEP = math.log(4.0)  # between the weights that are tried
_TRIALS = 7
_ROUNDS = 5
_TRIAL_OPTIONS: dict[str, Any] = {"max_iter": 14, "tol": 1e-2}  # later, trials are noisier
_LATER: dict[str, Any] = {"max_iter": 8}  # once a volume is there to start from
_NEAR_OPTIONS: dict[str, Any] = {"max_iter": 10}  # from a volume near the solution: later, trials of crops are noisier
_NEAR_GUESS = 1 / 16  # of the guess, to begin with: for crops of low noise there is a false minimum above it
_START = 1 / 16  # of the guess: where most searches end soon
_HALVES = 0.75  # of the weight that is best for half of the views is best for all
_PUSH = 0.5  # of the noise, that is added to see how a volume follows it
_SEEN = 1e-6  # of the strongest frequency: below, no view has passed anything
_INFORMATIVE = 16.0  # times the noise: a frequency that strong counts as a degree of freedom of the particle


def as_lam(lam: Any) -> float | str:
    """Return ``"auto"`` or a positive finite number."""
    return "auto" if isinstance(lam, str) and lam == "auto" else as_positive(lam, "lam")


def select_lam(
    half: NormalEquations,
    other: NormalEquations,
    regularizer: str | Regularizer = "hessian",
    *,
    noise: float | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **options: Any,
) -> tuple[float, NDArray]:
    """Choose lam by cross-validation: the one whose volume, made of half of the views, best predicts the other half.

    The misfit of the other half needs their sums only. Weights a factor of 4 apart are tried uphill from a guess, each from
    the last one's volume, and a parabola through the best three gives the answer. Scaling the intensities by s scales lam
    by 1 / s.

    Parameters
    ----------
    half, other : NormalEquations
        Sums of two disjoint sets of views on one grid, each seeing the particle from all sides.
    regularizer : str or Regularizer
        As in `solve`.
    cancel : threading.Event, optional
        Or anything with ``is_set()``, asked after every iteration: once it is set, the call ends.
    timeout : float, optional
        Seconds after which to give up.
    **options
        Passed on to `solve`.

    Returns
    -------
    lam : float
    x : (nz, ny, nx) ndarray
        The volume of the best weight tried: a place for the final solve to start from.

    Raises
    ------
    Cancelled
        If ``cancel`` is set or ``timeout`` is over before a weight is found; its ``result`` is the last volume.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((20, 20, 20))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(20, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.05, rng=0)
    >>> half, other = (fastmpr.accumulate(views[k::2], psf, poses[k::2]) for k in (0, 1))
    >>> lam, x = fastmpr.select_lam(half, other)
    >>> lam > 0
    True
    """
    trial = _Trials("select_lam", regularizer, cancel, timeout, options)
    whole = _filled(_checked(half, "half") + _checked(other, "other"))
    noise = noise_energy(whole) if noise is None else as_positive(noise, "noise")

    def error(lam: float, near: tuple[NDArray, ...] | None) -> tuple[float, tuple[NDArray, ...]]:
        pair = tuple(
            trial(own, lam, None if near is None else near[k]) for k, own in enumerate((half, other))
        )
        judge = trial.weight(whole, pair[0], noise)
        return risk(other, pair[0], judge, trial.workers) + risk(half, pair[1], judge, trial.workers), pair

    guess = guess_lam(whole, as_regularizer(regularizer), noise)
    lam, pair = _least(error, _START * guess)
    return _HALVES * lam, (pair[0] + pair[1]) / 2


def lam_by_noise(
    sums: NormalEquations | PartialEquations,
    noise: NormalEquations,
    regularizer: str | Regularizer = "hessian",
    *,
    cancel: Event | None = None,
    timeout: float | None = None,
    **options: Any,
) -> tuple[float, NDArray]:
    """Choose lam by Stein's estimate of the error, for too few views to judge one another.

    Parameters
    ----------
    sums : NormalEquations or PartialEquations
    noise : NormalEquations
        Sums of noise alone like that of the views, in their poses.
    """
    trial = _Trials("infer_lam", regularizer, cancel, timeout, options)
    energy = noise.energy / noise.n_poses
    moved = _shifted(_checked(sums, "sums"), _PUSH * noise.rhs)
    whole = _filled(sums)

    def error(lam: float, near: tuple[NDArray, ...] | None) -> tuple[float, tuple[NDArray, ...]]:
        if near is None:
            first = trial(sums, lam, None)
            near = first, first
        x, pushed = (trial(term, lam, start) for term, start in zip((sums, moved), near, strict=True))
        judge = trial.weight(whole, x, energy)
        divergence = weighted(judge, rfftn(pushed - x, trial.workers), noise.rhs, whole.shape)
        return risk(sums, x, judge, trial.workers) + 2 / _PUSH * divergence, (x, pushed)

    lam, pair = _least(error, _START * guess_lam(sums, as_regularizer(regularizer), energy))
    return lam, pair[0]


def infer_lam(
    sums: NormalEquations,
    regularizer: str | Regularizer = "hessian",
    *,
    cancel: Event | None = None,
    timeout: float | None = None,
    **options: Any,
) -> tuple[float, NDArray]:
    """Choose lam so that the prior is as strong as the volume it yields suggests: for too few views to `select_lam`.

    Further parameters, what is returned and what is raised are as there.

    With a prior p(x) ~ theta^D exp(-theta phi(x)) over D degrees of freedom, the likeliest theta for a given x is D / phi(x)
    [1]_; with noise of variance s^2 the objective's lam is then phi(x) / (D s^2). The equation lam = phi(x_lam) / (D s^2) is
    solved by substitution, from above.

    References
    ----------
    .. [1] M. Pereyra, J. M. Bioucas-Dias, M. A. T. Figueiredo, "Maximum-a-posteriori estimation with unknown
       regularisation parameters", EUSIPCO 2015.
    """
    trial = _Trials("infer_lam", regularizer, cancel, timeout, options)
    phi = as_regularizer(regularizer).value
    whole = _filled(_checked(sums, "sums"))
    spread = noise_energy(sums) * _freedom(sums)
    most = lam = math.sqrt(3) * math.prod(sums.shape) * wiener_size(whole, as_regularizer(regularizer)) / spread
    x = sums.x if isinstance(sums, PartialEquations) else np.zeros(sums.shape, sums.gram.dtype)
    for k in range(_ROUNDS):
        if k == 1 and "max_iter" not in options:
            trial.options.update(_LATER)
        x = trial(sums, lam, x)
        previous, lam = lam, min(max(phi(x) / spread, 1e-6 * most), most)
        if abs(math.log(lam / previous)) < 0.1:
            break
    return lam, x


class _Trials:
    """The short solves of a search, which is given up when one of them is."""

    def __init__(self, name: str, regularizer: Any, cancel: Any, timeout: Any, options: dict[str, Any]):
        self.stop, self.options = as_stop(name, cancel, timeout), {**_TRIAL_OPTIONS, **options}
        self.regularizer = regularizer

        self.workers = as_workers(options.get("workers"), 0)
        self._weight: NDArray | None = None

    def weight(self, whole, x, noise):
        """Return W"""
        if self._weight is None:
            self._weight = error_weight(whole, x, noise, self.workers)
        return self._weight

    def __call__(self, sums: NormalEquations | PartialEquations, lam: float, x0: NDArray | None) -> NDArray:
        """Return the volume of one weight."""
        if isinstance(sums, PartialEquations):
            options = {**self.options, **_NEAR_OPTIONS}
            result = solve_near(sums, lam, as_regularizer(self.regularizer), self.stop, x0, **options)
        else:
            result = solve(sums, lam, self.regularizer, x0=x0, cancel=self.stop, **self.options)
        if reason := self.stop.reason():
            raise Cancelled(f"{self.stop.name}: {reason} while lam was being chosen", result)
        return result.x


def _checked(sums: Any, name: str) -> Any:
    """Return sums, or what is known near a volume, whose numbers can be computed with."""
    as_sums(_filled(sums), name)
    return sums


def _filled(sums: Any) -> Any:
    """Return the sums themselves; where views did not see all, those with a volume's prediction there."""
    return sums.filled if isinstance(sums, PartialEquations) else sums


def _shifted(term: Any, rhs: NDArray) -> Any:
    """Return a data term with something added to its rhs."""
    if isinstance(term, PartialEquations):
        return replace(term, filled=_shifted(term.filled, rhs))
    return replace(term, rhs=term.rhs + rhs.astype(term.rhs.dtype))


def _least(
    error: Callable[[float, Any], tuple[float, Any]], guess: float
) -> tuple[float, Any]:
    """Return the weight of least error, and the volumes that are nearest to it.

    Weights a factor of 4 apart are tried downhill from a guess, each from the nearest one's volumes; a parabola through
    the best three gives the answer.
    """
    found: dict[int, float] = {}
    kept: dict[int, Any] = {}

    def at(k: int) -> float:
        if k not in found:
            nearest = min(kept, key=lambda j: abs(j - k), default=None)
            found[k], kept[k] = error(guess * math.exp(k * _STEP), None if nearest is None else kept[nearest])
            import os
            if os.environ.get("TALK"): print("     ", round(float(np.log2(guess) + 2 * k), 1), found[k], [float(v.max()) for v in kept[k]], [float(np.sqrt((v**2).sum())) for v in kept[k]], flush=True)
        return found[k]

    best = 0
    downhill = 1 if at(1) < at(0) else -1
    while len(found) < _TRIALS and at(best + downhill) < at(best):
        best += downhill
    left, centre, right = at(best - 1), at(best), at(best + 1)
    curvature = left - 2 * centre + right
    shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    import os
    if os.environ.get("TALK"):
        print("   trials", {round(float(np.log2(guess) + 2 * k), 1): float(f"{found[k] - found[best]:.4g}") for k in sorted(found)}, "best", round(float(np.log2(guess)) + 2*(best + shift), 2))
    return guess * math.exp((best + min(max(shift, -1.0), 1.0)) * _STEP), kept[best]


def noise_energy(sums: NormalEquations | PartialEquations) -> float:
    """Return the energy of the noise in one view, sigma^2 times its voxels.

    At each frequency the N views determine one number of the particle, through B / sqrt(S); their other N - 1 numbers hold
    noise alone, and so does what is left of the energy c. A single view has no such rest: its noise is read at the
    frequencies that the microscope passes least.
    """
    if isinstance(sums, PartialEquations):
        return sums.noise_energy()
    seen, power = _power(sums)
    count = math.prod(sums.shape)
    if sums.n_poses > 1:
        rest = sums.energy - half_sum(power, sums.shape) / count
        noise = rest / (sums.n_poses - half_sum(seen, sums.shape) / count)
    else:
        weak = seen & (sums.gram <= np.quantile(sums.gram[seen], 0.1))
        noise = float(np.median(power[weak])) / math.log(2)
    return max(noise, 1e-8 * sums.energy / sums.n_poses) if sums.energy > 0 else float(count)


def guess_lam(
    sums: NormalEquations | PartialEquations, regularizer: Regularizer, noise: float | None = None
) -> float:
    """Return a weight of the right order: the size of D x over the variance of the noise."""
    variance = (noise_energy(sums) if noise is None else noise) / math.prod(sums.shape)
    return 10 * wiener_size(_filled(sums), regularizer) / variance


def _freedom(equations: NormalEquations | PartialEquations) -> float:
    """Return the share of frequencies at which the views say something: far above the noise, or passed well by the PSF."""
    sums = _filled(equations)
    _, power = _power(sums)
    loud = half_sum(power > _INFORMATIVE * noise_energy(equations), sums.shape)
    passed = half_sum(sums.gram, sums.shape) ** 2 / half_sum(np.square(sums.gram, dtype=np.float64), sums.shape)
    return max(loud, passed) / math.prod(sums.shape)


def _power(sums: NormalEquations) -> tuple[NDArray, NDArray]:
    """Return where the views have passed anything, and |B|^2 / S there."""
    strongest = sums.gram.max()
    if strongest == 0:
        raise ValueError("sums: found a transfer function of zero, need a PSF that passes something")
    seen = sums.gram > _SEEN * strongest
    power = np.zeros(sums.gram.shape)
    np.divide(sums.rhs.real**2 + sums.rhs.imag**2, sums.gram, out=power, where=seen)
    return seen, power
