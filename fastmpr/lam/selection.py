"""Choose lam, the weight of the data term, from the sums alone."""

from __future__ import annotations

import math
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from .._keywords import check_keywords
from .._messages import log
from .._validation import as_positive
from ..regularizers import Regularizer, as_regularizer
from ..runtime.stopping import Event
from ..solver.iteration import wiener_size
from ..solver.options import SolveOptions
from ..sums.normal_equations import NormalEquations, as_sums, half_sum
from .risk import error_weight, risk
from .trials import Trials, least

ENOUGH_VIEWS = 6  # from this number on, halves of the views can judge each other
START = 1 / 2  # first weight tried, in units of `guess_lam`: most searches end soon from there
_MANY = 24  # views from which both halves hold as much, so that judging one way is enough
_ITERATIONS = 10, 6  # of a trial from zero, and from a volume: the estimate tolerates solves that are not finished
_WHOLE = 0.75  # best lam for all views over the best lam for half of them
_ROUNDS = 5
_SEEN = 1e-6  # of the strongest frequency: no view passes a weaker one
_INFORMATIVE = 16.0  # times the noise: a frequency that strong counts as a degree of freedom of the particle


def as_lam(lam: Any) -> float | Literal["auto"]:
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
    **options: Unpack[SolveOptions],
) -> tuple[float, NDArray]:
    """Choose lam by cross-validation: the volume of one half of the views must err least, as judged by the other half.

    Each half judges the volume of the other by its sums alone. The criterion is the estimated error of the volume, frequency
    by frequency; the misfit of the views would prefer too little smoothing. The best lam for half of the views is a third
    higher than for all views; the result is corrected for that. Weights a factor of 4 apart are tried downhill from a guess,
    and a parabola through the best three gives the answer. Scaling the intensities by s scales lam by 1 / s.

    Parameters
    ----------
    half, other : NormalEquations
        Sums of two disjoint sets of views on one grid; each set shows the particle from all sides.
    regularizer : str or Regularizer
        As in `solve`.
    noise : float, optional
        The noise energy of one view: its variance times the view's voxels. By default it is estimated from the sums.
    cancel : threading.Event, optional
        Or anything with ``is_set()``, checked after every iteration; once it is set, the call ends.
    timeout : float, optional
        Seconds after which to give up.
    **options
        Passed on to `solve`.

    Returns
    -------
    lam : float
    x : (nz, ny, nx) ndarray
        The volume of the best weight tried, from which the final solve can start.

    Raises
    ------
    Cancelled
        If ``cancel`` is set or ``timeout`` is over before a weight is found; its ``result`` holds the last volume.

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
    check_keywords(select_lam, options, SolveOptions.__annotations__)
    trial = Trials("select_lam", regularizer, cancel, timeout, options, *_ITERATIONS)
    whole = as_sums(half, "half") + as_sums(other, "other")
    workers = trial.workers(whole)
    noise = noise_energy(whole) if noise is None else as_positive(noise, "noise")
    pairs = ((half, other), (other, half))[: 1 if whole.n_poses >= _MANY else 2]
    weight: NDArray | None = None

    def error(lam: float, near: tuple[NDArray, ...] | None) -> tuple[float, tuple[NDArray, ...]]:
        nonlocal weight
        starts = near or (None,) * len(pairs)
        volumes = tuple(trial(own, lam, x0) for (own, _), x0 in zip(pairs, starts, strict=True))
        if weight is None:
            weight = error_weight(whole, volumes[0], noise, workers)
        return sum(risk(judge, x, weight, workers) for (_, judge), x in zip(pairs, volumes, strict=True)), volumes

    best = least(error, START * guess_lam(whole, as_regularizer(regularizer), noise))
    if not best.found:
        log.info("lam: no minimum of the error was found, %.4g is the last weight that was tried", best.lam)
    return _WHOLE * best.lam, np.mean(best.volumes, axis=0)


def infer_lam(
    sums: NormalEquations,
    regularizer: str | Regularizer = "hessian",
    *,
    noise: float | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **options: Unpack[SolveOptions],
) -> tuple[float, NDArray]:
    """Choose lam so that the strength of the prior matches its volume: for too few views for `select_lam`.

    Parameters, returned values and errors are as in `select_lam`.

    With a prior p(x) ~ theta^D exp(-theta phi(x)) over D degrees of freedom, the likeliest theta for a given x is D / phi(x)
    [1]_; with noise of variance s^2 the objective's lam is then phi(x) / (D s^2). The equation lam = phi(x_lam) / (D s^2) is
    solved by substitution, starting from a large lam.

    References
    ----------
    .. [1] M. Pereyra, J. M. Bioucas-Dias, M. A. T. Figueiredo, "Maximum-a-posteriori estimation with unknown
       regularisation parameters", EUSIPCO 2015.
    """
    check_keywords(infer_lam, options, SolveOptions.__annotations__)
    trial = Trials("infer_lam", regularizer, cancel, timeout, options)
    phi = as_regularizer(regularizer).value
    noise = noise_energy(as_sums(sums)) if noise is None else as_positive(noise, "noise")
    spread = noise * _freedom(sums, noise)
    most = lam = math.sqrt(3) * math.prod(sums.shape) * wiener_size(sums, as_regularizer(regularizer)) / spread
    x = trial(sums, lam, None)
    for k in range(_ROUNDS):
        x = trial(sums, lam, x) if k else x
        previous, lam = lam, min(max(phi(x) / spread, 1e-6 * most), most)
        if abs(math.log(lam / previous)) < 0.1:
            break
    return lam, x


def noise_energy(sums: NormalEquations) -> float:
    """Return the noise energy of one view, sigma^2 times its voxels.

    At each frequency the N views determine one number of the particle, through B / sqrt(S). Their other N - 1 numbers hold
    noise alone, and so does the rest of the energy c. A single view has no such rest: its noise is read at the frequencies
    that the microscope passes least.
    """
    seen, power = _power(sums)
    count = math.prod(sums.shape)
    if sums.n_poses > 1:
        rest = sums.energy - half_sum(power, sums.shape) / count
        noise = rest / (sums.n_poses - half_sum(seen, sums.shape) / count)
    else:
        weak = seen & (sums.gram <= np.quantile(sums.gram[seen], 0.1))
        noise = float(np.median(power[weak])) / math.log(2)
    return max(noise, 1e-8 * sums.energy / sums.n_poses) if sums.energy > 0 else float(count)


def guess_lam(sums: NormalEquations, regularizer: Regularizer, noise: float | None = None) -> float:
    """Return a weight of the right order of magnitude: the size of D x over the variance of the noise."""
    variance = (noise_energy(sums) if noise is None else noise) / math.prod(sums.shape)
    return 10 * wiener_size(sums, regularizer) / variance


def _freedom(sums: NormalEquations, noise: float) -> float:
    """Return the share of frequencies that carry information: far above the noise, or well passed by the PSF."""
    _, power = _power(sums)
    loud = half_sum(power > _INFORMATIVE * noise, sums.shape)
    passed = half_sum(sums.gram, sums.shape) ** 2 / half_sum(np.square(sums.gram, dtype=np.float64), sums.shape)
    return max(loud, passed) / math.prod(sums.shape)


def _power(sums: NormalEquations) -> tuple[NDArray, NDArray]:
    """Return which frequencies the views pass, and |B|^2 / S there."""
    strongest = sums.gram.max()
    if strongest == 0:
        raise ValueError("sums: found a transfer function of zero, need a PSF that passes something")
    seen = sums.gram > _SEEN * strongest
    power = np.zeros(sums.gram.shape)
    np.divide(sums.rhs.real**2 + sums.rhs.imag**2, sums.gram, out=power, where=seen)
    return seen, power
