"""Memory is estimated before it is taken, and that of the sums does not grow with the threads."""

from __future__ import annotations

import time
import tracemalloc

import data_sets
import numpy as np
import pyfftw
import pytest

import fastmpr
from fastmpr.runtime import limits as _limits
from fastmpr.runtime.threads import Crew, Team
from fastmpr.sums import memory
from fastmpr.sums.aligner import Aligner
from fastmpr.sums.frame import padded_shape

GIB = 1 << 30
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))


@pytest.fixture
def two_gib(monkeypatch):
    monkeypatch.setattr(_limits, "memory_limit", lambda: (2.0 * GIB, "its control group's limit"))


def refused(call, start: str) -> str:
    """The one line of a MemoryError that comes before anything large is made."""
    begin = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(MemoryError, match=f"^{start}: found ") as caught:
            call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 26
    assert time.perf_counter() - begin < 30  # a volume of this size would take minutes
    message = str(caught.value)
    assert "\n" not in message
    assert " GiB of " in message
    assert "its control group's limit" in message
    return message


def calls():
    poses = fastmpr.Poses.random(2, rng=0)
    particles = np.ones((2, 8, 8, 8), np.float32)
    long = np.ones((2, 32, 32, 32), np.float32)
    huge = np.broadcast_to(np.float32(1), (2, 3000, 3000, 3000))
    yield "shape", lambda: fastmpr.reconstruct(particles, PSF, poses, shape=4000)
    yield "shape", lambda: fastmpr.accumulate(particles, PSF, poses, shape=(4000, 4000, 4000))
    yield "shape", lambda: fastmpr.average(particles, poses=poses, shape=4000)
    yield "shape", lambda: fastmpr.deconvolve_average(particles, PSF, poses, shape=4000)
    yield "shape", lambda: fastmpr.simulate(particles[0], PSF, poses, shape=4000)
    yield "shape", lambda: fastmpr.reconstruct(particles, PSF, poses, shape=10**9)
    yield "voxel_size", lambda: fastmpr.accumulate(long, PSF, poses, voxel_size=(300, 0.1, 0.1))
    yield "particles", lambda: fastmpr.accumulate(huge, PSF, poses)


@pytest.mark.parametrize("start, call", list(calls()))
@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")  # of a PSF that is nowhere dark
def test_what_cannot_fit_is_refused_at_once_in_the_name_of_what_asks_for_it(two_gib, start, call):
    refused(call, start)


def test_a_psf_whose_table_cannot_fit_is_refused(two_gib):
    data = fastmpr.Dataset(np.ones((2, 8, 8, 8), np.float32), PSF, fastmpr.Poses.random(2, rng=0))
    vars(data)["psfs"] = (np.broadcast_to(np.float32(1), (600, 600, 600)),)
    refused(lambda: fastmpr.accumulate(data), "psf")


def test_the_error_says_what_would_fit(two_gib):
    particles, poses = np.ones((2, 8, 8, 8), np.float32), fastmpr.Poses.random(2, rng=0)
    message = refused(lambda: fastmpr.accumulate(particles, PSF, poses, shape=4000), "shape")
    *_, sides = message.partition("at most (")
    fits = int(sides.split(",")[0])
    assert 300 < fits < 600
    with pytest.raises(MemoryError):
        fastmpr.accumulate(particles, PSF, poses, shape=int(1.2 * fits))


def test_a_solve_that_cannot_fit_is_refused(monkeypatch):
    sums = fastmpr.accumulate(data_sets.DATA, shape=64)
    monkeypatch.setattr(_limits, "memory_limit", lambda: (0.0, "its control group's limit"))
    monkeypatch.setattr(_limits, "_UNCHECKED", 1)
    with pytest.raises(MemoryError, match=r"^sums: found \(\d+, \d+, \d+\), which takes "):
        fastmpr.solve(sums, 30)


def solve_peak(sums: fastmpr.NormalEquations, regularizer: str) -> int:
    fastmpr.solve(sums, 30, regularizer, max_iter=1)
    tracemalloc.start()
    fastmpr.solve(sums, 30, regularizer, max_iter=12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("regularizer", ["hessian", "tv"])
def test_the_estimate_of_a_solve_is_what_it_takes(monkeypatch, regularizer):
    sums, estimates = fastmpr.accumulate(data_sets.DATA, shape=70, workers=1), []
    monkeypatch.setattr("fastmpr.solver.running.check_memory", lambda name, found, need: estimates.append(need))
    peak = solve_peak(sums, regularizer)
    assert 0.9 < estimates[-1] / peak < 1.15


def sums_peak(workers: int, data: fastmpr.Dataset) -> int:
    tracemalloc.start()
    fastmpr.accumulate(data, workers=workers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.fixture(scope="module")
def large() -> fastmpr.Dataset:
    """Sixteen views of 96^3, one after another made of nothing."""
    particle = np.random.default_rng(0).random((96, 96, 96), np.float32)

    class Views:
        thread_safe = True

        def __len__(self):
            return 16

        def __getitem__(self, i):
            return particle

    psf = fastmpr.psf.gaussian((15, 15, 15), sigma=(3, 1.5, 1.5))
    return fastmpr.Dataset(Views(), psf, fastmpr.Poses.random(16, rng=0))


def test_memory_of_the_sums_does_not_grow_with_the_threads(monkeypatch, large):
    estimates = []
    check = memory.check_fits
    monkeypatch.setattr("fastmpr.sums.accumulator.check_fits", lambda *args: (estimates.append(args[-1]), check(*args)))
    two, sixteen = sums_peak(2, large), sums_peak(16, large)
    assert sixteen < 1.1 * two
    assert 0.7 < estimates[0] / two < 1.2


def test_tracemalloc_sees_fftws_arrays():
    """Or the tests above would measure nothing."""
    tracemalloc.start()
    array = pyfftw.zeros_aligned((64, 64, 64), np.float32)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held >= array.nbytes


@pytest.mark.parametrize(
    "threads, each, tasks, expected",
    [(1, 1, 9, 1), (2, GIB, 9, 2), (16, GIB, 9, 2), (16, 1, 9, 9), (16, 1 << 23, 99, 4), (16, 1, 1, 1), (3, 1, 99, 3)],
)
def test_how_many_are_made_side_by_side(threads, each, tasks, expected):
    assert memory.crew_count(threads, each, tasks) == expected


class TestCrews:
    """Threads that share the views' planes sum what one thread sums."""

    @pytest.fixture(autouse=True)
    def sharing(self, monkeypatch):
        """However small the sums, no more than two stand side by side."""
        monkeypatch.setattr(memory, "_HOARD", 1)

    @pytest.mark.parametrize("workers", [2, 3, 5, 8])
    @pytest.mark.parametrize(
        "changes",
        [{}, {"symmetry": "C3"}, {"frame": "model"}, {"frame": "model", "symmetry": "C3"}],
        ids=str,
    )
    def test_same_sums(self, workers, changes):
        data = data_sets.DATA.replace(weights=np.linspace(0.5, 1, len(data_sets.DATA)), **changes)
        alone, shared = (fastmpr.accumulate(data, workers=n) for n in (1, workers))
        assert data_sets.close(shared, alone)
        assert shared.energy == pytest.approx(alone.energy, rel=1e-6)
        assert shared.n_poses == alone.n_poses

    def test_more_threads_than_planes(self):
        thin = fastmpr.Dataset(data_sets.VIEWS[:, :2], PSF, data_sets.POSES)
        assert data_sets.close(fastmpr.accumulate(thin, workers=30), fastmpr.accumulate(thin, workers=1))

    def test_one_view_is_shared_by_all(self):
        assert data_sets.close(
            fastmpr.accumulate(data_sets.DATA[:1], workers=4), fastmpr.accumulate(data_sets.DATA[:1], workers=1)
        )

    def test_same_bits_from_run_to_run(self):
        first = fastmpr.accumulate(data_sets.DATA, workers=5)
        assert all(data_sets.same(fastmpr.accumulate(data_sets.DATA, workers=5), first) for _ in range(5))

    def test_each_particle_is_read_once(self):
        source = data_sets.Counting()
        fastmpr.accumulate(data_sets.DATA.replace(particles=source), workers=6)
        assert sorted(source.reads) == list(range(len(data_sets.DATA)))

    @pytest.mark.parametrize("workers", [3, 8])
    def test_an_error_in_a_reader_is_raised_and_nobody_waits(self, workers):
        class Bad(data_sets.Counting):
            def __getitem__(self, i):
                if i == 4:
                    raise OSError("gone")
                return super().__getitem__(i)

        with pytest.raises(OSError, match=r"particles\[4\]: cannot be read \(gone\)"):
            fastmpr.accumulate(data_sets.DATA.replace(particles=Bad()), workers=workers)

    @pytest.mark.parametrize("size", [2, 3, 7])
    def test_an_aligner_gives_each_member_its_planes(self, size):
        data = data_sets.DATA
        model = data.model_shape()
        grid = padded_shape(data, model)
        expected, whole = np.empty(grid, np.float32), Aligner(data, grid, model)
        energies = [square for _, square, *_ in whole.align(3, expected)]
        team, out, parts = Team(size), np.full(grid, np.nan, np.float32), [0.0] * size
        (crew,) = team.crews(1)
        aligner = Aligner(data, grid, model, crew)

        def align(member):
            parts[member] = sum(square for _, square, *_ in aligner.align(3, out, member))

        team.run(align)
        np.testing.assert_array_equal(out, expected)
        assert sum(parts) == pytest.approx(sum(energies), rel=1e-6)


def test_crews_share_a_team_as_equally_as_can_be():
    assert [crew.size for crew in Team(8).crews(3)] == [2, 3, 3]
    assert [crew.size for crew in Team(4).crews(4)] == [1, 1, 1, 1]
    assert Crew(3).share(10, 1) == (3, 6)
