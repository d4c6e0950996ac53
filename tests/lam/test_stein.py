"""Few views: lam by noise like theirs."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import fastmpr
from fastmpr.metrics import psnr

TRUTH = fastmpr.phantom.nuclear_pore(24)
PSF = fastmpr.psf.gaussian((19, 7, 7), sigma=(3, 1, 1))


def best(data: fastmpr.Dataset, near: float) -> float:
    """The best PSNR over lam, by the truth."""
    return max(
        psnr(fastmpr.reconstruct(data, lam=near * 4.0**k, workers=1, check=False).x, TRUTH) for k in (-2, -1, 0, 1, 2)
    )


@pytest.mark.parametrize(("count", "noise", "loss"), [(1, 0.05, 1.0), (2, 0.02, 0.5), (4, 0.1, 0.5)])
def test_few_views_lose_little_to_the_best_lam(count, noise, loss):
    poses = fastmpr.Poses.random(count, max_translation=1.0, rng=count)
    peak = fastmpr.simulate(TRUTH, PSF, poses).max()
    data = fastmpr.Dataset(fastmpr.simulate(TRUTH, PSF, poses, noise_sigma=noise * peak, rng=1), PSF, poses)
    found = fastmpr.reconstruct(data, workers=1)
    assert psnr(found.x, TRUTH) > best(data, found.lam) - loss


def test_what_is_no_noise_bounds_lam_and_is_told(caplog):
    """A stripe that no volume explains, in views of next to no noise: without a bound lam is hundreds of times too large."""
    poses = fastmpr.Poses.random(2, rng=3)
    views = fastmpr.simulate(TRUTH, PSF, poses, noise_sigma=2e-3, rng=1)
    striped = views + 0.02 * np.sin(np.arange(24) / 3)[:, None].astype(views.dtype)
    with caplog.at_level(logging.INFO, "fastmpr"):
        found = fastmpr.reconstruct(
            fastmpr.Dataset(striped, PSF, poses, background="none", outside="dark"), workers=1, check=False
        )
    assert "lam: bounded at" in caplog.text
    assert found.lam < fastmpr.reconstruct(fastmpr.Dataset(views, PSF, poses), workers=1).lam


def test_the_same_views_twice_have_half_the_lam():
    poses = fastmpr.Poses.random(3, max_translation=1.0, rng=0)
    data = fastmpr.Dataset(fastmpr.simulate(TRUTH, PSF, poses, noise_sigma=0.03, rng=1), PSF, poses)
    plain, heavy = (fastmpr.reconstruct(d, workers=1).lam for d in (data, data.replace(weights=[2.0] * 3)))
    assert heavy == pytest.approx(plain / 2, rel=1e-3)


@pytest.mark.parametrize("outside", ["dark", "unseen"])
@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.filterwarnings("ignore:particles:fastmpr.FastmprWarning")
def test_views_without_noise_have_a_lam(level, outside):
    poses = fastmpr.Poses.random(2, rng=0)
    views = level * fastmpr.simulate(TRUTH, PSF, poses)
    data = fastmpr.Dataset(views, PSF, poses, background="none", outside=outside)
    found = fastmpr.reconstruct(data, workers=1, check=False)
    assert np.isfinite(found.lam)
    assert found.x.max() == pytest.approx(level * TRUTH.max(), rel=0.2)
