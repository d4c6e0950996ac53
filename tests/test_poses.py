from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fastmpr.poses import Poses

Z, Y, X = np.eye(3)  # unit vectors of (z, y, x)
ANGLE = st.one_of(st.floats(-360, 360), st.sampled_from([0.0, 90.0, 180.0, -90.0, 1e-6]))


def turn(axis: int, degrees: float) -> np.ndarray:
    """The matrix that turns the next axis towards the one after it, written out."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.zeros((3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[axis, axis] = 1
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def distance(a: Poses, b: Poses) -> float:
    """The largest angle in degrees between rotations of the same place."""
    return float(np.degrees((a.rotation * b.rotation.inv()).magnitude()).max())


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


class TestPoses:
    def test_holds_what_it_is_given(self):
        matrices = np.stack([turn(0, 30), turn(1, 40) @ turn(2, 50)])
        poses = Poses(matrices, [[1, 2, 3], [4, 5, 6]], ["a", "b"])
        np.testing.assert_allclose(poses.matrix, matrices, atol=1e-15)
        np.testing.assert_allclose(poses.rotation.as_matrix(), matrices, atol=1e-15)
        np.testing.assert_array_equal(poses.translation, [[1, 2, 3], [4, 5, 6]])
        assert poses.matrix.dtype == poses.translation.dtype == np.float64
        assert poses.names == ("a", "b")
        assert len(poses) == 2

    def test_defaults(self):
        poses = Poses(Rotation.identity(3))
        np.testing.assert_array_equal(poses.translation, np.zeros((3, 3)))
        assert poses.names is None

    def test_one_rotation_is_a_pose(self):
        for rotation in (Rotation.from_matrix(turn(0, 20)), turn(0, 20)):
            poses = Poses(rotation, [1, 2, 3])
            assert len(poses) == 1
            assert poses.translation.shape == (1, 3)

    def test_indexing(self):
        poses = Poses.random(5, max_translation=1, rng=0)
        poses = Poses(poses.rotation, poses.translation, list("abcde"))
        for index, places in (
            (1, [1]),
            (np.int64(-1), [4]),
            (slice(1, 4), [1, 2, 3]),
            ([3, 0], [3, 0]),
            (np.array([True, False, False, True, False]), [0, 3]),
        ):
            chosen = poses[index]
            np.testing.assert_array_equal(chosen.translation, poses.translation[places])
            np.testing.assert_allclose(chosen.matrix, poses.matrix[places], atol=1e-15)
            assert chosen.names == tuple("abcde"[i] for i in places)
        with pytest.raises(IndexError, match="index 5"):
            poses[5]

    def test_iteration_gives_one_at_a_time(self):
        poses = Poses.random(3, max_translation=1, rng=0)
        ones = list(poses)
        assert [len(one) for one in ones] == [1, 1, 1]
        np.testing.assert_array_equal(np.concatenate([one.translation for one in ones]), poses.translation)

    def test_nothing_changes_it(self):
        matrices, translation = np.stack([np.eye(3)] * 2), np.zeros((2, 3))
        rotation = Rotation.from_matrix(matrices)
        poses = Poses(rotation, translation)
        translation[0] = 7
        rotation[0] = Rotation.from_matrix(turn(0, 90))
        poses.rotation[0] = Rotation.from_matrix(turn(0, 90))
        np.testing.assert_array_equal(poses.translation, 0)
        np.testing.assert_array_equal(poses.rotation.as_matrix(), matrices)
        with pytest.raises(ValueError, match="read-only"):
            poses.translation[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            poses.matrix[0] = 1
        with pytest.raises(AttributeError):
            poses.names = ("a", "b")

    @pytest.mark.parametrize(
        ("rotation", "message"),
        [
            (2 * np.eye(3), "matrix 0 off"),
            (np.stack([np.eye(3), np.eye(3) + 1e-3]), "matrix 1 off"),
            (np.stack([np.eye(3), np.diag([1, 1, -1])]), "reflection.* matrix 1"),
            (np.full((1, 3, 3), np.nan), "NaN"),
            (np.zeros((0, 3, 3)), r"\(0, 3, 3\)"),
            (np.zeros((2, 4)), r"\(2, 4\)"),
            (Rotation.from_euler("XZX", [[np.nan, 0, 0]]), "NaN"),
        ],
    )
    def test_what_is_no_rotation_is_refused(self, rotation, message):
        with pytest.raises(ValueError, match=f"^rotation: .*{message}"):
            Poses(rotation)

    def test_rounded_matrices_are_rotations(self):
        exact = Rotation.random(20, random_state=0)
        poses = Poses(exact.as_matrix().round(5))
        assert distance(poses, Poses(exact)) < 1e-2

    def test_text_is_no_rotation(self):
        with pytest.raises(TypeError, match=r"^rotation: found str"):
            Poses("identity")

    @pytest.mark.parametrize(
        ("translation", "message"),
        [
            (np.zeros((3, 3)), r"shape \(3, 3\), need \(2, 3\)"),
            (np.zeros(3), r"shape \(3,\), need \(2, 3\)"),
            ([[0, 0, 0], [0, np.inf, 0]], "NaN or infinite"),
        ],
    )
    def test_bad_translations(self, translation, message):
        with pytest.raises(ValueError, match=f"^translation: .*{message}"):
            Poses(Rotation.identity(2), translation)

    def test_bad_names(self):
        with pytest.raises(ValueError, match="names: found 1, need 2"):
            Poses(Rotation.identity(2), names=["a"])
        with pytest.raises(TypeError, match="names: found the text 'ab'"):
            Poses(Rotation.identity(2), names="ab")


class TestSymmetrized:
    @pytest.mark.parametrize(("symmetry", "order"), [("C1", 1), ("C2", 2), ("C9", 9), ("D1", 2), ("D4", 8)])
    def test_each_pose_times_each_element(self, symmetry, order):
        n = int(symmetry[1:])
        group = [turn(0, 360 * k / n) for k in range(n)]
        if symmetry[0] == "D":
            group += [g @ turn(1, 180) for g in group]
        poses = Poses.random(3, max_translation=2, rng=1)
        poses = Poses(poses.rotation, poses.translation, ["a", "b", "c"])
        many = poses.symmetrized(symmetry)
        assert len(many) == 3 * order
        np.testing.assert_array_equal(many.translation, poses.translation.repeat(order, axis=0))
        assert many.names == tuple(np.repeat(["a", "b", "c"], order))
        np.testing.assert_allclose(many.matrix[::order], poses.matrix, atol=1e-12)  # its own comes first
        for i in range(3):
            for g in group:
                error = np.abs(many.matrix[i * order : (i + 1) * order] - poses.matrix[i] @ g).max(axis=(1, 2))
                assert error.min() < 1e-12

    @pytest.mark.parametrize("symmetry", ["", "C", "C0", "c9", "E3", "9", "C-1", "I", None])
    def test_unknown(self, symmetry):
        with pytest.raises(ValueError, match="symmetry: found"):
            Poses.random(1, rng=0).symmetrized(symmetry)


class TestRandom:
    def test_rotations_are_uniform(self):
        matrices = Poses.random(20_000, rng=0).matrix
        np.testing.assert_allclose(matrices.mean(axis=0), 0, atol=0.02)
        np.testing.assert_allclose((matrices**2).mean(axis=0), 1 / 3, atol=0.01)
        angle = Rotation.from_matrix(matrices).magnitude()  # its density is (1 - cos a) / pi
        assert np.mean(angle < np.pi / 2) == pytest.approx((np.pi / 2 - 1) / np.pi, abs=0.01)

    def test_translations_fill_a_cube(self):
        translation = Poses.random(5000, max_translation=2.0, rng=0).translation
        assert translation.min() >= -2
        assert translation.max() <= 2
        np.testing.assert_allclose(translation.std(axis=0), 4 / np.sqrt(12), rtol=0.05)

    def test_the_seed_decides(self):
        a, b, c = (Poses.random(4, max_translation=1, rng=seed) for seed in (5, np.random.default_rng(5), 6))
        np.testing.assert_array_equal(a.matrix, b.matrix)
        np.testing.assert_array_equal(a.translation, b.translation)
        assert np.abs(a.matrix - c.matrix).max() > 0.1

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="n: found 0"):
            Poses.random(0)
        for value in (-1.0, np.nan, np.inf):
            with pytest.raises(ValueError, match="max_translation: found"):
                Poses.random(1, max_translation=value)


class TestMatched:
    names = ("particles/0.tiff", "particles/1.tiff", "particles/10.tiff")
    poses = Poses(Rotation.identity(3), np.diag([1, 2, 3]), names)

    def test_whole_names(self):
        matched = self.poses.matched(["particles/10.tiff", "particles/0.tiff"])
        np.testing.assert_array_equal(matched.translation, [[0, 0, 3], [1, 0, 0]])

    def test_last_parts(self):
        matched = self.poses.matched(["run 2/10.tiff", "run 2/0.tiff", "run 2/1.tiff"])
        np.testing.assert_array_equal(matched.translation, np.diag([1, 2, 3])[[2, 0, 1]])
        assert matched.names == ("run 2/10.tiff", "run 2/0.tiff", "run 2/1.tiff")

    def test_whole_names_come_first(self):
        poses = Poses(Rotation.identity(2), np.diag([1, 2, 3])[:2], ["a/0.tiff", "b/0.tiff"])
        np.testing.assert_array_equal(poses.matched(["b/0.tiff"]).translation, [[0, 2, 0]])
        with pytest.raises(ValueError, match="several for 'c/0.tiff'"):
            poses.matched(["c/0.tiff"])

    def test_a_name_asked_twice(self):
        with pytest.raises(ValueError, match="several for 'x/0.tiff', 'y/0.tiff'"):
            self.poses.matched(["x/0.tiff", "y/0.tiff"])

    def test_missing_names_are_told(self):
        wanted = ["0.tiff", *(f"{i}.tiff" for i in range(20, 26))]
        with pytest.raises(ValueError, match="none for '20.tiff', '21.tiff', '22.tiff' and 3 more"):
            self.poses.matched(wanted)

    def test_without_names(self):
        with pytest.raises(ValueError, match="found no names"):
            Poses(Rotation.identity(1)).matched(["a"])


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
