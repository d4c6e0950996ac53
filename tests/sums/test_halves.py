"""Halves hold different noise: no image stands in both, however it came to be there twice."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses
from fastmpr.metrics import psnr
from fastmpr.sums.halves import half_of

TRUTH = fastmpr.phantom.centriole(20)
PSF = fastmpr.psf.gaussian((13, 7, 7), sigma=(2.5, 1, 1))
N = 24
POSES = Poses.random(N, max_translation=1.0, rng=1)
VIEWS = fastmpr.simulate(TRUTH, PSF, POSES, noise_sigma=0.2, rng=1)
DATA = Dataset(VIEWS, PSF, POSES)
PLAIN = fastmpr.reconstruct(DATA, workers=1)


def test_every_view_selected_twice_is_every_view_of_twice_the_weight():
    twice = np.repeat(np.arange(N), 2)
    x = fastmpr.reconstruct(DATA[twice], workers=1)
    assert x.lam == pytest.approx(PLAIN.lam / 2, rel=1e-4)
    np.testing.assert_allclose(x.x, PLAIN.x, atol=1e-3 * PLAIN.x.max())


def test_a_bootstrap_is_a_set_of_weights():
    which = np.random.default_rng(3).integers(0, N, N)
    drawn = fastmpr.reconstruct(DATA[which], workers=1)
    weighed = fastmpr.reconstruct(DATA.replace(weights=np.bincount(which, minlength=N)), workers=1)
    assert drawn.lam == pytest.approx(weighed.lam, rel=1e-4)
    np.testing.assert_allclose(drawn.x, weighed.x, atol=1e-3 * weighed.x.max())


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_equal_images_are_found_and_told(kind):
    which = np.repeat(np.arange(N), 2)
    with pytest.warns(
        FastmprWarning, match=r"particles\[1\]: found the same image as particles\[0\], and 24 such copies"
    ):
        x = fastmpr.reconstruct(kind(VIEWS[which]), PSF, POSES[which], workers=1)
    assert x.lam == pytest.approx(PLAIN.lam / 2, rel=1e-4)
    assert psnr(x.x, TRUTH) == pytest.approx(psnr(PLAIN.x, TRUTH), abs=0.05)


def test_equal_images_in_other_poses_stay_in_one_half():
    """As who repeats the particles of a symmetric structure by hand does."""
    views, poses = np.repeat(VIEWS, 2, axis=0), POSES.symmetrized("C2")
    options = {"workers": 1, "max_iter": 5, "shape": 22}  # in the middle of its grid, which half a turn takes to itself
    with pytest.warns(FastmprWarning, match="symmetry="):
        x = fastmpr.reconstruct(views, PSF, poses, **options)
    assert x.lam == pytest.approx(fastmpr.reconstruct(DATA.replace(symmetry="C2"), **options).lam, rel=1e-3)


def test_too_few_images_that_differ_are_not_halved():
    which = np.arange(12) % 4
    with pytest.warns(FastmprWarning, match="such copies"):
        x = fastmpr.reconstruct(VIEWS[which], PSF, POSES[which], workers=1, max_iter=5)
    few = fastmpr.reconstruct(VIEWS[:4], PSF, POSES[:4], weights=[3] * 4, workers=1, max_iter=5)
    assert x.lam == pytest.approx(few.lam, rel=1e-3)


def test_images_that_differ_in_one_voxel_are_no_copies():
    views = np.repeat(VIEWS, 2, axis=0)
    views[1::2, 3, 4, 5] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastmpr.reconstruct(views, PSF, POSES[np.repeat(np.arange(N), 2)], workers=1, max_iter=2)


def halves(data: Dataset, least: int = 6) -> np.ndarray:
    return half_of(data, np.arange(len(data)), least)


def test_the_order_of_the_views_changes_nothing():
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(halves(DATA)[order], halves(DATA[order]))
    assert sorted(np.bincount(halves(DATA))) == [N // 2, N // 2]


def test_two_kinds_in_turns_are_in_both_halves():
    """What stands at odd and even places is not what the halves go by."""
    assert 2 < halves(DATA)[::2].sum() < N / 2 - 2


def test_halves_are_alike_in_weights_and_psfs():
    weights = np.where(np.arange(N) % 2, 1000.0, 1.0)
    other = DATA.replace(psf=[PSF, PSF], psf_of=np.arange(N) // 2 % 2, weights=weights)
    half = halves(other)
    for kind in range(4):
        chosen = half[(other.psf_of == kind % 2) & ((weights > 1) == (kind > 1))]
        assert chosen.sum() == len(chosen) / 2


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_particle_that_was_picked_twice_stays_in_one_half(shift):
    """Scaled and rounded, a voxel aside: no fingerprint finds it, but its orientation does."""
    twice = np.repeat(np.arange(N), 2)
    moved = np.where(np.arange(2 * N)[:, None] % 2, [[0, 0, shift]], 0.0)
    poses = Poses(POSES.rotation[twice], np.asarray(POSES.translation)[twice] + moved)
    half = halves(Dataset(VIEWS[twice], PSF, poses))
    np.testing.assert_array_equal(half[::2], half[1::2])
    assert half.sum() == N


def test_particles_that_all_lie_alike_are_no_copies():
    poses = Poses(np.repeat(np.eye(3)[None], N, axis=0), POSES.translation)
    assert np.bincount(halves(Dataset(VIEWS, PSF, poses))).tolist() == [N // 2, N // 2]


def test_fewer_than_needed_are_not_halved():
    assert halves(DATA[:5]) is None
