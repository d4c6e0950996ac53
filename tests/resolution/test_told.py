"""The resolution told by two halves: against the truth, and against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.quality.shells import Shells
from fastmpr.regularizers import as_regularizer
from fastmpr.resolution.evidence import Comparison, Evidence, cell_axes, cones
from fastmpr.resolution.halves import Halves, solved
from fastmpr.resolution.told import period_told, told, told_curve
from fastmpr.solver.options import Run

PSF = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1.2, 1.2))


def views_of(truth, count, sigma, seed=0, **options):
    poses = fastmpr.Poses.random(count, rng=seed, max_translation=1)
    views = fastmpr.simulate(truth, PSF, poses, noise_sigma=sigma, rng=seed)
    return fastmpr.Dataset(views, PSF, poses, **options)


def halves_of(data, lam=300.0):
    sums = [fastmpr.accumulate(data[k::2]) for k in (0, 1)]
    return solved(sums, lam, as_regularizer("hessian"), Run(), len(data.group))


@pytest.fixture(scope="module")
def centriole():
    return fastmpr.phantom.centriole((28, 28, 28))


@pytest.fixture(scope="module")
def data(centriole):
    return views_of(centriole, 12, 0.05)


def test_the_whole_corresponds_to_the_definition(data):
    """Every product over the whole spectrum, on a grid that is the model: no cropping, no half spectrum."""
    halves = halves_of(data)
    shape = halves.sums[0].shape
    padded = [np.pad(x, [(0, m - n) for m, n in zip(shape, x.shape, strict=True)]) for x in halves.volumes]
    sums = [fastmpr.NormalEquations(s.gram, s.rhs, s.energy, s.n_poses, shape, s.voxel_size) for s in halves.sums]
    evidence = Comparison(Halves((sums[0], sums[1]), (padded[0], padded[1]), 1), 1).evidence()

    f = np.linalg.norm(np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij"), axis=0)
    shell = np.rint(f * np.prod(shape) ** (1 / 3)).astype(int)
    whole = [(full(s.gram, shape).real, full(s.rhs, shape)) for s in sums]
    means, frequency = [], by_shell(shell, f) / by_shell(shell, np.ones(shape))
    for gram in (whole[0][0], whole[1][0], whole[0][0] + whole[1][0]):
        means.append(np.interp(f, frequency, by_shell(shell, gram) / by_shell(shell, np.ones(shape))))
    passed = [mean > 1e-6 * mean.max() for mean in means]
    d = [
        np.where(p, 2 * b / np.maximum(s + m, 1e-30), 0)
        for (s, b), m, p in zip(whole, means[:2], passed[:2], strict=True)
    ]
    x = [np.fft.fftn(volume) for volume in padded]
    root = np.sqrt(np.clip(whole[1][0] / np.maximum(whole[0][0], 1e-30), 0.01, 100))
    null = root * whole[0][1] - whole[1][1] / root
    null = np.where(passed[2], 2 * null / np.maximum(whole[0][0] + whole[1][0] + means[2], 1e-30), 0)
    expected = {
        "signal": (d[0].conj() * d[1]).real,
        "cross": ((x[0].conj() * d[1]) + (x[1].conj() * d[0])).real / 2,
        "power": (np.abs(x[0]) ** 2 + np.abs(x[1]) ** 2) / 2,
        "noise": np.abs(null) ** 2,
    }
    for name, values in expected.items():
        one = by_shell(shell, values)
        np.testing.assert_allclose(getattr(evidence, name), one, rtol=2e-3, atol=1e-4 * one.max(), err_msg=name)


def full(half, shape):
    """The whole spectrum of which half is kept, frequency by frequency."""
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    mirrored = x > shape[2] // 2
    at = (
        np.where(mirrored, -z % shape[0], z),
        np.where(mirrored, -y % shape[1], y),
        np.where(mirrored, -x % shape[2], x),
    )
    return np.where(mirrored, half[at].conj(), half[at])


def by_shell(shell, values):
    return np.bincount(shell.ravel(), values.ravel().astype(float))


@pytest.mark.parametrize("sigma, count", [(0.03, 10), (0.1, 30), (0.2, 60)])
@pytest.mark.parametrize("name", ["centriole", "nuclear_pore"])
def test_it_is_told_within_a_fifth(name, sigma, count):
    truth = getattr(fastmpr.phantom, name)((32, 32, 32))
    result = fastmpr.reconstruct(views_of(truth, count, sigma, seed=count), assess=True, check=False)
    true = 1 / fastmpr.fsc(result.x, truth).crossing(0.5)
    assert 0.95 * true < result.resolution < 1.25 * true  # a period: larger is worse


def test_more_noise_is_worse_resolved(centriole):
    periods = [
        fastmpr.reconstruct(views_of(centriole, 20, sigma), assess=True, check=False).resolution
        for sigma in (0.02, 0.1, 0.5)
    ]
    assert periods[0] < periods[1] < periods[2]


def test_noise_alone_is_not_resolved():
    rng = np.random.default_rng(0)
    data = fastmpr.Dataset(
        rng.standard_normal((20, 24, 24, 24)), PSF, fastmpr.Poses.random(20, rng=0), background="none"
    )
    result = fastmpr.reconstruct(data, lam=1.0, assess=True, check=False)
    assert result.resolution > 10


def test_the_answer_turns_with_the_model(centriole, data):
    """The same views in poses of a turned model tell the same resolution."""
    turn = Rotation.from_rotvec([0.3, -0.5, 0.8])
    one = fastmpr.reconstruct(data, lam=300.0, assess=True, check=False)
    other = fastmpr.reconstruct(data.replace(poses=data.poses.moved(turn)), lam=300.0, assess=True, check=False)
    assert abs(one.resolution / other.resolution - 1) < 0.08


def test_the_gain_does_not_matter(data):
    one = fastmpr.reconstruct(data, lam=300.0, assess=True, check=False)
    images = [50 * np.asarray(data.source.view(i)[0]) for i in range(len(data))]
    other = fastmpr.reconstruct(images, PSF, data.poses, lam=6.0, assess=True, check=False)
    assert other.resolution == pytest.approx(one.resolution, rel=1e-3)


def test_it_is_told_in_the_unit_of_the_voxel_size(data):
    one = fastmpr.reconstruct(data, lam=300.0, assess=True, check=False)
    images = [np.asarray(data.source.view(i)[0]) for i in range(len(data))]
    poses = fastmpr.Poses(data.poses.rotation, 0.1 * data.poses.translation, unit="um")
    other = fastmpr.reconstruct(images, PSF, poses, voxel_size=0.1, lam=300.0, assess=True, check=False)
    assert other.resolution == pytest.approx(0.1 * one.resolution, rel=0.05)  # the halves are others


def test_a_symmetric_particle_counts_its_noise_once(centriole):
    data = views_of(centriole, 12, 0.1, symmetry="C9")
    result = fastmpr.reconstruct(data, assess=True, check=False)
    true = 1 / fastmpr.fsc(result.x, centriole).crossing(0.5)
    assert 0.95 * true < result.resolution < 1.4 * true
    halves = halves_of(data, result.lam)
    assert halves.order == 9
    assert period_told(told(halves, 1)) < period_told(told(halves._replace(order=81), 1))  # fewer frequencies count


def test_views_that_saw_a_part_tell_it_too(centriole, data):
    rng, views = np.random.default_rng(0), []
    for i in range(len(data)):
        view = np.array(data.source.view(i)[0])
        view[:, : rng.integers(0, 7)] = np.nan
        views.append(view)
    result = fastmpr.reconstruct(fastmpr.Dataset(views, PSF, data.poses), assess=True, check=False)
    true = 1 / fastmpr.fsc(result.x, centriole).crossing(0.5)
    assert 0.87 * true < result.resolution < 1.3 * true


def test_cells_put_together_are_the_shells(data):
    comparison = Comparison(halves_of(data), 1)
    shells, cells = comparison.evidence(), comparison.evidence(in_cells=True)
    for name, values in vars(shells).items():
        np.testing.assert_allclose(vars(cells)[name].sum(axis=0), values, rtol=1e-6, atol=1e-9 * np.abs(values).max())
    assert isinstance(cells.merged(np.ones((1, len(cell_axes())))), Evidence)
    members = cones(np.eye(3), 40).sum(axis=1) / len(cell_axes())
    np.testing.assert_allclose(members, 1 - np.cos(np.radians(40)), atol=0.02)  # the share of a sphere in a double cone


def test_a_told_curve_never_exceeds_one_and_begins_there(data):
    halves = halves_of(data)
    curve = told(halves, 1)
    known = curve.correlation[np.isfinite(curve.correlation)]
    assert known[:2].tolist() == [1, 1]
    assert known.min() >= 0 and known.max() <= 1
    assert len(curve.frequency) == len(Shells(halves.sums[0].model_shape, (1, 1, 1)))


def test_a_curve_that_never_falls_tells_the_corner():
    ones = np.full(12, 1e4)
    perfect = Evidence(ones, ones, ones, ones, 1e-12 * ones, ones, ones, ones)
    frequency = np.linspace(0, 0.8, 12)
    assert period_told(told_curve(perfect, frequency, 1)) == pytest.approx(1 / 0.8)


@pytest.mark.parametrize("count", [2, 3])
def test_too_few_views_are_told_and_left_out(centriole, count):
    with pytest.warns(fastmpr.FastmprWarning, match=f"^assess: found {count} views, or copies of so few, need 4"):
        result = fastmpr.reconstruct(views_of(centriole, count, 0.05), lam=300.0, assess=True, check=False)
    assert result.resolution is None and result.curve is None


def test_without_assess_nothing_changes(data):
    plain, told_too = (fastmpr.reconstruct(data, assess=flag, check=False) for flag in (False, True))
    assert plain.resolution is None and told_too.resolution > 0
    np.testing.assert_array_equal(plain.x, told_too.x)
    assert plain.lam == told_too.lam
