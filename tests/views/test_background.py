"""The background of a view: unbiased in noise, exact without, and blind to what the particle covers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

import fastmpr
from fastmpr.views import background
from fastmpr.views.background import without_background, without_plane

SHAPE = (20, 24, 28)


def noise(shape=SHAPE, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def estimate(view: np.ndarray) -> float:
    """Return what was subtracted."""
    return float(np.mean(view - without_background(view), dtype=np.float64))


def darkest_face(view: np.ndarray) -> float:
    return min(np.median(np.take(view, end, axis)) for axis in range(3) for end in (0, -1))


def blob(shape=SHAPE, centre=(0.5, 0.5, 0.5), radius=0.3) -> np.ndarray:
    """Return a ball of ones, its centre and radius in units of the box."""
    grids = np.meshgrid(*(np.arange(n) / (n - 1) - c for n, c in zip(shape, centre, strict=True)), indexing="ij")
    return (sum(g**2 for g in grids) < radius**2).astype(float)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(28, 28, 28), (15, 20, 33), (4, 30, 30), (1, 40, 40), (30, 1, 25)])
def test_noise_has_no_bias(shape, dtype):
    """The mean of 400 is nothing within its own error and a fifth of one view's; the darkest face's is far off."""
    views = [noise(shape, seed).astype(dtype) for seed in range(400)]
    found = np.array([estimate(view) for view in views])
    assert abs(found.mean()) < 0.2 * found.std()
    if min(shape) > 1:
        assert np.mean([darkest_face(view) for view in views]) < -found.std()


def test_a_view_is_known_about_as_well_as_the_mean_of_its_faces():
    found = np.std([estimate(noise((28, 28, 28), seed)) for seed in range(300)])
    assert found < 1.2 / np.sqrt(6 * 28**2)


@pytest.mark.parametrize("sigma", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
def test_a_particle_that_reaches_faces_is_left_out(axes, sigma):
    """A ball that is cut by one, two or three faces; the mean of all patches is at least twice as far off."""
    centre = np.where(np.isin(range(3), axes), 0.85, 0.5)
    particle = blob(centre=centre, radius=0.35)
    found = np.array([estimate(particle + sigma * noise(seed=seed)) for seed in range(200)])
    assert abs(found.mean()) < 0.012
    assert particle.ravel()[background._patches(SHAPE)].mean() > 0.024


@pytest.mark.parametrize("face", list(itertools.product(range(3), (0, -1))))
def test_one_free_face_is_enough(face):
    """Without noise, bit by bit: a particle of many levels covers all but the voxels of one face, four deep."""
    axis, end = face
    view = 1 + np.random.default_rng(1).random(SHAPE)
    depth = slice(None, 4) if end == 0 else slice(-4, None)
    np.moveaxis(view, axis, 0)[depth] = 0
    np.testing.assert_array_equal(without_background(view), view)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_subtracted_from_a_clean_particle(dtype):
    view = blob().astype(dtype)
    np.testing.assert_array_equal(without_background(view), view)


@pytest.mark.parametrize("level", [0.1, 100.1, -3e4 / 7, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_is_found_exactly(level, dtype):
    view = np.full(SHAPE, level, dtype)
    assert not without_background(view).any()
    view[8:12, 8:12, 8:12] *= 3
    assert np.count_nonzero(without_background(view)) == 4**3


@given(st.integers(-(2**20), 2**20), st.integers(-30, 30), st.integers(0, 99))
def test_offset_and_scale(offset, power, seed):
    """Both are exact: whole numbers in float64 are added, and powers of two multiplied, without rounding."""
    view = np.round(100 * (noise((10, 12, 14), seed) + blob((10, 12, 14))))
    plain = without_background(view)
    np.testing.assert_allclose(without_background(view + offset), plain, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(without_background(view * 2.0**power), plain * 2.0**power)


def test_single_and_double_precision_agree():
    view = (blob() + 0.3 * noise() + 100).astype(np.float32)
    single, double = without_background(view), without_background(view.astype(np.float64))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-4)


def test_hot_and_dead_pixels_hardly_matter():
    """One voxel in 500 of each, a thousand standard errors of a view away."""
    shape = (28, 28, 28)
    shift = []
    for seed in range(20):
        view = noise(shape, seed)
        wild = view.copy()
        places = np.random.default_rng(seed).choice(view.size, view.size // 250, replace=False)
        wild.flat[places] = np.where(np.arange(len(places)) % 2, 1e4, -1e4)
        shift.append(estimate(wild) - estimate(view))
    assert abs(np.mean(shift)) < 0.005
    assert np.max(np.abs(shift)) < 0.03


@pytest.mark.parametrize("mean", [0.3, 2.5, 40.0])
def test_counts(mean):
    """Photons: many equal values, and a median that is not the mean."""
    rng = np.random.default_rng(2)
    found = [estimate(rng.poisson(mean, (28, 28, 28)).astype(np.float32)) for _ in range(100)]
    assert np.mean(found) == pytest.approx(mean, abs=0.015 * np.sqrt(mean))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_integers_are_as_good_as_floats(dtype):
    view = np.random.default_rng(3).poisson(9, SHAPE)
    found = without_background(view.astype(dtype))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, without_background(view.astype(np.float32)))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 2), (2, 2, 2), (3, 3, 3), (1, 1, 9), (5, 1, 1), (1, 6, 7)])
def test_tiny_volumes(shape):
    """All that can be asked is a level among those that are there, and no warning."""
    view = noise(shape)
    assert view.min() - 1e-12 <= estimate(view) <= view.max() + 1e-12


def test_the_callers_array_stays_and_may_be_of_any_layout():
    view = blob() + noise()
    kept = view.copy()
    expected = without_background(view)
    np.testing.assert_array_equal(view, kept)
    for other in (np.asfortranarray(view), np.repeat(view, 2, axis=2)[..., ::2]):
        np.testing.assert_array_equal(without_background(other), expected)
    view.flags.writeable = False
    np.testing.assert_array_equal(without_background(view), expected)


def test_mirrors_and_permuted_axes_change_nothing_in_a_cube():
    """Patches are laid the same at all corners, but where voxels are as near as others, order decides."""
    view = blob((28, 28, 28), (0.8, 0.5, 0.5)) + 0.2 * noise((28, 28, 28))
    expected = estimate(view)
    for axis in range(3):
        assert estimate(np.flip(view, axis)) == pytest.approx(expected, abs=1e-12)
    assert estimate(view.transpose(2, 0, 1)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("shape", [(28, 28, 28), (27, 28, 31), (4, 30, 30), (1, 40, 40), (1, 1, 50)])
def test_patches(shape):
    """Three at each corner, each of different voxels, within its octant."""
    patches = background._patches(shape)
    long = [n > 1 for n in shape]
    assert len(patches) == 3 * 2 ** sum(long)
    for patch in patches:
        assert len(set(patch)) == len(patch) >= 1
        place = np.stack(np.unravel_index(patch, shape))
        low = place < np.array(shape)[:, None] / 2
        assert (low.all(axis=1) | (~low).all(axis=1))[long].all()
    assert len(set(map(frozenset, patches))) >= 2 ** sum(long)


def test_the_constant_is_that_of_a_cut_gaussian():
    reach = background._REACH
    assert pytest.approx(norm.pdf(reach) / norm.cdf(reach), abs=5e-5) == background._LOWERED


def test_reconstruct_is_as_good_as_with_a_known_background():
    """Noise as high as the signal: the darkest face would cost 4 dB."""
    truth = fastmpr.phantom.centriole((24, 24, 24))
    psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    poses = fastmpr.Poses.random(60, rng=1)
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=1.0, rng=2)
    sums = fastmpr.accumulate(views, psf, poses)
    known = fastmpr.solve(sums, 1.0).x
    start = tuple((m - n) // 2 for m, n in zip(sums.shape, truth.shape, strict=True))
    known = known[tuple(slice(s, s + 24) for s in start)]
    found = fastmpr.reconstruct(views + np.float32(100), psf, poses, lam=1.0).x
    assert fastmpr.metrics.psnr(found, truth) > fastmpr.metrics.psnr(known, truth) - 0.3


class TestPlane:
    """Slopes of z, y and x, in units of the box."""

    @staticmethod
    def plane(slopes, shape=SHAPE, level=100.0):
        axes = (slope * (np.arange(n) / n - (n - 1) / (2 * n)) for slope, n in zip(slopes, shape, strict=True))
        return level + np.add.outer(np.add.outer(*itertools.islice(axes, 2)), next(axes))

    @pytest.mark.parametrize("slopes", [(0, 0, 0), (3, 0, 0), (-2, 1, 5)])
    @pytest.mark.parametrize("shape", [SHAPE, (1, 30, 31), (4, 25, 30)])
    def test_without_noise_it_comes_off(self, slopes, shape):
        rising = self.plane(slopes, shape)
        if shape[0] > 1:
            rising = rising + 7 * blob(shape)
        np.testing.assert_allclose(without_plane(rising), 7 * blob(shape) if shape[0] > 1 else 0, atol=1e-3)

    @pytest.mark.parametrize("axes", [(), (0,), (1, 2)])
    def test_a_particle_that_reaches_faces_is_left_out(self, axes):
        particle = blob(centre=np.where(np.isin(range(3), axes), 0.85, 0.5), radius=0.35)
        slopes, errors = (0.6, -0.4, 0.8), []
        for seed in range(60):
            view = particle + self.plane(slopes) + 0.3 * noise(seed=seed)
            errors.append((view - without_plane(view) - self.plane(slopes)).ravel()[:: SHAPE[1] * SHAPE[2] // 7])
        assert np.abs(np.mean(errors, axis=0)).max() < 0.05
        plain = view - without_background(view) - self.plane(slopes)
        assert np.abs(plain).max() > 0.5

    def test_where_there_is_none_it_is_the_constant(self):
        found = [np.mean(without_plane(noise(seed=seed)) - without_background(noise(seed=seed))) for seed in range(100)]
        assert abs(np.mean(found)) < 0.01

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_the_precision_stays(self, dtype):
        view = noise().astype(dtype)
        before = view.copy()
        assert without_plane(view).dtype == dtype
        np.testing.assert_array_equal(view, before)
