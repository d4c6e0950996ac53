"""Poses against a volume, and from particles alone: errors beside the true poses, whatever the data set is like."""

import threading
import warnings

import numpy as np
import pytest
from particles_alone import PSF, SHAPE, TRUTH, particle, views_of
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Cancelled, Dataset, FastmprWarning, Poses
from fastmpr.alignment.coarse import spread_rotations
from fastmpr.alignment.relatives import moments, relatives
from fastmpr.alignment.scores import contrasts, fitting, precisions, score_of
from fastmpr.metrics import psnr

IDENTITY = np.eye(3)[np.newaxis]


def degrees(found, poses, group=IDENTITY):
    """The angle between found and true rotations, modulo a group."""
    turned = np.einsum("nij,gjk->ngik", poses.matrix, group)
    traces = np.einsum("ngij,nij->ng", turned, found.matrix).max(axis=1)
    return np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))


def lengths(found, poses):
    return np.linalg.norm(found.translation - poses.translation, axis=1)


def in_frame_of(found, poses):
    """Found poses in the frame of the true ones: turned and shifted as most of them say."""
    turns = Rotation.from_matrix(poses.matrix.transpose(0, 2, 1) @ found.matrix)
    near = [np.median((turns * turn.inv()).magnitude()) for turn in turns]
    close = (turns * turns[int(np.argmin(near))].inv()).magnitude() < np.radians(5)
    moved = found.moved(turns[close].mean())
    offset = (moved.translation - poses.translation)[close].ravel()
    shift = np.linalg.lstsq(moved.matrix[close].reshape(-1, 3), offset, rcond=None)[0]
    return moved.moved(shift=shift)


class TestAlign:
    def test_everywhere(self):
        views, poses = views_of(6)
        found = fastmpr.align(Dataset(views, PSF), TRUTH)
        assert degrees(found.poses, poses).max() < 2 and lengths(found.poses, poses).max() < 0.2
        assert found.scores.shape == (6,) and found.scores.min() > 0.8

    def test_near_poses_that_are_known(self):
        views, poses = views_of(6)
        wrong = Poses(poses.rotation * Rotation.from_rotvec([0.1, -0.1, 0.08]), poses.translation + [0.8, -0.8, 0.5])
        found = fastmpr.align(Dataset(views, PSF, wrong), TRUTH, search="local")
        assert degrees(found.poses, poses).max() < 2 and lengths(found.poses, poses).max() < 0.2

    def test_offset_and_gain_of_a_view_do_not_count(self):
        views, _ = views_of(4)
        plain, other = (
            fastmpr.align(Dataset(part, PSF, background="none", outside="dark"), TRUTH)
            for part in (views, 3 * views + 7)
        )
        assert degrees(other.poses, plain.poses).max() < 0.05
        np.testing.assert_allclose(other.scores, plain.scores, atol=1e-3)

    @pytest.mark.parametrize("symmetry", ["C8", "D2"])
    def test_of_a_symmetric_particle_one_pose_is_found(self, symmetry):
        group = Dataset(np.zeros((1, *SHAPE)), symmetry=symmetry).group
        turned = [ndimage.affine_transform(TRUTH, g, 11.5 - g @ np.full(3, 11.5), order=1) for g in group]
        truth = np.mean(turned, axis=0)
        views, poses = views_of(5, noise=0.02 * truth.max(), truth=truth)
        found = fastmpr.align(Dataset(views, PSF, symmetry=symmetry), truth)
        assert degrees(found.poses, poses, group).max() < 3

    def test_voxels_that_are_not_cubes_in_micrometres(self):
        poses = Poses.random(5, max_translation=0.2, rng=1)
        sizes = {"voxel_size": (0.2, 0.1, 0.1), "psf_voxel_size": 0.1}
        views = fastmpr.simulate(
            TRUTH, PSF, poses, noise_sigma=0.03, rng=1, model_voxel_size=0.1, shape=(12, 26, 25), **sizes
        )
        found = fastmpr.align(Dataset(views, PSF, **sizes), TRUTH)
        assert degrees(found.poses, poses).max() < 3 and lengths(found.poses, poses).max() < 0.03
        assert found.poses.unit == "um"

    def test_a_psf_for_each_group(self):
        wide = fastmpr.psf.gaussian((25, 9, 9), sigma=(3.5, 1.3, 1.3))
        poses = Poses.random(6, max_translation=1, rng=2)
        views = np.concatenate(
            [
                fastmpr.simulate(TRUTH, psf, part, noise_sigma=0.02, rng=2)
                for psf, part in ((PSF, poses[:3]), (wide, poses[3:]))
            ]
        )
        found = fastmpr.align(Dataset(views, [PSF, wide], psf_of=[0, 0, 0, 1, 1, 1]), TRUTH)
        assert degrees(found.poses, poses).max() < 3

    def test_what_was_not_seen_is_predicted(self):
        views, poses = views_of(8, noise=0.02, reach=1)
        views[:, :, :, 15:] = np.nan
        found = fastmpr.align(Dataset(views, PSF, background="none"), TRUTH)
        assert np.median(degrees(found.poses, poses)) < 2 and np.median(lengths(found.poses, poses)) < 0.25

    def test_views_that_weigh_or_saw_nothing_are_left_out(self):
        views, poses = views_of(4)
        views[1] = np.nan
        with pytest.warns(FastmprWarning, match=r"1 of 3 cannot be used .* particles\[1\]: found no seen voxel"):
            found = fastmpr.align(Dataset(views, PSF, weights=[1, 1, 0, 1]), TRUTH)
        assert np.isnan(found.scores).tolist() == [False, True, True, False]
        assert degrees(found.poses, poses)[[0, 3]].max() < 2

    def test_neighbours_beyond_the_radius_do_not_count(self):
        views, poses = views_of(8, noise=0.02)
        wide, beside = (np.pad(part, ((0, 0), (6, 6), (6, 6), (6, 6))) for part in (views, views_of(8, seed=5)[0]))
        data = Dataset(wide + 3 * np.roll(beside, 18, axis=3), PSF, radius=11, background="none", outside="dark")
        assert np.median(degrees(fastmpr.align(data, TRUTH).poses, poses)) < 4
        assert np.median(degrees(fastmpr.align(data.replace(radius=None), TRUTH).poses, poses)) > 20

    def test_a_background_that_rises_is_taken_off(self):
        views, poses = views_of(8, noise=0.02)
        slope = 0.3 * np.linspace(-1, 1, 24, dtype=np.float32)
        found = fastmpr.align(Dataset(views + slope, PSF), TRUTH)
        assert degrees(found.poses, poses).max() < 3

    def test_a_particle_of_weight_zero_is_never_read(self):
        class Torn(list):
            def __getitem__(self, i):
                assert i != 2
                return super().__getitem__(i)

        views, poses = views_of(6)
        data = Dataset(Torn(views), PSF, poses, weights=[1, 1, 0, 1, 1, 1])
        assert np.isnan(fastmpr.align(data, TRUTH, search="local").scores[2])
        result = fastmpr.refine(data)
        np.testing.assert_allclose(result.poses.matrix[2], poses.matrix[2])
        assert np.isnan(fastmpr.ab_initio(data).scores[2])

    def test_the_two_fold_axis_stays(self):
        views, poses = views_of(4, noise=0.02)
        given = Poses(poses.rotation, poses.translation, two_fold="x")
        assert fastmpr.align(Dataset(views, PSF, given), TRUTH, search="local").poses.two_fold == "x"
        assert fastmpr.refine(Dataset(views, PSF, given)).poses.two_fold == "x"

    def test_noise_and_other_particles_score_less(self):
        views, _ = views_of(6)
        views[0] = np.random.default_rng(0).normal(size=SHAPE) * views.std()
        views[1] = views_of(1, truth=particle(seed=3))[0]
        scores = fastmpr.align(Dataset(views, PSF), TRUTH).scores
        assert scores[:2].max() < scores[2:].min() - 0.05

    def test_threads_and_the_order_of_views_change_nothing(self):
        views, _ = views_of(5)
        one, two = (fastmpr.align(Dataset(part, PSF), TRUTH, workers=n) for part, n in ((views, 1), (views[::-1], 3)))
        np.testing.assert_allclose(two.poses.matrix[::-1], one.poses.matrix, atol=1e-5)


@pytest.fixture(scope="module")
def found():
    """(data set, true poses, what is found from particles alone)"""
    views, poses = views_of(12)
    return Dataset(views, PSF), poses, fastmpr.ab_initio(Dataset(views, PSF), rng=1)


class TestFromParticlesAlone:
    def test_poses(self, found):
        _, poses, result = found
        own = in_frame_of(result.poses, poses)
        assert degrees(own, poses).max() < 4 and lengths(own, poses).max() < 0.4
        assert result.confidence > 0.95 and result.success

    def test_the_volume_is_that_of_the_true_poses(self, found):
        data, poses, result = found
        best = fastmpr.reconstruct(data.replace(poses=poses))
        again = fastmpr.reconstruct(data.replace(poses=in_frame_of(result.poses, poses)))
        assert psnr(again.x, TRUTH) > psnr(best.x, TRUTH) - 0.3

    def test_it_stands_in_the_middle_along_z(self, found):
        _, _, result = found
        centre, values, axes = moments(result.x)
        assert np.linalg.norm(centre) < 0.7
        gaps = values[1] - values[0], values[2] - values[1]
        own = axes[:, 2 if gaps[1] > gaps[0] else 0]
        assert abs(own[0]) > 0.95

    def test_it_is_repeatable(self, found):
        data, _, result = found
        np.testing.assert_array_equal(fastmpr.ab_initio(data, rng=1).poses.matrix, result.poses.matrix)

    def test_noise_among_the_particles_is_named(self):
        views, poses = views_of(12)
        views[[3, 11]] = np.random.default_rng(5).normal(size=(2, *SHAPE)) * 0.1
        with pytest.warns(
            FastmprWarning,
            match=r"2 of 12 that fit far worse than most, or are far brighter, particles\[3\], particles\[11\]:",
        ):
            result = fastmpr.ab_initio(Dataset(views, PSF))
        good = np.delete(np.arange(12), [3, 11])
        assert degrees(in_frame_of(result.poses[good], poses[good]), poses[good]).max() < 5

    def test_a_view_that_is_far_brighter_is_named(self):
        views, poses = views_of(16)
        views[5] = 20 * views_of(1, truth=particle(seed=3))[0]
        with pytest.warns(
            FastmprWarning, match=r"1 of 16 that fit far worse than most, or are far brighter, particles\[5\]"
        ):
            fastmpr.refine(Dataset(views, PSF, poses))

    def test_views_from_one_side_are_told(self):
        views, poses = views_of(1, noise=0)
        noise = 0.05 * np.random.default_rng(0).standard_normal((8, *SHAPE)).astype(np.float32)
        same = Poses(poses.rotation.as_matrix().repeat(8, axis=0), poses.translation.repeat(8, axis=0))
        with pytest.warns(FastmprWarning, match="all views within about 30 degrees of one direction"):
            fastmpr.refine(Dataset(views + noise, PSF, same))

    @pytest.mark.parametrize("voxel", [None, 0.1])
    def test_a_symmetry_about_a_point_off_the_middle(self, voxel):
        truth = (TRUTH + TRUTH[:, ::-1, ::-1]) / 2  # C2 about z, through the middle
        truth = np.roll(truth, (2, -2), axis=(1, 2))
        unit = voxel or 1.0
        poses = Poses.random(14, max_translation=unit, rng=0)
        sizes = {} if voxel is None else {"voxel_size": voxel}
        views = fastmpr.simulate(truth, PSF, poses, noise_sigma=0.02 * truth.max(), rng=0, **sizes)
        centre = (0, 2 * unit, -2 * unit)
        result = fastmpr.ab_initio(Dataset(views, PSF, symmetry="C2", symmetry_centre=centre, **sizes))
        assert result.fit < 1.3 and result.scores.min() > 0.85

    def test_starts_that_differ_are_told(self):
        views = np.random.default_rng(0).normal(size=(6, 12, 12, 12)).astype(np.float32)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            result = fastmpr.ab_initio(Dataset(views, PSF))
        assert result.confidence < 0.9
        assert any("all ended at different volumes" in str(one.message) for one in told)

    def test_refinement(self):
        views, poses = views_of(16)
        rng = np.random.default_rng(0)
        wrong = Poses(
            poses.rotation * Rotation.from_rotvec(rng.normal(size=(16, 3)) * 0.08),
            poses.translation + rng.normal(size=(16, 3)) * 0.7,
        )
        result = fastmpr.refine(Dataset(views, PSF, wrong))
        own = in_frame_of(result.poses, poses)
        assert degrees(own, poses).max() < 3 and lengths(own, poses).max() < 0.3


class TestHowTheyEnd:
    def test_cancelled(self):
        views, poses = views_of(4)
        cancel = threading.Event()
        cancel.set()
        for call in (
            lambda: fastmpr.align(Dataset(views, PSF), TRUTH, cancel=cancel),
            lambda: fastmpr.refine(Dataset(views, PSF, poses), cancel=cancel),
            lambda: fastmpr.ab_initio(Dataset(views, PSF), timeout=1e-9),
        ):
            with pytest.raises(Cancelled):
                call()

    def test_the_last_reconstruction_may_be_cut_short(self):
        views, poses = views_of(6)
        cancel = threading.Event()

        def progress(what, done, total):
            if done > 0.85 * total:  # the three turns are done
                cancel.set()

        result = fastmpr.refine(Dataset(views, PSF, poses), cancel=cancel, progress=progress)
        assert result.status == "cancelled" and not result.success
        assert len(result.poses) == 6 and result.x.any()
        assert "\n" not in repr(result)

    def test_progress_is_counted(self):
        views, _ = views_of(4)
        told = []
        fastmpr.align(Dataset(views, PSF), TRUTH, progress=lambda *args: told.append(args))
        assert told == [("views", k, 4) for k in range(1, 5)]

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda views, poses: fastmpr.align(views, TRUTH), "data: found ndarray, need a fastmpr.Dataset"),
            (lambda views, poses: fastmpr.align(Dataset(views), TRUTH), "psf: found none"),
            (lambda views, poses: fastmpr.align(Dataset(views, PSF), TRUTH, search="all"), "search: found 'all'"),
            (lambda views, poses: fastmpr.align(Dataset(views, PSF), TRUTH, search="local"), "poses: found none"),
            (lambda views, poses: fastmpr.refine(Dataset(views, PSF)), "poses: found none"),
            (
                lambda views, poses: fastmpr.ab_initio(Dataset(views[:2], PSF)),
                "particles: found 2 that weigh something",
            ),
            (lambda views, poses: fastmpr.ab_initio(Dataset(views, PSF, frame="model")), "frame: found 'model'"),
            (lambda views, poses: fastmpr.align(Dataset(views, PSF), np.full(SHAPE, np.nan)), "x: found"),
        ],
    )
    def test_wrong_input(self, call, error):
        views, poses = views_of(4)
        with pytest.raises((ValueError, TypeError), match=f"^{error.replace('(', '.')}"):
            call(views, poses)


def test_views_that_have_nothing_in_common():
    rng = np.random.default_rng(3)
    views, psf = rng.random((4, 1, 6, 4)), rng.random((1, 1, 6))
    with warnings.catch_warnings(), pytest.raises(ValueError, match="^particles: found no view that resembles"):
        warnings.simplefilter("ignore")
        fastmpr.refine(Dataset(views, psf, Poses.random(4, rng=3)), workers=1)


def test_rotations_are_spread_evenly():
    spread = Rotation.from_matrix(spread_rotations(576))
    gaps = [np.sort((spread * one.inv()).magnitude())[0] for one in Rotation.random(200, random_state=0)]
    assert np.degrees(np.max(gaps)) < 26  # no rotation is far from all of them


def test_relatives_take_a_volume_to_what_looks_like_it():
    rod = np.zeros((21, 21, 21), np.float32)
    rod[4:17, 8:13, 8:13] = 1
    rod[4:17, 8:13, 8:13] *= np.linspace(1, 1.2, 13)[:, None, None]
    turns, centre = relatives(rod)
    assert len(turns) == 47 and np.linalg.norm(centre) < 1
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    np.testing.assert_allclose(np.abs(turns[:, 0, 0]), 1, atol=1e-6)  # z goes to z or to -z
    assert len(relatives(TRUTH)[0]) == 3


def test_a_score_does_not_heed_noise():
    rng, clean = np.random.default_rng(0), np.zeros(3000, complex)
    clean[:100] = 10
    for level in (0.1, 1.0, 3.0):
        noise = level * (rng.normal(size=3000) + 1j * rng.normal(size=3000)) / np.sqrt(2)
        view = clean + noise
        for shown, expected in ((clean, 1.0), (np.roll(clean, 50), 0.5)):
            correlation = (shown.conj() @ view).real / np.linalg.norm(shown) / np.linalg.norm(view)
            assert score_of(correlation, view, level**2).value == pytest.approx(expected, abs=0.05)
        assert score_of(2 / np.linalg.norm(noise) * level, noise, level**2).value == 0
    assert score_of(0.8, clean, 0.0).value == pytest.approx(0.8)


def test_brighter_views_and_clearer_ones():
    fits, even = np.array([True] * 8 + [False]), np.full(9, 1e4)
    gains = np.linspace(0.5, 2, 9)
    found = contrasts(gains, even, fits)
    np.testing.assert_allclose(found[:8] * np.median(gains[:8]), gains[:8])
    assert found[8] == 1
    assert (contrasts(1 + 0.001 * gains, even, fits) == 1).all()  # within their errors
    assert precisions(even * (1 + 0.1 * gains), fits).tolist() == [1.0] * 8 + [0.0]
    found = precisions(even * gains**4, fits)
    assert (np.diff(found[:8]) >= 0).all() and found[7] == 4 and found[0] == 0.25 and found[8] == 0


def test_views_lost_in_noise_are_all_alike():
    fits, none = np.ones(4, bool), np.array([0.0, 3.0, 10.0, 30.0])
    assert contrasts(np.array([-1.0, 1, 5, 0]), none, fits).tolist() == [1, 1, 1, 1]
    assert precisions(none, fits).tolist() == [1, 1, 1, 1]


def test_views_that_fit():
    scores, gains = np.array([0.9, 0.91, 0.8, 0.3, np.nan, 0.9]), np.array([1.0, 0.5, 2.0, 1.0, 1.0, 20.0])
    assert fitting(scores, gains).tolist() == [True, True, True, False, False, False]
    assert not fitting(np.full(3, np.nan), np.ones(3)).any()
