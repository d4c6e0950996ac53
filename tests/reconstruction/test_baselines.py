"""The methods of the paper's comparison against slow, obvious twins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.metrics import psnr
from fastmpr.reconstruction.baselines import average, deconvolve_average

SHAPE = (14, 15, 16)
TRUTH = fastmpr.phantom.centriole(SHAPE, dtype=np.float64)
PSF = fastmpr.psf.gaussian((11, 7, 7), sigma=(2.5, 0.8, 0.8), dtype=np.float64)
POSES = fastmpr.Poses.random(4, max_translation=1.0, rng=0)
OPTIONS = {"max_iter": 30, "tol": 1e-3}
LAM = 50.0


def views_of(frame: str, poses=POSES, noise: float = 0.01) -> np.ndarray:
    return fastmpr.simulate(TRUTH, PSF, poses, noise_sigma=noise, frame=frame, rng=0)


def test_average_of_aligned_views_is_their_mean():
    views = views_of("model")
    np.testing.assert_allclose(average(views, poses=POSES, frame="model"), views.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_the_views_that_weigh_anything(workers):
    views, weights = views_of("particle"), [1, 0, 1, 1]
    for function, options in ((average, {}), (deconvolve_average, {"lam": LAM, "max_iter": 2})):
        told = []
        data = fastmpr.Dataset(views, PSF, POSES, weights=weights)
        function(data, workers=workers, progress=lambda *args, told=told: told.append(args), **options)
        assert told == [("particles", k, 3) for k in (1, 2, 3)]


@pytest.mark.slow
def test_views_in_the_models_frame_are_deconvolved_one_by_one_then_averaged():
    views = views_of("model")
    one_by_one = [
        fastmpr.reconstruct(
            views[i : i + 1], PSF, POSES[i : i + 1], lam=LAM, regularizer="tv", frame="model", **OPTIONS
        ).x
        for i in range(len(views))
    ]
    together = deconvolve_average(views, PSF, POSES, lam=LAM, frame="model", **OPTIONS)
    np.testing.assert_allclose(together, np.mean(one_by_one, axis=0), atol=1e-9)


@pytest.mark.parametrize("voxel_size", [1.0, (2.0, 1.0, 1.0)])
def test_particles_are_deconvolved_in_their_own_frame_then_aligned(voxel_size):
    views = views_of("particle")
    still = fastmpr.Poses(Rotation.identity(1), np.zeros((1, 3)))
    one_by_one = [
        fastmpr.reconstruct(
            view[None], PSF, still, lam=LAM, regularizer="tv", voxel_size=voxel_size, outside="dark", **OPTIONS
        ).x
        for view in views
    ]
    expected = average(one_by_one, poses=POSES, voxel_size=np.min(voxel_size))
    together = deconvolve_average(views, PSF, POSES, lam=LAM, voxel_size=voxel_size, **OPTIONS)
    np.testing.assert_allclose(together, expected, atol=1e-9)


def test_it_is_better_than_the_average_and_worse_than_all_views_at_once():
    poses = fastmpr.Poses.random(12, rng=1)
    views = views_of("model", poses, noise=0.05)
    alone = max(score(deconvolve_average(views, PSF, poses, lam=lam, frame="model")) for lam in (100.0, 300.0))
    joint = max(score(fastmpr.reconstruct(views, PSF, poses, lam=lam, frame="model").x) for lam in (30.0, 100.0))
    assert score(average(views, poses=poses, frame="model")) + 3 < alone < joint


def test_particles_come_out_sharper_than_their_average():
    views = views_of("particle")
    assert score(deconvolve_average(views, PSF, POSES, lam=LAM)) > score(average(views, poses=POSES)) + 3


def score(x: np.ndarray) -> float:
    return psnr(x, TRUTH)


def test_lam_is_found_where_it_is_not_given():
    views = views_of("model")
    assert score(deconvolve_average(views, PSF, POSES, frame="model")) > score(
        average(views, poses=POSES, frame="model")
    )


def test_threads_and_precision():
    views = views_of("model")
    one = deconvolve_average(views, PSF, POSES, lam=LAM, frame="model", workers=1, **OPTIONS)
    two = deconvolve_average(views, PSF, POSES, lam=LAM, frame="model", workers=2, **OPTIONS)
    np.testing.assert_allclose(one, two, atol=1e-12)
    single = deconvolve_average(views.astype(np.float32), PSF, POSES, lam=LAM, frame="model", **OPTIONS)
    assert (one.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, one, atol=1e-3 * one.max())


def test_callers_views_are_untouched():
    views = views_of("particle")
    before = views.copy()
    deconvolve_average(views, PSF, POSES, lam=LAM, max_iter=2)
    np.testing.assert_array_equal(views, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lam": -1.0}, "lam: found -1.0"),
        ({"lam": "best"}, "lam: found 'best'"),
        ({"regularizer": "l0"}, "regularizer: found 'l0'"),
        ({"frame": "lab"}, "frame: found 'lab'"),
        ({"voxel_size": -1.0}, "voxel_size: found -1.0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        deconvolve_average(views_of("model"), PSF, POSES, **{"lam": LAM, "frame": "model", **change})


def test_a_bad_view_is_named():
    views = views_of("model")
    views[2, 3, 3, 3] = np.inf
    with pytest.raises(ValueError, match=r"particles\[2\]"):
        deconvolve_average(views, PSF, POSES, lam=LAM, frame="model", max_iter=2)
