"""The parts for other solvers, arrays in and arrays out, on one thread; the prox beside NumPy's eigenvectors.

And the regularisers that are functions for one voxel, beside the nuclear norm, which is compiled ahead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import fastmpr

from .common import make_sums, ratio_in_turn, seconds

SHAPE = (64, 64, 64)
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def by_eigenvectors(h: NDArray, threshold: float) -> NDArray:
    """Return what `fastmpr.prox.nuclear` does, by NumPy's batched `eigh`."""
    full = np.empty((*h.shape[1:], 3, 3), h.dtype)
    for entries, (i, j) in zip(h, PAIRS, strict=True):
        full[..., i, j] = full[..., j, i] = entries
    values, vectors = np.linalg.eigh(full)
    values = np.sign(values) * np.maximum(np.abs(values) - h.dtype.type(threshold), 0)
    full = (vectors * values[..., None, :]) @ vectors.swapaxes(-1, -2)
    return np.stack([full[..., i, j] for i, j in PAIRS])


class Parts:
    """Each part in float32, what it returns given a place."""

    version = "1"
    params = ["hessian", "hessian_adjoint", "gradient", "gradient_adjoint", "nuclear", "nuclear_norm", "nonnegative"]
    param_names = ["part"]

    def setup(self, part):
        x = np.random.default_rng(0).random(SHAPE, np.float32)
        h, g = fastmpr.operators.hessian(x), fastmpr.operators.gradient(x)
        out, options = np.empty_like(x), {"workers": 1}
        self.run = {
            "hessian": lambda: fastmpr.operators.hessian(x, out=h, **options),
            "hessian_adjoint": lambda: fastmpr.operators.hessian_adjoint(h, out=out, **options),
            "gradient": lambda: fastmpr.operators.gradient(x, out=g, **options),
            "gradient_adjoint": lambda: fastmpr.operators.gradient_adjoint(g, out=out, **options),
            "nuclear": lambda: fastmpr.prox.nuclear(h, 0.1, out=h, **options),
            "nuclear_norm": lambda: fastmpr.prox.nuclear_norm(h),
            "nonnegative": lambda: fastmpr.prox.nonnegative(x, out=out, **options),
        }[part]
        self.run()

    def time_part(self, part):
        self.run()


class OverEigenvectors:
    """The time of `fastmpr.prox.nuclear` over that of NumPy's batched `eigh`, one thread each, float32."""

    version = "1"
    unit = "ratio"

    def track_ratio(self):
        h = np.random.default_rng(0).standard_normal((6, *SHAPE), np.float32)
        return ratio_in_turn(
            lambda: min(seconds(fastmpr.prox.nuclear, h, 0.5, workers=1) for _ in range(5)),
            lambda: seconds(by_eigenvectors, h, 0.5),
            readings=3,
        )


class OverNuclearNorm:
    """The time of an iteration with another regulariser over that with the nuclear norm, one thread each, float32."""

    version = "1"
    params = ["schatten-2", "schatten-inf", "long voxels"]
    param_names = ["regulariser"]
    unit = "ratio"
    timeout = 120

    def track_ratio(self, name):
        known = fastmpr.regularizers
        other = known.Hessian((3, 1, 1)) if name == "long voxels" else name
        sums = make_sums(4, (36, 72, 72))
        options = {"lam": 30.0, "max_iter": 40, "tol": 0, "workers": 1}
        return ratio_in_turn(
            lambda: seconds(lambda: fastmpr.solve(sums, regularizer=other, **options)),
            lambda: seconds(lambda: fastmpr.solve(sums, regularizer="hessian", **options)),
            readings=5,
        )
