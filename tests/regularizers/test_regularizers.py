"""Total variation against its slow twin and another method, Tikhonov's closed form, and a regulariser of one's own."""

from __future__ import annotations

from collections.abc import Callable

import naive
import numpy as np
import pytest
import scipy.fft

import fastmpr
from fastmpr import NormalEquations
from fastmpr.kernels.gradient_sweep import _project_gradients
from fastmpr.regularizers import KNOWN, Hessian, SchattenInfinity, Tikhonov, TotalVariation, as_regularizer
from fastmpr.testing import check_regularizer

SHAPES = [(10, 10, 10), (9, 12, 11), (7, 9, 16), (2, 5, 3)]


def on_ball(v: np.ndarray, bound: float) -> np.ndarray:
    """Vectors shortened to a length of at most ``bound``: isotropic total variation's projection."""
    length = np.linalg.norm(v, axis=0)
    return v * (bound / np.maximum(length, max(bound, 1e-200)))


def in_box(v: np.ndarray, bound: float) -> np.ndarray:
    """Components clipped one by one: anisotropic total variation's projection."""
    return np.clip(v, -bound, bound)


def sums_of(shape, dtype: type = np.float64, **options) -> NormalEquations:
    gram, rhs, energy = naive.problem(shape, **options)
    return NormalEquations(gram.astype(dtype), rhs, energy, 4, shape, 1.0)


def symbol(shape) -> np.ndarray:
    return np.sqrt(naive.symbol(shape))


def admm(sums: NormalEquations, project: Callable, lam, mu, relaxation, iterations) -> np.ndarray:
    """The solver as design and paper state it, for a projection of the dual."""
    shape, (mu1, mu2) = sums.shape, mu
    denominator = mu1 * symbol(shape) + mu2 + lam * sums.gram
    u, u2 = np.zeros((3, *shape)), np.zeros(shape)
    d, d2 = np.zeros_like(u), np.zeros(shape)
    for _ in range(iterations):
        residue = mu1 * naive.differences_adjoint(u - d) + mu2 * (u2 - d2)
        x = scipy.fft.irfftn((scipy.fft.rfftn(residue) + lam * sums.rhs) / denominator, shape)
        v = relaxation * naive.differences(x) + (1 - relaxation) * u + d
        d = project(v, 1 / mu1)
        u = v - d
        v2 = relaxation * x + (1 - relaxation) * u2 + d2
        u2, d2 = np.maximum(v2, 0), np.minimum(v2, 0)
    return np.maximum(x, 0)


def primal_dual(sums: NormalEquations, project: Callable, lam: float, iterations: int) -> np.ndarray:
    """Condat's and Vu's method, which is no ADMM: see `naive.primal_dual`."""
    smoothness, norm = lam * sums.gram.max(), 12.0
    sigma = smoothness / np.sqrt(norm) / 4
    tau = 0.99 / (smoothness / 2 + sigma * norm)
    x, p = np.zeros(sums.shape), np.zeros((3, *sums.shape))
    for _ in range(iterations):
        ahead = np.maximum(x - tau * (naive.data_slope(x, sums.gram, sums.rhs, lam) + naive.differences_adjoint(p)), 0)
        p = project(p + sigma * naive.differences(2 * ahead - x), 1.0)
        x = ahead
    return x


LONG = [kind((3.0, 1.5, 1.0)) for kind in (Hessian, TotalVariation, Tikhonov, SchattenInfinity)]


@pytest.mark.parametrize(
    "regularizer", [*KNOWN, *LONG], ids=lambda one: one if isinstance(one, str) else f"{type(one).__name__}, long"
)
def test_ours_are_what_we_ask_of_others(regularizer):
    check_regularizer(regularizer)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("relaxation", [1.0, 1.8])
@pytest.mark.parametrize("shape", SHAPES)
def test_tv_iterates_are_those_of_the_naive_twin(shape, relaxation, workers):
    options = {"mu": (3.0, 8.0), "relaxation": relaxation, "tol": 0, "max_iter": 25, "workers": workers}
    expected = admm(sums_of(shape), on_ball, 30, (3.0, 8.0), relaxation, 25)
    for dtype, within in ((np.float64, 1e-10), (np.float32, 1e-4)):
        x = fastmpr.solve(sums_of(shape, dtype), 30, "tv", **options).x
        assert x.dtype == dtype
        np.testing.assert_allclose(x, expected, rtol=0, atol=within * expected.max())


@pytest.mark.parametrize("lam", [5.0, 50.0])
def test_tv_objective_is_that_of_an_independent_method(lam):
    sums = sums_of((9, 10, 11), least=0.01)
    mine = fastmpr.objective(fastmpr.solve(sums, lam, "tv", tol=1e-7, max_iter=5000).x, sums, lam, "tv")
    other = fastmpr.objective(primal_dual(sums, on_ball, lam, 4000), sums, lam, "tv")
    assert mine == pytest.approx(other, rel=1e-4)


def test_tv_denoising_is_that_of_the_dual_projection():
    """Without a PSF: Chambolle's problem, solved in its dual alone by accelerated projected gradients (J. MIV 20, 2004)."""
    shape, lam, rng = (8, 9, 10), 4.0, np.random.default_rng(0)
    y = 5 + rng.standard_normal(shape)
    flat = NormalEquations(np.ones((8, 9, 6)), scipy.fft.rfftn(y), float((y**2).sum()), 1, shape, 1.0)
    p = q = np.zeros((3, *shape))
    for k in range(1500):
        ahead = on_ball(q + lam / 12 * naive.differences(y - naive.differences_adjoint(q) / lam), 1.0)
        q, p = ahead + k / (k + 3) * (ahead - p), ahead
    expected = y - naive.differences_adjoint(p) / lam
    assert expected.min() > 0
    x = fastmpr.solve(flat, lam, "tv", tol=1e-7, max_iter=5000).x
    first, second = (fastmpr.objective(volume, flat, lam, "tv") for volume in (x, expected))
    assert first == pytest.approx(second, rel=1e-5)
    np.testing.assert_allclose(x, expected, atol=2e-3 * expected.max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_are_shortened_at_any_scale(dtype):
    v = np.random.default_rng(1).standard_normal((3, 2000))
    v[:, :10] = 0
    nothing, ignored, ones = np.zeros(2001, dtype), tuple(np.empty((3, 2000), dtype)), tuple(np.ones(3, dtype))
    for exponent in (-20, -3, 0, 3, 18):
        rows = (v * 10.0**exponent).astype(dtype)
        expected = on_ball(rows.astype(np.float64), 1.0)
        just_d = tuple(dtype(value) for value in (0, 1, 0, 0))
        _project_gradients(nothing, nothing, nothing, ones, None, just_d, ones, tuple(rows), ignored)
        np.testing.assert_allclose(rows, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_tv_value_is_the_naive_one():
    x = np.random.default_rng(2).standard_normal((5, 6, 7))
    expected = np.linalg.norm(naive.differences(x), axis=0).sum()
    assert TotalVariation().value(x) == pytest.approx(expected, rel=1e-12)


def test_tikhonov_is_its_closed_form():
    sums, lam = sums_of((9, 10, 8)), 20.0
    spectrum = lam * sums.rhs / (lam * sums.gram + symbol(sums.shape))
    unclipped = scipy.fft.irfftn(spectrum, sums.shape)
    np.testing.assert_allclose(
        Tikhonov().minimiser(sums.gram, sums.rhs, sums.shape, lam), np.maximum(unclipped, 0), atol=1e-12
    )
    slope = naive.data_slope(unclipped, sums.gram, sums.rhs, lam) + naive.differences_adjoint(
        naive.differences(unclipped)
    )
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    assert Tikhonov().value(unclipped) == pytest.approx(0.5 * (naive.differences(unclipped) ** 2).sum(), rel=1e-12)


def test_tikhonov_keeps_float32_and_survives_frequencies_that_nothing_passes():
    sums = sums_of((8, 8, 8), np.float32)
    dark = NormalEquations(0 * sums.gram, 0 * sums.rhs, 0.0, 1, sums.shape, 1.0)
    assert Tikhonov().minimiser(sums.gram, sums.rhs, sums.shape, 20.0).dtype == np.float32
    np.testing.assert_array_equal(Tikhonov().minimiser(dark.gram, dark.rhs, dark.shape, 20.0), 0)


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"regularizer: found 'l0', need one of 'hessian', 'tv'"):
        as_regularizer("l0")
