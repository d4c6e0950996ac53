"""Frames of a movie: what they have in common, what each has of its own, and where none of it was seen."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

import fastmpr
from fastmpr.deconvolution.movie import FrameSummary, alike, plan

PSF = fastmpr.psf.gaussian((1, 9, 9), sigma=(1, 1.3, 1.3))[0]
SHAPE = (56, 64)
PEAK = 300.0


def scene(seed: int = 0) -> np.ndarray:
    """Blobs and points in the dark, brightest 1."""
    rng = np.random.default_rng(seed)
    out = np.zeros(SHAPE)
    out[tuple(rng.integers(4, n - 4, 25) for n in SHAPE)] = 1
    out = scipy.ndimage.gaussian_filter(out, 1.0) + 3 * scipy.ndimage.gaussian_filter(out, 3.0)
    return out / out.max()


TRUTH = scene()
LIGHT = np.maximum(scipy.signal.fftconvolve(TRUTH, PSF, mode="same"), 0)


def frames(factors, offsets=100.0, light=LIGHT, seed=0) -> np.ndarray:
    """Frames of a camera: so bright, over offsets."""
    factors = np.asarray(factors, float)
    rng = np.random.default_rng(seed)
    counts = rng.poisson(PEAK / light.max() * factors[:, None, None] * light) + 1.6 * rng.standard_normal(
        (len(factors), *SHAPE)
    )
    return np.rint(counts + np.reshape(offsets, (-1, 1, 1))).astype(np.uint16)


def error(x, factor=1.0) -> float:
    """PSNR in dB."""
    return 10 * np.log10(1 / np.mean((x / (factor * PEAK / LIGHT.max()) - TRUTH) ** 2))


def run(movie, **given):
    found: list = []
    return fastmpr.deconvolve(movie, PSF, report=found.append, **given), found


@pytest.fixture(scope="module")
def still():
    movie = frames(np.ones(10))
    return movie, run(movie), run(movie, frames="each")


def spread(x) -> float:
    sums = x.sum(axis=(1, 2), dtype=float)
    return float(sums.std() / sums.mean())


def test_the_sum_of_what_does_not_change_does_not_flicker(still):
    movie, (x, found), (each, alone) = still
    assert spread(x) < 0.003 < 0.01 < spread(each)
    assert len({one["lam"] for one in found}) == len({one["background"] for one in found}) == 1
    assert len({one["background"] for one in alone}) == 10
    assert np.mean([error(one) for one in x]) > np.mean([error(one) for one in each])
    assert np.mean([one["nit"] for one in found[1:]]) < np.mean([one["nit"] for one in alone])
    assert all(one["success"] for one in found)


def test_each_frame_alone_is_what_it_was(still):
    movie = still[0]
    each = fastmpr.deconvolve(movie, PSF, frames="each", workers=2)
    np.testing.assert_array_equal(each[3], fastmpr.deconvolve(movie[3], PSF, workers=2))


def test_frames_that_bleach_have_each_their_weight_and_all_one_background():
    factors = np.exp(-np.arange(8) / 5)
    movie = frames(factors)
    (x, found), (each, _) = run(movie), run(movie, frames="each")
    assert len({one["background"] for one in found}) == 1
    weights = [one["lam"] for one in found]
    assert weights[-1] > 1.5 * weights[0]
    for k, factor in enumerate(factors):
        assert error(x[k], factor) > error(each[k], factor) - 0.5
    light = x[:, TRUTH > 0.3].sum(axis=1) / x[0, TRUTH > 0.3].sum()
    np.testing.assert_allclose(light, factors, rtol=0.06)


@pytest.mark.parametrize(
    "offsets", [np.linspace(100, 130, 10), 100 + 15 * (np.arange(10) % 2), 100 + 40.0 * (np.arange(10) == 4)]
)
def test_a_background_that_shifts_is_followed(offsets):
    x, found = run(frames(np.ones(10), offsets))
    levels = np.array([one["background"] for one in found])
    np.testing.assert_allclose(levels - levels.mean(), offsets - offsets.mean(), atol=0.5)
    assert spread(x) < 0.01


def test_a_movie_that_is_said_to_be_alike_has_one_of_each():
    _, found = run(frames([1, 0.5, 0.3], [100, 103, 106]), axes="TYX", frames="alike")
    assert len({one["lam"] for one in found}) == len({one["background"] for one in found}) == 1


@pytest.mark.parametrize("named", [True, False])
def test_frames_of_which_nothing_was_seen_are_nan_and_named(named):
    movie = frames(np.ones(7)).astype(np.float32)
    movie[[1, 3]] = np.nan
    axes = {"axes": "TYX"} if named else {}
    with pytest.warns(
        fastmpr.FastmprWarning, match=r"image\[1\], image\[3\]: found no voxel that was seen.* NaN there"
    ):
        x, found = run(movie, **axes)
    assert np.isnan(x[[1, 3]]).all()
    rest = np.delete(x, [1, 3], axis=0)
    assert (rest >= 0).all()
    assert spread(rest) < 0.004
    assert [one["index"] for one in found] == [(k,) for k in range(7)]
    assert found[3]["lam"] is None
    assert found[3]["unseen"] == np.prod(SHAPE)
    with pytest.raises(ValueError, match="image: found no voxel that was seen"):
        fastmpr.deconvolve(np.full((6, *SHAPE), np.nan), PSF)
    with pytest.warns(fastmpr.FastmprWarning, match=r"image\[0, 1\]: found no voxel"):
        fastmpr.deconvolve(movie[None, :2], PSF, lam=3.0, background=100, max_iter=2, tol=0)


@pytest.mark.parametrize("closed", ["zero", "constant", "read noise"])
def test_a_closed_shutter_breaks_no_other_frame(still, closed):
    movie, (x, _), _ = still
    spoilt = movie.copy()
    dark = np.random.default_rng(5).normal(100, 1.6, SHAPE).round()
    spoilt[4] = {"zero": 0, "constant": 100, "read noise": dark}[closed]
    y, found = run(spoilt)
    assert y[4].sum() < 0.02 * y[3].sum()
    rest = np.arange(10) != 4
    assert spread(y[rest]) < 0.003
    assert np.mean([error(one) for one in y[rest]]) > np.mean([error(one) for one in x[rest]]) - 0.5


def test_channels_and_unlike_images_are_done_alone():
    for images, axes in (
        (frames(np.ones(3)), None),  # so few are channels
        (np.concatenate([frames([1], light=np.roll(LIGHT, 17 * k, (0, 1)), seed=k) for k in range(6)]), None),
        (frames(np.ones(6)), "CYX"),
    ):
        x = fastmpr.deconvolve(images, PSF, axes=axes)
        np.testing.assert_array_equal(x, fastmpr.deconvolve(images, PSF, axes=axes, frames="each"))


def test_which_of_two_axes_is_time_is_seen():
    other = frames(np.ones(5), light=np.roll(LIGHT, 20, (0, 1)), seed=3)
    movie = np.stack([frames(np.ones(5)), other])
    for images, axis in ((movie, 0), (movie.swapaxes(0, 1), 1)):
        _, found = run(images)
        for k in range(2):
            assert len({one["lam"] for one in found if one["index"][axis] == k}) == 1


def test_what_moves_is_no_worse_than_alone():
    movie = np.concatenate([frames([1], light=np.roll(LIGHT, 2 * k, 1), seed=k) for k in range(6)])
    (x, _), (each, _) = run(movie), run(movie, frames="each")
    errors = [np.mean([error(np.roll(one, -2 * k, 1)) for k, one in enumerate(y)]) for y in (x, each)]
    assert errors[0] > errors[1] - 0.1


@pytest.mark.slow
def test_stacks_dark_beyond_and_with_holes():
    psf = fastmpr.psf.gaussian((7, 7, 7), sigma=(1.3, 1.3, 1.3))
    rng = np.random.default_rng(0)
    light = scipy.signal.fftconvolve(rng.random((16, 40, 40)) > 0.998, psf, mode="same")
    movie = (rng.poisson(np.maximum(2e3 * light, 0), (5, *light.shape)) + 100).astype(np.float32)
    movie[2, 5, 6, 7] = np.nan
    for outside in ("dark", "unseen"):
        each, x = (fastmpr.deconvolve(movie, psf, frames=how, outside=outside) for how in ("each", "auto"))
        assert np.isfinite(x).all()
        np.testing.assert_allclose(x.sum(axis=(1, 2, 3)), each.sum(axis=(1, 2, 3)), rtol=0.1)
        tiled = fastmpr.deconvolve(movie, psf, axes="TZYX", outside=outside, max_memory=5e6)
        assert np.corrcoef(tiled.ravel(), x.ravel())[0, 1] > 0.98


def summaries(cells, levels, lights) -> list:
    return [FrameSummary(*one) for one in zip(levels, lights, cells, strict=True)]


def test_a_plan_of_few_frames_or_none():
    cells = np.random.default_rng(0).random((2, 30))
    assert plan(summaries(cells, [1, 2], [5, 5]), False) == ([None, None], [None, None])
    assert plan(summaries(cells, [1, 2], [5, 5]), True) == ([1.5, 1.5], [0, 0])
    assert plan([None, None], True) == ([None, None], [None, None])


def test_alike_is_told_by_enough_cells():
    rng = np.random.default_rng(0)
    a = rng.random(40)
    assert alike(a, 3 * a + 1)
    assert not alike(a, rng.random(40))
    assert not alike(a, np.zeros(40))
    assert not alike(a[:8], a[:8])
    assert not alike(a, np.where(np.arange(40) < 8, a, np.nan))


def test_a_plane_is_told_and_is_one_for_all_frames():
    movie = frames(np.ones(5)) + np.rint(0.8 * np.arange(SHAPE[1])).astype(np.uint16)
    x, found = run(movie, background="plane")
    assert len({(one["background"], one["slope"]) for one in found}) == 1
    np.testing.assert_allclose(found[0]["slope"], (0, 0.8), atol=0.15)
    assert abs(found[0]["background"] - 100 - 0.8 * (SHAPE[1] - 1) / 2) < 4
    assert np.mean([error(one) for one in x]) > np.mean([error(one) for one in run(frames(np.ones(5)))[0]]) - 0.5
