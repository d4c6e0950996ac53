"""Beads that are not alone in their stack, in two and three dimensions, beside the same beads alone."""

from __future__ import annotations

import ast
import itertools
import warnings

import numpy as np
import pytest
from beads import PEAK, counts, gaussian
from scipy import ndimage

import fastmpr
from fastmpr import FastmprWarning, psf
from fastmpr.psf import company
from fastmpr.psf.checks import check

SHAPES = [(25, 21, 23), (27, 25)]
SIGMA = (2.5, 1.3, 1.3)


def bead(shape, seed=0, other=None, much=0.5, peak=1.0, shift=None):
    """A bead somewhere between the voxels, with noise and an offset, and maybe another one beside it."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(-0.5, 0.5, len(shape)) if shift is None else shift
    light = gaussian(shape, SIGMA, place)
    if other is not None:
        light = light + much * gaussian(shape, SIGMA, np.add(place, other[-len(shape) :]))
    return counts(peak * light, 100, 2.0, rng)


def off(found, shape):
    """How far a PSF is from the right one, over its size."""
    right = gaussian(shape, SIGMA)
    return np.linalg.norm(found - right / right.sum()) / np.linalg.norm(right / right.sum())


def said(stack):
    """The PSF, and all that is said."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        made = psf.measured(stack)
    assert all(warning.category is FastmprWarning for warning in found)
    return made, [str(warning.message) for warning in found]


# ---- what the camera adds


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("value", [3000, 65535])
def test_a_hot_voxel_changes_nothing(shape, value):
    clean = bead(shape)
    for place in itertools.islice(np.ndindex(shape), 3, None, 1500 if len(shape) == 3 else 60):
        hot = clean.copy()
        hot[place] = value
        if clean[place] > 1000:  # the bead itself
            continue
        found, texts = said(hot)
        assert texts == []
        assert off(found, shape) < off(psf.measured(clean), shape) + 0.02, place


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pair_of_hot_voxels_and_bright_lines_change_nothing(shape):
    clean = bead(shape)
    pair, row, column, pixel = (clean.astype(float) for _ in range(4))
    pair[..., 3, 4:6] = 9000
    row[..., 4, :] += 1500
    column[..., :, -4] += 1500
    pixel[..., 5, 6] = 2500  # in all planes of a stack
    for hot in (pair, row, column, pixel):
        found, texts = said(hot)
        assert texts == []
        assert off(found, shape) < off(psf.measured(clean), shape) + 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stack_without_defects_is_not_touched(shape):
    """Down to the sharpest PSF that voxels can show, at any place between them."""
    rng = np.random.default_rng(0)
    for sigma in (0.5, 0.7, 1.0, 3.0):
        for place in rng.uniform(-0.5, 0.5, (10, len(shape))):
            stack = counts(gaussian(shape, (sigma,) * 3, place), 100, 2.0, rng).astype(float)
            assert company.without_lone(stack) is stack
    for _ in range(20):
        noise = rng.normal(100, 5, shape)
        assert company.without_lone(noise) is noise


def test_a_bead_in_a_single_voxel_is_not_taken_for_a_defect():
    stack = np.full((9, 9, 9), 100.0)
    stack[4, 4, 4] = 4000
    assert psf.measured(stack).max() == pytest.approx(1, abs=1e-3)


# ---- other beads


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("other", [(0, 7, 2), (3, -6, 5), (-5, -3, -6)])
def test_a_bead_beside_it_is_replaced_and_told(shape, other):
    found, texts = said(bead(shape, other=other))
    (text,) = texts
    assert text.startswith("stack: found another bead (")
    place = ast.literal_eval(text.split("bead ")[1].split(" voxels")[0])
    assert np.abs(np.subtract(place, other[-len(shape) :])).max() <= 1
    assert off(found, shape) < off(psf.measured(bead(shape)), shape) + 0.03
    check({"psf": found})  # says nothing


def test_the_same_of_several_is_told_once():
    shape, others = SHAPES[0], [(0, 7, 2), (3, -6, 5), (-5, -3, -6), (2, 6, -6)]
    found, texts = said([bead(shape, k, other) for k, other in enumerate(others)])
    assert len(texts) == 1
    assert "(and something of the kind in 3 more)" in texts[0]
    assert off(found, shape) < 0.06


@pytest.mark.parametrize("shape", SHAPES)
def test_a_lopsided_psf_is_one_bead(shape):
    """Coma: a tail to one side, without a peak of its own."""
    tail = sum(0.5**k * gaussian(shape, SIGMA, (0, 0, 1.2 * k)) for k in range(5))
    _, texts = said(counts(tail / tail.max(), 100, 2.0, np.random.default_rng(0)))
    assert texts == []


# ---- votes


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("doublets", [1, 2])
def test_two_beads_in_one_are_left_out(shape, doublets):
    apart = [(0, 2.5, 1), (2, -1.5, 2)][:doublets]
    stacks = [bead(shape, k) for k in range(6 - doublets)] + [bead(shape, 9, other, 0.9) for other in apart]
    found, texts = said(stacks)
    names = ", ".join(f"stack[{k}]" for k in range(6 - doublets, 6))
    assert [text.split(": found")[0] for text in texts] == [names]
    assert f"{6 - doublets} of 6 are averaged" in texts[0]
    np.testing.assert_array_equal(found, psf.measured(stacks[: 6 - doublets]))


@pytest.mark.parametrize("shape", SHAPES)
def test_beads_alike_are_all_averaged(shape):
    """Of any brightness, and a little different, as over a field of view."""
    rng = np.random.default_rng(0)
    for seed in range(8):
        scales = np.exp(rng.uniform(np.log(0.03), np.log(4), 5))
        light = [gaussian(shape, SIGMA * rng.uniform(0.95, 1.05, 3), rng.uniform(-0.5, 0.5, 3)) for _ in scales]
        stacks = [counts(scale * one, 100, 2.0, rng) for scale, one in zip(scales, light, strict=True)]
        assert said(stacks)[1] == [], seed


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_stack_is_left_out_and_named(shape):
    stacks = [bead(shape, k) for k in range(5)]
    empty = np.random.default_rng(0).normal(100, 2, shape)
    found, (text,) = said([*stacks[:3], empty.astype(np.uint16), *stacks[3:]])
    assert text.startswith("stack[3]: found a peak of")
    assert text.endswith("left out, 5 of 6 are averaged")
    np.testing.assert_array_equal(found, psf.measured(stacks))
    with pytest.raises(ValueError, match=r"stack\[0\]: found a peak of"):
        psf.measured([empty, empty])


# ---- kinds of sequences, and two dimensions


def test_beads_may_be_a_list_a_generator_or_an_array():
    for shape in SHAPES:
        stacks = [bead(shape, k) for k in range(3)]
        expected = psf.measured(stacks)
        assert expected.shape == shape
        np.testing.assert_array_equal(psf.measured(one for one in stacks), expected)
        np.testing.assert_array_equal(psf.measured(tuple(stacks)), expected)
    stacks = [bead(SHAPES[0], k) for k in range(3)]
    np.testing.assert_array_equal(psf.measured(np.array(stacks)), psf.measured(stacks))


@pytest.mark.parametrize("shape", [(27, 25), (20, 24), (13, 15)])
@pytest.mark.parametrize("shift", [(0, 0), (0.5, 0.5), (2.3, -1.6)])
@pytest.mark.parametrize("offset", [0, 100, 400])
def test_a_plane_with_a_bead_becomes_a_psf(shape, shift, offset):
    rng = np.random.default_rng(0)
    sigma = (1.3, 1.3)
    found = psf.measured(counts(gaussian(shape, sigma, shift), offset, 2.0, rng))
    right = gaussian(shape, sigma) / gaussian(shape, sigma).sum()
    assert np.abs(found - right).sum() < 0.06
    assert found.min() >= 0
    assert found.sum(dtype=float) == pytest.approx(1, abs=1e-6)
    check({"psf": found[None]})  # says nothing
    moved = psf.centred(ndimage.shift(right, (1.2, -0.6), order=3))
    np.testing.assert_allclose(ndimage.center_of_mass(moved), np.array(shape) // 2, atol=0.05)


def test_images_are_as_good_as_with_the_right_psf():
    rng = np.random.default_rng(0)
    shape = (25, 25)
    right = psf.gaussian(shape, sigma=1.5)
    truth = ndimage.gaussian_filter((rng.random((64, 64)) > 0.97).astype(float), 1)
    image = rng.poisson(3000 * ndimage.convolve(truth, right.astype(float), mode="reflect")) + 10

    def quality(h):
        found = fastmpr.deconvolve(image, h, background=10) / 3000
        return fastmpr.metrics.psnr(found[None], truth[None])

    best = quality(right)
    beads = [counts(right / right.max(), 100, 2.0, rng) for _ in range(4)]
    hot = beads[0].copy()
    hot[3, 20] = PEAK
    beside = np.maximum(beads[0], 100 + (beads[1] - 100.0)[np.ix_(np.r_[7:25, 0:7], range(25))] / 2)
    for stacks in (beads[0], beads, hot):
        assert quality(psf.measured(stacks)) > best - 0.3
    assert quality(said(beside)[0]) > best - 0.3
    with pytest.warns(FastmprWarning, match="camera's offset"):
        assert quality(beads[0]) < best - 5
