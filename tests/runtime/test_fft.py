"""The FFT pair of an iteration is NumPy's, whatever the sizes and the team, and is never planned for long."""

from __future__ import annotations

import threading

import numpy as np
import pyfftw
import pytest
import scipy.fft

import fastmpr
from fastmpr.runtime import fft as module
from fastmpr.runtime.fft import SlabFFT, ViewFFT, fast_shape, half_shape
from fastmpr.runtime.threads import Team

SHAPES = [(4, 6, 8), (5, 7, 9), (16, 16, 16), (12, 70, 36), (9, 4, 33)]


def spectrum_of(fft: SlabFFT | ViewFFT, shape: tuple[int, int, int]) -> np.ndarray:
    """Gather the columns of all blocks, as they stand between the two transforms."""
    out = np.empty(half_shape(shape), np.result_type(fft.image, np.complex64))
    for block in sum(fft.blocks, []):
        block.forward()
        out[:, block.first : block.last] = block.columns
    return out


@pytest.mark.parametrize("cached", [0, 1 << 20], ids=["copied", "in place"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_there_and_back(monkeypatch, shape, size, dtype, cached):
    monkeypatch.setattr(module, "_CACHED_BYTES", cached)
    nz, ny, nx = shape
    team, volume = Team(size), np.random.default_rng(0).standard_normal(shape).astype(dtype)
    fft = SlabFFT(shape, dtype, team)
    fft.feedback[:] = np.nan  # what is beside the volume must not matter
    fft.feedback[:, :, :nx] = volume
    kept = fft.feedback.copy()
    team.run(fft.forward_planes)
    np.testing.assert_array_equal(fft.feedback, kept)
    expected, close = np.fft.rfftn(volume), 20 * np.finfo(dtype).eps * volume.size**0.5
    np.testing.assert_allclose(spectrum_of(fft, shape), expected, rtol=0, atol=close * 5)

    def back(member):
        for block in fft.blocks[member]:
            block.forward()
            block.inverse()
        team.barrier(member)
        fft.inverse_planes(member)

    team.run(back)
    np.testing.assert_allclose(fft.image[:, :ny, :nx] / volume.size, volume, rtol=0, atol=close)


@pytest.mark.parametrize("cached", [0, 1 << 20], ids=["copied", "in place"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_blocks_hold_every_row_once_however_small(monkeypatch, rows, cached):
    shape = (8, 13, 10)
    monkeypatch.setattr(module, "_CACHED_BYTES", cached)
    monkeypatch.setattr(module, "_BLOCK_BYTES", rows * 8 * half_shape(shape)[2] * shape[0])
    fft = SlabFFT(shape, np.float32, Team(2))
    held = [row for blocks in fft.blocks for block in blocks for row in range(block.first, block.last)]
    assert held == list(range(13))
    assert max(block.columns.shape[1] for blocks in fft.blocks for block in blocks) == min(rows, 7)
    volume = np.random.default_rng(0).standard_normal(shape)
    fft.feedback[:, :, :10] = volume
    for member in range(2):
        fft.forward_planes(member)
    np.testing.assert_allclose(spectrum_of(fft, shape), np.fft.rfftn(volume), atol=1e-3)


def test_image_and_spectrum_are_one_memory_and_the_rest_is_apart():
    fft = SlabFFT((6, 5, 4), np.float32, Team(1))
    fft.feedback[:, :, :4] = np.random.default_rng(0).standard_normal((6, 5, 4))
    kept = fft.feedback.copy()
    assert not fft.image.any()
    fft.forward_planes(0)
    assert fft.image.any()
    spectrum_of(fft, (6, 5, 4))
    fft.inverse_planes(0)
    np.testing.assert_array_equal(fft.feedback, kept)


@pytest.mark.parametrize("cached", [0, 1 << 20], ids=["copied", "in place"])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_by_a_crew(monkeypatch, shape, size, cached):
    monkeypatch.setattr(module, "_CACHED_BYTES", cached)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 3000)  # several parts
    volume, team = np.random.default_rng(0).standard_normal(shape), Team(size)
    (crew,) = team.crews(1)
    fft = ViewFFT(shape, np.float64, crew)
    for scale in (1, 2):  # an image after another
        fft.image[:] = np.nan  # what is beside the volume must not matter
        fft.image[:, :, : shape[2]] = scale * volume
        team.run(fft.forward_planes)
        expected = scale * np.fft.rfftn(volume)
        np.testing.assert_allclose(spectrum_of(fft, shape), expected, rtol=0, atol=1e-12 * volume.size)


@pytest.mark.parametrize("nx, expected", [(1, 1), (2, 2), (3, 4), (70, 70), (75, 78), (81, 84), (101, 104), (225, 234)])
def test_rows_are_even_and_of_lengths_that_fftw_is_fast_at(nx, expected):
    assert fast_shape((nx, 75, nx)) == (scipy.fft.next_fast_len(nx), 75, expected)


@pytest.mark.parametrize("make", [lambda: SlabFFT((6, 5, 4), np.float32, Team(2)), lambda: ViewFFT((6, 5, 4), "f4")])
def test_plans_are_destroyed_with_the_lock(monkeypatch, make):
    """A fork waits for it, and so comes never while another thread is inside pyFFTW."""

    class Watched:
        def __init__(self, *args, **options):
            made.append(self)

        def execute(self):
            pass

        def __del__(self):
            free = []
            thread = threading.Thread(target=lambda: free.append(module._PLANNING.acquire(blocking=False)))
            thread.start()
            thread.join()
            destroyed.extend(free)

    made, destroyed = [], []
    monkeypatch.setattr(pyfftw, "FFTW", Watched)
    fft, count = make(), len(made)
    made.clear()
    fft.free()
    assert destroyed == [False] * count
    assert count > 0


@pytest.mark.parametrize("shape", [(12, 14, 13), (100, 104, 105)])
def test_no_plan_is_measured(monkeypatch, shape):
    """Measuring takes up to a second, in which no other thread may plan: also where a timeout would allow it."""
    efforts, plan = set(), pyfftw.FFTW

    def noted(*args, flags, **options):
        efforts.update(flags)
        return plan(*args, flags=flags, **options)

    monkeypatch.setattr(pyfftw, "FFTW", noted)
    gram = np.ones(half_shape(shape), np.float32)
    sums = fastmpr.NormalEquations(gram, gram.astype(np.complex64), 1.0, 1, shape, 1.0)
    fastmpr.solve(sums, 1.0, max_iter=1, workers=2)
    assert efforts == {"FFTW_ESTIMATE"}
