"""Inside other programs: among their threads, under their signals, beside their forks. `reports.guest` does more."""

from __future__ import annotations

import gc
import importlib.util
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from guests import SHAPES, bits, solution, views

import fastmpr

METHODS = [*multiprocessing.get_all_start_methods(), "loky"]
PATIENCE = 60  # seconds
HERE = Path(__file__).parent / "helpers"  # where other processes find `guests`

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


# ----------------------------------------------------------------------------------------------------
# Among threads
# ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_many_solves_at_once_give_the_same_bits(layer):
    if importlib.util.find_spec(f"numba.np.ufunc.{'omppool' if layer == 'omp' else layer}") is None:
        pytest.skip("this Numba has no such pool")
    path = os.pathsep.join([str(HERE), str(Path(fastmpr.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", "import guests; print(guests.count_differing())"],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"NUMBA_THREADING_LAYER": layer, "PYTHONPATH": path},
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


# ----------------------------------------------------------------------------------------------------
# Under signals
# ----------------------------------------------------------------------------------------------------


def interrupt(call: Callable[[], object], delay: float) -> None:
    """Call, and interrupt it after so many seconds if it still lasts."""
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        call()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
@pytest.mark.filterwarnings("ignore:.*unclosed file", "ignore:.*FileIO")  # one that was opened as the interrupt came
@pytest.mark.parametrize("name", ["solve", "accumulate"])
def test_interrupts_leave_no_thread_and_nothing_locked(name):
    """At random moments of a short call: a good part of them while threads start, or plans are made."""
    solve, accumulate = (lambda: solution(SHAPES[0])), (lambda: fastmpr.accumulate(views(), workers=2).rhs)
    call = {"solve": solve, "accumulate": accumulate}[name]
    expected, start = call(), time.perf_counter()
    call()
    length, rng = time.perf_counter() - start, random.Random(0)
    before, running = threading.active_count(), len(sys._current_frames())
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.disable()  # Hypothesis has a hook in every collection, in which an interrupt is lost
    try:
        for _ in range(200):
            interrupt(call, max(1e-6, rng.uniform(0, length)))
            assert threading.active_count() == before
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, handler)
    np.testing.assert_array_equal(call(), expected)
    time.sleep(0.1)
    assert len(sys._current_frames()) == running  # those that `threading` does not know of


# ----------------------------------------------------------------------------------------------------
# Beside forks, and in other processes
# ----------------------------------------------------------------------------------------------------


def child_ending(is_well: Callable[[], bool]) -> str:
    """Fork, and say how a child ends that looks whether all is well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(not is_well())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "works" if status == 0 else "fails"
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


@pytest.mark.slow
@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_beside_a_busy_thread_work():
    expected, stop, seen, rng = bits(), threading.Event(), set(), random.Random(0)

    def work() -> None:
        while not stop.is_set():
            seen.add(bits())

    busy = threading.Thread(target=work)
    busy.start()
    try:
        for _ in range(20):
            time.sleep(rng.uniform(0, 0.02))
            assert child_ending(lambda: bits() == expected) == "works"
    finally:
        stop.set()
        busy.join()
    assert seen == {expected}


@needs_fork
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs a compiler")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_beside_a_thread_that_compiles_works():
    """The child compiles too, and must not wait for a lock that nobody is there to release."""
    expected, stop = solution(SHAPES[0]), threading.Event()

    def compile_on() -> None:
        while not stop.is_set():
            numba.njit(lambda x: x + 1)(1.0)

    def compiles_and_solves() -> bool:
        return numba.njit(lambda x: x + 2)(1.0) == 3 and np.array_equal(solution(SHAPES[0]), expected)

    busy = threading.Thread(target=compile_on)
    busy.start()
    try:
        for _ in range(5):
            assert child_ending(compiles_and_solves) == "works"
    finally:
        stop.set()
        busy.join()


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_may_read_what_another_thread_was_reading_at_the_fork():
    inside, go_on = threading.Event(), threading.Event()

    class Slow:
        """Not safe for threads, so they take turns."""

        def __len__(self):
            return 6

        def __getitem__(self, i):
            inside.set()
            go_on.wait(PATIENCE)
            return np.ones((8, 8, 8), np.float32) * (i + 1)

    data = fastmpr.Dataset(Slow())
    reader = threading.Thread(target=data.read, args=(0,))
    reader.start()
    inside.wait(PATIENCE)

    def reads() -> bool:
        go_on.set()
        return data.read(1).max() == 2

    try:
        assert child_ending(reads) == "works"
    finally:
        go_on.set()
        reader.join()


def bits_elsewhere(method: str) -> str:
    if method == "loky":
        joblib = pytest.importorskip("joblib")
        return joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(bits)() for _ in range(1))[0]
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        return pool.submit(bits).result(timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_other_processes_give_the_same_bits(method):
    assert bits_elsewhere(method) == bits()
