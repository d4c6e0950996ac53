"""Tikhonov's prior, in closed form."""

from __future__ import annotations

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Vector, as_ratios
from ..sums.normal_equations import NormalEquations
from .protocol import symbol


class Tikhonov:
    """Half the sum of the squares of the gradient (forward differences, periodic): no sweep, but a closed form.

    Parameters
    ----------
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.
    """

    order = 1

    def __init__(self, voxel_size: float | Vector = 1.0):
        self.ratios = as_ratios(voxel_size)

    def value(self, x: NDArray) -> float:
        """Return half the sum of the squares of the gradient of ``x``."""
        steps = (r * (np.roll(x, -1, axis) - x) for axis, r in enumerate(map(x.dtype.type, self.ratios)))
        return 0.5 * sum(float(np.square(step, dtype=np.float64).sum()) for step in steps)

    def minimiser(self, sums: NormalEquations, lam: float, positivity: bool = True) -> NDArray:
        """Return F^-1 { lam B / (lam S + |D^|^2) }, clipped at 0 with ``positivity``: SPFluo's L2 reconstruction.

        The clipped minimiser is not the minimiser over x >= 0, but costs one FFT.
        """
        denominator = lam * sums.gram + symbol(self, sums.shape)
        spectrum = np.zeros_like(sums.rhs)
        np.divide(lam * sums.rhs, denominator, out=spectrum, where=denominator > 0, casting="same_kind")
        x = scipy.fft.irfftn(spectrum, sums.shape)
        return np.maximum(x, 0) if positivity else x
