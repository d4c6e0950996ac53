"""The sums of a symmetric particle, turned once they are there, against those over all its copies."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.ndimage

import fastmpr
from fastmpr import Poses
from fastmpr.geometry.symmetry import as_group
from fastmpr.metrics import psnr
from fastmpr.runtime.threads import Team
from fastmpr.sums import symmetrize
from fastmpr.sums.symmetrize import Symmetrizer

AXES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 2, 3)]
OFF = (1.3, -0.6, 0.9)
PSF = fastmpr.psf.gaussian((13, 9, 9), sigma=(2.5, 1.5, 1.5))
POSES = Poses.random(3, max_translation=0.7, rng=2)


def smooth(shape, seed=0):
    """A few blobs near the middle: their views hold nothing that a cubic spline would err by, nor end at the border."""
    volume, rng = np.zeros(shape), np.random.default_rng(seed)
    for _ in range(6):
        volume[tuple(np.array(shape) // 2 + rng.integers(-3, 4, 3))] += 1
    return scipy.ndimage.gaussian_filter(volume, 1.2)


VIEWS = fastmpr.simulate(smooth((24, 24, 24)), PSF, POSES)


def of_copies(views, poses, symmetry, *where, **options):
    """The slow twin: every view once for each pose that the symmetry cannot tell from its own."""
    copies = poses.symmetrized(symmetry, *where)
    return fastmpr.accumulate(np.repeat(views, len(copies) // len(poses), axis=0), PSF, copies, **options)


def assert_close(sums, expected, gram, rhs):
    np.testing.assert_allclose(sums.gram, expected.gram, rtol=0, atol=gram * expected.gram.max())
    np.testing.assert_allclose(sums.rhs, expected.rhs, rtol=0, atol=rhs * np.abs(expected.rhs).max())
    assert sums.n_poses == expected.n_poses
    assert sums.gram.min() >= 0


@pytest.mark.parametrize("symmetry", ["C2", "C5", "D2", "D3"])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("centre", [None, OFF])
def test_about_any_axis_and_centre(symmetry, axis, centre):
    sums = fastmpr.accumulate(VIEWS, PSF, POSES, symmetry=symmetry, symmetry_axis=axis, symmetry_centre=centre)
    expected = of_copies(VIEWS, POSES, symmetry, axis, centre)
    assert_close(sums, expected, 6e-4, 2e-3)
    assert sums.energy == pytest.approx(expected.energy, rel=1e-5)


@pytest.mark.parametrize("axis", AXES[:3])
@pytest.mark.parametrize("symmetry", ["C2", "C4", "D1", "D2", "D4"])
def test_turns_that_take_the_grid_to_itself_are_exact(symmetry, axis):
    views = np.random.default_rng(0).standard_normal(VIEWS.shape)
    sums = fastmpr.accumulate(views, PSF, POSES, symmetry=symmetry, symmetry_axis=axis)
    assert len(set(sums.shape)) == 1
    assert_close(sums, of_copies(views, POSES, symmetry, axis), 1e-12, 1e-12)


@pytest.mark.parametrize("shape", [(16, 24, 28), (23, 25, 21)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_grids(shape, dtype):
    """Light that ends at the border of a thin image is no exact matter."""
    views = fastmpr.simulate(smooth(shape), PSF, POSES).astype(dtype)
    sums = fastmpr.accumulate(views, PSF, POSES, symmetry="C5")
    assert sums.gram.dtype == dtype
    assert_close(sums, of_copies(views, POSES, "C5"), 4e-4, 1.5e-3)


def test_voxels_have_a_length():
    plain = fastmpr.accumulate(VIEWS, PSF, POSES, symmetry="C5", symmetry_axis=(0, 1, 1), symmetry_centre=OFF)
    lengths = Poses(POSES.rotation, 0.1 * POSES.translation)
    where = {"symmetry_axis": (0, 2, 2), "symmetry_centre": 0.1 * np.array(OFF)}
    sums = fastmpr.accumulate(VIEWS, PSF, lengths, symmetry="C5", voxel_size=0.1, **where)
    assert_close(sums, plain, 1e-9, 1e-9)


def turned_slowly(volume, group, centre):
    """The sum over a group of a volume's transform at turned frequencies, one sample after another."""
    grid = volume.shape
    p = np.stack(np.meshgrid(*(np.arange(n) - c for n, c in zip(grid, centre, strict=True)), indexing="ij"), -1)
    axes = np.fft.fftfreq(grid[0]), np.fft.fftfreq(grid[1]), np.fft.rfftfreq(grid[2])
    f = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    waves = sum(np.exp(-2j * np.pi * (f.reshape(-1, 3) @ g.T) @ p.reshape(-1, 3).T) for g in group)
    return (waves @ volume.ravel()).reshape(f.shape[:3]) * np.exp(-2j * np.pi * f @ centre)


@pytest.mark.slow
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("symmetry", ["C3", "D3"])
def test_one_spectrum_alone_as_its_definition_says(axis, symmetry, monkeypatch):
    monkeypatch.setattr(symmetrize, "_TAPER", 0.5)
    grid = (14, 15, 16)
    group, centre = as_group(symmetry, axis), (np.array(grid) - 1) / 2 + (0.2, -0.3, 0.1)
    volume = np.zeros(grid)
    volume[7, 6, 8] = 1
    volume[6, 7, 7] = 2
    volume = scipy.ndimage.gaussian_filter(volume, 1.2)
    half = np.fft.rfftn(volume)
    turned = Symmetrizer(group, centre, grid)
    result = turned.rhs(half.copy())
    axes = np.fft.fftfreq(grid[0]), np.fft.fftfreq(grid[1]), np.fft.rfftfreq(grid[2])
    known = sum(f**2 for f in np.meshgrid(*axes, indexing="ij")) < 0.45**2  # all turns of it
    expected = turned_slowly(volume, group, centre)
    np.testing.assert_allclose(result[known], expected[known], rtol=0, atol=2e-3 * np.abs(half).max())
    np.testing.assert_array_equal(turned.rhs(half.copy()), result)  # prepared once, used again
    shared = Symmetrizer(group, centre, grid, Team(3))
    np.testing.assert_allclose(shared.rhs(half.copy()), result, rtol=0, atol=1e-12 * np.abs(result).max())


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("symmetry", ["C7", "D5"])
def test_the_sum_over_a_group_is_the_same_at_all_its_turns(axis, symmetry):
    """So to sum what was summed already multiplies it."""
    sums = fastmpr.accumulate(VIEWS, PSF, POSES, symmetry=symmetry, symmetry_axis=axis)
    group, centre = as_group(symmetry, axis), (np.array(sums.shape) - 1) / 2
    again = Symmetrizer(group, centre, sums.shape)
    gram, rhs = again.gram(sums.gram.copy()), again.rhs(sums.rhs.copy())
    n = len(group)
    np.testing.assert_allclose(gram / n, sums.gram, rtol=0, atol=1e-3 * sums.gram.max())
    np.testing.assert_allclose(rhs / n, sums.rhs, rtol=0, atol=2e-3 * np.abs(sums.rhs).max())


@pytest.mark.parametrize("symmetry", ["C5", "D3"])
def test_what_is_not_turned_counts_as_often(symmetry):
    """Of something constant nothing is lost, and nothing of it comes in at another face."""
    grid = (14, 12, 13)
    half = np.fft.rfftn(np.ones(grid))
    for axis in AXES:
        turned = Symmetrizer(as_group(symmetry, axis), (np.array(grid) - 1) / 2 + OFF, grid).rhs(half.copy())
        np.testing.assert_allclose(
            np.fft.irfftn(turned, grid, (0, 1, 2)), len(as_group(symmetry)), rtol=0, atol=0.3 * len(as_group(symmetry))
        )
        assert turned[0, 0, 0].real == pytest.approx(half[0, 0, 0] * len(as_group(symmetry)), rel=1e-3)


@pytest.mark.parametrize("where", [{}, {"symmetry_axis": (1, 1, 0), "symmetry_centre": OFF}])
def test_the_group_of_the_identity_changes_no_bit(where):
    plain = fastmpr.accumulate(VIEWS, PSF, POSES)
    sums = fastmpr.accumulate(VIEWS, PSF, POSES, symmetry="C1", **where)
    np.testing.assert_array_equal(sums.gram, plain.gram)
    np.testing.assert_array_equal(sums.rhs, plain.rhs)
    assert (sums.energy, sums.n_poses) == (plain.energy, plain.n_poses)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("grid", [(1, 12, 13), (9, 1, 2), (2, 3, 1), (1, 1, 1)])
def test_grids_of_few_planes(axis, grid):
    """A spline has four samples even there: none is read beyond the last."""
    half, group = np.fft.rfftn(np.random.default_rng(0).random(grid)), as_group("D3", axis)
    turned = Symmetrizer(group, (np.array(grid) - 1) / 2, grid)
    rhs, gram = turned.rhs(half.copy()), turned.gram(np.ascontiguousarray(np.abs(half)))
    assert np.isfinite(rhs).all()
    assert rhs[0, 0, 0].real == pytest.approx(6 * half[0, 0, 0].real, rel=1e-6)
    assert gram[0, 0, 0] == pytest.approx(6 * abs(half[0, 0, 0]), rel=1e-6)


@pytest.mark.parametrize("axis", AXES)
def test_threads_share_the_planes(axis):
    alone, shared = (
        fastmpr.accumulate(VIEWS, PSF, POSES, symmetry="D3", symmetry_axis=axis, workers=n) for n in (1, 5)
    )
    assert_close(shared, alone, 1e-12, 1e-12)


def test_planes_are_turned_in_blocks_that_fit_in_cache(monkeypatch):
    whole = fastmpr.accumulate(VIEWS, PSF, POSES, symmetry="C7", workers=1)
    monkeypatch.setattr(symmetrize, "_TABLE_BYTES", 1 << 18)
    assert_close(fastmpr.accumulate(VIEWS, PSF, POSES, symmetry="C7", workers=1), whole, 1e-12, 1e-12)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_is_told_before(axis, dtype):
    grid = (48, 64, 72)
    half = np.zeros((48, 64, 37), np.result_type(dtype, np.complex64))
    turned = Symmetrizer(as_group("D5", axis), (np.array(grid) - 1) / 2, grid, Team(2))
    for function, spectrum in ((turned.rhs, half), (turned.gram, half.real.copy())):
        tracemalloc.start()
        try:
            function(spectrum)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 1.2 * turned.bytes(dtype)


@pytest.mark.parametrize("axis", AXES)
def test_views_in_the_frame_of_the_model(axis):
    where = {"symmetry": "C5", "symmetry_axis": axis, "symmetry_centre": OFF}
    views = np.stack([fastmpr.average(VIEWS[i : i + 1], poses=POSES[i : i + 1]) for i in range(3)])
    sums = fastmpr.accumulate(views, PSF, POSES, frame="model", **where)
    assert_close(sums, fastmpr.accumulate(VIEWS, PSF, POSES, **where), 1e-9, 5e-3)


@pytest.mark.parametrize("frame", ["particle", "model"])
def test_averages_have_axis_and_centre_too(frame):
    views, poses = VIEWS, POSES
    copies = poses.symmetrized("D3", (1, 2, 3), OFF)
    expected = fastmpr.average(np.repeat(views, 6, axis=0), poses=copies)
    if frame == "model":
        views = np.stack([fastmpr.average(views[i : i + 1], poses=poses[i : i + 1]) for i in range(3)])
    where = {"symmetry": "D3", "symmetry_axis": (1, 2, 3), "symmetry_centre": OFF}
    mean = fastmpr.average(views, poses=poses, frame=frame, **where)
    tolerance = 1e-9 if frame == "particle" else 0.02  # resampled twice, and cut at the edge of the image
    inside = (slice(6, -6),) * 3
    np.testing.assert_allclose(mean[inside], expected[inside], rtol=0, atol=tolerance * expected.max())
    sharp = fastmpr.deconvolve_average(VIEWS[:2], PSF, POSES[:2], lam=10.0, max_iter=3, **where)
    assert sharp.shape == (24, 24, 24)


@pytest.mark.parametrize("symmetry", ["C3", "C9", "D3"])
def test_the_volume_is_that_of_all_copies(symmetry):
    """Without noise: of noise, each copy's own resampling holds another part."""
    truth = scipy.ndimage.gaussian_filter(fastmpr.phantom.centriole(24).astype(float), 0.7)
    poses = Poses.random(6, rng=3)
    views = fastmpr.simulate(truth, PSF, poses)
    n = len(poses.symmetrized(symmetry)) // len(poses)
    for lam in (30.0, 300.0):
        options = {"lam": lam, "check": False}  # the particle has that symmetry but roughly
        x = fastmpr.reconstruct(views, PSF, poses, symmetry=symmetry, **options).x
        copies = fastmpr.reconstruct(np.repeat(views, n, axis=0), PSF, poses.symmetrized(symmetry), **options).x
        assert np.abs(x - copies).max() < 0.01 * copies.max()
        assert psnr(x, truth) == pytest.approx(psnr(copies, truth), abs=0.05)


@pytest.mark.slow
def test_centrioles_gain(centrioles):
    data = fastmpr.load(centrioles / "particles", centrioles / "psf.tiff", centrioles / "poses.csv")
    truth = fastmpr.io.read(centrioles / "gt.tiff")[0]
    plain, ninefold = (fastmpr.reconstruct(data.replace(symmetry=symmetry)).x for symmetry in (None, "C9"))
    assert psnr(ninefold, truth) > psnr(plain, truth) + 1.5  # 2.6
