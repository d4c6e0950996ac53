"""A data set is checked once, never changes, and reads each particle once."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
import time

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.data.background import without_background

TRUTH = fastmpr.phantom.centriole((12, 14, 16))
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
N = 10
POSES = Poses.random(N, max_translation=1.0, rng=0)
VIEWS = fastmpr.simulate(TRUTH, PSF, POSES, noise_sigma=0.05, rng=0)
DATA = Dataset(VIEWS, PSF, POSES)


class Counting:
    """A source that notes what is read of it."""

    def __init__(self, views=VIEWS):
        self.views, self.reads = views, []

    def __len__(self):
        return len(self.views)

    def __getitem__(self, i):
        assert isinstance(i, int)  # what any sequence takes
        self.reads.append(i)
        return self.views[i]


def same(a: fastmpr.NormalEquations, b: fastmpr.NormalEquations) -> bool:
    return a.energy == b.energy and np.array_equal(a.gram, b.gram) and np.array_equal(a.rhs, b.rhs)


def close(a: fastmpr.NormalEquations, b: fastmpr.NormalEquations) -> bool:
    return all(np.allclose(x, y, rtol=0, atol=1e-5 * np.abs(y).max()) for x, y in ((a.gram, b.gram), (a.rhs, b.rhs)))


class TestReads:
    @pytest.mark.parametrize("workers", [1, 2, 3])
    @pytest.mark.parametrize("symmetry", [None, "C3"])
    def test_each_particle_once(self, workers, symmetry):
        for function in (fastmpr.accumulate, fastmpr.reconstruct):
            source = Counting()
            function(Dataset(source, PSF, POSES, symmetry=symmetry), workers=workers)
            assert sorted(source.reads) == list(range(N))

    def test_each_particle_once_to_average_and_to_deconvolve(self):
        for make in (lambda d: fastmpr.average(d), lambda d: fastmpr.deconvolve_average(d, lam=10.0, max_iter=2)):
            source = Counting()
            make(Dataset(source, PSF, POSES))
            assert sorted(source.reads) == list(range(N))

    def test_what_weighs_nothing_is_never_read(self):
        source = Counting()
        weights = np.arange(N) % 3
        fastmpr.reconstruct(source, PSF, POSES, weights=weights)
        assert sorted(source.reads) == np.flatnonzero(weights).tolist()

    def test_nothing_is_read_before_it_is_needed(self):
        source = Counting()
        data = Dataset(source, PSF, POSES)[2:5]
        assert "particles" in repr(data)
        assert len(data.split(3, rng=0)) == 3
        assert source.reads == []
        assert data.particle_shape == VIEWS.shape[1:]
        assert source.reads == [2]
        assert np.array_equal(data.read(0), VIEWS[2])
        assert source.reads == [2]

    def test_repeats_are_read_as_often_as_they_stand_there(self):
        source = Counting()
        fastmpr.accumulate(Dataset(source, PSF, POSES)[[4, 4, 7]])
        assert sorted(source.reads) == [4, 4, 7]

    @pytest.mark.parametrize("thread_safe", [None, False, True])
    def test_a_source_is_asked_by_one_thread_at_a_time_unless_it_is_safe(self, thread_safe):
        inside, most = [], []

        class Slow(Counting):
            def __getitem__(self, i):
                inside.append(threading.get_ident())
                most.append(len(inside))
                time.sleep(0.01)
                inside.remove(threading.get_ident())
                return self.views[i]

        fastmpr.accumulate(Slow(), PSF, POSES, workers=2, thread_safe=thread_safe)
        assert max(most) == (2 if thread_safe else 1)

    def test_a_source_that_says_it_is_safe_is_believed(self):
        source = Counting()
        source.thread_safe = True
        assert Dataset(source).source.thread_safe
        assert not Dataset(Counting()).source.thread_safe
        assert Dataset(VIEWS).source.thread_safe
        assert Dataset(list(VIEWS)).source.thread_safe


class TestSelections:
    def test_all_forms_select_the_same(self):
        mask = np.zeros(N, bool)
        mask[[2, 3, 4]] = True
        expected = fastmpr.accumulate(VIEWS[2:5], PSF, POSES[2:5], workers=1)
        for index in (slice(2, 5), [2, 3, 4], np.array([2, 3, 4]), mask, mask.tolist(), [-8, -7, -6]):
            assert close(fastmpr.accumulate(DATA[index], workers=1), expected)

    def test_all_that_belongs_to_a_view_goes_with_it(self):
        data = Dataset(
            VIEWS,
            [PSF, PSF],
            POSES,
            psf_of=np.arange(N) % 2,
            weights=np.arange(N) + 1,
            names=[f"n{i}" for i in range(N)],
        )
        part = data[[7, 2]]
        assert part.names == ("n7", "n2")
        assert part.weights.tolist() == [8, 3]
        assert part.psf_of.tolist() == [1, 0]
        assert np.array_equal(part.poses.matrix, POSES.matrix[[7, 2]])
        assert np.array_equal(part.read(1), VIEWS[2])
        assert np.array_equal(part[1].read(0), VIEWS[2])
        assert part[-1].names == ("n2",)

    def test_split_holds_every_view_once(self):
        parts = DATA.split(3, rng=4)
        assert sorted(len(part) for part in parts) == [3, 3, 4]
        indices = np.concatenate([part.source.which for part in parts])
        assert sorted(indices) == list(range(N))
        again = np.concatenate([part.source.which for part in DATA.split(3, rng=4)])
        assert np.array_equal(indices, again)
        assert close(sum_of(parts), fastmpr.accumulate(DATA))

    def test_replace_changes_one_thing(self):
        poses = Poses.random(N, rng=8)
        data = Dataset(VIEWS, PSF, POSES, voxel_size=(0.3, 0.1, 0.1), psf_voxel_size=0.1, symmetry="C2")
        other = data[2:6].replace(poses=poses[:4])
        assert np.array_equal(other.poses.matrix, poses.matrix[:4])
        assert np.array_equal(other.read(0), VIEWS[2])
        for name in ("voxel_size", "psf_voxel_size", "symmetry", "frame", "unit"):
            assert getattr(other, name) == getattr(data, name)

    def test_it_never_changes(self):
        with pytest.raises(AttributeError):
            DATA.frame = "model"
        for array in (DATA.weights, DATA.psf, DATA.psf_of):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
        psf, weights = PSF.copy(), np.ones(N)
        data = Dataset(VIEWS, psf, POSES, weights=weights)
        psf[:], weights[:] = 0, 0
        assert data.psf.max() > 0
        assert data.weights.min() == 1


def sum_of(parts: list[Dataset]) -> fastmpr.NormalEquations:
    first, *others = (fastmpr.accumulate(part) for part in parts)
    for other in others:
        first = first + other
    return first


class TestMeaning:
    def test_the_shorthand_is_the_same(self):
        options = {"weights": np.arange(N) + 1.0, "voxel_size": (0.3, 0.1, 0.1)}
        data = Dataset(VIEWS, PSF, POSES, **options)
        assert same(fastmpr.accumulate(data), fastmpr.accumulate(VIEWS, PSF, POSES, **options))
        for function in (fastmpr.reconstruct, fastmpr.deconvolve_average):
            a, b = function(data, max_iter=3), function(VIEWS, PSF, POSES, max_iter=3, **options)
            assert np.array_equal(getattr(a, "x", a), getattr(b, "x", b))
        assert np.array_equal(fastmpr.average(data), fastmpr.average(VIEWS, POSES, **options))

    def test_several_psfs(self):
        other = fastmpr.psf.gaussian((11, 11, 9), sigma=(2.5, 1.5, 1))
        which = np.arange(N) % 2
        sums = fastmpr.accumulate(VIEWS, [PSF, other], POSES, psf_of=which, shape=(12, 14, 16))
        grid = sums.shape
        apart = [fastmpr.accumulate(VIEWS[k::2], h, POSES[k::2]) for k, h in enumerate((PSF, other))]
        if all(part.shape == grid for part in apart):
            assert close(sums, apart[0] + apart[1])
        both = fastmpr.accumulate(VIEWS, [PSF, PSF], POSES, psf_of=which)
        assert same(both, fastmpr.accumulate(VIEWS, PSF, POSES))
        assert fastmpr.deconvolve_average(VIEWS, [PSF, other], POSES, psf_of=which, lam=9.0, max_iter=2).shape == (
            12,
            14,
            16,
        )

    @pytest.mark.parametrize("frame", ["particle", "model"])
    @pytest.mark.parametrize("symmetry", ["C4", "D2"])
    def test_symmetry_is_the_same_as_all_copies(self, frame, symmetry):
        shape = (16, 16, 16)
        truth = fastmpr.phantom.centriole(shape).astype(np.float64)
        poses = Poses.random(3, max_translation=0 if frame == "model" else 1.0, rng=2)
        copies = poses.symmetrized(symmetry)
        n = len(copies) // len(poses)
        views = fastmpr.simulate(truth, PSF, poses, frame="particle")
        expected = fastmpr.accumulate(np.repeat(views, n, axis=0), PSF, copies)
        if frame == "model":  # the same views, brought into the frame of the model
            views = np.stack([fastmpr.average(views[i : i + 1], poses[i : i + 1]) for i in range(3)])
        sums = fastmpr.accumulate(views, PSF, poses, symmetry=symmetry, frame=frame)
        assert sums.n_poses == expected.n_poses == 3 * n
        np.testing.assert_allclose(sums.gram, expected.gram, rtol=1e-9, atol=1e-12 * expected.gram.max())
        tolerance = 1e-9 if frame == "particle" else 0.05  # resampled twice, and cut at the edge of the image
        np.testing.assert_allclose(sums.rhs, expected.rhs, rtol=0, atol=tolerance * np.abs(expected.rhs).max())

    def test_symmetric_copies_of_a_view_stay_in_one_half(self):
        """Else each half holds the other's noise."""
        data = Dataset(VIEWS, PSF, POSES, symmetry="C2")
        halves = [fastmpr.accumulate(data.then(without_background)[k::2], workers=1) for k in (0, 1)]
        assert fastmpr.reconstruct(data, workers=1, max_iter=5).lam == fastmpr.select_lam(*halves, workers=1)[0]

    def test_views_of_weight_zero_do_not_count(self):
        """Automatic lam sees the same with them as without them."""
        for n in (1, 4, 9):
            weights = (np.arange(N) < n).astype(float)
            with_them = fastmpr.reconstruct(VIEWS, PSF, POSES, weights=weights, max_iter=5)
            without = fastmpr.reconstruct(VIEWS[:n], PSF, POSES[:n], max_iter=5)
            assert with_them.lam == pytest.approx(without.lam, rel=1e-6)

    def test_average_by_weights(self):
        weights = np.array([0, 2.0, 1.0])
        mean = fastmpr.average(VIEWS[:3], POSES[:3], weights=weights)
        twice = fastmpr.average(VIEWS[[1, 1, 2]], POSES[[1, 1, 2]])
        np.testing.assert_allclose(mean, twice, atol=1e-5)
        small = fastmpr.average(VIEWS[:3], POSES[:3], weights=1e-3 * weights)
        np.testing.assert_allclose(small, mean, atol=1e-5)

    @pytest.mark.parametrize(
        ("unit", "factor"), [("voxel", 1 / np.array([0.3, 0.1, 0.1])), ("um", 1), ("nm", 1e3), ("A", 1e4)]
    )
    def test_units(self, unit, factor):
        t = POSES.translation
        poses = Poses(POSES.rotation, t * factor, unit=unit)
        data = Dataset(VIEWS, PSF, poses, voxel_size=(0.3, 0.1, 0.1))
        np.testing.assert_allclose(data.placed.translation, t, atol=1e-12)
        assert data.poses.unit == unit

    def test_names_match_poses(self):
        names = [f"p/{i}.tif" for i in range(N)]
        order = np.random.default_rng(0).permutation(N)
        shuffled = Poses(POSES.matrix[order], POSES.translation[order], names=[names[i] for i in order])
        data = Dataset(VIEWS, PSF, shuffled, names=names)
        np.testing.assert_allclose(data.poses.matrix, POSES.matrix, atol=1e-12)
        assert Dataset(VIEWS, PSF, shuffled).names == shuffled.names

    def test_what_is_assumed_is_told(self, caplog):
        with caplog.at_level(logging.INFO, "fastmpr"):
            data = Dataset(VIEWS, PSF, POSES)
        assert [record.getMessage() for record in caplog.records] == list(data.assumed)
        assert [text.split(":")[0] for text in data.assumed] == ["voxel size", "PSF's voxel size", "poses"]
        assert Dataset(VIEWS, PSF, POSES, voxel_size=0.1, psf_voxel_size=0.1).assumed == data.assumed[2:]

    def test_the_line_it_prints(self):
        assert repr(DATA) == "<Dataset: 10 particles of 12 x 14 x 16, PSF of 9 x 7 x 7, with poses>"
        bare = Dataset([VIEWS[0]], voxel_size=0.25, symmetry="C9", frame="model")
        assert repr(bare) == (
            "<Dataset: 1 particle, voxels of 0.25 x 0.25 x 0.25 um, no PSF, no poses, C9, in the frame of the model>"
        )

    def test_it_travels(self):
        data = Dataset(list(VIEWS), PSF, POSES)
        data.read(0)
        for other in (pickle.loads(pickle.dumps(data)), copy.deepcopy(data)):
            assert same(fastmpr.accumulate(other), fastmpr.accumulate(data))
            with pytest.raises(ValueError, match="read-only"):
                other.poses.translation[0] = 1
            with pytest.raises(ValueError, match="read-only"):
                other.poses.matrix[0] = 1


class Failing(Counting):
    """A source that goes wrong at particle 3."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def __getitem__(self, i):
        return self.wrong() if i == 3 else self.views[i]


def fail(error: Exception):
    raise error


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"psf_of": [0] * (N - 1)}, "psf_of: found int64 of shape"),
            ({"psf_of": [0] * (N - 1) + [1]}, "psf_of: found 1, need places from 0 to 0"),
            ({"psf": [PSF, PSF], "psf_of": [0] * (N - 1) + [2]}, "psf_of: found 2, need places from 0 to 1"),
            ({"psf": [PSF, PSF], "psf_of": [0] * (N - 1) + [-1]}, "psf_of: found -1"),
            ({"psf": [PSF, PSF]}, "psf_of: found none for 2 PSFs"),
            ({"psf_of": [0.5] * N}, "psf_of: found float64"),
            ({"poses": POSES[:3]}, "particles: found 10 for 3 poses"),
            ({"poses": POSES.rotation}, "poses: found Rotation"),
            ({"weights": [1, 2]}, "weights: found shape"),
            ({"names": ["a"]}, "names: found"),
            ({"symmetry": "T"}, "symmetry: found 'T'"),
            ({"frame": "image"}, "frame: found 'image'"),
            ({"frame": "model", "voxel_size": (0.3, 0.1, 0.1)}, "voxel_size: found"),
            ({"poses": Poses(POSES.rotation, POSES.translation, unit="nm")}, "voxel_size: found none"),
        ],
    )
    def test_arguments(self, options, message):
        with pytest.raises((ValueError, TypeError)) as caught:
            Dataset(VIEWS, **{"psf": PSF, "poses": POSES, **options})
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("index", "error", "message"),
        [
            ([], ValueError, "index: found an empty selection"),
            (slice(3, 3), ValueError, "index: found an empty selection"),
            (np.zeros(N, bool), ValueError, "index: found an empty selection"),
            (np.ones(N - 1, bool), ValueError, "mask: found shape (9,), need (10,)"),
            (N, IndexError, "index: found 10"),
            ([0, -N - 1], IndexError, "index: found -11"),
            ([0.5], TypeError, "index: found float64"),
            ([[1, 2]], TypeError, "index: found int64 of shape (1, 2)"),
        ],
    )
    def test_selections(self, index, error, message):
        with pytest.raises(error) as caught:
            DATA[index]
        assert str(caught.value).startswith(message)

    def test_splits(self):
        with pytest.raises(ValueError, match="n: found 2 parts for 1"):
            DATA[0].split(2)
        with pytest.raises(ValueError, match="weights: found a part whose views all weigh nothing"):
            DATA.replace(weights=np.arange(N) == 0).split(2, rng=0)
        with pytest.raises(ValueError, match="n: found 1"):
            DATA.split(1)

    def test_what_is_missing_is_named_before_a_particle_is_read(self):
        source = Counting()
        bare, no_psf = Dataset(source, PSF), Dataset(source, poses=POSES)
        for function in (fastmpr.reconstruct, fastmpr.accumulate, fastmpr.deconvolve_average, fastmpr.average):
            with pytest.raises(ValueError, match="poses: found none"):
                function(bare)
            if function is not fastmpr.average:
                with pytest.raises(ValueError, match="psf: found none"):
                    function(no_psf)
        assert source.reads == []

    def test_keywords_beside_a_dataset(self):
        with pytest.raises(TypeError, match=r"poses: found beside a Dataset.*data.replace\(poses=...\)"):
            fastmpr.reconstruct(DATA, poses=POSES)
        with pytest.raises(TypeError, match="voxel_size: found beside a Dataset"):
            fastmpr.average(DATA, voxel_size=0.1)
        with pytest.raises(TypeError, match="lamb"):
            fastmpr.reconstruct(VIEWS, PSF, POSES, lamb=3)

    @pytest.mark.parametrize(
        ("wrong", "error", "message"),
        [
            (
                lambda: fail(RuntimeError("lost\nconnection")),
                ValueError,
                "particles[3]: cannot be read (lost connection)",
            ),
            (lambda: fail(OSError("no disk")), OSError, "particles[3]: cannot be read (no disk)"),
            (lambda: fail(KeyError(3)), ValueError, "particles[3]: cannot be read (3)"),
            (lambda: VIEWS[3][:5], ValueError, "particles[3]: found shape (5, 14, 16), need (12, 14, 16)"),
            (lambda: VIEWS[3] * np.nan, ValueError, "particles[3]: found 2688 NaN"),
            (lambda: None, ValueError, "particles[3]: found an array of shape ()"),
        ],
    )
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_source_that_goes_wrong_halfway(self, wrong, error, message, workers):
        for function in (fastmpr.accumulate, fastmpr.reconstruct, fastmpr.average):
            with pytest.raises(error) as caught:
                function(Dataset(Failing(wrong), poses=POSES, psf=PSF), workers=workers)
            assert str(caught.value).startswith(message)
            assert "\n" not in str(caught.value)

    def test_a_selection_names_the_particle_by_its_first_place(self):
        with pytest.raises(ValueError, match=r"particles\[3\]"):
            fastmpr.accumulate(Dataset(Failing(lambda: VIEWS[3][:5]), PSF, POSES)[2:5])

    def test_a_dict_is_no_sequence(self):
        with pytest.raises(TypeError, match="particles: found a dict"):
            Dataset({0: VIEWS[0]})


class TestReplace:
    """What is kept means the same beside what is new."""

    def test_names_that_stand_there_twice_are_no_obstacle(self):
        named = Poses(POSES.rotation, POSES.translation, names=[f"n{i}" for i in range(N)])
        data = Dataset(VIEWS, PSF, named)[[4, 4, 7]].replace(weights=[1, 2, 3])
        assert data.names == ("n4", "n4", "n7")
        np.testing.assert_allclose(data.poses.matrix, POSES.matrix[[4, 4, 7]], atol=1e-12)

    def test_new_names_do_not_move_poses(self):
        names = [f"n{i}" for i in range(N)]
        named = Poses(POSES.rotation, POSES.translation, names=names)
        for new in (names[::-1], [f"p{i}" for i in range(N)]):
            data = Dataset(VIEWS, PSF, named).replace(names=new)
            assert data.names == tuple(new)
            np.testing.assert_allclose(data.poses.matrix, POSES.matrix, atol=1e-12)

    def test_new_poses_are_matched_by_name(self):
        names = [f"n{i}" for i in range(N)]
        shuffled = Poses(POSES.rotation, POSES.translation, names=names)[::-1]
        data = Dataset(VIEWS, PSF, names=names).replace(poses=shuffled)
        np.testing.assert_allclose(data.poses.matrix, POSES.matrix, atol=1e-12)

    def test_translations_in_voxels_stay_so_when_the_voxel_becomes_known(self):
        data = Dataset(VIEWS, PSF, POSES).replace(voxel_size=(0.3, 0.1, 0.1))
        np.testing.assert_allclose(data.placed.translation, POSES.translation * (0.3, 0.1, 0.1))

    def test_a_psfs_voxel_that_was_given_is_kept(self):
        data = Dataset(VIEWS, PSF, POSES, voxel_size=0.1, psf_voxel_size=0.1).replace(voxel_size=(0.3, 0.1, 0.1))
        assert data.psf_voxel_size == (0.1, 0.1, 0.1)
        with pytest.raises(ValueError, match="voxel_size: found none beside psf_voxel_size"):
            Dataset(VIEWS, PSF, POSES, psf_voxel_size=0.1)

    def test_which_psf_is_kept_where_as_many_come(self):
        which = np.arange(N) % 2
        data = Dataset(VIEWS, [PSF, PSF], POSES, psf_of=which)
        assert data.replace(psf=[PSF, 2 * PSF]).psf_of.tolist() == which.tolist()
        assert not data.replace(psf=PSF).psf_of.any()

    def test_threads_take_turns_when_told_so(self):
        data = Dataset(VIEWS, PSF, POSES)
        assert not data.replace(thread_safe=False).source.thread_safe
        assert data.replace(weights=np.ones(N)).source.thread_safe

    def test_nothing_is_logged_again(self, caplog):
        data = Dataset(VIEWS, PSF, POSES)
        with caplog.at_level(logging.INFO, "fastmpr"):
            data.replace(weights=np.ones(N))
            fastmpr.deconvolve_average(data, lam=9.0, max_iter=1)
        assert not caplog.records
        assert data.replace(weights=np.ones(N)).assumed == data.assumed

    def test_a_slice_sends_no_more_than_itself(self):
        whole, part = len(pickle.dumps(DATA)), len(pickle.dumps(DATA[:1]))
        assert part < whole / 4
        assert pickle.loads(pickle.dumps(DATA[3:5])).source.name(1) == "particles[4]"


def test_symmetric_views_in_the_models_frame_are_averaged_over_what_they_saw():
    ones = np.ones((1, 8, 8, 8))
    mean = fastmpr.average(ones, Poses(np.eye(3)), frame="model", symmetry="C8")
    np.testing.assert_allclose(mean, 1, atol=1e-6)


def test_unknown_keywords_are_named():
    for call in (
        lambda: fastmpr.average(DATA, lam=3),
        lambda: DATA.replace(lamb=3),
        lambda: fastmpr.accumulate(DATA, x=None),
    ):
        with pytest.raises(TypeError, match="found a keyword that nothing here takes"):
            call()


def test_more_threads_than_views_of_a_half():
    which = np.concatenate([np.zeros(60, int), np.arange(1, 9)])
    poses = Poses.random(len(which), rng=5)
    views = VIEWS[which]
    with pytest.warns(fastmpr.FastmprWarning, match="such copies"):
        fastmpr.reconstruct(views, PSF, poses, workers=16, max_iter=2)


def test_a_particle_that_fails_stops_the_other_threads():
    class Slow(Failing):
        def __getitem__(self, i):
            self.reads.append(i)
            time.sleep(0.01)
            return super().__getitem__(i)

        def __len__(self):
            return 40

    source = Slow(lambda: fail(OSError("gone")))
    source.views = np.concatenate([VIEWS] * 4)
    with pytest.raises(OSError, match="particles"):
        fastmpr.accumulate(source, PSF, Poses.random(40, rng=0), workers=2, thread_safe=True)
    assert len(source.reads) < 15


def test_a_warning_points_at_who_called():
    views = VIEWS.copy()
    views[1, 3, 4, 5] = 1e4
    calls = (
        lambda: fastmpr.accumulate(views, PSF, POSES),
        lambda: fastmpr.reconstruct(views, PSF, POSES, max_iter=1),
        lambda: fastmpr.average(views, POSES),
        lambda: fastmpr.deconvolve_average(views, PSF, POSES, lam=1.0, max_iter=1),
        lambda: fastmpr.accumulate(VIEWS, PSF + 0.01 * PSF.max(), POSES),
    )
    for call in calls:
        with pytest.warns(fastmpr.FastmprWarning) as seen:
            call()
        assert {warning.filename for warning in seen} == {__file__}
