"""How many threads, whose, and that they leave the process as they found it."""

from __future__ import annotations

import _thread
import contextlib
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import naive
import numba
import numpy as np
import pyfftw
import pytest

import fastmpr
from fastmpr import NormalEquations
from fastmpr.runtime import threads as module
from fastmpr.runtime.threads import Team, as_workers

SHAPE = (12, 14, 13)


def sums() -> NormalEquations:
    gram, rhs, energy = naive.problem(SHAPE)
    return NormalEquations(gram.astype(np.float32), rhs, energy, 4, SHAPE, 1.0)


def solution() -> np.ndarray:
    return fastmpr.solve(sums(), 30, tol=0, max_iter=10, workers=2).x


def test_workers_of_a_call(monkeypatch):
    monkeypatch.setattr(module, "available_workers", lambda: 8)
    assert as_workers(None, 10**9) == 8
    assert as_workers(3, 10**9) == 3
    assert as_workers(np.int64(100), 10**9) == 100


def test_little_work_takes_few_threads(monkeypatch):
    monkeypatch.setattr(module, "_SHARE", 1000)
    monkeypatch.setattr(module, "available_workers", lambda: 8)
    assert [as_workers(None, voxels) for voxels in (1, 1999, 2000, 7999, 8000, 10**9)] == [1, 1, 2, 7, 8, 8]
    assert [as_workers(3, voxels) for voxels in (1, 1999, 2000, 10**9)] == [1, 1, 2, 3]
    assert as_workers(10**9, 5000) == 5


class TestTeam:
    @pytest.mark.parametrize("size", [1, 2, 5, 16])
    def test_every_member_runs_once_at_the_same_time_in_a_thread_of_its_own(self, size):
        team, seen = Team(size), []

        def work(member: int) -> None:
            team.barrier(member)  # passes only if all are there at once
            seen.append((member, threading.get_ident()))

        team.run(work)
        assert sorted(member for member, _ in seen) == list(range(size))
        assert len({thread for _, thread in seen}) == size
        assert dict(seen)[0] == threading.get_ident()

    @pytest.mark.parametrize("size", [2, 3, 16])
    def test_barrier_orders_phases_however_uneven(self, size):
        """Each member adds what its neighbour wrote in the phase before: any overtaking shows."""
        team, values, phases = Team(size), np.zeros((2, size), np.int64), 300

        def work(member: int) -> None:
            for phase in range(phases):
                before, now = values[phase % 2], values[1 - phase % 2]
                if (phase + member) % 97 == 0:
                    sum(range(20_000))
                now[member] = before[member - 1] + 1
                team.barrier(member)

        team.run(work)
        np.testing.assert_array_equal(values[phases % 2], phases)

    @pytest.mark.parametrize("failing", [0, 1, 2])
    def test_an_error_in_any_member_is_raised_and_nobody_waits_for_ever(self, failing):
        team, passed = Team(3), []

        def work(member: int) -> None:
            team.barrier(member)
            if member == failing:
                raise KeyError("mine")
            team.barrier(member)
            passed.append(member)

        for _ in range(2):  # and the team still works afterwards
            with pytest.raises(KeyError, match="mine"):
                team.run(work)
        assert passed == []
        team.run(team.barrier)

    def test_an_interrupt_in_a_member_is_raised(self):
        def work(member: int) -> None:
            if member == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Team(2).run(work)

    @pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()], ids=repr)
    def test_a_thread_that_cannot_start_leaves_none_that_waits(self, monkeypatch, error):
        start, started = _thread.start_new_thread, []

        def third_fails(function, args):
            if len(started) == 2:
                raise error
            started.append(start(function, args))
            return started[-1]

        monkeypatch.setattr(_thread, "start_new_thread", third_fails)
        team = Team(4)
        with pytest.raises(type(error)):
            team.run(team.barrier)
        assert len(started) == 2
        monkeypatch.undo()
        team.run(team.barrier)  # and the team still works

    @pytest.mark.parametrize("size", [2, 5])
    def test_threads_that_ask_who_they_are_are_forgotten(self, size):
        """Logging does ask."""
        before, names = threading.active_count(), set()
        Team(size).run(lambda member: names.add(threading.current_thread().name))
        assert len(names) == size
        assert threading.active_count() == before

    @pytest.mark.parametrize("failing", [0, 1])
    def test_a_failed_call_keeps_no_buffer(self, failing):
        class Buffer:
            pass

        def call() -> weakref.ref:
            buffer = Buffer()

            def work(member: int) -> None:
                held = buffer
                if member == failing:
                    raise ValueError(str(held))

            with contextlib.suppress(ValueError):
                Team(2).run(work)
            return weakref.ref(buffer)

        gc.collect()
        gc.disable()
        try:
            assert call()() is None
        finally:
            gc.enable()

    def test_no_thread_is_left(self):
        before = threading.active_count()
        Team(5).run(lambda member: None)
        solution()
        assert threading.active_count() == before

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    def test_shares_are_all_there_is_once_each_and_even(self, size):
        for count in (0, 1, 5, 7, 100):
            shares = [Team(size).share(count, member) for member in range(size)]
            assert [i for first, last in shares for i in range(first, last)] == list(range(count))
            sizes = [last - first for first, last in shares]
            assert max(sizes) - min(sizes) <= 1


def test_the_hosts_settings_stay_as_they_are():
    settings = pyfftw.config.NUM_THREADS, pyfftw.config.PLANNER_EFFORT, numba.get_num_threads(), dict(os.environ)
    layer_is_loaded = "numba.np.ufunc.omppool" in sys.modules
    solution()
    truth = fastmpr.phantom.centriole(12)
    poses, psf = fastmpr.Poses.random(2, rng=0), fastmpr.psf.gaussian(5, sigma=1.0)
    fastmpr.reconstruct(fastmpr.simulate(truth, psf, poses), psf, poses, workers=2, max_iter=3)
    now = pyfftw.config.NUM_THREADS, pyfftw.config.PLANNER_EFFORT, numba.get_num_threads(), dict(os.environ)
    assert now == settings
    assert ("numba.np.ufunc.omppool" in sys.modules) == layer_is_loaded


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_solve_after_its_parent_has():
    expected = solution()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        sender.send_bytes(solution().tobytes())

    process = context.Process(target=child)
    process.start()
    try:
        assert receiver.poll(60), "the child hangs"
        np.testing.assert_array_equal(np.frombuffer(receiver.recv_bytes(), expected.dtype), expected.ravel())
        process.join(60)
        assert process.exitcode == 0
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        receiver.close()
        sender.close()


def test_more_workers_than_cores_give_the_same():
    expected = fastmpr.solve(sums(), 30, tol=0, max_iter=10, workers=1).x
    many = fastmpr.solve(sums(), 30, tol=0, max_iter=10, workers=6 * (os.cpu_count() or 1)).x
    np.testing.assert_allclose(many, expected, rtol=0, atol=1e-5 * expected.max())


def test_works_in_a_process_bound_to_one_cpu():
    """Spinning threads must let one another run."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs sched_setaffinity")
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import test_threads, fastmpr\n"
        "assert fastmpr.runtime.limits.available_workers() == 1\n"
        "print(float(test_threads.solution().sum()))"
    )
    here = Path(__file__).parent
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, [here, here.parent / "helpers", Path(fastmpr.__file__).parents[1]]))
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300, env=environment
    )
    assert float(done.stdout) == pytest.approx(float(solution().sum()), rel=1e-6)
