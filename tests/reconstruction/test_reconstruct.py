"""The main job: particles become a volume, better than their average, with nothing to tune."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest
from shared_data import SPFLUOS

import fastmpr
from fastmpr import Poses, io
from fastmpr.compat.spfluo import reconstruction_L2
from fastmpr.io.particles import open_particles
from fastmpr.metrics import psnr

SHAPE = (28, 28, 28)
PSF = fastmpr.psf.gaussian((27, 11, 11), sigma=(3.5, 1.1, 1.1))
NOISES = [0.01, 0.05, 0.2, 0.5, 1.0]


@functools.cache
def experiment(poses: int = 24, noise: float = 0.05, shape=SHAPE):
    """Truth, poses and views of a centriole, with noise relative to its peak."""
    truth = fastmpr.phantom.centriole(shape)
    seen = Poses.random(poses, max_translation=1.5, rng=1)
    views = fastmpr.simulate(truth, PSF, seen, noise_sigma=noise * float(truth.max()), rng=2)
    views.setflags(write=False)
    return truth, seen, views


@functools.cache
def reconstruction():
    _, poses, views = experiment()
    return fastmpr.reconstruct(views, PSF, poses)


def test_auto_beats_the_average_by_6_db():
    truth, poses, views = experiment()
    result = reconstruction()
    assert psnr(result.x, truth) > psnr(fastmpr.average(views, poses=poses), truth) + 6
    assert result.success is True
    assert result.x.shape == SHAPE
    assert result.x.dtype == np.float32
    assert result.x.min() >= 0
    assert result.x.flags.c_contiguous


@pytest.mark.parametrize(("poses", "noise"), [(1, 0.02), (5, 0.02), (24, 0.05), (24, 0.3)])
def test_auto_is_close_to_the_best_lam(poses, noise):
    truth, seen, views = experiment(poses, noise)
    auto = fastmpr.reconstruct(views, PSF, seen, max_iter=40)
    sweep = [fastmpr.reconstruct(views, PSF, seen, lam=auto.lam * 4.0**k, max_iter=40).x for k in (-2, -1, 1)]
    assert psnr(auto.x, truth) > max(psnr(x, truth) for x in sweep) - 1.5


def test_auto_trusts_noisier_views_less():
    lams = [fastmpr.reconstruct(experiment(24, noise)[2], PSF, experiment()[1], max_iter=1).lam for noise in NOISES]
    assert all(noisier < cleaner for cleaner, noisier in pairwise(lams))


@pytest.mark.parametrize("scale", [1e-3, 1e5])
def test_auto_does_not_depend_on_the_intensity_scale(scale):
    _, poses, views = experiment()
    plain, scaled = reconstruction(), fastmpr.reconstruct(np.float32(scale) * views, PSF, poses)
    assert scaled.lam * scale == pytest.approx(plain.lam, rel=1e-3)
    assert scaled.nit == plain.nit
    np.testing.assert_allclose(scaled.x / scale, plain.x, rtol=0, atol=1e-3 * plain.x.max())


def test_a_background_changes_nothing():
    _, poses, views = experiment()
    background = np.linspace(100, 300, len(views), dtype=np.float32)[:, None, None, None]
    lifted, plain = fastmpr.reconstruct(views + background, PSF, poses), reconstruction()
    assert lifted.lam == pytest.approx(plain.lam, rel=0.01)
    np.testing.assert_allclose(lifted.x, plain.x, rtol=0, atol=0.01 * plain.x.max())


def test_weights_of_zero_leave_views_out():
    _, poses, views = experiment()
    weights = np.r_[np.ones(12), np.zeros(12)]
    some = fastmpr.reconstruct(views[:12], PSF, poses[:12], lam=50.0, max_iter=20, tol=0)
    rest = fastmpr.reconstruct(views, PSF, poses, lam=50.0, max_iter=20, tol=0, weights=weights)
    np.testing.assert_allclose(rest.x, some.x, rtol=0, atol=1e-4 * some.x.max())


@pytest.mark.parametrize("shape", [24, (24, 28, 32), (36, 36, 36)])
def test_shape_cuts_or_grows_around_the_middle(shape):
    _, poses, views = experiment()
    result = fastmpr.reconstruct(views, PSF, poses, lam=300.0, shape=shape)
    size = (shape,) * 3 if isinstance(shape, int) else shape
    assert result.x.shape == size
    common = [min(m, n) for m, n in zip(size, SHAPE, strict=True)]
    parts = [volume[middle(volume.shape, common)] for volume in (result.x, reconstruction().x)]
    assert psnr(*parts) > 30


def middle(shape, part) -> tuple[slice, ...]:
    return tuple(slice((m - n) // 2, (m - n) // 2 + n) for m, n in zip(shape, part, strict=True))


def test_voxel_size_is_only_a_unit_where_voxels_are_cubes():
    _, poses, views = experiment()
    plain = fastmpr.reconstruct(views, PSF, poses, lam=200.0, max_iter=20)
    in_micrometres = Poses(poses.rotation, 0.065 * poses.translation)
    metric = fastmpr.reconstruct(views, PSF, in_micrometres, lam=200.0, max_iter=20, voxel_size=0.065)
    assert metric.voxel_size == (0.065,) * 3
    assert plain.voxel_size == (1.0,) * 3
    np.testing.assert_allclose(metric.x, plain.x, rtol=0, atol=1e-4 * plain.x.max())


def test_anisotropic_particles_become_an_isotropic_volume():
    """Every other plane alone: less light, the same particle."""
    truth, poses, _ = experiment()
    coarse = fastmpr.simulate(
        truth, PSF, poses, model_voxel_size=1, psf_voxel_size=1, voxel_size=(2, 1, 1), shape=(14, 28, 28)
    )
    coarse += 0.05 * truth.max() * np.random.default_rng(3).standard_normal(coarse.shape, dtype=np.float32)
    result = fastmpr.reconstruct(coarse, PSF, poses, voxel_size=(2, 1, 1), psf_voxel_size=1)
    assert (result.x.shape, result.voxel_size) == (SHAPE, (1.0, 1.0, 1.0))
    assert psnr(result.x, truth) > psnr(reconstruction().x, truth) - 2


def test_aligned_views_reconstruct_too():
    """The paper's eq. (3): views already in the model's frame, blurred by the turned PSF; translations do not matter."""
    truth, poses, _ = experiment()
    views = fastmpr.simulate(truth, PSF, poses, frame="model", noise_sigma=0.05 * float(truth.max()), rng=4)
    result = fastmpr.reconstruct(views, PSF, poses, frame="model")
    average = fastmpr.average(views, poses=poses, frame="model")
    np.testing.assert_allclose(average, views.mean(axis=0), atol=1e-5 * float(views.max()))
    assert psnr(result.x, truth) > psnr(average, truth) + 6


def test_float64_in_float64_out():
    _, poses, views = experiment(5)
    result = fastmpr.reconstruct(views.astype(np.float64), PSF, poses, lam=50.0, max_iter=20, tol=0)
    single = fastmpr.reconstruct(views, PSF, poses, lam=50.0, max_iter=20, tol=0)
    assert (result.x.dtype, single.x.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single.x, result.x, rtol=0, atol=1e-4 * result.x.max())


def test_it_is_accumulate_solve_and_crop():
    """Written out with the public functions, on views whose background is nothing."""
    truth = fastmpr.phantom.centriole((16, 16, 16))
    poses = Poses.random(4, rng=5)
    views = np.pad(fastmpr.simulate(truth, PSF, poses, noise_sigma=0.01, rng=6), ((0, 0), *((3, 3),) * 3))
    data = fastmpr.Dataset(views, PSF, poses, seen="all")  # though they look like crops
    sums = fastmpr.accumulate(data)
    whole = fastmpr.solve(sums, 50.0, max_iter=40)
    result = fastmpr.reconstruct(data, lam=50.0, max_iter=40)
    assert (result.lam, result.nit, result.history) == (50.0, whole.nit, whole.history)
    np.testing.assert_array_equal(result.x, whole.x[middle(sums.shape, (22, 22, 22))])


class TestPsnr:
    def test_finds_the_best_scale(self):
        rng = np.random.default_rng(7)
        truth = rng.random((5, 6, 7))
        a = 3 * truth + 0.1 * rng.standard_normal(truth.shape)
        errors = [((s * a - truth) ** 2).mean() for s in np.linspace(0.2, 0.5, 3001)]
        assert psnr(a, truth) == pytest.approx(10 * np.log10(truth.max() ** 2 / min(errors)), abs=1e-4)
        assert psnr(7 * a, truth) == pytest.approx(psnr(a, truth))

    def test_extremes(self):
        truth = np.ones((3, 3, 3))
        assert psnr(2 * truth, truth) == np.inf
        assert psnr(np.zeros((3, 3, 3)), truth) == 0


# ----------------------------------------------------------------------------------------------------
# Data from another program
# ----------------------------------------------------------------------------------------------------


def best_of_spfluo(particles, psf, poses, truth) -> float:
    """PSNR of SPFluo's own reconstruction at the best of its weights."""
    poses = np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation]).astype(np.float32)
    lambdas = np.float32([0.1, 1, 10, 100, 1000])
    return max(psnr(reconstruction_L2(particles, psf, poses, weight), truth) for weight in lambdas)


@pytest.mark.slow
def test_centrioles_at_the_best_lam_of_a_sweep(centrioles):
    particles = open_particles(centrioles / "particles")
    poses = Poses.read(centrioles / "poses.csv").matched(particles.names)
    psf, truth = (io.read(centrioles / name)[0] for name in ("psf.tiff", "gt.tiff"))
    auto = fastmpr.reconstruct(particles, psf, poses, max_iter=60)
    sweep = [fastmpr.reconstruct(particles, psf, poses, lam=auto.lam * 4.0**k, max_iter=60).x for k in (-1, 1)]
    theirs = 28.62 if centrioles == SPFLUOS else best_of_spfluo(np.stack(list(particles)), psf, poses, truth)
    assert max(psnr(x, truth) for x in (auto.x, *sweep)) >= theirs + 0.88
    assert psnr(auto.x, truth) >= theirs


def test_iterations_that_are_asked_of_a_search_are_done_in_every_trial():
    poses = Poses.random(2, rng=0)
    views = fastmpr.simulate(fastmpr.phantom.centriole((16, 16, 16)), PSF, poses, noise_sigma=0.02, rng=0)
    sums = fastmpr.accumulate(views, PSF, poses)
    done = []
    fastmpr.infer_lam(sums, max_iter=11, tol=0, callback=lambda result: done.append(result.nit))
    assert done.count(11) == done.count(1) > 1
