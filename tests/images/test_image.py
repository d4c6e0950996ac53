"""One image as its camera gave it: what of it was seen, and its background."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from scipy import ndimage

import fastmpr
from fastmpr.images.camera import as_image
from fastmpr.images.cells import liveliest
from fastmpr.images.defects import lone
from fastmpr.images.image import Image, Plane, Slabs
from fastmpr.views.seen import NothingSeenError

SHAPE = (10, 40, 44)
SOFT = 0.6
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def unseen(image: Image) -> np.ndarray:
    return np.isnan(np.stack(list(image)))


@pytest.mark.parametrize("light", [0.001, 0.01, 0.1, 1, 20, 400])
def test_few_photons_and_many_are_no_lone_voxels(rng, light):
    scene = light * (1 + 9 * ndimage.gaussian_filter(rng.random((20, 100, 100)) > 0.999, 1.5) * 30)
    image = rng.poisson(scene)
    assert not any(lone(plane.astype(np.float32), SOFT).any() for plane in image)


def test_a_bead_under_a_sharp_psf_is_no_lone_voxel(rng):
    image = rng.normal(10, 1, (60, 60))
    image[20:23, 20:23] += np.array([[0, 40, 0], [40, 1000, 40], [0, 40, 0]])
    assert not lone(image, 0.04).any()
    assert lone(image, SOFT)[21, 21]


def test_hot_and_dead_voxels_are_found_at_the_edge_too(rng):
    image = rng.normal(100, 3, (40, 50))
    hot, dead = [(0, 0), (7, 9), (39, 20)], [(20, 49), (30, 30)]
    for place in hot:
        image[place] += 200
    for place in dead:
        image[place] = 0
    assert sorted(zip(*np.nonzero(lone(image, SOFT)), strict=True)) == sorted(hot + dead)


def test_nan_and_saturated_voxels_are_unseen(rng):
    image = rng.integers(0, 200, SHAPE).astype(np.uint8)
    image[3, 4, 5:8] = 255
    np.testing.assert_array_equal(unseen(as_image(image, "auto", "none", PSF)), image == 255)
    assert not unseen(as_image(image, "all", "none", PSF)).any()
    values = np.where(image == 255, np.nan, image)
    np.testing.assert_array_equal(unseen(as_image(values, "all", "none", PSF)), image == 255)


def test_a_mask_and_a_part_of_it(rng):
    values, mask = rng.random(SHAPE), rng.random(SHAPE) > 0.3
    image, box = as_image(values, mask, 0.5, PSF), (slice(2, 7), slice(3, 20), slice(11, 44))
    np.testing.assert_array_equal(np.stack(list(image)), np.where(mask, values - 0.5, np.nan))
    np.testing.assert_array_equal(np.stack(list(image.part(box))), np.where(mask, values - 0.5, np.nan)[box])


def test_a_crop_in_a_constant(rng):
    image = np.zeros(SHAPE)
    image[2:9, 5:30, 10:44] = rng.normal(50, 1, (7, 25, 34))
    np.testing.assert_array_equal(unseen(as_image(image, "auto", "none", PSF)), image == 0)


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("photons", [2, 50])
def test_background_is_found_under_light_and_noise(rng, offset, photons):
    light = np.zeros((32, 64, 64))
    light[8:24, 10:40, 30:60] = photons
    image = rng.poisson(ndimage.gaussian_filter(light, 2)) + rng.normal(offset, 1, light.shape)
    assert as_image(image, "auto", "auto", PSF).level == pytest.approx(offset, abs=0.05)


def test_haze_is_no_background(rng):
    wide = np.exp(-np.hypot(*np.meshgrid(np.arange(-20, 21), np.arange(-20, 21), indexing="ij")) / 8)[None] * np.ones(
        (9, 1, 1)
    )
    scene = (rng.random((16, 80, 80)) > 0.995) * 100.0
    image = scipy.signal.fftconvolve(
        np.pad(scene, ((4, 4), (20, 20), (20, 20)), mode="wrap"), wide / wide.sum(), "valid"
    )
    level, without = (as_image(image, "auto", "auto", psf).level for psf in (wide / wide.sum(), np.ones((1, 1, 1))))
    assert level < without - 0.01


def test_the_liveliest_part(rng):
    image = rng.normal(0, 0.1, (16, 100, 120))
    image[4:12, 60:80, 20:40] += 5
    box = liveliest(Image(image), 20_000, (16, 8, 8))
    sizes = [part.stop - part.start for part in box]
    assert sizes[0] == 16 and 10_000 < np.prod(sizes) <= 20_000
    assert image[box].sum() > 0.99 * image[:, 60:80, 20:40].sum()
    assert liveliest(Image(image), image.size, (1, 1, 1)) == (slice(None),) * 3


def test_nothing_seen():
    with pytest.raises(NothingSeenError, match="image: found no voxel that was seen"):
        as_image(np.full(SHAPE, np.nan), "auto", "auto", PSF)


def test_a_faint_plane_of_a_bright_image_is_no_matter_and_a_faint_image_is_refused():
    image = np.ones((3, 9, 9), np.float32)
    image[0] = 1e-36
    assert np.isfinite(as_image(image, "all", "auto", PSF).level)
    with pytest.raises(ValueError, match=r"image: found values up to 1e-20, need 1e-16 or more in float32"):
        as_image(np.full((3, 9, 9), 1e-20, np.float32), "all", "none", PSF)


def test_what_a_mask_leaves_out_may_be_infinite(rng):
    image = rng.random(SHAPE)
    image[2, 3, 4] = np.inf
    mask = np.isfinite(image)
    np.testing.assert_array_equal(unseen(as_image(image, mask, "none", PSF)), ~mask)
    with pytest.raises(ValueError, match="infinite"):
        as_image(image, "auto", "none", PSF)


def tilted(shape, slopes, seed=0, blobs=12) -> tuple[np.ndarray, np.ndarray]:
    """Blobs over a background that rises, as a camera counts them; and the background."""
    rng = np.random.default_rng(seed)
    light = np.zeros(shape)
    light[tuple(rng.integers(0, n, blobs) for n in shape)] = 1
    light = ndimage.gaussian_filter(light, 2.5)
    plane = 150 + sum(
        (np.arange(n) - (n - 1) / 2).reshape([-1 if k == axis else 1 for k in range(3)]) * slope
        for axis, (n, slope) in enumerate(zip(shape, slopes, strict=True))
    )
    counts = (
        rng.poisson(200 / light.max() * light + np.broadcast_to(plane, shape) - 100) + 100 + rng.normal(0, 2, shape)
    )
    return np.rint(counts).astype(np.uint16), np.broadcast_to(plane, shape)


@pytest.mark.parametrize(
    ("shape", "slopes"),
    [((32, 64, 64), (0.3, 0.4, -0.5)), ((1, 128, 128), (0, 0.3, 0.25)), ((16, 64, 96), (0, 0.5, 0))],
)
def test_a_background_that_rises_is_taken_off_as_a_plane(shape, slopes):
    image, plane = tilted(shape, slopes)
    psf = PSF if shape[0] > 1 else PSF[4:5] / PSF[4].sum()
    level = as_image(image, "auto", "plane", psf).level
    np.testing.assert_allclose(level[1:], slopes, atol=0.03)
    found = np.stack([level.at(z, *shape[1:]) for z in range(shape[0])])
    assert abs(found - plane).max() < 4
    with pytest.warns(
        fastmpr.FastmprWarning, match="rises from one side of the image to another, need background='plane'"
    ):
        as_image(image, "auto", "auto", psf)


@pytest.mark.parametrize("seed", range(6))
def test_a_level_background_is_no_plane(seed):
    image, _ = tilted((32, 64, 64), (0, 0, 0), seed, blobs=2 + 20 * seed)
    assert isinstance(as_image(image, "auto", "auto", PSF).level, float)  # and no warning, which would be an error here
    level = as_image(image, "auto", "plane", PSF).level
    assert max(map(abs, level[1:])) < 0.05
    half = image.copy()
    half[..., :20] += np.random.default_rng(seed).poisson(100, half[..., :20].shape).astype(np.uint16)
    as_image(half, "auto", "auto", PSF)


@pytest.mark.parametrize("edge", [30, 43, 48, 60])
def test_tissue_that_ends_in_the_image_is_no_plane(edge):
    y, x = np.indices((96, 96))
    tissue = 100.0 * (x > edge) * (1 + 0.3 * np.sin(x / 2) * np.sin(y / 3))
    image = np.random.default_rng(0).poisson(ndimage.gaussian_filter(tissue, 1.5) + 20).astype(np.uint16)
    as_image(image[np.newaxis], "auto", "auto", PSF[4:5] / PSF[4].sum())


def test_a_plane_goes_with_the_part_and_the_frame(rng):
    values = rng.random((6, 8, 10))
    plane = Plane(5.0, 0.5, -0.25, 0.125)
    image = Image(values, plane)
    z, y, x = np.indices(values.shape)
    expected = values - (5 + 0.5 * z - 0.25 * y + 0.125 * x)
    np.testing.assert_allclose(np.stack(list(image)), expected)
    box = (slice(1, 5), slice(2, None), slice(3, 9))
    np.testing.assert_allclose(np.stack(list(image.part(box))), expected[box])
    around = image.around(((-1, 3), (0, 8), (4, 12)), (8, 12, 14), np.nan)
    np.testing.assert_allclose(np.stack(list(around))[1:, :, :6], expected[:3, :, 4:])
    flat = Image(values[:1], Plane(5.0, 0.0, -0.25, 0.125))
    np.testing.assert_allclose(np.stack(list(flat.upright()))[:, 0], expected[0])
    assert plane.centre(values.shape) == pytest.approx((values - expected).mean())
    assert plane.upright().upright() == plane


def test_a_plane_of_few_cells_is_level(rng):
    level = as_image(rng.random((1, 12, 12)), "auto", "plane", PSF[4:5]).level
    assert level[1:] == (0, 0, 0)


class Boxes:
    """An array that notes which planes are read together."""

    def __init__(self, values, depth):
        self.values, self.shape, self.dtype, self.chunks, self.read = (
            values,
            values.shape,
            values.dtype,
            (depth, 1, 1),
            [],
        )

    def __getitem__(self, index):
        part = self.values[index]
        self.read.append(len(part))
        return part


@pytest.mark.parametrize(("most", "read"), [(1e9, [10, 10, 3]), (7 * 40, [5, 5, 5, 5, 3]), (1, [1] * 23)])
def test_slabs_are_as_deep_as_chunks_or_as_memory_allows(most, read):
    array = Boxes(np.arange(23 * 5 * 8, dtype=np.uint8).reshape(23, 5, 8), 10)
    slabs = Slabs(array, most)
    for z in range(23):
        np.testing.assert_array_equal(slabs[z], array.values[z])
    assert array.read == read


def test_a_slab_is_not_kept_beside_a_box():
    slabs = Slabs(Boxes(np.zeros((20, 5, 8)), 10))
    slabs[3]
    assert slabs._slab.size
    slabs[2:4, 1:3, :]
    assert not slabs._slab.size
