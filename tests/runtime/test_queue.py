"""Calls that want more threads than there are cores take turns, and nobody waits for ever."""

from __future__ import annotations

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastmpr
from fastmpr.runtime import queue as turns
from fastmpr.runtime.queue import Turn, taking_turns
from fastmpr.solver import running

PATIENCE = 60  # seconds


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(turns, "_CROWD", 1)
    monkeypatch.setattr(turns, "available_workers", lambda: 4)
    monkeypatch.setattr(turns, "_queue", turns._Queue())
    yield
    gc.collect()
    assert not turns._queue.holders
    assert not turns._queue.waiting


def never() -> bool:
    return False


class Call(threading.Thread):
    """A call in a thread of its own, that keeps its turn until it is told to end."""

    def __init__(self, size: int, unwanted=never):
        super().__init__()
        self.turn, self.runs, self.may_end = Turn(size, unwanted), threading.Event(), threading.Event()
        self.start()

    def run(self):
        self.turn.begin()
        self.runs.set()
        self.may_end.wait(PATIENCE)
        self.turn.end()

    def finish(self):
        self.may_end.set()
        self.join()


@pytest.fixture
def patient(monkeypatch):
    """Who waits, waits for as long as the test lasts."""
    monkeypatch.setattr(turns, "_PATIENCE", PATIENCE)


def test_as_many_run_as_there_are_cores_for(patient):
    first, second, third = Call(2), Call(2), Call(2)
    assert first.runs.wait(PATIENCE)
    assert second.runs.wait(PATIENCE)
    assert not third.runs.wait(0.05)
    first.finish()
    assert third.runs.wait(PATIENCE)
    second.finish()
    third.finish()


def test_one_that_wants_more_than_there_are_runs_alone(patient):
    large = Call(9)
    assert large.runs.wait(PATIENCE)
    small = Call(1)
    assert not small.runs.wait(0.05)
    large.finish()
    assert small.runs.wait(PATIENCE)
    small.finish()


def test_first_come_first_served(patient):
    """Or a large one would wait as long as small ones come."""
    running, order = Call(3), []
    assert running.runs.wait(PATIENCE)

    def note(size):
        with taking_turns(size, never):
            order.append(size)

    waiting = []
    for count, size in enumerate((4, 1), 1):
        waiting.append(threading.Thread(target=note, args=(size,)))
        waiting[-1].start()
        while len(turns._queue.waiting) < count:
            time.sleep(1e-3)
    running.finish()
    for thread in waiting:
        thread.join()
    assert order == [4, 1]


def test_a_turn_is_offered_when_it_has_lasted_long_enough(patient, monkeypatch):
    with taking_turns(4, never) as turn:
        other = Call(4)
        while not turns._queue.waiting:
            time.sleep(1e-3)
        monkeypatch.setattr(turns, "_TURN", PATIENCE)
        turn.offer()
        assert not other.runs.is_set()
        monkeypatch.setattr(turns, "_TURN", 0.0)
        other.may_end.set()
        turn.offer()
        assert other.runs.is_set()  # it had its turn, and then this call had another
        assert turn in turns._queue.holders
    other.join()


def test_who_is_not_worth_a_turn_does_not_wait(patient):
    large = Call(4)
    assert large.runs.wait(PATIENCE)
    with taking_turns(0, never):
        assert not turns._queue.waiting
    large.finish()


def test_who_waits_in_vain_goes_on_without(monkeypatch):
    monkeypatch.setattr(turns, "_PATIENCE", 0.02)
    stuck = Call(4)
    assert stuck.runs.wait(PATIENCE)
    with taking_turns(4, never) as turn:
        assert turn not in turns._queue.holders
    stuck.finish()


def test_who_is_no_longer_wanted_does_not_wait(patient):
    running, cancelled = Call(4), threading.Event()
    assert running.runs.wait(PATIENCE)
    waiting = Call(4, cancelled.is_set)
    assert not waiting.runs.wait(0.02)
    cancelled.set()
    assert waiting.runs.wait(PATIENCE)
    waiting.finish()
    running.finish()


@pytest.mark.parametrize("where", ["waiting", "running"])
def test_an_interrupt_gives_the_cores_back(patient, where):
    def interrupted():
        raise KeyboardInterrupt

    running = Call(4) if where == "waiting" else None
    if running:
        assert running.runs.wait(PATIENCE)
    with pytest.raises(KeyboardInterrupt), taking_turns(4, interrupted):
        interrupted()
    if running:
        running.finish()
    with taking_turns(4, never) as turn:
        assert turn in turns._queue.holders


def test_a_turn_that_nobody_ended_is_forgotten(patient):
    turn = Turn(4, never)
    turn.begin()
    del turn
    gc.collect()
    with taking_turns(4, never) as turn:
        assert turn in turns._queue.holders


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_calls(patient):
    running = Call(4)
    assert running.runs.wait(PATIENCE)
    with turns._queue.lock:  # as another thread may hold it
        child = os.fork()
        if child == 0:
            with taking_turns(4, never) as turn:
                os._exit(0 if turn in turns._queue.holders else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    running.finish()


def sums(n: int) -> fastmpr.NormalEquations:
    spectrum = np.fft.rfftn(fastmpr.phantom.centriole((n, n, n))).astype(np.complex64)
    return fastmpr.NormalEquations(np.ones(spectrum.shape, np.float32), spectrum, 1.0, 1, (n, n, n), 1.0)


class TestSolves:
    @pytest.fixture(autouse=True)
    def each_takes_turns(self, monkeypatch, patient):
        monkeypatch.setattr(running, "_CACHED", 1)
        monkeypatch.setattr(turns, "_TURN", 1e-4)

    def test_many_at_once_give_what_they_give_alone(self):
        problem = sums(14)
        expected = fastmpr.solve(problem, 30, tol=0, max_iter=30, workers=3).x
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(lambda _: fastmpr.solve(problem, 30, tol=0, max_iter=30, workers=3).x, range(12)))
        assert all(np.array_equal(x, expected) for x in results)

    def test_a_callback_may_solve_and_wait_for_others_that_do(self):
        problem, inner = sums(10), []

        def callback(result):
            inner.append(fastmpr.solve(problem, 30, max_iter=1, workers=4))
            with ThreadPoolExecutor(1) as pool:
                inner.append(pool.submit(fastmpr.solve, problem, 30, max_iter=1, workers=4).result(PATIENCE))

        result = fastmpr.solve(problem, 30, max_iter=3, tol=0, workers=4, callback=callback)
        assert result.nit == 3
        assert len(inner) == 6

    def test_a_solve_that_waits_can_be_cancelled(self):
        running, cancel = Call(4), threading.Event()
        assert running.runs.wait(PATIENCE)
        threading.Timer(0.05, cancel.set).start()
        result = fastmpr.solve(sums(10), 30, workers=4, cancel=cancel)
        assert result.message == "cancelled after 1 iterations"
        running.finish()
