"""Estimate the error of a volume without knowing the particle, frequency by frequency.

For a volume x that is independent of the noise in b, the expected value of

    <W x, S x - 2 b>,   W = 1 / (S + c k),   k = the noise of one view over the mean power of the particle,

is that of <W (x - particle), S (x - particle)>, up to a constant. This is the squared error of the volume, except at
frequencies that the views hardly pass. (Without W it is the misfit of data that were held back, which prefers far too little
smoothing.) For views that saw a part, the estimate is formed around a volume at which their data term is known, see
`reconstruction.partial`.

References
----------
Y. C. Eldar, "Generalized SURE for exponential families: applications to regularization", IEEE Transactions on Signal
Processing 57(2), 2009.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._validation import Size
from ..runtime.fft import rfftn
from ..sums.normal_equations import NormalEquations, half_sum

_SHARE = 0.3  # c: any value from 0.03 to 1 works


def error_weight(sums: NormalEquations, x: NDArray, noise: float, workers: int) -> NDArray:
    """Return W, given a first volume and the noise energy of one view."""
    spectrum = rfftn(x, workers)
    power = half_sum(spectrum.real**2 + spectrum.imag**2, sums.shape) / x.size
    dtype = sums.gram.dtype.type
    k = noise / power if power > 0 else 1.0
    return dtype(1) / (sums.gram + dtype(max(_SHARE * k, 1e-6 * float(sums.gram.max()))))


def risk(sums: NormalEquations, x: NDArray, weight: NDArray, workers: int) -> float:
    """Return the estimated error of a volume, up to a constant."""
    spectrum = rfftn(x, workers)
    return weighted(weight, spectrum, sums.gram * spectrum - 2 * sums.rhs, sums.shape)


def weighted(weight: NDArray, a: NDArray, b: NDArray, shape: Size) -> float:
    """Return <W a, b> of two spectra, divided by the number of voxels."""
    return half_sum(weight * (a.real * b.real + a.imag * b.imag), shape) / np.prod(shape)
