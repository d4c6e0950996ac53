"""Regularisers from functions for one voxel or for whole arrays, and the prior without positivity.

What they minimise is compared with Condat's and Vu's method (`primal_dual`), which shares nothing with the solver.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import naive
import numpy as np
import pytest

import fastmpr
from fastmpr import FastmprWarning, NormalEquations
from fastmpr.kernels import schatten
from fastmpr.regularizers import (
    Hessian,
    Pointwise,
    SchattenInfinity,
    SchattenTwo,
    Tikhonov,
    TotalVariation,
    WholeArrays,
    as_regularizer,
)
from fastmpr.regularizers.checks import check_rule
from fastmpr.regularizers.pointwise import compiled
from fastmpr.solver import iteration

SHAPE, LAM = (9, 10, 11), 20.0
LONG = (3.0, 1.5, 1.0)


def sums_of(shape=SHAPE, dtype: type = np.float64, offset: float = 0.0, **options) -> NormalEquations:
    gram, rhs, energy = naive.problem(shape, **options)
    rhs[0, 0, 0] += offset
    return NormalEquations(gram.astype(dtype), rhs.astype(np.result_type(dtype, np.complex64)), energy, 4, shape, 1.0)


def scaled(order: int, voxel_size) -> tuple[Callable, Callable]:
    """Gradient or Hessian on voxels that are no cubes, and its adjoint."""
    r = min(np.broadcast_to(voxel_size, 3)) / np.broadcast_to(voxel_size, 3)
    if order == 1:
        scales = np.reshape(r, (3, 1, 1, 1))
        return lambda x: scales * naive.differences(x), lambda q: naive.differences_adjoint(scales * q)
    scales = np.array([r[i] * r[j] for i, j in naive.PAIRS])[:, None, None, None]
    return lambda x: scales * naive.hessian(x), lambda q: naive.hessian_adjoint(scales * q)


def primal_dual(sums, lam, order, project, voxel_size=1.0, positivity=True, iterations=6000) -> np.ndarray:
    """The minimiser, slowly."""
    forward, backward = scaled(order, voxel_size)
    smoothness, norm = lam * sums.gram.max(), 12.0**order
    sigma = smoothness / np.sqrt(norm) / 2
    tau = 0.99 / (smoothness / 2 + sigma * norm)
    x = np.zeros(sums.shape)
    p = np.zeros_like(forward(x))
    for _ in range(iterations):
        ahead = x - tau * (naive.data_slope(x, sums.gram, sums.rhs, lam) + backward(p))
        ahead = np.maximum(ahead, 0) if positivity else ahead
        p, x = project(p + sigma * forward(2 * ahead - x)), ahead
    return x


def on_simplex(s: np.ndarray) -> np.ndarray:
    """Eigenvalues (..., 3) whose absolute values sum to 1 at most: by sorting, as J. Duchi et al., ICML 2008."""
    size = np.sort(np.abs(s), axis=-1)[..., ::-1]
    shift = (np.cumsum(size, axis=-1) - 1) / np.arange(1, 4)
    count = (size > shift).sum(axis=-1, keepdims=True)
    t = np.maximum(np.take_along_axis(shift, np.maximum(count - 1, 0), axis=-1), 0)
    return np.sign(s) * np.maximum(np.abs(s) - t, 0)


def schatten_infinity(q: np.ndarray) -> np.ndarray:
    return naive.on_spectrum(q, on_simplex)


def schatten_two(q: np.ndarray) -> np.ndarray:
    return q / np.maximum(np.sqrt((naive.WEIGHTS * q**2).sum(axis=0)), 1)


def nuclear(q: np.ndarray) -> np.ndarray:
    return naive.on_spectrum(q, lambda s: np.clip(s, -1, 1))


def box(q: np.ndarray) -> np.ndarray:
    return np.clip(q, -1, 1)


def absolute(q: np.ndarray) -> np.ndarray:
    return np.abs(q).sum(axis=0)


def clip_each(z, y, x):
    z, y, x = (z if z < 1.0 else 1.0), (y if y < 1.0 else 1.0), (x if x < 1.0 else 1.0)
    return (z if z > -1.0 else -1.0), (y if y > -1.0 else -1.0), (x if x > -1.0 else -1.0)


def sum_of_each(z, y, x):
    return abs(z) + abs(y) + abs(x)


def frobenius(q: np.ndarray) -> np.ndarray:
    return np.sqrt((naive.WEIGHTS * q**2).sum(axis=0))


CASES = {
    "schatten-inf": (SchattenInfinity(), 2, schatten_infinity, 1.0),
    "schatten-2": (SchattenTwo(), 2, schatten_two, 1.0),
    "hessian, long voxels": (Hessian(LONG), 2, nuclear, LONG),
    "schatten-inf, long voxels": (SchattenInfinity(LONG), 2, schatten_infinity, LONG),
    "differences": (Pointwise("gradient", clip_each, sum_of_each, LONG), 1, box, LONG),
    "whole arrays": (WholeArrays("gradient", box, absolute, LONG), 1, box, LONG),
    "whole arrays, hessian": (WholeArrays("hessian", schatten_two, frobenius), 2, schatten_two, 1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_minimum_is_that_of_an_independent_method(name):
    regularizer, order, project, voxel_size = CASES[name]
    sums = sums_of(least=0.01)
    mine = fastmpr.solve(sums, LAM, regularizer, tol=1e-5, max_iter=3000, workers=2)
    other = primal_dual(sums, LAM, order, project, voxel_size)
    first, second = (fastmpr.objective(x, sums, LAM, regularizer) for x in (mine.x, other))
    assert mine.success
    assert abs(first - second) < 1e-3 * regularizer.value(mine.x)
    assert first < fastmpr.objective(1.01 * mine.x, sums, LAM, regularizer)
    q = scaled(order, voxel_size)[0](mine.x)
    p = scaled(order, voxel_size)[1](project(1e9 * q))  # <p, x> is the value, for what is linear along rays
    assert regularizer.value(mine.x) == pytest.approx((p * mine.x).sum(), rel=1e-6)


def test_a_function_for_one_voxel_and_one_for_whole_arrays_come_to_the_same():
    sums, options = sums_of(), {"mu": (3.0, 8.0), "tol": 1e-9, "max_iter": 30}
    one, other = (CASES[name][0] for name in ("differences", "whole arrays"))
    fast = fastmpr.solve(sums, LAM, one, workers=2, **options)
    for workers in (1, 3):
        slow = fastmpr.solve(sums, LAM, other, workers=workers, **options)
        np.testing.assert_allclose(fast.x, slow.x, atol=1e-10)
        for a, b in zip(fast.history, slow.history, strict=True):
            assert a == pytest.approx(b, rel=1e-6)
    free = [fastmpr.solve(sums, LAM, prior, workers=2, positivity=False, **options).x for prior in (one, other)]
    np.testing.assert_allclose(*free, atol=1e-10)


@pytest.mark.slow
def test_a_function_in_single_precision_keeps_to_it_and_a_large_grid_packs_its_state(monkeypatch):
    sums = sums_of((12, 14, 16))
    small = fastmpr.solve(sums, LAM, SchattenInfinity()).x
    monkeypatch.setattr(iteration, "_LARGE", 1)
    packed = fastmpr.solve(sums_of((12, 14, 16), np.float32), LAM, SchattenInfinity())
    assert packed.x.dtype == np.float32
    least, most = (fastmpr.objective(x.astype(float), sums, LAM, SchattenInfinity()) for x in (small, packed.x))
    assert most == pytest.approx(least, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "regularizer, order, project", [("hessian", 2, nuclear), ("tv", 1, None), ("tikhonov", 1, None)]
)
def test_without_positivity_the_minimum_is_over_all_volumes(regularizer, order, project):
    sums = sums_of(least=0.01, offset=-3000.0)
    result = fastmpr.solve(sums, LAM, regularizer, positivity=False, tol=1e-6, max_iter=4000)
    assert result.success and result.x.min() < -0.1
    value = fastmpr.objective(result.x, sums, LAM, regularizer)
    bounded = fastmpr.solve(sums, LAM, regularizer, tol=1e-6, max_iter=4000)
    assert bounded.x.min() >= 0
    assert value < fastmpr.objective(bounded.x, sums, LAM, regularizer)
    if project is not None:
        other = primal_dual(sums, LAM, order, project, positivity=False)
        assert value == pytest.approx(fastmpr.objective(other, sums, LAM, regularizer), rel=1e-4)
    shifted = NormalEquations(sums.gram, sums.rhs + 0, sums.energy, 4, SHAPE, 1.0)
    shifted.rhs[0, 0, 0] += 50 * sums.gram[0, 0, 0] * result.x.size  # a constant costs no prior: the volume follows it
    moved = fastmpr.solve(shifted, LAM, regularizer, positivity=False, tol=1e-6, max_iter=4000).x
    np.testing.assert_allclose(moved - 50, result.x, atol=0.02)


def test_without_positivity_more_is_not_asked_of_memory_and_a_start_may_be_negative():
    sums = sums_of(offset=-3000.0)
    best = fastmpr.solve(sums, LAM, positivity=False, tol=1e-5, max_iter=3000)
    again = fastmpr.solve(sums, LAM, x0=best.x, positivity=False, tol=1e-4)
    assert again.nit <= best.nit
    np.testing.assert_allclose(again.x, best.x, atol=5e-2)
    assert all(entry["mu2"] == 0 for entry in best.history)


def test_reconstruct_without_positivity_keeps_what_is_dark():
    truth = fastmpr.phantom.centriole((16, 16, 16)) - 0.1
    psf, poses = fastmpr.psf.gaussian((7, 5, 5), sigma=(1.5, 1, 1)), fastmpr.Poses.random(8, rng=0)
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    data = fastmpr.Dataset(views, psf, poses, background="none", seen="all")
    free, bounded = (fastmpr.reconstruct(data, lam=100.0, positivity=flag, check=False).x for flag in (False, True))
    assert free.min() < -0.05 and bounded.min() >= 0
    cropped = data.replace(seen=[np.indices(views[0].shape)[0] > 3] * len(views))
    assert fastmpr.reconstruct(cropped, lam=100.0, positivity=False).x.min() < -0.05


def test_long_voxels_weigh_differences_as_lengths_do():
    """A volume that is constant along z on fewer, longer voxels has the value of the finer one, per voxel."""
    x = np.random.default_rng(0).standard_normal((1, 8, 9)).repeat(4, axis=0)
    for known in (Hessian, TotalVariation, Tikhonov, SchattenTwo):
        assert known((5, 1, 1)).value(x) == pytest.approx(known().value(x), rel=1e-12)
        tall = np.ascontiguousarray(np.swapaxes(x, 0, 2))  # constant along x, and rough along z
        assert known((2, 2, 1)).value(tall) < known().value(tall)
    assert Hessian(2.0).value(x) == Hessian(1.0).value(x)


def test_rules_of_ours_are_what_is_asked_of_others():
    check_rule(schatten.shorten, schatten.frobenius, 6, spectral=False)
    check_rule(schatten.shrink_to_simplex, schatten.largest, 3, spectral=True)


@pytest.mark.parametrize("name", ["schatten-2", "schatten-inf"])
def test_a_regulariser_travels_with_its_rule(name):
    """To a process of a pool, which must not take it for somebody else's and compile it."""
    there = pickle.loads(pickle.dumps(as_regularizer(name)))
    assert there._rules(np.float32) == as_regularizer(name)._rules(np.float32)
    x = np.random.default_rng(0).standard_normal((5, 6, 7))
    assert there.value(x) == as_regularizer(name).value(x)


def half(a, b, c):
    return 0.5 * a, 0.5 * b, 0.5 * c


def largest_first(a, b, c):
    return a / max(abs(a), 1.0), b, c


def squares(a, b, c):
    return a * a + b * b + c * c


BAD = {
    "a projection that is none": ((half, sum_of_each), "project: found something else than the projection"),
    "a value that is not homogeneous": ((clip_each, squares), "value: found that of 3 v not to be 3 times"),
    "eigenvalues that are not alike": ((largest_first, lambda a, b, c: abs(a)), "project: found"),
    "too few parameters": (
        (lambda a, b: (a, b), sum_of_each),
        "project: found a function of 2 parameters, need 3 or 6",
    ),
    "others than project's": (
        (clip_each, lambda a, b, c, d, e, f: 0.0),
        "value: found a function of 6 parameters, need 3",
    ),
    "too few numbers": ((lambda a, b, c: (a, b), sum_of_each), "project: found 2 numbers from 3"),
    "a function that fails": ((lambda a, b, c: a.nothing, sum_of_each), "project: found AttributeError"),
}


@pytest.mark.parametrize("name", BAD)
def test_functions_that_are_no_regulariser_are_refused(name):
    functions, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        Pointwise("hessian", *functions)


def test_other_bad_input_is_told_in_a_line():
    with pytest.raises(TypeError, match="project: found 3, need a Python function"):
        Pointwise("gradient", 3, sum_of_each)
    with pytest.raises(ValueError, match="operator: found 'laplacian', need 'gradient' or 'hessian'"):
        Pointwise("laplacian", clip_each, sum_of_each)
    with pytest.raises(ValueError, match="found something else than the projection"):
        WholeArrays("hessian", box, absolute)  # the mixed entries count twice
    with pytest.raises(ValueError, match="voxel_size"):
        Hessian((1, 0, 1))
    with pytest.raises(TypeError, match="positivity"):
        fastmpr.solve(sums_of(), LAM, positivity="no")
    with pytest.raises(ValueError, match=r"regularizer: found 'schatten-1', need one of 'hessian'.*'schatten-inf'"):
        fastmpr.solve(sums_of(), LAM, "schatten-1")


def test_constants_take_the_precision_of_the_volume_and_integers_are_warned_of():
    rule = compiled(clip_each, np.float32)
    if hasattr(rule, "nopython_signatures"):  # not where JIT is disabled
        assert str(rule.nopython_signatures[0].return_type) == "UniTuple(float32 x 3)"

        def doubled(z, y, x):
            return 2 * z, y, x

        with pytest.warns(FastmprWarning, match=r"doubled: found .*float64.* need constants with a point"):
            compiled(doubled, np.float32)

        def unknown(z, y, x):
            return math.factorial(z), y, x

        with pytest.raises(TypeError, match="unknown: found what Numba cannot compile"):
            compiled(unknown, np.float64)
