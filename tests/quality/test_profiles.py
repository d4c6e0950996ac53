from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from naive import mean_on_circle, mean_over_voxels
from rings import cylindrical, half_maxima, ring, wall
from rotations import turn
from scipy.special import ive

import fastmpr
from fastmpr import phantom
from fastmpr.quality.measures import Measure

FULL_WIDTH = math.sqrt(8 * math.log(2))  # of a Gaussian at half maximum, in standard deviations
OBLIQUE = (2.0, 1.0, -1.5)


def bowl(shape=(20, 24, 26), **options):
    return ring(cylindrical(shape, **options), 6.3, 1.6, 11.0, lobes=3) + 0.25


class TestAKnownRing:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("background", [0.0, 7.0])
    @pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0, -3), OBLIQUE])
    def test_its_size(self, axis, background, dtype):
        """To a thirtieth of a voxel, about any axis, over any background, off the middle by any fraction of a voxel."""
        centre = (0.3, -0.7, 0.4)
        x = ring(cylindrical((44, 42, 43), axis=axis, centre=centre), 9.37, 1.7, 18.4) + background
        found = fastmpr.profile(x.astype(dtype), axis, centre=centre)
        assert found.diameter.value == pytest.approx(2 * 9.37, abs=0.03)
        assert found.width.value == pytest.approx(np.diff(half_maxima(9.37, 1.7))[0], abs=0.03)
        assert found.height.value == pytest.approx(18.4, abs=0.03)
        assert found.wall == pytest.approx(half_maxima(9.37, 1.7), abs=0.03)
        assert found.barrel == pytest.approx((-9.2, 9.2), abs=0.03)
        assert found.background == pytest.approx(background, abs=1e-3)
        assert found.diameter.error is found.radial.error is None

    @pytest.mark.parametrize("voxel, shape", [((0.3, 0.1, 0.1), (24, 64, 64)), ((0.1, 0.15, 0.2), (54, 46, 36))])
    def test_voxels_that_are_no_cubes(self, voxel, shape):
        for axis in ((1, 0, 0), (1, 1, 0)):
            x = ring(cylindrical(shape, voxel, axis), 1.1, 0.3, 2.4, edge=0.35)
            found = fastmpr.profile(x, axis, voxel_size=voxel)
            assert found.unit == found.diameter.unit == "um"
            assert found.diameter.value == pytest.approx(2.2, abs=0.005)
            assert found.width.value == pytest.approx(np.diff(half_maxima(1.1, 0.3))[0], abs=0.005)
            assert found.height.value == pytest.approx(2.4, abs=0.01)

    @pytest.mark.parametrize("sigma, error", [(1.2, 0.03), (2.0, 0.05), (3.0, 0.1), (4.0, 0.35)])
    def test_blur_changes_the_width_and_not_the_diameter(self, sigma, error):
        """Even where the middle is filled, and the profile is brightest 1.5 voxels nearer to the axis."""
        found = fastmpr.profile(ring(cylindrical((30, 50, 50)), 8.0, sigma, 14.0))
        assert found.diameter.value == pytest.approx(16, abs=error)
        if sigma < 4:
            assert found.width.value == pytest.approx(np.diff(half_maxima(8.0, sigma))[0], abs=0.05)
        else:
            assert found.width.message == "the radial profile does not fall to half inside the ring"

    def test_lengths_are_in_the_unit_of_the_voxel_size(self):
        x = bowl()
        one, other = fastmpr.profile(x), fastmpr.profile(x, voxel_size=0.02)
        assert one.unit == "voxel"
        for name in ("diameter", "width", "height"):
            assert getattr(other, name).value == pytest.approx(0.02 * getattr(one, name).value)
        for name, ratio in (("radial", 0.02), ("axial", 0.02), ("angular", 1)):
            np.testing.assert_allclose(getattr(other, name).position, ratio * getattr(one, name).position)
            np.testing.assert_allclose(getattr(other, name).value, getattr(one, name).value)

    def test_each_profile_is_what_it_says(self):
        """Of a product of three factors, each profile has the shape of one."""
        found = fastmpr.profile(bowl(), background=0.25)
        for curve, factor in (
            (found.radial, lambda r: wall(r, 6.3, 1.6)),
            (found.axial, lambda h: ring((h, 6.3, 0.0), 6.3, 1.6, 11.0)),
            (found.angular, lambda a: 1 + 0.5 * np.cos(3 * np.radians(a))),
        ):
            value, wanted = curve.value - 0.25, factor(curve.position)
            np.testing.assert_allclose(value / value.max(), wanted / wanted.max(), atol=6e-3)
        np.testing.assert_array_equal(found.angular.position, np.arange(360))
        assert fastmpr.profile(bowl(), symmetry="C3").period == 120

    def test_angles_grow_from_x_to_y_or_begin_at_the_second_axis(self):
        height, radius, angle = cylindrical((9, 31, 31))
        spot = np.exp(
            -((radius - 8) ** 2) / 8 - (np.angle(np.exp(1j * (angle - np.radians(70)))) * 8) ** 2 / 8 - height**2 / 8
        )
        for axis, wanted in ((None, 70), ([(1, 0, 0), (0, 1, 0)], 340), ((-1, 0, 0), 290)):
            found = fastmpr.profile(spot, axis)
            assert found.angular.position[found.angular.value.argmax()] == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize(
    "make, particle, shape, voxel",
    [
        (phantom.centriole, phantom._CENTRIOLE, (45, 50, 52), 0.0184),
        (phantom.nuclear_pore, phantom._NUCLEAR_PORE, (48, 48, 48), 0.006),
    ],
)
def test_phantoms_against_the_strands_that_they_are_made_of(make, particle, shape, voxel):
    """The mean over a circle of a Gaussian about a point is a Bessel function: no voxel is looked at."""
    found = fastmpr.profile(make(shape, voxel_size=voxel), voxel_size=voxel)
    points, widths, masses = phantom._points(particle, voxel)
    variance, away = widths**2 + voxel**2, np.hypot(points[1], points[2])
    radii, heights = np.arange(0, 0.3, 2e-4)[:, None], np.linspace(*found.heights, 101)[:, None]
    slices = masses * (np.exp(-((heights - points[0]) ** 2) / (2 * variance)) / np.sqrt(variance)).mean(axis=0)
    radial = (np.exp(-((radii - away) ** 2) / (2 * variance)) * ive(0, radii * away / variance) / variance) @ slices
    mass = np.sqrt(radii[:, 0]) * radial
    mass[mass < mass.max() / 2] = 0  # of the wall alone
    assert found.diameter.value == pytest.approx(2 * (mass @ radii[:, 0]) / mass.sum(), abs=0.05 * voxel)
    assert found.width.value == pytest.approx(2e-4 * np.sum(radial > radial.max() / 2), abs=0.05 * voxel)
    wanted = np.interp(found.radial.position, radii[:, 0], radial)
    scale = (wanted @ found.radial.value) / (wanted @ wanted)
    np.testing.assert_allclose(found.radial.value, scale * wanted, atol=5e-3 * found.radial.value.max())


class TestTwins:
    def test_circles_by_scipy(self):
        """Means over one slice and over one ring are those of SciPy's cubic spline over a circle, in the box or not."""
        x = np.random.default_rng(0).random((7, 9, 8))
        voxel, place = (1.3, 1.0, 1.1), {"centre": (0.4, -0.2, 0.3)}
        whole = fastmpr.profile(x, OBLIQUE, voxel_size=voxel, **place)
        thickness, k = np.diff(whole.axial.position)[0], len(whole.axial.position) // 2
        height, radius = whole.axial.position[k], whole.radial.position[4]
        slice_, ring_ = ((at - 0.49 * step, at + 0.49 * step) for at, step in ((height, thickness), (radius, 0.5)))
        found = fastmpr.profile(x, OBLIQUE, voxel_size=voxel, heights=slice_, radii=ring_, **place)
        for curve, circle in (
            (found.radial, lambda position: (height, position)),
            (found.axial, lambda position: (position, radius)),
        ):
            wanted = [mean_on_circle(x, voxel, OBLIQUE, place["centre"], *circle(p)) for p in curve.position]
            np.testing.assert_allclose(curve.value, wanted, rtol=1e-9)

    def test_the_radial_profile_by_a_loop_over_voxels(self):
        x = ring(cylindrical((17, 18, 19), axis=OBLIQUE), 5.0, 2.0, 12.0)
        found = fastmpr.profile(x, OBLIQUE, heights=(-4.5, 4.5))
        for position, value in list(zip(found.radial.position, found.radial.value, strict=True))[2:14]:
            assert value == pytest.approx(mean_over_voxels(x, OBLIQUE, position, 4.5), abs=0.02)


class TestTurned:
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_by_a_right_angle(self, axis):
        x, rotation = bowl(), turn(axis, 90)
        planes = (axis + 1) % 3, (axis + 2) % 3
        turned = np.rot90(x, axes=planes)
        one = fastmpr.profile(x, [(1, 0, 0), (0, 0, 1)], centre=(0.2, 0.1, -0.3))
        other = fastmpr.profile(turned, [rotation[:, 0], rotation[:, 2]], centre=rotation @ (0.2, 0.1, -0.3))
        for name in ("radial", "axial", "angular"):
            np.testing.assert_allclose(getattr(other, name).value, getattr(one, name).value, atol=1e-9)
        assert other.diameter.value == pytest.approx(one.diameter.value, abs=1e-9)

    def test_by_any_angle(self):
        first = np.cross(OBLIQUE, (1.0, 2.0, 0.0))
        shape = (34, 34, 34)
        one = fastmpr.profile(bowl(shape))
        other = fastmpr.profile(bowl(shape, axis=OBLIQUE, x=first), [OBLIQUE, first])
        for name in ("radial", "axial", "angular"):
            a, b = getattr(one, name), getattr(other, name)
            same = np.interp(a.position, b.position, b.value, left=np.nan, right=np.nan)
            assert np.nanmax(np.abs(same - a.value)) < 0.01
            assert np.isfinite(same).mean() > 0.9

    def test_the_other_way_round_it_is_upside_down(self):
        x = bowl(centre=(1.0, 0, 0))
        one, other = fastmpr.profile(x), fastmpr.profile(x, (-1, 0, 0))
        np.testing.assert_allclose(other.axial.value, one.axial.value[::-1], atol=1e-12)
        np.testing.assert_allclose(other.radial.value, one.radial.value, atol=1e-12)


class TestTheBox:
    @pytest.mark.parametrize("axis", [(1, 0, 0), OBLIQUE])
    @pytest.mark.parametrize("shape", [(9, 12, 7), (1, 8, 9), (5, 1, 1), (1, 1, 1)])
    def test_what_is_outside_counts_for_nothing(self, shape, axis):
        """A volume of one value has no other in any mean."""
        found = fastmpr.profile(np.full(shape, 3.0), axis, centre=np.multiply(shape, 0.31) / 2)
        for curve in (found.radial, found.axial, found.angular):
            np.testing.assert_allclose(curve.value[np.isfinite(curve.value)], 3.0, rtol=1e-12)
        assert np.isfinite(found.radial.value[0])
        assert math.isnan(found.diameter.value) and math.isnan(found.width.value) and math.isnan(found.height.value)
        assert (
            "nothing is brighter than the background" in found.diameter.message or "samples" in found.diameter.message
        )

    def test_planes_are_those_of_the_volume_and_circles_end_with_the_box(self):
        found = fastmpr.profile(bowl((20, 24, 26)), voxel_size=(0.3, 0.1, 0.1))
        np.testing.assert_allclose(found.axial.position, 0.3 * (np.arange(20) - 9.5))
        assert found.radial.position[-1] == pytest.approx(0.1 * 13.5, abs=0.1)

    def test_radii_and_heights_that_are_given(self):
        """A bright plug hides a ring, but not among radii without it; a slice is told of alone."""
        z, r, _ = cylinder = cylindrical((40, 36, 36))
        x = ring(cylinder, 8.0, 1.5, 10.0) + 2 * np.exp(-(r**2) / 4 - z**2 / 20) + ring((z - 14, r, 0), 5.0, 1.5, 4.0)
        assert fastmpr.profile(x).diameter.message == "no ring: the radial profile is highest on the axis"
        assert fastmpr.profile(x, radii=(5.0, 12.0)).diameter.value == pytest.approx(16.0, abs=0.1)
        assert fastmpr.profile(x, heights=(12, 16)).diameter.value == pytest.approx(10.0, abs=0.1)
        found = fastmpr.profile(x, radii=(5, 12), heights=(-3, 3))
        again = fastmpr.profile(x, radii=found.radii, heights=found.heights)
        assert found.radii == (5, 12) and found.heights == (-3, 3)
        assert again.diameter == found.diameter


class TestNothingToMeasure:
    """Where there is no such length, it is NaN, and it is said why."""

    CYLINDER = cylindrical((24, 28, 28))

    def test_a_blob_has_a_height_alone(self, caplog):
        z, r, _ = self.CYLINDER
        with caplog.at_level("INFO", "fastmpr"):
            found = fastmpr.profile(np.exp(-(r**2 + z**2) / (2 * 2.5**2)))
        assert math.isnan(found.diameter.value) and math.isnan(found.width.value)
        assert found.diameter.message == found.width.message == "no ring: the radial profile is highest on the axis"
        assert "diameter is NaN: no ring" in caplog.text and "height" not in caplog.text
        assert found.height.value == pytest.approx(FULL_WIDTH * 2.5, abs=0.02)
        assert found.radii == pytest.approx((0, FULL_WIDTH * 1.25), abs=0.02)
        assert all(map(math.isnan, found.wall))
        assert str(found.diameter) == "nan voxel (no ring: the radial profile is highest on the axis)"

    def test_a_dent_is_no_ring(self):
        """A disc, darker on the axis by less or more than a tenth."""
        z, r, _ = self.CYLINDER
        for dent, message in (
            (0.05, "no ring: inside its maximum the radial profile falls by less than 10%"),
            (0.2, ""),
        ):
            x = (1 - dent * np.exp(-(r**2) / 18)) / (1 + np.exp(3 * (r - 8))) / (1 + np.exp(3 * (abs(z) - 6)))
            found = fastmpr.profile(x)
            assert found.diameter.message == message
            assert math.isnan(found.diameter.value) == bool(message)
            assert "does not fall to half inside the ring" in found.width.message or message
            assert found.radii == pytest.approx((0, 8), abs=0.1)

    def test_a_barrel_that_goes_on_beyond_the_box(self):
        found = fastmpr.profile(ring(self.CYLINDER, 7.0, 1.5, 100.0), background=0)
        assert found.height.message == "the axial profile does not fall to half within the box"
        assert math.isnan(found.height.value) and found.heights == (-12, 12)
        assert found.diameter.value == pytest.approx(14, abs=0.05)

    def test_a_ring_that_goes_on_beyond_the_box(self):
        found = fastmpr.profile(ring(self.CYLINDER, 13.0, 3.0, 10.0), background=0)
        assert found.width.message == "the radial profile does not fall to half outside the ring"
        assert found.diameter.message == "the ring does not fall to half within the box"
        assert math.isnan(found.diameter.value) and math.isnan(found.wall[1]) and math.isfinite(found.wall[0])
        found = fastmpr.profile(ring(self.CYLINDER, 20.0, 3.0, 10.0), background=0)
        assert found.diameter.message == "no ring: the radial profile is highest at an end of the radii"

    def test_nothing_above_the_background(self):
        for x in (np.zeros((5, 6, 7)), np.full((9, 9, 9), 1e6, np.float32)):
            found = fastmpr.profile(x)
            for measure in (found.diameter, found.width, found.height):
                assert measure.message == "nothing is brighter than the background"
                assert math.isnan(measure.value)
        assert math.isnan(fastmpr.profile(-ring(self.CYLINDER, 5.0, 1.0, 9.0)).diameter.value)


class TestReplicates:
    @pytest.fixture
    def noisy(self):
        rng = np.random.default_rng(3)
        x = bowl() + 0.1 * rng.standard_normal((20, 24, 26))
        return x, x + 0.1 * rng.standard_normal((5, *x.shape))

    def test_errors_are_the_spread_of_the_replicates_own(self, noisy):
        x, replicates = noisy
        found = fastmpr.profile(x, replicates=replicates)
        own = [fastmpr.profile(one, radii=found.radii, heights=found.heights) for one in replicates]
        for name in ("radial", "axial", "angular"):
            wanted = np.std([getattr(one, name).value for one in own], axis=0, ddof=1)
            np.testing.assert_allclose(getattr(found, name).error, wanted, rtol=1e-9)
            assert (getattr(found, name).error > 0).all()
        for name in ("diameter", "width", "height"):
            wanted = np.std([getattr(one, name).value for one in own], ddof=1)
            assert getattr(found, name).error == pytest.approx(wanted, rel=1e-6)

    def test_the_volume_s_own_profiles_do_not_depend_on_them(self, noisy):
        x, replicates = noisy
        alone, found = fastmpr.profile(x), fastmpr.profile(x, replicates=list(replicates.astype(np.float32)))
        np.testing.assert_array_equal(alone.radial.value, found.radial.value)
        assert alone.diameter.value == found.diameter.value

    def test_replicates_without_a_ring_are_told(self, noisy):
        x, replicates = noisy
        flat = [np.zeros_like(x)] * 2
        found = fastmpr.profile(x, replicates=[*replicates[:3], *flat])
        assert found.diameter.message == "2 of 5 replicates have none"
        assert found.diameter.error == pytest.approx(fastmpr.profile(x, replicates=replicates[:3]).diameter.error)
        found = fastmpr.profile(x, replicates=[replicates[0], *flat])
        assert math.isnan(found.diameter.error) and math.isfinite(found.diameter.value)

    def test_the_truth_is_within_two_errors(self):
        """Of a ring in noise, with replicates of other noise about what was seen: at least in 17 of 20 runs."""
        truth = ring(cylindrical((14, 24, 24)), 6.4, 1.5, 6.0, edge=1)
        within = {"diameter": 0, "width": 0, "height": 0}
        wanted = {"diameter": 12.8, "width": np.diff(half_maxima(6.4, 1.5))[0], "height": 6.0}
        for seed in range(20):
            rng = np.random.default_rng(seed)
            x = truth + 0.3 * rng.standard_normal(truth.shape)
            found = fastmpr.profile(x, replicates=x + 0.3 * rng.standard_normal((10, *x.shape)))
            for name, value in wanted.items():
                measure = getattr(found, name)
                within[name] += abs(measure.value - value) <= 2 * measure.error
        assert min(within.values()) >= 17, within


def test_float32_and_float64_agree():
    x = bowl().astype(np.float32)
    one, other = fastmpr.profile(x), fastmpr.profile(x.astype(np.float64))
    np.testing.assert_allclose(one.radial.value, other.radial.value, rtol=1e-6)
    assert one.radial.value.dtype == np.float64
    assert one.diameter.value == pytest.approx(other.diameter.value, rel=1e-5)


def test_arguments_stay_as_they_are():
    x, replicates = bowl(), np.stack([bowl()] * 2)
    copies = x.copy(), replicates.copy()
    for array in (x, replicates):
        array.flags.writeable = False
    fastmpr.profile(x, replicates=replicates)
    assert np.array_equal(x, copies[0]) and np.array_equal(replicates, copies[1])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": np.ones((4, 5))}, r"^x: found an array of shape \(4, 5\), need a 3-D one"),
        ({"x": np.full((4, 5, 6), np.nan)}, "^x: found 120 NaN or infinite values, need finite ones"),
        ({"axis": (0, 0, 0)}, r"^axis: found \(0, 0, 0\), need a direction"),
        ({"axis": (0, 1)}, r"^axis: found shape \(2,\), need three numbers"),
        ({"axis": (0, np.inf, 1)}, "^axis: found NaN or infinite values"),
        ({"axis": [(0, 1, 0), (0, -2, 0)]}, "^axis: found two axes of one direction"),
        (
            {"centre": (0, 5, 0)},
            r"^centre: found \(0, 5, 0\), need less than 2 x 2.5 x 3 from the middle of the volume",
        ),
        ({"centre": (0, np.nan, 0)}, "^centre: found NaN"),
        ({"voxel_size": -1}, "^voxel_size: found -1, need"),
        (
            {"voxel_size": (1, 1, 1000)},
            r"^voxel_size: found \(1, 1, 1000\), need sides of which none is over 100 times",
        ),
        (
            {"replicates": np.ones((3, 4, 5, 7))},
            r"^replicates\[0\]: found shape \(4, 5, 7\), need that of x, \(4, 5, 6\)",
        ),
        ({"replicates": np.ones((1, 4, 5, 6))}, r"^replicates: found 1, need at least two volumes"),
        ({"replicates": 3}, "^replicates: found 3, need at least two volumes"),
        ({"replicates": [np.ones((4, 5, 6)), np.full((4, 5, 6), np.inf)]}, r"^replicates\[1\]: found 120 NaN or inf"),
        ({"symmetry": "auto"}, "^symmetry: found 'auto', need a group"),
        ({"symmetry": "Q3"}, "^symmetry: found 'Q3', need C or D"),
        ({"radii": (3, 1)}, r"^radii: found \(3, 1\), need two numbers \(low, high\) that increase"),
        (
            {"radii": (-1, 1)},
            r"^radii: found \(-1, 1\), need two numbers \(low, high\) that increase, the first at least 0",
        ),
        ({"radii": (50, 60)}, r"^radii: found \(50.0, 60.0\), need some within the box, from 0 to "),
        ({"heights": (7, 8)}, r"^heights: found \(7.0, 8.0\), need some within the box, from -2 to 2"),
        ({"background": np.nan}, "^background: found nan, need a finite number"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        fastmpr.profile(**({"x": np.ones((4, 5, 6))} | arguments))
    assert "\n" not in str(error.value)


class TestFile:
    def test_columns_side_by_side(self, tmp_path):
        x = bowl()
        found = fastmpr.profile(x, voxel_size=0.1, replicates=[x, x + 0.01 * np.random.default_rng(0).random(x.shape)])
        found.write(tmp_path / "profiles.csv")
        assert [path.name for path in tmp_path.iterdir()] == ["profiles.csv"]
        with open(tmp_path / "profiles.csv", encoding="utf-8", newline="") as file:
            titles, *rows = csv.reader(file)
        columns = {title: [row[k] for row in rows if row[k]] for k, title in enumerate(titles)}
        for title, name in (("radius_um", "radial"), ("height_um", "axial"), ("angle_degrees", "angular")):
            curve = getattr(found, name)
            for column, values in (
                (title, curve.position),
                (f"{name}_mean", curve.value),
                (f"{name}_error", curve.error),
            ):
                np.testing.assert_allclose(np.array(columns[column], float), values, rtol=1e-8, atol=1e-12)
        assert columns["measure"] == ["diameter", "width", "height"]
        np.testing.assert_allclose(float(columns["value_um"][0]), found.diameter.value, rtol=1e-8)
        np.testing.assert_allclose(float(columns["value_error_um"][0]), found.diameter.error, rtol=1e-8)

    def test_in_voxels_without_errors_and_without_a_ring(self, tmp_path):
        fastmpr.profile(np.exp(-(cylindrical((9, 9, 9))[1] ** 2) / 4)).write(tmp_path / "a.csv")
        titles, first, *_ = (tmp_path / "a.csv").read_text().splitlines()
        assert (
            titles == "radius_voxel,radial_mean,height_voxel,axial_mean,angle_degrees,angular_mean,measure,value_voxel"
        )
        assert first.endswith(",diameter,")

    def test_nothing_is_replaced_unasked(self, tmp_path):
        found = fastmpr.profile(bowl())
        (tmp_path / "a.csv").write_text("mine")
        with pytest.raises(FileExistsError, match="a.csv: exists already"):
            found.write(tmp_path / "a.csv")
        found.write(tmp_path / "a.csv", overwrite=True)
        assert (tmp_path / "a.csv").read_text().startswith("radius_voxel,")


def test_shown_in_one_line():
    text = repr(fastmpr.profile(bowl(), voxel_size=0.1))
    assert text.startswith("<Profiles: diameter 1.2") and text.endswith(" um>") and "\n" not in text


@pytest.mark.parametrize(
    "value, error, text",
    [
        (0.164637, 0.000192, "0.16464 ± 0.00019"),
        (1234.5, 12.3, "1234 ± 12"),
        (0.164637, None, "0.1646"),
        (0.164637, 1e-18, "0.1646 ± 1e-18"),
        (2.5, 0.0, "2.5 ± 0"),
        (2.5, math.nan, "2.5 ± nan"),
        (math.nan, math.nan, "nan ± nan"),
    ],
)
def test_lengths_are_shown_to_the_second_digit_of_their_error(value, error, text):
    assert Measure(value, error, "um").number == text
