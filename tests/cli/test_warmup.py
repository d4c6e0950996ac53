"""Everything is compiled ahead: another process that finds the cache compiles nothing, whatever it calls."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from commands import refusal

import fastmpr
from fastmpr import warming
from fastmpr.kernels.rows import add
from fastmpr.runtime import wisdom
from fastmpr.solver.running import threads_for

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs the compiler")
KNOWN = """
import json
from fastmpr import warming

def known():
    '''Which versions of each kernel this process has, and which of them it compiled.'''
    names = {kernel: f"{kernel.__module__}.{kernel.__name__}" for kernel in warming._kernels()}
    have = sorted(f"{name} {signature}" for kernel, name in names.items() for signature in kernel.overloads)
    compiled = sorted(f"{name} {key}" for kernel, name in names.items() for key in kernel.stats.cache_misses)
    return json.dumps({"have": have, "compiled": compiled})
"""
WARM = f"""{KNOWN}
from fastmpr.cli import main
assert main(["warmup", "--shape", "8", "9", "10"]) == 0
print(known())
"""
# Other data than the command's, other layouts, and what a user would do with files or several processes.
USE = f"""{KNOWN}
import pickle
import numpy as np
import fastmpr
import fastmpr.compat.spfluo

for dtype in ("f4", "f8"):
    truth = np.asfortranarray(fastmpr.phantom.nuclear_pore((33, 36, 35), dtype=dtype))
    round_psf = fastmpr.psf.gaussian((9, 9, 9), sigma=(2, 1, 1))
    poses = fastmpr.Poses.random(9, max_translation=1.0, rng=1)
    for psf in (round_psf, round_psf * np.linspace(0.95, 1.05, 9)[:, None, None]):
        for frame in ("particle", "model"):
            views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.1, frame=frame, rng=0, workers=2)
            views = [np.asfortranarray(view).astype(f">{{dtype}}") for view in views]
            for options in ({{}}, {{"symmetry": "D2", "voxel_size": 0.1}}, {{"weights": np.arange(9.0)}}):
                data = fastmpr.Dataset(views, psf, poses, frame=frame, **options)
                for part in (data, data[3:4]):
                    fastmpr.average(part, workers=3)
                    sums = fastmpr.accumulate(part, workers=3)
    cubes, turned = np.asfortranarray(np.ones((2, 9, 9, 9), dtype)), np.ones((3, 2, 6), "f4")
    fastmpr.compat.spfluo.reconstruction_L2(cubes, round_psf, turned, 1.0, symmetry=True, exact=True)
    for name in fastmpr.regularizers.KNOWN:
        for part in (data, data[3:6]):  # lam by cross-validation, and inferred
            fastmpr.reconstruct(part, regularizer=name, workers=2, max_iter=12, callback=lambda result: None)
        fastmpr.deconvolve_average(part, regularizer=name, max_iter=2)
        sums = pickle.loads(pickle.dumps(sums))
        for k in range(4):
            arrays = sums.gram.copy(), sums.rhs.copy()
            for array, read_only in zip(arrays, (k & 1, k & 2), strict=True):
                array.flags.writeable = not read_only
            given = fastmpr.NormalEquations(*arrays, sums.energy, 9, sums.shape, 1.0)
            x = fastmpr.solve(given, 9.0, name, x0=np.ones(sums.shape, order="F"), max_iter=11, tol=0, mu=(1, 2)).x
            fastmpr.objective(np.asfortranarray(x), given, 9.0, name)
    low, high = np.indices(views[0].shape)[0] > 4, np.indices(views[0].shape)[1] < 28
    for cut in ([low, high] * 4 + [low], [np.where(low, view, np.nan) for view in views]):
        given = dict(seen=cut) if cut[0].dtype == bool else dict(particles=cut)
        for symmetry in (None, "C3"):
            for part in (data.replace(**given, symmetry=symmetry), data.replace(**given, symmetry=symmetry)[2:5]):
                fastmpr.reconstruct(part, workers=2, max_iter=4)
    for psf in (round_psf, round_psf * np.linspace(0.95, 1.05, 9)[:, None, None]):
        fastmpr.deconvolve(views[0], psf, workers=2)
        fastmpr.deconvolve(np.where(low, views[0], np.nan), psf, workers=2, max_iter=4)
    for name in set(fastmpr.regularizers.KNOWN) - {{"tikhonov"}}:
        for outside in ("unseen", "dark"):
            fastmpr.deconvolve(views[0], psf, lam=9.0, regularizer=name, outside=outside, max_iter=4)
    fastmpr.deconvolve(np.stack(views[:2]), psf, axes="TZYX", max_iter=4)
    fastmpr.deconvolve(views[0][3], psf[4], axes="YX", max_iter=4)
    fastmpr.diagnose(data[1:6], workers=2), fastmpr.residuals(data[1:4], truth)
    cubic = fastmpr.Dataset(views[:4], round_psf, poses[:4])
    for search in ("global", "local"):
        fastmpr.align(cubic, truth, search=search, workers=2)
    truth.flags.writeable = False
    h, g = fastmpr.operators.hessian(truth, voxel_size=(2, 1, 1)), fastmpr.operators.gradient(truth)
    for array in (h, g):
        array.flags.writeable = False
    fastmpr.operators.hessian_adjoint(h), fastmpr.operators.gradient_adjoint(g[:, :20, ::2])
    fastmpr.prox.nuclear(h[:, 0], fastmpr.prox.nuclear_norm(h)), fastmpr.prox.nonnegative(truth)
    fastmpr.prox.nuclear(np.asfortranarray(np.stack([np.eye(3, dtype=h.dtype)] * 9)), 2)
print(known())
"""


READ_ONLY = """
import tempfile
from numba.core import compiler

def compiled(typing, target, function, *rest, **options):
    raise AssertionError(f"{function.__module__}.{function.__qualname__} is compiled")

compiler.compile_extra = compiled

def refused(**options):
    raise OSError(30, "Read-only file system")

tempfile.TemporaryFile = refused  # what Numba tries a folder with; even root is refused
"""


def run(program: str, cache: Path) -> tuple[list[str], dict[str, list[str]]]:
    """What a new process says with that cache: some lines, and which kernels it knows."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    return lines, json.loads(last)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A cache with what this process's own holds, so that little is compiled again here."""
    folder = tmp_path_factory.mktemp("numba")
    program = "from fastmpr import warming; print(warming.cache_folder())\nprint('{}')"
    ((line,), _) = run(program, folder)
    if (own := warming.cache_folder()) is not None:
        for path in own.glob("*.nb[ic]"):
            (Path(line) / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.slow
def test_after_it_another_process_compiles_nothing(cache):
    (line,), warm = run(WARM, cache)
    (folder,) = cache.iterdir()
    files = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert line.startswith(f"{folder}: {len(files)} files, ")
    assert "8 x 9 x 10: planned and one iteration in " in line

    _, used = run(READ_ONLY + USE, cache)
    assert used["compiled"] == []
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == files
    # nor would it where nothing but what the command itself compiled is kept
    assert len(used["have"]) > 20
    assert set(used["have"]) <= set(warm["have"])


class TestRefused:
    @pytest.fixture(autouse=True)
    def nothing_runs(self, monkeypatch):
        def run_all(dtype: Any) -> None:
            raise AssertionError("compiles before it looks")

        monkeypatch.setattr(warming, "_run_all", run_all)

    def test_no_cache(self, capsys, monkeypatch):
        monkeypatch.setattr(warming, "cache_folder", lambda: None)
        assert "NUMBA_CACHE_DIR: found no folder for Numba's cache" in refusal(["warmup"], capsys)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that refuses even root: /proc")
    def test_a_cache_that_cannot_be_written(self, capsys, monkeypatch):
        monkeypatch.setattr(warming, "cache_folder", lambda: Path("/proc"))
        assert "/proc: found Numba's cache in a folder that cannot be written" in refusal(["warmup"], capsys)

    def test_no_compiler(self, capsys, monkeypatch):
        monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
        assert "NUMBA_DISABLE_JIT: found 1, need 0" in refusal(["warmup"], capsys)

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            (("8", "8"), "argument --shape: expected 3 arguments"),
            (("8", "8", "0"), "argument --shape: found '0', need an integer of at least 1"),
            (("900000",) * 3, "not enough memory (shape: found (900000, 900000, 900000)"),
        ],
    )
    def test_shape(self, capsys, shape, message):
        assert message in refusal(["warmup", "--shape", *shape], capsys)


@pytest.mark.slow
def test_what_was_compiled_but_not_kept_is_an_error(capsys, monkeypatch):
    """A full disk, or a cache that was emptied since this process compiled."""
    add(np.ones(3), 2.0, np.ones(3))
    monkeypatch.setattr(warming, "_run_all", lambda dtype: None)
    fastmpr.warm_up()
    monkeypatch.setattr(add._cache._cache_file, "_load_index", dict)
    message = refusal(["warmup"], capsys)
    assert "found 1 compiled functions (add) that were not kept, need room, and a new process" in message


class TestMeasuredFFTs:
    @pytest.fixture(autouse=True)
    def nothing_else_runs(self, monkeypatch, tmp_path):
        monkeypatch.setattr(warming, "_run_all", lambda dtype: None)
        monkeypatch.setattr(warming, "_check_kept", lambda folder: None)
        monkeypatch.setattr(warming, "cache_folder", lambda: tmp_path)
        monkeypatch.setattr(wisdom, "cache_folder", lambda: tmp_path)
        monkeypatch.setattr(wisdom, "LEAST", 720)

    def test_both_precisions_are_kept_and_found(self, monkeypatch):
        fastmpr.warm_up((8, 9, 10))
        grids = [((8, 9, 10), dtype, threads_for((8, 9, 10), None)) for dtype in (np.float32, np.float64)]
        assert all(wisdom.load(wisdom.file_of(*grid)) for grid in grids)

    def test_small_grids_are_left_alone(self, tmp_path):
        fastmpr.warm_up((8, 9, 9))
        fastmpr.warm_up()
        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_is_an_error(self, capsys, monkeypatch, tmp_path):
        def write_bytes(path: Path, data: bytes) -> None:
            path.touch()
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", write_bytes)
        message = refusal(["warmup", "--shape", "8", "9", "10"], capsys)
        assert f"{tmp_path}: found trouble with FFTW's wisdom (No space left on device), need room" in message
        assert list(tmp_path.iterdir()) == []
