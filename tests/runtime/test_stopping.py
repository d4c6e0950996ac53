"""Long calls end when they are asked to: with what there is, or with Cancelled, and leave nothing behind."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np
import pytest

import fastmpr
from fastmpr import Cancelled, phantom, psf
from fastmpr.runtime.stopping import Stop, as_stop

TRUTH = phantom.centriole((14, 14, 14))
PSF = psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
POSES = fastmpr.Poses.random(9, rng=0)
VIEWS = fastmpr.simulate(TRUTH, PSF, POSES, noise_sigma=0.05, rng=0)
DATA = fastmpr.Dataset(VIEWS, PSF, POSES)
HALVES = [fastmpr.accumulate(DATA[k::2]) for k in (0, 1)]

NOTHING_TO_RETURN = {
    "accumulate": partial(fastmpr.accumulate, DATA),
    "average": partial(fastmpr.average, DATA),
    "deconvolve_average": partial(fastmpr.deconvolve_average, DATA),
    "reconstruct": partial(fastmpr.reconstruct, DATA),
    "simulate": partial(fastmpr.simulate, TRUTH, PSF, POSES),
    "select_lam": partial(fastmpr.select_lam, *HALVES),
    "infer_lam": partial(fastmpr.infer_lam, HALVES[0]),
}


class After:
    """An event that has happened when it was asked for the n-th time, from whatever thread."""

    def __init__(self, n: int):
        self.left, self.lock = n, threading.Lock()

    def is_set(self) -> bool:
        with self.lock:
            self.left -= 1
            return self.left < 0


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", NOTHING_TO_RETURN)
def test_what_has_nothing_to_return_is_cancelled(name, workers):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled, match=f"^{name}: cancelled"):
        NOTHING_TO_RETURN[name](cancel=cancel, workers=workers)


@pytest.mark.parametrize("name", NOTHING_TO_RETURN)
def test_what_has_nothing_to_return_runs_out_of_time(name):
    with pytest.raises(Cancelled, match=f"^{name}: stopped by the timeout"):
        NOTHING_TO_RETURN[name](timeout=1e-6)


@pytest.mark.parametrize("name", NOTHING_TO_RETURN)
def test_an_event_that_never_happens_changes_nothing(name):
    def bits(result):
        parts = result if isinstance(result, tuple) else (result,)
        return [np.asarray(getattr(part, "rhs", getattr(part, "x", part))).tobytes() for part in parts]

    call = NOTHING_TO_RETURN[name]
    assert bits(call(cancel=threading.Event(), timeout=1e6)) == bits(call())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["accumulate", "average", "deconvolve_average", "simulate"])
def test_the_event_is_asked_between_views_and_while_sums_are_turned(name, workers):
    """Whenever it happens, the call ends; and it is asked at least once for each view."""
    asked = After(10**9)
    NOTHING_TO_RETURN[name](cancel=asked, workers=workers)
    count = 10**9 - asked.left
    assert count >= len(POSES)
    for n in np.linspace(0, count - 1, 8).astype(int):
        with pytest.raises(Cancelled):
            NOTHING_TO_RETURN[name](cancel=After(n), workers=workers)
    if name == "accumulate":
        asked = After(10**9)
        fastmpr.accumulate(DATA.replace(symmetry="C5"), cancel=asked, workers=workers)
        assert 10**9 - asked.left >= len(POSES) + 2


def test_a_solve_returns_the_volume_so_far():
    whole = fastmpr.solve(HALVES[0], 30, tol=0, max_iter=7)
    cut = fastmpr.solve(HALVES[0], 30, tol=0, max_iter=100, cancel=After(6))
    assert cut.nit == 7
    assert not cut.success
    assert cut.message == "cancelled after 7 iterations"
    np.testing.assert_array_equal(cut.x, whole.x)


def test_a_solve_is_cancelled_from_another_thread():
    cancel = threading.Event()
    timer = threading.Timer(0.1, cancel.set)
    timer.start()
    result = fastmpr.solve(HALVES[0], 30, tol=0, max_iter=10**7, cancel=cancel, workers=2)
    timer.join()
    assert result.nit < 10**7
    assert result.message == f"cancelled after {result.nit} iterations"


def test_the_timeout_counts_from_the_call():
    """Two per cent of what the iterations would take."""
    result = fastmpr.solve(HALVES[0], 30, tol=0, max_iter=10**7, timeout=0.05)
    assert result.message == f"stopped by the timeout after {result.nit} iterations"
    assert result.nit < 10**6


def test_a_search_for_lam_that_is_cut_short_has_its_last_volume():
    with pytest.raises(Cancelled, match="^select_lam: cancelled while lam was being chosen$") as caught:
        fastmpr.select_lam(*HALVES, cancel=After(40))
    assert caught.value.result.x.shape == HALVES[0].shape
    assert np.isfinite(caught.value.result.x).all()


def test_a_reconstruction_returns_the_volume_so_far_from_whatever_it_was_at():
    asked = After(10**9)
    whole = fastmpr.reconstruct(DATA, cancel=asked, max_iter=20, tol=0, check=False)
    count, messages = 10**9 - asked.left, []
    for n in np.linspace(0, count - 1, 12).astype(int):
        try:
            result = fastmpr.reconstruct(DATA, cancel=After(n), max_iter=20, tol=0, check=False)
        except Cancelled as stopped:
            messages.append(str(stopped))
        else:
            messages.append(result.message)
            assert result.x.shape == whole.x.shape
            assert result.x.flags.c_contiguous
            assert not result.success
            assert result.x.max() > 0
    assert messages[0] == "reconstruct: cancelled"
    assert "cancelled while lam was being chosen" in messages
    assert messages[-1].startswith("cancelled after ")


def test_a_source_that_is_read_when_the_call_is_cancelled_is_not_to_blame():
    """Deconvolving on the way is a source of particles: what it raises keeps its name."""
    with pytest.raises(Cancelled, match="^deconvolve_average: cancelled"):
        fastmpr.deconvolve_average(DATA, lam=30.0, cancel=After(20))


def test_the_papers_experiment_keeps_what_is_finished(tmp_path):
    finished = []
    cancel = threading.Event()

    def tick(name):
        finished.append(name)
        cancel.set()

    with pytest.raises(Cancelled, match=r"^paper\.run: cancelled$"):
        fastmpr.paper.run(tmp_path / "out", {"pore": TRUTH}, fastmpr.paper.QUICK, tick, cancel=cancel)
    assert len(finished) == len(list((tmp_path / "out" / "cells").glob("*.json"))) == 1


@pytest.mark.parametrize("name", NOTHING_TO_RETURN)
@pytest.mark.parametrize("timeout", [0, -1, np.nan, np.inf, "soon"])
def test_a_timeout_is_a_positive_number(name, timeout):
    with pytest.raises(ValueError, match="^timeout: found "):
        NOTHING_TO_RETURN[name](timeout=timeout)


@pytest.mark.parametrize("cancel", [True, 3, "now", threading.Lock()])
def test_cancel_is_something_that_can_be_asked(cancel):
    need = "need a threading.Event or anything with is_set"
    with pytest.raises(TypeError, match=f"^cancel: found {type(cancel).__name__}, {need}"):
        fastmpr.solve(HALVES[0], 30, cancel=cancel)


def test_a_stop_within_a_stop_heeds_both():
    outer = as_stop("outer", None, 1e6)
    assert as_stop("inner", outer, None) is outer
    inner = as_stop("inner", outer, 1e-9)
    time.sleep(1e-3)
    assert inner.status() == "timeout"
    assert outer.status() == ""
    happened = threading.Event()
    happened.set()
    assert Stop("inner", Stop("outer", happened), 1e6).status() == "cancelled"


def test_errors_of_the_event_reach_the_caller():
    class Broken:
        def is_set(self) -> bool:
            raise OSError("no connection")

    for name in ("accumulate", "reconstruct"):
        with pytest.raises(OSError, match="^no connection$"):
            NOTHING_TO_RETURN[name](cancel=Broken(), workers=2)
