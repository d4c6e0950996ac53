"""Light that leaves the images is not darkness beyond them."""

from __future__ import annotations

import numpy as np
import pytest

import fastmpr
from fastmpr.metrics import psnr
from fastmpr.views.leaving import Spread

TRUTH = fastmpr.phantom.nuclear_pore(24)
POSES = fastmpr.Poses.random(8, max_translation=1.0, rng=0)
COMPACT = fastmpr.psf.gaussian((15, 7, 7), sigma=(2, 1, 1))
WIDE = fastmpr.psf.born_wolf((25, 21, 21), voxel_size=0.1, wavelength=0.52, na=1.2, refractive_index=1.33)


def data_with(psf, **options) -> fastmpr.Dataset:
    views = fastmpr.simulate(TRUTH, psf, POSES, rng=1)
    noise = 0.02 * views.max() * np.random.default_rng(0).standard_normal(views.shape, np.float32)
    return fastmpr.Dataset(views + noise + np.float32(0.3), psf, POSES, **options)


def test_a_widefield_psf_carries_light_out_of_the_images_and_a_compact_one_does_not():
    assert data_with(WIDE).loses_light
    assert not data_with(COMPACT).loses_light


def test_what_is_beyond_is_unseen_then_and_that_is_told():
    data = data_with(WIDE)
    found = fastmpr.reconstruct(data, workers=1)
    dark = fastmpr.reconstruct(data.replace(outside="dark"), workers=1)
    assert psnr(found.x, TRUTH) > psnr(dark.x, TRUTH) + 1
    assert any(text.startswith("outside: not said") for text in data.assumed)
    assert "views that saw a part" in found.message


def test_what_is_said_holds():
    assert not data_with(WIDE, outside="dark").loses_light
    assert not any("outside" in text for text in data_with(WIDE, outside="unseen").assumed)


def test_a_gradient_behind_a_compact_psf_is_no_light_that_left():
    rising = np.linspace(0, 0.2, 24, dtype=np.float32)
    assert not data_with(COMPACT).then(lambda view: view + rising).loses_light


def test_spread_is_a_mean_distance_in_voxels_of_the_views():
    psf = np.zeros((5, 3, 1))
    psf[0, 1, 0] = psf[2, 1, 0] = psf[2, 0, 0] = 1
    spread = Spread(psf, np.array([2.0, 1.0, 1.0]), np.array([12, 12, 12]))
    np.testing.assert_allclose(spread.reach, [2 * 2 / 3, 1 / 3, 0])
    assert spread.wide  # a third lies 4 voxels from the centre, more than a quarter of 12
    assert not Spread(psf, np.array([2.0, 1.0, 1.0]), np.array([16, 12, 12])).wide


@pytest.mark.parametrize("broken", ["dark", "nan"])
def test_views_that_hold_nothing_or_saw_a_part_lose_none(broken):
    views = np.zeros((3, 12, 12, 12), np.float32)
    views[:, 4:8] = 1.0
    if broken == "nan":
        views[:, :, :2] = np.nan
    else:
        views[:] = 0
    assert not fastmpr.Dataset(views, WIDE, POSES[:3], background="none").loses_light


@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize(("cut", "tight"), [(0, False), (5, True)])
def test_a_tight_box_cuts_light_off_whatever_the_psf(cut, tight, noise):
    views = fastmpr.simulate(TRUTH, COMPACT, POSES, rng=1)
    views = views + noise * views.max() * np.random.default_rng(0).standard_normal(views.shape, np.float32)
    inside = (slice(cut, 24 - cut),) * 3
    data = fastmpr.Dataset(views[(slice(None), *inside)] + np.float32(0.3), COMPACT, POSES)
    assert data.loses_light == tight
    if tight:
        both = (data, data.replace(outside="dark"))
        found, dark = (fastmpr.reconstruct(one, workers=1, check=False).x for one in both)
        assert psnr(found, TRUTH[inside]) > psnr(dark, TRUTH[inside]) + 1


def test_one_lit_face_is_a_neighbour_and_no_tight_box():
    views = fastmpr.simulate(TRUTH, COMPACT, POSES, rng=1) + np.float32(0.3)
    views[:, 8:16, 8:16, -1] += 0.2 * views.max()
    assert not fastmpr.Dataset(views, COMPACT, POSES).loses_light


def test_boxes_that_cut_the_particle_are_said():
    views = fastmpr.simulate(TRUTH, COMPACT, POSES, rng=1) + np.float32(0.3)
    cut = views[:, 6:18, 6:18, 6:18]
    with pytest.warns(fastmpr.FastmprWarning, match="so these cut the particle, or show others: need larger ones"):
        assert fastmpr.Dataset(cut, COMPACT, POSES).loses_light
