"""What is said of a PSF that is given as it is: nothing of those computed here, something of each that costs."""

from __future__ import annotations

import itertools
import warnings

import naive
import numpy as np
import pytest
from beads import PEAK, counts, gaussian
from scipy import ndimage

import fastmpr
from fastmpr import Dataset, FastmprWarning, psf
from fastmpr.psf import checks

VIEWS = np.ones((2, 8, 8, 8), np.float32)
TYPICAL = psf.gaussian((21, 13, 13), sigma=(3, 1, 1))
OPTICS = [(0.3, 1.0), (0.9, 1.0), (0.8, 1.33), (1.2, 1.33), (1.4, 1.515), (1.49, 1.515)]  # NA, refractive index
KINDS = [{}, {"confocal": True}, {"confocal": True, "pinhole": 1}, {"confocal": True, "pinhole": 2}]


def said(h):
    """All that is said when a data set is made."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Dataset(VIEWS, h)
    assert all(warning.category is FastmprWarning for warning in found)
    return [str(warning.message) for warning in found]


def too_small(h):
    """Whether even the border of an odd array has three quarters of the peak."""
    odd = h[tuple(slice(1 - n % 2, None) for n in h.shape)]
    return max(np.take(odd, 0, axis).max() for axis in range(h.ndim)) > 0.75 * odd.max()


# ---- no false alarm


@pytest.mark.slow
@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("na, index", OPTICS)
def test_nothing_is_said_of_a_computed_psf(na, index, options):
    """At any size that is not far too small, though widefield cones are cut off by most."""
    shapes = [(7, 7, 7), (9, 16, 15), (16, 12, 21), (43, 35, 35), (64, 24, 24), (129, 9, 10), (11, 70, 69)]
    silent = 0
    for shape, wavelength, voxel in itertools.product(
        shapes, (0.4, 0.52, 0.8), [(0.03, 0.03, 0.03), (0.1, 0.06, 0.06), (0.3, 0.1, 0.1), (0.3, 0.3, 0.3)]
    ):
        lens = {"wavelength": wavelength, "na": na, "refractive_index": index}
        h = psf.born_wolf(shape, voxel_size=voxel, **lens, **options)
        texts = said(h)
        if too_small(h):
            assert len(texts) == 1
            assert "of its peak at its border" in texts[0]
        else:
            assert texts == [], (shape, wavelength, voxel)
            silent += 1
    assert silent >= 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(5, 5, 5), (7, 8, 9), (16, 12, 14), (43, 31, 31), (1, 16, 17), (1, 1, 1), (12, 1, 3)]
)
def test_nothing_is_said_of_a_gaussian(shape, dtype):
    for share in (0.0001, 0.1, 0.2, 0.28):  # the border has up to a fifth of the peak
        assert said(psf.gaussian(shape, sigma=[share * n for n in shape], dtype=dtype)) == []
    assert said(psf.gaussian(5, sigma=(1.5, 1, 1))) == []


@pytest.mark.parametrize("shape", [(17, 11, 12), (40, 11, 11), (16, 12, 14)])
def test_nothing_is_said_of_a_lopsided_psf_whose_peak_is_near_the_centre(shape):
    h = naive.lopsided_psf(shape)
    assert said(h) == []
    assert said(psf.centred(h)) == []
    assert said(np.roll(h, 2, axis=0)) != []


@pytest.mark.parametrize("scale", [1e-30, 1, 1e9])
def test_scale_does_not_matter(scale):
    assert said(scale * TYPICAL.astype(np.float64)) == []
    assert len(said(scale * (TYPICAL.astype(np.float64) + 0.01 * TYPICAL.max()))) == 1


@pytest.mark.parametrize("shape", [(21, 13, 13), (20, 14, 14), (43, 49, 49)])
@pytest.mark.parametrize("read_noise", [0, 3, 10])
def test_nothing_is_said_of_noise_or_of_what_measured_returns(shape, read_noise):
    rng = np.random.default_rng(0)
    noisy = rng.poisson(PEAK * gaussian(shape)) + rng.normal(0, read_noise, shape)
    assert said(noisy) == []
    assert said(psf.measured(counts(gaussian(shape, shift=(1.3, -0.7, 0.4)), 100, read_noise, rng))) == []


# ---- alarm


@pytest.mark.parametrize("offset", [10, 100, 400])
@pytest.mark.parametrize("read_noise", [0, 3])
@pytest.mark.parametrize("shape", [(21, 13, 13), (20, 14, 14), (43, 49, 49)])
def test_an_offset_is_told_with_its_figure(shape, read_noise, offset):
    rng = np.random.default_rng(1) if read_noise else None
    (text,) = said(counts(gaussian(shape), offset, read_noise, rng))
    level = float(text.split("a level of ")[1].split()[0])
    assert level == pytest.approx(offset, abs=1 if read_noise else 1e-4)
    share = float(text.split("is ")[1].split("%")[0]) / 100
    light = PEAK * gaussian([n - (n % 2 == 0) for n in shape])  # an even axis is judged without its first sample
    assert share == pytest.approx(offset / (offset + light.mean()), abs=0.02)
    assert "camera's offset" in text
    assert "fastmpr.psf.measured" in text
    assert "--psf-measured" in text


def test_an_offset_under_a_widefield_or_confocal_psf_is_told():
    for options in KINDS:
        h = psf.born_wolf((43, 49, 49), voxel_size=(0.1, 0.06, 0.06), wavelength=0.52, na=1.4, **options)
        (text,) = said(counts(h / h.max(), 100))
        assert "camera's offset" in text


@pytest.mark.parametrize(
    "shift", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0.5), (-0.5, 0.5, -0.5), (0, 0, 0.3), (0, 0, 1.1)]
)
@pytest.mark.parametrize("shape", [(21, 13, 13), (20, 14, 14)])
@pytest.mark.parametrize("offset", [0, 100])
def test_a_centre_elsewhere_is_told_with_its_figure(shape, shift, offset):
    *others, text = said(counts(gaussian(shape, shift=shift), offset))
    assert len(others) == (offset > 0)
    assert text.startswith("psf: found its centre (")
    found = [float(value) for value in text.split("(")[1].split(")")[0].split(", ")]
    np.testing.assert_allclose(found, shift, atol=0.03)
    assert "fastmpr.psf.centred" in text


def test_a_centre_between_the_voxels_of_an_even_psf_is_told():
    between = ndimage.shift(np.pad(TYPICAL, ((0, 1),) * 3), 0.5, order=3)
    assert [text[:25] for text in said(between)] == ["psf: found its centre (-0"]


@pytest.mark.parametrize("shape", [(21, 13, 13), (20, 14, 14), (21, 14, 13)])
def test_a_peak_elsewhere_is_told(shape):
    h = psf.gaussian(shape, sigma=(3, 1, 1))
    (text,) = said(np.fft.ifftshift(h))
    assert "where it is dark" in text
    assert "numpy.fft.fftshift" in text
    for axis, by in ((0, 5), (1, 2), (2, -3)):
        (text,) = said(np.roll(h, by, axis))
        assert "found its peak" in text
        assert "fastmpr.psf.centred" in text


def test_negative_values_are_told_with_their_share():
    ringing = TYPICAL - 0.002 * TYPICAL.max() * (ndimage.gaussian_filter(TYPICAL, 2) > 1e-4)
    (text,) = said(ringing)
    share = -ringing[ringing < 0].sum() / ringing.sum()
    assert f"negative values of {share:.0%} of its sum" in text
    (text,) = said(counts(TYPICAL / TYPICAL.max()).astype(float) - 10)  # more taken off than was there
    assert "negative values" in text


def test_an_array_that_holds_hardly_more_than_the_peak_is_told():
    (text,) = said(TYPICAL[8:13])
    assert "80% of its peak at its border" in text


def test_what_is_wrong_is_said_of_each_of_several_and_once():
    h = counts(gaussian((21, 13, 13)), 100)
    with pytest.warns(FastmprWarning, match=r"psf\[1\]: found a level of 100 ") as told:
        data = Dataset(VIEWS, [TYPICAL, h], psf_of=[0, 1])
    assert [warning.filename for warning in told] == [__file__]
    other = data.replace(weights=[1, 2])[:1].replace(symmetry="C2")
    assert all(a is b for a, b in zip(other.psfs, data.psfs, strict=True))


def test_a_psf_is_looked_at_again_where_it_may_have_changed():
    mine = TYPICAL.copy()
    assert said(mine) == []
    mine[...] = np.roll(TYPICAL, 4, axis=0)
    assert len(said(mine)) == 1


def test_what_cannot_be_a_psf_stays_an_error_not_a_warning():
    poses = fastmpr.Poses.random(2, rng=0)
    for h in (0 * TYPICAL, -TYPICAL):
        with pytest.raises(ValueError, match="psf: found a sum of"):
            fastmpr.accumulate(VIEWS, h, poses)


# ---- two dimensions


def said_of_a_plane(h):
    """All that is said when an image is deconvolved, of its PSF."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fastmpr.deconvolve(np.ones((8, 8), np.float32), h, lam=1, max_iter=1, background=0)
    return [str(warning.message) for warning in found]


PLANE = psf.gaussian((25, 25), sigma=1.5)


def test_nothing_is_said_of_a_right_plane():
    """Of any optics, down to the plane of a few pixels, unless hardly more than the peak is in it."""
    rng = np.random.default_rng(0)
    silent = 0
    for _ in range(300):
        shape = tuple(rng.integers(5, 66, 2))
        na, index = OPTICS[rng.integers(len(OPTICS))]
        wavelength = rng.uniform(0.4, 0.8)
        pixel = wavelength / na * rng.uniform(0.05, 0.5)
        lens = {"wavelength": wavelength, "na": na, "refractive_index": index, "dtype": rng.choice(["f4", "f8"])}
        h = psf.born_wolf(shape, voxel_size=pixel * rng.uniform(0.7, 1, 2), **lens, **KINDS[rng.integers(len(KINDS))])
        g = psf.gaussian(shape, sigma=np.exp(rng.uniform(np.log(0.3), np.log(0.6 * max(shape)))))
        for one in (h, g):
            texts = [*checks._look(one)]
            if too_small(one):
                assert "of its peak at its border" in texts[0]
            else:
                assert texts == [], shape
                silent += 1
    assert silent > 400


def test_nothing_is_said_of_a_ring_out_of_focus():
    stack = psf.born_wolf((25, 45, 45), voxel_size=(0.2, 0.1, 0.1), wavelength=0.52, na=0.9, refractive_index=1.0)
    assert stack[6, 22, 22] < 0.5 * stack[6].max()
    assert [*checks._look(stack[6])] == []


@pytest.mark.parametrize("read_noise", [0, 3])
@pytest.mark.parametrize("shape", [(25, 25), (24, 30), (15, 13)])
def test_what_is_wrong_with_a_plane_is_told(shape, read_noise):
    def camera(light, offset=0):
        return counts(light, offset, read_noise, np.random.default_rng(1) if read_noise else None).astype(float)

    right = gaussian(shape, (1.5, 1.5))
    if read_noise:
        assert said_of_a_plane(camera(right, 100) - 100) == []
    (text,) = said_of_a_plane(camera(right, 100))
    assert float(text.split("a level of ")[1].split()[0]) == pytest.approx(100, abs=2)
    assert "camera's offset" in text
    assert any("camera's offset" in text for text in said_of_a_plane(camera(right, 30)))
    first, second = said_of_a_plane(camera(gaussian(shape, (1.5, 1.5), (0, 1)), 100))
    assert "camera's offset" in first
    assert second.startswith("psf[0]: found its centre (")
    assert "voxels (y, x) from size // 2" in second
    (text,) = said_of_a_plane(camera(gaussian(shape, (1.5, 1.5), (0.5, 0))))
    assert "voxels (y, x) from size // 2" in text
    (text,) = said_of_a_plane(np.fft.ifftshift(camera(right)))
    assert "voxels (y, x) from size // 2, where it is dark" in text
    (text,) = said_of_a_plane(right - 0.005)
    assert "negative values" in text


def test_a_single_plane_of_a_stack_is_looked_at_too():
    (text,) = said(counts(PLANE[None] / PLANE.max(), 100))
    assert "camera's offset" in text


# ---- figures, all of one brightness


def disc(radius, fine):
    """A disc up to the border of its array, its edge smoothed by so many samples a pixel."""
    n = 2 * radius + 1
    offsets = (np.arange(n * fine) - (n * fine - 1) / 2) / fine
    inside = offsets[:, None] ** 2 + offsets**2 <= (radius + 0.5) ** 2
    return inside.reshape(n, fine, n, fine).mean(axis=(1, 3))


FIGURES = {
    "scikit-image's box": np.ones((5, 5)) / 25,
    "box": np.ones((3, 3, 3)),
    "rectangle": np.ones((7, 9), np.float32),
    "box in the dark": np.pad(np.ones((5, 5)), 3),
    "box by a filter": ndimage.uniform_filter(np.pad([[1.0]], 5), 5),
    "ball": np.float64(sum(g * g for g in np.ogrid[-4:5, -4:5, -4:5]) <= 16),
    "disc": disc(5, 1),
    "smooth disc": disc(5, 8),
    "motion": np.eye(9),
    "motion in three dimensions": np.pad(np.ones((9, 1, 1)), ((0, 0), (4, 4), (4, 4))),
    "motion at 30 degrees": np.clip(
        ndimage.rotate(np.pad(np.ones((1, 15)), ((7, 7), (0, 0))), 30, reshape=False, order=1), 0, 1
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_said_of_a_figure(name):
    assert [*checks._look(FIGURES[name])] == []


def test_what_is_wrong_with_a_figure_is_told():
    def of(h):
        (text,) = checks._look(h)
        return text

    assert "camera's offset and is" in of(100 + 4000.0 * FIGURES["box in the dark"])
    assert "camera's offset and is" in of(100 + 4000.0 * np.pad(FIGURES["box"], 5))
    assert "at its border" in of(10 + 100 * FIGURES["disc"])
    assert "at its border" in of(psf.gaussian((5, 5), sigma=5))
    assert "(1.00, -0.00) voxels (y, x)" in of(np.pad(np.ones((5, 5)), ((4, 2), (3, 3))))
    assert "(-0.50, -0.50) voxels (y, x)" in of(np.ones((4, 4)))
    assert "where it is dark" in of(np.fft.ifftshift(FIGURES["box in the dark"]))
