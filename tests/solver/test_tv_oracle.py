"""Total variation against scikit-image's denoising, which knows nothing of ADMM, Fourier space or this package.

Its differences end at the faces of the volume, ours wrap around, and it has no bound at zero. Neither matters here: noise
and particle stay away from the faces, so that the minimiser is constant all over them and all differences across the edge
are zero; and the background is 1, below which no denoised voxel can fall.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import fastmpr

restoration = pytest.importorskip(
    "skimage.restoration", reason='the independent total variation is scikit-image\'s: pip install "fastmpr[test]"'
)

SHAPE, BORDER = (20, 24, 22), 5


def noisy_particle() -> NDArray:
    """A centriole in noise, in the middle of a flat background."""
    y = np.ones(SHAPE)
    inside = y[BORDER:-BORDER, BORDER:-BORDER, BORDER:-BORDER]
    inside += fastmpr.phantom.centriole(inside.shape) + 0.2 * np.random.default_rng(0).random(inside.shape)
    return y


def total_variation(x: NDArray) -> float:
    """Sum of the lengths of the gradients: forward differences, periodic."""
    squares = [(np.roll(x, -1, axis) - x) ** 2 for axis in range(3)]
    return float(np.sqrt(sum(squares)).sum())


def cost(x: NDArray, y: NDArray, lam: float) -> float:
    """(lam / 2) ||y - x||^2 + TV(x)."""
    return 0.5 * lam * float(((y - x) ** 2).sum()) + total_variation(x)


@pytest.mark.parametrize("lam", [10.0, 30.0])
def test_tv_denoising_agrees_with_scikit_image(lam):
    y = noisy_particle()
    # eps=0: all its iterations; by its own rule it would stop at 4 to 11 % above the minimum
    theirs = restoration.denoise_tv_chambolle(y, weight=1 / lam, eps=0, max_num_iter=3000)
    for dtype in (np.float32, np.float64):
        gram = np.ones((*SHAPE[:2], SHAPE[2] // 2 + 1), dtype)
        sums = fastmpr.NormalEquations(gram, np.fft.rfftn(y), float((y**2).sum()), 1, SHAPE, 1.0)
        ours = fastmpr.solve(sums, lam, "tv", tol=1e-4, max_iter=1000).x.astype(np.float64)

        for x, flat in ((ours, 1e-4), (theirs, 1e-3)):
            faces = np.concatenate([np.take(x, (0, -1), axis).ravel() for axis in range(3)])
            assert np.ptp(faces) < flat
            assert x.min() > 0.99
        # the allowance is a part of the prior's value only: the noise's energy in the data term would flatter
        allowance = 1e-3 * total_variation(theirs)
        assert cost(ours, y, lam) == pytest.approx(cost(theirs, y, lam), abs=allowance)
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
        assert fastmpr.objective(ours, sums, lam, "tv") == pytest.approx(cost(ours, y, lam), abs=allowance / 10)
