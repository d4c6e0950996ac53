from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rotations import ANGLE, X, Y, Z, distance, turn
from scipy.spatial.transform import Rotation

from fastmpr.poses import Poses


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
            ("a,b,2,3,4,5,6\n", "line 1: found 'b' for rot1"),
            ("name,t1,t2,t3,rot1,rot2,rot3\na,1,2,3,4,5,6\n", "found the header name,t1"),
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
        with pytest.raises(ValueError, match=r"p\.csv: found no text"):
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
        poses = Poses(Rotation.from_euler("ZYZ", angles, degrees=True), np.tile(t, (len(angles), 1)))
        path = tmp_path_factory.mktemp("star") / "p.star"
        poses.write(path)
        back = Poses.read(path)
        assert distance(poses, back) < 1e-4
        np.testing.assert_allclose(back.translation, poses.translation, atol=1e-12)
        assert back.names is None

    def test_names_survive(self, tmp_path):
        names = ("000001@stack.mrcs", "with blank.tif", "it's.tif", "#1", "_x", "data_", "two  's")
        Poses(Rotation.identity(7), names=names).write(tmp_path / "p.star")
        assert Poses.read(tmp_path / "p.star").names == names

    def test_only_angles_in_an_only_table(self, tmp_path):
        text = "data_\nloop_ # older files name no block\n_rlnAnglePsi\n_rlnAngleRot\n_rlnAngleTilt\n5 0 0\n\n"
        poses = Poses.read(written(tmp_path / "p.star", text))
        np.testing.assert_allclose(poses.matrix[0], turn(0, 5), atol=1e-15)
        np.testing.assert_array_equal(poses.translation, 0)
        assert poses.names is None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
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


class TestFiles:
    poses = Poses.random(2, rng=0)

    @pytest.mark.parametrize("name", ["p.txt", "p"])
    def test_unknown_suffix(self, tmp_path, name):
        with pytest.raises(ValueError, match="need .csv or .star"):
            Poses.read(tmp_path / name)
        with pytest.raises(ValueError, match="need .csv or .star"):
            self.poses.write(tmp_path / name)

    @pytest.mark.parametrize("name", ["p.csv", "p.star", "P.CSV"])
    def test_no_overwriting_unasked(self, tmp_path, name):
        path = written(tmp_path / name, "mine")
        with pytest.raises(FileExistsError, match="exists already"):
            self.poses.write(path)
        assert path.read_text() == "mine"
        self.poses.write(path, overwrite=True)
        assert distance(Poses.read(path), self.poses) < 1e-4
        assert list(tmp_path.iterdir()) == [path]

    def test_missing_file_or_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"p\.csv"):
            Poses.read(tmp_path / "p.csv")
        with pytest.raises(FileNotFoundError, match="nowhere, need an existing one"):
            self.poses.write(tmp_path / "nowhere" / "p.csv")
