"""Functions that name the package, and what it makes, go to other processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmpr

PROGRAM = """
import pickle, sys
function, arguments = pickle.loads(sys.stdin.buffer.read())
sys.stdout.buffer.write(pickle.dumps(function(*arguments)))
"""


def problem() -> fastmpr.Dataset:
    psf = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
    poses = fastmpr.Poses.random(9, max_translation=1.0, rng=0)
    views = fastmpr.simulate(fastmpr.phantom.centriole(12), psf, poses, noise_sigma=0.05, rng=0)
    return fastmpr.Dataset(views, psf, poses)


def made_elsewhere():
    """A function that no other process can import, and that names the package by its global."""

    def reconstruct(data):
        return fastmpr.reconstruct(data, workers=1, max_iter=20).x

    reconstruct.__module__ = "__main__"
    return reconstruct


def test_cloudpickle(monkeypatch):
    cloudpickle = pytest.importorskip("cloudpickle")
    monkeypatch.setattr(sys.modules[__name__], "__name__", "__main__")  # else it is pickled by reference
    import pickle

    data, function = problem(), made_elsewhere()
    sent = cloudpickle.dumps((function, (data,)))
    here = str(Path(fastmpr.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({here!r})\n{PROGRAM}"],
        input=sent,
        capture_output=True,
        check=True,
    )
    assert np.array_equal(pickle.loads(done.stdout), function(data))


def test_loky():
    joblib = pytest.importorskip("joblib")
    data, function = problem(), made_elsewhere()
    x, again = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(function)(data) for _ in range(2))
    assert np.array_equal(x, function(data))
    assert np.array_equal(again, x)
