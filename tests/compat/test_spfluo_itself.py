"""SPFluo 0.1.0 beside fastmpr's drop-in, on its own data where they are at hand."""

from __future__ import annotations

import importlib
import inspect
import itertools
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.ndimage
import tifffile
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import io
from fastmpr.compat.spfluo import convolution_matching_poses, from_particles, patch, reconstruction_L2
from fastmpr.compat.spfluo.poses import directions
from fastmpr.io.particles import open_particles

pytest.importorskip("spfluo", reason='needs SPFluo: pip install "fastmpr[spfluo]"')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of what SPFluo and its packages say
]


class Data(NamedTuple):
    views: NDArray
    psf: NDArray
    poses: NDArray
    exact_poses: NDArray  # float64, as SPFluo's programs read them
    truth: NDArray


@pytest.fixture(scope="module")
def data(centrioles) -> Data:
    particles = open_particles(centrioles / "particles")
    poses = fastmpr.Poses.read(centrioles / "poses.csv").matched(particles.names)
    psf, truth = (io.read(centrioles / name)[0] for name in ("psf.tiff", "gt.tiff"))
    exact = given(poses)
    return Data(np.stack(list(particles)), psf, exact.astype(np.float32), exact, truth)


def given(poses: fastmpr.Poses) -> NDArray:
    """Poses as SPFluo has them, (N, 6)."""
    return np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])


def theirs(*arguments: Any, **options: Any) -> Any:
    own = importlib.import_module("spfluo.refinement").reconstruction_L2
    return own(*arguments, device="cpu", **options)


def symmetrized(poses: NDArray, degree: int) -> NDArray:
    """SPFluo's own copies (k, N, 6)."""
    return np.moveaxis(importlib.import_module("spfluo.utils.transform").symmetrize_poses(poses, degree), -2, -3)


@pytest.mark.parametrize("size", [50, 49])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("degree", [0, 1, 9])
@pytest.mark.parametrize("batch", [False, True])
def test_its_numbers(data, batch, degree, channels, size):
    views, poses = data.views[:3, :size, :size, :size], data.poses[:3]
    views = np.stack([views, views[:, ::-1] ** 2], 1) if channels > 1 else views
    psf = np.stack([data.psf, data.psf[::-1]]) if channels > 1 else data.psf
    poses = symmetrized(poses, degree) if degree else poses
    poses, lambdas = (np.stack([poses, poses + 5]), np.float32([1e-2, 1])) if batch else (poses, np.float32(0.1))
    options = {"batch": batch, "symmetry": degree > 0, "multichannel": channels > 1}
    expected = theirs(views, psf, poses, lambdas, **options)
    for exact in (True,) if size % 2 == 0 else (True, False):
        x = reconstruction_L2(views, psf, poses, lambdas, exact=exact, **options)
        assert (x.shape, x.dtype) == (expected.shape, expected.dtype)
        assert np.abs(x - expected).max() < 1e-5 * expected.max()


def adds_the_offset_first() -> bool:
    """Whether SciPy does so when it computes a coordinate; older ones add it last, and round otherwise."""
    turn = np.array([[-1, -1.2e-16], [1.2e-16, -1]])
    return scipy.ndimage.affine_transform(np.ones((17, 17)), turn, (16, 16), order=1)[16, 1] == 0


@pytest.mark.skipif(not adds_the_offset_first(), reason="needs a SciPy that rounds coordinates as 1.17 does")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_its_numbers_where_samples_lie_on_the_border(dtype):
    """Half and quarter turns: the last bit of a coordinate tells whether a plane of a view is inside."""
    rng = np.random.default_rng(0)
    views, psf = rng.random((3, 9, 9, 9)).astype(dtype), rng.random((9, 11, 8)).astype(dtype)
    angles = np.array(list(itertools.product((0, 90, 180), repeat=3)))[:, None] * np.ones((1, 3, 1))
    poses = np.concatenate([angles, np.ones((27, 3, 3))], -1).astype(dtype)
    x, expected = (f(views, psf, poses, np.asarray(0.1, dtype), symmetry=True) for f in (reconstruction_L2, theirs))
    assert np.abs(x - expected).max() < 1e-4 * expected.max()


def test_the_upgrade_is_better(data):
    with patch("hessian"):
        x = theirs(data.views, data.psf, data.poses, np.float32(100))
    own = [
        fastmpr.metrics.psnr(theirs(data.views, data.psf, data.poses, np.float32(k)), data.truth) for k in (1e-3, 100)
    ]
    assert fastmpr.metrics.psnr(x, data.truth) > max(own) + 6


def test_its_reconstruction_runs_on_it(data, centrioles, tmp_path):
    spfluo = importlib.import_module("spfluo.utils.reconstruction")
    names = [str(centrioles / "particles" / f"{i}.tiff") for i in range(10)]
    path = tmp_path / "x.ome.tiff"
    with patch():
        spfluo.main(names, str(centrioles / "poses.csv"), str(centrioles / "psf.tiff"), str(path), 1.0, symmetry=9)
    views = np.stack([io.read(name)[0] for name in names]).astype(float)
    low, high = views.min(axis=(1, 2, 3), keepdims=True), views.max(axis=(1, 2, 3), keepdims=True)
    psf = (data.psf.astype(float) - data.psf.min()) / np.ptp(data.psf)
    expected = reconstruction_L2(
        (views - low) / (high - low), psf, symmetrized(data.exact_poses, 9), 1.0, symmetry=True
    )
    x = io.read(path)[0]
    assert np.abs(x - expected).max() < 1e-3 * expected.max()


def test_its_refinement_runs_on_it_and_its_function_is_back_after_an_exception(data):
    spfluo = importlib.import_module("spfluo.refinement.refinement")
    own, options = (
        spfluo.reconstruction_L2,
        {"steps": [2], "ranges": [4.0], "lambda_": 0.1, "device": "cpu", "batch_size": 8},
    )
    views, psf = data.views[:2, None], data.psf[None]
    with pytest.raises(ZeroDivisionError), patch():
        x, poses = spfluo.refine(views, psf, data.poses[:2], symmetry=9, **options)
        assert x.shape == (1, 50, 50, 50)
        again = reconstruction_L2(views, psf, symmetrized(poses, 9), 0.1, symmetry=True, multichannel=True)
        np.testing.assert_allclose(x, again, atol=1e-5 * again.max())
        raise ZeroDivisionError
    assert spfluo.reconstruction_L2 is own


def test_its_choice_among_candidates(data):
    """The same rotations as SPFluo's own, and its translations up to the tenth of a voxel that it rounds to."""
    candidates = np.repeat(data.poses[:4, None], 6, axis=1)
    candidates[:, 1:, :3] += np.random.default_rng(0).uniform(-15, 15, (4, 5, 3))
    candidates[..., 3:] = 0
    given = data.truth[None], data.views[:4, None], data.psf[None], candidates
    expected, _ = importlib.import_module("spfluo.refinement").convolution_matching_poses(
        *given, device="cpu", batch_size=6
    )
    best, errors = convolution_matching_poses(*given)
    assert (best.dtype, errors.dtype) == (expected.dtype, data.views.dtype)
    np.testing.assert_array_equal(best[:, :3], expected[:, :3])
    assert np.abs(best[:, 3:] - expected[:, 3:]).max() < 0.12


@pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="SPFluo's grid needs NumPy 2")
def test_its_grid_of_directions():
    grid = importlib.import_module("spfluo.refinement.refinement").create_poses_grid
    for precision in (10, 25):
        expected = grid(np, importlib.import_module("spfluo.refinement.refinement").find_L(precision), 1)[0]
        np.testing.assert_allclose(directions(len(expected)), expected[:, :3], atol=1e-3)


def test_its_signatures():
    spfluo = importlib.import_module("spfluo.refinement")
    for name in ("convolution_matching_poses", "find_angles_grid", "refine"):
        ours, theirs = (inspect.signature(getattr(home, name)) for home in (fastmpr.compat.spfluo, spfluo))
        assert [(p.name, p.default) for p in ours.parameters.values()] == [
            (p.name, p.default) for p in theirs.parameters.values()
        ]


def test_the_parameters_of_its_ab_initio():
    """Its module of parameters imports nothing that needs SimpleITK."""
    own = importlib.import_module("spfluo.ab_initio_reconstruction.params").ParametersMainAlg
    expected = {p.name: p.default for p in inspect.signature(own).parameters.values()}
    assert expected == from_particles._DEFAULTS


def run(module: str, *options: Any) -> None:
    """Run a module of SPFluo on fastmpr, in a process of its own."""
    command = [sys.executable, "-m", "fastmpr.compat.spfluo", "-m", module, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_its_program_runs_on_it(data, centrioles, tmp_path):
    files = ["--particles_dir", centrioles / "particles", "--psf_path", centrioles / "psf.tiff"]
    files += ["--guessed_poses_path", centrioles / "poses.csv"]
    steps = ["--steps", "(2,2)", "2", "--ranges", "0", "5", "-l", "0.1", "--symmetry", "9", "--minibatch_size", "8"]
    written = ["--output_reconstruction_path", tmp_path / "x.tiff", "--output_poses_path", tmp_path / "poses.csv"]
    run("spfluo.refinement", *files, *steps, *written)
    assert tifffile.imread(tmp_path / "x.tiff").shape == (1, 50, 50, 50)
    names = [f"particles/{i}.tiff" for i in range(10)]
    found = fastmpr.Poses.read(tmp_path / "poses.csv").matched(names)
    axes, true = (
        Rotation.from_euler("XZX", p[:, :3], degrees=True).apply([1, 0, 0]) for p in (given(found), data.poses)
    )
    assert np.degrees(np.arccos(np.abs((axes * true).sum(axis=1)))).max() < 3


def test_its_ab_initio_runs_on_it(centrioles, tmp_path):
    pytest.importorskip("SimpleITK", reason="needs SimpleITK, as SPFluo's ab initio reconstruction does")
    files = ["--particles_dir", centrioles / "particles", "--psf_path", centrioles / "psf.tiff"]
    run("spfluo.ab_initio_reconstruction", *files, "--output_dir", tmp_path / "out", "--N_iter_max", "1")
    x = tifffile.imread(tmp_path / "out" / "final_recons.ome.tiff")
    np.testing.assert_array_equal(x, tifffile.imread(tmp_path / "out" / "final_reconstruction.ome.tiff"))
    assert len(fastmpr.Poses.read(tmp_path / "out" / "poses.csv")) == 10
