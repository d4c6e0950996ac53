"""Views that show nothing of the model: translations in another unit, mostly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmpr
from fastmpr import FastmprWarning, Poses

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
RANDOM = Poses.random(4, max_translation=2.0, rng=0)
VIEWS = fastmpr.simulate(fastmpr.phantom.centriole(16), PSF, RANDOM, noise_sigma=0.05, rng=0)
FUNCTIONS = [
    lambda poses, **o: fastmpr.accumulate(VIEWS, PSF, poses, **o),
    lambda poses, **o: fastmpr.reconstruct(VIEWS, PSF, poses, max_iter=2, **o),
    lambda poses, **o: fastmpr.average(VIEWS, poses=poses, **o),
]


def moved(translation) -> Poses:
    return Poses(RANDOM.rotation, np.broadcast_to(translation, (4, 3)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_all_outside_is_an_error_that_says_how_far(function):
    with pytest.raises(
        ValueError, match=r"poses: found every view outside the model, the nearest 300 voxels .* unit"
    ) as caught:
        function(moved([0, 30.0, 0]), voxel_size=0.1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_some_outside_are_named(function):
    some = RANDOM.translation.copy()
    some[[1, 3]] = [0, 0, 40]
    with pytest.warns(FastmprWarning, match=r"particles\[1\] \(40 voxels off\), particles\[3\] \(40 voxels off\)"):
        function(moved(some))


@pytest.mark.parametrize("shape", [(16, 16, 16), (3, 40, 40), (1, 20, 20), (9, 6, 30)])
def test_no_false_alarm(shape):
    """Thin images that turn, small models, half of an image outside: all that may be meant."""
    poses = Poses.random(30, max_translation=min(2.0, 0.4 * shape[0]), rng=1)
    views = np.random.default_rng(0).standard_normal((30, *shape))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastmpr.accumulate(views, PSF, poses)
        fastmpr.accumulate(views, PSF, poses, shape=4)
        fastmpr.accumulate(views, PSF, poses, weights=[1, *[0] * 29])


def test_views_of_weight_zero_do_not_count():
    some = RANDOM.translation.copy()
    some[1] = [0, 0, 400]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastmpr.accumulate(VIEWS, PSF, moved(some), weights=[1, 0, 1, 1])
