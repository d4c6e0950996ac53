"""Pixels and lines of a camera that are at fault in all planes of an image, and what is not."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import ndimage, signal

import fastmpr
from fastmpr.images.camera import as_image
from fastmpr.images.faults import _ring, faults, sharpness

PSF = fastmpr.psf.gaussian((11, 9, 9), sigma=(2, 1, 1))
SHARP = fastmpr.psf.gaussian((7, 5, 5), sigma=(0.8, 0.5, 0.5))
SHAPE = (16, 44, 40)
OFFSET = 100.0
PEAK = 200


def blurred(scene: np.ndarray, psf: np.ndarray = PSF) -> np.ndarray:
    light = np.maximum(signal.fftconvolve(scene, psf, "same"), 0)
    return light / light.max()


def scene(kind: str, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    """Blobs, points, threads along y or z, or light everywhere."""
    rng, out = np.random.default_rng(seed), np.zeros(shape)
    z, y, x = (rng.integers(0, n, 12) for n in shape)
    if kind == "blobs":
        out[z, y, x] = rng.random(12) + 0.3
        out = ndimage.gaussian_filter(out, 1.5)
    elif kind == "points":
        out[z, y, x] = rng.exponential(1, 12) + 0.1
    elif kind == "threads along y":
        out[z[:4], :, x[:4]] = 1
    elif kind == "threads along z":
        out[:, y[:4], x[:4]] = 1
    else:
        out = rng.random(shape)
    return out


def counted(light: np.ndarray, peak: float = PEAK, read: float = 1.6, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.rint(rng.poisson(light * peak) + OFFSET + read * rng.standard_normal(light.shape)).astype(np.uint16)


LIGHT = blurred(scene("blobs"))
CLEAN = counted(LIGHT)


def spoilt(kind: str, clean: np.ndarray = CLEAN, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """An image with pixels at fault, and which those are."""
    rng, image = np.random.default_rng(seed), clean.astype(float)
    bad = np.zeros(image.shape[1:], bool)
    if kind.endswith("% hot"):
        bad = rng.random(bad.shape) < float(kind.split("%")[0]) / 100
        heat = rng.exponential(300, np.count_nonzero(bad)) + 60
        image[:, bad] += heat + rng.normal(0, np.sqrt(heat), (len(image), len(heat)))
    elif kind == "pairs":
        for y, x in rng.integers(2, 36, (4, 2)):
            bad[y, x] = bad[y, x + 1] = True
        image[:, bad] += 400
    elif kind == "squares":
        for y, x in rng.integers(2, 36, (3, 2)):
            bad[y : y + 2, x : x + 2] = True
        image[:, bad] += 400
    elif kind == "dead":
        bad[1:-1, 1:-1] = rng.random(bad[1:-1, 1:-1].shape) < 0.01  # at the rim, a simulated image may end in darkness
        image[:, bad] = 0
    else:
        value, *where = kind.split()
        place = {"column": np.s_[:, 20], "columns": np.s_[:, 20:22], "row": np.s_[17], "half": np.s_[:20, 20]}
        bad[place[where[0]]] = True
        image[:, bad] = 0 if value == "dead" else image[:, bad] + 100
    return np.rint(image).astype(np.uint16), bad


KINDS = ["0.2% hot", "0.8% hot", "1.6% hot", "pairs", "squares", "dead"]
KINDS += [f"{value} {place}" for value in ("bright", "dead") for place in ("column", "columns", "row", "half")]


def found_in(image: np.ndarray, psf: np.ndarray = PSF) -> np.ndarray:
    found = faults(image, psf)
    return np.zeros(image.shape[1:], bool) if found is None else found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_camera_is_worth_as_much_as_one_whose_faults_are_told(kind):
    image, bad = spoilt(kind)
    assert not (found_in(image) & ~bad).any()
    options = {"lam": 10 / PEAK, "background": OFFSET, "max_iter": 30}
    own, told = (
        fastmpr.deconvolve(image, PSF, seen=seen, **options) / PEAK for seen in ("auto", np.broadcast_to(~bad, SHAPE))
    )
    truth = fastmpr.deconvolve(CLEAN, PSF, **options) / PEAK
    apart = [np.mean(np.square(x - truth)) for x in (own, told)]
    signal_power = np.mean(np.square(truth))
    assert apart[0] < apart[1] + 0.02 * signal_power


@pytest.mark.parametrize("kind", ["0.2% hot", "pairs", "dead", "bright column", "dead column", "bright columns"])
def test_one_plane_and_a_few_suffice_in_the_dark(kind):
    dark = counted(np.zeros((3, 44, 40)))
    image, bad = spoilt(kind, dark)
    for planes in (image, image[:1]):
        np.testing.assert_array_equal(found_in(planes), bad)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["blobs", "points", "threads along y", "threads along z", "texture"])
@pytest.mark.parametrize("psf", [PSF, SHARP], ids=["soft", "sharp"])
def test_what_is_there_is_no_fault(kind, psf):
    light = blurred(scene(kind), psf)
    for peak in (0.3, 2, 20, 200):
        for read in (0.0, 1.6):
            image = counted(light, peak, read)
            for planes in (image, image[:4], image[5:6]):
                assert faults(planes, psf) is None
    assert faults(light, psf) is None


def test_what_is_in_one_plane_alone_is_not_the_cameras():
    image = CLEAN.copy()
    image[5, 20, 20], image[9, 8:12, 30] = 20_000, 5_000
    assert faults(image, PSF) is None


def test_planes_of_another_kind_of_array_and_of_nan():
    class Planes:
        def __init__(self, array):
            self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, []

        def __getitem__(self, z):
            self.read.append(z)
            return self.array[z]

        def __len__(self):
            return len(self.array)

    image, bad = spoilt("pairs", counted(blurred(scene("blobs", (90, 44, 40)))))
    planes = Planes(image)
    np.testing.assert_array_equal(faults(planes, PSF), bad)
    assert len(planes.read) == len(set(planes.read)) <= 64
    holed = image.astype(np.float32)
    holed[:, 3:6, 3:6] = np.nan
    expected = bad.copy()
    expected[3:6, 3:6] = False
    np.testing.assert_array_equal(found_in(holed), expected)


def test_it_is_said_and_a_mask_or_all_leave_it_alone(caplog):
    image, bad = spoilt("pairs")
    with caplog.at_level(logging.INFO, "fastmpr"):
        assert as_image(image, "auto", "none", PSF).holes == len(image) * np.count_nonzero(bad)
    assert (
        f"seen: not given, so {np.count_nonzero(bad)} pixels that are at fault in all planes count as unseen"
        in caplog.text
    )
    assert as_image(image, "all", "none", PSF).holes == 0
    assert as_image(image, np.ones(SHAPE, bool), "none", PSF).holes == 0


def test_frames_of_a_movie_share_their_camera():
    still = counted(np.repeat(LIGHT[8:9], 10, axis=0))
    image, bad = spoilt("0.8% hot", still)
    unseen = []
    fastmpr.deconvolve(image, PSF[5], lam=0.05, max_iter=1, report=lambda found: unseen.append(found["unseen"]))
    assert unseen == [np.count_nonzero(bad)] * len(image)


def test_sharpness_is_that_of_the_sharpest_light():
    """Any light, a sum of points, stays within it; one point reaches it."""
    bound, rng = sharpness(PSF), np.random.default_rng(0)
    for share in (0.001, 0.01, 0.2):
        light = np.pad(scene("texture", (11, 60, 60)) * (rng.random((11, 60, 60)) < share), 9)
        plane = signal.fftconvolve(light, PSF, "same")[12, 12:-12, 12:-12]
        ring = _ring(plane[np.newaxis])[0]
        core = np.s_[1:-1, 1:-1]
        assert (plane - bound.most * ring)[core].max() <= 1e-3 * plane.max()
        pair = (plane[:, :-2] + plane[:, 2:]) / 2
        assert (plane[:, 1:-1] - bound.pairs[0] * pair).max() <= 1e-3 * plane.max()
    y, x = np.indices((3, 3)) - 1
    weights = np.exp(-(y**2 + x**2) / 2)
    assert bound.most == pytest.approx(1 / np.delete(weights.ravel(), 4).mean(), rel=1e-3)
    assert bound.pairs == pytest.approx((np.exp(0.5), np.exp(0.5), np.e, np.e), rel=1e-3)
    assert bound.lines[0] == pytest.approx(np.exp(0.5), rel=1e-3)


def test_rings_as_their_definition_says():
    runs = np.random.default_rng(0).random((2, 6, 7)).astype(np.float32)
    runs[:, 2, 3] = np.nan
    found = _ring(runs)
    for k, y, x in np.ndindex(2, 4, 5):
        around = np.delete(runs[k, y : y + 3, x : x + 3].ravel(), 4)
        assert found[k, y + 1, x + 1] == pytest.approx(np.nanmean(around), rel=1e-5)
