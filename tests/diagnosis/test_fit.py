"""A volume is held against its views, and what does not fit is said."""

from __future__ import annotations

import logging
import re
import threading
import warnings

import numpy as np
import pytest
from data_sets import Counting, fail
from scipy import ndimage

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses
from fastmpr.diagnosis.fit import drawn

N = 12
PSF = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
TRUTH = fastmpr.phantom.centriole((24, 24, 24))
POSES = Poses.random(N, max_translation=1.3, rng=0)
CLEAN = fastmpr.simulate(TRUTH, PSF, POSES)


def seen(noise, rng=1):
    """Views with noise, a share of the brightest voxel of those without."""
    return CLEAN + np.float32(noise * CLEAN.max()) * np.random.default_rng(rng).standard_normal(CLEAN.shape, np.float32)


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2, 0.5])
def test_the_truth_leaves_the_noise(noise):
    found = fastmpr.residuals(Dataset(7 * seen(noise) + 100, PSF, POSES), TRUTH)
    assert np.median(found.ratio) == pytest.approx(1, abs=0.1)
    assert abs(found.ratio - 1).max() < 0.6
    assert (
        np.median(abs(found.unexplained)) < 0.1 * max(noise, 0.03) ** 2
    )  # noise itself is so large beside what is shown
    assert found.gain == pytest.approx(np.full(N, 7), rel=0.25 * noise + 0.01)
    assert found.offset == pytest.approx(np.full(N, 100), abs=noise)
    assert found.correlation.min() > 1 - noise**2


def test_a_volume_is_told_from_its_views_alone():
    data = Dataset(seen(0.05), PSF, POSES)
    result = fastmpr.reconstruct(data)
    assert result.fit == pytest.approx(1, abs=0.1)
    found = fastmpr.residuals(data, result)
    assert np.median(found.ratio) == pytest.approx(result.fit, rel=0.05)  # the solver's volume reaches a bit farther
    assert np.array_equal(fastmpr.residuals(data, result.x.tolist()).ratio, found.ratio)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.03, 0.2])
@pytest.mark.parametrize("mistake", ["inverted", "other sign", "mirrored", "rows", "contrast", "gradient", "tight"])
def test_wrong_geometry_is_said(mistake, noise):
    views, poses, rotation, translation = seen(noise), POSES, POSES.rotation, np.array(POSES.translation)
    options = {}
    if mistake == "inverted":
        poses = Poses(rotation.inv(), translation)
    elif mistake == "other sign":
        poses = Poses(rotation, -translation)
    elif mistake == "mirrored":
        views = views[:, ::-1]
    elif mistake == "rows":
        poses = POSES[np.roll(np.arange(N), 1)]
    elif mistake == "contrast":
        views = views.max() - views
    elif mistake == "gradient":  # where a constant was said to lie behind
        views, options = views + CLEAN.max() * np.linspace(-0.15, 0.15, 24, dtype=np.float32), {"background": 0.0}
    elif mistake == "tight":
        views, poses = np.ascontiguousarray(views[:, 4:-4, 4:-4, 4:-4]), Poses(rotation, -translation)
    with pytest.warns(FastmprWarning, match=r"does not fit.*fastmpr.diagnose\(data\)"):
        assert fastmpr.reconstruct(views, PSF, poses, **options).fit > 1.2


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.03, 0.2, 1.0])
@pytest.mark.parametrize("kind", ["as they are", "few", "crops", "photons", "gains", "interpolated", "float64"])
def test_nothing_is_said_where_nothing_is_wrong(kind, noise):
    rng, views, psf, poses, options = np.random.default_rng(2), seen(noise), PSF, POSES, {}
    if kind == "few":
        views, poses = views[:3], poses[:3]
    elif kind == "crops":
        views[::2, :4] = views[1::2, :, -3:] = 0
    elif kind == "photons":
        views = rng.poisson(20 * (CLEAN.clip(0) / CLEAN.max() + 0.1)).astype(np.uint16)
    elif kind == "gains":
        views, options = views * rng.uniform(0.7, 1.4, (N, 1, 1, 1)).astype(np.float32), {"gain": "fit"}
    elif kind == "interpolated":  # half a voxel aside: the mean of two neighbours, whose PSF is that of two as well
        views = (views + np.roll(views, 1, 3)) / 2
        poses = Poses(POSES.rotation, np.add(POSES.translation, [0, 0, 0.5]))
        wide = np.pad(PSF, [(0, 0), (0, 0), (1, 1)])
        psf = ndimage.shift((wide + np.roll(wide, 1, 2)) / 2, (0, 0, -0.5), mode="wrap")
    elif kind == "float64":
        views = views.astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fastmpr.reconstruct(views, psf, poses, **options).fit
    assert fit < 1.25 or noise == 0  # then what is left is what the arithmetic leaves


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda view: view[:, ::-1], "unexplained"),
        (lambda view: view.max() - view, "negative contrast"),
        (lambda view: 8 * view, "times as bright"),
        (lambda view: view - CLEAN[7], "times as bright"),
    ],
    ids=["mirrored", "contrast", "bright", "noise"],
)
@pytest.mark.parametrize("noise", [0.03, 0.2])
def test_a_view_unlike_the_others_is_named(wrong, word, noise):
    views = seen(noise)
    views[7] = wrong(views[7])
    with pytest.warns(FastmprWarning) as said:
        fastmpr.reconstruct(views, PSF, POSES)
    (text,) = [str(one.message) for one in said if "unlike the others" in str(one.message)]
    assert text.startswith("particles[7] (")
    assert word in text
    assert "(1 of 12)" in text


def test_views_of_nothing_are_said():
    noise = np.random.default_rng(0).standard_normal(CLEAN.shape, np.float32)
    with pytest.warns(FastmprWarning, match="found no trace of the volume in most of 12"):
        fastmpr.reconstruct(noise + 10, PSF, POSES)


def test_names_are_those_of_the_data():
    views = seen(0.05)
    views[7] = views[7, ::-1]
    data = Dataset(views, PSF, POSES)[[1, 2, 3, 4, 5, 6, 7, 8, 9]]
    with pytest.warns(FastmprWarning, match=r"particles\[7\].*\(1 of 9\)"):
        fastmpr.reconstruct(data)


def test_each_view_is_read_once_more_or_not():
    source, once = Counting(seen(0.05)), list(range(N))
    assert fastmpr.reconstruct(source, PSF, POSES, lam=100.0, check=False).fit is None
    assert sorted(source.reads) == once
    fastmpr.reconstruct(source, PSF, POSES, lam=100.0)
    assert sorted(source.reads) == sorted(3 * once)
    source.reads.clear()
    weights = np.arange(N) % 2
    found = fastmpr.residuals(Dataset(source, PSF, POSES, weights=weights), TRUTH)
    assert sorted(source.reads) == once[1::2]
    assert np.array_equal(np.isnan(found.ratio), weights == 0)


def test_many_views_are_drawn_all_over():
    used = np.arange(5, 1005)
    which = drawn(used)
    assert len(set(which.tolist())) == 64
    assert np.all(np.diff(which) > 0)
    assert np.diff(which).max() < 40
    assert np.array_equal(which, drawn(used))
    assert np.array_equal(drawn(used[:64]), used[:64])


def test_it_is_recorded_which_views_were_looked_at(caplog):
    poses = Poses.random(70, rng=0)
    views = fastmpr.simulate(TRUTH, PSF, poses, noise_sigma=0.05, rng=0)
    with caplog.at_level(logging.INFO, logger="fastmpr"):
        fit = fastmpr.reconstruct(views, PSF, poses, lam=300.0).fit
    assert "fit: 64 of 70 views are compared, drawn with seed 22" in caplog.text
    assert f"fit {fit:.3g}:" in caplog.text


def test_a_call_that_is_to_end_does_not_check():
    cancel = threading.Event()

    def tell(what, done, total):
        if what == "checks":
            cancel.set()

    views = seen(0.05)
    result = fastmpr.reconstruct(views, PSF, POSES, lam=100.0, progress=tell, cancel=cancel)
    assert result.success
    assert result.fit is None
    assert fastmpr.reconstruct(views, PSF, POSES, lam=100.0, callback=stop).fit is None
    with pytest.raises(fastmpr.Cancelled, match="residuals: cancelled"):
        fastmpr.residuals(Dataset(views, PSF, POSES), TRUTH, cancel=cancel)


def stop(intermediate_result):
    raise StopIteration


@pytest.mark.parametrize("error", [MemoryError("shape: found too much"), OSError("particles[3]: gone")])
def test_a_volume_that_cannot_be_checked_is_not_lost(error, monkeypatch):
    monkeypatch.setattr("fastmpr.diagnosis.fit.compare_views", lambda *options: fail(error))
    with pytest.warns(FastmprWarning, match=f"^{re.escape(str(error))}; so the volume was not compared with its views"):
        result = fastmpr.reconstruct(seen(0.05), PSF, POSES, lam=100.0)
    assert result.success
    assert result.fit is None


def test_an_unfinished_volume_is_not_called_wrong(caplog):
    with caplog.at_level(logging.INFO, logger="fastmpr"):
        result = fastmpr.reconstruct(seen(0.03), PSF, POSES, lam=1e-3, max_iter=2)
    assert result.fit > 1.5
    assert "does not fit" in caplog.text


def test_a_volume_solved_from_sums_has_no_fit():
    assert fastmpr.solve(fastmpr.accumulate(seen(0.05), PSF, POSES), 10.0, max_iter=1).fit is None


def test_bad_input_in_one_line():
    data = Dataset(seen(0.05), PSF, POSES)
    for incomplete in (lambda: (seen(0.05), TRUTH), lambda: (Dataset(seen(0.05), PSF), TRUTH)):
        with pytest.raises(ValueError, match=r"^poses: found none"):
            fastmpr.residuals(*incomplete())
    with pytest.raises(TypeError, match=r"^particles: found Result, need a sequence of 3-D arrays"):
        fastmpr.residuals(fastmpr.reconstruct(data, lam=10.0, max_iter=1), data)
    with pytest.raises(ValueError, match=r"^x: "):
        fastmpr.residuals(data, np.full((4, 4, 4), np.nan))
    with pytest.raises(ValueError, match=r"^x: found voxels of 0.1 x 0.1 x 0.1, need 1 x 1 x 1"):
        fastmpr.residuals(data, fastmpr.reconstruct(data.replace(voxel_size=0.1), lam=10.0, max_iter=1))
    with pytest.raises(ValueError, match=r"^x: found shape \(4, 4, 4\), need \(24, 24, 24\)"):
        fastmpr.residuals(data.replace(frame="model"), np.ones((4, 4, 4)))
