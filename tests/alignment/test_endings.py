"""What a search leaves if it ends early, what it counts, and what it does with particles that cannot be used."""

import threading
import time

import numpy as np
import pytest
from particles_alone import PSF, SHAPE, TRUTH, views_of
from scipy import ndimage

import fastmpr
from fastmpr import Cancelled, Dataset, FastmprWarning, Poses


class Torn(list):
    """Particles of which some raise an error."""

    def __getitem__(self, i):
        if isinstance(one := super().__getitem__(i), Exception):
            raise one
        return one


def torn(views, **wrong):
    """Views of which some are replaced, by their numbers: _3=..."""
    particles = Torn(views)
    for place, one in wrong.items():
        particles[int(place[1:])] = one
    return particles


def cancelled_at(share):
    """A progress callback, and the event that it sets once that share of the work is done."""
    cancel = threading.Event()
    return lambda what, done, total: cancel.set() if done >= share * total else None, cancel


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


@pytest.fixture(scope="module")
def large():
    """A data set whose search begins at coarse voxels."""
    poses = Poses.random(10, max_translation=0.1, rng=0)
    views = fastmpr.simulate(np.pad(TRUTH, 4), PSF, poses, noise_sigma=0.03, rng=0, voxel_size=0.1)
    return Dataset(views, PSF, poses, voxel_size=0.1)


@pytest.fixture(scope="module")
def whole(large):
    """(what is found from particles alone, all that its progress told)"""
    told = []
    return fastmpr.ab_initio(large, rng=1, progress=lambda *args: told.append(args)), told


class TestTheBestSoFar:
    def test_of_a_first_start(self, large):
        progress, cancel = cancelled_at(0.05)
        result = fastmpr.ab_initio(large, progress=progress, cancel=cancel)
        assert (result.status, result.success) == ("cancelled", False)
        assert result.voxel_size == pytest.approx((0.128, 0.128, 0.128)) and result.x.shape == (25, 25, 25)
        assert "at coarse voxels of 0.128 x 0.128 x 0.128 um" in result.message
        assert result.x.any() and len(result.poses) == 10 and result.poses.unit == "um"
        assert np.isfinite(result.scores).all() and np.isnan(result.confidence)
        assert 1 <= len(result.rounds) < 6

    def test_of_several_starts_it_is_the_best_and_in_one_frame(self, large, whole):
        ends = [one["score"] for one in whole[0].rounds if one["start"] == 1]
        progress, cancel = cancelled_at(0.31)  # in the second of four starts
        result = fastmpr.ab_initio(large, rng=1, progress=progress, cancel=cancel)
        assert {one["start"] for one in result.rounds} == {1, 2}
        assert np.median(result.scores) == ends[-1]
        again, other = (fastmpr.reconstruct(large.replace(poses=poses)).x for poses in (result.poses, large.poses))
        fine = ndimage.zoom(result.x, 32 / 25, grid_mode=True, mode="nearest")
        assert correlation(fine, again) > 0.85 > 0.6 > correlation(fine, other)

    def test_at_full_size(self, large):
        progress, cancel = cancelled_at(0.3)
        result = fastmpr.refine(large, progress=progress, cancel=cancel)
        assert result.status == "cancelled" and result.voxel_size == (0.1, 0.1, 0.1)
        assert "coarse" not in result.message and "volume is that of the last alignment" in result.message
        assert correlation(result.x, fastmpr.reconstruct(large).x) > 0.9
        assert 1 <= len(result.rounds) < 3

    def test_a_timeout(self, large, monkeypatch):
        clock, passed = time.monotonic, []

        def progress(what, done, total):
            if done > 0.5 * total:
                passed.append(3600)

        monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(passed[:1]))
        result = fastmpr.refine(large, progress=progress, timeout=1800)
        assert result.status == "timeout" and result.message.startswith("stopped by the timeout before the last")

    def test_before_there_is_a_volume(self, large):
        progress, cancel = cancelled_at(0.0)
        for call in (fastmpr.ab_initio, fastmpr.refine):
            with pytest.raises(Cancelled, match=f"^{call.__name__}: cancelled"):
                call(large, progress=progress, cancel=cancel)


class TestProgress:
    def test_it_is_one_count_that_never_falls(self, large, whole):
        told = []
        fastmpr.refine(large, progress=lambda *args: told.append(args))
        for name, rounds, seen in (("ab_initio", 15, whole[1]), ("refine", 3, told)):
            names, done, total = zip(*seen, strict=True)
            assert set(names) == {name}
            assert all(isinstance(n, int) for n in (*done, *total))
            assert (np.diff(done) > 0).all() and done[-1] == total[-1]
            assert (np.diff(np.divide(done, total)) > 0).all()
            assert len(seen) > 8 * rounds

    def test_a_bar(self, large, capsys):
        pytest.importorskip("tqdm")
        fastmpr.refine(large, progress=True)
        said = capsys.readouterr().err
        assert "refine:" in said and "iterations" not in said and "views" not in said

    def test_starts_that_are_not_made_shorten_it(self, whole):
        result, told = whole
        assert max(one["start"] for one in result.rounds) == 2
        assert told[-1][2] < 0.65 * told[0][2]


class TestParticlesThatCannotBeUsed:
    WRONG = {
        "_0": OSError("broken disk"),
        "_3": np.full(SHAPE, np.nan),
        "_5": np.ones(SHAPE),
        "_7": np.zeros((3, 4, 5)),
    }
    WRONG |= {"_8": np.full(SHAPE, np.inf), "_9": ValueError("no such plane\nat all")}
    NAMED = (
        r"^particles: 6 of 12 cannot be used and are left out, with weight 0: particles\[0\]: cannot be read .broken disk.; "
        r"particles\[3\]: found no seen voxel; particles\[5\]: found one value in all voxels; particles\[7\]: found shape "
        r".*; particles\[8\]: found 13824 infinite values, .*; and 1 more$"
    )

    @pytest.mark.parametrize("call", ["align", "refine", "ab_initio"])
    def test_they_are_named_and_left_out(self, call):
        views, poses = views_of(12)
        data, good = Dataset(torn(views, **self.WRONG), PSF, poses), np.setdiff1d(np.arange(12), [0, 3, 5, 7, 8, 9])
        options = {"x": TRUTH} if call == "align" else {}
        with pytest.warns(FastmprWarning, match=self.NAMED) as told:
            found = getattr(fastmpr, call)(data, **options)
        assert len(told) == 1
        assert np.flatnonzero(np.isfinite(found.scores)).tolist() == good.tolist()
        assert found.scores[good].min() > 0.75 and len(found.poses) == 12

    def test_the_others_are_found_as_without_them(self):
        views, poses = views_of(10)
        wrong = torn(views, _0=OSError("gone"), _6=OSError("gone"))
        with pytest.warns(FastmprWarning, match="2 of 10 cannot be used"):
            result = fastmpr.refine(Dataset(wrong, PSF, poses))
        good = np.delete(np.arange(10), [0, 6])
        expected = fastmpr.refine(Dataset(views[good], PSF, poses[good]))
        np.testing.assert_array_equal(result.poses.matrix[good], expected.poses.matrix)
        np.testing.assert_array_equal(result.x, expected.x)

    @pytest.mark.parametrize(
        ("particles", "error"),
        [
            (lambda views: views[:1], "particles: found 1 that weigh something, need 3 or more"),
            (lambda views: views[:2], "particles: found 2 that weigh something, need 3 or more"),
            (
                lambda views: torn(views[:4], _1=OSError("gone"), _2=OSError("gone")),
                r"particles: found 2 of 4 that can be used \(particles\[1\]: cannot be read \(gone\)\), need 3 or more",
            ),
            (lambda views: 0 * views, r"particles: found 0 of 6 that can be used \(particles\[0\]: found one value"),
            (lambda views: np.nan * views, r"particles: found 0 of 6 that can be used \(particles\[0\]: found no seen"),
        ],
    )
    def test_too_few_are_an_error_in_one_line(self, particles, error):
        views, poses = views_of(6)
        given = particles(views)
        for call in (fastmpr.ab_initio, fastmpr.refine):
            with pytest.raises(ValueError, match=f"^{error}") as raised:
                call(Dataset(given, PSF, poses[: len(given)]))
            assert "\n" not in str(raised.value)

    def test_copies_of_one_view(self):
        views, poses = views_of(2)
        for given, images in ((np.repeat(views[:1], 6, axis=0), "1 image"), (np.repeat(views, 3, axis=0), "2 images")):
            with pytest.raises(ValueError, match=f"^particles: found {images} in 6 copies, need 3 different ones"):
                fastmpr.ab_initio(Dataset(given, PSF))

    @pytest.mark.parametrize("symmetry", ["X9", "C0", "D", "C-2"])
    def test_a_symmetry_that_is_none(self, symmetry):
        views, _ = views_of(3)
        with pytest.raises(ValueError, match=f"^symmetry: found '{symmetry}', need"):
            fastmpr.ab_initio(Dataset(views, PSF, symmetry=symmetry))
