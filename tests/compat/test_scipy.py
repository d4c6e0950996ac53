"""S and the views' own operators as SciPy's."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import scipy.fft
from scipy.sparse.linalg import LinearOperator, cg

import fastmpr
from fastmpr.compat.scipy import gram, views

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def dataset(dtype, **options):
    rng = np.random.default_rng(0)
    psf = naive.lopsided_psf((17, 11, 11)).astype(dtype)
    particles = rng.random((3, 8, 9, 10)).astype(dtype)
    return fastmpr.Dataset(particles, psf, fastmpr.Poses.random(3, rng=1), weights=[1.0, 0.5, 2.0], **options)


def dot_test(op, tolerance):
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, op.shape[0])).astype(op.dtype)
    assert np.isclose(np.vdot(op.matvec(u), v), np.vdot(u, op.rmatvec(v)), rtol=tolerance, atol=tolerance * op.shape[0])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_products_with_s_are_those_of_its_spectrum(dtype):
    s, b, energy = naive.problem((5, 6, 7))
    op = gram(fastmpr.NormalEquations(s.astype(dtype), b, energy, 4, (5, 6, 7), 1.0), workers=2)
    x = np.random.default_rng(0).random((5, 6, 7))
    expected = scipy.fft.irfftn(s * scipy.fft.rfftn(x), x.shape).ravel()
    assert isinstance(op, LinearOperator)
    assert op.dtype == op.matvec(x.ravel()).dtype == dtype
    np.testing.assert_allclose(op @ x.ravel(), expected, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(op.T @ x.ravel(), expected, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("options", [{}, {"shape": (10, 10, 12)}])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_views_add_up_to_s(dtype, options):
    data = dataset(dtype)
    sums, operators = fastmpr.accumulate(data, **options), views(data, **options, workers=2)
    assert [op.grid for op in operators] == [sums.shape] * 3
    x = np.random.default_rng(0).random(sums.shape).astype(dtype).ravel()
    total = sum(w * h.rmatvec(h.matvec(x)) for w, h in zip(data.weights, operators, strict=True))
    assert total.dtype == np.float64 or dtype == np.float32
    np.testing.assert_allclose(total, gram(sums) @ x, atol=TOLERANCE[dtype] * 10)


def test_views_of_a_symmetric_particle_come_in_all_its_rotations():
    data = dataset(np.float64, symmetry="C2")
    sums, operators = fastmpr.accumulate(data), views(data)
    assert len(operators) == 6
    x = fastmpr.phantom.centriole(sums.shape, dtype=np.float64).ravel()
    total = sum(w * h.rmatvec(h.matvec(x)) for w, h in zip(np.repeat(data.weights, 2), operators, strict=True))
    expected = gram(sums) @ x
    assert np.abs(total - expected).max() <= 1e-3 * np.abs(expected).max()  # S is turned by interpolation


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_view_is_a_convolution_with_the_rotated_psf(dtype):
    data = dataset(dtype)
    for h, rotation in zip(views(data), data.poses.matrix, strict=True):
        dot_test(h, TOLERANCE[dtype])
        x = np.random.default_rng(0).random(h.grid)
        slow = naive.transfer(data.psfs[0].astype(float) / data.psfs[0].sum(), (1, 1, 1), rotation, h.grid, (1, 1, 1))
        expected = scipy.fft.irfftn(slow * scipy.fft.rfftn(x), h.grid).ravel()
        assert np.abs(h.matvec(x.ravel()) - expected).max() <= 5e-3  # the table is interpolated


def test_conjugate_gradients_solve_with_s():
    s, b, energy = naive.problem((5, 6, 7), least=0.1)
    op = gram(fastmpr.NormalEquations(s, b, energy, 4, (5, 6, 7), 1.0))
    rhs = scipy.fft.irfftn(b, (5, 6, 7)).ravel()
    x, info = cg(op, rhs, atol=0.0)
    assert info == 0
    assert np.linalg.norm(scipy.fft.irfftn(s * scipy.fft.rfftn(x.reshape(5, 6, 7)), (5, 6, 7)).ravel() - rhs) <= (
        1.01e-5 * np.linalg.norm(rhs)
    )


def test_errors_name_the_argument():
    with pytest.raises(TypeError, match="^data: found ndarray, need fastmpr.Dataset"):
        views(np.ones((3, 4, 4, 4)))
    with pytest.raises(TypeError, match="^sums: found int"):
        gram(3)
    with pytest.raises(ValueError, match="^psf: found none"):
        views(fastmpr.Dataset(np.ones((3, 4, 4, 4)), poses=fastmpr.Poses.random(3, rng=0)))
