"""The penalty parameters of D x = u and x = u2, from the sizes that a problem shows as it is solved.

Scaling x scales mu by the inverse, so all that matters is f = mu rms(D x) and the problem's stiffness
q = lam max(S) rms(D x), the data term's curvature over the prior's: about 1 where noise rules, 1e5 where the data do. The
rules below were found by search over volumes, numbers of views and noise (see ``benchmarks/suite/convergence.py``):

- f begins small, so that the shape is found in long steps, and grows geometrically; grown faster, what has been smoothed
  away at first comes back slowly.
- It ends the lower, the stiffer the problem is: low frequencies, where data and prior hold each other, want a large f, those
  that no view has seen a small one.
- mu2 lies between mu, from which the damping of what is not seen comes, and the curvature lam max(S), above which it would
  hold back what is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

EVERY = 5  # iterations between two fits
LAST = 200  # iteration after which the parameters stay, so that ADMM is sure to converge
_START = 0.14
_GROWTH = 0.2  # of log mu in an iteration, at most
_MOST = 15.0
_LEAST_RATIO = 1e-3  # of mu2 to mu
_LEAST_SIZE = 1e-2  # of the rms of D x to its guess: where a volume fades away, a larger mu is rounding times mu


class _Rule(NamedTuple):
    """Where f ends, ``end`` q ** ``fall`` but not below ``least``, and the factor of mu2."""

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
        Of the regulariser's operator D.
    curvature : float
        lam max(S).
    guess : float
        What the rms of D x might be; positive.
    """

    def __init__(self, order: int, curvature: float, guess: float):
        self.rule, self.curvature, self.guess = _RULES[order], curvature, guess

    def first(self) -> tuple[float, float]:
        """Return (mu, mu2) to begin with."""
        return self._pair(_START / self.guess, self.guess)

    def fitted(self, mu: float, size: float) -> tuple[float, float]:
        """Return (mu, mu2) for the next iterations, from mu and the rms of D x as they are."""
        size = max(size, _LEAST_SIZE * self.guess)
        end = min(max(self.rule.end * self._stiffness(size) ** self.rule.fall, self.rule.least), _MOST)
        return self._pair(min(end / size, mu * math.exp(_GROWTH * EVERY)), size)

    def _stiffness(self, size: float) -> float:
        return max(self.curvature * size, 1e-9)

    def _pair(self, mu: float, size: float) -> tuple[float, float]:
        mu2 = self.rule.factor * (mu * size) ** 0.6 * self._stiffness(size) ** 0.56 / size
        return mu, max(min(mu2, self.curvature), _LEAST_RATIO * mu)
