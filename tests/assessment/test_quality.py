"""What assess tells of a volume: in all directions, of its halves, with error bars."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.assessment import main

PSF = fastmpr.psf.gaussian((19, 9, 9), sigma=(4, 1.2, 1.2))


def within(degrees, count, seed=0):
    """Poses whose optical axes lie within an angle of the model's z axis."""
    rng = np.random.default_rng(seed)
    spin = Rotation.from_rotvec(rng.uniform(0, 2 * np.pi, (count, 1)) * [1, 0, 0])
    turn, tilt = rng.uniform(0, 2 * np.pi, count), np.radians(degrees) * np.sqrt(rng.random(count))
    tilted = Rotation.from_rotvec(tilt[:, None] * np.column_stack([np.zeros(count), np.cos(turn), np.sin(turn)]))
    return fastmpr.Poses(tilted * spin, np.zeros((count, 3)))


def data_of(truth, poses, sigma=0.05, seed=0, **options):
    return fastmpr.Dataset(fastmpr.simulate(truth, PSF, poses, noise_sigma=sigma, rng=seed), PSF, poses, **options)


@pytest.fixture(scope="module")
def truth():
    return fastmpr.phantom.centriole((28, 28, 28))


@pytest.fixture(scope="module")
def data(truth):
    return data_of(truth, fastmpr.Poses.random(24, rng=1))


@pytest.fixture(scope="module")
def quality(data):
    return fastmpr.assess(data, bootstrap=6)


def test_it_holds_what_reconstruct_returns(data, quality):
    result = fastmpr.reconstruct(data, assess=True)
    np.testing.assert_array_equal(quality.result.x, result.x)
    assert quality.resolution == result.resolution == quality.result.resolution
    assert quality.curve.crossing(0.5) == pytest.approx(1 / quality.resolution)
    assert quality.resolution_reached and quality.seconds > 0 and quality.warnings == ()
    assert quality.half_volumes.shape == (2, *result.x.shape)
    assert sum(half.n_poses for half in quality.half_sums) == len(data)


def test_the_halves_know_less_than_is_told(quality):
    assert 1 / quality.halves.crossing(0.5) > 1 / quality.halves.crossing(0.143) > quality.resolution


def test_regularised_halves_agree_where_the_truth_does_not(truth, data, quality):
    """Why their correlation is not told."""
    high = quality.curve.frequency > 1.3 / quality.resolution
    invented = fastmpr.fsc(*quality.half_volumes).correlation[high]
    true = fastmpr.fsc(quality.result.x, truth).correlation[high]
    assert np.mean(invented) > np.mean(true) + 0.2


def test_all_directions_are_alike_when_seen_from_all_sides(truth):
    quality = fastmpr.assess(data_of(truth, fastmpr.Poses.random(80, rng=2)))
    axial, *lateral = fastmpr.conical_fsc(quality.result.x, truth).resolution[:3]
    assert axial / np.mean(lateral) < 1.15
    assert quality.cones.ratio < 1.3
    assert quality.coverage.filled > 0.7 and quality.coverage.smallest > 0.1


def test_a_missing_cone_is_told(truth):
    data = data_of(truth, within(20, 40))
    with pytest.warns(fastmpr.FastmprWarning, match="^assess: found a resolution of .* need views from other sides"):
        quality = fastmpr.assess(data)
    assert quality.cones.ratio > 1.5
    assert abs(quality.cones.axes[int(np.argmax(quality.cones.resolution))][0]) > 0.8
    assert abs(quality.coverage.worst_axis[0]) > 0.8
    assert quality.coverage.filled < 0.2 and quality.coverage.smallest < 0.01
    assert len(quality.warnings) == 1 and quality.warnings[0].startswith("assess: found a resolution")


def test_error_bars_know_the_noise(truth, data, quality):
    """The deviation over replicates beside that over other noise in the same views."""
    again = [
        fastmpr.reconstruct(data_of(truth, data.poses, seed=seed), lam=quality.result.lam, check=False).x
        for seed in range(10, 18)
    ]
    true, told = np.std(again, axis=0, ddof=1), quality.deviation
    assert told.shape == true.shape
    bright = quality.result.x > 0.2 * quality.result.x.max()
    assert 0.6 < np.median(told[bright]) / np.median(true[bright]) < 1.7


def test_replicates_follow_their_seed(data, quality):
    again = fastmpr.assess(data, bootstrap=6)
    np.testing.assert_array_equal(quality.replicates, again.replicates)
    assert not np.array_equal(quality.replicates, fastmpr.assess(data, bootstrap=6, rng=1).replicates)


def test_arrays_are_the_shorthand(data, quality):
    views = [np.asarray(data.source.view(i)[0]) for i in range(len(data))]
    short = fastmpr.assess(views, PSF, data.poses)
    assert short.resolution == quality.resolution and short.replicates is None and short.deviation is None


@pytest.mark.filterwarnings("ignore:assess")
def test_few_views_have_no_error_bars(truth):
    with pytest.warns(fastmpr.FastmprWarning, match="^bootstrap: found 6 views, need 8 or more"):
        quality = fastmpr.assess(data_of(truth, fastmpr.Poses.random(6, rng=0), 0.02), bootstrap=3)
    assert quality.replicates is None


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
@pytest.mark.parametrize(
    "change, text",
    [
        (
            {"poses": fastmpr.Poses.random(3, rng=0)},
            "^particles: found 3 that weigh something, need 4 for two halves$",
        ),
        ({"bootstrap": -1}, "^bootstrap: found -1"),
        ({"bootstrap": 1}, "^bootstrap: found 1, need 0, or 2 volumes or more$"),
        ({"search": "refine", "lam": 5.0}, "^lam: found 5.0 with search=, need 'auto': a search has its own$"),
        ({"search": "align"}, "^search: found 'align'"),
        ({"lam": 0}, "^lam: found 0"),
        ({"rng": "x"}, "^rng: found"),
    ],
)
def test_bad_input_is_named(truth, change, text):
    poses = change.pop("poses", fastmpr.Poses.random(6, rng=0))
    with pytest.raises((ValueError, TypeError), match=text):
        fastmpr.assess(data_of(truth, poses), **change)


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_copies_are_no_halves(truth):
    """One view, six times."""
    view = fastmpr.simulate(truth, PSF, fastmpr.Poses.random(1, rng=0), noise_sigma=0.05, rng=0)
    data = fastmpr.Dataset(np.repeat(view, 6, axis=0), PSF, fastmpr.Poses.random(6, rng=1))
    with pytest.raises(ValueError, match="^particles: found fewer than 4 that differ"):
        fastmpr.assess(data)


def test_it_ends_when_it_is_told_to(data):
    over = threading.Event()
    over.set()
    with pytest.raises(fastmpr.Cancelled, match="assess"):
        fastmpr.assess(data, cancel=over)


def test_what_is_known_stays_when_the_volumes_drawn_anew_are_cut_short(data):
    class Late:
        """Set once volumes are being drawn."""

        def __init__(self):
            self.calls = 0

        def is_set(self):
            frame = sys._getframe()
            while frame is not None and frame.f_code.co_name != "_drawn":
                frame = frame.f_back
            self.calls += frame is not None
            return self.calls > 150

    with pytest.warns(fastmpr.FastmprWarning, match="^bootstrap: cancelled after [0-9]+ of 200 volumes"):
        quality = fastmpr.assess(data, bootstrap=200, cancel=Late(), workers=1)
    assert quality.resolution > 0
    assert len(quality.replicates) < 200 and np.isfinite(quality.deviation).all()


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_warnings_are_kept_though_they_are_not_shown(truth):
    told = [fastmpr.assess(data_of(truth, within(20, 12))).warnings for _ in range(2)]
    assert told[0] == told[1] and len(told[0]) >= 1


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_nothing_is_not_assessed():
    with pytest.raises(ValueError, match="^particles: found nothing above their background"):
        fastmpr.assess(np.zeros((6, 16, 16, 16)), PSF, fastmpr.Poses.random(6, rng=0))


def test_error_bars_after_a_search_are_of_its_poses(data, monkeypatch):
    """Views are drawn anew in the poses of the volume, not in those that the halves found."""
    drawn = []
    monkeypatch.setattr(main, "replicates", lambda views, *others: drawn.append(views))
    result = fastmpr.assess(data[:12], search="refine", bootstrap=4).result
    (views,) = drawn
    np.testing.assert_array_equal(views.poses.matrix, result.poses.matrix)
    np.testing.assert_array_equal(views.weights, result.weights)
