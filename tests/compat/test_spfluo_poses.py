"""SPFluo's pose search by fastmpr: against what is simulated, and against a slow twin."""

from __future__ import annotations

import inspect
import json
import logging
import os
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import FastmprWarning, Poses
from fastmpr.compat.spfluo import (
    AbInitioReconstruction,
    convolution_matching_poses,
    find_angles_grid,
    reconstruction_L2,
    refine,
)

PSF = fastmpr.psf.gaussian((13, 7, 7), sigma=(2.5, 1, 1))
SIZE = 22


def particle(size: int = SIZE, seed: int = 0) -> NDArray:
    """Six balls of several brightness, without any symmetry."""
    rng, x = np.random.default_rng(seed), np.zeros((size,) * 3)
    for weight in (1, 1.3, 1.6, 2, 2.5, 3):
        x[tuple(((size - 1) / 2 + rng.uniform(-0.22, 0.22, 3) * size).round().astype(int))] = weight
    x = ndimage.gaussian_filter(x, 1.3)
    return (x / x.max()).astype(np.float32)


TRUTH = particle()


def simulated(count: int, reach: float = 2.0, noise: float = 0.03, seed: int = 0, truth: NDArray = TRUTH) -> Any:
    """Views (N, 1, D, D, D) and their poses (N, 6)."""
    poses = Poses.random(count, max_translation=reach, rng=seed)
    return fastmpr.simulate(truth, PSF, poses, noise_sigma=noise, rng=seed)[:, None], given(poses)


def given(poses: Poses) -> NDArray:
    return np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])


def turned(poses: NDArray, degrees: float, shift: float, seed: int = 0) -> NDArray:
    """Poses wrong by an angle and a length."""
    rng = np.random.default_rng(seed)
    axes, ways = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in rng.normal(size=(2, len(poses), 3)))
    rotation = Rotation.from_euler("XZX", poses[:, :3], degrees=True) * Rotation.from_rotvec(np.radians(degrees) * axes)
    return given(Poses(rotation, poses[:, 3:] + shift * ways))


def angles_between(found: NDArray, poses: NDArray, related: bool = False) -> NDArray:
    """Degrees between rotations; with ``related``, of each view's relation to the others, which no frame changes."""
    one, other = (Rotation.from_euler("XZX", p[:, :3], degrees=True).as_matrix() for p in (found, poses))
    if related:
        one, other = (np.einsum("nij,mkj->nmik", a, a).reshape(-1, 3, 3) for a in (one, other))
    degrees = np.degrees((Rotation.from_matrix(one).inv() * Rotation.from_matrix(other)).magnitude())
    return np.median(degrees.reshape(len(poses), -1), axis=1)


# --------------------------------------------------------------------------------------------------------------
# The best of some candidates
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [21, 22])
def test_the_right_candidate_and_the_translation_wherever_it_is(size):
    truth = np.pad(particle(size), 4)
    views, poses = simulated(4, reach=6.0, truth=truth)
    candidates = np.stack([turned(poses, 12, 0, seed) for seed in range(5)], 1)
    candidates[np.arange(4), [0, 3, 1, 4]] = poses
    candidates[..., 3:] = np.random.default_rng(0).normal(size=(4, 5, 3))  # does not matter
    best, errors = convolution_matching_poses(truth[None], views, PSF[None], candidates)
    np.testing.assert_array_equal(best[:, :3], poses[:, :3])
    assert np.abs(best[:, 3:] - poses[:, 3:]).max() < 0.2
    assert best.dtype == np.float64 and errors.dtype == views.dtype
    assert ((errors > 0) & (errors < 0.5)).all()


def test_errors_are_those_of_a_correlation_over_all_shifts():
    """Against the whole grid of integer translations, by FFTs of the images themselves."""
    views, _ = simulated(1, noise=0.0)
    candidates = turned(np.zeros((6, 6)), 90, 0)
    errors = [convolution_matching_poses(TRUTH[None], views, PSF[None], one[None, None])[1][0] for one in candidates]
    expected = []
    for one in candidates:
        shown = fastmpr.simulate(TRUTH, PSF, Poses(Rotation.from_euler("XZX", [one[:3]], degrees=True)))[0]
        a, b = (np.fft.fftn(image - image.mean()) for image in (shown, views[0, 0]))
        fine = np.fft.ifftn(np.fft.ifftshift(np.pad(np.fft.fftshift(a.conj() * b), SIZE))).real * 27
        expected.append(np.sqrt(1 - (fine.max() / np.sqrt((np.abs(a) ** 2).mean() * (np.abs(b) ** 2).mean())) ** 2))
    np.testing.assert_allclose(errors, expected, atol=0.02)
    assert np.argmin(errors) == np.argmin(expected)


def test_the_same_candidates_for_all_views_or_for_each():
    views, poses = simulated(3)
    shared = np.broadcast_to(np.vstack([poses, turned(poses, 30, 0)]), (3, 6, 6))
    best, errors = convolution_matching_poses(TRUTH[None], views, PSF[None], shared)
    np.testing.assert_array_equal(best[:, :3], poses[:, :3])
    own = shared.copy()
    own[1], own[2] = np.roll(shared[1], 1, axis=0), np.roll(shared[2], 2, axis=0)
    best_of_own, errors_of_own = convolution_matching_poses(TRUTH[None], views, PSF[None], own)
    np.testing.assert_allclose(best_of_own, best, atol=1e-6)
    np.testing.assert_allclose(errors_of_own, errors, atol=1e-6)


def test_channels_add_up():
    views, poses = simulated(3)
    other = particle(seed=5)
    second = fastmpr.simulate(other, PSF, Poses(Rotation.from_euler("XZX", poses[:, :3], degrees=True), poses[:, 3:]))
    both, psf = np.concatenate([views, second[:, None]], 1), np.stack([PSF, PSF])
    candidates = np.stack([turned(poses, 20, 0), poses], 1)
    best, errors = convolution_matching_poses(np.stack([TRUTH, other]), both, psf, candidates)
    np.testing.assert_array_equal(best[:, :3], poses[:, :3])
    _, wrong = convolution_matching_poses(np.stack([TRUTH, TRUTH]), both, psf, candidates)
    assert (wrong > errors + 0.1).all()
    blind = np.stack([PSF, 1e-9 * PSF])  # a channel that the PSF dims does not count
    _, first = convolution_matching_poses(np.stack([TRUTH, TRUTH]), both * [[[[[1]]], [[[1e-9]]]]], blind, candidates)
    _, alone = convolution_matching_poses(TRUTH[None], views, PSF[None], candidates)
    np.testing.assert_allclose(first, alone, atol=1e-3)


def test_directions_on_a_grid():
    """A round particle: the direction of its axis is known up to the grid."""
    z, y, x = np.ogrid[(slice(-10.5, 11),) * 3]
    rod = np.exp(-((z - 4) ** 2 + y**2 + x**2) / 6) + 0.6 * np.exp(-((z + 3) ** 2 + y**2 + x**2) / 12)
    views, poses = simulated(5, truth=rod.astype("f4"))
    best, errors = find_angles_grid(np, rod[None], views, PSF[None], precision=15)
    assert best.shape == (5, 6) and best.dtype == errors.dtype == views.dtype
    assert (best[:, 2] == 0).all()
    axes, true = (Rotation.from_euler("XZX", p[:, :3], degrees=True).apply([1, 0, 0]) for p in (best, poses))
    assert np.degrees(np.arccos((axes * true).sum(axis=1))).max() < 12
    finer, _ = find_angles_grid(np, rod[None], views, PSF[None], precision=5)
    axes = Rotation.from_euler("XZX", finer[:, :3], degrees=True).apply([1, 0, 0])
    assert np.degrees(np.arccos((axes * true).sum(axis=1))).max() < 5


# --------------------------------------------------------------------------------------------------------------
# Refinement
# --------------------------------------------------------------------------------------------------------------


def test_poses_become_better_and_the_volume_is_theirs():
    views, poses = simulated(12)
    start = turned(poses, 8, 1.5)
    volume, found = refine(views, PSF[None], start, steps=[5, 5, 5], ranges=[20, 10, 5], lambda_=1e-4)
    assert volume.dtype == found.dtype == views.dtype
    assert np.median(angles_between(start, poses, True)) > 8
    assert angles_between(found, poses, True).max() < 2
    again = reconstruction_L2(views, PSF[None], found, 1e-4, multichannel=True)
    np.testing.assert_allclose(volume, again, atol=1e-4 * again.max())


def test_an_initial_volume_is_what_the_first_step_sees():
    views, poses = simulated(4)
    start = turned(poses, 8, 1.5)
    _, found = refine(views, PSF[None], start, [5], [20], initial_volume=TRUTH[None])
    assert angles_between(found, poses).max() < 2
    assert np.abs(found[:, 3:] - poses[:, 3:]).max() < 0.2
    larger = np.pad(TRUTH, 3)[None]
    np.testing.assert_allclose(refine(views, PSF[None], start, [5], [20], larger)[1], found, atol=1e-4)


def test_what_a_step_searches():
    views, poses = simulated(4)
    far = turned(poses, 50, 5)

    def found(step: Any, length: float) -> NDArray:
        return refine(views, PSF[None], far, [step], [length], initial_volume=TRUTH[None])[1]

    assert angles_between(found((100, 10), 0), poses).max() < 2
    assert angles_between(found(5, 110), poses).max() < 2
    assert angles_between(found(5, 5), poses).max() > 20
    kept = found(3, 0)
    assert angles_between(kept, far).max() < 0.01
    assert np.abs(kept[:, 3:] - far[:, 3:]).max() > 1


def test_a_symmetry_about_the_first_axis():
    truth = fastmpr.phantom.centriole((24, 24, 24), dtype=np.float32)
    views, poses = simulated(10, truth=truth)
    start = turned(poses, 10, 1)
    turns = np.zeros((9, 1, 6))
    turns[:, 0, 2] = 40 * np.arange(9)
    volume, found = refine(views, PSF[None], start, [5], [10], truth[None], 1e-4, symmetry=9)
    again = reconstruction_L2(views, PSF[None], found + turns, 1e-4, symmetry=True, multichannel=True)
    np.testing.assert_allclose(volume, again, atol=1e-4 * again.max())
    assert np.min([angles_between(found, poses + turn) for turn in turns], axis=0).max() < 2
    _, own = refine(views, PSF[None], start, [5] * 3, [20] * 3, symmetry=9)
    axes, first, true = (
        Rotation.from_euler("XZX", p[:, :3], degrees=True).apply([1, 0, 0]) for p in (own, start, poses)
    )
    off, before = (np.degrees(np.arccos((one * true).sum(axis=1))).mean() for one in (axes, first))
    assert off < before / 2, (off, before)


def test_two_channels_share_their_poses():
    truth = np.stack([TRUTH, particle(seed=5)])
    (first, poses), (second, _) = simulated(6), simulated(6, noise=0.06, truth=truth[1])
    views, psf = np.concatenate([first, second], 1), np.stack([PSF, PSF])
    volume, found = refine(views, psf, turned(poses, 8, 1), [5], [20], initial_volume=truth)
    assert volume.shape == (2, SIZE, SIZE, SIZE)
    assert angles_between(found, poses).max() < 2


def test_what_is_not_used_is_logged(caplog):
    views, poses = simulated(3)
    with caplog.at_level(logging.INFO, "fastmpr"):
        refine(views, PSF[None], poses, [(1000, 20), 5], [0, 10], TRUTH[None], batch_size=64)
        convolution_matching_poses(TRUTH[None], views, PSF[None], poses[:, None], batch_size=3)
    text = caplog.text
    assert "steps: found [(1000, 20), 5]; the numbers of candidates are not used" in text
    assert "batch_size: found 64, not used" in text and "batch_size: found 3, not used" in text


# --------------------------------------------------------------------------------------------------------------
# From particles alone
# --------------------------------------------------------------------------------------------------------------


def test_ab_initio_finds_and_writes(tmp_path, caplog):
    views, poses = simulated(14, noise=0.02)
    seen: list[Any] = []
    with caplog.at_level(logging.INFO, "fastmpr"):
        run = AbInitioReconstruction(callback=lambda x, epoch: seen.append((x, epoch)), N_iter_max=5, dtype="float32")
        names = [f"p{i}.tif" for i in range(14)]
        assert run.fit(views[:, 0], psf=PSF, output_dir=str(tmp_path / "out" / "run"), particles_names=names) is run
    assert "N_iter_max=5, not used" in caplog.text
    assert angles_between(run._poses, poses, True).max() < 2
    assert (run._num_iter, run._energies.shape, run._volume.shape) == (1, (1,), (SIZE,) * 3)
    assert len(seen) == 1 and seen[0][1] == 1
    np.testing.assert_array_equal(seen[0][0], run._volume)
    folder = tmp_path / "out" / "run"
    for name in ("final_recons.ome.tiff", "intermediar_results/recons_epoch_1.ome.tiff"):
        np.testing.assert_array_equal(tifffile.imread(folder / name), run._volume)
    for name in ("poses.csv", "intermediar_results/estimated_poses_epoch_1.csv"):
        written = Poses.read(folder / name)
        assert written.names == tuple(names)
        np.testing.assert_allclose(given(written), run._poses, atol=1e-6)
    energies = np.load(folder / "energies" / "energies_each_view_iter=0001.npy")
    assert energies.shape == (14, 1) and float((folder / "energies.csv").read_text()) == pytest.approx(energies.mean())
    assert json.loads((folder / "params_learning_alg.json").read_text())["N_iter_max"] == 5
    assert (folder / "distributions_angles").is_dir() and (folder / "views_selected").is_dir()


def test_energies_are_what_is_left_of_the_views(tmp_path):
    """Of scaled views: as much as the noise, where the noise is all that a volume leaves."""
    views, _ = simulated(14, noise=0.05)
    views = 3 * views + 1
    run = AbInitioReconstruction().fit(views[:, 0], psf=PSF, output_dir=tmp_path)
    noise = 3 * 0.05 / np.ptp(views[:, 0], axis=(1, 2, 3))
    assert 0.8 < run._energies[0] / (SIZE**3 * (noise**2).mean()) < 1.2


def test_old_files_of_a_run_are_replaced_and_others_stay(tmp_path):
    views, _ = simulated(6)
    (tmp_path / "energies.csv").write_text("1\n2\n")
    (tmp_path / "mine.txt").write_text("mine")
    AbInitioReconstruction().fit(views[:, 0], psf=PSF, output_dir=tmp_path)
    assert len((tmp_path / "energies.csv").read_text().splitlines()) == 1
    assert (tmp_path / "mine.txt").read_text() == "mine"


# --------------------------------------------------------------------------------------------------------------
# Arrays of other libraries, and what is wrong
# --------------------------------------------------------------------------------------------------------------


def test_tensors_come_out_as_such(tmp_path):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    views, poses = simulated(4)
    given_arrays = [torch.from_numpy(a) for a in (TRUTH[None], views, PSF[None].astype("f4"), poses[:, None])]
    best, errors = convolution_matching_poses(*given_arrays, device="cpu")
    volume, found = refine(*given_arrays[1:3], given_arrays[3][:, 0], [3], [5], device="cpu")
    run = AbInitioReconstruction().fit(given_arrays[1][:, 0], psf=given_arrays[2][0], output_dir=tmp_path)
    for array in (best, errors, volume, found, run._volume, run._poses, run._energies):
        assert isinstance(array, torch.Tensor)


def test_strict_arrays_come_out_as_such():
    xp = pytest.importorskip("array_api_strict", reason="needs array-api-strict")
    views, poses = simulated(3)
    arrays = [xp.asarray(a) for a in (TRUTH[None], views, PSF[None], poses[:, None])]
    for array in (*convolution_matching_poses(*arrays), *refine(*arrays[1:3], xp.asarray(poses), [3], [5])):
        assert array.__array_namespace__() is xp


def test_nothing_given_is_changed():
    views, poses = simulated(3)
    arrays = [TRUTH[None].copy(), views, PSF[None], poses[:, None].copy(), poses]
    for array in arrays:
        array.flags.writeable = False
    convolution_matching_poses(*arrays[:4])
    refine(views, arrays[2], poses, [3], [5])


def test_another_device_is_said():
    views, poses = simulated(3)
    with pytest.warns(FastmprWarning, match="device: found cuda:0"):
        convolution_matching_poses(TRUTH[None], views, PSF[None], poses[:, None], device="cuda:0")


VIEWS, POSES = simulated(3)
MATCHING = {"reference": TRUTH[None], "volumes": VIEWS, "psf": PSF[None], "potential_poses": POSES[:, None]}
REFINING = {"patches": VIEWS, "psf": PSF[None], "guessed_poses": POSES, "steps": [3], "ranges": [5]}


@pytest.mark.parametrize(
    ("function", "changed", "message"),
    [
        (
            convolution_matching_poses,
            {"volumes": VIEWS[:, 0]},
            r"volumes: found an array of shape .*need \(N, C, D, D, D\)",
        ),
        (
            convolution_matching_poses,
            {"reference": TRUTH},
            r"reference: found an array of shape .*need \(1, 22, 22, 22\)",
        ),
        (convolution_matching_poses, {"reference": 0 * TRUTH[None]}, "reference: found zeros only"),
        (convolution_matching_poses, {"psf": PSF}, r"psf: found an array of shape .*need \(C, d, h, w\)"),
        (convolution_matching_poses, {"potential_poses": POSES}, r"potential_poses: .*need \(3, M, 6\)"),
        (convolution_matching_poses, {"potential_poses": np.nan * POSES[:, None]}, "potential_poses: found NaN"),
        (refine, {"patches": VIEWS[:, 0]}, r"patches: found an array of shape .*need \(N, C, D, D, D\)"),
        (
            refine,
            {"guessed_poses": POSES[:2]},
            r"guessed_poses: found an array of shape \(2, 6\), need \(3, 6\), for 3 patches",
        ),
        (refine, {"guessed_poses": 1e13 * POSES}, "guessed_poses: found a translation of .*, need at most 1e"),
        (refine, {"steps": []}, "ranges: found 1 for 0 steps"),
        (refine, {"steps": [3, 3]}, "ranges: found 1 for 2 steps"),
        (refine, {"steps": [(10, 10)]}, r"steps: found \(10, 10\) with the range 5"),
        (refine, {"steps": [0]}, "steps: found 0 with the range 5"),
        (refine, {"ranges": [-1]}, "ranges: found -1"),
        (refine, {"symmetry": 0}, "symmetry: found 0"),
        (refine, {"convention": "ZYZ"}, "convention: found 'ZYZ', need 'XZX'"),
        (refine, {"lambda_": 0}, "lambda_: found 0"),
        (
            refine,
            {"initial_volume": TRUTH},
            r"initial_volume: found an array of shape \(22, 22, 22\), need \(1, d, h, w\)",
        ),
    ],
)
def test_one_line_that_names_the_argument(function, changed, message):
    right = MATCHING if function is convolution_matching_poses else REFINING
    with pytest.raises((ValueError, TypeError), match=f"^{message}") as caught:
        function(**{**right, **changed})
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_views_that_show_nothing():
    with pytest.raises(ValueError, match="^patches: found no signal above the background"):
        refine(**{**REFINING, "patches": 0 * VIEWS})


def test_what_ab_initio_refuses(tmp_path):
    with pytest.raises(TypeError, match="^AbInitioReconstruction: found no keyword 'N_axis', did you mean 'N_axes'"):
        AbInitioReconstruction(N_axis=3)
    with pytest.raises(ValueError, match="^convention: found 'zxz', need 'XZX'"):
        AbInitioReconstruction(convention="zxz")
    with pytest.raises(ValueError, match="^dtype: found float16"):
        AbInitioReconstruction(dtype="float16")
    run = AbInitioReconstruction()
    with pytest.raises(ValueError, match="^psf: found none"):
        run.fit(VIEWS[:, 0])
    with pytest.raises(ValueError, match=r"^X: found an array of shape .*need \(N, D, D, D\)"):
        run.fit(VIEWS, psf=PSF)
    with pytest.raises(ValueError, match="^names: found 1, need 3"):
        run.fit(VIEWS[:, 0], psf=PSF, particles_names=["a"])
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file: is a file, need a folder"):
        run.fit(VIEWS[:, 0], psf=PSF, output_dir=tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]
    assert run._volume is run._poses is run._energies is run._num_iter is None


def test_the_signatures_are_those_of_spfluo():
    names = {
        convolution_matching_poses: "reference volumes psf potential_poses device batch_size",
        find_angles_grid: "xp reconstruction patches psf precision",
        refine: "patches psf guessed_poses steps ranges initial_volume lambda_ symmetry convention device batch_size",
        AbInitioReconstruction.fit: "self X psf output_dir minibatch_size particles_names",
    }
    for function, expected in names.items():
        assert list(inspect.signature(function).parameters) == expected.split()
