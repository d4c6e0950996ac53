"""The penalty parameters of D x = u and x = u2, chosen from sizes that are measured during the solve.

If x is scaled, mu scales by the inverse. So only two numbers matter: f = mu rms(D x), and the stiffness of the problem,
q = lam max(S) rms(D x), which is the curvature of the data term over that of the prior: about 1 if noise dominates, 1e5 if
the data dominate. The rules below were found by a search over volumes, numbers of views and noise levels (see
``benchmarks/suite/convergence.py``):

- f starts small, so that long steps find the shape, and grows geometrically. If it grows faster, details that were smoothed
  away at first come back slowly.
- The final f is lower for stiffer problems: low frequencies, at which data and prior are in balance, need a large f, and
  frequencies that no view passes need a small one.
- mu2 lies between mu, which damps the frequencies that no view passes, and the curvature lam max(S), above which mu2 would
  slow down the frequencies that views pass.
"""

from __future__ import annotations

import math
from typing import NamedTuple

EVERY = 5  # iterations between two fits
LAST = 200  # iteration after which the parameters are fixed, which guarantees that ADMM converges
_START = 0.14
_GROWTH = 0.2  # maximum growth of log mu per iteration
_MOST = 15.0
_LEAST_RATIO = 1e-3  # minimum of mu2 over mu
_LEAST_SIZE = 1e-2  # minimum rms of D x over its guess: if x tends to 0, a larger mu only amplifies rounding errors


class _Rule(NamedTuple):
    """The final f, which is ``end`` q ** ``fall`` and at least ``least``, and the factor of mu2."""

    end: float
    fall: float
    least: float
    factor: float


_RULES = {1: _Rule(40.0, -0.45, 1.5, 0.2), 2: _Rule(44.0, -0.37, 3.0, 0.37)}  # by the order of D


class Schedule:
    """The penalty parameters of one solve.

    Parameters
    ----------
    order : {1, 2}
        Order of the regulariser's operator D.
    curvature : float
        Curvature of the data term, lam max(S).
    guess : float
        First guess of the rms of D x; positive.
    """

    def __init__(self, order: int, curvature: float, guess: float):
        self.rule, self.curvature, self.guess = _RULES[order], curvature, guess

    def first(self) -> tuple[float, float]:
        """Return (mu, mu2) for the first iterations."""
        return self._pair(_START / self.guess, self.guess)

    def fitted(self, mu: float, size: float) -> tuple[float, float]:
        """Return (mu, mu2) for the next iterations, from the current mu and rms of D x."""
        size = max(size, _LEAST_SIZE * self.guess)
        end = min(max(self.rule.end * self._stiffness(size) ** self.rule.fall, self.rule.least), _MOST)
        return self._pair(min(end / size, mu * math.exp(_GROWTH * EVERY)), size)

    def _stiffness(self, size: float) -> float:
        return max(self.curvature * size, 1e-9)

    def _pair(self, mu: float, size: float) -> tuple[float, float]:
        mu2 = self.rule.factor * (mu * size) ** 0.6 * self._stiffness(size) ** 0.56 / size
        return mu, max(min(mu2, self.curvature), _LEAST_RATIO * mu)
