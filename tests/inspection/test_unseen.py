"""What nobody saw, where nothing says so: found in any shape and kind of array; darkness of few photons is left alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.signal
import tifffile
from deconvolution.test_images import Chunked
from scipy import ndimage
from shared_data import DATA

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses
from fastmpr.images.camera import as_image
from fastmpr.images.image import Slabs
from fastmpr.inspection import unseen
from fastmpr.inspection.inverted import leaves_out_light
from fastmpr.inspection.repeats import missing_planes
from fastmpr.inspection.unseen import find_unseen
from fastmpr.metrics import psnr
from fastmpr.views.seen import seen_in

SHAPE = (20, 40, 44)
PSF = fastmpr.psf.gaussian((11, 7, 7), sigma=(2, 1.2, 1.2))
Z, Y, X = np.indices(SHAPE)


def scene(seed: int = 0, shape: tuple[int, ...] = SHAPE, sparse: float = 0.997) -> np.ndarray:
    """Points and blobs as a microscope shows them, the brightest 1."""
    rng = np.random.default_rng(seed)
    truth = ndimage.maximum_filter(np.where(rng.random(shape) > sparse, rng.random(shape), 0), 3)
    image = np.maximum(scipy.signal.fftconvolve(truth, PSF, "same"), 0)
    return image / image.max()


def camera(light: np.ndarray, peak: float, offset: float = 100, noise: float = 1.6, seed: int = 1) -> np.ndarray:
    """Photons over an offset, not rounded but for what photons are."""
    rng = np.random.default_rng(seed)
    return rng.poisson(light * peak) + offset + noise * rng.standard_normal(light.shape)


def without(*box: slice) -> np.ndarray:
    mask = np.ones(SHAPE, bool)
    mask[box] = False
    return mask


def ranges(first: int, last: int) -> np.ndarray:
    mask = np.ones(SHAPE, bool)
    mask.reshape(-1)[first:last] = False
    return mask


ROW, COLUMN = np.random.default_rng(0).integers(0, 5, (2, SHAPE[0], 1, 1))
SEEN = {  # what was seen of an image
    "a dropped plane": without(slice(9, 10)),
    "a row of each plane": without(slice(None), slice(17, 18)),
    "the gap of a mosaic": without(slice(None), slice(None), slice(21, 24)),
    "a deskewed stack": (X - 0.8 * Z >= 0) & (X - 0.8 * Z <= 27),
    "registered planes": (Y >= ROW) & (X >= COLUMN),
    "a round field": np.hypot(Y - 19.5, X - 21.5) <= 20,
    "a turned field": abs(Y - 19.5) + abs(X - 21.5) <= 30,
    "half a file": ranges(18_000, 35_200),
    "a hole in a file": ranges(14_000, 17_000),
    "a sphere": (Z - 9.5) ** 2 + (Y - 19.5) ** 2 + (X - 21.5) ** 2 <= 13**2,
    "all but a body": (Z - 9.5) ** 2 + (Y - 15) ** 2 + (X - 30) ** 2 > 5**2,
}


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return camera(scene(), 300)


@pytest.fixture(scope="module")
def problem() -> tuple:
    """(truth, poses, views)"""
    truth = fastmpr.phantom.centriole((24, 24, 24))
    poses = Poses.random(12, max_translation=1, rng=0)
    return truth, poses, fastmpr.simulate(truth, PSF, poses, noise_sigma=0.03, rng=1) + np.float32(0.2)


def found_in(image: np.ndarray | Slabs) -> np.ndarray:
    found = find_unseen(image)
    return np.zeros(image.shape, bool) if found is None else found.mask()


class TestFound:
    @pytest.mark.parametrize("value", ["zero", "mean"])
    @pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u2", "i4", ">u2"])
    @pytest.mark.parametrize("name", SEEN)
    def test_any_shape_in_any_type(self, raw, name, dtype, value):
        mask, image = SEEN[name], (raw if dtype[-2] == "f" else np.rint(raw)).astype(dtype)
        fill = np.array(0 if value == "zero" else raw.mean()).astype(dtype)
        lost = found_in(np.where(mask, image, fill))
        assert lost[~mask].all()
        rare = 0 if dtype in ("f4", "f8") or value == "zero" else 0.02  # voxels that have the value by chance
        assert np.count_nonzero(lost & mask) <= rare * mask.size

    @pytest.mark.parametrize("name", SEEN)
    def test_the_same_plane_by_plane_whatever_holds_them(self, raw, name, monkeypatch):
        image = np.where(SEEN[name], np.rint(raw), 7).astype(np.uint16)
        expected = found_in(image)
        chunked = Chunked(image)
        np.testing.assert_array_equal(found_in(Slabs(chunked)), expected)
        assert chunked.most < image.size
        monkeypatch.setattr(unseen, "_BLOCK", 1)  # blocks as thin as there are
        np.testing.assert_array_equal(found_in(image), expected)

    @pytest.mark.parametrize("photons", [5, 20])
    def test_under_photons_without_an_offset(self, photons):
        image = camera(scene() + 2 / photons, photons, 0, 0)
        for name in ("a dropped plane", "the gap of a mosaic", "a round field", "half a file"):
            lost = found_in(np.where(SEEN[name], image, 0))
            assert lost[~SEEN[name]].all() and (lost & SEEN[name]).mean() < 0.03, name

    def test_an_empty_plane_among_planes_of_few_photons(self):
        image = np.random.default_rng(0).poisson(0.5, SHAPE)
        np.testing.assert_array_equal(found_in(np.where(SEEN["a dropped plane"], image, 0)), ~SEEN["a dropped plane"])

    @pytest.mark.parametrize("name", ["the gap of a mosaic", "a round field", "a turned field", "a row of each plane"])
    def test_in_two_dimensions(self, raw, name):
        mask = SEEN[name][:1]
        np.testing.assert_array_equal(found_in(np.where(mask, raw[:1], 0)), ~mask)

    def test_two_values_and_nan(self, raw):
        image, masks = raw.copy(), [SEEN["a round field"], SEEN["a dropped plane"]]
        for value, mask in zip((0, 50), masks, strict=True):
            image[~mask] = value
        image[3, 20, 20:30] = np.nan
        np.testing.assert_array_equal(found_in(image), ~(masks[0] & masks[1]))

    def test_the_parts_of_the_search_are_what_they_are_elsewhere(self):
        same = np.random.default_rng(0).random((12, 14, 16)) > 0.03
        squares = [ndimage.binary_opening(same, np.ones(sides)) for sides in ((1, 5, 5), (5, 1, 5), (5, 5, 1))]
        np.testing.assert_array_equal(unseen._solid(same), np.any(squares, axis=0))
        np.testing.assert_array_equal(unseen._spread(~same), ndimage.binary_dilation(~same, np.ones((3, 3, 3))))


class TestBorders:
    PADS = ((3, 2), (4, 3), (2, 0))

    @pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
    @pytest.mark.parametrize("dtype", ["f4", "u2"])
    def test_what_they_were_filled_with_is_found(self, raw, mode, dtype):
        inner = np.rint(raw).astype(dtype)
        image = np.pad(inner, self.PADS, mode)
        expected = np.pad(np.zeros(SHAPE, bool), self.PADS, constant_values=True)
        np.testing.assert_array_equal(found_in(image), expected)
        np.testing.assert_array_equal(found_in(Slabs(Chunked(image))), expected)

    @pytest.mark.parametrize("mode", ["nearest", "reflect", "mirror"])
    def test_as_scipy_moves_images(self, raw, mode):
        found = missing_planes(ndimage.shift(raw, (3, -4, 2), order=1, mode=mode))
        assert [np.flatnonzero(planes).tolist() for planes in found] == [[0, 1, 2], [36, 37, 38, 39], [0, 1]]

    def test_in_two_dimensions(self, raw):
        found = missing_planes(np.pad(raw[:1], ((0, 0), (3, 0), (0, 5)), "reflect"))
        assert [np.flatnonzero(planes).tolist() for planes in found] == [[], [0, 1, 2], [44, 45, 46, 47, 48]]

    def test_planes_without_noise_may_be_alike(self):
        symmetric = fastmpr.phantom.nuclear_pore((24, 24, 24))
        symmetric = symmetric + symmetric[::-1]
        for image in (symmetric, ndimage.gaussian_filter(symmetric, 1.5), np.repeat(symmetric, 2, axis=0)):
            assert not any(planes.any() for planes in missing_planes(image))


class TestLeftAlone:
    @staticmethod
    def alarms(images) -> int:
        return sum(find_unseen(image) is not None for image in images)

    @pytest.mark.parametrize("photons", [0.002, 0.02, 0.05, 0.1, 0.3, 1, 3, 10])
    def test_even_light(self, photons):
        rng = np.random.default_rng(0)
        shapes = [SHAPE, (28, 28, 28), (1, 96, 96)]
        assert not self.alarms(
            rng.poisson(photons, shape).astype(d) for shape in shapes for d in ("u2", "f4") for _ in range(5)
        )

    @pytest.mark.parametrize("peak", [0.3, 2, 20, 200, 2000])
    def test_structures_in_the_dark(self, peak):
        for seed in range(2):
            for sparse in (0.97, 0.999):
                light = scene(seed, sparse=sparse)
                counts = [camera(light + floor / peak, peak, 0, 0, seed) for floor in (0, 0.01, 0.3)]
                noisy = camera(light, peak, 10, 1, seed)
                clipped = [np.maximum(noisy - level, 0) for level in (8, 10, 12, 14)]
                whole = [np.rint(image).astype("u2") for image in (*counts, noisy, *clipped)]
                saturated = [np.minimum(np.rint(noisy), 10 + most * peak).astype("u2") for most in (0.3, 0.7)]
                assert not self.alarms([*counts, *clipped, *whole, *saturated])

    def test_images_without_noise(self):
        for name in ("centriole", "nuclear_pore"):
            for size in (24, 48):
                truth = getattr(fastmpr.phantom, name)((size,) * 3)
                blurred = np.maximum(scipy.signal.fftconvolve(truth, PSF, "same"), 0)
                images = [truth, truth > 0.5, blurred, ndimage.gaussian_filter(truth, 1)]
                images += [np.rint(255 * image / image.max()).astype(np.uint8) for image in images[:]]
                assert not self.alarms(image.astype(float) for image in images)
        labels = ndimage.label(scene() > 0.2)[0]
        assert not self.alarms([labels, labels.astype(np.float32)])

    def test_a_black_plane_in_a_simulated_stack(self):
        image = scene()
        image[9] = 0
        assert not self.alarms([image, np.rint(4000 * image).astype("u2")])

    @pytest.mark.skipif(not (DATA / "sted-field").exists(), reason="needs data from elsewhere (FASTMPR_DATA)")
    def test_real_photons(self):
        field = tifffile.imread(DATA / "sted-field" / "field.tif")
        assert not self.alarms([field, field[:, :200, :200], field[5:6]])


class TestImages:
    def test_it_is_told(self, raw, caplog):
        caplog.set_level("INFO", logger="fastmpr")
        mask, said = SEEN["a round field"], []
        image = np.where(mask, raw, 0).astype(np.float32)
        options = {"lam": 1e-3, "max_iter": 2, "report": said.append}
        found = fastmpr.deconvolve(image, PSF, **options)
        assert said[0]["unseen"] == np.count_nonzero(~mask)
        assert f"so {np.count_nonzero(~mask)} of the image's {mask.size} voxels count as unseen" in caplog.text
        np.testing.assert_array_equal(found, fastmpr.deconvolve(image, PSF, seen=mask, **options))
        fastmpr.deconvolve(image, PSF, seen="all", **options)
        assert said[-1]["unseen"] == 0

    def test_a_crop_in_an_array_of_another_kind(self, raw):
        image = np.zeros(SHAPE, np.uint16)
        image[3:17, 5:30, 10:40] = np.rint(raw)[3:17, 5:30, 10:40]
        for values in (image, Chunked(image)):
            known = as_image(values, "auto", "none", PSF)
            np.testing.assert_array_equal(np.isnan(np.stack(list(known))), image == 0)

    @pytest.mark.parametrize("dtype", ["f4", "u2"])
    def test_what_is_masked_was_not_seen(self, raw, dtype):
        image, hidden = np.rint(raw).astype(dtype), np.random.default_rng(0).random(SHAPE) > 0.9
        masked = np.ma.array(image, mask=hidden)
        options = {"lam": 1e-3, "max_iter": 2, "background": 100.0, "seen": "all"}
        told = fastmpr.deconvolve(image, PSF, **options | {"seen": ~hidden})
        np.testing.assert_array_equal(fastmpr.deconvolve(masked, PSF, **options), told)
        np.testing.assert_array_equal(fastmpr.deconvolve(masked[None], PSF, **options)[0], told)
        flat = PSF[5] / PSF[5].sum()
        np.testing.assert_array_equal(
            fastmpr.deconvolve(masked[4], flat, **options),
            fastmpr.deconvolve(image[4], flat, **options | {"seen": ~hidden[4]}),
        )


class TestParticles:
    @staticmethod
    def bodies(views):
        """A connected irregular body around each particle, as people segment them."""
        smooth = ndimage.gaussian_filter(views, (0, 1, 1, 1))
        for image in smooth > 0.35:
            labels, count = ndimage.label(image)
            largest = labels == 1 + np.argmax(ndimage.sum(image, labels, range(1, count + 1)))
            yield ndimage.binary_dilation(largest, iterations=3)

    @pytest.mark.slow
    @pytest.mark.parametrize("fill", ["zero", "mean", "zero above the offset"])
    @pytest.mark.parametrize("shape", ["sphere", "body"])
    def test_masks_are_worth_what_they_are_when_told(self, problem, shape, fill):
        truth, poses, views = problem
        sphere = sum((axis - 11.5) ** 2 for axis in np.indices((24,) * 3)) <= 100
        masks = np.stack(list(self.bodies(views)) if shape == "body" else [sphere] * len(views))
        if fill == "zero above the offset":
            views = views - np.float32(0.2)
        value = views.mean(axis=(1, 2, 3), keepdims=True) if fill == "mean" else 0
        masked = Dataset(np.where(masks, views, value).astype(np.float32), PSF, poses)
        result = fastmpr.reconstruct(masked)
        told = fastmpr.reconstruct(views, PSF, poses, seen=list(masks))
        assert psnr(result.x, truth) > psnr(told.x, truth) - 0.1
        (text,) = (text for text in masked.assumed if text.startswith("seen"))
        assert "what fills regions of one value, or repeats other planes, is taken for unseen" in text

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "u2"])
    def test_what_was_seen_of_any_type(self, problem, dtype):
        views = problem[2]
        scaled = (views if dtype[0] == "f" else np.clip(views * (150 if dtype == "u1" else 3e4), 0, None)).astype(dtype)
        for mask in (
            (np.hypot(*np.indices((24, 24)) - 11.5) < 12) & np.ones((24, 1, 1), bool),
            np.arange(24)[:, None, None] != 7,
        ):
            data = Dataset(np.where(mask, scaled, 0).astype(dtype))
            np.testing.assert_array_equal(np.isfinite(data.read(2)), np.broadcast_to(mask, (24, 24, 24)))
            assert data.source.seen(2).guessed
            assert Dataset(np.where(mask, scaled, 0).astype(dtype), seen="all").source.seen(2) is None

    def test_views_that_saw_all_are_as_they_were(self, problem):
        rng = np.random.default_rng(0)
        for views in (
            problem[2],
            np.maximum(problem[2] - 0.2, 0),
            rng.poisson(np.maximum(problem[2], 0) * 3).astype(float),
        ):
            data = Dataset(views)
            assert not any(data.source.seen(i) for i in range(len(views)))

    def test_what_is_put_in_their_place_is_no_saturation(self, problem):
        view = problem[2][0]
        view = np.roll(view, 22 - np.unravel_index(view.argmax(), view.shape)[0], axis=0)
        view[view == view.max()] *= 1.3
        seen = np.ones(view.shape, bool)
        seen[:22] = False  # to lines of which the brightest voxel is the nearest
        seen[22, :, view[22].max(axis=0).argmax() + 1 :][:, :3] = False
        seen[0, 23, 23] = True
        data = Dataset(np.where(seen, view, np.nan)[None], poses=Poses.random(1, rng=0))
        part = data.source.view(0)[0]
        assert np.count_nonzero(part == part.max()) > 20
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fastmpr.average(data)

    def test_a_border_that_was_filled_is_a_crop(self, problem):
        views = np.pad(problem[2][:, 4:, :, :-3], ((0, 0), (4, 0), (0, 0), (0, 3)), "reflect")
        data = Dataset(views)
        assert data.source.seen(1).box == ((4, 24), (0, 24), (0, 21)) and data.source.seen(1).bits is None


class TestInverted:
    def test_particles(self):
        truth = fastmpr.phantom.centriole((24, 24, 24))
        poses = Poses.random(6, rng=0)
        views = fastmpr.simulate(truth, PSF, poses, noise_sigma=0.03, rng=1)
        sphere = sum((axis - 11.5) ** 2 for axis in np.indices((24,) * 3)) <= 110
        with pytest.warns(FastmprWarning, match=r"seen\[0\]: found that the mask leaves out what is brightest"):
            fastmpr.average(views, poses=poses, seen=[~sphere] * 6)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fastmpr.average(views, poses=poses, seen=[sphere] * 6)
            fastmpr.average(views, poses=poses, seen=[255 * sphere.astype(np.uint8)] * 6)
            fastmpr.average(views, poses=poses, seen=[~sphere, *[sphere] * 5])  # one may well leave out dirt

    def test_images(self, raw):
        mask = SEEN["a round field"]
        with pytest.warns(FastmprWarning, match="seen: found that the mask leaves out what is brightest"):
            as_image(np.where(mask, raw, 0), ~mask, "none", PSF)

    def test_masks_that_are_right(self):
        rng = np.random.default_rng(0)
        for seed in range(3):
            for peak in (5, 30, 300):
                image = camera(scene(seed), peak, seed=seed)
                assert not any(leaves_out_light(image, mask) for mask in SEEN.values())
                hot = rng.random(SHAPE) < 0.01
                assert not leaves_out_light(image + 1000 * hot, ~hot)
                assert not leaves_out_light(image, image < np.quantile(image, 0.97))  # saturated voxels


class TestComputed:
    """What was computed, or cut off at a brightness, was seen."""

    def test_what_fades_without_noise_is_no_crop(self):
        ball = 100.0 * (
            sum((k - (n - 1) / 2) ** 2 for k, n in zip(np.indices((25, 32, 32)), (25, 32, 32), strict=True)) < 64
        )
        image = ndimage.gaussian_filter(ball, (2, 1.2, 1.2))
        assert image[0, 0, 0] == 0 < image.max()  # the filter ends somewhere
        edge = ndimage.gaussian_filter(100.0 * (np.indices((64, 64))[1] > 32), 1.5)[np.newaxis]
        ramp = np.tile(np.arange(64.0), (64, 1))[np.newaxis]
        for computed in (image, edge, ramp):
            for dtype in (np.float64, np.float32):
                assert seen_in(computed.astype(dtype), None, "auto", "auto") is None
        assert seen_in(image.astype(np.uint8), None, "auto", "auto") is None

    @pytest.mark.parametrize("threshold", [150, 350, 500])
    def test_what_is_below_a_threshold_was_seen(self, threshold):
        rng = np.random.default_rng(0)
        places = rng.uniform(10, 118, (10, 2))
        grid = np.indices((128, 128))
        cells = np.max([700.0 * (((grid[0] - y) / 1.2) ** 2 + (grid[1] - x) ** 2 < 81) for y, x in places], axis=0)
        image = rng.poisson(ndimage.gaussian_filter(cells, 1.5) + 100).astype(np.uint16)
        assert find_unseen(np.where(image < threshold, 0, image)[np.newaxis]) is None

    def test_a_residual_is_judged_where_something_was_seen(self):
        rng = np.random.default_rng(0)
        stack = np.zeros((20, 32, 32), np.uint16)
        stack[:4] = rng.poisson(100, (4, 32, 32))
        psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1.2, 1.2))
        found: list = []
        assert np.isfinite(fastmpr.deconvolve(stack, psf, report=found.append)).all()
        assert found[0]["unseen"] == 16 * 32 * 32
