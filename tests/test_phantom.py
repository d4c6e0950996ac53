from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import map_coordinates, rotate

from fastmpr import phantom

PARTICLES = {"centriole": (phantom.centriole, 9), "nuclear_pore": (phantom.nuclear_pore, 8)}
SHAPES = [(64, 64, 64), (63, 63, 63), (35, 70, 70), (40, 51, 46)]

both = pytest.mark.parametrize("make, fold", PARTICLES.values(), ids=PARTICLES)


def turned(volume, degrees):
    """Turn about the axis, from +x towards +y."""
    return rotate(volume, degrees, axes=(1, 2), reshape=False, order=3)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def best_turn(volume, other):
    """The correlation that remains when ``other`` may be turned at will."""
    return max(correlation(volume, turned(other, degrees)) for degrees in range(0, 360, 5))


def axes(volume, voxel=1.0):
    """Coordinates of the voxels' centres, from (n - 1) / 2."""
    return np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * voxel for n in volume.shape], indexing="ij")


def symmetrized(volume, fold):
    """What of a volume keeps its symmetry, breaking features being everywhere at most as strong."""
    return np.min([turned(volume, 360 / fold * k) for k in range(fold)], axis=0)


@both
@pytest.mark.parametrize("shape", [*SHAPES, (16, 16, 16), (1, 48, 48), (5, 4, 3), (1, 1, 1), (128, 128, 128)])
def test_range_and_type_at_any_shape(make, fold, shape):
    x = make(shape)
    assert x.shape == shape
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert x.min() >= 0
    assert x.max() == 1


@both
def test_one_number_is_a_cube_and_precisions_agree(make, fold):
    double = make(24, dtype=np.float64)
    assert double.dtype == np.float64
    np.testing.assert_allclose(make((24, 24, 24)), double, atol=1e-7)


@both
@pytest.mark.parametrize("shape", SHAPES)
def test_particle_fits_with_a_margin_and_fills_the_box(make, fold, shape):
    x = make(shape)
    margin = [max(1, n // 20) for n in shape]
    inside = x[tuple(slice(m, -m) for m in margin)]
    assert x.max() == inside.max() == 1
    x = x.copy()
    x[tuple(slice(m, -m) for m in margin)] = 0
    assert x.max() < 0.01  # nothing near the faces
    tall, wide = (np.ptp(np.nonzero(inside > 0.05)[axis]) + 1 for axis in (0, 2))
    assert 0.6 < max(tall / shape[0], wide / min(shape[1:])) < 0.85


@both
@pytest.mark.parametrize("shape", [(64, 64, 64), (35, 70, 70)])
def test_symmetry_is_near_but_broken(make, fold, shape):
    x = make(shape)
    for k in range(1, fold):
        assert 0.95 < correlation(x, turned(x, 360 / fold * k)) < 0.993
    between = correlation(x, turned(x, 180 / fold))
    assert between < min(correlation(x, turned(x, 360 / fold * k)) for k in range(1, fold)) - 0.02


@both
def test_top_and_bottom_differ(make, fold):
    x = make(48)
    upside_down = x[::-1, :, ::-1]  # half a turn about y
    assert best_turn(x, upside_down) < 0.85


@both
def test_mirror_images_differ(make, fold):
    x = make(48)
    assert best_turn(x, x[:, :, ::-1]) < 0.97
    assert best_turn(x, x[::-1]) < 0.9


@both
def test_a_wrong_orientation_shows(make, fold):
    """Ten degrees about an axis change the volume by far more than resampling does."""
    x = make(48)
    for plane in [(0, 1), (0, 2), (1, 2)]:
        there = rotate(x, 10, axes=plane, reshape=False, order=3)
        back = rotate(there, -10, axes=plane, reshape=False, order=3)
        assert np.linalg.norm(there - x) > 0.25 * np.linalg.norm(x)
        assert np.linalg.norm(back - x) < 0.02 * np.linalg.norm(x)


@both
@pytest.mark.parametrize("shape", SHAPES)
def test_axis_is_at_half_of_size_minus_one(make, fold, shape):
    """The centroid of the symmetric part, whatever breaks the symmetry."""
    x = symmetrized(make(shape, dtype=np.float64), fold)
    _, y, x_axis = axes(x)
    assert np.sum(y * x) / x.sum() == pytest.approx(0, abs=0.02)
    assert np.sum(x_axis * x) / x.sum() == pytest.approx(0, abs=0.02)


def half_heights(profile):
    """Where a plateau begins and ends: the first and last crossing of half of its median."""
    half = np.median(profile[profile > 0.1 * profile.max()]) / 2
    first, last = np.flatnonzero(profile > half)[[0, -1]]
    begin = first - (profile[first] - half) / (profile[first] - profile[first - 1])
    end = last + (profile[last] - half) / (profile[last] - profile[last + 1])
    return begin, end


@pytest.mark.parametrize("n", [63, 64])
@pytest.mark.parametrize("voxel", [0.008, 0.011])
def test_barrel_is_450_nm_long_and_centred(n, voxel):
    x = phantom.centriole((n, 48, 48), voxel_size=voxel, dtype=np.float64)
    _, yy, xx = axes(x, voxel)
    radius = np.hypot(yy, xx)
    begin, end = half_heights(np.sum(x, axis=(1, 2), where=(radius > 0.06) & (radius < 0.085)))
    assert (end - begin) * voxel == pytest.approx(0.45, abs=0.005)
    assert (begin + end) / 2 == pytest.approx((n - 1) / 2, abs=0.25)


def test_widths_are_the_published_ones():
    """250 nm for the barrel where it is whole, 120 nm for the pore's outer rings, 40 nm for its channel."""
    voxel = 0.003
    x = phantom.centriole((1, 120, 120), voxel_size=(0.05, voxel, voxel), dtype=np.float64)
    radius = np.hypot(*axes(x, voxel)[1:])
    assert 2 * radius[x > 0.2 * x.max()].max() == pytest.approx(0.25, abs=0.01)
    voxel = 0.002
    x = phantom.nuclear_pore((80, 70, 70), voxel_size=voxel, dtype=np.float64)
    z, yy, xx = axes(x, voxel)
    radius, height = np.hypot(yy, xx), z - 0.019  # from the core's equator
    core = (x > 0.2) & (np.abs(height) < 0.035)
    assert 2 * radius[core].max() == pytest.approx(0.12, abs=0.01)
    assert 2 * radius[core].min() == pytest.approx(0.04, abs=0.01)


@both
def test_physical_size_does_not_depend_on_the_voxel(make, fold):
    """Each variance is the particle's own and the voxel's square; the mass per volume is the same."""
    size = 0.8 if fold == 9 else 0.3
    variances = []
    for voxel in [(size / 40,) * 3, (size / 60,) * 3, (size / 30, size / 70, size / 50)]:
        shape = tuple(int(np.ceil(size / v)) for v in voxel)
        x = make(shape, voxel_size=voxel, dtype=np.float64)
        coordinates = np.meshgrid(
            *[(np.arange(n) - (n - 1) / 2) * v for n, v in zip(shape, voxel, strict=True)], indexing="ij"
        )
        mean = [np.average(u, weights=x) for u in coordinates]
        variances.append(
            [np.average((u - m) ** 2, weights=x) - v**2 for u, m, v in zip(coordinates, mean, voxel, strict=True)]
        )
    np.testing.assert_allclose(variances[1], variances[0], rtol=2e-3)
    np.testing.assert_allclose(variances[2], variances[0], rtol=2e-3)


@pytest.mark.parametrize("particle", ["_CENTRIOLE", "_NUCLEAR_PORE"])
@pytest.mark.parametrize("voxel", [(0.02, 0.02, 0.02), (0.03, 0.012, 0.02)])
def test_render_is_a_sum_of_gaussians(particle, voxel):
    """Against a loop over densely sampled strands that evaluates each Gaussian on the whole grid."""
    shape = (14, 15, 16)
    particle = getattr(phantom, particle)
    grid = [(np.arange(n) - (n - 1) / 2) * v * 1000 for n, v in zip(shape, voxel, strict=True)]
    expected = np.zeros(shape)
    for strand in particle.strands:
        ends = np.linspace(strand.start, strand.end, 101)
        path = (ends[1:] + ends[:-1]) / 2
        (rise, turn, reach), mean_radius = np.subtract(strand.end, strand.start), path[:, 2].mean()
        length = np.sqrt(rise**2 + reach**2 + (np.radians(turn) * mean_radius) ** 2)
        mass = strand.density * strand.width**2 * length
        for part in range(particle.fold):
            if strand.parts is not None and part not in strand.parts:
                continue
            for height, angle, radius in path:
                phi = np.radians(angle + part * 360 / particle.fold)
                middle_height = (particle.bottom + particle.top) / 2
                centre = height - middle_height, radius * np.sin(phi), radius * np.cos(phi)
                gaussians = []
                for u, c, v in zip(grid, centre, voxel, strict=True):
                    variance = strand.width**2 + (1000 * v) ** 2
                    gaussians.append(np.exp(-((u - c) ** 2) / (2 * variance)) / np.sqrt(variance))
                z, y, x = gaussians
                expected += mass * z[:, None, None] * y[:, None] * x
    result = (phantom.centriole if particle.fold == 9 else phantom.nuclear_pore)(
        shape, voxel_size=voxel, dtype=np.float64
    )
    np.testing.assert_allclose(result, expected / expected.max(), atol=3e-4)


@both
@pytest.mark.parametrize("shape", SHAPES)
def test_smooth_at_the_scale_of_the_voxel(make, fold, shape):
    """Little beyond half of Nyquist's frequency, next to nothing near it: splines resample it well."""
    spectrum = np.abs(np.fft.fftn(make(shape, dtype=np.float64))) ** 2
    spectrum[0, 0, 0] = 0  # the mean would flatter
    frequency = np.max(np.abs(np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")), axis=0)
    share = [spectrum[frequency > f].sum() / spectrum.sum() for f in (0.25, 0.4)]
    assert share[0] < 0.02
    assert share[1] < 2e-4


def phase(volume, fold, where):
    """By how many degrees from +x towards +y a pattern of this symmetry is turned."""
    _, y, x = axes(volume)
    return np.angle(np.sum(volume * np.exp(1j * fold * np.arctan2(y, x)), where=where), deg=True) / fold


def test_triplets_turn_counter_clockwise_outwards():
    """From tubule A to C by 15 to 20 degrees, against the sense from +x to +y."""
    voxel = 0.005
    x = phantom.centriole((70, 64, 64), voxel_size=voxel, dtype=np.float64)
    z, yy, xx = axes(x, voxel)
    radius, bare = np.hypot(yy, xx), np.abs(z) < 0.05
    inner = phase(x, 9, bare & (np.abs(radius - 0.075) < 0.006))
    outer = phase(x, 9, bare & (np.abs(radius - 0.108) < 0.006))
    assert inner == pytest.approx(-4, abs=3)
    assert (outer - inner + 20) % 40 - 20 == pytest.approx(-18, abs=4)


def brightest_angles(volume, voxel, height, radius, count):
    """Angles, from +x towards +y, of the highest peaks on a circle around the axis."""
    angle = np.radians(np.arange(360))
    place = np.stack([np.full(360, height), radius * np.sin(angle), radius * np.cos(angle)]) / voxel
    centre = (np.array(volume.shape) - 1) / 2
    profile = map_coordinates(volume, place + centre[:, None])
    peaks = np.flatnonzero((profile > np.roll(profile, 1)) & (profile > np.roll(profile, -1)))
    return sorted(peaks[np.argsort(profile[peaks])[-count:]])


def test_symmetry_breakers_lie_where_the_docstrings_say():
    x = phantom.centriole(96, voxel_size=0.005)
    np.testing.assert_allclose(brightest_angles(x, 0.005, 0.105, 0.16, 3), [18, 98, 338], atol=6)
    x = phantom.nuclear_pore(80, voxel_size=0.0025)
    np.testing.assert_allclose(brightest_angles(x, 0.0025, 0.069, 0.05, 1), [10], atol=6)
    np.testing.assert_allclose(brightest_angles(x, 0.0025, -0.045, 0.018, 1), [110], atol=6)


@both
@pytest.mark.parametrize(
    "change, message",
    [
        ({"shape": (5, 5)}, "shape: found"),
        ({"shape": 0}, "shape: found 0, need"),
        ({"shape": 9.5}, "shape: found 9.5, need"),
        ({"voxel_size": -0.01}, "voxel_size: found -0.01, need one or three positive"),
        ({"voxel_size": np.nan}, "voxel_size: found nan, need"),
        ({"voxel_size": 10}, "voxel_size: found 10, need micrometres, between 0.0001 and the particle's 0"),
        ({"voxel_size": 1e-8}, "voxel_size: found 1e-08, need micrometres, between 0.0001"),
        ({"voxel_size": (0.01, 0.01, 1e-6)}, r"voxel_size: found \(0.01, 0.01, 1e-06\), need micrometres, between"),
        ({"voxel_size": 2e-4}, "voxel_size: found 0.0002, too small .* need micrometres"),
        ({"dtype": np.uint8}, "dtype: found uint8, need float32 or float64"),
        ({"dtype": "nonsense"}, "dtype: found 'nonsense', need float32 or float64"),
        ({"dtype": None}, "dtype: found None, need float32 or float64"),
    ],
)
def test_bad_input_is_named(make, fold, change, message):
    with pytest.raises(ValueError, match=message) as error:
        make(**{"shape": (16, 16, 16), **change})
    assert "\n" not in str(error.value)


@both
@pytest.mark.parametrize("shape", [10**5, 10**8])
def test_a_shape_that_no_memory_holds_is_refused_before_the_work(make, fold, shape, monkeypatch):
    monkeypatch.setattr(phantom, "_gaussians", lambda *_: pytest.fail("work begun"))
    with pytest.raises(MemoryError, match=rf"shape: found \({shape}, .* need at most \("):
        make(shape)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(110, 120, 130), (3000, 2, 3)])
def test_the_memory_that_is_asked_for_is_what_it_takes(make, fold, shape, dtype, monkeypatch):
    asked = []
    monkeypatch.setattr(phantom, "check_memory", lambda name, found, need: asked.append(need))
    tracemalloc.start()
    make(shape, dtype=dtype)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.9 < asked[0] / peak < 1.4
