"""SPFluo's reconstruction by fastmpr: against a slow twin, and in the place of SPFluo's own, stood in for by a small one."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import naive
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.compat.spfluo import patch, reconstruction_L2
from fastmpr.kernels.closed_form import add_pair, turn


def problem(size: int, psf_shape: tuple[int, int, int] = (9, 7, 7), seed: int = 0, views: int = 3) -> Any:
    """Views with something at their borders, a PSF, poses (2, 4, N, 6): two reconstructions by four copies."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[tuple(slice(-(n - 1) / 2, n / 2) for n in psf_shape)]
    psf = np.exp(-(z**2) / 6 - (y**2 + x**2) / 3) * (1 + 0.1 * z)
    poses = np.concatenate([rng.uniform(-180, 180, (2, 4, views, 3)), rng.uniform(-2, 2, (2, 4, views, 3))], -1)
    return rng.random((views, size, size, size)), psf / psf.sum(), poses


def close(x: Any, expected: Any, tol: float) -> None:
    assert np.abs(x - expected).max() <= tol * np.abs(expected).max()


# --------------------------------------------------------------------------------------------------------------
# The numbers
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [11, 12])
@pytest.mark.parametrize(
    "psf_shape", [(9, 7, 7), (8, 7, 10), (15, 13, 14)], ids=["small", "even", "larger than the views"]
)
def test_it_is_the_closed_form(size, psf_shape, exact):
    views, psf, poses = problem(size, psf_shape)
    for lambda_ in (1e-3, 0.3):
        x = reconstruction_L2(views, psf, poses[0], lambda_, symmetry=True, exact=exact)
        close(x, naive.spfluo_l2(views, psf, poses[0], lambda_, exact), 1e-6 if exact else 1e-12)


def test_angles_in_radians_are_suspected():
    views, psf, _ = problem(10)
    poses = fastmpr.Poses.random(3, rng=0)
    given = np.hstack([poses.rotation.as_euler("XZX"), poses.translation])
    with pytest.warns(
        fastmpr.FastmprWarning, match="^poses: found 3 poses with angles up to .* which look like radians"
    ):
        reconstruction_L2(views, psf, given, 1.0)
    reconstruction_L2(views, psf, np.zeros((3, 6)), 1.0)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("copies", [0, 1, 4])
@pytest.mark.parametrize("channels", [0, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_shape_has_its_meaning(batch, copies, channels, dtype):
    views, psf, poses = problem(10)
    views, psf = views.astype(dtype), psf.astype(dtype)
    poses, lambdas = (poses[:, :copies] if copies else poses[:, 0]), np.array([0.01, 0.2], dtype)
    if channels:
        views, psf = np.stack([views, 1000 * views[::-1]], axis=1), np.stack([psf, 3 * psf[::-1]])
    first = (slice(None),) if batch else (0,)
    x = reconstruction_L2(
        views, psf, poses[first], lambdas[first], batch, copies > 0, multichannel=channels > 0, exact=True
    )
    assert x.dtype == dtype
    assert x.shape == (2,) * batch + (channels,) * (channels > 0) + (10, 10, 10)
    x = x.reshape(2 if batch else 1, channels or 1, 10, 10, 10)
    for m, volumes in enumerate(x):
        for c, volume in enumerate(volumes):
            one, blur = (views[:, c], psf[c]) if channels else (views, psf)
            expected = naive.spfluo_l2(one, blur, poses[m].reshape(-1, 3, 6), float(lambdas[m]), True)
            close(volume, expected, 2e-5 if dtype == "f4" else 1e-6)


def test_views_much_brighter_than_the_psf_do_not_drown_it():
    views, psf, poses = problem(11)
    expected = naive.spfluo_l2(views, psf, poses[0], 1e-4, True)
    for gain in (1e-9, 1.0, 1e9):
        x = reconstruction_L2((gain * views).astype("f4"), psf.astype("f4"), poses[0], 1e-4, symmetry=True)
        close(x / gain, expected, 1e-4)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_turning_by_linear_interpolation(dtype):
    rng = np.random.default_rng(0)
    volume = rng.random((7, 8, 9)).astype(dtype)
    for rotation in (Rotation.random(random_state=1).as_matrix(), np.eye(3), np.eye(3)[::-1].copy()):
        origin = rng.uniform(-1, 3, 3)
        out = np.full((6, 5, 11, 2), 7, dtype)
        turn(np.pad(volume, (0, 1)), rotation, origin, out, 1)
        expected = naive.scipy.ndimage.affine_transform(
            volume, rotation, origin, out.shape[:3], order=1, prefilter=False
        )
        close(out[..., 1], expected, 1e-6 if dtype == "f4" else 1e-13)
        assert (out[..., 0] == 7).all()


def test_the_sums_of_a_pair_are_those_of_two_transforms():
    rng = np.random.default_rng(0)
    for shape in ((5, 6, 7), (4, 5, 6), (1, 2, 1)):
        h, y = rng.random((2, *shape))
        h_hat, y_hat = np.fft.rfftn(h), np.fft.rfftn(y)
        gram, rhs = np.ones(h_hat.shape), np.ones_like(h_hat)
        add_pair(np.fft.fftn(h + 1j * y), gram, rhs)
        np.testing.assert_allclose(gram - 1, np.abs(h_hat) ** 2, atol=1e-9)
        np.testing.assert_allclose(rhs - 1, np.conj(h_hat) * y_hat, atol=1e-9)


def test_even_cubes_are_sharper_unless_exact():
    truth = fastmpr.phantom.centriole((24, 24, 24))
    psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    poses = fastmpr.Poses.random(8, rng=0)
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.01, rng=0)
    given = np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])
    ours, theirs = (reconstruction_L2(views, psf, given, 1e-3, exact=exact) for exact in (False, True))
    assert fastmpr.metrics.psnr(ours, truth) > fastmpr.metrics.psnr(theirs, truth) + 0.3


# --------------------------------------------------------------------------------------------------------------
# Arrays of other libraries
# --------------------------------------------------------------------------------------------------------------


class Foreign:
    """An array that other libraries reach by DLPack only, on a device of some kind."""

    def __init__(self, array: Any, device: int = 1):
        self.array, self.device = np.asarray(array), device

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0

    def __array_namespace__(self) -> Any:
        return SimpleNamespace(from_dlpack=lambda x: Foreign(np.from_dlpack(x)))


class Plain:
    """What only NumPy can read."""

    def __init__(self, array: Any):
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.array, dtype)


def test_the_same_kind_comes_out():
    views, psf, poses = problem(8)
    expected = reconstruction_L2(views, psf, poses[0, 0], 0.1)
    foreign = reconstruction_L2(*map(Foreign, (views, psf, poses[0, 0])), Foreign(np.array(0.1)))
    assert isinstance(foreign, Foreign)
    np.testing.assert_array_equal(foreign.array, expected)
    plain = reconstruction_L2(*map(Plain, (views, psf, poses[0, 0])), 0.1)
    assert type(plain) is np.ndarray
    np.testing.assert_array_equal(plain, expected)
    lists = reconstruction_L2(views.tolist(), psf.tolist(), poses[0, 0].tolist(), [0.1])
    np.testing.assert_array_equal(lists, expected)


def test_a_tensor_comes_out_as_one():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    views, psf, poses = problem(8)
    x = reconstruction_L2(*map(torch.from_numpy, (views, psf, poses[0, 0])), torch.tensor(0.1), device="cpu")
    assert isinstance(x, torch.Tensor)
    close(x.numpy(), reconstruction_L2(views, psf, poses[0, 0], 0.1), 1e-6)


def test_strict_arrays_come_out_as_such():
    xp = pytest.importorskip("array_api_strict", reason="needs array-api-strict")
    views, psf, poses = problem(8)
    x = reconstruction_L2(*map(xp.asarray, (views, psf, poses[0, 0])), xp.asarray(0.1), device=xp.asarray(1.0).device)
    assert x.__array_namespace__() is xp
    expected = reconstruction_L2(views, psf, poses[0, 0], 0.1)
    away = float(xp.max(xp.abs(x - xp.asarray(expected))))  # an older NumPy does not give such an array away again
    assert away <= 1e-12 * np.abs(expected).max()


def test_nothing_given_is_changed():
    views, psf, poses = problem(8)
    given = [views.astype("f4"), psf.astype("f4"), poses.astype("f4"), np.array([0.1, 0.2], "f4")]
    before = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    reconstruction_L2(*given, batch=True, symmetry=True, exact=True)
    for array, old in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, old)


# --------------------------------------------------------------------------------------------------------------
# What is wrong
# --------------------------------------------------------------------------------------------------------------

VIEWS, PSF, POSES = problem(6, (3, 3, 3))
POSES = POSES[0, 0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"volumes": VIEWS[:, :5]}, r"volumes: found volumes of \(5, 6, 6\) voxels, .*cubes"),
        ({"volumes": VIEWS[0]}, r"volumes: found an array of shape \(6, 6, 6\), need \(N, D, D, D\)"),
        ({"multichannel": True}, r"volumes: found an array of shape .* need \(N, C, D, D, D\)"),
        ({"volumes": np.full_like(VIEWS, np.nan)}, "volumes: found 648 NaN"),
        ({"volumes": VIEWS + 1j}, "volumes: found dtype complex128"),
        ({"volumes": Foreign(VIEWS, device=2)}, "volumes: found an array on a GPU"),
        ({"psf": Foreign(PSF, device=10)}, "psf: found an array on a GPU"),
        ({"psf": PSF[0]}, r"psf: found an array of shape \(3, 3\), need \(d, h, w\)"),
        ({"psf": -PSF}, "psf: found a sum that is not positive"),
        (
            {"psf": PSF[None], "volumes": np.stack([VIEWS] * 2, 1), "multichannel": True},
            "psf: found 1 channels, need the 2",
        ),
        ({"poses": POSES[:2]}, r"poses: found an array of shape \(2, 6\), need \(3, 6\), for 3 volumes"),
        ({"poses": POSES[None]}, r"poses: found an array of shape \(1, 3, 6\), need \(3, 6\)"),
        ({"symmetry": True}, r"poses: found an array of shape \(3, 6\), need \(k, 3, 6\)"),
        ({"batch": True}, r"poses: found an array of shape \(3, 6\), need \(M, 3, 6\)"),
        ({"poses": POSES * np.inf}, "poses: found NaN or infinite"),
        ({"lambda_": 0}, "lambda_: found 0, need a positive finite number"),
        ({"lambda_": [1, 2]}, r"lambda_: found \[1, 2\], need a positive finite number"),
        ({"lambda_": "much"}, "lambda_: found 'much', need a positive finite number"),
        ({"poses": np.stack([POSES] * 2), "batch": True}, "lambda_: found 0.1, need 2 positive finite numbers"),
    ],
)
def test_one_line_that_names_the_argument(changed, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        reconstruction_L2(**{"volumes": VIEWS, "psf": PSF, "poses": POSES, "lambda_": 0.1} | changed)
    assert "\n" not in str(caught.value)


def test_another_device_is_said():
    with pytest.warns(fastmpr.FastmprWarning, match="device: found cuda:0"):
        x = reconstruction_L2(VIEWS, PSF, POSES, 0.1, device="cuda:0", batch_size=4)
    np.testing.assert_array_equal(x, reconstruction_L2(VIEWS, PSF, POSES, 0.1, device="cpu"))


# --------------------------------------------------------------------------------------------------------------
# In the place of another's
# --------------------------------------------------------------------------------------------------------------

HOME = """
def reconstruction_L2(*arguments, **options):
    return 'its own'

convolution_matching_poses = find_angles_grid = refine = lambda *arguments, **options: 'its own'
"""
API = "class AbInitioReconstruction:\n    pass\n"
CALLER = """
from spfluo.refinement.refinement import reconstruction_L2

def call(*given):
    return reconstruction_L2(*given)
"""
PROGRAM = """
import sys
from array_api_compat.numpy import to_device
from spfluo.refinement import reconstruction_L2
print(sys.argv[1:], sys.argv[0] == __file__, __name__, reconstruction_L2.__module__)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Path:
    """A package that has SPFluo's names, and nothing else of it."""
    files = {
        "spfluo/__init__.py": "",
        "spfluo/refinement/__init__.py": "from .refinement import *\n",
        "spfluo/ab_initio_reconstruction/__init__.py": "",
        "spfluo/ab_initio_reconstruction/api.py": API,
        "spfluo/refinement/refinement.py": HOME,
        "spfluo/refinement/__main__.py": PROGRAM,
        "spfluo/early.py": CALLER,
        "spfluo/late.py": CALLER,
        "spfluo-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: spfluo\nVersion: 0.1.0\n",
        "array_api_compat/__init__.py": "def to_device(x, device):\n    return x\n",
        "array_api_compat/numpy.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("spfluo", "array_api_compat")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("spfluo", "array_api_compat")]:
        del sys.modules[name]


def called(name: str) -> str:
    """Who answers where a module of the stand-in calls the function by the name that it imported."""
    answer = importlib.import_module(name).call(VIEWS, PSF, POSES, 0.1)
    return answer if isinstance(answer, str) else "ours"


def test_all_modules_get_it_and_give_it_back(stand_in):
    assert called("spfluo.early") == "its own"
    own = importlib.import_module("spfluo.refinement").reconstruction_L2
    patched = patch()
    assert called("spfluo.early") == called("spfluo.late") == "ours"
    assert importlib.import_module("spfluo.refinement").reconstruction_L2 is not own
    patched.undo()
    patched.undo()
    assert called("spfluo.early") == called("spfluo.late") == "its own"
    assert importlib.import_module("spfluo.refinement").reconstruction_L2 is own
    assert not hasattr(importlib.import_module("array_api_compat.numpy"), "to_device")


SEARCHES = ("convolution_matching_poses", "find_angles_grid", "refine")


def test_the_pose_search_too(stand_in):
    home, package = (importlib.import_module(f"spfluo.refinement{end}") for end in (".refinement", ""))
    api = importlib.import_module("spfluo.ab_initio_reconstruction.api")
    own_class = api.AbInitioReconstruction
    with patch():
        for name in SEARCHES:
            ours, function = getattr(fastmpr.compat.spfluo, name), getattr(package, name)
            assert getattr(home, name) is function is not ours
            assert inspect.signature(function) == inspect.signature(ours)
        assert issubclass(api.AbInitioReconstruction, fastmpr.compat.spfluo.AbInitioReconstruction)
    assert {getattr(module, name)() for name in SEARCHES for module in (home, package)} == {"its own"}
    assert api.AbInitioReconstruction is own_class
    assert fastmpr.compat.spfluo.refine.__module__ == "fastmpr.compat.spfluo.refinement"  # a user's import stays


def test_the_search_alone_if_ab_initio_cannot_be_imported(stand_in, caplog):
    (stand_in / "spfluo" / "ab_initio_reconstruction" / "api.py").write_text("import nothing_of_the_kind\n")
    with caplog.at_level("INFO", "fastmpr"), patch():
        assert importlib.import_module("spfluo.refinement").refine.__module__ == "fastmpr.compat.spfluo.refinement"
    assert "so it is not patched" in caplog.text


def test_a_refinement_with_another_prior(stand_in, caplog):
    truth = fastmpr.phantom.centriole((16, 16, 16), dtype=np.float32)
    psf = fastmpr.psf.gaussian((9, 5, 5), sigma=(2, 1, 1))
    poses = fastmpr.Poses.random(4, rng=0)
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)[:, None]
    given = np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])
    with caplog.at_level("INFO", "fastmpr"), patch("hessian"):
        spfluo = importlib.import_module("spfluo.refinement")
        volume, found = spfluo.refine(views, psf[None], given, [3], [5], initial_volume=truth[None])
        expected = spfluo.reconstruction_L2(views, psf[None], found, 1.0, multichannel=True)
    assert "lambda_: ignored" in caplog.text
    np.testing.assert_allclose(volume, expected, atol=1e-4 * expected.max())


def test_it_has_the_signature_of_spfluo(stand_in):
    order = ["volumes", "psf", "poses", "lambda_", "batch", "symmetry", "device", "batch_size", "multichannel"]
    with patch():
        function = importlib.import_module("spfluo.refinement").reconstruction_L2
    assert list(inspect.signature(function).parameters) == order
    assert list(inspect.signature(reconstruction_L2).parameters) == [*order, "exact"]


def test_an_exception_restores_it_too(stand_in):
    with pytest.raises(KeyError), patch():
        assert called("spfluo.late") == "ours"
        raise KeyError
    assert called("spfluo.late") == "its own"


def test_a_module_of_someone_else_that_imported_it_by_name(stand_in, monkeypatch):
    module = ModuleType("someone")
    module.__dict__["reconstruction_L2"] = importlib.import_module("spfluo.refinement").reconstruction_L2
    monkeypatch.setitem(sys.modules, "someone", module)
    monkeypatch.setitem(sys.modules, "no module", SimpleNamespace(reconstruction_L2=[]))  # some put other things there
    with patch():
        assert not isinstance(module.reconstruction_L2(VIEWS, PSF, POSES, 0.1), str)
    assert module.reconstruction_L2() == "its own"


def test_the_last_of_nested_patches_holds(stand_in, monkeypatch):
    spfluo = importlib.import_module("spfluo.refinement.refinement")
    own = spfluo.reconstruction_L2
    with patch():
        outer = spfluo.reconstruction_L2
        with patch("hessian"):
            assert spfluo.reconstruction_L2 not in (own, outer)
            importlib.import_module("spfluo.late")
        assert spfluo.reconstruction_L2 is outer
        assert importlib.import_module("spfluo.late").reconstruction_L2 is outer
    assert spfluo.reconstruction_L2 is own
    first, second = patch(), patch()
    inner = spfluo.reconstruction_L2
    first.undo()
    assert spfluo.reconstruction_L2 is inner
    second.undo()
    assert spfluo.reconstruction_L2 is own


def test_another_version_is_said_and_tried(stand_in):
    metadata = stand_in / "spfluo-0.1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("0.1.0", "0.2.0"), encoding="utf-8")
    with pytest.warns(fastmpr.FastmprWarning, match=r"spfluo: found version 0\.2\.0"), patch():
        assert called("spfluo.late") == "ours"


def test_a_version_without_the_function_is_refused(stand_in):
    (stand_in / "spfluo" / "refinement" / "refinement.py").write_text("", encoding="utf-8")
    (stand_in / "spfluo" / "refinement" / "__init__.py").write_text("", encoding="utf-8")
    with pytest.raises(
        ImportError, match=r'found version 0\.1\.0, whose .* has no reconstruction_L2, .*"fastmpr\[spfluo\]"'
    ):
        patch()


def test_no_spfluo_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "spfluo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "spfluo", None)
    message = r'spfluo: found no SPFluo that can be imported .*pip install "fastmpr\[spfluo\]"$'
    with pytest.raises(ImportError, match=f"^{message}"):
        patch()
    program = importlib.import_module("fastmpr.compat.spfluo.__main__")
    monkeypatch.setattr(sys, "argv", ["", "-m", "spfluo.refinement"])
    with pytest.raises(SystemExit, match=f"^python -m fastmpr.compat.spfluo: error: {message}"):
        program.main()


@pytest.mark.parametrize("wrong", ["hesian", 3])
def test_no_such_regulariser(stand_in, wrong):
    with pytest.raises((ValueError, TypeError), match="regularizer: found"):
        patch(wrong)
    assert called("spfluo.late") == "its own"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastmpr.compat.spfluo", *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{Path(fastmpr.__file__).parents[1]}"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=120)


@pytest.mark.slow
def test_a_module_runs_on_it_in_a_process_of_its_own(stand_in):
    done = run(stand_in, "-m", "spfluo.refinement", "-m", "--regularizer", "x y")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['-m', '--regularizer', 'x y'] True __main__ fastmpr.compat.spfluo.reconstruction"
    assert run(stand_in, "--regularizer", "l0", "-m", "spfluo.refinement").returncode == 2
    assert "MODULE" in run(stand_in).stderr


# --------------------------------------------------------------------------------------------------------------
# The upgraded answer
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("psf_shape", [(15, 9, 9), (14, 9, 10)])
def test_the_upgrade_is_in_the_same_units_and_better(stand_in, psf_shape, caplog):
    truth = fastmpr.phantom.centriole((24, 24, 24), dtype=np.float32)
    z, y, x = np.ogrid[tuple(slice(-(n - 1) / 2, n / 2) for n in psf_shape)]
    psf = np.exp(-(z**2) / 18 - (y**2 + x**2) / 2).astype("f4")
    odd = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    poses = fastmpr.Poses.random(9, rng=0)
    views = fastmpr.simulate(truth, odd, poses, noise_sigma=0.02, rng=0)
    views = np.stack([views, 3 * views], axis=1) * psf.sum()
    angles = np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])
    copies = np.stack([angles, angles])[None]  # (M, k, N, 6)
    copies[0, 1, :, 2] += 40
    given = views, np.stack([psf, psf]), copies, np.ones(1)
    with patch("hessian"), caplog.at_level(logging.INFO, "fastmpr"):
        function = importlib.import_module("spfluo.refinement").reconstruction_L2
        x = function(*given, batch=True, symmetry=True, multichannel=True)
    assert "lambda_: found" in caplog.text
    assert "ignored" in caplog.text
    assert x.shape == (1, 2, 24, 24, 24)
    assert x.dtype == np.float32
    for c, gain in enumerate((1, 3)):
        theirs = reconstruction_L2(views[:, c], psf, copies[0], 1e-3, symmetry=True)
        assert fastmpr.metrics.psnr(x[0, c], truth) > fastmpr.metrics.psnr(theirs, truth) + 1
        assert x[0, c].sum() == pytest.approx(gain * truth.sum(), rel=0.1)
