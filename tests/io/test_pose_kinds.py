"""Poses in the formats of other programs and versions, and in one that says what it means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fastmpr import Poses
from fastmpr.io.conventions import euler_angles

N = 40
ANGLES = "_rlnAngleRot\n_rlnAngleTilt\n_rlnAnglePsi\n"
PIXELS = "_rlnOriginX\n_rlnOriginY\n_rlnOriginZ\n"


def apart(a: Poses, b: Poses) -> float:
    """The largest difference of two rotation matrices."""
    return float(np.abs(a.matrix - b.matrix).max())


def near_the_poles() -> Rotation:
    """Turns at random, and turns that are nearly about the first axis of Euler angles, or the reverse of it."""
    rng = np.random.default_rng(0)
    second = np.r_[0, 180, 10.0 ** -np.arange(1, 15), 180 - 10.0 ** -np.arange(1, 15)]
    poles = np.column_stack([rng.uniform(-180, 180, len(second)), second, rng.uniform(-180, 180, len(second))])
    turned = [Rotation.from_euler(sequence, poles, degrees=True) for sequence in ("XZX", "ZYZ")]
    return Rotation.concatenate([Rotation.random(N, random_state=0), Rotation.identity(1), *turned])


@pytest.mark.parametrize("sequence", ["XZX", "ZYZ"])
def test_euler_angles_are_exact_at_the_poles(sequence):
    """scipy takes a second angle below 1e-7 for zero."""
    rotation = near_the_poles()
    angles = euler_angles(rotation, sequence)
    back = Rotation.from_euler(sequence, angles, degrees=True)
    assert np.abs(back.as_matrix() - rotation.as_matrix()).max() < 1e-14
    assert np.abs(angles[:, ::2]).max() <= 180
    assert 0 <= angles[:, 1].min() <= angles[:, 1].max() <= 180


@pytest.mark.parametrize("chain", [("csv", "star", "poses.csv"), ("poses.csv", "csv", "star"), ("star", "star", "csv")])
def test_through_every_format_and_back(tmp_path, chain):
    rotation, voxel = near_the_poles(), (0.2, 0.08, 0.08)
    shift = np.random.default_rng(1).uniform(-5, 5, (len(rotation), 3))
    first = poses = Poses(rotation, shift, names=[f"a/{i} b.tif" for i in range(len(rotation))], unit="voxel")
    for k, suffix in enumerate((*chain, "csv")):
        path = tmp_path / f"{k}.{suffix}"
        poses.write(path, shape=(35, 70, 71), voxel_size=voxel)
        poses = Poses.read(path)
    assert poses.names == first.names
    assert apart(poses, first) < 1e-9
    np.testing.assert_allclose(poses.translation, first.translation, rtol=0, atol=1e-9)


class TestOwn:
    @pytest.mark.parametrize("unit", ["voxel", "um", "nm", "A", None])
    @pytest.mark.parametrize("centre", ["(n - 1) / 2", "n // 2"])
    @pytest.mark.parametrize("names", [("a", "b, c"), None])
    def test_all_is_kept(self, tmp_path, unit, centre, names):
        rotation = Rotation.random(2, random_state=3)
        poses = Poses(rotation, [[1, 2, 3], [0.1, 1e-7, -4]], names=names, unit=unit, centre=centre, two_fold="x")
        poses.write(tmp_path / "p.poses.csv")
        (tmp_path / "p.poses.csv").rename(tmp_path / "other.csv")  # the content tells
        back = Poses.read(tmp_path / "other.csv")
        assert (back.unit, back.centre, back.two_fold, back.names) == (unit, centre, "x", names)
        np.testing.assert_array_equal(back.translation, poses.translation)
        assert apart(back, poses) < 1e-15

    def test_the_convention_by_hand(self, tmp_path):
        """A quarter turn about z takes x to y."""
        half = np.sqrt(0.5)
        text = f"# fastmpr poses; unit: nm; centre: n // 2\nname,qx,qy,qz,qw,x,y,z\na,0,0,{half},{half},1,2,3\n"
        for changed in (text, "\ufeff" + text.replace("\n", "\r\n"), text.replace(",", ";")):
            (tmp_path / "p.csv").write_bytes(changed.encode())
            poses = Poses.read(tmp_path / "p.csv")
            np.testing.assert_allclose(poses.matrix[0] @ [0, 0, 1], [0, 1, 0], atol=1e-12)
            np.testing.assert_array_equal(poses.translation, [[3, 2, 1]])
            assert (poses.unit, poses.centre, poses.two_fold) == ("nm", "n // 2", "y")

    @pytest.mark.parametrize("header", ["name,rot1,rot2,rot3,t1,t2,t3\n", ""])
    def test_spfluos_content_under_our_suffix(self, tmp_path, header):
        for name in ("p.csv", "p.poses.csv"):
            (tmp_path / name).write_text(f"{header}a,10,20,30,1,2,3\n", encoding="utf-8-sig")
        ours, plain = (Poses.read(tmp_path / name) for name in ("p.poses.csv", "p.csv"))
        assert (ours.unit, ours.centre, ours.names) == ("voxel", plain.centre, ("a",))
        np.testing.assert_array_equal(ours.translation, [[1, 2, 3]])
        assert apart(ours, plain) == 0

    @pytest.mark.parametrize("voxel_size", [None, 0.02, (0.3, 0.1, 0.1)])
    def test_a_star_file_keeps_a_voxel_size_that_relion_has_a_place_for(self, tmp_path, voxel_size):
        poses = Poses(Rotation.identity(2), [[1, 2, 3], [0, 0, 0]], names=["a", "b"], unit="um", centre="n // 2")
        poses.write(tmp_path / "p.star", voxel_size=voxel_size)
        back = Poses.read(tmp_path / "p.star")
        np.testing.assert_allclose(back.translation, poses.translation, atol=1e-12)
        if voxel_size == 0.02:
            assert "_rlnImagePixelSize #3\nopticsGroup1 1 200\n" in (tmp_path / "p.star").read_text()
            np.testing.assert_allclose(back.boxes[:, 0], 0.02)
        else:
            assert back.boxes is None

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("unit: um; ", "", "line 1: found .*, need '# fastmpr poses; unit: ...'"),
            ("unit: um", "unit: inch", "line 1: found .*, need '# fastmpr poses; unit"),
            ("(n - 1) / 2", "corner", "need '# fastmpr poses; centre"),
            ("# fastmpr poses", "# poses", "need"),
            ("qw", "q", "found the header"),
            ("0.0,1.0,", "0.0,2.0,", "found a quaternion of length 2 in pose 0"),
            ("0.0,1.0,", "0.0,nan,", "line 3: found 'nan' for qw"),
            ("0.0,1.0,", "1.0,", "line 3: found 7 columns, need 8"),
            ("b,", "a,", "line 4: found 'a' again after line 3"),
        ],
    )
    def test_bad_files(self, tmp_path, old, new, message):
        Poses(Rotation.identity(2), names=["a", "b"], unit="um").write(path := tmp_path / "p.poses.csv")
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=message) as error:
            Poses.read(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


class TestOldSTAR:
    expected = (-30e-4, -20e-4, -10e-4)  # of origins (5, 10, 15) pixels of 2 angstroms

    @pytest.mark.parametrize(
        ("before", "columns", "values"),
        [
            ("", "_rlnDetectorPixelSize\n_rlnMagnification\n", "14 70000"),  # RELION 3.0: 14 um over 70,000
            ("data_optics\nloop_\n_rlnOpticsGroup\n_rlnImagePixelSize\n1 2.0\n\n", "_rlnOpticsGroup\n", "1"),
            ("", "_rlnImagePixelSize\n", "2"),
        ],
    )
    def test_origins_in_pixels(self, tmp_path, before, columns, values):
        text = f"{before}data_particles\nloop_\n{ANGLES}{PIXELS}{columns}0 0 0 5 10 15 {values}\n"
        (tmp_path / "p.star").write_bytes(("\ufeff" + text).replace("\n", "\r\n").encode())
        poses = Poses.read(tmp_path / "p.star")
        np.testing.assert_allclose(poses.translation, [np.array(self.expected)], rtol=1e-12)

    def test_zeros_need_no_pixel(self, tmp_path):
        (tmp_path / "p.star").write_text(f"data_\nloop_\n{ANGLES}{PIXELS}0 0 0 0 0 0\n")
        assert not Poses.read(tmp_path / "p.star").translation.any()

    @pytest.mark.parametrize("values", ["14 0", "0 70000", "-14 70000", "nan 1"])
    def test_a_pixel_that_is_none_is_refused(self, tmp_path, values):
        columns = "_rlnDetectorPixelSize\n_rlnMagnification\n"
        (tmp_path / "p.star").write_text(f"data_\nloop_\n{ANGLES}{PIXELS}{columns}0 0 0 1 1 1 {values}\n")
        with pytest.raises(ValueError, match=r"p\.star: found"):
            Poses.read(tmp_path / "p.star")

    def test_names_of_tomograms(self, tmp_path):
        columns = "_rlnTomoParticleName\n_rlnCenteredCoordinateXAngst\n"
        (tmp_path / "p.star").write_text(f"data_particles\nloop_\n{ANGLES}{columns}0 0 0 TS_01/1 140\n")
        poses = Poses.read(tmp_path / "p.star")
        assert poses.names == ("TS_01/1",)
        assert not poses.translation.any()  # the coordinates are where the box was cut


def test_another_reader_finds_the_same_star(tmp_path):
    starfile = pytest.importorskip(
        "starfile", reason="needs starfile, whose 200 MB of pyarrow are not installed for tests"
    )
    Poses.random(4, max_translation=1, rng=0).write(tmp_path / "p.star", shape=7)
    tables = starfile.read(tmp_path / "p.star")
    assert set(tables) == {"optics", "particles"}
    ours = Poses.read(tmp_path / "p.star")
    np.testing.assert_array_equal(tables["particles"][["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]], ours.angles)
    np.testing.assert_allclose(-1e-4 * tables["particles"]["rlnOriginZAngst"], ours.translation[:, 0], rtol=1e-12)
