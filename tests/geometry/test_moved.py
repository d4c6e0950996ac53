"""The model rotated and shifted, the views the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rotations import random_rotations, turn
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.geometry.poses import Poses

SEEDS = st.integers(0, 2**32 - 1)
POINTS = np.array([[2.0, -3, 1], [-2.5, 1, 3], [0, 3, -3], [1, 0, 0]])  # of a model, from its centre
QUARTER = Rotation.from_matrix(turn(2, 90))
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(1.6, 1.0, 1.0), dtype=np.float64)


def blobs(points: np.ndarray, shape, centre: str = "(n - 1) / 2", sigma: float = 1.6) -> np.ndarray:
    """Round spots of different brightness at some points from the centre, in voxels."""
    middle = [n // 2 if centre == "n // 2" else (n - 1) / 2 for n in shape]
    offsets = np.stack(np.indices(shape), axis=-1) - middle
    squares = ((offsets - points[:, None, None, None]) ** 2).sum(axis=-1)
    return np.tensordot(np.arange(1.0, len(points) + 1), np.exp(-0.5 * squares / sigma**2), axes=1)


def same(a: Poses, b: Poses, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(a.matrix, b.matrix, atol=atol)
    np.testing.assert_allclose(a.translation, b.translation, atol=atol)
    assert (a.names, a.unit, a.centre, a.two_fold) == (b.names, b.unit, b.centre, b.two_fold)


class TestTheViewsAreTheSame:
    @pytest.mark.parametrize("centre", ["(n - 1) / 2", "n // 2"])
    @pytest.mark.parametrize("shape", [(24, 24, 24), (25, 24, 26)])
    def test_of_a_model_moved_in_any_way(self, shape, centre):
        poses = Poses(random_rotations(4, 1), np.random.default_rng(1).uniform(-1, 1, (4, 3)), centre=centre)
        rotation, shift = random_rotations(1, 2), np.array([1.3, -0.7, 0.4])
        before = fastmpr.simulate(blobs(POINTS, shape, centre), PSF, poses)
        there = blobs(rotation.apply(POINTS) + shift, shape, centre)
        after = fastmpr.simulate(there, PSF, poses.moved(rotation, shift))
        assert np.abs(after - before).max() < 2e-3 * before.max()
        assert np.abs(fastmpr.simulate(there, PSF, poses) - before).max() > 0.1 * before.max()

    def test_to_all_digits_where_voxels_become_voxels(self):
        x = blobs(POINTS, (32, 32, 32))
        there = np.roll(np.rot90(x, axes=(0, 1)), (2, -1, 1), axis=(0, 1, 2))
        poses = Poses(random_rotations(3, 3))
        matrix = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])  # rot90 takes y to -z, and z to y
        moved = poses.moved(matrix, (2, -1, 1))
        before, after = (fastmpr.simulate(*pair) for pair in ((x, PSF, poses), (there, PSF, moved)))
        np.testing.assert_allclose(after, before, atol=1e-4 * before.max())

    def test_with_voxels_that_are_no_cubes(self):
        voxel, shape = (0.3, 0.1, 0.1), (10, 24, 24)
        poses = Poses(random_rotations(3, 4), np.random.default_rng(4).uniform(-1, 1, (3, 3)), unit="voxel")
        rotation, shift = random_rotations(1, 5), np.array([0.12, -0.05, 0.07])
        options = {"voxel_size": voxel, "model_voxel_size": 0.1, "shape": shape}
        before = fastmpr.simulate(blobs(POINTS, (26, 26, 26)), PSF, poses, **options)
        there = blobs(rotation.apply(POINTS) + shift / 0.1, (26, 26, 26))
        moved = poses.in_unit_of(voxel).moved(rotation, shift)
        assert np.abs(fastmpr.simulate(there, PSF, moved, **options) - before).max() < 2e-3 * before.max()


class TestGroup:
    @settings(max_examples=50, deadline=None)
    @given(SEEDS)
    def test_back_again(self, seed):
        poses, q, s = Poses.random(3, max_translation=2, rng=seed), random_rotations(1, seed), (1.0, -2.0, 3.0)
        same(poses.moved(q, s).moved(q.inv(), -q.inv().apply(s)[0]), poses)

    @settings(max_examples=50, deadline=None)
    @given(SEEDS)
    def test_one_after_the_other(self, seed):
        poses, rng = Poses.random(3, max_translation=2, rng=seed), np.random.default_rng(seed)
        (p, q), (s, t) = random_rotations(2, seed), rng.uniform(-3, 3, (2, 3))
        same(poses.moved(p, s).moved(q, t), poses.moved(q * p, q.apply(s) + t))

    def test_what_is_left_out_is_nothing(self):
        poses = Poses.random(3, max_translation=2, rng=0)
        same(poses.moved(), poses)
        same(poses.moved(QUARTER, (1, 2, 3)), poses.moved(QUARTER).moved(shift=(1, 2, 3)))
        same(poses.moved(QUARTER.as_matrix().tolist()), poses.moved(QUARTER))


class TestSymmetry:
    @pytest.mark.parametrize(
        ("symmetry", "axis"), [("C3", (1, 0, 0)), ("C4", (1, 2, 3)), ("D3", ((1, 0, 0), (0, 3, 4)))]
    )
    def test_its_axes_and_centre_move_with_the_model(self, symmetry, axis):
        poses = Poses.random(3, max_translation=2, rng=0)
        q, s, centre = random_rotations(1, 7), np.array([0.5, 1.0, -2.0]), np.array([0.3, -0.4, 1.0])
        expected = poses.symmetrized(symmetry, axis, centre).moved(q, s)
        turned = q.apply(np.array(axis, float))
        turned = turned if np.ndim(axis) == 2 else turned[0] if turned.ndim == 2 else turned
        found = poses.moved(q, s).symmetrized(symmetry, turned, q.apply(centre)[0] + s)
        here, there = (
            np.column_stack([poses.matrix.reshape(-1, 9), poses.translation]).reshape(3, -1, 1, 12)
            for poses in (expected, found)
        )
        distance = np.abs(here - there.swapaxes(1, 2)).max(axis=-1)  # the elements may come in another order
        assert distance.min(axis=1).max() < 1e-9
        assert distance.min(axis=2).max() < 1e-9


def test_all_else_is_kept():
    poses = Poses.random(3, max_translation=2, rng=0)
    options = {"names": ["a", "b", "c"], "unit": "um", "centre": "n // 2", "two_fold": "x"}
    moved = Poses(poses.rotation, poses.translation, **options).moved(QUARTER, (1, 2, 3))
    assert {name: getattr(moved, name) for name in options} == options | {"names": ("a", "b", "c")}


def test_of_a_file_the_boxes_stay_and_the_angles_go(tmp_path):
    Poses.random(3, rng=0).write(tmp_path / "poses.star", shape=16, voxel_size=0.1)
    read = Poses.read(tmp_path / "poses.star")
    moved = read.moved(QUARTER)
    assert read.angles is not None
    assert moved.angles is None
    assert moved.boxes is read.boxes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Rotation.identity(2),), "rotation: found 2 rotations, need one"),
        ((2 * np.eye(3),), "rotation: found matrix 0 off"),
        ((None, (1, 2)), r"shift: found shape \(2,\), need three numbers"),
        ((None, (1, 2, np.nan)), "shift: found NaN"),
        ((None, (1, 2, 1e13)), "shift: found .*, need numbers from"),
    ],
)
def test_what_is_no_move_is_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Poses.random(3, rng=0).moved(*arguments)
