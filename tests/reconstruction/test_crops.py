"""Reconstruction from views that did not see all: the minimiser over what was seen, and what it is worth."""

import threading

import naive
import numpy as np
import pytest
from reconstruction.test_partial import Twin
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses
from fastmpr.metrics import psnr
from fastmpr.reconstruction import crops as module
from fastmpr.reconstruction.curvature import Curvature
from fastmpr.sums.frame import padded_shape
from fastmpr.sums.halves import half_of
from fastmpr.sums.resampling import inner

SHAPE = (24, 24, 24)
PSF = fastmpr.psf.gaussian((15, 7, 7), sigma=(3, 1, 1))


def problem(name="centriole", count=16, noise=0.05, offset=0.2, dtype=np.float32, seed=0):
    """(truth, poses, views with an offset): sigma and offset in units of the brightest voxel."""
    truth = getattr(fastmpr.phantom, name)(SHAPE, dtype=dtype)
    poses = Poses.random(count, max_translation=1.0, rng=seed)
    clean = fastmpr.simulate(truth, PSF, poses)
    peak = clean.max()
    return truth, poses, fastmpr.simulate(truth, PSF, poses, noise_sigma=noise * peak, rng=seed) + dtype(offset * peak)


def cropped(views, value=0.0, width=15, seed=0):
    """Crops of a width along y and x, each at another place, pasted into a value."""
    rng = np.random.default_rng(seed)
    crops = np.full_like(views, value)
    for view, crop in zip(views, crops, strict=True):
        y, x = rng.integers(3, 22 - width, 2)
        crop[:, y : y + width, x : x + width] = view[:, y : y + width, x : x + width]
    return crops


@pytest.fixture(scope="module")
def objectives():
    """What the objective was at each prediction, in turn, of the calls of a test."""
    patch, found, original = pytest.MonkeyPatch(), [], module._objective

    def noted(*args):
        found.append(original(*args))
        return found[-1]

    patch.setattr(module, "_objective", noted)
    yield found
    patch.undo()


@pytest.fixture(scope="module")
def small():
    """A problem whose background is known, and a lam."""
    shape = (12, 12, 12)
    truth = fastmpr.phantom.centriole(shape, dtype=np.float64)
    psf = fastmpr.psf.gaussian((5, 3, 3), sigma=(1.2, 0.7, 0.7))
    poses = Poses.random(4, rng=0)
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.03, rng=0)
    for k, view in enumerate(views):
        view[:, : 2 + k] = np.nan
        view[:, :, 9:] = np.nan
    return Dataset(views, psf, poses, background="none"), 20.0


class TestOptimality:
    @pytest.mark.slow
    def test_the_minimiser_is_that_of_an_independent_solver(self, small, monkeypatch):
        data, lam = small
        monkeypatch.setattr(module, "_MOST", 60)
        monkeypatch.setattr(module, "_ENOUGH", 1e-7)
        result = fastmpr.reconstruct(data, lam=lam, max_iter=3000, check=False)
        grid = padded_shape(data, (12, 12, 12))
        twin = Twin(data, grid)
        curvature = lam * sum(np.abs(h) ** 2 for h in twin.h).max()
        x, _ = naive.primal_dual_of(lambda x: lam * twin.slope(x), curvature, grid, 1500)
        middle = inner(grid, (12, 12, 12))
        assert np.abs(result.x - x[middle]).max() < 1e-3 * x.max()

    @pytest.mark.slow
    def test_the_objective_never_rises_but_where_it_starts_anew(self, small, objectives, monkeypatch):
        data, lam = small
        monkeypatch.setattr(module, "_MOST", 12)
        monkeypatch.setattr(module, "_ENOUGH", 0.0)
        objectives.clear()
        fastmpr.reconstruct(data, lam=lam, check=False)
        before, after = np.reshape(objectives, (-1, 2)).T
        assert len(after) == 11
        for k in range(1, len(after)):
            assert after[k] <= min(before[k], after[:k].min()) * (1 + 1e-6)

    def test_what_is_no_majoriser_is_left_when_the_objective_rises(self, small, monkeypatch):
        """With a guess that promises far too much, steps overshoot; the sums that lie above all bring them back."""
        data, lam = small
        multiply = Curvature.multiply

        def promising(self, step, gram, share, secants, out):
            if share.min() < 1:
                share = 0.02 * share
            return multiply(self, step, gram, share, (), out)

        monkeypatch.setattr(Curvature, "multiply", promising)
        found = fastmpr.reconstruct(data, lam=lam, check=False).x
        monkeypatch.undo()
        expected = fastmpr.reconstruct(data, lam=lam, check=False).x
        assert psnr(found, expected) > 25

    @pytest.mark.parametrize(("regularizer", "lam"), [("hessian", "auto"), ("tv", "auto"), ("tikhonov", 10.0)])
    def test_every_regularizer_gains(self, regularizer, lam):
        truth, poses, views = problem()
        crops = cropped(views)
        best = psnr(fastmpr.reconstruct(crops, PSF, poses, lam=lam, regularizer=regularizer).x, truth)
        dark = Dataset(crops, PSF, poses, seen="all")
        zeros = fastmpr.reconstruct(dark, lam=lam, regularizer=regularizer, check=False).x
        assert best > psnr(zeros, truth) + 2

    def test_no_lam_is_chosen_by_a_closed_form(self):
        _, poses, views = problem()
        with pytest.raises(
            ValueError, match="lam: found 'auto' with regularizer='tikhonov' and 16 views that saw a part"
        ):
            fastmpr.reconstruct(cropped(views), PSF, poses, regularizer="tikhonov")


@pytest.mark.slow
class TestWorth:
    @pytest.mark.parametrize("name", ["centriole", "nuclear_pore"])
    @pytest.mark.parametrize("noise", [0.05, 0.2])
    def test_crops_are_worth_nearly_as_much_as_whole_views(self, name, noise):
        truth, poses, views = problem(name, 30, noise)
        whole = psnr(fastmpr.reconstruct(views, PSF, poses).x, truth)
        crops = cropped(views)
        part = fastmpr.reconstruct(crops, PSF, poses)
        assert psnr(part.x, truth) > whole - 2
        zeros = fastmpr.reconstruct(Dataset(crops, PSF, poses, seen="all"), check=False)
        assert psnr(zeros.x, truth) < whole - 5

    def test_particles_that_lack_a_part_are_better_than_none(self):
        truth, poses, views = problem(count=12, noise=0.1)
        views[::3, :, 15:] = np.nan
        with_them = fastmpr.reconstruct(views, PSF, poses)
        keep = np.arange(12) % 3 != 0
        without = fastmpr.reconstruct(views[keep], PSF, poses[keep])
        assert psnr(with_them.x, truth) > psnr(without.x, truth)

    def test_lam_is_that_of_whole_views(self):
        truth, poses, views = problem(count=30, noise=0.1)
        lam = fastmpr.reconstruct(views, PSF, poses).lam
        assert lam / 2.5 < fastmpr.reconstruct(cropped(views), PSF, poses).lam < 2.5 * lam

    def test_few_views(self):
        truth, poses, views = problem(count=5, noise=0.05)
        crops = cropped(views)
        part = fastmpr.reconstruct(crops, PSF, poses)
        zeros = fastmpr.reconstruct(Dataset(crops, PSF, poses, seen="all"), check=False)
        assert psnr(part.x, truth) > psnr(zeros.x, truth) + 1

    @pytest.mark.parametrize("value", [0.0, -5.0, 1000.0])
    def test_what_they_were_pasted_into_does_not_matter(self, value):
        _, poses, views = problem()
        expected = fastmpr.reconstruct(cropped(views, np.nan), PSF, poses)
        found = fastmpr.reconstruct(cropped(views, value), PSF, poses)
        np.testing.assert_array_equal(found.x, expected.x)

    def test_an_offset_of_each_view_does_not_matter(self):
        truth, poses, views = problem()
        offsets = np.random.default_rng(0).uniform(0, 5, len(views)).astype(np.float32)[:, None, None, None]
        plain, moved = (
            fastmpr.reconstruct(cropped(v, np.nan), PSF, poses, lam=100.0).x for v in (views, views + offsets)
        )
        assert psnr(moved, plain) > 60

    @pytest.mark.parametrize("crop", [False, True])
    def test_a_background_that_is_given_is_taken_off(self, crop):
        _, poses, views = problem(offset=0.0)
        offsets = np.random.default_rng(0).uniform(0, 5, len(views)).astype(np.float32)
        moved = views + offsets[:, None, None, None]
        if crop:
            views, moved = cropped(views, np.nan), cropped(moved, np.nan)
        plain = fastmpr.reconstruct(Dataset(views, PSF, poses, background="none"), lam=100.0)
        given = fastmpr.reconstruct(Dataset(moved, PSF, poses, background=offsets), lam=100.0)
        assert psnr(given.x, plain.x) > 60

    @pytest.mark.parametrize("crop", [False, True])
    def test_a_background_that_rises(self, crop):
        truth, poses, views = problem(offset=0.0)
        slopes = np.random.default_rng(0).uniform(-1, 1, (16, 3, 1, 1, 1)).astype(np.float32) * views.max() / 24
        rising = views + (slopes * np.indices(SHAPE)).sum(axis=1, dtype=np.float32)
        if crop:
            rising = cropped(rising, np.nan)
        plane = fastmpr.reconstruct(Dataset(rising, PSF, poses, background="plane")).x
        with pytest.warns(FastmprWarning, match="does not fit"):
            level = fastmpr.reconstruct(Dataset(rising, PSF, poses, background=0.0)).x
        assert psnr(plane, truth) > psnr(level, truth) + 3


class TestEnds:
    def test_the_message_says_what_was_done(self):
        _, poses, views = problem()
        result = fastmpr.reconstruct(cropped(views), PSF, poses)
        assert result.success
        assert "predictions for 16 views that saw a part" in result.message

    def test_voxels_that_nobody_saw_are_counted(self):
        _, poses, views = problem(count=3)
        views[:, :, :, 12:] = np.nan
        still = Poses(poses[:1].rotation[[0, 0, 0]])
        result = fastmpr.reconstruct(views, PSF, still, check=False)
        assert "voxels that no view saw come from the prior" in result.message

    def test_max_iter_holds(self):
        _, poses, views = problem()
        result = fastmpr.reconstruct(cropped(views), PSF, poses, lam=100.0, max_iter=25)
        assert (result.nit, result.success) == (25, False)
        assert "max_iter = 25" in result.message

    def test_a_cancelled_call_has_the_volume_so_far(self):
        _, poses, views = problem()
        cancel, seen = threading.Event(), []

        def callback(result):
            seen.append(result.nit)
            if len(seen) == 50:
                cancel.set()

        result = fastmpr.reconstruct(cropped(views), PSF, poses, lam=100.0, callback=callback, cancel=cancel)
        assert not result.success
        assert result.message.startswith("cancelled")
        assert result.x.max() > 0

    def test_the_same_bits_every_time(self):
        _, poses, views = problem()
        crops = cropped(views)
        before = crops.copy()
        first, second = (fastmpr.reconstruct(crops, PSF, poses, workers=2) for _ in range(2))
        np.testing.assert_array_equal(first.x, second.x)
        np.testing.assert_array_equal(crops, before)

    def test_views_of_which_nothing_was_seen_are_left_out(self):
        _, poses, views = problem()
        crops = cropped(views, np.nan)
        crops[3] = np.nan
        with pytest.warns(FastmprWarning, match=r"no seen voxel in particles\[3\]: left out"):
            found = fastmpr.reconstruct(crops, PSF, poses, lam=100.0)
        keep = np.arange(16) != 3
        expected = fastmpr.reconstruct(crops[keep], PSF, poses[keep], lam=100.0)
        assert psnr(found.x, expected.x) > 60

    def test_nothing_seen_at_all_is_an_error(self):
        _, poses, views = problem(count=3)
        with pytest.raises(ValueError, match="particles: found no seen voxel in any of 3"):
            fastmpr.reconstruct(np.full_like(views, np.nan), PSF, poses)


class TestBaselines:
    def test_an_average_is_over_the_views_that_saw_a_voxel(self):
        _, poses, views = problem(offset=0.0)
        crops = cropped(views, np.nan)
        found, whole = fastmpr.average(crops, poses=poses), fastmpr.average(views, poses=poses)
        zeros = fastmpr.average(Dataset(np.nan_to_num(crops), poses=poses, seen="all"))
        centre = (slice(8, 16),) * 3
        assert psnr(found[centre], whole[centre]) > psnr(zeros[centre], whole[centre]) + 3

    def test_views_deconvolved_alone_know_what_they_saw(self):
        truth, poses, views = problem(count=6)
        crops = cropped(views)
        found = fastmpr.deconvolve_average(crops, PSF, poses)
        zeros = fastmpr.deconvolve_average(Dataset(crops, PSF, poses, seen="all"))
        assert psnr(found, truth) > psnr(zeros, truth) + 1


class TestNeighbours:
    """Every view shows a part of another particle, elsewhere in each."""

    @pytest.fixture(scope="class")
    @staticmethod
    def crowded():
        truth, poses, views = problem(count=24, offset=0.0)
        for k, view in enumerate(views):  # at one corner of the image or another
            corner = view[:, :6, :6] if k % 2 else view[:, -6:, -6:]
            corner += views.max()
        return truth, poses, views

    def test_nothing_beyond_a_radius_is_used(self, crowded):
        truth, poses, views = crowded
        options = {"background": "none", "check": False}  # some of them reach into the ball
        plain = fastmpr.reconstruct(views, PSF, poses, outside="dark", **options)
        within = fastmpr.reconstruct(views, PSF, poses, radius=11.0, **options)
        ball = np.linalg.norm(np.indices(SHAPE) - 11.5, axis=0) < 10
        assert psnr(within.x * ball, truth * ball) > psnr(plain.x * ball, truth * ball) + 1

    def test_a_radius_beyond_everything_changes_little(self):
        truth, poses, views = problem()
        with pytest.warns(FastmprWarning, match=r"radius: found 100 .*, whose corners are 20\.78"):
            far = fastmpr.reconstruct(Dataset(views, PSF, poses, radius=100.0), lam=100.0)
        assert psnr(far.x, truth) > psnr(fastmpr.reconstruct(views, PSF, poses, lam=100.0).x, truth) - 0.5

    @pytest.mark.parametrize("radius", [0, -1, np.nan, "far"])
    def test_bad_ones(self, radius):
        with pytest.raises((ValueError, TypeError), match="radius: found"):
            Dataset(np.ones((1, 4, 4, 4)), radius=radius)


def test_simulated_crops_are_views_with_the_rest_unseen():
    truth, poses, _ = problem(count=3)
    boxes = np.array([[[0, 24], [3, 10], [5, 24]], [[0, 24]] * 3, [[23, 24]] * 3])
    whole, crops = (fastmpr.simulate(truth, PSF, poses, noise_sigma=0.1, rng=0, boxes=b) for b in (None, boxes))
    for view, crop, box in zip(whole, crops, boxes, strict=True):
        inside = np.zeros(SHAPE, bool)
        inside[tuple(slice(*side) for side in box)] = True
        np.testing.assert_array_equal(crop, np.where(inside, view, np.nan))


class TestGains:
    @pytest.mark.parametrize("crop", [False, True])
    def test_they_are_found_up_to_a_common_factor(self, crop):
        truth, poses, views = problem(count=21, noise=0.05)
        gains = np.exp(np.random.default_rng(0).normal(0, 0.5, 21)).astype(np.float32)
        moved = gains[:, None, None, None] * views
        if crop:
            moved = cropped(moved, np.nan)
        fitted = fastmpr.reconstruct(Dataset(moved, PSF, poses, gain="fit"))
        same = fastmpr.reconstruct(Dataset(moved, PSF, poses))
        given = fastmpr.reconstruct(Dataset(moved, PSF, poses, gain=gains / np.median(gains)))
        assert psnr(fitted.x, truth) > psnr(given.x, truth) - 0.5
        assert psnr(fitted.x, truth) > psnr(same.x, truth) + 1
        assert fitted.x.max() == pytest.approx(given.x.max(), rel=0.1)

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["noise", "neighbour", "bleached"])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_a_view_that_does_not_match_does_no_harm(self, kind, seed):
        truth, poses, views = problem(count=16)
        rng, peak = np.random.default_rng(seed), views.max() / 1.2
        if kind == "noise":
            views[3] = rng.normal(0.2 * peak, 0.05 * peak, SHAPE)
        elif kind == "neighbour":
            views[3] = np.roll(views[5 + seed], (7, -8), (0, 2))
        else:
            views[3:6] = 0.03 * (views[3:6] - 0.2 * peak) + rng.normal(0.2 * peak, 0.05 * peak, (3, *SHAPE))
        fitted, same = (
            fastmpr.reconstruct(Dataset(views, PSF, poses, gain=gain), check=False) for gain in ("fit", "same")
        )
        assert psnr(fitted.x, truth) > psnr(same.x, truth) - 0.3

    @pytest.mark.parametrize("when", ["gains", "particles"])
    def test_a_call_that_ends_before_they_are_fitted_has_the_first_volume(self, when):
        _, poses, views = problem()
        cancel, told = threading.Event(), []

        def progress(what, done, total):
            told.append(what)
            if what == when and (what == "gains" or "gains" in told):
                cancel.set()

        result = fastmpr.reconstruct(Dataset(views, PSF, poses, gain="fit"), progress=progress, cancel=cancel)
        assert (result.success, result.message.rpartition("; ")[2]) == (False, "gains not fitted")
        np.testing.assert_array_equal(result.x, fastmpr.reconstruct(views, PSF, poses).x)

    def test_a_callback_ends_the_call(self):
        _, poses, views = problem()
        calls = []

        def callback(result):
            calls.append(result.nit)
            if len(calls) == 10:
                raise StopIteration

        result = fastmpr.reconstruct(Dataset(views, PSF, poses, gain="fit"), lam=100.0, callback=callback)
        assert (len(calls), result.nit) == (10, 10)

    def test_a_view_deconvolved_alone_has_none(self):
        _, poses, views = problem(count=2)
        with pytest.raises(ValueError, match="gain: found 'fit', which needs a volume of all views"):
            fastmpr.deconvolve_average(Dataset(views, PSF, poses, gain="fit"))

    def test_where_they_are_the_same_nothing_is_lost(self):
        truth, poses, views = problem(count=21, noise=0.1)
        fitted, same = (fastmpr.reconstruct(Dataset(views, PSF, poses, gain=gain)) for gain in ("fit", "same"))
        assert psnr(fitted.x, truth) > psnr(same.x, truth) - 0.1

    @pytest.mark.parametrize("gain", ["much", [1, 2], np.zeros(4), -np.ones(4), np.full(4, np.nan)])
    def test_bad_ones(self, gain):
        with pytest.raises(ValueError, match="gain: found"):
            Dataset(np.ones((4, 4, 4, 4)), gain=gain)


class TestOddSets:
    """What a review found to go wrong."""

    @pytest.mark.slow
    @pytest.mark.parametrize("workers", [2, 3])
    def test_a_crew_of_several_and_views_of_which_nothing_was_seen(self, workers, monkeypatch):
        monkeypatch.setattr("fastmpr.sums.accumulator.crew_count", lambda *_: 1)
        _, poses, views = problem(count=12)
        crops = cropped(views, np.nan)
        crops[[0, 3, 4, 7, 11]] = np.nan
        keep = np.isfinite(crops).any(axis=(1, 2, 3))
        expected = fastmpr.reconstruct(crops[keep], PSF, poses[keep], lam=100.0, workers=1)
        for _ in range(10):
            with pytest.warns(FastmprWarning, match="left out"):
                found = fastmpr.reconstruct(crops, PSF, poses, lam=100.0, workers=workers)
            assert psnr(found.x, expected.x) > 60

    def test_halves_are_dealt_anew_where_nothing_was_seen_of_one(self):
        truth, poses, views = problem(count=24, noise=0.1)
        seen = half_of(Dataset(views, PSF, poses), np.arange(24), 6) == 1
        views[~seen] = np.nan
        with pytest.warns(FastmprWarning, match=r"left out \(12 of 24\)"):
            found = fastmpr.reconstruct(views, PSF, poses)
        expected = fastmpr.reconstruct(views[seen], PSF, poses[seen])
        assert found.lam == pytest.approx(expected.lam)
        np.testing.assert_array_equal(found.x, expected.x)

    def test_views_of_which_nothing_was_seen_do_not_count(self):
        _, poses, views = problem(count=20, noise=0.1)
        crops = cropped(views, np.nan)
        more = np.concatenate([crops, np.full_like(crops, np.nan)])
        both = Poses(poses.rotation[np.tile(np.arange(20), 2)], np.tile(poses.translation, (2, 1)))
        with pytest.warns(FastmprWarning, match=r"left out \(20 of 40\)"):
            found = fastmpr.reconstruct(more, PSF, both)
        assert found.lam == pytest.approx(fastmpr.reconstruct(crops, PSF, poses).lam, rel=0.02)
        assert "voxels that no view saw" in found.message

    @pytest.mark.parametrize("count", [5, 16])
    @pytest.mark.parametrize("weight", [0.01, 100.0])
    def test_weights_scale_lam(self, count, weight):
        _, poses, views = problem(count=count)
        crops = cropped(views, np.nan)
        plain = fastmpr.reconstruct(crops, PSF, poses)
        weighed = fastmpr.reconstruct(crops, PSF, poses, weights=np.full(count, weight))
        assert weighed.lam * weight == pytest.approx(plain.lam, rel=0.05)
        assert psnr(weighed.x, plain.x) > 40

    @pytest.mark.parametrize("regularizer", ["hessian", "tv"])
    def test_little_noise(self, regularizer):
        truth, poses, views = problem(count=16, noise=0.01)
        whole = fastmpr.reconstruct(views, PSF, poses, regularizer=regularizer)
        part = fastmpr.reconstruct(cropped(views), PSF, poses, regularizer=regularizer)
        assert part.lam < 4 * whole.lam
        assert psnr(part.x, truth) > psnr(whole.x, truth) - 4

    @pytest.mark.parametrize("symmetry", ["C3", "C9", "D9"])
    @pytest.mark.parametrize("count", [6, 16])
    def test_symmetric_particles(self, symmetry, count):
        truth, poses, views = problem(count=count)
        options = {"symmetry": symmetry, "check": False}  # which the particle has but roughly
        whole = fastmpr.reconstruct(views, PSF, poses, **options)
        part = fastmpr.reconstruct(cropped(views), PSF, poses, **options)
        assert psnr(part.x, truth) > psnr(whole.x, truth) - 3.5
        assert part.x.max() < 1.3 * whole.x.max()

    @pytest.mark.parametrize(("symmetry", "lam"), [("D9", 300.0), ("C4", 3000.0)])
    def test_the_rounds_of_a_symmetric_particle_do_not_diverge(self, symmetry, lam, monkeypatch):
        monkeypatch.setattr(module, "_MOST", 25)
        truth, poses, views = problem(count=8)
        found = fastmpr.reconstruct(cropped(views), PSF, poses, symmetry=symmetry, lam=lam, check=False)
        monkeypatch.undo()
        few = fastmpr.reconstruct(cropped(views), PSF, poses, symmetry=symmetry, lam=lam, check=False)
        assert psnr(found.x, truth) > psnr(few.x, truth) - 1

    def test_a_view_that_misses_the_model_is_not_dark(self):
        truth, poses, views = problem(count=12)
        crops = cropped(views, np.nan)
        crops[6:] = np.nan
        crops[6:, :3, :3, :3] = views[6:, :3, :3, :3]  # a corner, beyond a small model
        with pytest.warns(FastmprWarning, match="no seen voxel in"):
            found = fastmpr.reconstruct(crops, PSF, poses, lam=100.0, shape=10)
        alone = fastmpr.reconstruct(crops[:6], PSF, poses[:6], lam=100.0, shape=10)
        core = truth[(slice(7, 17),) * 3]
        assert psnr(found.x, core) > psnr(alone.x, core) - 1

    def test_a_radius_within_which_nothing_lies_is_an_error(self):
        _, poses, views = problem(count=4)
        with pytest.raises(ValueError, match=r"no seen voxel within the radius of 0\.2 \(in voxel\)"):
            fastmpr.reconstruct(views, PSF, poses, radius=0.2, lam=100.0)

    def test_deconvolve_average_skips_what_saw_nothing(self):
        _, poses, views = problem(count=4)
        views[1] = np.nan
        with pytest.warns(FastmprWarning, match=r"particles\[1\]: left out"):
            found = fastmpr.deconvolve_average(views, PSF, poses, lam=10.0)
        keep = [0, 2, 3]
        np.testing.assert_allclose(
            found, fastmpr.deconvolve_average(views[keep], PSF, poses[keep], lam=10.0), atol=1e-6
        )

    def test_masks_and_other_voxels(self):
        truth, poses, views = problem(count=4)
        masks = [np.random.default_rng(k).random((12, 24, 24)) > 0.1 for k in range(4)]
        options = {"voxel_size": (0.2, 0.1, 0.1), "psf_voxel_size": 0.1, "seen": masks}
        assert fastmpr.deconvolve_average(views[:, ::2], PSF, poses, lam=10.0, **options).shape == SHAPE

    def test_a_call_cancelled_early_has_a_volume_once_there_is_one(self):
        _, poses, views = problem()
        cancel, seen = threading.Event(), []

        def callback(result):
            seen.append(result.nit)
            if len(seen) == 10:
                cancel.set()

        result = fastmpr.reconstruct(cropped(views), PSF, poses, callback=callback, cancel=cancel)
        assert (result.success, result.message.partition(" ")[0]) == (False, "cancelled")
        assert result.x.max() > 0

    def test_max_iter_holds_for_a_closed_form_too(self):
        _, poses, views = problem()
        result = fastmpr.reconstruct(cropped(views), PSF, poses, lam=10.0, regularizer="tikhonov", max_iter=3)
        assert not result.success
        assert "max_iter = 3" in result.message


def test_a_lam_far_too_high_does_not_run_away():
    """What is guessed of unseen places follows x as it is: followed as clipped at 0, light there grew in every iteration."""
    psf = fastmpr.psf.born_wolf((25, 21, 21), voxel_size=0.1, wavelength=0.52, na=1.2, refractive_index=1.33)
    truth, poses = fastmpr.phantom.nuclear_pore(20), Poses.random(1, rng=0)
    view = fastmpr.simulate(truth, psf, poses, noise_sigma=0.01, rng=1)
    found = fastmpr.reconstruct(view, psf, poses, outside="unseen", lam=2.0**20, workers=1)
    assert found.x.max() < 3 * truth.max()


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_what_backgrounds_change_is_no_curvature():
    """Four lines of noise under a weak PSF, whose backgrounds move between predictions more than the light does."""
    views = [
        [100.69, 100.36, 100.52, 100.99, 100.08, 100.90],
        [100.60, 100.70, 100.18, 100.80, 100.89, 100.68],
        [100.18, 100.59, 100.68, 100.89, 100.88, 100.23],
        [100.91, 100.63, 100.99, 100.14, 100.29, 101.00],
    ]
    turns = [
        (-0.42, -0.75, 0.42, -0.28),
        (-0.95, 0.23, 0.22, 0.07),
        (0.62, 0.38, 0.68, -0.07),
        (-0.89, 0.4, -0.19, -0.07),
    ]
    particles, psf = np.array(views, np.float32)[:, None, None], np.array([[[0.03, 0.29]], [[0.01, 0.95]]])
    data = Dataset(particles, psf, Poses(Rotation.from_quat(turns)), outside="unseen", weights=[1e-3, 1e-3, 5, 1])
    result = fastmpr.reconstruct(data, workers=1)  # ended with NaN
    assert 0 < result.x.max() < 3


@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 5, 5)])
def test_views_of_one_value_are_dark(shape):
    """All is background, and no noise is left to tell lam."""
    poses = Poses.random(6, rng=0)
    data = Dataset(np.ones((6, *shape), np.float32), np.ones((1, 1, 1)), poses, outside="unseen", seen="all")
    assert not fastmpr.reconstruct(data, workers=1).x.any()
