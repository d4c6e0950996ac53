"""Calls that are stopped at random moments: how soon they return, and what they leave behind."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import inspect
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import fastmpr

from ...suite.common import LAM, MU, seconds
from .load import WORKERS, Line, small_data, small_sums, use_threads

Call = Callable[..., Any]
EDGES = (14, 24, 32, 48, 64)
PATIENCE = 60  # seconds after which a call that does not return ends the run


def calls() -> list[Call]:
    """Return calls that last between a few hundredths of a second and some tenths."""
    solve = functools.partial(fastmpr.solve, lam=LAM, mu=MU, tol=0, max_iter=100, workers=WORKERS)
    solves = [functools.partial(solve, small_sums((edge,) * 3)) for edge in EDGES]
    return solves + [functools.partial(fastmpr.accumulate, small_data(size, 20), workers=WORKERS) for size in (20, 32)]


def interrupts(share: float) -> Iterator[Line]:
    """Stop calls by Ctrl-C, by an event and by a deadline."""
    use_threads()
    count, found = round(200 * share) or 1, calls()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield from stopped("Ctrl-C", interrupted, found, count)
    for option, stop in (("cancel", cancelled), ("timeout", timed_out)):
        able = [call for call in found if option in inspect.signature(call.func).parameters]
        if able:
            yield from stopped(f"{option}=", stop, able, count)


def stopped(name: str, stop: Callable[[Call, float], float], found: list[Call], count: int) -> Iterator[Line]:
    """Stop so many calls at random moments, and say how that went."""
    lengths = {call: min(seconds(call) for _ in range(3)) for call in found}
    reference, rng, left = found[len(EDGES) - 2], random.Random(0), 0
    before, running = threading.active_count(), len(sys._current_frames())
    speed = min(seconds(reference) for _ in range(5))
    late: list[float] = []
    errors: list[Exception] = []
    while len(late) < count:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        call = rng.choice(found)
        try:
            latency = stop(call, rng.uniform(0, lengths[call]))
        except Exception as error:
            errors.append(error)
        else:
            late += [latency] if latency >= 0 else []  # else it was done before
        left = max(left, threading.active_count() - before)
    faulthandler.cancel_dump_traceback_later()
    time.sleep(0.1)
    left = max(left, len(sys._current_frames()) - running)  # those that `threading` does not know of
    speed /= min(seconds(reference) for _ in range(5))
    middle, worst = 1e3 * median(late), 1e3 * max(late)
    yield Line(f"{count} calls stopped by {name}: threads left behind", "0", str(left), left == 0)
    yield Line(f"{name}: lost, or another error in its place", "0", f"{len(errors)} {errors or ''}".strip(), not errors)
    yield Line(f"{name}: ms until the call returned, median", "<= 50", f"{middle:.1f}", middle <= 50, False)
    yield Line(f"{name}: ms until the call returned, worst", "<= 250", f"{worst:.1f}", worst <= 250, False)
    yield Line(f"{name}: speed of a solve afterwards over before", ">= 0.9", f"{speed:.2f}", speed >= 0.9, False)


def interrupted(call: Call, delay: float) -> float:
    """Interrupt a call after so many seconds; return how much later it ended, negative if it was done before."""
    due = time.perf_counter() + delay
    try:
        signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))  # 0 would be never
        call()
        if signal.setitimer(signal.ITIMER_REAL, 0)[0] == 0:
            time.sleep(0.01)  # it may be on its way
            raise RuntimeError("the KeyboardInterrupt was lost")
    except KeyboardInterrupt:
        return time.perf_counter() - due
    return -1.0


def cancelled(call: Call, delay: float) -> float:
    """The same by an event, which another thread sets."""
    event, due = threading.Event(), [float("inf")]

    def set_event() -> None:
        due[0] = time.perf_counter()
        event.set()

    timer = threading.Timer(delay, set_event)
    timer.start()
    end = end_of(call, cancel=event)
    timer.cancel()
    timer.join()
    return end - due[0]


def timed_out(call: Call, delay: float) -> float:
    """The same by a deadline."""
    due = time.perf_counter() + delay
    return end_of(call, timeout=max(delay, 1e-6)) - due


def end_of(call: Call, **options: Any) -> float:
    """Return when a call ended, with a result or without."""
    with contextlib.suppress(fastmpr.Cancelled):
        call(**options)
    return time.perf_counter()
