"""Tikhonov's prior, in closed form."""

from __future__ import annotations

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from ...sums.normal_equations import NormalEquations
from .protocol import symbol


class Tikhonov:
    """Half the sum of the squares of the gradient (forward differences, periodic): no sweep, but a closed form."""

    order = 1

    def value(self, x: NDArray) -> float:
        """Return half the sum of the squares of the gradient of ``x``."""
        return 0.5 * sum(float(np.square(np.roll(x, -1, axis) - x, dtype=np.float64).sum()) for axis in range(3))

    def minimiser(self, sums: NormalEquations, lam: float) -> NDArray:
        """Return F^-1 { lam B / (lam S + |D^|^2) }, clipped at 0: what SPFluo's L2 reconstruction solves.

        The clipped minimiser is not the minimiser over x >= 0, but costs one FFT.
        """
        denominator = lam * sums.gram + symbol(self, sums.shape)
        spectrum = np.zeros_like(sums.rhs)
        np.divide(lam * sums.rhs, denominator, out=spectrum, where=denominator > 0, casting="same_kind")
        return np.maximum(scipy.fft.irfftn(spectrum, sums.shape), 0)
