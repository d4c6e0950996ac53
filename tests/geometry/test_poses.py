from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from rotations import distance, random_rotations, turn
from scipy.spatial.transform import Rotation

from fastmpr.geometry.poses import Poses


class TestPoses:
    def test_holds_what_it_is_given(self):
        matrices = np.stack([turn(0, 30), turn(1, 40) @ turn(2, 50)])
        poses = Poses(matrices, [[1, 2, 3], [4, 5, 6]], names=["a", "b"])
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
        poses = Poses(poses.rotation, poses.translation, names=list("abcde"), unit="voxel")
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
        with pytest.raises(IndexError, match="index: found 5"):
            poses[5]

    def test_the_centre_stays(self):
        poses = Poses.random(4, max_translation=1, rng=0)
        assert poses.centre == "(n - 1) / 2"
        poses = Poses(poses.rotation, poses.translation, names=list("abcd"), unit="voxel", centre="n // 2")
        for other in (
            poses[1:],
            poses[2],
            *poses,
            poses.symmetrized("C3"),
            poses.matched(list("dbca")),
            poses.in_unit_of((0.3, 0.1, 0.1)),
            pickle.loads(pickle.dumps(poses)),
            copy.deepcopy(poses),
        ):
            assert other.centre == "n // 2"
        with pytest.raises(AttributeError):
            poses.centre = "(n - 1) / 2"
        with pytest.raises(ValueError, match=r"^centre: found 'n / 2', need '\(n - 1\) / 2' or 'n // 2'"):
            Poses(np.eye(3), centre="n / 2")
        with pytest.raises(ValueError, match="two_fold: found 'z', need 'y' or 'x'"):
            Poses(np.eye(3), two_fold="z")

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
        poses.translation[0] = 7
        np.testing.assert_array_equal(poses.translation, 0)
        np.testing.assert_array_equal(poses.rotation.as_matrix(), matrices)
        with pytest.raises(ValueError, match="read-only"):
            poses.matrix[0] = 1
        with pytest.raises(AttributeError):
            poses.names = ("a", "b")

    def test_scipy_takes_what_it_gives(self):
        """SciPy 1.17 refuses read-only vectors."""
        poses = Poses.random(4, max_translation=1, rng=0)
        for other in (poses, poses[1:], pickle.loads(pickle.dumps(poses)), copy.deepcopy(poses)):
            turned = other.rotation.apply(other.translation)
            np.testing.assert_allclose(turned, np.einsum("nij,nj->ni", other.matrix, other.translation), atol=1e-12)
            Rotation.from_rotvec(other.translation)

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
        exact = random_rotations(20, 0)
        poses = Poses(exact.as_matrix().round(5))
        assert distance(poses, Poses(exact)) < 1e-2

    def test_text_is_no_rotation(self):
        with pytest.raises(TypeError, match=r"^rotation: found 'identity'"):
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
        poses = Poses(poses.rotation, poses.translation, names=["a", "b", "c"])
        many = poses.symmetrized(symmetry)
        assert len(many) == 3 * order
        np.testing.assert_array_equal(many.translation, poses.translation.repeat(order, axis=0))
        assert many.names == tuple(np.repeat(["a", "b", "c"], order))
        np.testing.assert_allclose(many.matrix[::order], poses.matrix, atol=1e-12)  # its own comes first
        for i in range(3):
            for g in group:
                error = np.abs(many.matrix[i * order : (i + 1) * order] - poses.matrix[i] @ g).max(axis=(1, 2))
                assert error.min() < 1e-12

    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize(("two_fold", "axis"), [("y", 1), ("x", 2)])
    def test_a_two_fold_axis_along_y_or_x(self, n, two_fold, axis):
        """By the poses, or by symmetry_axis: the same group, on paper n turns about z and half a turn about the other."""
        group = [turn(0, 360 * k / n) for k in range(n)]
        group += [g @ turn(axis, 180) for g in group]
        poses = Poses.random(1, rng=1)
        given = Poses(poses.rotation, two_fold=two_fold).symmetrized(f"D{n}")
        pair = poses.symmetrized(f"D{n}", ((2, 0, 0), np.eye(3)[axis]))
        for many in (given, pair):
            errors = np.abs(np.array([poses.matrix[0] @ g for g in group])[:, None] - many.matrix).max(axis=(2, 3))
            assert errors.min(axis=0).max() < 1e-12
            assert errors.min(axis=1).max() < 1e-12
            np.testing.assert_allclose(many.matrix[0], poses.matrix[0], atol=1e-12)

    def test_two_axes_anywhere(self):
        """The group of two axes turned along with the model is that of the axes turned."""
        turned = Poses.random(1, rng=3).matrix[0]
        group = Poses(np.eye(3)).symmetrized("D3", ((1, 0, 0), (0, 0.6, 0.8))).matrix
        moved = Poses(np.eye(3)).symmetrized("D3", (turned[:, 0], turned @ (0, 0.6, 0.8))).matrix
        np.testing.assert_allclose(moved, turned @ group @ turned.T, atol=1e-12)

    @pytest.mark.parametrize("symmetry", ["C1", "C3", "C9", "D2", "D4", "D8"])
    def test_groups_that_know_no_difference_keep_their_bits(self, symmetry):
        for axis in (None, (1, 0, 0), (0, 2, 0), (1, 2, 3)):
            here, there = (Poses(np.eye(3), two_fold=two_fold).symmetrized(symmetry, axis).matrix for two_fold in "yx")
            np.testing.assert_array_equal(here, there)

    @pytest.mark.parametrize("symmetry", ["", "C", "C0", "c9", "E3", "9", "C-1", "I", None])
    def test_unknown(self, symmetry):
        with pytest.raises(ValueError, match="symmetry: found"):
            Poses.random(1, rng=0).symmetrized(symmetry)


class TestRandom:
    def test_rotations_are_uniform(self):
        matrices = Poses.random(20_000, rng=0).matrix
        np.testing.assert_allclose(matrices.mean(axis=0), 0, atol=0.02)
        np.testing.assert_allclose((matrices**2).mean(axis=0), 1 / 3, atol=0.01)
        angle = Rotation.from_matrix(matrices.copy()).magnitude()  # its density is (1 - cos a) / pi
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
    poses = Poses(Rotation.identity(3), np.diag([1, 2, 3]), names=names)

    def test_whole_names(self):
        matched = self.poses.matched(["particles/10.tiff", "particles/0.tiff"])
        np.testing.assert_array_equal(matched.translation, [[0, 0, 3], [1, 0, 0]])

    def test_last_parts(self):
        matched = self.poses.matched(["run 2/10.tiff", "run 2/0.tiff", "run 2/1.tiff"])
        np.testing.assert_array_equal(matched.translation, np.diag([1, 2, 3])[[2, 0, 1]])
        assert matched.names == ("run 2/10.tiff", "run 2/0.tiff", "run 2/1.tiff")

    def test_whole_names_come_first(self):
        poses = Poses(Rotation.identity(2), np.diag([1, 2, 3])[:2], names=["a/0.tiff", "b/0.tiff"])
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

    @pytest.mark.parametrize(
        ("own", "wanted"),
        [
            ("caf\u00e9.tif", "cafe\u0301.tif"),  # e with acute, in one code point and in two
            ("particles\\a.tif", "particles/a.tif"),
            ("C:\\run 1\\caf\u00e9.tif", "run 2/cafe\u0301.tif"),
        ],
    )
    def test_names_of_other_systems(self, own, wanted):
        for a, b in ((own, wanted), (wanted, own)):
            poses = Poses(Rotation.identity(2), np.diag([1, 2, 3])[:2], names=["other.tif", a])
            matched = poses.matched([b])
            np.testing.assert_array_equal(matched.translation, [[0, 2, 0]])
            assert matched.names == (b,)

    def test_the_same_name_in_two_forms_belongs_to_two(self):
        names = ["\u00e9.tif", "e\u0301.tif"]
        poses = Poses(Rotation.identity(2), np.diag([1, 2, 3])[:2], names=names)
        np.testing.assert_array_equal(poses.matched(names[::-1]).translation, [[0, 2, 0], [1, 0, 0]])

    def test_a_message_shows_how_words_differ(self):
        for own, wanted in (("a.tif", "\u0430.tif"), ("a.tif", "a\u00a0.tif"), ("a.tif", "a\u200b.tif")):
            with pytest.raises(ValueError, match="poses: found none for") as error:
                Poses(Rotation.identity(1), names=[own]).matched([wanted])
            assert repr(own) in str(error.value)
            assert ascii(wanted) in str(error.value)

    def test_without_names(self):
        with pytest.raises(ValueError, match="found no names"):
            Poses(Rotation.identity(1)).matched(["a"])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's count of memory")
@pytest.mark.parametrize("make", ["Poses.random({n})", "Poses.random({n} // 500, rng=0).symmetrized('C500')"])
def test_the_memory_that_is_asked_for_is_what_poses_take(make):
    """In a process of its own, since scipy's part is not traced."""
    n = 600_000
    code = (
        "import re, pathlib, fastmpr.geometry.poses as poses\n"
        "Poses, asked = poses.Poses, []\n"
        "poses.check_memory = lambda name, found, need, remedy='': asked.append(need)\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "peak = lambda: 1024 * int(re.search(r'VmHWM:\\s*(\\d+) kB', status.read_text())[1])\n"
        f"{make.format(n=1000)}\n"
        "before = peak()\n"
        f"made = {make.format(n=n)}\n"
        "print(asked[-1] / (peak() - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.7 < float(done.stdout) < 1.5
