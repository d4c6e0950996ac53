"""The Hessian and the gradient as PyLops operators."""

from __future__ import annotations

import sys

import naive
import numpy as np
import pytest

from fastmpr.compat.pylops import Gradient, Hessian

PAIRS = [(Hessian, naive.hessian, np.sqrt(naive.WEIGHTS)), (Gradient, naive.differences, 1)]
DIMS = (4, 5, 6)


@pytest.mark.parametrize("voxel", [1.0, (0.3, 0.1, 0.2)])
@pytest.mark.parametrize("dims", [DIMS, (1, 5, 2), 3])
@pytest.mark.parametrize("operator", [Hessian, Gradient])
def test_the_dot_test_passes(operator, dims, voxel):
    utils = pytest.importorskip("pylops.utils", reason="pylops is not installed")
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        op = operator(dims, voxel_size=voxel, dtype=dtype, workers=2)
        assert op.dtype == dtype
        # Of random vectors: their products are of size 1 and more, unless what they sum happens to cancel.
        assert utils.dottest(op, *op.shape, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("operator", "slow", "weights"), PAIRS)
def test_vectors_and_volumes_are_taken(operator, slow, weights):
    pytest.importorskip("pylops", reason="pylops is not installed")
    x, op = np.random.default_rng(0).random(DIMS), operator(DIMS)
    expected = weights * slow(x)
    assert op.dims == DIMS
    assert op.dimsd == expected.shape
    np.testing.assert_allclose(op @ x, expected, atol=1e-14)
    np.testing.assert_allclose(op @ x.ravel(), expected.ravel(), atol=1e-14)


def test_products_leave_what_they_are_given_as_it_is():
    pytest.importorskip("pylops", reason="pylops is not installed")
    h = np.random.default_rng(0).random(6 * 120)
    kept = h.copy()
    Hessian(DIMS).rmatvec(h)
    np.testing.assert_array_equal(h, kept)


@pytest.mark.parametrize("operator", [Hessian, Gradient])
def test_without_pylops_it_says_what_to_install(operator, monkeypatch):
    monkeypatch.setitem(sys.modules, "pylops", None)
    with pytest.raises(ImportError) as caught:
        operator(DIMS)
    assert str(caught.value) == 'fastmpr.compat.pylops needs pylops: pip install "fastmpr[pylops]"'


@pytest.mark.parametrize(
    ("given", "name"),
    [({"dims": (4, 5)}, "dims"), ({"dims": 4, "dtype": "int"}, "dtype"), ({"dims": 4, "voxel_size": 0}, "voxel_size")],
)
def test_errors_name_the_argument(given, name):
    pytest.importorskip("pylops", reason="pylops is not installed")
    with pytest.raises(ValueError, match=f"^{name}: found"):
        Hessian(**given)
