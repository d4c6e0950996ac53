"""Which axis is which: by letters, in any order, of arrays of any kind; what looks like another order is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import fastmpr
from fastmpr.deconvolution.axes import Layout, Transposed, check_axes

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(1.6, 1.1, 1.1))
FLAT = PSF[4] / PSF[4].sum()
GIVEN = {"lam": 3.0, "background": 100.0, "max_iter": 3, "tol": 0}
SIZES = {"T": 2, "C": 3, "Z": 10, "Y": 12, "X": 14}


class Lazy:
    """An array that is read and written by boxes only."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.chunks, self.most = (2,) * values.ndim, 0

    def __getitem__(self, box):
        part = self.values[box]
        self.most = max(self.most, part.size)
        return part.copy()

    def __setitem__(self, box, part):
        self.values[box] = part


def image(axes: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (100 + rng.poisson(20, [SIZES[axis] for axis in axes])).astype(np.float32)


@pytest.mark.parametrize(
    "order", ["".join(order) for order in itertools.permutations("CZYX")][::3] + ["ZTCYX", "XCYTZ"]
)
def test_any_order_comes_to_what_the_usual_one_does(order):
    usual = "".join(axis for axis in "TCZYX" if axis in order)
    values = image(usual)
    expected = fastmpr.deconvolve(values, PSF, axes=usual, frames="each", **GIVEN)
    turn = [usual.index(axis) for axis in order]
    found: list = []
    turned = fastmpr.deconvolve(values.transpose(turn), PSF, axes=order, frames="each", report=found.append, **GIVEN)
    np.testing.assert_array_equal(turned, expected.transpose(turn))
    others = [SIZES[axis] for axis in order if axis in "TC"]
    assert sorted(one["index"] for one in found) == list(np.ndindex(*others))  # in the image's own order


@pytest.mark.parametrize("order", ["ZCYX", "CXZY"])
def test_arrays_of_other_kinds_stay_what_they_are(order):
    values = image(order)
    source, target = Lazy(values), Lazy(np.zeros(values.shape, np.float32))
    assert fastmpr.deconvolve(source, PSF, axes=order, out=target, **GIVEN) is target
    np.testing.assert_array_equal(target.values, fastmpr.deconvolve(values, PSF, axes=order, **GIVEN))
    assert source.most <= values.size // SIZES["C"]


def test_the_index_is_in_the_images_own_order():
    found: list = []
    fastmpr.deconvolve(image("TCYX"), FLAT, axes="TCYX", frames="each", report=found.append, **GIVEN)
    assert [one["index"] for one in found] == [(t, c) for c in range(3) for t in range(2)]


def test_masks_are_in_the_images_order():
    values, order = image("CZYX").transpose(1, 0, 2, 3).copy(), "ZCYX"
    mask = np.random.default_rng(1).random(values.shape) > 0.1
    holes = np.where(mask, values, np.nan)
    np.testing.assert_array_equal(
        fastmpr.deconvolve(values, PSF, axes=order, seen=mask, **GIVEN),
        fastmpr.deconvolve(holes, PSF, axes=order, seen="all", **GIVEN),
    )
    plane = mask[0, 0]
    flipped = values[:, 0].transpose(2, 0, 1)  # x, z, y
    found = fastmpr.deconvolve(flipped, FLAT, axes="XZY", seen=plane.T, **GIVEN)
    np.testing.assert_array_equal(
        found.transpose(1, 2, 0), fastmpr.deconvolve(values[:, 0], FLAT, axes="ZYX", seen=plane, **GIVEN)
    )


def test_a_psf_for_each_channel_goes_along_c():
    values, psfs = image("ZCYX"), [PSF, PSF[2:7], fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1.5, 1.5))]
    both = fastmpr.deconvolve(values, psfs, axes="ZCYX", **GIVEN)
    for k, psf in enumerate(psfs):
        np.testing.assert_array_equal(both[:, k], fastmpr.deconvolve(values[:, k], psf, **GIVEN))
    with pytest.raises(
        ValueError, match="psf: found 3 for an image of shape .*, need one, or one for each entry along C"
    ):
        fastmpr.deconvolve(image("TZYX"), psfs, axes="TZYX", **GIVEN)


def test_colours_are_channels_where_that_is_said():
    colours = image("YXC")
    with pytest.raises(
        ValueError, match=r"image: found shape \(12, 14, 3\), which looks like colours last, need axes='YXC'"
    ):
        fastmpr.deconvolve(colours, FLAT)
    each = fastmpr.deconvolve(colours, FLAT, axes="YXC", **GIVEN)
    for k in range(3):
        np.testing.assert_array_equal(each[..., k], fastmpr.deconvolve(colours[..., k], FLAT, **GIVEN))


REFUSED = [
    ((64, 72, 4), FLAT, True, "colours last"),
    ((64, 72, 2), FLAT, True, "colours last"),
    ((5, 64, 72, 3), PSF, True, "colours last, need axes='ZYXC'"),
    (
        (64, 72, 3),
        PSF,
        True,
        "colours last, need a PSF of two dimensions beside axes='YXC', or axes='ZYX' if they are not",
    ),
    ((24, 2, 48, 48), PSF, True, "axes='ZCYX' if those are channels, axes='TZYX' if they are planes"),
    ((9, 24, 3, 48, 48), PSF, True, "axes='TZCYX'"),
    ((3, 64, 72), np.stack([FLAT, FLAT**2 / (FLAT**2).sum(), FLAT]), False, r"need list\(psf\)"),
    ((3, 64, 72), np.stack([FLAT, FLAT, FLAT]), False, r"need list\(psf\)"),
    ((2, 9, 64, 72), np.stack([2 * FLAT, FLAT]), False, r"need list\(psf\)"),
]
PASSED = [
    ((64, 72), FLAT),
    ((20, 64, 72), FLAT),
    ((3, 4, 4), FLAT),  # too small for a picture
    ((7, 3, 3), FLAT),
    ((3, 64, 72), PSF),  # a thin stack
    ((2, 3, 64, 72), PSF),  # two channels of one
    ((24, 1, 64, 72), PSF),
    ((24, 5, 64, 72), PSF),
    ((24, 2, 64, 72), PSF[3:6]),  # frames of two planes under a PSF of three
    ((24, 2, 64, 72), FLAT),
    ((3, 64, 72), PSF[3:6]),  # its middle is the brightest
    ((3, 64, 72), np.ones((3, 5, 5)) / 75),
    ((14, 30, 4), PSF),
]


@pytest.mark.parametrize(("shape", "psf", "listed", "message"), REFUSED)
def test_what_is_likely_in_another_order_is_refused_in_a_line(shape, psf, listed, message):
    with pytest.raises(ValueError, match=message) as error:
        check_axes(None, shape, [psf], listed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("shape", "psf"), PASSED)
def test_what_may_be_right_passes(shape, psf):
    check_axes(None, shape, [psf], False)


@pytest.mark.parametrize(("shape", "psf", "listed", "message"), REFUSED)
def test_letters_are_believed(shape, psf, listed, message):
    axes = {3: "ZYX" if psf.ndim == 3 else "TYX", 4: "TZYX", 5: "TCZYX"}[len(shape)]
    check_axes(axes, shape, [psf], listed)


@pytest.mark.parametrize(
    "wrong", ["cell.tif", b"cell.tif", Path("cell.tif"), {"DAPI": 1}, {1, 2}, None, ["a.tif"], [{}]]
)
def test_what_is_no_array_is_refused_at_once(wrong):
    with pytest.raises(TypeError, match=r"image: found .*need .*array") as error:
        fastmpr.deconvolve(wrong, FLAT)
    assert "\n" not in str(error.value)
    if not isinstance(wrong, list):
        with pytest.raises(TypeError, match="psf: found .*need an array"):
            fastmpr.deconvolve(np.ones((9, 9)), wrong)


@pytest.mark.parametrize("axes", [3, ["Z"], b"ZYX"])
def test_axes_are_letters(axes):
    with pytest.raises(TypeError, match="axes: found"):
        fastmpr.deconvolve(image("ZYX"), PSF, axes=axes)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_turned_array_is_what_a_transposed_one_is(order):
    values = np.arange(24.0).reshape(2, 3, 4)
    turned, plain = Transposed(Lazy(values.copy()), order), values.copy().transpose(order)
    for box in (1, (0, slice(None)), (slice(0, 2), 1), (slice(1, 2), slice(0, 2), slice(0, 1)), np.s_[:]):
        np.testing.assert_array_equal(turned[box], plain[box])
        turned[box] = plain[box] + 1
        plain[box] += 1
        np.testing.assert_array_equal(turned[:], plain)
    assert turned.shape == plain.shape


def test_frames_come_last_of_what_is_not_space():
    layout = Layout("TCZYX", (2, 3, 4, 5, 6), 3)
    assert layout.shape == (3, 2, 4, 5, 6)
    assert layout.others == (3, 2)
    assert layout.index((2, 1)) == (1, 2)
