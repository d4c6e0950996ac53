"""The solver: against its slow twin, against another method, and what it promises its callers."""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import Callable, Hashable
from dataclasses import replace

import naive
import numpy as np
import pyfftw
import pytest
import scipy.fft
import scipy.ndimage

import fastmpr
from fastmpr import NormalEquations
from fastmpr.runtime.fft import half_shape
from fastmpr.solver.penalties import EVERY, Schedule
from fastmpr.solver.quadratic import Quadratic

SHAPES = [(12, 12, 12), (9, 9, 9), (10, 12, 11), (7, 16, 10), (1, 14, 13), (12, 1, 10), (9, 8, 1), (2, 3, 2)]


def sums_of(shape, dtype: type = np.float64, scale: float = 1.0, **options) -> NormalEquations:
    """A problem's sums, with intensities scaled."""
    gram, rhs, energy = naive.problem(shape, **options)
    return NormalEquations(gram.astype(dtype), scale * rhs, scale**2 * energy, 4, shape, 1.0)


SMALL = sums_of((10, 12, 11))


def twin(sums: NormalEquations, lam, mu, relaxation, iterations, x0=None) -> np.ndarray:
    """The volume that the naive twin has after some iterations."""
    return np.maximum(naive.admm(sums.gram, sums.rhs, sums.shape, lam, *mu, relaxation, iterations, x0)[0], 0)


# ----------------------------------------------------------------------------------------------------
# The right answer
# ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("relaxation", [1.0, 1.8])
@pytest.mark.parametrize("shape", SHAPES)
def test_iterates_are_those_of_the_naive_twin(shape, relaxation, workers):
    exact = sums_of(shape)
    iterations, lam, mu = 25, 30.0, (3.0, 8.0)
    expected = twin(exact, lam, mu, relaxation, iterations)
    options = {"mu": mu, "relaxation": relaxation, "max_iter": iterations, "tol": 0, "workers": workers}
    result = fastmpr.solve(exact, lam, **options)
    assert result.x.dtype == np.float64
    np.testing.assert_allclose(result.x, expected, rtol=0, atol=1e-10 * expected.max())
    single = fastmpr.solve(sums_of(shape, np.float32), lam, **options)
    assert single.x.dtype == np.float32
    np.testing.assert_allclose(single.x, expected, rtol=0, atol=1e-4 * expected.max())


@pytest.mark.parametrize("relaxation", [1.0, 1.8])
def test_x0_starts_where_the_naive_twin_starts(relaxation):
    x0 = np.random.default_rng(1).random(SMALL.shape)
    options = {"mu": (3.0, 8.0), "relaxation": relaxation, "tol": 0}
    for iterations in (1, 7):
        expected = twin(SMALL, 30, (3.0, 8.0), relaxation, iterations, Quadratic.of(SMALL).best_scale(x0) * x0)
        result = fastmpr.solve(SMALL, 30, x0=x0, max_iter=iterations, **options)
        np.testing.assert_allclose(result.x, expected, rtol=0, atol=1e-10 * expected.max())


def test_adapted_penalties_take_the_naive_twin_to_the_same_place(monkeypatch):
    taken = []
    for name in ("first", "fitted"):
        monkeypatch.setattr(Schedule, name, recording(getattr(Schedule, name), taken))
    result = fastmpr.solve(SMALL, 30, tol=0, max_iter=40)
    first, *later = taken
    changes = {EVERY * (k + 1): pair for k, pair in enumerate(later)}
    assert len(set(taken)) == len(taken) == 40 // EVERY + 1
    x = naive.admm(SMALL.gram, SMALL.rhs, SMALL.shape, 30, *first, 1.8, 40, changes=changes)[0]
    np.testing.assert_allclose(result.x, np.maximum(x, 0), rtol=0, atol=1e-10 * x.max())


def recording(function, results):
    def recorded(*args):
        results.append(function(*args))
        return results[-1]

    return recorded


@pytest.mark.parametrize("lam", [3, 30, 300])
def test_float32_reaches_the_objective_of_float64(lam):
    double, single = (sums_of((16, 18, 17), dtype) for dtype in (np.float64, np.float32))
    values = [
        fastmpr.objective(fastmpr.solve(sums, lam, tol=0, max_iter=300).x.astype(np.float64), double, lam)
        for sums in (double, single)
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-5)


def test_objective_is_the_naive_one():
    for shape in SHAPES:
        sums, x = sums_of(shape), np.random.default_rng(2).random(shape)
        expected = naive.objective(x, sums.gram, sums.rhs, sums.energy, 30.0)
        assert fastmpr.objective(x, sums, 30.0) == pytest.approx(expected, rel=1e-12)


@functools.cache
def certified(lam: float):
    """A problem, our converged solution, and the primal and dual ones of an independent method."""
    sums = sums_of((8, 10, 9), least=0.1)
    ours = fastmpr.solve(sums, lam, tol=0, max_iter=1000).x
    return sums, ours, *naive.primal_dual(sums.gram, sums.rhs, sums.shape, lam, 500)


@pytest.mark.parametrize("lam", [20.0, 50.0])
def test_objective_is_that_of_an_independent_method_and_meets_a_lower_bound(lam):
    sums, x, other, p = certified(lam)
    value = fastmpr.objective(x, sums, lam)
    bound = naive.lower_bound(other, p, sums.gram, sums.rhs, sums.energy, lam)
    assert value == pytest.approx(fastmpr.objective(other, sums, lam), rel=1e-4)
    assert bound <= value <= fastmpr.objective(other, sums, lam)
    assert value - bound < 1e-4 * bound


@pytest.mark.parametrize("lam", [20.0, 50.0])
def test_solution_meets_the_optimality_conditions(lam):
    """grad f(x) + D^T p = q with p a subgradient of the norm at Dx, q >= 0 and q x = 0; p from the other method."""
    sums, x, _, p = certified(lam)
    slope, dx = naive.data_slope(x, sums.gram, sums.rhs, lam), naive.hessian(x)
    q = slope + naive.hessian_adjoint(p)
    assert x.min() >= 0
    assert np.abs(np.linalg.eigvalsh(naive.matrices(p))).max() <= 1 + 1e-9
    assert (naive.WEIGHTS * dx * p).sum() == pytest.approx(naive.nuclear_norm(dx), rel=1e-4)
    assert q.min() > -1e-3 * np.abs(slope).max()
    assert (np.abs(q) * x).max() < 1e-3 * np.abs(slope).max() * x.max()


def test_no_nearby_volume_does_better():
    lam, rng = 30.0, np.random.default_rng(3)
    x = fastmpr.solve(SMALL, lam, tol=0, max_iter=1000).x
    least = fastmpr.objective(x, SMALL, lam)
    for size in 10.0 ** np.arange(-4, 1):
        for smooth in (0, 1, 3):
            step = scipy.ndimage.gaussian_filter(rng.standard_normal(x.shape), smooth, mode="wrap")
            assert fastmpr.objective(np.maximum(x + size * step, 0), SMALL, lam) > least * (1 - 1e-7)


# ----------------------------------------------------------------------------------------------------
# What it costs: FFTs, counted as they are carried out
# ----------------------------------------------------------------------------------------------------


class Tally:
    """What all FFTs together carried out, however they were cut into slabs and blocks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        tally = self
        self.clear()

        class CountingPlan(pyfftw.FFTW):
            def execute(self):
                sides = (self.input_shape, self.input_dtype), (self.output_shape, self.output_dtype)
                tally.add(next(shape for shape, dtype in sides if np.dtype(dtype).kind == "c"), self.axes)
                super().execute()

        monkeypatch.setattr(pyfftw, "FFTW", CountingPlan)
        functions = {getattr(library, name) for library in (scipy.fft, np.fft) for name in FUNCTIONS}
        modules = [scipy.fft, np.fft, *(module for name, module in sys.modules.items() if name.startswith("fastmpr"))]
        for module in modules:
            for name, value in list(vars(module).items()):
                if callable(value) and isinstance(value, Hashable) and value in functions:
                    monkeypatch.setattr(module, name, self._counted(value))

    def clear(self) -> None:
        self.whole, self.elements = 0, [0, 0, 0]

    def add(self, shape, axes) -> None:
        """Note a transform along some axes; ``shape`` is that of its complex side."""
        self.whole += len(axes) == 3
        for axis in axes:
            self.elements[axis] += math.prod(shape)

    def _counted(self, function: Callable) -> Callable:
        def counted(x, *args, **options):
            assert "axes" not in options
            result = function(x, *args, **options)
            self.add(next(side.shape for side in (x, result) if np.iscomplexobj(side)), (0, 1, 2))
            return result

        return counted

    def ffts(self, grid) -> list[float]:
        """In full real FFTs of a grid, along each axis: a larger transform counts as more than one."""
        return [elements / math.prod(half_shape(grid)) for elements in self.elements]


FUNCTIONS = ["rfftn", "irfftn", "fftn", "ifftn"]


@pytest.fixture
def tally(monkeypatch):
    return Tally(monkeypatch)


def test_the_tally_counts_a_transform_as_one(tally):
    scipy.fft.irfftn(np.fft.rfftn(np.ones((6, 5, 4))), (6, 5, 4))
    assert tally.ffts((6, 5, 4)) == [2, 2, 2]
    forward = fastmpr.runtime.fft.ViewFFT((6, 5, 4), np.float32)
    forward.forward_planes()
    forward.blocks[0][0].forward()
    assert tally.ffts((6, 5, 4)) == [3, 3, 3]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("options", [{"tol": 0}, {"tol": 1e-3}, {"mu": 3.0, "relaxation": 1.0}])
def test_exactly_two_ffts_per_iteration(tally, workers, options):
    sums, counts = sums_of((9, 12, 10), np.float32), []
    tally.clear()
    result = fastmpr.solve(
        sums, 30, max_iter=40, workers=workers, callback=lambda _: counts.append(tally.ffts(sums.shape)), **options
    )
    assert tally.ffts(sums.shape) == [2 * result.nit] * 3
    assert counts == [[2 * k] * 3 for k in range(1, result.nit + 1)]


@pytest.mark.parametrize("lam", ["auto", 30.0])
@pytest.mark.parametrize("poses", [1, 2, 12])
def test_reconstruct_stays_within_the_papers_count(tally, poses, lam):
    """2 (N + n + 1) for N poses and n iterations, those spent on the choice of lam included, and one for each start."""
    truth = fastmpr.phantom.centriole((20, 20, 20))
    h = fastmpr.psf.gaussian((21, 13, 13), sigma=(3, 1, 1))
    pose = fastmpr.Poses.random(poses, rng=0)
    views = fastmpr.simulate(truth, h, pose, noise_sigma=0.02, rng=0)
    grid, seen = fastmpr.accumulate(views, h, pose).shape, []
    tally.clear()
    fastmpr.reconstruct(views, h, pose, lam=lam, max_iter=30, callback=lambda result: seen.append(result.nit))
    most = 2 * (poses + len(seen) + 1) + seen.count(1)  # a start is scaled to the data
    assert tally.whole + 2 * len(seen) <= most
    assert max(tally.ffts(grid)) <= most


# ----------------------------------------------------------------------------------------------------
# What it promises
# ----------------------------------------------------------------------------------------------------


def test_callback_sees_every_iteration_and_can_stop():
    seen = []

    def stop_at_five(result):
        seen.append(result)
        if result.nit == 5:
            raise StopIteration

    result = fastmpr.solve(SMALL, 30, tol=0, callback=stop_at_five, workers=2)
    assert [r.nit for r in seen] == [1, 2, 3, 4, 5]
    assert result.nit == 5
    assert not result.success
    assert "callback" in result.message
    np.testing.assert_array_equal(result.x, fastmpr.solve(SMALL, 30, tol=0, max_iter=5, workers=2).x)
    np.testing.assert_array_equal(seen[-1].x, result.x)
    assert not np.array_equal(seen[0].x, seen[1].x)


def test_an_error_in_the_callback_reaches_the_caller():
    def fail(result):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        fastmpr.solve(SMALL, 30, callback=fail, workers=2)


def test_timeout_stops_with_what_there_is():
    result = fastmpr.solve(SMALL, 30, tol=0, max_iter=10**6, timeout=0.05)
    assert 1 <= result.nit < 10**6
    assert not result.success
    assert "timeout" in result.message


def test_tol_0_runs_all_iterations_and_says_so():
    result = fastmpr.solve(SMALL, 30, tol=0, max_iter=23)
    assert (result.nit, result.success) == (23, False)
    assert "max_iter = 23" in result.message


def test_success_is_honest():
    tight = fastmpr.solve(SMALL, 30, tol=1e-4, max_iter=3000)
    assert tight.success is True
    assert "converged" in tight.message
    assert max(tight.history[-1]["primal"], tight.history[-1]["dual"]) < 1e-4
    assert tight.history[-1]["nit"] == tight.nit < 3000
    assert [entry["nit"] for entry in tight.history] == sorted({entry["nit"] for entry in tight.history})
    short = fastmpr.solve(SMALL, 30, tol=1e-4, max_iter=12)
    assert (short.nit, short.success) == (12, False)
    assert "max_iter" in short.message
    best = fastmpr.solve(SMALL, 30, tol=0, max_iter=3000).x
    above = fastmpr.objective(tight.x, SMALL, 30) - fastmpr.objective(best, SMALL, 30)
    assert above < 1e-4 * naive.nuclear_norm(naive.hessian(best))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_history_holds_the_residuals_of_the_optimality_conditions(dtype):
    """Recomputed from the naive twin's variables at fixed penalties."""
    sums, iterations, mu = sums_of((10, 12, 11), dtype), 30, (3.0, 8.0)
    history = fastmpr.solve(sums, 30, mu=mu, tol=1e-9, max_iter=iterations).history
    primal, dual = naive.residuals(*naive.problem((10, 12, 11))[:2], (10, 12, 11), 30.0, *mu, 1.8, iterations)
    assert history[-1]["nit"] == iterations
    assert history[-1]["primal"] == pytest.approx(primal, rel=1e-3)
    assert history[-1]["dual"] == pytest.approx(dual, rel=1e-3)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("deterministic", [False, True])
def test_same_bits_from_run_to_run(workers, deterministic):
    sums = sums_of((12, 14, 13), np.float32)
    options = {"tol": 1e-4, "workers": workers, "deterministic": deterministic}
    first, second = (fastmpr.solve(sums, 30, **options) for _ in range(2))
    np.testing.assert_array_equal(first.x, second.x)
    assert (first.nit, first.history) == (second.nit, second.history)


def test_thread_count_hardly_changes_the_result():
    sums = sums_of((24, 20, 22), np.float32)
    alone = fastmpr.solve(sums, 30, tol=0, max_iter=60, workers=1).x
    for workers in (2, 3, 7):
        together = fastmpr.solve(sums, 30, tol=0, max_iter=60, workers=workers).x
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5 * alone.max())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaled_intensities_scale_the_result_and_nothing_else(scale, dtype):
    plain = fastmpr.solve(sums_of((10, 12, 11), dtype), 30, tol=0, max_iter=60)
    scaled = fastmpr.solve(sums_of((10, 12, 11), dtype, scale), 30 / scale, tol=0, max_iter=60)
    atol = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(scaled.x / scale, plain.x, rtol=0, atol=atol * plain.x.max())
    by_tol = [fastmpr.solve(sums_of((10, 12, 11), dtype, s), 30 / s, tol=1e-3) for s in (1.0, scale)]
    assert by_tol[0].nit == by_tol[1].nit


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_result_is_nowhere_negative(noise):
    sums = sums_of((10, 12, 11), np.float32, noise=noise)
    for iterations in (1, 2, 10, 100):
        x = fastmpr.solve(sums, 30, tol=0, max_iter=iterations).x
        assert x.min() >= 0
        assert x.max() > 0


def test_nothing_to_see_gives_nothing():
    sums = sums_of((8, 9, 10), np.float32)
    dark = replace(sums, rhs=np.zeros_like(sums.rhs), energy=0.0)
    result = fastmpr.solve(dark, 30)
    np.testing.assert_array_equal(result.x, 0)


def test_callers_arrays_are_untouched():
    sums = sums_of((10, 12, 11), np.float32)
    x0 = np.random.default_rng(4).random(sums.shape).astype(np.float32)
    before = [array.copy() for array in (sums.gram, sums.rhs, x0)]
    result = fastmpr.solve(sums, 30, x0=x0, max_iter=20)
    fastmpr.objective(x0, sums, 30)
    for array, copy in zip((sums.gram, sums.rhs, x0), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    result.x[:] = 7
    np.testing.assert_array_equal(sums.gram, before[0])


def test_concurrent_solves_give_what_each_gives_alone():
    problems = [sums_of((12, 14, 13), np.float32, seed=seed) for seed in range(4)]
    alone = [fastmpr.solve(sums, 30, tol=0, max_iter=40, workers=2).x for sums in problems]
    together: list[list] = [[] for _ in problems]

    def run(k: int) -> None:
        for _ in range(3):
            together[k].append(fastmpr.solve(problems[k], 30, tol=0, max_iter=40, workers=2).x)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, results in zip(alone, together, strict=True):
        assert len(results) == 3
        for x in results:
            np.testing.assert_array_equal(x, expected)


def test_a_thin_or_tiny_grid_takes_any_number_of_workers():
    for shape in [(1, 14, 13), (2, 3, 2), (1, 1, 1)]:
        sums = sums_of(shape)
        expected = fastmpr.solve(sums, 30, tol=0, max_iter=10, workers=1).x
        np.testing.assert_allclose(fastmpr.solve(sums, 30, tol=0, max_iter=10, workers=8).x, expected, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e30])
@pytest.mark.parametrize("kind", ["noise", "ones", "negative", "solution"])
def test_a_start_of_any_scale_costs_no_more_than_none(kind, scale):
    """Averages are sums of views, other programs normalise to [0, 1]: the data say what scale is right."""
    sums = sums_of((9, 12, 10), np.float32)
    none = fastmpr.solve(sums, 30, max_iter=1000)
    start = {
        "noise": np.random.default_rng(0).standard_normal(sums.shape),
        "ones": np.ones(sums.shape),
        "negative": -np.ones(sums.shape),
        "solution": none.x,
    }[kind]
    found = fastmpr.solve(sums, 30, x0=(scale * start).astype(np.float32), max_iter=1000)
    assert found.success
    assert found.nit <= 1.2 * none.nit
    value, expected = (fastmpr.objective(x, sums, 30) for x in (found.x, none.x))
    assert value == pytest.approx(expected, rel=1e-3)


def test_the_scale_that_fits_best():
    sums, x = sums_of((9, 12, 10), np.float64), np.random.default_rng(1).random((9, 12, 10))
    scale = Quadratic.of(sums).best_scale(x)
    assert sums.misfit(scale * x) < min(sums.misfit(0.99 * scale * x), sums.misfit(1.01 * scale * x))
    assert Quadratic.of(sums).best_scale(-x) == 0
    assert Quadratic.of(sums).best_scale(0 * x) == 0


def test_a_result_is_shown_in_a_line_without_its_arrays():
    result = fastmpr.solve(SMALL, 30, max_iter=4)
    start = "<Result: 10 x 12 x 11, voxels of 1 x 1 x 1, lam 30, 4 iterations: stopped at max_iter = 4 iterations"
    assert repr(result).startswith(start)
    assert "\n" not in str(result)
    assert ", fit 1.03, 4 it" in repr(replace(result, fit=1.0345))
