"""The noise of a view is read where the microscope passes nothing, whatever the particle."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

import fastmpr
from fastmpr.sums.noise import NoiseViews, noise_of, with_noise
from fastmpr.sums.transfer import transfer_functions

N = 32
TRUTH = fastmpr.phantom.centriole(N)
PSF = fastmpr.psf.gaussian((21, 9, 9), sigma=(3, 1, 1))
POSES = fastmpr.Poses.random(2, max_translation=1.0, rng=0)
CLEAN = fastmpr.simulate(TRUTH, PSF, POSES).astype(float)
PEAK = CLEAN.max()
DATA = fastmpr.Dataset(CLEAN, PSF, POSES)
PASSED = NoiseViews(DATA, transfer_functions(DATA))._passed(0, (N,) * 3)
RNG = np.random.default_rng(1)


def test_what_a_psf_passes_is_its_transform_at_the_frequencies_of_the_cosine_transform():
    f = np.arange(N) / (2 * N)
    expected = np.exp(-2 * np.pi**2 * (9 * f[:, None, None] ** 2 + f[:, None] ** 2 + f**2))
    rounded = np.abs(PASSED - expected)  # odd frequencies are those of their neighbours
    assert rounded[::2, ::2, ::2].max() < 0.02 < 0.2 < expected[1, 0, 0]


@pytest.mark.parametrize("level", [0.01, 0.1, 0.5])
def test_white_noise_is_found_beside_a_particle(level):
    noise = noise_of(CLEAN[0] + level * PEAK * RNG.normal(size=CLEAN[0].shape), PASSED)
    assert noise.fall == 0
    assert np.sqrt(noise.variance.mean()) == pytest.approx(level * PEAK, rel=0.05)


def test_photons_make_more_noise_where_there_is_more_light():
    photons = 200 / PEAK
    image = RNG.poisson(CLEAN[0] * photons + 4) / photons
    noise = noise_of(image, PASSED)
    bright = CLEAN[0] > 0.5 * PEAK
    assert noise.variance[bright].mean() == pytest.approx((CLEAN[0][bright] / photons).mean(), rel=0.25)
    assert noise.variance[CLEAN[0] < 0.01 * PEAK].mean() < 0.2 * noise.variance[bright].mean()


def test_the_fall_of_a_spectrum_is_found():
    squares = sum(np.meshgrid(*[(np.arange(N) / (2 * N)) ** 2] * 3, indexing="ij"))
    white = scipy.fft.dctn(RNG.normal(size=CLEAN[0].shape), norm="ortho")
    image = CLEAN[0] + 0.1 * PEAK * scipy.fft.idctn(white * np.exp(-4.0 * squares), norm="ortho")
    assert noise_of(image, PASSED).fall == pytest.approx(8.0, rel=0.2)


def test_drawn_noise_has_the_variance_and_the_spectrum_that_were_found():
    image = CLEAN[0] + 0.1 * PEAK * RNG.normal(size=CLEAN[0].shape)
    noise = noise_of(image, PASSED)._replace(fall=8.0)
    again = noise_of(CLEAN[0] + noise.drawn(RNG), PASSED)
    assert again.fall == pytest.approx(8.0, rel=0.2)
    assert again.variance.mean() == pytest.approx(noise.variance.mean(), rel=0.1)


def test_a_rounding_counts_as_no_noise():
    for level, any_noise in ((1e-5, False), (1e-1, True)):
        views = (1e-29 / PEAK * (CLEAN + level * PEAK * RNG.normal(size=CLEAN.shape))).astype(np.float32)
        data = fastmpr.Dataset(views, PSF, POSES)
        assert with_noise(data, transfer_functions(data)).read(0).any() == any_noise


def test_noise_lies_where_something_was_seen_and_is_the_same_each_time():
    views = CLEAN.copy()
    views[0, :, :, :10] = np.nan
    data = fastmpr.Dataset(views + 0.1 * RNG.normal(size=views.shape), PSF, POSES)
    noise = with_noise(data, transfer_functions(data))
    first = noise.read(0)
    assert np.isnan(first[:, :, :10]).all()
    assert np.isfinite(first[:, :, 10:]).all()
    np.testing.assert_array_equal(first, noise.read(0))
    assert np.nanstd(noise.read(1)) == pytest.approx(0.1, rel=0.1)
