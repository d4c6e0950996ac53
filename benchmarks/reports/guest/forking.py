"""Forks of a process that is at work: their children must work too."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np

import fastmpr

from .load import WORKERS, Line, digest, small_data, solution, use_threads

SHAPE = (20, 33, 31)
PATIENCE = 60  # seconds


def forks(share: float) -> Iterator[Line]:
    """Fork beside a thread that never rests."""
    use_threads()
    warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forks beside threads
    count, rng, expected = round(300 * share) or 1, random.Random(0), in_a_child()
    stop, errors = threading.Event(), []
    work_once()
    busy = threading.Thread(target=work, args=(stop, errors))
    busy.start()
    endings: Counter[str] = Counter()
    for _ in range(count):
        time.sleep(rng.uniform(0, 0.02))
        endings[child_ending(expected)] += 1
    stop.set()
    busy.join()
    for ending, what in (("hangs", f"children that hang, of {count}"), ("fails", "children that fail")):
        yield Line(f"forks beside a busy thread: {what}", "0", str(endings[ending]), endings[ending] == 0)
    yield Line("forks beside a busy thread: errors in the thread", "0", str(len(errors)), not errors)


def work(stop: threading.Event, errors: list[str]) -> None:
    """Work until told to stop; note what goes wrong."""
    while not stop.is_set():
        try:
            work_once()
        except Exception:
            errors.append(traceback.format_exc())
            traceback.print_exc()


def work_once() -> None:
    """Call everything that starts threads."""
    data = small_data()
    solution(SHAPE)
    fastmpr.accumulate(data, workers=WORKERS)
    fastmpr.reconstruct(data, max_iter=10, workers=WORKERS)
    fastmpr.average(data, workers=WORKERS)
    fastmpr.simulate(np.ones((12, 12, 12), np.float32), data.psfs[0], data.poses, workers=WORKERS)


def in_a_child() -> str:
    """Return a short name of what a child computes."""
    sums = fastmpr.accumulate(small_data(), workers=WORKERS)
    return digest(solution(SHAPE), sums.gram, sums.rhs)


def child_ending(expected: str) -> str:
    """Fork, and say how the child ends."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(in_a_child() != expected)
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
