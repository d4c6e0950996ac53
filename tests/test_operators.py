"""Hessian and gradient against rolled arrays, and their adjoints."""

from __future__ import annotations

import naive
import numpy as np
import pytest

from fastmpr.operators import gradient, gradient_adjoint, hessian, hessian_adjoint

DTYPES = [np.float32, np.float64]
SHAPES = [(5, 6, 7), (1, 1, 1), (2, 1, 3), (1, 2, 2), (4, 3, 1), (3, 1, 2)]
VOXEL = (0.4, 0.1, 0.2)
RATIOS = np.array([0.25, 1, 0.5])
ENTRIES = np.array([RATIOS[i] * RATIOS[j] for i, j in naive.PAIRS]).reshape(6, 1, 1, 1)
# Each with its number of components, its twin, and what voxels that are no cubes multiply components by.
OPERATORS = {
    "hessian": (hessian, hessian_adjoint, 6, naive.hessian, naive.hessian_adjoint, ENTRIES, naive.WEIGHTS),
    "gradient": (
        gradient,
        gradient_adjoint,
        3,
        naive.differences,
        naive.differences_adjoint,
        RATIOS.reshape(3, 1, 1, 1),
        1,
    ),
}


@pytest.fixture(params=list(OPERATORS))
def operator(request):
    return OPERATORS[request.param]


def random(dtype, *shape):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("voxel", [1.0, VOXEL])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_they_are_differences_of_rolled_arrays(operator, shape, dtype, voxel):
    forward, adjoint, count, slow, slow_adjoint, scales, _ = operator
    scales = scales if voxel == VOXEL else 1
    x, h = random(dtype, *shape), random(dtype, count, *shape)
    found, back = forward(x, voxel_size=voxel), adjoint(h, voxel_size=voxel)
    assert found.dtype == back.dtype == dtype
    tolerance = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, scales * slow(x.astype(float)), atol=tolerance)
    np.testing.assert_allclose(back, slow_adjoint(scales * h.astype(float)), atol=tolerance)


@pytest.mark.parametrize("voxel", [1.0, VOXEL])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_agree(operator, shape, voxel):
    forward, adjoint, count, _, _, _, weights = operator
    x, h = random(float, *shape), random(float, count, *shape)
    product = (weights * forward(x, voxel_size=voxel) * h).sum()
    assert np.isclose(product, (x * adjoint(h, voxel_size=voxel)).sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("direction", [0, 1])
def test_any_layout_and_any_number_of_threads_give_the_same_and_the_input_stays(operator, direction, workers):
    function, source = operator[direction], random(np.float32, *[operator[2]][:direction], 7, 8, 9)
    expected, kept = function(source, workers=1), source.copy()
    for view in (source, np.asfortranarray(source), np.repeat(source, 2, axis=-1)[..., ::2]):
        np.testing.assert_array_equal(function(view, workers=workers), expected)
    for out in (np.full_like(expected, 7), np.full((*expected.shape, 2), 7, np.float32)[..., 0]):
        assert function(source, out=out, workers=workers) is out
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(source, kept)


def test_an_output_that_overlaps_the_input_is_filled_as_if_it_did_not():
    h = random(float, 6, 4, 5, 6)
    expected = hessian_adjoint(h)
    np.testing.assert_array_equal(hessian_adjoint(h, out=h[2]), expected)


def test_integers_are_converted():
    x = np.arange(60).reshape(3, 4, 5) ** 2
    assert hessian(x).dtype == np.float32
    np.testing.assert_array_equal(hessian(x), naive.hessian(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hessian(np.ones((3, 4))), "x: found an array of shape (3, 4), need a 3-D one (z, y, x)"),
        (lambda: hessian_adjoint(np.ones((5, 2, 2, 2))), "h: found shape (5, 2, 2, 2), need (6, nz, ny, nx)"),
        (lambda: gradient_adjoint(np.ones((3, 2, 2))), "g: found shape (3, 2, 2), need (3, nz, ny, nx)"),
        (lambda: gradient(np.full((2, 2, 2), np.nan)), "x: found 8 NaN or infinite values, need finite ones"),
        (
            lambda: gradient(np.full((2, 2, 2), 3e38, "f4")),
            "x: found values up to 3e+38, need at most 1.7e+38 in float32",
        ),
        (
            lambda: hessian(np.ones((2, 2, 2)), out=np.ones((2, 2, 2))),
            "out: found float64 of shape (2, 2, 2), need float64 of shape (6, 2, 2, 2)",
        ),
    ],
)
def test_errors_say_what_is_needed(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message
