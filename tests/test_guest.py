"""Inside other programs: among their threads, under their signals, beside their forks. `benchmarks.guest` does more."""

from __future__ import annotations

import functools
import hashlib
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
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

import fastmpr
from fastmpr.engine import threads

SHAPES = ((14, 16, 18), (20, 33, 31), (24, 24, 24))
METHODS = [*multiprocessing.get_all_start_methods(), "loky"]
PATIENCE = 60  # seconds
HERE = Path(__file__).parent

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@functools.cache
def views() -> fastmpr.Dataset:
    poses, psf = fastmpr.Poses.random(6, max_translation=1.0, rng=0), fastmpr.psf.gaussian(7, sigma=1.2)
    return fastmpr.Dataset(fastmpr.simulate(fastmpr.phantom.centriole(14), psf, poses, rng=0), psf, poses)


@functools.cache
def sums(shape: tuple[int, int, int]) -> fastmpr.NormalEquations:
    spectrum = np.fft.rfftn(fastmpr.phantom.centriole(shape)).astype(np.complex64)
    return fastmpr.NormalEquations(np.ones(spectrum.shape, np.float32), spectrum, 1.0, 1, shape, 1.0)


def solution(shape: tuple[int, int, int]) -> np.ndarray:
    return fastmpr.solve(sums(shape), 30, tol=0, max_iter=10, workers=2, deterministic=True).x


def bits() -> str:
    """A short name of what all calls return that start threads."""
    threads._SHARE = 1  # here and in other processes
    data = views()
    found = fastmpr.accumulate(data, workers=2)
    arrays = [
        found.gram,
        found.rhs,
        solution(SHAPES[0]),
        fastmpr.reconstruct(data, max_iter=5, workers=2).x,
        fastmpr.average(data, workers=2),
        fastmpr.simulate(fastmpr.phantom.centriole(12), data.psfs[0], data.poses, workers=2),
    ]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


# ----------------------------------------------------------------------------------------------------
# Among threads
# ----------------------------------------------------------------------------------------------------


@numba.njit(parallel=True)
def host_loop(values):
    for i in numba.prange(values.size):
        values[i] += 1


def count_differing(solvers: int = 8, solves: int = 6) -> int:
    """How many solves in many Python threads differ from the same one after another, in a host that uses Numba's pool."""
    threads._SHARE = 1
    host_loop(np.zeros(100))
    expected = {shape: solution(shape) for shape in SHAPES}

    def solve_some(seed: int) -> int:
        shapes = random.Random(seed).choices(SHAPES, k=solves)
        return sum(not np.array_equal(solution(shape), expected[shape]) for shape in shapes)

    with ThreadPoolExecutor(solvers) as pool:
        return sum(pool.map(solve_some, range(solvers)))


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_many_solves_at_once_give_the_same_bits(layer):
    if importlib.util.find_spec(f"numba.np.ufunc.{'omppool' if layer == 'omp' else layer}") is None:
        pytest.skip("this Numba has no such pool")
    path = os.pathsep.join([str(HERE), str(Path(fastmpr.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", "import test_guest; print(test_guest.count_differing())"],
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
    try:
        for _ in range(200):
            interrupt(call, max(1e-6, rng.uniform(0, length)))
            assert threading.active_count() == before
    finally:
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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_other_processes_give_the_same_bits(method):
    assert bits_elsewhere(method) == bits()
