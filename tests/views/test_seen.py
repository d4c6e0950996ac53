"""What a view saw of its image: crops are recognised, masks and NaN honoured, dark images left alone."""

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses
from fastmpr.views.seen import NothingSeenError, Seen, crop_box, seen_in

SHAPE = (12, 14, 16)
BOX = ((2, 12), (3, 9), (0, 16))  # up to the image's edge along z on one side, and along x


def image(seed=0):
    return np.random.default_rng(seed).random(SHAPE).astype(np.float32) + 0.5


def inside(box=BOX):
    return tuple(slice(*side) for side in box)


def pasted(box=BOX, value=0.0, seed=0):
    """A crop in an image of one value."""
    particle = np.full(SHAPE, value, np.float32)
    particle[inside(box)] = image(seed)[inside(box)]
    return particle


class TestCrops:
    @pytest.mark.parametrize("value", [0, -3, 100.5, 0.75])
    def test_any_box_in_any_value_is_found(self, value):
        rng = np.random.default_rng(1)
        for _ in range(50):
            ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in SHAPE]
            box = tuple((int(a), int(b)) for a, b in ends)
            expected = None if box == tuple((0, n) for n in SHAPE) else box
            assert crop_box(pasted(box, value)) == expected

    def test_a_few_odd_voxels_do_not_hide_it(self):
        stray, hole, frame = pasted(), pasted(), np.full((14, 16, 18), 1.0, np.float32)
        stray[0, 0, 15] = 1e-6
        hole[5, 5, 5] = np.nan
        frame[1:-1, 1:-1, 1:-1] = pasted()
        assert crop_box(stray) == BOX
        assert crop_box(frame) == tuple((a + 1, b + 1) for a, b in BOX)  # pasted twice, into another value
        data = Dataset(hole[None])
        assert data.source.seen(0).guessed
        np.testing.assert_array_equal(np.isfinite(data.read(0)), (hole != 0) & np.isfinite(hole))

    def test_they_are_logged_once(self, caplog):
        caplog.set_level("INFO", logger="fastmpr")
        data = Dataset(pasted()[None], poses=Poses.random(1, rng=0))
        for _ in range(2):
            fastmpr.average(data)
        assert sum("are taken for crops" in record.message for record in caplog.records) == 1

    def test_one_missing_plane_is_a_crop(self):
        assert crop_box(pasted(((0, 12), (0, 14), (1, 16)))) == ((0, 12), (0, 14), (1, 16))

    @pytest.mark.parametrize("photons", [0.02, 0.1, 0.3])
    def test_images_of_few_photons_are_none(self, photons):
        rng = np.random.default_rng(2)
        assert not any(crop_box(rng.poisson(photons, SHAPE).astype(np.float32)) for _ in range(100))

    @pytest.mark.parametrize(
        "particle",
        [
            np.zeros(SHAPE),
            np.full(SHAPE, 7.0),
            image(),
            fastmpr.phantom.centriole(SHAPE),
        ],
        ids=["dark", "constant", "noise", "without noise"],
    )
    def test_what_is_dark_or_constant_is_none(self, particle):
        assert crop_box(particle) is None

    def test_they_are_told_once_they_were_read(self, caplog):
        data = Dataset(np.stack([image(), pasted(), pasted(seed=3)]), poses=Poses.random(3, rng=0))
        assert not any("seen" in text for text in data.assumed)
        fastmpr.average(data)
        (text,) = (text for text in data.assumed if text.startswith("seen"))
        assert "particles[1] and 1 more are taken for crops (10 x 6 x 16 of 12 x 14 x 16)" in text

    def test_unless_all_was_seen(self):
        data = Dataset(pasted()[None], seen="all")
        assert data.source.seen(0) is None
        np.testing.assert_array_equal(data.read(0), pasted())


class TestSeen:
    def test_a_mask_nan_and_a_masked_array_say_the_same(self):
        mask = np.random.default_rng(3).random(SHAPE) > 0.3
        views = [
            Dataset(image()[None], seen=[mask]),
            Dataset(np.where(mask, image(), np.nan)[None]),
            Dataset([np.ma.masked_array(image(), ~mask)]),
        ]
        for data in views:
            np.testing.assert_array_equal(data.read(0), np.where(mask, image(), np.nan))
            part, seen = data.source.view(0)
            assert np.isfinite(part).all()
            assert seen.bits.nbytes <= np.ceil(mask.size / 8)

    def test_unseen_voxels_get_the_value_of_their_neighbours_until_they_are_predicted(self):
        particle = image()
        particle[5, 6, 7] = np.nan
        part, seen = Dataset(particle[None]).source.view(0)
        near = [
            particle[4, 6, 7],
            particle[6, 6, 7],
            particle[5, 5, 7],
            particle[5, 7, 7],
            particle[5, 6, 6],
            particle[5, 6, 8],
        ]
        assert part[5, 6, 7] == pytest.approx(np.mean(near))
        assert seen.beyond  # one hot pixel is no crop
        np.testing.assert_array_equal(
            np.delete(part.ravel(), np.ravel_multi_index((5, 6, 7), SHAPE)), particle[np.isfinite(particle)]
        )

    @pytest.mark.parametrize(
        ("outside", "crop", "whole"), [("auto", False, None), ("dark", True, None), ("unseen", False, False)]
    )
    def test_what_is_beyond(self, outside, crop, whole):
        data = Dataset(np.stack([pasted(), image()]), outside=outside)
        seen = [data.source.seen(i) for i in range(2)]
        assert seen[0].beyond == crop
        assert (seen[1] and seen[1].beyond) == whole

    def test_masks_stay_with_their_particles(self):
        masks = [np.random.default_rng(i).random(SHAPE) > 0.2 for i in range(4)]
        masks[2] = None
        data = Dataset(np.stack([image(i) for i in range(4)]), seen=masks)
        some = data[[3, 2, 0]].replace(weights=[1, 2, 3])[1:]
        assert some.source.seen(0) is None
        np.testing.assert_array_equal(np.isfinite(some.read(1)), masks[0])

    def test_masks_and_levels_of_one_image_selected_twice(self):
        masks = [np.random.default_rng(i).random(SHAPE) > 0.2 for i in range(2)]
        twice = Dataset(image()[None])[[0, 0]].replace(seen=masks, background=[1, 5])
        for k, level in enumerate((1, 5)):
            expected = np.where(masks[k], image(), np.nan)
            np.testing.assert_array_equal(twice.read(k), expected)
            np.testing.assert_allclose(twice.levelled().read(k), expected - level, rtol=1e-6)

    def test_a_mask_of_an_image_editor(self):
        mask = np.random.default_rng(0).random(SHAPE) > 0.2
        data = Dataset(image()[None], seen=[255 * mask.astype(np.uint8)])
        np.testing.assert_array_equal(np.isfinite(data.read(0)), mask)

    def test_a_box_alone_takes_no_memory(self):
        assert seen_in(pasted(), None, "auto", "auto") == Seen(BOX, None, False, True)


class TestBadInput:
    @pytest.mark.parametrize(
        ("seen", "message"),
        [
            ("some", "seen: found 'some', need"),
            ([np.ones(SHAPE, bool)] * 2, "seen: found 2 masks, need 'auto', 'all' or 1 masks"),
            (3, "seen: found int, need"),
            ([np.ones((3, 3, 3), bool)], r"seen\[0\]: found a mask of shape \(3, 3, 3\), need \(12, 14, 16\)"),
            ([np.full(SHAPE, 0.5)], r"seen\[0\]: found float64 with other values than 0 and 1"),
            ({0: np.ones(SHAPE, bool)}, "seen: found a dict, need a sequence"),
        ],
    )
    def test_masks(self, seen, message):
        with pytest.raises((ValueError, TypeError), match=message):
            Dataset(image()[None], seen=seen).read(0)

    @pytest.mark.parametrize(("name", "value"), [("outside", "bright"), ("background", "much"), ("background", [1, 2])])
    def test_words(self, name, value):
        with pytest.raises(ValueError, match=f"{name}: found"):
            Dataset(image()[None], **{name: value})

    def test_a_particle_of_which_nothing_was_seen(self):
        views = np.stack([image(), np.full(SHAPE, np.nan), image(1)])
        data = Dataset(views, poses=Poses.random(3, rng=0))
        with pytest.raises(NothingSeenError, match=r"particles\[1\]: found no voxel that was seen"):
            data.read(1)
        with pytest.warns(FastmprWarning, match=r"found no seen voxel in particles\[1\]: left out"):
            found = fastmpr.average(data)
        np.testing.assert_array_equal(found, fastmpr.average(data[[0, 2]]))


class TestBackground:
    def test_that_of_a_crop_is_read_from_what_was_seen(self):
        crop = pasted() + np.float32(0)
        crop[inside()] = 5 + 0.01 * crop[inside()]
        less = Dataset(crop[None]).levelled().read(0)
        assert abs(np.nanmean(less)) < 0.02
        assert np.isnan(less[0]).all()

    def test_it_may_be_given_for_each_or_left(self):
        views = np.stack([image(), image(1)])
        assert np.array_equal(Dataset(views, background="none").levelled().read(1), views[1])
        given = Dataset(views, background=[1, 2])[[1]].levelled()
        np.testing.assert_array_equal(given.read(0), views[1] - np.float32(2))
