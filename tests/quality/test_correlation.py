"""Fourier shell correlation: against its definition, and where the answer is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

import fastmpr
from fastmpr.quality.masks import soft_mask


def naive_fsc(a, b, voxel_size, axis=None, half_angle=0.0):
    """The definition, shell by shell over the whole spectrum."""
    spectra = np.fft.fftn(a.astype(float)), np.fft.fftn(b.astype(float))
    f = np.stack(np.meshgrid(*(np.fft.fftfreq(n, v) for n, v in zip(a.shape, voxel_size, strict=True)), indexing="ij"))
    length = np.sqrt(np.sum(f**2, axis=0))
    width = np.prod(np.multiply(a.shape, voxel_size)) ** (-1 / 3)
    inside = np.ones(a.shape, bool)
    if axis is not None:
        inside = np.abs(np.tensordot(axis, f, 1)) >= length * np.cos(np.radians(half_angle)) - 1e-12
    curve = []
    for k in range(int(np.rint(length.max() / width)) + 1):
        one, other = (s[(np.rint(length / width) == k) & inside] for s in spectra)
        power = np.sum(np.abs(one) ** 2) * np.sum(np.abs(other) ** 2)
        curve.append(np.sum(one * other.conj()).real / np.sqrt(power) if len(one) else np.nan)
    return np.array(curve)


def noise(seed, shape=(24, 24, 24)):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("shape, voxel_size", [((12, 12, 12), 1.0), ((9, 14, 11), 0.2), ((10, 7, 16), (0.3, 0.1, 0.2))])
def test_equals_the_definition(shape, voxel_size):
    a = gaussian_filter(noise(0, shape), 1)
    b = a + 0.2 * noise(1, shape)
    curve = fastmpr.fsc(a, b, voxel_size=voxel_size)
    np.testing.assert_allclose(curve.correlation, naive_fsc(a, b, np.broadcast_to(voxel_size, 3)), atol=1e-10)
    assert curve.count.sum() == a.size


@pytest.mark.parametrize("axis", [0, 1, 2, 7])
def test_a_cone_equals_the_definition(axis):
    a = gaussian_filter(noise(0, (11, 12, 14)), 1)
    b = a + 0.2 * noise(1, a.shape)
    cones = fastmpr.conical_fsc(a, b, voxel_size=(0.2, 0.1, 0.1), half_angle=30, directions=9)
    expected = naive_fsc(a, b, (0.2, 0.1, 0.1), cones.axes[axis], 30)
    np.testing.assert_allclose(cones.correlation[axis], expected, atol=1e-10)


def test_independent_noise_lies_in_the_band():
    curves = [fastmpr.fsc(noise(2 * seed), noise(2 * seed + 1)) for seed in range(20)]
    inside = np.concatenate([np.abs(one.correlation) <= one.noise_band for one in curves])
    assert np.mean(inside) >= 0.99


def test_equal_volumes_have_correlation_one():
    curve = fastmpr.fsc(noise(0), 3 * noise(0))
    np.testing.assert_allclose(curve.correlation, 1, atol=1e-12)
    assert curve.crossing(0.5) is None


def test_two_noisy_copies_follow_the_closed_form():
    signal, sigma = gaussian_filter(noise(0), 1.5), 0.1
    curve = fastmpr.fsc(signal + sigma * noise(1), signal + sigma * noise(2))
    alone = fastmpr.fsc(signal, signal)
    width = np.rint(np.linalg.norm(np.meshgrid(*[np.fft.fftfreq(24) * 24] * 3), axis=0)).astype(int)
    power = np.bincount(width.ravel(), (np.abs(np.fft.fftn(signal)) ** 2).ravel()) / alone.count
    expected = power / (power + sigma**2 * signal.size)
    band = 3 * np.sqrt((1 - expected**2) / curve.count)
    assert np.mean(np.abs(curve.correlation - expected) <= band) >= 0.97
    assert 0.05 < curve.crossing(0.5) < 0.3


def test_scale_and_precision_do_not_matter():
    a, b = noise(0), noise(0) + noise(1)
    curve = fastmpr.fsc(a, b)
    other = fastmpr.fsc((1e-6 * a).astype(np.float32), (1e5 * b).astype(np.float32))
    np.testing.assert_allclose(other.correlation, curve.correlation, atol=1e-5)


def test_a_mask_alone_gives_no_correlation():
    """Independent noise inside one soft mask correlates; the correction takes that off."""
    ball = np.linalg.norm(np.indices((24, 24, 24)) - 11.5, axis=0) < 7
    mask = np.clip(gaussian_filter(ball.astype(float), 1), 0, 1)
    excess = []
    for seed in range(8):
        a, b = noise(seed), noise(seed + 100)
        curve = fastmpr.fsc(a + 5, b + 5, mask=mask)  # the level makes the mask visible
        assert fastmpr.fsc((a + 5) * mask, (b + 5) * mask).correlation[2] > 0.9
        excess.append(curve.correlation[4:])
    assert abs(np.mean(excess)) < 0.05


def test_a_mask_shows_what_noise_around_the_particle_hides():
    signal = np.zeros((32, 32, 32))
    signal[12:20, 12:20, 12:20] = gaussian_filter(noise(0, (8, 8, 8)), 0.7) + 1
    a, b = (signal + 0.3 * noise(seed, signal.shape) for seed in (1, 2))
    inside = soft_mask(signal, (1, 1, 1))
    assert inside[16, 16, 16] == 1 and inside[0, 0, 0] == 0 and inside.min() >= 0 and inside.max() <= 1
    plain, masked = fastmpr.fsc(a, b), fastmpr.fsc(a, b, mask=inside)
    assert masked.crossing(0.5) > 1.1 * plain.crossing(0.5)


def test_a_volume_that_is_blurred_along_z_is_worse_resolved_along_z():
    truth = noise(0, (32, 32, 32))
    seen = gaussian_filter1d(truth, 2, axis=0) + 0.3 * noise(1, truth.shape)
    cones = fastmpr.conical_fsc(seen, truth, half_angle=20)
    z, y, x = cones.resolution[:3]
    assert z > 1.7 * y and abs(y / x - 1) < 0.2
    assert cones.ratio > 1.7
    assert cones.share[2] > 0.95 > 0.9 > cones.share[12]


def test_cones_turn_with_the_volumes():
    a = gaussian_filter(noise(0), (2, 1, 0.5))
    b = a + 0.1 * noise(1)
    one, turned = (fastmpr.conical_fsc(x, y) for x, y in ((a, b), (a.transpose(1, 2, 0), b.transpose(1, 2, 0))))
    np.testing.assert_allclose(one.correlation[[1, 2, 0]], turned.correlation[:3], atol=1e-12)


def test_axes_are_spread_over_a_hemisphere():
    axes = fastmpr.conical_fsc(noise(0), noise(1), directions=200).axes
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    scatter = axes[3:].T @ axes[3:] / len(axes[3:])
    np.testing.assert_allclose(scatter, np.eye(3) / 3, atol=0.02)


def test_arrays_are_not_changed():
    a, b, mask = noise(0), noise(1), np.ones((24, 24, 24))
    kept = a.copy(), b.copy(), mask.copy()
    fastmpr.fsc(a, b, mask=mask)
    for one, other in zip((a, b, mask), kept, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"b": noise(1, (24, 24, 23))}, ValueError, r"^b: found shape \(24, 24, 23\), need that of a, \(24, 24, 24\)$"),
        ({"b": np.zeros((24, 24, 24))}, ValueError, "^b: found zeros only"),
        ({"a": np.full((24, 24, 24), np.nan)}, ValueError, "^a: found"),
        ({"voxel_size": -1}, ValueError, "^voxel_size: found"),
        ({"mask": "hard"}, ValueError, "^mask: found 'hard', need 'soft', factors from 0 to 1, or None$"),
        ({"mask": np.zeros((24, 24, 24))}, ValueError, "^mask: found nothing of a volume in it"),
        (
            {"mask": np.full((24, 24, 24), 2.0)},
            ValueError,
            "^mask: found values from 2 to 2, need factors from 0 to 1$",
        ),
        ({"mask": np.ones((3, 3, 3))}, ValueError, r"^mask: found shape \(3, 3, 3\)"),
    ],
)
def test_bad_input_is_named(change, error, text):
    given = {"a": noise(0), "b": noise(1), **change}
    with pytest.raises(error, match=text):
        fastmpr.fsc(given.pop("a"), given.pop("b"), **given)


@pytest.mark.parametrize("bad", [{"half_angle": 0.5}, {"threshold": 2}, {"directions": 2}])
def test_bad_cones_are_named(bad):
    with pytest.raises(ValueError, match=f"^{next(iter(bad))}: found"):
        fastmpr.conical_fsc(noise(0), noise(1), **bad)


def test_one_voxel_has_no_directions():
    with pytest.raises(ValueError, match="^a: found one voxel, need a volume with directions$"):
        fastmpr.conical_fsc(np.ones((1, 1, 1)), np.ones((1, 1, 1)))
