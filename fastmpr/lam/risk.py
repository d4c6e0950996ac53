"""How far a volume is from the particle, estimated without knowing that, frequency by frequency.

For a volume x whose making knew nothing of the noise in b,

    <W x, S x - 2 b>,   W = 1 / (S + c k),   k = the noise of one view over the mean power of the particle,

is what <W (x - particle), S (x - particle)> is in the mean, up to a constant: the squared error of the volume, but where the
views pass next to nothing. (Without W it is the misfit of unseen data, which prefers far too little smoothing.) Where views
saw a part, the same is formed around a volume at which their data term is known, see `sums.partial`.

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

_SHARE = 0.3  # c: any from 0.03 to 1 does


def error_weight(sums: NormalEquations, x: NDArray, noise: float, workers: int) -> NDArray:
    """Return W, given a first volume and the energy of the noise in one view."""
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
    """Return <W a, b> of two spectra, over the number of voxels."""
    return half_sum(weight * (a.real * b.real + a.imag * b.imag), shape) / np.prod(shape)
