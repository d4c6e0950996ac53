from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0, j1

from fastmpr import psf
from fastmpr.psf import theory

WAVELENGTH, NA, INDEX = 0.52, 1.4, 1.515
OIL = {"wavelength": WAVELENGTH, "na": NA, "refractive_index": INDEX, "dtype": np.float64}
WATER = {"wavelength": 0.6, "na": 0.8, "refractive_index": 1.33, "dtype": np.float64}


def intensity(r, z, wavelength=WAVELENGTH, na=NA, index=INDEX):
    """Born and Wolf's integral, one point at a time by adaptive quadrature; 1 in the focus."""
    k = 2 * np.pi / wavelength

    def part(wave):
        return quad(
            lambda rho: 2 * rho * j0(k * na * r * rho) * wave(k * z * na**2 * rho**2 / (2 * index)),
            0,
            1,
            limit=400,
            epsabs=1e-12,
        )[0]

    return part(np.cos) ** 2 + part(np.sin) ** 2


def radial_scan(n=2001, step=None, **options):
    """Radii from the centre on, in wavelength / NA, and the focal plane along them, 1 in the centre."""
    step = step or 0.002 * WAVELENGTH / NA
    line = psf.born_wolf((1, 1, n), voxel_size=step, **OIL | options)[0, 0, n // 2 :]
    return np.arange(len(line)) * step * NA / WAVELENGTH, line / line[0]


def half_width(position, line):
    """Full width at half maximum of a peak whose falling half is given."""
    below = np.argmax(line < 0.5)
    return 2 * np.interp(-0.5, -line[: below + 1], position[: below + 1])


# ---- Where no shape is given


@pytest.mark.parametrize("voxel", [(0.2, 0.1, 0.1), (0.35, 0.08, 0.12), (0.1, 0.1), 0.2])
def test_without_a_shape_it_reaches_to_the_fourth_zero_and_holds_the_rings(voxel):
    options = {"wavelength": WAVELENGTH, "na": NA, "refractive_index": INDEX}
    h = psf.born_wolf(voxel_size=voxel, **options)
    sides = np.broadcast_to(voxel, 3 if np.ndim(voxel) == 0 else len(voxel))
    reach = np.multiply(h.shape, sides) / 2
    asked = np.array([4 * 2 * INDEX * WAVELENGTH / NA**2, *[10 * WAVELENGTH / NA] * 2])[-h.ndim :]
    assert (reach >= asked).all()
    assert (reach <= asked + 2 * sides).all()
    np.testing.assert_array_equal(h, psf.born_wolf(h.shape, voxel_size=voxel, **options))


def test_without_a_shape_its_planes_hold_their_light():
    """Each plane of a widefield PSF holds the same light, whatever its depth."""
    h = psf.born_wolf(voxel_size=(0.4, 0.1, 0.1), **OIL)
    planes = h.sum(axis=(1, 2))
    assert planes.min() > 0.97 * planes.max()


# ---- Gaussian


@pytest.mark.parametrize("shape", [(7, 8, 9), (1, 4, 5)])
def test_gaussian_is_the_formula(shape):
    sigma, voxel = (0.3, 0.2, 0.1), (0.2, 0.1, 0.05)
    h = psf.gaussian(shape, sigma=sigma, voxel_size=voxel, dtype=np.float64)
    expected = np.empty(shape)
    for index in np.ndindex(shape):
        squares = [((i - n // 2) * v / s) ** 2 for i, n, v, s in zip(index, shape, voxel, sigma, strict=True)]
        expected[index] = np.exp(-sum(squares) / 2)
    np.testing.assert_allclose(h, expected / expected.sum(), rtol=1e-12)


def test_gaussian_has_the_sigmas_asked_for():
    h = psf.gaussian((61, 41, 31), sigma=(0.8, 0.4, 0.3), voxel_size=(0.2, 0.1, 0.15), dtype=np.float64)
    for axis, (n, v, s) in enumerate(zip(h.shape, (0.2, 0.1, 0.15), (0.8, 0.4, 0.3), strict=True)):
        marginal = h.sum(axis=tuple(a for a in range(3) if a != axis))
        x = (np.arange(n) - n // 2) * v
        assert marginal @ x == pytest.approx(0, abs=1e-12)
        assert np.sqrt(marginal @ x**2) == pytest.approx(s, rel=1e-4)


def test_gaussian_takes_one_number_for_all_axes():
    np.testing.assert_array_equal(psf.gaussian(9, sigma=2), psf.gaussian((9, 9, 9), sigma=(2, 2, 2)))


# ---- planes


@pytest.mark.parametrize("shape", [(15, 21), (16, 9), (1, 5)])
def test_a_plane_is_that_through_the_centre(shape):
    """Of sum 1 alone, as one of a single plane in three dimensions is."""
    flat = psf.gaussian(shape, sigma=(1.2, 2), voxel_size=(1, 0.5), dtype=np.float64)
    solid = psf.gaussian((7, *shape), sigma=(3, 1.2, 2), voxel_size=(1, 1, 0.5), dtype=np.float64)[3]
    np.testing.assert_allclose(flat, solid / solid.sum(), rtol=1e-12)
    for options in ({}, {"confocal": True, "pinhole": 1}):
        lens = {"wavelength": 0.52, "na": 1.2, "dtype": np.float64, **options}
        flat = psf.born_wolf(shape, voxel_size=(0.1, 0.08), **lens)
        solid = psf.born_wolf((7, *shape), voxel_size=(0.3, 0.1, 0.08), **lens)[3]
        assert flat.shape == shape
        np.testing.assert_allclose(flat, solid / solid.sum(), rtol=1e-9, atol=1e-12)


# ---- Born & Wolf, widefield


@pytest.mark.parametrize("shape, voxel", [((43, 69, 69), (0.1, 0.05, 0.05)), ((10, 20, 31), (0.3, 0.04, 0.07))])
def test_widefield_is_the_integral(shape, voxel):
    h = psf.born_wolf(shape, voxel_size=voxel, **OIL)
    centre = tuple(n // 2 for n in shape)
    corners = [(0, 0, 0), tuple(n - 1 for n in shape), centre]
    random = np.random.default_rng(3).integers(0, shape, (60, 3))
    for index in [*corners, *map(tuple, random)]:
        dz, dy, dx = ((i - c) * v for i, c, v in zip(index, centre, voxel, strict=True))
        assert h[index] / h[centre] == pytest.approx(intensity(np.hypot(dy, dx), dz), abs=1e-8)


def test_focal_plane_is_airys_pattern():
    voxel = 0.03
    h = psf.born_wolf((1, 65, 80), voxel_size=voxel, **OIL)[0]
    y, x = np.ogrid[-32:33, -40:40]
    v = 2 * np.pi * NA / WAVELENGTH * voxel * np.hypot(y, x)
    v[32, 40] = 1e-9
    np.testing.assert_allclose(h / h.max(), (2 * j1(v) / v) ** 2, atol=1e-9)


def test_dark_and_bright_rings_lie_where_born_and_wolf_tabulate_them():
    """Table 8.2 of Principles of Optics: v / pi of the extrema, and the intensity of the maxima."""
    radius, line = radial_scan()
    v_over_pi = 2 * radius
    inner = np.arange(1, len(line) - 1)
    minima = inner[(line[inner] < line[inner - 1]) & (line[inner] < line[inner + 1])]
    maxima = inner[(line[inner] > line[inner - 1]) & (line[inner] > line[inner + 1])]
    np.testing.assert_allclose(v_over_pi[minima[:3]], [1.220, 2.233, 3.238], atol=0.005)
    np.testing.assert_allclose(v_over_pi[maxima[:3]], [1.635, 2.679, 3.699], atol=0.005)
    np.testing.assert_allclose(line[maxima[:3]], [0.0175, 0.0042, 0.0016], atol=6e-5)
    assert radius[minima[0]] == pytest.approx(0.61, abs=0.002)
    assert (line[minima[:3]] < 1e-5).all()


def test_axis_is_dark_at_multiples_of_two_n_lambda_over_na_squared():
    first_zero = 2 * INDEX * WAVELENGTH / NA**2
    h = psf.born_wolf((81, 1, 1), voxel_size=(first_zero / 10, 0.05, 0.05), **OIL)[:, 0, 0]
    h /= h[40]
    np.testing.assert_allclose(h[40 + 10 * np.arange(-4, 0)], 0, atol=1e-12)
    np.testing.assert_allclose(h[40 + 10 * np.arange(1, 5)], 0, atol=1e-12)
    z = (np.arange(81) - 40) / 10
    np.testing.assert_allclose(h, np.sinc(z) ** 2, atol=1e-12)  # sinc(u / 4 pi)


def test_the_edge_of_the_geometric_shadow_has_born_and_wolfs_closed_form():
    """Section 8.8 of Principles of Optics: where u = +-v the intensity is (1 - 2 J0(u) cos u + J0(u)^2) / u^2."""
    voxel = 0.05
    h = psf.born_wolf((41, 41, 41), voxel_size=(voxel * INDEX / NA, voxel, voxel), **OIL)
    i = np.arange(1, 21)
    u = 2 * np.pi / WAVELENGTH * NA * voxel * i
    expected = (1 - 2 * j0(u) * np.cos(u) + j0(u) ** 2) / u**2
    for z in (20 - i, 20 + i):
        np.testing.assert_allclose(h[z, 20, 20 + i] / h[20, 20, 20], expected, atol=1e-10)
        np.testing.assert_allclose(h[z, 20 - i, 20] / h[20, 20, 20], expected, atol=1e-10)


def test_every_plane_of_a_widefield_psf_holds_the_same_energy():
    """Light is not lost on its way: what a plane lacks is outside of the window, 0.5 % here."""
    n, voxel = 301, 0.13
    h = psf.born_wolf((9, n, n), voxel_size=(0.5, voxel, voxel), **WATER)
    energy = h.sum(axis=(1, 2))
    np.testing.assert_allclose(energy, energy[4], rtol=2e-3)

    # in the focal plane the energy within a radius has a closed form (Rayleigh): 1 - J0^2 - J1^2
    y, x = np.ogrid[-150:151, -150:151]
    radius = 140 * voxel
    v = 2 * np.pi * WATER["na"] / WATER["wavelength"] * radius
    share = 1 - j0(v) ** 2 - j1(v) ** 2
    total = h[4, 150, 150] * np.pi / (np.pi * WATER["na"] / WATER["wavelength"] * voxel) ** 2
    assert h[4][np.hypot(y, x) * voxel <= radius].sum() / total == pytest.approx(share, abs=1e-3)


# ---- Born & Wolf, confocal


def test_point_pinhole_gives_the_product_of_excitation_and_emission():
    shape, voxel = (21, 40, 41), (0.1, 0.05, 0.05)
    both = psf.born_wolf(shape, voxel_size=voxel, confocal=True, excitation_wavelength=0.488, **OIL)
    emission = psf.born_wolf(shape, voxel_size=voxel, **OIL)
    excitation = psf.born_wolf(shape, voxel_size=voxel, **OIL | {"wavelength": 0.488})
    product = emission * excitation
    np.testing.assert_allclose(both, product / product.sum(), atol=1e-9 * both.max())


def test_excitation_wavelength_defaults_to_the_emissions():
    options = {"voxel_size": 0.05, "confocal": True, "pinhole": 1, **OIL}
    np.testing.assert_array_equal(
        psf.born_wolf(15, **options), psf.born_wolf(15, excitation_wavelength=WAVELENGTH, **options)
    )


@pytest.mark.parametrize("pinhole", [0.3, 1.0, 2.5])
def test_finite_pinhole_averages_the_emission_over_its_disc(pinhole):
    """Against a sum over a fine polar grid on the disc, of the integral evaluated at every point of it."""
    voxel = (0.4, 0.05, 0.05)
    h = psf.born_wolf((3, 9, 9), voxel_size=voxel, confocal=True, pinhole=pinhole, **OIL)
    disc = pinhole * 0.609835 * WAVELENGTH / NA
    edge = np.linspace(0, disc, 121)
    ring, share = (edge[1:] + edge[:-1]) / 2, np.diff(edge**2) / disc**2
    angle = 2 * np.pi * (np.arange(48) + 0.5) / 48

    def blurred(r, z):
        distance = np.sqrt(r**2 + ring[:, None] ** 2 - 2 * r * ring[:, None] * np.cos(angle))
        table = np.linspace(0, distance.max(), 800)
        values = np.interp(distance, table, [intensity(d, z) for d in table])
        return share @ values.mean(axis=1)

    focus = blurred(0, 0)
    for index in [(1, 4, 6), (1, 7, 8), (0, 4, 4), (2, 5, 7)]:
        dz, dy, dx = ((i - c) * v for i, c, v in zip(index, (1, 4, 4), voxel, strict=True))
        r = np.hypot(dy, dx)
        assert h[index] / h[1, 4, 4] == pytest.approx(blurred(r, dz) / focus * intensity(r, dz), abs=5e-5)


def test_pinhole_goes_from_a_point_to_an_open_window():
    """A tiny pinhole is a point; a huge one passes all emission, which leaves the excitation."""
    shape = (5, 15, 15)
    options = {"voxel_size": (0.2, 0.05, 0.05), "confocal": True, **OIL}
    point, tiny = psf.born_wolf(shape, **options), psf.born_wolf(shape, pinhole=0.002, **options)
    np.testing.assert_allclose(tiny, point, atol=1e-5 * point.max())
    huge = psf.born_wolf(shape, pinhole=60, excitation_wavelength=0.488, **options)
    excitation = psf.born_wolf(shape, voxel_size=(0.2, 0.05, 0.05), **OIL | {"wavelength": 0.488})
    np.testing.assert_allclose(huge, excitation, atol=5e-3 * excitation.max())


def test_widths_are_the_textbooks():
    """At half maximum, of Airy's pattern and its square, in wavelength / NA and n wavelength / NA^2."""
    assert half_width(*radial_scan()) == pytest.approx(0.514, abs=1e-3)
    assert half_width(*radial_scan(confocal=True)) == pytest.approx(0.370, abs=2e-3)
    step = 0.002
    voxel = (step * INDEX * WAVELENGTH / NA**2, 0.05, 0.05)
    position = step * np.arange(1000)
    for confocal, width in [(False, 1.772), (True, 1.276)]:
        line = psf.born_wolf((1999, 1, 1), voxel_size=voxel, confocal=confocal, **OIL)[999:, 0, 0]
        assert half_width(position, line / line[0]) == pytest.approx(width, abs=2e-3)


def test_a_wider_pinhole_gives_a_wider_psf():
    confocal = [half_width(*radial_scan(confocal=True, pinhole=p)) for p in (0, 0.5, 1)]
    assert (np.diff([*confocal, half_width(*radial_scan())]) > 1e-3).all()


# ---- what every PSF is


KINDS = [
    lambda shape, **o: psf.gaussian(shape, sigma=(2, 1, 1), **o),
    lambda shape, **o: psf.born_wolf(shape, voxel_size=(0.1, 0.05, 0.05), wavelength=0.52, na=1.4, **o),
    lambda shape, **o: psf.born_wolf(
        shape, voxel_size=(0.1, 0.05, 0.05), wavelength=0.52, na=1.4, confocal=True, pinhole=1, **o
    ),
]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("shape", [(9, 15, 15), (8, 14, 15), (1, 1, 1), (1, 16, 16), (12, 1, 3)])
def test_centred_normalised_symmetric_and_not_negative(make, shape):
    h = make(shape)
    assert h.shape == shape
    assert h.dtype == np.float32
    assert h.flags.c_contiguous
    assert h.min() >= 0
    assert h.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    assert np.unravel_index(h.argmax(), shape) == tuple(n // 2 for n in shape)
    odd = h[tuple(slice(1 - n % 2, None) for n in shape)]  # an even axis has one sample more before the centre
    for axis in range(3):
        np.testing.assert_array_equal(odd, np.flip(odd, axis))
    if odd.shape[1] == odd.shape[2]:
        np.testing.assert_allclose(odd, odd.transpose(0, 2, 1), rtol=1e-6)


@pytest.mark.parametrize("make", KINDS)
def test_precisions_agree(make):
    single, double = make((9, 15, 15)), make((9, 15, 15), dtype=np.float64)
    assert double.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=1e-6)


def test_a_larger_window_only_adds_voxels():
    options = {"voxel_size": (0.1, 0.05, 0.06), "confocal": True, "pinhole": 1, **OIL}
    small, large = psf.born_wolf((7, 12, 9), **options), psf.born_wolf((15, 30, 21), **options)
    crop = large[4:11, 9:21, 6:15]
    np.testing.assert_allclose(crop / crop.sum(), small, atol=1e-9 * small.max())


# ---- bad input


GOOD = {"shape": (5, 5, 5), "voxel_size": 0.05, "wavelength": 0.52, "na": 1.4}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"na": 1.515}, "na: found 1.515, need less than refractive_index, which is 1.515"),
        ({"refractive_index": 1.33}, "na: found 1.4, need less than refractive_index, which is 1.33"),
        ({"na": 0}, "na: found 0, need a positive"),
        ({"wavelength": 520}, r"wavelength: found 520, need micrometres .* e\.g\. 0\.52"),
        ({"wavelength": 5.2e-7}, "wavelength: found 5.2e-07, need micrometres"),
        ({"wavelength": -0.5}, "wavelength: found -0.5, need a positive"),
        ({"excitation_wavelength": 488, "confocal": True}, "excitation_wavelength: found 488, need micro"),
        ({"voxel_size": -0.05}, "voxel_size: found -0.05, need one or three positive"),
        ({"voxel_size": (0.1, 0.05)}, "voxel_size: found"),
        ({"voxel_size": 50}, "voxel_size: found .*50.*, need micrometres"),
        ({"voxel_size": 5e-8}, "voxel_size: found .*5e-08.*, need micrometres"),
        ({"voxel_size": (0.2, 50, 50)}, "voxel_size: found .*50.*, need micrometres, along y and x between"),
        ({"voxel_size": (200, 0.05, 0.05)}, "voxel_size: found .*200.*, need micrometres, along z between .* and 8 "),
        ({"voxel_size": (1e6, 0.05, 0.05)}, "voxel_size: found .*1000000.*, need micrometres, along z"),
        ({"voxel_size": (1e-9, 0.05, 0.05)}, "voxel_size: found .*1e-09.*, need micrometres, along z"),
        ({"refractive_index": 4.1}, "refractive_index: found 4.1, need at most 4"),
        ({"refractive_index": np.nan}, "refractive_index: found nan, need a positive"),
        ({"pinhole": -1, "confocal": True}, "pinhole: found -1, need a diameter"),
        ({"pinhole": np.nan, "confocal": True}, "pinhole: found nan, need a diameter"),
        ({"pinhole": "wide", "confocal": True}, "pinhole: found 'wide', need a diameter"),
        ({"pinhole": None, "confocal": True}, "pinhole: found None, need a diameter"),
        ({"pinhole": 1e4, "confocal": True}, "pinhole: found 10000.0, need a diameter in Airy units, from 0 to 100"),
        ({"pinhole": 1}, "confocal: found False, need True"),
        ({"excitation_wavelength": 0.488}, "confocal: found False, need True"),
        ({"shape": (5, 0, 5)}, "shape: found .* need one or three positive integers"),
        (
            {"shape": (5, 5), "voxel_size": (0.1, 0.05, 0.05)},
            "voxel_size: found .*, need one or two positive lengths \\(y, x\\)",
        ),
        ({"shape": (5,)}, "shape: found .* need one or three positive integers \\(z, y, x\\), or two \\(y, x\\)"),
        ({"shape": (5, 5), "voxel_size": (50, 50)}, "voxel_size: found .*, need micrometres, along y and x"),
        ({"dtype": np.int16}, "dtype: found int16, need float32 or float64"),
        ({"dtype": "nonsense"}, "dtype: found 'nonsense', need float32 or float64"),
        ({"dtype": None}, "dtype: found None, need float32 or float64"),
    ],
)
def test_born_wolf_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message) as error:
        psf.born_wolf(**GOOD | change)
    assert "\n" not in str(error.value)


def test_numbers_may_be_text_where_float_reads_them():
    options = GOOD | {"confocal": True}
    np.testing.assert_array_equal(psf.born_wolf(**options, pinhole="1"), psf.born_wolf(**options, pinhole=1))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sigma": 0}, "sigma: found 0, need one or three positive lengths"),
        ({"sigma": (1, 2)}, "sigma: found"),
        ({"sigma": (1, 2, np.inf)}, "sigma: found"),
        ({"voxel_size": -1}, "voxel_size: found -1"),
        ({"dtype": complex}, "dtype: found complex128, need float32 or float64"),
    ],
)
def test_gaussian_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        psf.gaussian((5, 5, 5), **{"sigma": 1, **change})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(110, 120, 130), (900, 2, 3), (1, 2, 1200)])
@pytest.mark.parametrize("options", [{}, {"confocal": True, "pinhole": 1}, {"confocal": True, "pinhole": 40}])
def test_the_memory_that_is_asked_for_is_what_it_takes(options, shape, dtype, monkeypatch):
    asked = []
    monkeypatch.setattr(theory, "check_memory", lambda name, found, need: asked.append(need))
    psf.born_wolf(9, voxel_size=0.1, wavelength=0.5, na=1.2, confocal=True, pinhole=1)  # loads parts of scipy
    tracemalloc.start()
    psf.born_wolf(shape, voxel_size=0.1, wavelength=0.5, na=1.2, dtype=dtype, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.7 < asked[-1] / peak < 1.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_memory_that_a_gaussian_asks_for(dtype, monkeypatch):
    asked = []
    monkeypatch.setattr(theory, "check_memory", lambda name, found, need: asked.append(need))
    tracemalloc.start()
    psf.gaussian((80, 90, 100), sigma=3, dtype=dtype)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.9 < asked[0] / peak < 1.1
