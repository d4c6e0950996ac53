"""Containers with a meaning of their own, and particles that a camera spoiled."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
POSES = Poses.random(3, max_translation=1.0, rng=0)
VIEWS = fastmpr.simulate(fastmpr.phantom.centriole(14), PSF, POSES, noise_sigma=0.03, rng=0)
COUNTS = np.rint(1000 * (VIEWS - VIEWS.min())).astype(np.uint16)


def rhs(views, poses=POSES):
    return fastmpr.accumulate(views, PSF, poses, workers=1).rhs


class TestContainers:
    def test_what_is_masked_was_not_seen(self):
        masked = np.ma.masked_less(VIEWS, -0.05)
        nan = np.where(VIEWS < -0.05, np.nan, VIEWS)
        for views in (masked, list(masked), nan):
            with pytest.warns(FastmprWarning, match=f"found {len(VIEWS)} of {len(VIEWS)} with unseen voxels"):
                found = rhs(views)
            assert not np.allclose(found, rhs(VIEWS))
        with pytest.raises(ValueError, match="psf: found 1 masked values"):
            fastmpr.accumulate(VIEWS, np.ma.masked_array(PSF, np.arange(PSF.size).reshape(PSF.shape) == 0), POSES)
        assert np.array_equal(rhs(np.ma.masked_array(VIEWS)), rhs(VIEWS))

    def test_a_series_is_in_the_order_of_its_rows(self):
        """As of pandas, whose [i] goes by labels."""

        class Series:
            iloc = None

            def __init__(self, rows: dict):
                self.rows = rows

            def __len__(self):
                return len(self.rows)

            def __getitem__(self, label):
                return self.rows[label]

            def to_list(self):
                return list(self.rows.values())

        order = [2, 0, 1]
        rows = Series({i: VIEWS[i] for i in order})
        assert np.array_equal(rhs(rows, POSES[order]), rhs(VIEWS[order], POSES[order]))
        assert np.array_equal(rhs(Series({7: VIEWS[1], 8: VIEWS[2]}), POSES[1:]), rhs(VIEWS[1:], POSES[1:]))

    @pytest.mark.parametrize(
        ("views", "message"),
        [
            ({"a": VIEWS[0]}, r"particles: found a dict, need a sequence: list\(particles.values\(\)\)"),
            ("views/particles", r"particles: found the path 'views/particles', need arrays, or fastmpr.load"),
            (set("abc"), "particles: found set"),
        ],
    )
    def test_what_is_no_sequence_is_named(self, views, message):
        with pytest.raises(TypeError, match=message):
            rhs(views)


class TestSpoiled:
    @pytest.mark.parametrize("dtype", [np.uint16, np.float32])
    def test_a_hot_pixel(self, dtype):
        views = COUNTS.astype(dtype)
        views[1, 3, 4, 5] = 65535
        with pytest.warns(FastmprWarning, match=r"particles\[1\]: found voxels far brighter than all others"):
            rhs(views)

    @pytest.mark.parametrize("value", [1000.0, -1000.0])
    @pytest.mark.parametrize("count", [1, 2, 5])
    def test_several_hot_or_dead_pixels(self, value, count):
        views = VIEWS.copy()
        views[2, 3, 4, 1 : 1 + 2 * count : 2] = value
        with pytest.warns(FastmprWarning, match=r"particles\[2\]: found voxels far (brighter|darker) than all others"):
            rhs(views)

    @pytest.mark.parametrize("dtype", [np.uint16, np.float32])
    def test_saturated(self, dtype):
        views = np.minimum(COUNTS, COUNTS.max() // 2).astype(dtype)
        with pytest.warns(FastmprWarning, match=r"voxels of exactly .* saturated.*in 2 more"):
            rhs(views)

    def test_at_the_most_of_its_type(self):
        views = np.minimum(np.rint(COUNTS.astype(float) * 600 / COUNTS.max()), 255).astype(np.uint8)
        with pytest.warns(FastmprWarning, match=r"particles\[0\]: found \d+ voxels"):
            rhs(views)

    def test_it_is_said_once(self):
        views = COUNTS.copy()
        views[1, 3, 4, 5] = 65535
        data = Dataset(views, PSF, POSES)
        with pytest.warns(FastmprWarning):
            fastmpr.accumulate(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fastmpr.accumulate(data[:2])

    def test_no_false_alarm(self):
        rng = np.random.default_rng(0)
        sharp = fastmpr.simulate(fastmpr.phantom.centriole(14), fastmpr.psf.gaussian(5, sigma=0.5), POSES)
        cases = [
            VIEWS,
            COUNTS,
            sharp,
            rng.poisson(0.3, VIEWS.shape).astype(np.uint8),  # dark, photons counted
            rng.poisson(5 * np.clip(VIEWS, 0, None)).astype(np.uint16),
            np.rint(255 * (VIEWS - VIEWS.min()) / np.ptp(VIEWS)).astype(np.uint8),  # stretched to eight bits
            rng.standard_normal(VIEWS.shape),
            np.stack([fastmpr.psf.gaussian(21, sigma=0.5)] * 3)
            * np.arange(1, 4, dtype=np.float32)[:, None, None, None],
            *(rng.poisson(0.05, VIEWS.shape) for _ in range(9)),
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for views in cases:
                rhs(views)
