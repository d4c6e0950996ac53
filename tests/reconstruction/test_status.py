"""Why a call stopped, and that no step writes into what another step holds."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import fastmpr
from fastmpr import Poses
from fastmpr.reconstruction import making
from fastmpr.sums import observation as sums_observation

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
POSES = Poses.random(8, rng=0)
TRUTH = fastmpr.phantom.centriole((16, 16, 16))
VIEWS = fastmpr.simulate(TRUTH, PSF, POSES, noise_sigma=0.05, rng=0)
KINDS = {"whole": VIEWS, "crops": np.where(np.arange(16) < 12, VIEWS, np.nan).astype(np.float32)}


@pytest.fixture(params=KINDS)
def views(request):
    return KINDS[request.param]


def reconstructed(views, **options):
    return fastmpr.reconstruct(views, PSF, POSES, **{"lam": 300.0, "check": False, "workers": 1, **options})


class TestStatus:
    def test_converged(self, views):
        result = reconstructed(views)
        assert (result.status, result.success) == ("converged", True)

    def test_max_iter(self, views):
        result = reconstructed(views, max_iter=2)
        assert (result.status, result.success, result.nit) == ("max_iter", False, 2)

    def test_callback(self, views):
        seen = []

        def callback(result):
            seen.append(result.status)
            if len(seen) == 3:
                raise StopIteration

        assert reconstructed(views, callback=callback).status == "callback"
        assert seen == ["", "", ""]  # it was running

    @pytest.mark.parametrize("lam", [300.0, "auto"])
    def test_cancelled(self, views, lam):
        cancel = threading.Event()
        result = reconstructed(views, lam=lam, cancel=cancel, callback=lambda result: cancel.set())
        assert (result.status, result.success, result.nit) == ("cancelled", False, 2)  # it is asked before the callback
        assert result.was_cut_short

    @pytest.mark.parametrize("lam", [300.0, "auto"])
    def test_timeout(self, views, lam, monkeypatch):
        over = threading.Event()
        monkeypatch.setattr("fastmpr.runtime.stopping.time.monotonic", lambda: 1e9 if over.is_set() else 0.0)
        result = reconstructed(views, lam=lam, timeout=1e6, callback=lambda result: over.set())
        assert (result.status, result.success) == ("timeout", False)

    def test_a_closed_form(self):
        assert reconstructed(VIEWS, regularizer="tikhonov").status == "converged"

    def test_gains_that_were_not_fitted(self):
        cancel = threading.Event()
        result = reconstructed(
            VIEWS, gain="fit", cancel=cancel, progress=lambda what, *_: what == "gains" and cancel.set()
        )
        assert result.status == "cancelled" and not result.success
        assert result.message.endswith("gains not fitted")

    def test_who_has_nothing_to_return_says_why(self):
        cancel = threading.Event()
        cancel.set()
        with pytest.raises(fastmpr.Cancelled) as stopped:
            fastmpr.accumulate(VIEWS, PSF, POSES, cancel=cancel)
        assert stopped.value.status == "cancelled"
        with pytest.raises(fastmpr.Cancelled) as stopped:
            fastmpr.accumulate(VIEWS, PSF, POSES, timeout=1e-9)
        assert stopped.value.status == "timeout"


class TestWhatWasObserved:
    @pytest.mark.parametrize("options", [{}, {"symmetry": "C9"}, {"lam": "auto"}, {"regularizer": "tikhonov"}], ids=str)
    def test_stays_as_it_is(self, views, options, monkeypatch):
        """All that an observation and a prediction hold is locked: whoever writes there raises an error."""
        expected = reconstructed(views, **options).x

        def locked(sums):
            for one in sums:
                one.gram.flags.writeable = one.rhs.flags.writeable = False

        def observe(accumulator):
            found = original(accumulator)
            locked(found.sums)
            for array in (found.statistics, found.partial, found.blind, *found.grams, *filter(np.ndim, found.counts)):
                array.flags.writeable = False
            return found

        def predict(*args):
            found = predicted(*args)
            locked(found.sums)
            found.residual.flags.writeable = False
            return found

        original, predicted = sums_observation.observe, sums_observation.predict
        monkeypatch.setattr(making, "observe", observe)
        monkeypatch.setattr("fastmpr.sums.halves.observe", observe)
        monkeypatch.setattr("fastmpr.reconstruction.crops.predict", predict)
        np.testing.assert_array_equal(reconstructed(views, **options).x, expected)

    def test_a_solve_leaves_its_sums_as_they_are(self):
        sums = fastmpr.accumulate(VIEWS, PSF, POSES)
        before = replace(sums, gram=sums.gram.copy(), rhs=sums.rhs.copy())
        sums.gram.flags.writeable = sums.rhs.flags.writeable = False
        for regularizer in ("hessian", "tikhonov"):
            fastmpr.solve(sums, 300.0, regularizer)
        np.testing.assert_array_equal(sums.rhs, before.rhs)
        np.testing.assert_array_equal(sums.gram, before.gram)
