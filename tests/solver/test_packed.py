"""A large grid's state is kept in 16 bits and its arrays are shared: what a solve returns stays what it is."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import fastmpr
from fastmpr.kernels.packing import unpacked
from fastmpr.regularizers import as_regularizer
from fastmpr.runtime import fft
from fastmpr.runtime.threads import Team
from fastmpr.solver import iteration, running
from fastmpr.solver.control import Control
from fastmpr.solver.iteration import Iteration, state_dtype
from fastmpr.solver.options import Run, Until
from fastmpr.solver.quadratic import Quadratic
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


@pytest.mark.parametrize("mu", [1e4, (1e5, 1.0)])
def test_given_penalties_have_a_state_that_holds_them(all_are_large, monkeypatch, mu):
    """In 16 bits, what is larger than 2^27 would become that."""
    sums, kept = sums_of((12, 14, 16)), []
    monkeypatch.setattr(running, "bytes_needed", lambda *args: kept.append(state_dtype(*args[:4])) or 1)
    given = fastmpr.solve(sums, 30, mu=mu, max_iter=5, tol=0)
    fastmpr.solve(sums, 30, max_iter=1, tol=0)
    assert kept == [np.float32, np.int16]
    assert np.isfinite(given.x).all()


@pytest.mark.parametrize("lam", [1e-6, 30, 1e6, 1e10])
@pytest.mark.parametrize("scale", [1, 1e-6, 1e6])
def test_a_state_in_16_bits_is_never_near_its_largest(all_are_large, lam, scale):
    """Fitted penalties keep the rms of mu D x below 20, and no voxel of N is above sqrt(N) times the rms."""
    sums, largest = sums_of((12, 14, 16)), []
    sums = NormalEquations(sums.gram, sums.rhs * np.float32(scale), sums.energy * scale**2, 1, sums.shape, 1.0)
    iteration = Iteration(Quadratic.of(sums), lam / scale, as_regularizer("hessian"), None, 1.8, Team(1))
    control = Control(iteration, Until(60, 1e-3), Run(), None)
    for nit in range(1, 61):
        check = control.checks(nit)
        iteration.x_step(0, True)
        if check:
            iteration.measure(0)
        control.decide(nit, check)
        iteration.u_step(0)
        largest.append(unpacked((iteration.state & 0x7FFF).max()))
    assert iteration.state.dtype == np.int16
    assert max(largest) < 2.0**20


@pytest.mark.parametrize("regularizer", ["hessian", "tv"])
@pytest.mark.parametrize("shape", [(6, 8, 10), (7, 6, 9)])
def test_products_are_those_of_the_volume(shape, regularizer):
    sums, (_, ny, nx) = sums_of(shape), shape
    iteration = Iteration(Quadratic.of(sums), 30, as_regularizer(regularizer), None, 1.8, Team(1))
    iteration.x_step(0, True)
    x = iteration.fft.image[:, :ny, :nx].astype(float)
    symbol = sum(np.meshgrid(*(2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(n)) for n in shape), indexing="ij"))
    bent = np.fft.ifftn(symbol ** (iteration.regularizer.order / 2) * np.fft.fftn(x)).real
    b, passed = (np.fft.irfftn(spectrum, shape, (0, 1, 2)) for spectrum in (sums.rhs, sums.gram * np.fft.rfftn(x)))
    expected = (bent**2).mean(), (b * x).sum(), (x * passed).mean()
    np.testing.assert_allclose(iteration.products.sum(axis=0), expected, rtol=1e-4)


def test_which_states_are_packed(all_are_large):
    sums, hessian = sums_of((6, 6, 6)), as_regularizer("hessian")
    assert state_dtype(sums.shape, sums.gram.dtype, hessian, precise=False) == np.int16
    assert state_dtype(sums.shape, sums.gram.dtype, hessian, precise=True) == np.float32
    assert state_dtype(sums.shape, sums.gram.dtype, as_regularizer("tv"), precise=False) == np.float32
    assert state_dtype((6, 6, 6), np.dtype(np.float64), hessian, precise=False) == np.float64


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


def test_a_solve_of_a_large_grid_takes_32_bytes_a_voxel_with_its_sums():
    shape = (64, 128, 128)  # the smallest: a member's buffers weigh most
    sums = sums_of(shape)
    fastmpr.solve(sums, 30, max_iter=1)
    tracemalloc.start()
    fastmpr.solve(sums, 30, max_iter=10, workers=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak + sums.gram.nbytes + sums.rhs.nbytes < 32 * np.prod(shape)
