"""The kernels of pose search, against sums over voxels and differences."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Poses
from fastmpr.alignment.reduced import resized
from fastmpr.alignment.reference import Reference
from fastmpr.alignment.spectra import band_of
from fastmpr.kernels.alignment import best_translations
from fastmpr.sums.transfer import TransferFunction

VOXEL = 0.2
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))


@pytest.fixture(scope="module", params=[(14, 15, 16), (15, 15, 15)])
def x(request):
    truth = fastmpr.phantom.centriole(request.param, dtype=np.float64)
    return truth * np.linspace(1, 2, request.param[0])[:, None, None]  # not alike at both ends


@pytest.fixture(scope="module")
def parts(x):
    """(band of views of another shape, reference)"""
    transfer = TransferFunction(PSF, (VOXEL,) * 3, np.float64)
    return band_of(transfer, (13, 16, 12), (VOXEL,) * 3, 0.45 / VOXEL), Reference(x, VOXEL, 0.45 / VOXEL, 1)


def spectrum_of(x, frequencies):
    """The Fourier transform of a volume about its middle, voxel by voxel."""
    lines = [(np.arange(n) - (n - 1) / 2) * VOXEL for n in x.shape]
    z, y, u = (np.exp(-2j * np.pi * np.outer(f, line)) for f, line in zip(frequencies.T, lines, strict=True))
    return np.einsum("zyx,kz,ky,kx->k", x, z, y, u, optimize=True)


def test_samples_are_those_of_the_volume(x, parts):
    band, reference = parts
    rotations = Rotation.random(3, random_state=0).as_matrix()
    shown = reference.sample(band, len(band.radii), rotations)
    for row, rotation in zip(shown, rotations, strict=True):
        expected = band.transfer * spectrum_of(x, band.frequencies @ rotation)
        np.testing.assert_allclose(row, expected, rtol=0, atol=2e-3 * np.abs(expected).max())


def test_a_view_is_what_its_pose_predicts(x, parts):
    _, reference = parts
    band = band_of(TransferFunction(PSF, (VOXEL,) * 3, np.float64), (30, 28, 27), (VOXEL,) * 3, 0.45 / VOXEL)
    pose = Poses(Rotation.random(1, random_state=1), [[0.3, -0.2, 0.1]])
    (view,) = fastmpr.simulate(
        x, PSF, pose, voxel_size=VOXEL, psf_voxel_size=VOXEL, model_voxel_size=VOXEL, shape=band.shape
    )
    found, _ = band.spectrum(view, (VOXEL,) * 3)
    shift = np.exp(-2j * np.pi * band.frequencies @ pose.translation[0])
    expected = reference.sample(band, len(band.radii), pose.matrix)[0] * shift
    low = band.upto(0.2 / VOXEL)
    np.testing.assert_allclose(found[:low], expected[:low], rtol=0, atol=0.03 * np.abs(expected).max())


def test_the_slope_of_the_misfit_is_its_difference_quotient(x, parts):
    band, reference = parts
    rng = np.random.default_rng(2)
    count = len(band.radii)
    view = rng.normal(size=count) + 1j * rng.normal(size=count)
    rotation, shift, gain = Rotation.random(random_state=3).as_matrix(), np.array([0.1, -0.3, 0.2]), 0.7

    def misfit(step):
        turned = rotation @ Rotation.from_rotvec(step[:3]).as_matrix()
        return reference.equations(band, view, count, turned, shift + step[3:6], gain + step[6])[2]

    normal, slope, left, power, common = reference.equations(band, view, count, rotation, shift, gain)
    translation = shift + rotation @ reference.offset
    shown = reference.sample(band, count, rotation[None])[0] * np.exp(-2j * np.pi * band.frequencies @ translation)
    assert left == pytest.approx(np.square(np.abs(view - gain * shown)).sum(), rel=1e-5)
    assert power == pytest.approx(np.square(np.abs(shown)).sum(), rel=1e-5)
    assert common == pytest.approx((shown.conj() * view).real.sum(), rel=1e-4, abs=1e-6 * power)
    for k in range(7):
        step = 1e-4 * np.eye(7)[k]
        assert -2 * slope[k] == pytest.approx((misfit(step) - misfit(-step)) / 2e-4, rel=1e-4)
    np.testing.assert_array_equal(normal, normal.T)
    assert np.linalg.eigvalsh(normal).min() > 0


@pytest.mark.parametrize("shape", [(8, 9, 10), (7, 6, 5), (14, 15, 16)])
def test_fewer_samples_show_the_same_waves(shape):
    n = (14, 15, 16)
    axes = [(np.arange(m) - (m - 1) / 2) * k / m for m, k in zip(n, n, strict=True)]
    wave = [np.cos(2 * np.pi * axis / k + 0.4) for axis, k in zip(axes, n, strict=True)]
    image = wave[0][:, None, None] * wave[1][:, None] * wave[2]
    fewer = [(np.arange(m) - (m - 1) / 2) * k / m for m, k in zip(shape, n, strict=True)]
    expected = [np.cos(2 * np.pi * axis / k + 0.4) for axis, k in zip(fewer, n, strict=True)]
    expected = expected[0][:, None, None] * expected[1][:, None] * expected[2]
    np.testing.assert_allclose(resized(image, shape), expected, atol=1e-10)


def test_a_band_and_its_image_are_inverse(parts):
    band, _ = parts
    rng = np.random.default_rng(4)
    spectrum = rng.normal(size=len(band.radii)) + 1j * rng.normal(size=len(band.radii))
    image = band.image(spectrum, (VOXEL,) * 3)
    np.testing.assert_allclose(band.spectrum(image, (VOXEL,) * 3)[0], spectrum, atol=1e-9)


def test_the_best_translation_of_each_rotation():
    rng = np.random.default_rng(5)
    moved, shown = (rng.normal(size=shape).astype(np.float32) for shape in ((30, 12), (12, 17)))
    scores, places = np.empty(17, np.float32), np.empty(17, np.int64)
    best_translations(moved, shown, scores, places)
    np.testing.assert_allclose(scores, (moved @ shown).max(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(places, (moved @ shown).argmax(axis=0))
