"""A data set refuses what it cannot mean, and keeps what it was given."""

from __future__ import annotations

import logging
import pickle
import time

import numpy as np
import pytest
from data_sets import DATA, POSES, PSF, VIEWS, Counting, Failing, N, fail

import fastmpr
from fastmpr import Dataset, Poses


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
            ({"weights": "strong"}, "weights: found 'strong'"),
            ({"names": ["a"]}, "names: found"),
            ({"symmetry": "T"}, "symmetry: found 'T'"),
            ({"symmetry": "C0"}, "symmetry: found 'C0', need C or D and a number"),
            ({"symmetry": "X9"}, "symmetry: found 'X9'"),
            ({"symmetry": "C1.5"}, "symmetry: found 'C1.5'"),
            ({"symmetry": 9}, "symmetry: found 9"),
            ({"symmetry": "C9", "symmetry_axis": (0, 0, 0)}, "symmetry_axis: found (0, 0, 0), need an axis"),
            ({"symmetry": "C9", "symmetry_axis": (0, np.nan, 1)}, "symmetry_axis: found NaN or infinite values"),
            ({"symmetry": "C9", "symmetry_axis": (1, 0)}, "symmetry_axis: found shape (2,), need three numbers"),
            ({"symmetry": "C9", "symmetry_axis": "z"}, "symmetry_axis: found 'z', need three numbers"),
            ({"symmetry_axis": (1, 0, 0)}, "symmetry_axis: found (1, 0, 0) and no symmetry"),
            ({"symmetry": "C9", "symmetry_centre": (0, np.inf, 1)}, "symmetry_centre: found NaN or infinite values"),
            ({"symmetry": "C9", "symmetry_centre": 3}, "symmetry_centre: found shape (), need three numbers"),
            ({"symmetry_centre": (1, 0, 0)}, "symmetry_centre: found (1, 0, 0) and no symmetry"),
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
            (np.ones(N - 1, bool), ValueError, "index: found a mask of shape (9,), need (10,)"),
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
            (lambda: np.full_like(VIEWS[3], np.inf), ValueError, "particles[3]: found 2688 infinite"),
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
    mean = fastmpr.average(ones, poses=Poses(np.eye(3)), frame="model", symmetry="C8")
    np.testing.assert_allclose(mean, 1, atol=1e-6)


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
        lambda: fastmpr.average(views, poses=POSES),
        lambda: fastmpr.deconvolve_average(views, PSF, POSES, lam=1.0, max_iter=1),
        lambda: fastmpr.accumulate(VIEWS, PSF + 0.01 * PSF.max(), POSES),
    )
    for call in calls:
        with pytest.warns(fastmpr.FastmprWarning) as seen:
            call()
        assert {warning.filename for warning in seen} == {__file__}


def test_voxels_that_are_hardly_in_one_unit():
    with pytest.warns(fastmpr.FastmprWarning, match="psf_voxel_size: found"):
        Dataset(VIEWS, PSF, POSES, voxel_size=0.1, psf_voxel_size=1e-4)


def test_names_in_no_order_and_masked_weights_are_refused():
    with pytest.raises(ValueError, match="names: found"):
        Dataset(VIEWS, PSF, POSES, names={str(i) for i in range(N)})
    with pytest.raises(ValueError, match="weights: found 1 masked"):
        Dataset(VIEWS, PSF, POSES, weights=np.ma.masked_array(np.ones(N), np.arange(N) == 3))


@pytest.mark.parametrize("psf", [[[[np.ma.masked]]], [[[1.0, np.ma.masked]]], [PSF.tolist(), [[[np.ma.masked]]]]])
def test_masked_values_in_lists_are_refused(psf):
    with pytest.raises(ValueError, match=r"psf(\[1\])?: found 1 masked"):
        Dataset(VIEWS, psf, POSES)
    with pytest.raises(ValueError, match=r"psf: found 1 masked"):
        fastmpr.deconvolve(VIEWS[0], psf)


def test_what_has_no_length_is_no_list_of_masks():
    for seen in (np.ma.masked, np.array(True), 3):
        with pytest.raises(ValueError, match="seen: found .*need 'auto', 'all' or"):
            Dataset(VIEWS, PSF, POSES, seen=seen)


def test_a_background_that_the_precision_cannot_hold():
    views = VIEWS.astype(np.float32)
    with pytest.raises(ValueError, match="background: found -1e\\+20, need at most 1e\\+15 in float32"):
        fastmpr.reconstruct(views, PSF, POSES, background=-1e20)


def test_a_list_of_paths_is_named():
    with pytest.raises(TypeError, match="particles: found the path 'a.tif', need arrays, or fastmpr.load"):
        Dataset(["a.tif", "b.tif"])


@pytest.mark.parametrize("function", [fastmpr.accumulate, fastmpr.reconstruct, fastmpr.average])
def test_a_centre_of_symmetry_outside_of_the_model(function):
    data = Dataset(VIEWS, PSF, POSES, symmetry="C3", symmetry_centre=(0, 7.5, 0))
    with pytest.raises(
        ValueError, match="symmetry_centre: found 0 x 7.5 x 0 from the middle of the model, need at most"
    ):
        function(data)


class Bare:
    """An array of Zarr 3: a shape and [i], and no length."""

    def __init__(self, array):
        self._array, self.shape, self.ndim, self.dtype = array, array.shape, array.ndim, array.dtype

    def __getitem__(self, index):
        return self._array[index]


def test_an_array_without_a_length():
    data = Dataset(Bare(VIEWS), PSF, POSES)
    assert len(data) == len(VIEWS)
    np.testing.assert_array_equal(fastmpr.accumulate(data).rhs, fastmpr.accumulate(Dataset(VIEWS, PSF, POSES)).rhs)
    masks = np.ones(VIEWS.shape, bool)
    masks[:, :, :, :2] = False
    for seen in (masks, Bare(masks)):
        data = Dataset(Bare(VIEWS), PSF, POSES, seen=seen).replace(weights=np.ones(len(VIEWS)))
        assert np.isnan(data.read(1)[..., :2]).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).read(2), data.read(2))
    with pytest.raises(TypeError, match="particles: found an array without dimensions"):
        Dataset(Bare(np.array(1.0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symmetry": "C3", "symmetry_axis": ((1, 0, 0), (0, 1, 0))}, "found two axes for C3, need one"),
        (
            {"symmetry": "D3", "symmetry_axis": ((1, 0, 0), (1, 1, 0))},
            "found 45 degrees between the n-fold and the two",
        ),
        ({"symmetry": "D3", "symmetry_axis": ((1, 0, 0), (-1, 30, 0))}, "found 91.9 degrees between"),
        ({"symmetry": "D3", "symmetry_axis": ((1, 0, 0), (0, 0, 0))}, r"found \(0, 0, 0\), need an axis"),
        ({"symmetry": "D3", "symmetry_axis": np.eye(3)}, r"found shape \(3, 3\), need three numbers"),
    ],
)
def test_two_axes_must_be_those_of_a_dihedral_group(options, message):
    with pytest.raises(ValueError, match=f"^symmetry_axis: {message}"):
        Dataset(VIEWS, PSF, POSES, **options)


def test_two_axes_stay_with_their_symmetry():
    axes = ((0, 3, 4), (0.01, -4, 3))
    data = Dataset(VIEWS, PSF, POSES, symmetry="D3", symmetry_axis=axes)
    assert repr(data).endswith("with poses, D3 axis (0, 0.6, 0.8) two-fold axis (0.002, -0.8, 0.6)>")
    assert np.dot(*data.symmetry_axis) == pytest.approx(0, abs=1e-15)
    for other in (data[3:5], data.replace(weights=np.ones(len(data))), data.replace(symmetry="D5")):
        np.testing.assert_allclose(other.symmetry_axis, data.symmetry_axis, atol=1e-15)
    assert data.replace(symmetry="C3").symmetry_axis == pytest.approx((0, 0.6, 0.8))
    assert data.replace(symmetry=None).symmetry_axis == (1, 0, 0)
    assert data.replace(symmetry_axis=(0, 0, 1)).symmetry_axis == (0, 0, 1)


def test_the_two_fold_axis_of_the_poses_is_assumed():
    relion = Poses(POSES.rotation, POSES.translation, two_fold="x")
    assumed = "symmetry: the two-fold axis not given, so as in RELION: x where the other is z"
    data = Dataset(VIEWS, PSF, relion, symmetry="D3")
    assert assumed in data.assumed
    given = data.replace(symmetry_axis=((1, 0, 0), (0, 0, 1)))
    assert assumed not in given.assumed
    assert np.abs(np.sort(data.group, axis=0) - np.sort(given.group, axis=0)).max() < 1e-12
    assert data.replace(poses=POSES).group[3] @ (0, 1, 0) == pytest.approx((0, 1, 0))
    for symmetry in ("D4", "C3"):
        same = Dataset(VIEWS, PSF, relion, symmetry=symmetry)
        assert assumed not in same.assumed
        np.testing.assert_array_equal(same.group, Dataset(VIEWS, PSF, POSES, symmetry=symmetry).group)


def test_axis_and_centre_stay_with_their_symmetry():
    data = Dataset(VIEWS, PSF, POSES, symmetry="C3", symmetry_axis=(0, 3, 4), symmetry_centre=(0, 1, 0))
    assert repr(data).endswith("with poses, C3 axis (0, 0.6, 0.8) centre (0, 1, 0)>")
    for other in (
        data[2:4],
        data.replace(weights=np.arange(N)),
        data.replace(symmetry="D5"),
        pickle.loads(pickle.dumps(data)),
    ):
        assert other.symmetry_axis == pytest.approx((0, 0.6, 0.8))
        assert other.symmetry_centre == (0, 1, 0)
    assert data.replace(voxel_size=(0.3, 0.1, 0.1)).symmetry_centre == (0, 0.1, 0)  # it was in voxels
    none = data.replace(symmetry=None)
    assert (none.symmetry_axis, none.symmetry_centre, len(none.group)) == ((1, 0, 0), (0, 0, 0), 1)
