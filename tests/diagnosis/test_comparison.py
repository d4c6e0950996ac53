"""Views are compared as their slow twin compares them: predicted one by one, smoothed, summed."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from scipy import ndimage

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.runtime.stopping import as_stop
from fastmpr.sums.comparison import compare_views
from fastmpr.sums.frame import padded_shape
from fastmpr.sums.resampling import inner
from fastmpr.sums.transfer import TransferFunction, transfer_functions

N = 4
POSES = Poses.random(N, max_translation=1.0, rng=0)
PSF = fastmpr.psf.gaussian((13, 9, 9), sigma=(2, 1, 1))
SKEW = PSF * np.linspace(0.6, 1.4, 13)[:, None, None]
TRUTH = fastmpr.phantom.centriole((18, 20, 22), dtype=np.float64)


def compared(data, x, workers=1):
    """The sums of all views of a data set."""
    grid = padded_shape(data, x.shape)
    padded = np.zeros(grid, data.dtype)
    padded[inner(grid, x.shape)] = x
    which, stop = np.arange(len(data)), as_stop("test", None, None)
    found = compare_views(data, which, padded, x.shape, transfer_functions(data), workers, None, stop)
    units = np.stack([np.ones(len(data)), np.full(len(data), found.peak), found.peaks], axis=1)
    n, p, y = units.T[:, :, None]  # what a number, a voxel of the prediction and one of the view count for
    scale = np.stack([n, p, y, p * p, p * y, y * y, n, y * y], axis=2)
    return found.sums * scale, found.flat


def check(data, x, shown, seen, workers=1):
    """Hold all sums against those of the twin, whose predictions are given."""
    sums, _ = compared(data, x, workers)
    for i, found in enumerate(sums):
        view = np.asarray(data.source.particles[i], float)
        corner = np.argwhere(~np.isnan(view)).min(axis=0)
        expected = naive.comparison(np.nan_to_num(view), shown[i], seen[i], corner)
        # counts, what is summed of the view alone, and what holds the prediction: on a coarser grid, less what is faint
        assert np.array_equal(found[:, [0, 6]], expected[:, [0, 6]])
        np.testing.assert_allclose(found[:, [2, 5, 7]], expected[:, [2, 5, 7]], rtol=1e-5, atol=1e-5 * expected[0, 5])
        scale = np.sqrt(expected[:, [0]] * expected[0, 3])
        np.testing.assert_allclose(found[:, [1]], expected[:, [1]], atol=4e-3 * scale.max())
        np.testing.assert_allclose(found[:, [3]], expected[:, [3]], atol=4e-3 * expected[0, 3])
        np.testing.assert_allclose(
            found[:, [4]], expected[:, [4]], atol=4e-3 * np.sqrt(expected[0, 3] * expected[0, 5])
        )


@pytest.mark.parametrize("voxel", [(1, 1, 1), (0.2, 0.1, 0.1)])
@pytest.mark.parametrize("psf", [PSF, SKEW], ids=["even", "skew"])
def test_the_transfer_function_of_a_smooth_psf(psf, voxel):
    """Which is that of the PSF moved to and fro, summed."""
    plain = TransferFunction(psf, voxel, np.float64)
    wide = np.pad(psf, 2)
    for axis in range(3):
        wide = ndimage.convolve1d(wide, np.array([1, 4, 6, 4, 1]) / 16, axis)
    expected, found = TransferFunction(wide, voxel, np.float64), plain.smoothed(voxel)
    grid, length = (30, 32, 34), (min(voxel),) * 3
    for rotation in POSES.matrix:
        a, b = (transfer.sample(rotation, grid, length) for transfer in (expected, found))
        assert np.abs(a - b).max() < 0.015  # what is fainter than about 0.01 is left out
        assert np.sqrt(np.mean(np.abs(a - b) ** 2)) < 0.02 * np.sqrt(np.mean(np.abs(a) ** 2))
    assert found.table[0].size < plain.table[0].size
    assert found.highest < plain.highest


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("psf", [PSF, SKEW], ids=["even", "skew"])
@pytest.mark.parametrize("frame", ["particle", "model"])
def test_of_whole_views(frame, psf, workers):
    shown = fastmpr.simulate(TRUTH, psf, POSES, frame=frame)
    views = shown + 0.1 * np.random.default_rng(0).standard_normal(shown.shape)
    data = Dataset(views, psf, POSES, frame=frame)
    check(data, TRUTH, shown, np.ones(views.shape, bool), workers)
    check(data[:1], TRUTH, shown, np.ones(views.shape, bool), workers)  # which goes through the hands of all of them


def test_of_boxes_masks_and_a_radius():
    rng = np.random.default_rng(1)
    shown = fastmpr.simulate(TRUTH, PSF, POSES)
    views = shown + 0.1 * rng.standard_normal(shown.shape) + 3
    seen = np.ones(views.shape, bool)
    seen[0, :3] = seen[1, :, -4:] = seen[1, 2, 7, 7] = False
    seen[2] = rng.random(seen[2].shape) < 0.999
    views[~seen] = np.nan
    check(Dataset(views, PSF, POSES), TRUTH, shown, seen)
    middle = (np.array(views.shape[1:]) - 1) / 2 + POSES.translation
    away = np.stack([np.linalg.norm(np.indices(views.shape[1:]).T - c, axis=-1).T for c in middle])
    check(Dataset(views, PSF, POSES, radius=8), TRUTH, shown, seen & (away <= 8))


def test_of_voxels_that_are_no_cubes_and_several_psfs():
    voxel = (0.2, 0.1, 0.1)
    poses = Poses(POSES.rotation, 0.1 * POSES.translation)
    x = fastmpr.phantom.centriole((24, 24, 24), dtype=np.float64)
    psfs = [fastmpr.psf.gaussian((9, 9, 9), sigma=(1.2, s, s)) for s in (1, 1.4)]
    seen_by = [
        fastmpr.simulate(x, psf, poses, voxel_size=voxel, model_voxel_size=0.1, shape=(12, 24, 24)) for psf in psfs
    ]
    which = np.array([0, 1, 1, 0])
    shown = np.array([seen_by[k][i] for i, k in enumerate(which)])
    views = shown + 0.1 * np.random.default_rng(0).standard_normal(shown.shape)
    data = Dataset(views, psfs, poses, psf_of=which, voxel_size=voxel)
    check(data, x, shown, np.ones(views.shape, bool))


def test_what_is_painted_around_a_particle_was_not_seen():
    shown = fastmpr.simulate(TRUTH, PSF, POSES)
    views = shown + 0.1 * np.random.default_rng(0).standard_normal(shown.shape)
    place = (np.indices(views.shape[1:]).T - (np.array(views.shape[1:]) - 1) / 2) / np.array(views.shape[1:])
    ball = np.linalg.norm(place, axis=-1).T < 0.4
    views[1:3] = np.where(ball, views[1:3], 0.5)
    seen = np.array([np.ones_like(ball), ball, ball, np.ones_like(ball)])
    check(Dataset(views, PSF, POSES), TRUTH, shown, seen)
    assert compared(Dataset(views, PSF, POSES), TRUTH)[1] == []  # so it was never read
    assert compared(Dataset(views, PSF, POSES, seen="all"), TRUTH)[1] == [1, 2]


def test_views_too_small_or_unseen_are_left_out():
    views = np.random.default_rng(0).random((3, 4, 9, 9))
    views[1] = np.nan
    data = Dataset(views, PSF, POSES[:3])
    assert not compared(data, np.ones((4, 9, 9)))[0].any()
