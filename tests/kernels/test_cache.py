"""The compiler's cache: none, damaged or full, or no compiler at all: everything works, with one warning."""

import ast
import gc
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

import fastmpr
from fastmpr.kernels.cache import ForgivingCache

PACKAGE = Path(fastmpr.__file__).parent  # installed, perhaps

PROGRAM = """
import warnings
import numpy as np
from numba.core import caching

# what Numba is left with on a read-only system without a home
getattr(caching, "CacheImpl", getattr(caching, "_CacheImpl", None))._locator_classes = []
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from fastmpr.kernels.rows import add, copy

    out = np.ones(3, np.float32)
    add(out, np.float32(2), np.ones(3, np.float32))
    copy(2 * out, out)
print(np.allclose(out, 6), [str(w.message) for w in seen if w.category.__name__ == "FastmprWarning"])
"""


def test_without_a_cache():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True [")
    assert done.stdout.count("NUMBA_CACHE_DIR") == 1


CACHED = """
import pathlib, resource, sys, warnings
import numpy as np

limit, report = int(sys.argv[1]), []
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from fastmpr.kernels.rows import add, copy

    out = np.ones(3, np.float32)
    add(out, np.float32(2), np.ones(3, np.float32))
    copy(2 * out, out)
print([bool(np.allclose(out, 6)), [str(w.message) for w in seen if w.category.__name__ == "FastmprWarning"]])
"""


def cached(folder: Path, limit: int = 0) -> list:
    """What a process says that finds such a cache: whether it computes right, and its warnings."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", CACHED, str(limit)], capture_output=True, text=True, check=True, env=environment
    )
    return ast.literal_eval(done.stdout)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    assert cached(folder) == [True, []]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("kept", [0, 300])
def test_a_damaged_cache_is_mended_with_one_warning(whole, tmp_path, kind, kept):
    folder = Path(shutil.copytree(whole, tmp_path / "cache"))
    files = list(folder.rglob(kind))
    assert len(files) == 2
    for file in files:
        file.write_bytes(file.read_bytes()[:kept])
    right, (warning,) = cached(folder)
    assert right
    assert str(folder) in warning
    assert "NUMBA_CACHE_DIR" in warning
    assert cached(folder) == [True, []]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_a_full_disk_costs_a_warning(tmp_path):
    right, (warning,) = cached(tmp_path / "cache", limit=4096)
    assert right
    assert "too large" in warning
    assert str(tmp_path) in warning


CALLER = """
from .jit import JIT, njit
from .called import one


@njit(**JIT)
def call():
    return one()
"""
CALLED = """
from .jit import JIT, njit


@njit(**JIT)
def one():
    return {}
"""


def test_what_was_compiled_does_not_outlive_what_it_called(tmp_path):
    """As after an upgrade: the file of the function that is called changes, that of its caller does not."""
    package = Path(shutil.copytree(PACKAGE, tmp_path / "fastmpr", ignore=shutil.ignore_patterns("__pycache__")))
    (package / "kernels" / "caller.py").write_text(CALLER)
    program = "from fastmpr.kernels.caller import call; print(call(), call.stats.cache_hits)"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    for number, hits in ((1, False), (1, True), (2, False), (2, True)):
        (package / "kernels" / "called.py").write_text(CALLED.format(number))
        run = [sys.executable, "-c", program]
        done = subprocess.run(run, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
        assert done.stdout.split()[0] == str(number)
        assert ("1: 1" in done.stdout or "): 1" in done.stdout) == hits


def test_kernels_take_nothing_from_elsewhere():
    """What they inline and the constants they freeze are in files that the stamp reads."""
    taken = {
        (path.name, name)
        for path in (PACKAGE / "kernels").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [])
        + (["." * node.level + (node.module or "")] if isinstance(node, ast.ImportFrom) else [])
        if name.startswith(("..", "fastmpr"))
    }
    assert taken == {("cache.py", ".._messages")}  # a warning, that nothing compiled gives


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs the compiler")
def test_nothing_that_is_kept_stands_elsewhere():
    for module in pkgutil.walk_packages(fastmpr.__path__, "fastmpr."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = [
        one for one in gc.get_objects() if issubclass(type(one), Dispatcher) and one.__module__.startswith("fastmpr.")
    ]
    kept = {one.__module__.rpartition(".")[0] for one in ours if isinstance(one._cache, ForgivingCache)}
    assert kept == {"fastmpr.kernels"}
    assert all(isinstance(one._cache, ForgivingCache | NullCache) for one in ours)


SMALL = """
import numpy as np
import fastmpr

truth = fastmpr.phantom.centriole((7, 8, 9))
psf = fastmpr.psf.gaussian((5, 5, 5), sigma=(1.5, 1, 1))
poses = fastmpr.Poses.random(2, max_translation=1.0, rng=0)
views = fastmpr.simulate(truth, psf, poses, workers=2)
sums = fastmpr.accumulate(views, psf, poses, workers=2)
results = [fastmpr.solve(sums, 30.0, name, max_iter=4, tol=0, workers=2).x for name in ("hessian", "tv")]
print([float(np.vdot(np.ravel(a), np.sin(np.arange(a.size)))) for a in (views, sums.rhs.real, *results)])
"""


def test_everything_runs_without_the_compiler():
    """As coverage and debugging need it."""
    compiled, plain = (
        subprocess.run(
            [sys.executable, "-c", SMALL],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
        ).stdout
        for disabled in ("0", "1")
    )
    np.testing.assert_allclose(ast.literal_eval(plain), ast.literal_eval(compiled), rtol=2e-4)
