"""The weight of the data term, chosen from the sums alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ._validation import as_positive
from .admm import solve
from .normal_equations import NormalEquations, half_sum
from .regularizers import Regularizer, as_regularizer

_SEEN = 1e-6  # of the strongest frequency: below, no view has passed anything
_INFORMATIVE = 16.0  # times the noise: a frequency that strong counts as a degree of freedom of the particle
_ROUNDS = 5
_ROUND_ITERATIONS = 30


@dataclass(frozen=True)
class Evidence:
    """What the sums tell of noise and signal before anything is solved.

    Attributes
    ----------
    noise : float
        Energy of the noise in one view, sigma^2 times its voxels.
    freedom : float
        Share of all frequencies at which the views together rise well above the noise.
    """

    noise: float
    freedom: float


def as_lam(lam: Any) -> float | str:
    """Return ``"auto"`` or a positive finite number."""
    return "auto" if isinstance(lam, str) and lam == "auto" else as_positive(lam, "lam")


def evidence(sums: NormalEquations) -> Evidence:
    """Measure noise and signal.

    At each frequency the N views determine one number of the particle, through B / sqrt(S); their other N - 1 numbers hold
    noise alone, and so does what is left of the energy c. A single view has no such rest: its noise is read at the
    frequencies that the microscope passes least.
    """
    strongest = sums.gram.max()
    if strongest == 0:
        raise ValueError("sums: found a transfer function of zero, need a PSF that passes something")
    seen = sums.gram > _SEEN * strongest
    power = np.zeros(sums.gram.shape)
    np.divide(sums.rhs.real**2 + sums.rhs.imag**2, sums.gram, out=power, where=seen)
    count = float(np.prod(sums.shape))
    if sums.n_poses > 1:
        rest = sums.energy - half_sum(power, sums.shape) / count
        noise = rest / (sums.n_poses - half_sum(seen, sums.shape) / count)
    else:
        weak = seen & (sums.gram <= np.quantile(sums.gram[seen], 0.1))
        noise = float(np.median(power[weak])) / np.log(2)
    noise = max(noise, 1e-8 * sums.energy / sums.n_poses)
    freedom = half_sum(power > _INFORMATIVE * noise, sums.shape) / count
    return Evidence(noise, max(freedom, 1 / count))


def select_lam(
    sums: NormalEquations, regularizer: str | Regularizer = "hessian", **options: Any
) -> tuple[float, NDArray]:
    """Choose lam so that the prior is as strong as the volume it yields suggests; return it and that volume.

    With a prior p(x) ~ theta^D exp(-theta phi(x)) over D degrees of freedom, the likeliest theta for a given x is D / phi(x)
    [1]_; with noise of variance s^2 the objective's lam is then phi(x) / (D s^2). Here D s^2 is ``freedom * noise`` of the
    `Evidence`. The equation lam = phi(x_lam) / (D s^2) is solved by substitution, each round starting from the last volume;
    phi grows more slowly than lam, so the rounds contract. Scaling the intensities by s scales lam by 1 / s.

    References
    ----------
    .. [1] M. Pereyra, J. M. Bioucas-Dias, M. A. T. Figueiredo, "Maximum-a-posteriori estimation with unknown regularisation
       parameters", EUSIPCO 2015.
    """
    phi = as_regularizer(regularizer).value
    known = evidence(sums)
    spread = known.freedom * known.noise
    wiener = sums.rhs / (sums.gram + 0.01 * sums.gram.max())
    x = np.maximum(scipy.fft.irfftn(wiener, sums.shape), 0).astype(sums.gram.dtype)
    lam = phi(x) / spread
    for _ in range(_ROUNDS):
        result = solve(sums, lam, regularizer, x0=x, max_iter=_ROUND_ITERATIONS, tol=1e-2, **options)
        x, previous = result.x, lam
        lam = phi(x) / spread
        if abs(np.log(lam / previous)) < 0.1:
            break
    return lam, x
