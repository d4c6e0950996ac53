"""Images of any kind: two and three dimensions, channels, many with one PSF, tiles, arrays that are read in parts."""

from __future__ import annotations

import logging
import math
import threading

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

import fastmpr
from fastmpr.deconvolution.tiles import tiles_of
from fastmpr.sums.blur import Blur

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(1.6, 1.1, 1.1))
FLAT = PSF[4] / PSF[4].sum()
GIVEN = {"lam": 300.0, "background": "none"}


def field(shape, seed=0) -> np.ndarray:
    """Small bright things everywhere."""
    rng = np.random.default_rng(seed)
    points = np.zeros(shape)
    points[tuple(rng.integers(0, n, 40 * math.prod(shape) // 4000) for n in shape)] = 30
    return scipy.ndimage.gaussian_filter(points, 0.8)


def image_of(truth, psf=PSF, noise=0.02, seed=1) -> np.ndarray:
    blurred = scipy.signal.fftconvolve(truth, psf, mode="same")
    return (blurred + noise * blurred.max() * np.random.default_rng(seed).standard_normal(truth.shape)).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    return image_of(field((20, 30, 34)))


@pytest.fixture(scope="module")
def broad() -> np.ndarray:
    return image_of(field((16, 90, 120)))


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    return image_of(field((60, 70)), FLAT)


def test_the_psf_says_which_axes_are_space(stack, plane):
    for image, psf in ((stack, PSF), (plane, FLAT)):
        alone = fastmpr.deconvolve(image, psf, **GIVEN)
        assert alone.shape == image.shape and alone.dtype == np.float32
        frames = np.stack([[image, 2 * image]])
        several = fastmpr.deconvolve(frames, psf, lam="auto", background="none", max_iter=5, tol=0)
        assert several.shape == frames.shape
        np.testing.assert_allclose(
            several[0, 1], 2 * several[0, 0], rtol=1e-3, atol=1e-3 * several.max()
        )  # its own lam
    with pytest.raises(ValueError, match=r"image: found float32 of shape \(60, 70\), need .* 3 axes or more"):
        fastmpr.deconvolve(plane, PSF)


def test_a_plane_is_what_a_stack_of_one_is(plane):
    options = {**GIVEN, "max_iter": 30, "tol": 0}
    flat = fastmpr.deconvolve(plane, FLAT, **options)
    deep = fastmpr.deconvolve(plane[None], FLAT[None], **options)
    np.testing.assert_allclose(flat, deep[0], atol=2e-3 * flat.max())
    truth = field((60, 70))
    error = [np.square(x - truth).mean() for x in (flat, plane)]
    assert error[0] < 0.5 * error[1]


def test_each_channel_may_have_a_psf_of_its_own(stack):
    wide = fastmpr.psf.gaussian((11, 9, 9), sigma=(2, 1.5, 1.5))
    both = fastmpr.deconvolve(np.stack([stack, stack]), [PSF, wide], **GIVEN)
    for k, psf in enumerate((PSF, wide)):
        np.testing.assert_array_equal(both[k], fastmpr.deconvolve(stack, psf, **GIVEN))
    with pytest.raises(ValueError, match=r"psf: found 2 for an image of shape \(3, 20, 30, 34\), need one"):
        fastmpr.deconvolve(np.stack([stack] * 3), [PSF, wide], **GIVEN)


def test_many_images_are_done_one_at_a_time_with_one_preparation(stack, monkeypatch):
    made, own = [], Blur.transfer
    monkeypatch.setattr(Blur, "transfer", lambda self, *args: made.append(args) or own(self, *args))
    alone = fastmpr.deconvolve(stack, PSF, **GIVEN)
    asked, made[:] = [], []

    def images():
        for k in range(3):
            asked.append(k)
            yield stack

    results = fastmpr.deconvolve(images(), PSF, **GIVEN)
    np.testing.assert_array_equal(next(results), alone)
    assert asked == [0]
    assert len(list(results)) == 2 and len(made) == 1
    listed = fastmpr.deconvolve([stack, stack[:, :20]], PSF, **GIVEN)
    assert [x.shape for x in listed] == [(20, 30, 34), (20, 20, 34)]


class Chunked:
    """An array of another kind: read by boxes and planes, written by boxes, never whole."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape, self.dtype, self.most = values, values.shape, values.dtype, 0
        self.chunks = (*(1 for _ in values.shape[:-3]), 8, 64, 64)  # as Zarr's

    def __getitem__(self, box):
        part = self.values[box]
        self.most = max(self.most, part.size)
        return part.copy()

    def __setitem__(self, box, part):
        self.most = max(self.most, part.size)
        self.values[box] = part


@pytest.mark.slow
def test_arrays_that_are_read_and_written_in_parts(broad, tmp_path):
    stack, most = broad, 6e6
    expected = fastmpr.deconvolve(stack, PSF, **GIVEN, max_memory=most)
    source, target = Chunked(stack.copy()), Chunked(np.zeros_like(stack))
    assert fastmpr.deconvolve(source, PSF, **GIVEN, max_memory=most, out=target) is target
    np.testing.assert_array_equal(target.values, expected)
    np.testing.assert_array_equal(source.values, stack)
    assert target.most < stack.size
    whole = fastmpr.deconvolve(Chunked(stack), PSF, **GIVEN, outside="dark", workers=2)
    np.testing.assert_array_equal(whole, fastmpr.deconvolve(stack, PSF, **GIVEN, outside="dark", workers=2))
    np.save(tmp_path / "stack.npy", stack)
    mapped = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, stack.shape)
    fastmpr.deconvolve(np.load(tmp_path / "stack.npy", mmap_mode="r"), PSF, **GIVEN, max_memory=most, out=mapped)
    np.testing.assert_array_equal(mapped, expected)
    frames, both = Chunked(np.stack([stack, stack])), Chunked(np.zeros((2, *stack.shape), np.float32))
    fastmpr.deconvolve(frames, PSF, **GIVEN, max_memory=most, out=both)
    np.testing.assert_array_equal(both.values[1], expected)
    assert frames.most < stack.size
    with pytest.raises(ValueError, match=r"out: found shape \(3,\), need the image's"):
        fastmpr.deconvolve(stack, PSF, out=np.zeros(3))
    with pytest.raises(ValueError, match="out: found one beside several images"):
        fastmpr.deconvolve([stack], PSF, out=np.zeros(3))


@pytest.mark.slow
def test_tiles_come_to_what_the_whole_does(broad):
    options, found = {**GIVEN, "tol": 2e-4, "max_iter": 2000}, []
    whole = fastmpr.deconvolve(broad, PSF, **options)
    tiled = fastmpr.deconvolve(broad, PSF, **options, max_memory=6e6, report=found.append)
    assert found[0]["tiles"] > 5
    difference = np.abs(tiled - whole) / whole.max()
    assert difference[5:-5, 5:-5, 5:-5].max() < 2e-3
    assert difference.max() < 5e-3  # at the image's own rim, where the light is not known so well


@pytest.mark.slow
def test_tiles_know_that_it_is_dark_beyond(broad):
    options = {**GIVEN, "outside": "dark", "max_iter": 300, "tol": 1e-3}
    whole = fastmpr.deconvolve(broad, PSF, **options)
    tiled = fastmpr.deconvolve(broad, PSF, **options, max_memory=8e6)
    unseen = fastmpr.deconvolve(broad, PSF, **{**options, "outside": "unseen"})
    away, before = (np.sqrt(np.square(x - whole).mean()) / whole.max() for x in (tiled, unseen))
    assert away < 3e-3 and away < 0.3 * before


def test_tiles_cover_the_image_once_and_fit():
    limit = 60**3

    def small(box):
        return math.prod(box) <= limit

    for shape in ((100, 300, 300), (1, 500, 500), (64, 64, 1000), (7, 40, 41)):
        grid = tuple(n + 8 if n > 1 else 1 for n in shape)
        tiles = tiles_of(shape, (8, 3, 3), grid, False, small, math.prod)
        count = np.zeros(shape, int)
        for tile in tiles:
            count[tile.place] += 1
            assert math.prod(tile.shape) <= limit or len(tiles) == 1
            assert all(n <= whole for n, whole in zip(tile.shape, grid, strict=True))
            for (first, last), (start, end), within in zip(tile.inner, tile.outer, tile.within, strict=True):
                assert start <= first and last <= end and within.stop - within.start == last - first
        assert (count == 1).all()


def test_memory_that_does_not_suffice_is_told_with_what_would(stack):
    with pytest.raises(ValueError, match=r"max_memory: found 0 MiB, need \d+ for the smallest tile"):
        fastmpr.deconvolve(stack, PSF, **GIVEN, max_memory=1e5)
    for bad in (0, -1, "4G", math.nan, True):
        with pytest.raises(ValueError, match="max_memory: found"):
            fastmpr.deconvolve(stack, PSF, max_memory=bad)


def test_voxels_that_are_no_cubes_are_told_to_the_prior(stack):
    long = fastmpr.deconvolve(stack, PSF, **GIVEN, voxel_size=(0.3, 0.1, 0.1))
    same = fastmpr.deconvolve(
        stack, PSF, lam=300.0, background="none", regularizer=fastmpr.regularizers.Hessian((3, 1, 1))
    )
    np.testing.assert_allclose(long, same, atol=1e-4 * same.max())
    cubes = fastmpr.deconvolve(stack, PSF, **GIVEN)
    assert np.abs(long - cubes).max() > 0.02 * cubes.max()
    finer = scipy.ndimage.zoom(PSF.astype(float), (2, 1, 1), order=1)[:17]
    other = fastmpr.deconvolve(stack, finer, **GIVEN, voxel_size=(0.3, 0.1, 0.1), psf_voxel_size=(0.15, 0.1, 0.1))
    assert np.corrcoef(other.ravel(), long.ravel())[0, 1] > 0.97


def test_what_was_found_is_reported_and_integers_are_converted_not_scaled(stack):
    counts = np.clip(100 * stack + 300, 0, 65535).astype(np.uint16)
    counts[5, 6, 7] = 65535
    found = []
    x = fastmpr.deconvolve(counts, PSF, lam=0.1, background=300, report=found.append)
    (told,) = found
    assert told["index"] == () and told["tiles"] == 1 and told["success"] and told["unseen"] == 1
    assert told["lam"] > 0 and told["nit"] > 0 and told["background"] == 300
    np.testing.assert_allclose(x.sum(), (counts - 300.0).sum() - 65235, rtol=0.05)


def test_it_ends_when_it_is_told_to(stack, broad):
    stop = threading.Event()
    partial = fastmpr.deconvolve(stack, PSF, **GIVEN, callback=lambda result: stop.set(), cancel=stop)
    assert partial.shape == stack.shape
    with pytest.raises(fastmpr.Cancelled, match="while lam was being chosen"):
        fastmpr.deconvolve(stack, PSF, cancel=stop)
    with pytest.raises(fastmpr.Cancelled, match=r"in tile 1 of \d"):
        fastmpr.deconvolve(broad, PSF, **GIVEN, max_memory=6e6, cancel=stop)


@pytest.mark.parametrize("several", [np.stack, list, iter])
def test_nothing_is_begun_after_it_was_told_to_end(stack, several):
    told, found = threading.Event(), []
    with pytest.raises(fastmpr.Cancelled, match="deconvolve: cancelled"):
        many = several([stack, stack])
        list(fastmpr.deconvolve(many, PSF, **GIVEN, cancel=told, callback=lambda _: told.set(), report=found.append))
    assert len(found) == 1 and found[0]["nit"] < 9


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((20, 30, 34), np.uint8), "out: found uint8"),
        (np.broadcast_to(np.float32(0), (20, 30, 34)), "out: found an array that cannot be written to"),
    ],
)
def test_what_cannot_take_the_result_is_refused_before_the_work(stack, out, message):
    with pytest.raises(ValueError, match=message):
        fastmpr.deconvolve(stack, PSF, **GIVEN, out=out, callback=lambda _: pytest.fail("it has begun"))


@pytest.mark.filterwarnings("ignore:psf_voxel_size:fastmpr.FastmprWarning")  # it is said before
def test_a_psf_whose_voxels_are_in_another_unit_is_refused(stack):
    with pytest.raises(MemoryError, match="psf_voxel_size: found .* need sides in the unit of voxel_size"):
        fastmpr.deconvolve(stack, PSF, **GIVEN, psf_voxel_size=1e6)


@pytest.mark.slow
def test_progress_counts_tiles_and_images(broad):
    told = []
    fastmpr.deconvolve([broad, broad], PSF, **GIVEN, max_memory=6e6, progress=lambda *args: told.append(args))
    tiles = [done for what, done, _ in told if what == "tiles"]
    assert tiles == 2 * list(range(1, max(tiles) + 1))
    assert [args for args in told if args[0] == "images"] == [("images", 1, 2), ("images", 2, 2)]


def test_too_few_iterations_are_told(stack, caplog):
    caplog.set_level(logging.INFO, "fastmpr")
    found = []
    fastmpr.deconvolve(stack, PSF, **GIVEN, max_iter=12, report=found.append)
    assert (found[0]["success"], found[0]["status"], found[0]["nit"]) == (False, "max_iter", 12)
    assert any("times tol after 12 iterations" in record.message for record in caplog.records)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"psf": np.ones(3)}, "psf: found 1 dimensions, need 2 or 3"),
        ({"psf": [PSF, FLAT]}, "psf: found 2 and 3 dimensions"),
        ({"psf": np.zeros((3, 3, 3))}, "psf"),
        ({"psf": -PSF}, r"psf: found -0.\d+ to .* need one that is mostly positive"),
        ({"image": np.full((9, 9, 9), np.nan)}, "image: found no voxel that was seen"),
        ({"image": np.full((9, 9, 9), np.inf)}, "image"),
        ({"image": np.where(np.eye(9)[:, :, np.newaxis] * np.arange(9) == 5, np.inf, 1)}, "image"),
        ({"image": np.ones((9, 9, 9), complex)}, "image: found complex128"),
        ({"regularizer": "tikhonov"}, "regularizer: found 'tikhonov', need 'hessian'"),
        ({"seen": np.ones((3, 3, 3), bool)}, r"seen: found shape \(3, 3, 3\)"),
        ({"seen": "some"}, "seen: found 'some'"),
        ({"outside": "mirror"}, "outside: found 'mirror'"),
        ({"background": "line"}, "background: found 'line'"),
        ({"frames": "same"}, "frames: found 'same', need"),
        ({"axes": "ZYXS"}, "axes: found 'ZYXS', need .*: colours are channels, C"),
        ({"axes": "ZZYX"}, "axes: found 'ZZYX', need some of the letters"),
        ({"axes": "TYX"}, "axes: found 'TYX' beside a PSF of 3 dimensions, need Z too"),
        ({"axes": "CZYX"}, r"axes: found 'CZYX' for an image of shape \(20, 30, 34\), need a letter for each axis"),
        ({"axes": "ZYX", "frames": "alike"}, "frames: found 'alike' beside axes='ZYX', need T among its letters"),
        ({"voxel_size": (1, 2)}, "voxel_size"),
        ({"lam": -1}, "lam"),
        ({"tol": 2}, "tol"),
    ],
)
def test_bad_input_is_told_in_a_line(stack, change, message):
    given = {"image": stack, "psf": PSF, "lam": 300.0, **change}
    with pytest.raises(ValueError, match=message) as error:
        fastmpr.deconvolve(given.pop("image"), given.pop("psf"), **given)
    assert "\n" not in str(error.value)
