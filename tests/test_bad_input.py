"""Bad arguments, all in one file: each gets one line that names it, says what was found and what is needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import fastmpr
from fastmpr import NormalEquations, Poses, metrics

VIEWS = np.random.default_rng(0).random((3, 8, 9, 10)).astype(np.float32)
PSF = fastmpr.psf.gaussian((7, 5, 5), sigma=(1.5, 0.8, 0.8))
POSES = Poses.random(3, rng=0)
SUMS = fastmpr.accumulate(VIEWS, PSF, POSES)
TRUTH = VIEWS[0]
NAN, INF = float("nan"), float("inf")


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    """A copy with one bad voxel."""
    out = array.copy()
    out.flat[out.size // 2] = value
    return out


def ragged() -> list[np.ndarray]:
    return [VIEWS[0], VIEWS[1][:7], VIEWS[2]]


def each(name: str, *values) -> list:
    """One case per value, named by the value where it is short."""
    ids = [repr(value) if len(repr(value)) < 20 else f"array {k}" for k, value in enumerate(values)]
    return [pytest.param(name, value, id=f"{name}={text}") for value, text in zip(values, ids, strict=True)]


def refuse(call: Callable, name: str) -> str:
    """Check that a call raises one readable line about ``name``."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(name), message
    assert "\n" not in message
    assert "found" in message, message
    assert "need" in message, message
    return message


# what reconstruct, accumulate and average have in common
PARTICLES = {
    "one NaN": (with_value(VIEWS, NAN), "particles[1]"),
    "one infinity": (with_value(VIEWS, -INF), "particles[1]"),
    "too few": (VIEWS[:2], "particles"),
    "too many": (np.concatenate([VIEWS, VIEWS]), "particles"),
    "none": (VIEWS[:0], "particles"),
    "one volume": (VIEWS[0, :3], "particles[0]"),
    "2-D": (VIEWS[:, 0, 0], "particles[0]"),
    "RGB": (VIEWS[..., None], "particles[0]"),
    "empty volumes": (VIEWS[:, :0], "particles[0]"),
    "another shape": (ragged(), "particles[1]"),
    "complex": (VIEWS.astype(complex), "particles[0]"),
    "text": (["a", "b", "c"], "particles"),
    "objects": ([None] * 3, "particles[0]"),
    "a generator": ((view for view in VIEWS), "particles"),
    "nothing": (None, "particles"),
}


@pytest.mark.parametrize("function", [fastmpr.reconstruct, fastmpr.accumulate, fastmpr.average])
@pytest.mark.parametrize("particles", PARTICLES)
def test_particles(function, particles):
    value, name = PARTICLES[particles]
    arguments = (value, POSES) if function is fastmpr.average else (value, PSF, POSES)
    refuse(lambda: function(*arguments), name)


@pytest.mark.parametrize("function", [fastmpr.reconstruct, fastmpr.accumulate])
def test_a_bad_particle_among_good_ones_is_named_whoever_reads_it(function):
    for i in range(3):
        views = VIEWS.copy()
        views[i, 3, 3, 3] = NAN
        for workers in (1, 2, 3):
            message = refuse(lambda views=views, n=workers: function(views, PSF, POSES, workers=n), f"particles[{i}]")
            assert "1 NaN" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("psf", np.zeros((5, 5, 5)), -PSF, PSF[0], np.zeros((0, 3, 3)), with_value(PSF, NAN), None, "x"),
        *each("poses", np.eye(3), None, POSES.rotation, [POSES]),
        *each("frame", "image", None, 1),
        *each("voxel_size", 0, -1.0, NAN, INF, (1, 2), (1, 1, -1), "1 um"),
        *each("psf_voxel_size", 0, (1, 2), NAN, "small"),
        *each("shape", 0, -3, (8, 8), (8, 8, 8, 8), (8, 8, 0), 8.5, "8", (8, 8, 8.5)),
        *each("weights", [1, 2], [1, 1, -1], [1, 1, NAN], [0, 0, 0], [[1, 1, 1]], [1, 1, INF]),
        *each("workers", 0, -1, 1.5, "2"),
    ],
)
def test_accumulate_and_reconstruct(name, value):
    for function in (fastmpr.accumulate, fastmpr.reconstruct):
        arguments = {"psf": PSF, "poses": POSES} | {name: value}
        refuse(lambda f=function, a=arguments: f(VIEWS, **a), name)


def test_aligned_views_must_lie_on_the_models_grid():
    refuse(lambda: fastmpr.accumulate(VIEWS, PSF, POSES, frame="model", voxel_size=(2, 1, 1)), "voxel_size")
    refuse(lambda: fastmpr.accumulate(VIEWS, PSF, POSES, frame="model", shape=12), "shape")


SOLVER = [
    *each("lam", 0, -1, NAN, INF, "much", None, "", [1, 2]),
    *each("max_iter", 0, -5, 1.5, "10", None),
    *each("tol", -1e-3, NAN, 2),
    *each("regularizer", "hesian", None),
    *each("workers", 0, -2, 2.5),
]


@pytest.mark.parametrize(("name", "value"), SOLVER)
def test_solve_and_reconstruct(name, value):
    refuse(lambda: fastmpr.solve(SUMS, **({"lam": 1.0} | {name: value})), name)
    refuse(lambda: fastmpr.reconstruct(VIEWS, PSF, POSES, **({"lam": 1.0} | {name: value})), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("mu", 0, -1, NAN, (1, 0), (1, 2, 3), (1, INF), 1e30, 1e-30),
        *each("relaxation", 0, 2, -1, NAN),
        *each("timeout", -1, NAN),
        *each("x0", TRUTH, np.zeros(SUMS.shape)[0], np.full(SUMS.shape, NAN), np.zeros(SUMS.shape, complex)),
    ],
)
def test_solve(name, value):
    refuse(lambda: fastmpr.solve(SUMS, 1.0, **{name: value}), name)


def test_what_is_not_sums():
    refuse(lambda: fastmpr.solve(VIEWS, 1.0), "sums")
    refuse(lambda: fastmpr.objective(TRUTH, VIEWS, 1.0), "sums")


@pytest.mark.parametrize("x", [TRUTH, np.full(SUMS.shape, NAN), np.zeros(SUMS.shape, complex)])
def test_objective(x):
    refuse(lambda: fastmpr.objective(x, SUMS, 1.0), "x")
    refuse(lambda: fastmpr.objective(np.zeros(SUMS.shape), SUMS, -1.0), "lam")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("gram", SUMS.gram[1:], -SUMS.gram, with_value(SUMS.gram, NAN), SUMS.gram + 1j),
        *each("rhs", SUMS.rhs[:, 1:], with_value(SUMS.rhs, INF)),
        *each("energy", -1.0, NAN, INF),
        *each("n_poses", 0, -1, 1.5),
        *each("shape", (1, 2), (0, 1, 2), None),
        *each("voxel_size", 0, (1, 2), NAN),
    ],
)
def test_normal_equations(name, value):
    refuse(lambda: replace(SUMS, **{name: value}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("x", TRUTH[0], with_value(TRUTH, NAN), TRUTH[:0], TRUTH.astype(complex), None),
        *each("psf", np.zeros((5, 5, 5)), -PSF, PSF[0], with_value(PSF, INF)),
        *each("poses", np.eye(3), None),
        *each("noise_sigma", -1, NAN, INF),
        *each("frame", "image", None),
        *each("voxel_size", 0, (1, 2), NAN),
        *each("psf_voxel_size", -1, "x"),
        *each("model_voxel_size", -1),
        *each("shape", 0, (8, 8), 8.5),
        *each("workers", 0, 1.5),
    ],
)
def test_simulate(name, value):
    arguments = {"x": TRUTH, "psf": PSF, "poses": POSES, "noise_sigma": 0.1} | {name: value}
    refuse(lambda: fastmpr.simulate(**arguments), name)


def test_simulate_with_the_model_frames_one_grid():
    refuse(lambda: fastmpr.simulate(TRUTH, PSF, POSES, frame="model", shape=12), "shape")


@pytest.mark.parametrize(
    ("a", "truth", "name"),
    [
        (TRUTH[1:], TRUTH, "a"),
        (TRUTH[0], TRUTH, "a"),
        (with_value(TRUTH, NAN), TRUTH, "a"),
        (TRUTH, with_value(TRUTH, INF), "truth"),
        (TRUTH, 0 * TRUTH, "truth"),
        (TRUTH, None, "truth"),
    ],
)
def test_psnr(a, truth, name):
    refuse(lambda: metrics.psnr(a, truth), name)


@pytest.mark.parametrize(
    "matrix", [2 * np.eye(3), -np.eye(3), np.diag([1, 1, -1.0]), np.full((3, 3), NAN), np.eye(2), "x"]
)
def test_what_is_not_a_rotation(matrix):
    refuse(lambda: Poses(matrix), "rotation")


def test_names_that_do_not_match():
    poses = Poses(POSES.rotation, names=["a.tiff", "b.tiff", "c.tiff"])
    assert "d.tiff" in refuse(lambda: poses.matched(["a.tiff", "d.tiff"]), "poses")


def test_nothing_is_half_written(tmp_path):
    with pytest.raises(OSError, match="need"):
        SUMS.save(tmp_path / "missing" / "sums.npz")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="need"):
        SUMS.save(tmp_path / "file" / "sums.npz")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        SUMS.save(folder)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert os.listdir(folder) == []


def test_a_psf_that_sees_nothing_is_refused_when_lam_is_to_be_chosen():
    dark = NormalEquations(0 * SUMS.gram, 0 * SUMS.rhs, 0.0, 3, SUMS.shape, 1.0)
    refuse(lambda: fastmpr.select_lam(dark, dark), "sums")


def test_views_without_anything_in_them():
    """There is nothing in the result either; of images that are no mere toys that is said."""
    for lam in (1.0, "auto"):
        result = fastmpr.reconstruct(np.zeros_like(VIEWS), PSF, POSES, lam=lam)
        np.testing.assert_array_equal(result.x, 0)
    with pytest.warns(fastmpr.FastmprWarning, match=r"particles\[0\]: found the same value, 7, everywhere.*in 2 more"):
        fastmpr.reconstruct(np.full((3, 12, 12, 12), 7.0), PSF, POSES)


def test_particles_that_change_shape_on_the_way():
    """Nothing is read past its end."""

    class Changing:
        def __init__(self):
            self.reads = 0

        def __len__(self):
            return 3

        def __getitem__(self, i):
            self.reads += 1
            return np.ones((8, 9, 10)) if self.reads < 3 else np.ones((4, 5, 6))

    refuse(lambda: fastmpr.accumulate(Changing(), PSF, POSES, workers=1), "particles[")
