"""A large grid's state is kept in 16 bits and its arrays are shared: what a solve returns stays what it is."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import fastmpr
from fastmpr.engine import fft
from fastmpr.solver import iteration
from fastmpr.solver.iteration import state_dtype
from fastmpr.solver.regularizers import as_regularizer
from fastmpr.sums.normal_equations import NormalEquations


def sums_of(shape: tuple[int, int, int], dtype: type = np.float32) -> NormalEquations:
    """The sums of a noisy, blurred ball."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in shape), indexing="ij")
    ball = ((z**2 + y**2 + x**2) < (min(shape) / 3) ** 2) + 0.1 * rng.standard_normal(shape)
    fz, fy, fx = (np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2]))
    gram = np.exp(-20 * ((2 * fz[:, None, None]) ** 2 + fy[:, None] ** 2 + fx**2))
    rhs = np.sqrt(gram) * np.fft.rfftn(ball)
    return NormalEquations(
        gram.astype(dtype), rhs.astype(np.result_type(dtype, np.complex64)), float((ball**2).sum()), 1, shape, 1.0
    )


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(fft, "_CACHED_BYTES", 0)
    monkeypatch.setattr(iteration, "_LARGE", 1)
    monkeypatch.setattr(iteration, "_PART_BYTES", 1000)  # residuals measured in many parts


@pytest.mark.parametrize("shape", [(12, 14, 16), (11, 9, 15)])
@pytest.mark.parametrize("regularizer", ["hessian", "tv"])
def test_large_grids_come_to_the_same(request, shape, regularizer):
    sums = sums_of(shape)
    small = fastmpr.solve(sums, 30, regularizer, workers=1)
    request.getfixturevalue("all_are_large")
    for workers in (1, 3):
        large = fastmpr.solve(sums, 30, regularizer, workers=workers)
        assert large.success
        assert large.nit == small.nit
        least = fastmpr.objective(small.x, sums, 30, regularizer)
        assert fastmpr.objective(large.x, sums, 30, regularizer) == pytest.approx(least, rel=1e-4)
        for ours, theirs in zip(large.history, small.history, strict=True):
            for name in ("primal", "dual", "mu", "mu2"):
                assert ours[name] == pytest.approx(theirs[name], rel=0.05, abs=3e-4)


def test_a_tolerance_that_16_bits_cannot_keep_has_a_state_that_can(all_are_large):
    result = fastmpr.solve(sums_of((12, 14, 16)), 30, tol=5e-5, max_iter=2000)
    assert result.success


def test_which_states_are_packed(all_are_large):
    sums, hessian = sums_of((6, 6, 6)), as_regularizer("hessian")
    assert state_dtype(sums, hessian, precise=False) == np.int16
    assert state_dtype(sums, hessian, precise=True) == np.float32
    assert state_dtype(sums, as_regularizer("tv"), precise=False) == np.float32
    assert state_dtype(sums_of((6, 6, 6), np.float64), hessian, precise=False) == np.float64


def test_the_last_volume_is_whole_and_keeps_little_more_than_itself():
    sums, seen = sums_of((4, 6, 120)), []
    result = fastmpr.solve(sums, 30, max_iter=3, tol=0, callback=lambda now: seen.append(now.x))
    assert result.x.flags.c_contiguous
    assert result.x.shape == sums.shape
    np.testing.assert_array_equal(result.x, seen[-1])
    tracemalloc.start()
    kept = fastmpr.solve(sums, 30, max_iter=3, tol=0).x
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.02 * kept.nbytes + 5000


def test_a_solve_of_a_large_grid_takes_32_bytes_a_voxel_with_its_sums(monkeypatch):
    shape = (48, 128, 128)
    monkeypatch.setattr(fft, "_CACHED_BYTES", 0)
    monkeypatch.setattr(iteration, "_LARGE", 1)
    sums = sums_of(shape)
    fastmpr.solve(sums, 30, max_iter=1)
    tracemalloc.start()
    fastmpr.solve(sums, 30, max_iter=10, workers=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak + sums.gram.nbytes + sums.rhs.nbytes < 32 * np.prod(shape)
