from __future__ import annotations

import numpy as np
import pytest
from beads import PEAK, counts, gaussian
from scipy.ndimage import center_of_mass

import fastmpr
from fastmpr import FastmprWarning, psf

ODD, EVEN, SMALL = (21, 13, 13), (22, 16, 14), (20, 12, 12)
SHIFTS = [(0, 0, 0), (0.5, 0.5, 0.5), (3, 0, 0), (0, -3, 3), (-2.3, 1.7, 2.6)]


def difference(found, expected):
    """The light that is in the wrong place, as a share of all."""
    return np.abs(found - expected / expected.sum()).sum()


# ---- measured


@pytest.mark.parametrize("shape", [ODD, EVEN, SMALL])
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("offset", [10, 100, 400])
def test_a_bead_becomes_the_psf(shape, shift, offset):
    found = psf.measured(counts(gaussian(shape, shift=shift), offset))
    assert found.shape == shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.sum(dtype=float) == pytest.approx(1, abs=1e-6)
    assert difference(found, gaussian(shape)) < 0.06  # what lay outside of the stack is as much


@pytest.mark.slow
@pytest.mark.parametrize("shift", SHIFTS)
def test_noise_neither_moves_nor_widens_it(shift):
    for seed in range(5):
        bead = counts(gaussian((43, 31, 31), shift=shift), 100, 3.0, np.random.default_rng(seed))
        found = psf.measured(bead)
        assert difference(found, gaussian(found.shape)) < 0.06
        assert np.abs(np.subtract(center_of_mass(found), np.array(found.shape) // 2)).max() < 0.05


@pytest.mark.slow
def test_the_offset_is_unbiased():
    """Over a large stack a bias of one count would be a tenth of the light; the mean over draws shows a smaller one."""
    shape, offset = (43, 49, 49), 100.3
    errors = []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(0, 10, shape)
        light = PEAK * gaussian(shape)
        found = psf.measured(light + noise + offset)
        errors.append(found.sum(axis=(1, 2))[::40].sum())  # far from the bead: what is left there is not light
        assert difference(found, light) < 0.08
    assert max(errors) < 1e-3


def test_precision_is_kept_and_the_stack_not_written_to():
    stack = PEAK * gaussian(ODD, shift=(1, 1, 0)) + 50.0
    before = stack.copy()
    stack.flags.writeable = False
    double, single = psf.measured(stack), psf.measured(stack.astype(np.float32))
    assert double.dtype == np.float64
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-4 * double.max())
    np.testing.assert_array_equal(stack, before)
    np.testing.assert_array_equal(psf.measured(stack.astype(">f8")), double)


def test_scale_and_offset_do_not_matter():
    stack = PEAK * gaussian(ODD, shift=(1.2, 0.4, -0.3))
    np.testing.assert_allclose(psf.measured(7 * stack - 300), psf.measured(stack), atol=1e-6)


def test_a_hot_pixel_and_another_bead_far_away_are_not_it():
    expected = gaussian((41, 41, 41), sigma=(2, 1.5, 1.5))
    bead = counts(expected, 100, 3.0, np.random.default_rng(0))
    bead[5, 5, 30] = 9 * PEAK
    bead[28:33, 26:31, 6:11] += counts(gaussian((5, 5, 5), sigma=(1, 1, 1)) / 2)
    assert difference(psf.measured(bead), expected) < 0.08


def test_several_beads_are_averaged_once_centred_and_scaled():
    """Noise falls with their number, and a bright one does not weigh more than a dim one."""
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-2, 2, (8, 3))
    beads = [counts(gaussian((31, 21, 21), shift=d), 100, 3.0, rng) for d in shifts]
    expected = gaussian((31, 21, 21))
    alone = np.mean([difference(psf.measured(bead), expected) for bead in beads])
    assert difference(psf.measured(beads), expected) < 0.6 * alone
    np.testing.assert_array_equal(psf.measured(np.array(beads)), psf.measured(beads))

    narrow, wide = (PEAK * gaussian(ODD, sigma=(2, s, s)) for s in (1, 1.5))
    both = psf.measured([10 * narrow, wide])
    np.testing.assert_allclose(both, (psf.measured(narrow) + psf.measured(wide)) / 2, atol=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: gaussian(ODD)[10, 6], r"stack: found an array of shape \(13,\), need a 3-D one .* or a 2-D one"),
        (lambda: gaussian(ODD)[8:9], r"stack: found shape \(1, 13, 13\), need at least 5 voxels"),
        (lambda: [gaussian(ODD)[10], gaussian(ODD)], r"stack\[1\]: found shape \(21, 13, 13\), need \(13, 13\)"),
        (lambda: gaussian((4, 13, 13)), r"stack: found shape \(4, 13, 13\), need at least 5 voxels"),
        (lambda: np.full(ODD, 100), "stack: found a peak of .* in noise of 0, need a bead"),
        (lambda: np.random.default_rng(0).normal(100, 5, ODD), "stack: found a peak of .* in noise of .*, need a bead"),
        (
            lambda: gaussian(ODD, shift=(9, 0, 0)),
            "stack: found a bead cut off by the border, with .* of its peak there",
        ),
        (lambda: gaussian(ODD)[:, :, 6:], "stack: found a bead cut off by the border"),
        (lambda: [gaussian(ODD), gaussian(EVEN)], r"stack\[1\]: found shape \(22, 16, 14\), need \(21, 13, 13\)"),
        (lambda: [gaussian(ODD), np.full(ODD, np.nan)], r"stack\[1\]: found 3549 NaN"),
        (lambda: [], "stack: found"),
        (lambda: np.zeros((0, 9, 9, 9)), "stack: found"),
    ],
)
def test_what_is_no_bead_is_refused(make, message):
    with pytest.raises(ValueError, match=message) as error:
        psf.measured(make())
    assert "\n" not in str(error.value)


def test_a_bead_that_is_cut_or_saturated_is_told():
    with pytest.warns(FastmprWarning, match=r"stack: found 25% of the bead's peak at the border") as told:
        psf.measured(counts(gaussian(ODD, shift=(5, 0, 0)), 100))
    assert told[0].filename == __file__
    saturated = np.minimum(counts(gaussian(ODD), 100), 2500)
    with pytest.warns(
        FastmprWarning, match=r"stack: found \d+ voxels at the maximum, 2500, so the bead looks saturated"
    ):
        psf.measured(saturated)
    psf.measured(np.rint(200 * gaussian((41, 31, 31), sigma=(5, 4, 4))).astype(np.uint8))  # flat by its few grey levels


@pytest.mark.slow
def test_reconstructions_are_as_good_as_with_the_clean_psf():
    truth = fastmpr.phantom.centriole(24)
    clean = gaussian(ODD, sigma=(2.5, 1, 1)).astype(np.float32)
    poses = fastmpr.Poses.random(16, rng=0)
    views = fastmpr.simulate(truth, clean, poses, noise_sigma=0.05, rng=0)

    def quality(h):
        return fastmpr.metrics.psnr(fastmpr.reconstruct(views, h, poses, lam=200).x, truth)

    best = quality(clean)
    for k, (shift, offset) in enumerate(zip(SHIFTS, (400, 10, 100, 400, 10), strict=True)):
        bead = counts(gaussian(ODD, (2.5, 1, 1), shift), offset, 2.5, np.random.default_rng(k))
        assert quality(psf.measured(bead)) > best - 0.3
        with pytest.warns(FastmprWarning):
            assert quality(bead) < best - 0.3


# ---- centred


def test_centred_moves_the_centre_of_mass():
    moved = psf.centred(gaussian(EVEN, shift=(1.3, -0.7, 0.5)))
    np.testing.assert_allclose(center_of_mass(moved), np.array(EVEN) // 2, atol=0.05)
    assert difference(moved / moved.sum(), gaussian(EVEN)) < 0.1


def test_a_ragged_list_is_no_psf():
    for function, name in ((psf.centred, "psf"), (psf.measured, "stack")):
        with pytest.raises(ValueError, match=f"{name}: found lists of unequal lengths, need an array"):
            function([[[1, 2], [3]]])
