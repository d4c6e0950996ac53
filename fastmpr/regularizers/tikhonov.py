"""Tikhonov's prior, in closed form."""

from __future__ import annotations

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size, Vector, as_ratios
from .protocol import symbol


class Tikhonov:
    """Half the sum of the squares of the gradient (forward differences, periodic): no sweep, but a closed form.

    Parameters
    ----------
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.
    """

    order = 1
    closed_form = True

    def __init__(self, voxel_size: float | Vector = 1.0):
        self.ratios = as_ratios(voxel_size)

    def value(self, x: NDArray) -> float:
        """Return half the sum of the squares of the gradient of ``x``."""
        steps = (r * (np.roll(x, -1, axis) - x) for axis, r in enumerate(map(x.dtype.type, self.ratios)))
        return 0.5 * sum(float(np.square(step, dtype=np.float64).sum()) for step in steps)

    def minimiser(self, gram: NDArray, rhs: NDArray, shape: Size, lam: float, positivity: bool = True) -> NDArray:
        """Return F^-1 { lam B / (lam S + |D^|^2) }, clipped at 0 with ``positivity``: SPFluo's L2 reconstruction.

        The clipped minimiser is not the minimiser over x >= 0, but costs one FFT.
        """
        denominator = lam * gram + symbol(self, shape)
        spectrum = np.zeros_like(rhs)
        np.divide(lam * rhs, denominator, out=spectrum, where=denominator > 0, casting="same_kind")
        x = scipy.fft.irfftn(spectrum, shape)
        return np.maximum(x, 0) if positivity else x
