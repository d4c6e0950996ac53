"""``weights="robust"``: views that are unlike the others are named and left out, the others lose nothing."""

from __future__ import annotations

import functools
import pickle
import threading

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses
from fastmpr.diagnosis.outliers import Judged, tell_verdict
from fastmpr.metrics import psnr

SHAPE, N, NOISE = (22, 22, 22), 24, 0.1
PSF = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
POSES = Poses.random(N, max_translation=1, rng=3)
WRONG = [2, 9, 17]


@functools.cache
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the truth, which is C2, views of it without noise, and noise."""
    half = fastmpr.phantom.centriole(SHAPE)
    truth = (half + half[:, ::-1, ::-1]) / 2
    clean = fastmpr.simulate(truth, PSF, POSES)
    noise = NOISE * clean.max() * np.random.default_rng(0).standard_normal(clean.shape, np.float32)
    return truth, clean, noise


def spoilt() -> np.ndarray:
    """Return views of which one shows nothing, one another pose, one another particle."""
    _, clean, noise = scene()
    other = fastmpr.simulate(fastmpr.phantom.nuclear_pore(SHAPE), PSF, POSES[WRONG])[2]
    views = clean.copy()
    views[WRONG] = 0 * other, clean[WRONG[1], ::-1], other * (clean.max() / other.max())
    return views + noise


def robust(views: np.ndarray, **keywords) -> Dataset:
    return Dataset(views, PSF, POSES, weights="robust", **keywords)


def without(wrong: list[int]) -> np.ndarray:
    return 1.0 - np.isin(np.arange(N), wrong)


def test_wrong_views_are_named_and_left_out():
    with pytest.warns(FastmprWarning) as said:
        result = fastmpr.reconstruct(robust(spoilt()))
    assert len(said) == 1  # the check against the volume does not name them again
    message = str(said[0].message)
    assert message.startswith(f"weights: found 3 of {N} views unlike the others, particles[2] (")
    assert "particles[9] (" in message and "particles[17] (" in message
    assert message.endswith("3 are left out; see weights of the result")
    np.testing.assert_array_equal(result.weights, without(WRONG))
    known = fastmpr.reconstruct(spoilt(), PSF, POSES, weights=result.weights)
    np.testing.assert_array_equal(result.x, known.x)
    assert known.weights is None
    with pytest.warns(FastmprWarning, match="unlike the others"):
        equal = fastmpr.reconstruct(spoilt(), PSF, POSES)
    truth = scene()[0]
    assert psnr(result.x, truth) > psnr(equal.x, truth) + 0.3


def test_five_are_named_at_most():
    _, clean, noise = scene()
    with pytest.warns(FastmprWarning) as said:
        fastmpr.reconstruct(robust(noise + np.where(without(list(range(7)))[:, None, None, None], clean, 0)))
    message = str(said[0].message)
    assert message.count("particles[") == 5
    assert "particles[4] (" in message and " and 2 more: 7 are left out" in message


def test_views_that_are_all_right_lose_nothing():
    _, clean, noise = scene()
    result, equal = (fastmpr.reconstruct(clean + noise, PSF, POSES, weights=weights) for weights in ("robust", None))
    np.testing.assert_array_equal(result.x, equal.x)
    np.testing.assert_array_equal(result.weights, np.ones(N))
    assert (result.lam, result.fit) == (equal.lam, equal.fit)


def test_noisier_views_weigh_less():
    _, clean, noise = scene()
    views = clean + np.where(without(WRONG)[:, None, None, None], 1, 4).astype("f4") * noise
    with pytest.warns(FastmprWarning, match=r"particles\[2\] \(4 times as noisy\).*: 0 are left out, 3 weigh less"):
        result = fastmpr.reconstruct(robust(views))
    np.testing.assert_allclose(result.weights[WRONG], 1 / 16, rtol=0.1)
    np.testing.assert_array_equal(np.delete(result.weights, WRONG), 1)


class TestBesideGains:
    def test_weights_come_first_and_gains_weigh_the_rest(self):
        bright = np.exp(np.random.default_rng(1).uniform(-0.5, 0.5, N)).astype("f4")
        views = bright[:, None, None, None] * spoilt()
        with pytest.warns(FastmprWarning, match="3 are left out"):
            result = fastmpr.reconstruct(robust(views, gain="fit"))
        assert np.flatnonzero(result.weights == 0).tolist() == WRONG
        assert np.ptp(result.weights[result.weights > 0]) > 0
        kept = np.flatnonzero(result.weights)
        rest = fastmpr.reconstruct(Dataset(views[kept], PSF, POSES[kept], gain="fit"))
        np.testing.assert_allclose(result.x, rest.x, rtol=0, atol=1e-4 * rest.x.max())
        np.testing.assert_allclose(result.weights[kept], rest.weights, rtol=1e-4)

    def test_a_bright_view_is_wrong_unless_gains_are_fitted(self):
        _, clean, noise = scene()
        views = clean + noise
        views[5] *= 20
        with pytest.warns(FastmprWarning, match=r"particles\[5\] \(2\d times as bright\): 1 are left out"):
            assert fastmpr.reconstruct(robust(views)).weights[5] == 0
        assert fastmpr.reconstruct(robust(views, gain="fit")).weights[5] > 0.2


@pytest.mark.parametrize("kind", ["symmetric", "cropped"])
def test_other_kinds_of_views(kind):
    views = spoilt()
    if kind == "cropped":
        views[::3, :, :3] = np.nan
    with pytest.warns(FastmprWarning, match="3 are left out"):
        result = fastmpr.reconstruct(robust(views, symmetry="C2" if kind == "symmetric" else None), lam=100.0)
    np.testing.assert_array_equal(result.weights, without(WRONG))


class TestMostMustBeRight:
    def test_four_views_tell_nothing(self):
        said = "weights: found 4 views that can be compared, need 5, so that most tell which ones are wrong"
        with pytest.warns(FastmprWarning, match=said):
            result = fastmpr.reconstruct(robust(spoilt())[[0, 1, 3, 4]], lam=100.0, check=False)
        np.testing.assert_array_equal(result.weights, np.ones(4))

    def test_views_too_small_to_compare(self):
        with pytest.warns(FastmprWarning, match="weights: found 0 views that can be compared"):
            result = fastmpr.reconstruct(
                np.random.default_rng(0).random((N, 4, 4, 4)), PSF, POSES, weights="robust", lam=1.0
            )
        np.testing.assert_array_equal(result.weights, np.ones(N))

    def test_half_of_the_views_are_not_left_out(self):
        found = Judged(np.arange(N) % 2.0, dict.fromkeys(range(0, N, 2), "dark"), N)
        assert not found.enough
        with pytest.warns(
            FastmprWarning, match=f"weights: found 12 of {N} views unlike the others, need fewer than half"
        ):
            tell_verdict(robust(spoilt()), found)


def test_assess_tells_the_resolution_of_the_views_that_are_left():
    with pytest.warns(FastmprWarning, match="3 are left out"):
        quality = fastmpr.assess(robust(spoilt()))
    assert quality.half_sums[0].n_poses + quality.half_sums[1].n_poses == N - len(WRONG)
    np.testing.assert_array_equal(quality.result.weights, without(WRONG))


def test_a_call_that_ends_early_returns_the_first_volume():
    cancel = threading.Event()
    result = fastmpr.reconstruct(
        robust(spoilt()), cancel=cancel, progress=lambda what, *_: what == "checks" and cancel.set()
    )
    assert result.status == "cancelled"
    assert result.message.endswith("weights not fitted")
    np.testing.assert_array_equal(result.weights, np.ones(N))


class TestElsewhere:
    def test_other_functions_take_equal_weights(self):
        data = robust(spoilt())
        np.testing.assert_array_equal(fastmpr.average(data), fastmpr.average(data.replace(weights=None)))
        assert fastmpr.accumulate(data).energy == fastmpr.accumulate(data.replace(weights=None)).energy
        with pytest.raises(ValueError, match="weights: found 'robust', which needs a volume of all views"):
            fastmpr.deconvolve_average(data)

    def test_a_selection_stays_robust(self):
        data = robust(spoilt())
        for some in (data[3:8], data.replace(symmetry="C9")[3:8], pickle.loads(pickle.dumps(data))[3:8]):
            assert some.fits_weights
            np.testing.assert_array_equal(some.weights, np.ones(5))
        assert not data.replace(weights=np.ones(N)).fits_weights

    @pytest.mark.parametrize("weights", ["strong", "", ["robust"] * N])
    def test_other_words_are_refused(self, weights):
        with pytest.raises((ValueError, TypeError), match="weights: found"):
            Dataset(spoilt(), PSF, POSES, weights=weights)


def test_residuals_tell_the_noise_of_each_view():
    truth, clean, noise = scene()
    sigma = np.linspace(0.5, 2, N).astype("f4")
    views = 300 + 50 * (clean + sigma[:, None, None, None] * noise)
    found = fastmpr.residuals(Dataset(views, PSF, POSES, weights=without(WRONG)), truth)
    assert np.flatnonzero(np.isnan(found.noise)).tolist() == WRONG
    kept = np.flatnonzero(without(WRONG))
    np.testing.assert_allclose(found.noise[kept], 50 * NOISE * clean.max() * sigma[kept], rtol=0.04)
