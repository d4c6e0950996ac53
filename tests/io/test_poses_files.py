from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rotations import ANGLE, X, Y, Z, distance, turn
from scipy.spatial.transform import Rotation

from fastmpr import FastmprWarning
from fastmpr.geometry.poses import Poses


def written(path: Path, text: str) -> Path:
    path.write_text(text, newline="")
    return path


HEADER = "name,rot1,rot2,rot3,t1,t2,t3\n"
STAR = """
data_optics

loop_
_rlnOpticsGroup #1
1

data_particles

loop_
_rlnImageName #1
_rlnAngleRot #2
_rlnAngleTilt #3
_rlnAnglePsi #4
_rlnOriginXAngst #5
_rlnOriginYAngst #6
_rlnOriginZAngst #7
"""
ROW = "a 1 2 3 4 5 6\n"
TWO = STAR.replace("data_particles", "data_a") + ROW + "data_b" + STAR.split("data_particles")[1] + ROW


class TestCSV:
    def test_convention(self, tmp_path):
        """rot1 and rot3 are about z, rot2 about x, each about the axes already turned; t is (z, y, x)."""
        path = written(tmp_path / "p.csv", HEADER + "a,10,20,30,1,2,3\nb,90,0,0,0,0,0\nc,0,90,0,0,0,0\n")
        poses = Poses.read(path)
        np.testing.assert_allclose(poses.matrix[0], turn(0, 10) @ turn(2, 20) @ turn(0, 30), atol=1e-15)
        np.testing.assert_array_equal(poses.translation[0], [1, 2, 3])
        np.testing.assert_allclose(poses.matrix[1] @ Y, X, atol=1e-15)
        np.testing.assert_allclose(poses.matrix[2] @ Z, Y, atol=1e-15)
        assert poses.names == ("a", "b", "c")

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.tuples(ANGLE, ANGLE, ANGLE), min_size=1, max_size=4),
        st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    )
    def test_round_trip(self, tmp_path_factory, angles, t):
        poses = Poses(Rotation.from_euler("XZX", angles, degrees=True), np.tile(t, (len(angles), 1)))
        path = tmp_path_factory.mktemp("csv") / "p.csv"
        poses.write(path)
        back = Poses.read(path)
        assert distance(poses, back) < 1e-4
        np.testing.assert_array_equal(back.translation, poses.translation)
        assert back.names == tuple(str(i) for i in range(len(angles)))

    def test_names_survive(self, tmp_path):
        names = ['a, "b".tif', "µ/ä b.tif", "-"]
        poses = Poses(Rotation.identity(3), names=names)
        poses.write(tmp_path / "p.csv")
        assert Poses.read(tmp_path / "p.csv").names == tuple(names)

    @pytest.mark.parametrize(
        "text",
        [
            "a,1,2,3,4,5,6\nb,1,2,3,4,5,7\n",  # no header
            "name,rot1,rot2,rot3,t\na,1,2,3,4,5,6\nb,1,2,3,4,5,7\n",  # narrower than its rows
            "\ufeff" + HEADER.replace("\n", "\r\n") + "a,1,2,3,4,5,6\r\n\r\n b , 1, 2,3,4,5,7\r\n",  # from Excel
            HEADER + "a,1,2,3,4,5,6\nb,1,2,3,4,5,7",  # no end of the last line
            "Name,ROT1,Rot2,rot3,T\na,1,2,3,4,5,6\nb,1,2,3,4,5,7\n",
            "name,t1,t2,t3,rot1,rot2,rot3\na,4,5,6,1,2,3\nb,4,5,7,1,2,3\n",
            HEADER.replace(",", ";") + "a;1;2;3;4;5;6\r\n'b;c';1;2;3;4;5;7\n".replace("'b;c'", '"b"'),
            "T3,T2,T1,NAME,Rot2,Rot1,Rot3\n6,5,4,a,2,1,3\n7,5,4,b,2,1,3\n",
            ",name,score,rot1,rot2,rot3,t1,t2,t3\n0,a,x,1,2,3,4,5,6\n1,b,,1,2,3,4,5,7\n",  # an index, another column
        ],
    )
    def test_forms_that_occur(self, tmp_path, text):
        path = tmp_path / "p.csv"
        path.write_bytes(text.encode())
        poses = Poses.read(path)
        assert poses.names == ("a", "b")
        np.testing.assert_array_equal(poses.translation, [[4, 5, 6], [4, 5, 7]])
        np.testing.assert_allclose(poses.matrix[0], turn(0, 1) @ turn(2, 2) @ turn(0, 3), atol=1e-15)

    def test_empty_names_are_no_names(self, tmp_path):
        path = written(tmp_path / "p.csv", HEADER + ",1,2,3,4,5,6\n,1,2,3,4,5,7\n")
        assert Poses.read(path).names is None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "found no poses"),
            (HEADER, "found no poses"),
            (HEADER + "a,1,2,3,4,5,6\na,1,2,3,4,5,6\n", "line 3: found 'a' again after line 2"),
            (HEADER + "a,1,2,3,4,5,6\nb,1,nan,3,4,5,6\n", "line 3: found 'nan' for rot2"),
            (HEADER + "a,1,2,3,4,5,inf\n", "line 2: found 'inf' for t3"),
            (HEADER + "a,1,2,3,4,five,6\n", "line 2: found 'five' for t2"),
            (HEADER + "a,1,2,3,4,,6\n", "line 2: found '' for t2"),
            (HEADER + "a,1,2,3\n", "line 2: found 4 columns, need 7"),
            (HEADER + "a,1,2,3,4,5,6,7\n", "line 2: found 8 columns, need 7"),
            (HEADER + "a;1;2;3;4;5;6\n", "line 2: found 1 columns, need 7"),
            ((HEADER + "a,1.5,2,3,4,5,6\n").replace(",", ";").replace(".", ","), "line 2: found '1,5' for rot1"),
            ("a\t1\t2\t3\t4\t5\t6\n", "header 'a.t1.* once, and commas or semicolons"),
            (HEADER + "a,1,2,3,1e300,5,6\n", r"translation: found 1e\+300, need at most"),
            ("a,b,2,3,4,5,6\n", "line 1: found 'b' for rot1"),
            ("image,tx,ty,tz,phi,theta,psi\na,1,2,3,4,5,6\n", "header 'image,tx,ty,tz,phi,theta,psi', need each of"),
            ("name,t1,t2,t3,qx,qy,qz,qw\na,1,2,3,0,0,0,1\n", "header 'name,t1,t2,t3,qx,qy,qz,qw', need each of"),
            ("name,rot1,rot2,rot3,t1,t2,t2\na,1,2,3,4,5,6\n", "header 'name,rot1,rot2,rot3,t1,t2,t2', need each"),
            ("name,rot1,rot2,rot3\na,1,2,3,4,5,6\n", "found the header 'name,rot1,rot2,rot3', need each of"),
            ("n\u0430me,rot1,rot2,rot3,t1,t2,t3\na,1,2,3,4,5,6\n", r"found the header 'n.u0430me"),  # a Cyrillic a
            ("name,rot1,rot2,rot3,t1,t2,t3,score\na,1,2,3,4,5,6\n", "line 2: found 7 columns, need 8"),
        ],
    )
    def test_bad_files(self, tmp_path, text, message):
        path = written(tmp_path / "p.csv", text)
        with pytest.raises(ValueError, match=message) as error:
            Poses.read(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)

    def test_binary_file(self, tmp_path):
        path = tmp_path / "p.csv"
        path.write_bytes(bytes(range(256)))
        with pytest.raises(ValueError, match=r"p\.csv: found no CSV text"):
            Poses.read(path)


class TestSTAR:
    def test_convention_by_hand(self, tmp_path):
        """On paper: Rz(90) takes x to y, Ry(90) takes z to x, and RELION gives the inverse.

        Rot 90: the inverse takes y to x and x to -y. Tilt 90: the inverse takes x to z and z to -x.
        Both, Rz(90) Ry(90): its inverse takes first y to x, then x to z, hence y to z; x to -y; z to -x.
        """
        text = STAR + "a 90 0 0 10 20 30\nb 0 90 0 0 0 0\nc 90 90 0 0 0 0\nd 0 0 90 0 0 0\n"
        poses = Poses.read(written(tmp_path / "p.star", text))
        assert poses.names == ("a", "b", "c", "d")
        rot, tilt, both, psi = poses.matrix
        for matrix, (z, y, x) in (
            (rot, (Z, X, -Y)),
            (tilt, (-X, Y, Z)),
            (both, (-X, Z, -Y)),
            (psi, (Z, X, -Y)),
        ):
            np.testing.assert_allclose(matrix @ Z, z, atol=1e-15)
            np.testing.assert_allclose(matrix @ Y, y, atol=1e-15)
            np.testing.assert_allclose(matrix @ X, x, atol=1e-15)
        # 30 angstroms are 0.003 micrometres; the origin is subtracted, and given in the order x, y, z
        np.testing.assert_allclose(poses.translation[0], [-0.003, -0.002, -0.001], atol=1e-15)

    def test_against_the_published_matrix(self, tmp_path):
        """The matrix that takes (x, y, z) of the model to the image, Heymann et al. 2005, written out."""
        rng = np.random.default_rng(0)
        angles = rng.uniform(-180, 180, (20, 3))
        rows = "".join(f"p{i} {a} {b} {c} 0 0 0\n" for i, (a, b, c) in enumerate(angles))
        poses = Poses.read(written(tmp_path / "p.star", STAR + rows))
        for matrix, (a, b, g) in zip(poses.matrix, np.radians(angles), strict=True):
            ca, cb, cg, sa, sb, sg = np.cos(a), np.cos(b), np.cos(g), np.sin(a), np.sin(b), np.sin(g)
            expected = np.array(
                [
                    [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
                    [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
                    [sb * ca, sb * sa, cb],
                ]
            )
            np.testing.assert_allclose(matrix[::-1, ::-1], expected, atol=1e-12)

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.tuples(ANGLE, ANGLE, ANGLE), min_size=1, max_size=4),
        st.lists(st.floats(-10, 10), min_size=3, max_size=3),
    )
    def test_round_trip(self, tmp_path_factory, angles, t):
        t = np.tile(t, (len(angles), 1))
        poses = Poses(Rotation.from_euler("ZYZ", angles, degrees=True), t, centre="n // 2")
        path = tmp_path_factory.mktemp("star") / "p.star"
        poses.write(path)
        back = Poses.read(path)
        assert distance(poses, back) < 1e-4
        np.testing.assert_allclose(back.translation, poses.translation, atol=1e-12)
        assert back.names is None

    def test_names_survive(self, tmp_path):
        names = ("000001@stack.mrcs", "with blank.tif", "it's.tif", "#1", "_x", "data_", "two  's")
        Poses(Rotation.identity(7), names=names).write(tmp_path / "p.star", shape=7)
        assert Poses.read(tmp_path / "p.star").names == names

    def test_any_kind_of_quote_survives(self, tmp_path):
        names = ("a' b", 'a" b', "'a'", '"a"', "a'b\" c", "\u00a0a")
        Poses(Rotation.identity(6), names=names).write(tmp_path / "p.star", shape=7)
        assert Poses.read(tmp_path / "p.star").names == names

    def test_only_angles_in_an_only_table(self, tmp_path):
        text = "data_\nloop_ # older files name no block\n_rlnAnglePsi\n_rlnAngleRot\n_rlnAngleTilt\n5 0 0\n\n"
        poses = Poses.read(written(tmp_path / "p.star", text))
        np.testing.assert_allclose(poses.matrix[0], turn(0, 5), atol=1e-15)
        np.testing.assert_array_equal(poses.translation, 0)
        assert poses.names is None

    def test_names_that_look_like_keywords(self, tmp_path):
        text = STAR + "data_a.mrc 90 0 0 0 0 0\nloop_b.mrc 0 0 0 10 20 30\n"
        poses = Poses.read(written(tmp_path / "p.star", text))
        assert poses.names == ("data_a.mrc", "loop_b.mrc")
        np.testing.assert_allclose(poses.matrix[0] @ Y, X, atol=1e-15)
        np.testing.assert_allclose(poses.translation[1], [-0.003, -0.002, -0.001], atol=1e-15)

    def test_one_particle_without_a_loop(self, tmp_path):
        columns = ("rlnImageName a", "rlnAngleRot 90", "rlnAngleTilt 0", "rlnAnglePsi 0", "rlnOriginXAngst 10")
        pairs = "".join(f"_{column}\n" for column in columns)
        for text in (f"data_particles\n{pairs}", f"data_general\n_rlnTomoSubTomosAre2DStacks 0\n\ndata_\n{pairs}"):
            poses = Poses.read(written(tmp_path / "p.star", text))
            assert poses.names == ("a",)
            np.testing.assert_allclose(poses.matrix[0] @ Y, X, atol=1e-15)
            np.testing.assert_allclose(poses.translation, [[0, 0, -0.001]], atol=1e-15)

    def test_the_angles_of_a_subtomogram(self, tmp_path):
        """RELION cuts its boxes along the axes turned by them: the particle lies in its box as its own angles say."""
        labels = "".join(f"_rlnTomoSubtomogram{name}\n" for name in ("Rot", "Tilt", "Psi"))
        plain = Poses.read(written(tmp_path / "plain.star", STAR + "a 10 20 30 40 50 60\n"))
        zero = Poses.read(written(tmp_path / "zero.star", STAR + labels + "a 10 20 30 40 50 60 0 0.0 0\n"))
        text = STAR + labels + "a 10 20 30 40 50 60 0 70 0\n"
        with pytest.warns(FastmprWarning, match=r"p\.star: found _rlnTomoSubtomogramTilt that are not zero") as caught:
            turned = Poses.read(written(tmp_path / "p.star", text))
        assert caught[0].filename == __file__
        for poses in (zero, turned):
            np.testing.assert_array_equal(poses.matrix, plain.matrix)
            np.testing.assert_array_equal(poses.translation, plain.translation)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (STAR + "a 1 2 3 4 5 6\n\nloop_\n_rlnX\n1\n", r"line \d+: found a second table in data_particles"),
            (STAR + "a 1 2 3 4 5 6\n\ndata_particles\nloop_\n_rlnX\n1\n", "found a second table in data_particles"),
            (STAR + "a 1 2 3 4 5 6\n_rlnX 3\n", "found the label _rlnX behind rows"),
            (
                "data_particles\n_rlnAngleRot\n90\n",
                "line 2: found '_rlnAngleRot' outside a loop_, need a label and its",
            ),
            ("data_particles\na 1 2 3\n" + STAR, "line 2: found 'a 1 2 3' outside a loop_"),
            (STAR + "data_x.mrc 1 2 3 4 5\n", r"line \d+: found 6 columns, need 7"),
            (TWO, "no table of particles .loops: data_optics, data_a, data_b"),
            ("", "found no table of particles .loops: none"),
            (STAR.split("data_particles")[0] + "data_x\nloop_\n_a\n1\n", "loops: data_optics, data_x"),
            (STAR, "empty table"),
            (STAR + "a 1 2 3 4 5\n", r"line \d+: found 6 columns, need 7"),
            (STAR + "a 1 2 3 4 5 6\nb 1 2 nan 4 5 6\n", "found 'nan' for _rlnAnglePsi in row 2"),
            (STAR + "a 1 2 3 4 x 6\n", "found 'x' for _rlnOriginYAngst in row 1"),
            (STAR + "a 1 2 3 4 5 6\na 1 2 3 4 5 6\n", "found 'a' twice"),
            (STAR.replace("Tilt", "Tlt") + "a 1 2 3 4 5 6\n", "found no column _rlnAngleTilt"),
            (STAR.replace("Angst", "") + "a 1 2 3 4 5 6\n", "origins in pixels"),
        ],
    )
    def test_bad_files(self, tmp_path, text, message):
        path = written(tmp_path / "p.star", text)
        with pytest.raises(ValueError, match=message) as error:
            Poses.read(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


class TestCentres:
    """A box of n voxels is turned about n // 2 in a .star, about (n - 1) / 2 in a .csv."""

    voxel = (0.3, 0.1, 0.2)
    random = Poses.random(5, max_translation=2.0, rng=0)
    poses = Poses(random.rotation, random.translation, names=list("abcde"), unit="voxel")

    @pytest.mark.parametrize("shape", [(32, 32, 32), (31, 31, 31), (12, 15, 16)])
    def test_the_point_that_is_turned_about_stays(self, tmp_path, shape):
        """With no translation, what lies in voxel n // 2 stays there, whatever the rotation."""
        path = written(tmp_path / "p.star", STAR + "a 10 20 30 0 0 0\nb 0 0 180 0 0 0\nc 70 80 10 0 0 0\n")
        poses = Poses.read(path).about_middle(shape, self.voxel)
        p = (np.array(shape) // 2 - (np.array(shape) - 1) / 2) * self.voxel
        np.testing.assert_allclose(poses.matrix @ p + poses.translation, np.tile(p, (3, 1)), atol=1e-15)
        assert poses.centre == "(n - 1) / 2"
        assert poses.about_middle(shape, self.voxel) is poses

    def test_lengths_and_voxels_move_alike(self):
        """Rotations turn lengths, whatever the translations are counted in."""
        in_voxels = Poses(self.random.rotation, self.random.translation, unit="voxel", centre="n // 2")
        lengths = self.random.translation * self.voxel
        for unit, factor in (("um", 1.0), ("nm", 1e3), ("A", 1e4)):
            poses = Poses(self.random.rotation, factor * lengths, unit=unit, centre="n // 2")
            moved, expected = (p.about_middle((12, 15, 16), self.voxel) for p in (poses, in_voxels))
            np.testing.assert_allclose(moved.translation, expected.translation, atol=1e-12)
        with pytest.raises(ValueError, match="voxel_size: found none"):
            poses.about_middle((12, 15, 16))

    @pytest.mark.parametrize("shape", [(32, 32, 32), (31, 31, 31), (12, 15, 16)])
    def test_there_and_back(self, tmp_path, shape):
        self.poses.write(tmp_path / "p.star", shape=shape, voxel_size=self.voxel)
        star = Poses.read(tmp_path / "p.star")
        assert (star.unit, star.centre, star.names) == ("um", "n // 2", self.poses.names)
        expected = self.poses.in_unit_of(self.voxel)
        np.testing.assert_allclose(star.about_middle(shape, self.voxel).translation, expected.translation, atol=1e-12)
        star.write(tmp_path / "p.csv", shape=shape, voxel_size=self.voxel)
        csv = Poses.read(tmp_path / "p.csv")
        assert (csv.unit, csv.centre) == ("voxel", "(n - 1) / 2")
        np.testing.assert_allclose(csv.translation, self.poses.translation, atol=1e-10)
        assert distance(csv, self.poses) < 1e-6

    def test_even_boxes_move_by_half_a_voxel(self, tmp_path):
        """On paper: half a turn about z takes the middle of voxel n // 2 from half a voxel behind to half a voxel before."""
        poses = Poses(turn(0, 180), unit="voxel")
        poses.write(tmp_path / "even.star", shape=(5, 8, 6), voxel_size=self.voxel)
        np.testing.assert_allclose(Poses.read(tmp_path / "even.star").translation, [[0, -0.1, -0.2]], atol=1e-15)
        poses.write(tmp_path / "odd.star", shape=7, voxel_size=self.voxel)
        np.testing.assert_allclose(Poses.read(tmp_path / "odd.star").translation, [[0, 0, 0]], atol=1e-15)

    def test_what_was_read_is_written_unchanged(self, tmp_path):
        text = STAR + "a 10 20 30 40 50 60\nb 5 6 7 -8 9 10\n"
        star = Poses.read(written(tmp_path / "p.star", text))
        star.write(tmp_path / "again.star")
        again = Poses.read(tmp_path / "again.star")
        np.testing.assert_allclose(again.translation, star.translation, atol=1e-15)
        assert distance(again, star) < 1e-6
        self.poses.write(tmp_path / "p.csv")
        np.testing.assert_array_equal(Poses.read(tmp_path / "p.csv").translation, self.poses.translation)

    def test_what_is_needed_is_asked_for(self, tmp_path):
        star = Poses.read(written(tmp_path / "p.star", STAR + "a 10 20 30 40 50 60\n"))
        lengths = self.poses.in_unit_of(self.voxel)
        for poses, name, options, message in (
            (self.poses, "x.star", {}, "translations in voxel, need them in um for this format, or voxel_size="),
            (lengths, "x.star", {}, r"about \(n - 1\) / 2 of a box .* keeps n // 2, need shape="),
            (lengths, "x.star", {"shape": 8}, "need voxel_size= in micrometres to move them by half a voxel"),
            (star, "x.csv", {"shape": 8}, "translations in um, need them in voxel for this format, or voxel_size="),
            (Poses(np.eye(3), centre="n // 2"), "x.csv", {"shape": 8}, "need voxel_size= in micrometres to move them"),
            (star, "x.csv", {"voxel_size": 0.1}, r"about n // 2 of a box .* keeps \(n - 1\) / 2, need shape="),
        ):
            with pytest.raises(ValueError, match=message) as error:
                poses.write(tmp_path / name, **options)
            assert str(error.value).startswith(str(tmp_path / name))
            assert not (tmp_path / name).exists()
        lengths.write(tmp_path / "odd.star", shape=(7, 7, 7))  # nothing moves, so no voxel size is needed
        with pytest.raises(ValueError, match="^shape: found"):
            lengths.write(tmp_path / "x.star", shape=0, voxel_size=1)
        with pytest.raises(ValueError, match="^voxel_size: found"):
            lengths.write(tmp_path / "x.star", shape=7, voxel_size=-1)


class TestFiles:
    poses = Poses.random(2, rng=0)

    @pytest.mark.parametrize("name", ["p.txt", "p"])
    def test_unknown_suffix(self, tmp_path, name):
        with pytest.raises(ValueError, match="need .poses.csv or .csv or .star"):
            Poses.read(tmp_path / name)
        with pytest.raises(ValueError, match="need .poses.csv or .csv or .star"):
            self.poses.write(tmp_path / name)

    @pytest.mark.parametrize(
        ("suffix", "name"),
        [
            *[(".star", name) for name in ("a\nb", "a\r", "\x85", "a\u2028b", "a' b\" c", "\udcff")],
            *[(".csv", name) for name in (" a", "a\n", "\t", "\udcff")],
        ],
    )
    def test_a_name_that_would_not_be_found_again_is_refused(self, tmp_path, suffix, name):
        poses = Poses(Rotation.identity(2), names=["a", name])
        with pytest.raises(ValueError, match="^names: found .*, need names") as error:
            poses.write(tmp_path / f"p{suffix}", shape=7)
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["p.csv", "p.star", "P.CSV"])
    def test_no_overwriting_unasked(self, tmp_path, name):
        path = written(tmp_path / name, "mine")
        with pytest.raises(FileExistsError, match="exists already"):
            self.poses.write(path, shape=7)
        assert path.read_text() == "mine"
        self.poses.write(path, overwrite=True, shape=7)
        assert distance(Poses.read(path), self.poses) < 1e-4
        assert list(tmp_path.iterdir()) == [path]

    def test_missing_file_or_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"p\.csv"):
            Poses.read(tmp_path / "p.csv")
        with pytest.raises(FileNotFoundError, match="nowhere, need an existing one"):
            self.poses.write(tmp_path / "nowhere" / "p.csv")


def with_angles(path, angles):
    """A file of poses with these angles as they are."""
    if path.suffix == ".csv":
        return written(path, HEADER + "".join(f"{i},{a},{b},{c},0,0,0\n" for i, (a, b, c) in enumerate(angles)))
    return written(path, STAR + "".join(f"{i} {a} {b} {c} 0 0 0\n" for i, (a, b, c) in enumerate(angles)))


@pytest.mark.parametrize("n", [3, 4, 12, 100])
@pytest.mark.parametrize(("name", "sequence"), [("p.csv", "XZX"), ("p.star", "ZYZ")])
def test_angles_in_radians_are_suspected(tmp_path, name, sequence, n):
    """As other programs give them, the first and the last from -pi to pi or from 0 to 2 pi."""
    radians = Poses.random(n, rng=0).rotation.as_euler(sequence)
    for angles in (radians, np.where(radians < 0, radians + 2 * np.pi, radians)):
        with pytest.warns(FastmprWarning, match=rf"{name}: found {n} poses with angles up to .* look like radians"):
            Poses.read(with_angles(tmp_path / name, angles))


@pytest.mark.parametrize(("name", "sequence"), [("p.csv", "XZX"), ("p.star", "ZYZ")])
def test_small_turns_in_degrees_are_no_radians(tmp_path, name, sequence):
    """Refined about the identity, as rotations or as angles; the identity itself; about one axis; degrees at random."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        small = Rotation.from_rotvec(np.radians(rng.normal(0, 2, (12, 3))))
        one_axis = np.zeros((12, 3))
        one_axis[:, seed % 3] = rng.uniform(0, 3, 12)
        given = [small.as_euler(sequence, degrees=True), rng.normal(0, 2, (12, 3)), one_axis, np.zeros((12, 3))]
        given.append(Poses.random(3, rng=seed).rotation.as_euler(sequence, degrees=True))
        for angles in given:
            Poses.read(with_angles(tmp_path / name, angles))  # any warning is an error here


def test_two_origins_of_three_are_said(tmp_path):
    two = STAR.replace("_rlnOriginZAngst #7\n", "")
    with pytest.warns(
        FastmprWarning, match="_rlnOriginXAngst and _rlnOriginYAngst and no _rlnOriginZAngst, .* taken as 0"
    ):
        poses = Poses.read(written(tmp_path / "p.star", two + "a 1 2 3 4 5\n"))
    np.testing.assert_allclose(poses.translation, [[0, -0.0005, -0.0004]], atol=1e-15)
    none = two.replace("_rlnOriginXAngst #5\n_rlnOriginYAngst #6\n", "")
    assert not Poses.read(written(tmp_path / "p.star", none + "a 1 2 3\n")).translation.any()


OPTICS = "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnImagePixelSize #2\n_rlnImageSize #3\n"


def test_boxes_are_those_of_the_optics_of_each_particle(tmp_path):
    particles = STAR[STAR.index("data_particles") :] + "_rlnOpticsGroup #8\n"
    rows = "a 1 2 3 4 5 6 2\nb 1 2 3 4 5 6 1\nc 1 2 3 4 5 6 2\n"
    poses = Poses.read(written(tmp_path / "p.star", f"{OPTICS}1 1000 28\n2 500 56\n\n{particles}{rows}"))
    np.testing.assert_allclose(poses.boxes, [[0.05, 56], [0.1, 28], [0.05, 56]])
    np.testing.assert_allclose(poses.matched(["b", "a"]).boxes, [[0.1, 28], [0.05, 56]])
    assert not poses.boxes.flags.writeable
    alone = Poses.read(
        written(tmp_path / "p.star", f"{OPTICS}1 1000 28\n\n{STAR[STAR.index('data_particles') :]}{ROW}")
    )
    np.testing.assert_allclose(alone.boxes, [[0.1, 28]])
    for text in (STAR + ROW, f"{OPTICS}1 1000 28\n\n{particles}a 1 2 3 4 5 6 7\n"):  # which says nothing, or of another
        assert Poses.read(written(tmp_path / "p.star", text)).boxes is None
    assert np.isnan(
        Poses.read(written(tmp_path / "p.star", f"{OPTICS}1 x 28\n\n{particles}a 1 2 3 4 5 6 1\n")).boxes[0, 0]
    )


def test_the_two_fold_axis_is_relions_or_what_a_file_of_ours_says(tmp_path):
    assert Poses.read(written(tmp_path / "p.star", STAR + ROW)).two_fold == "x"
    for two_fold in "xy":
        poses = Poses(Rotation.identity(2), names=["a", "b"], two_fold=two_fold)
        poses.write(tmp_path / f"{two_fold}.star", shape=7)
        assert Poses.read(tmp_path / f"{two_fold}.star").two_fold == two_fold
        assert poses[1:].two_fold == poses.matched(["b"]).two_fold == two_fold
        assert poses.about_middle((8, 8, 8), 0.1).two_fold == poses.symmetrized("D3").two_fold == two_fold
    assert "two-fold" not in (tmp_path / "x.star").read_text()
    Poses(Rotation.identity(2), two_fold="x").write(tmp_path / "p.csv")
    assert Poses.read(tmp_path / "p.csv").two_fold == "y"


@pytest.mark.parametrize("axis", "XYZ")
def test_origins_in_pixels_along_any_axis_are_refused(tmp_path, axis):
    columns = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", f"rlnOrigin{axis}"]
    head = "\n".join(f"_{column} #{k}" for k, column in enumerate(columns, 1))
    (tmp_path / "poses.star").write_text(f"data_particles\n\nloop_\n{head}\n0 0 0 1\n0 0 0 2\n")
    with pytest.raises(ValueError, match=f"found origins in pixels .*Origin{axis}"):
        Poses.read(tmp_path / "poses.star")


def test_angles_are_kept_as_they_stand_in_the_file(tmp_path):
    """Those of another convention cannot be made of rotations again."""
    angles = np.random.default_rng(0).uniform(-400, 400, (4, 3))
    rows = [f"{name},{','.join(map(str, row))},0,0,0" for name, row in zip("dbca", angles, strict=True)]
    (tmp_path / "poses.csv").write_text("\n".join(rows))
    poses = Poses.read(tmp_path / "poses.csv")
    np.testing.assert_allclose(poses.angles, angles, rtol=1e-12)
    np.testing.assert_allclose(poses.matched(list("abcd")).angles, angles[[3, 1, 2, 0]], rtol=1e-12)
    np.testing.assert_allclose(poses[1:3].angles, angles[1:3], rtol=1e-12)
    assert not poses.angles.flags.writeable
    assert poses.symmetrized("C2").angles is None
    assert Poses(poses.rotation).angles is None


def test_angles_of_a_star_file(tmp_path):
    Poses.random(3, rng=0).write(tmp_path / "poses.star", shape=9)
    poses = Poses.read(tmp_path / "poses.star")
    rows = [line.split() for line in (tmp_path / "poses.star").read_text().splitlines() if line.count(".") > 5]
    np.testing.assert_allclose(poses.angles, np.array(rows, float)[:, :3])
