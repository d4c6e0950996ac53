"""What right calls are made of, small and random, and what results are."""

from __future__ import annotations

import atexit
import functools
import math
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Dataset, NormalEquations, Poses


class Call(NamedTuple):
    """A call: its arguments under the names that errors have for them."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    check: Callable[[Any, dict[str, Any]], None]
    also: tuple[type[Exception], ...] = ()  # that it may raise beside ValueError, TypeError and MemoryError
    spare: tuple[str, ...] = ()  # arguments that are always right
    doubtful: bool = False  # whether it may be refused though all its arguments are of the right kind
    blamed: tuple[str, ...] = ()  # what errors may name beside an argument


FOLDER = Path(tempfile.mkdtemp(prefix="fastmpr-calls-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
SIZES = st.integers(1, 7)
SHAPES = st.tuples(SIZES, SIZES, SIZES)
SEEDS = st.integers(0, 2**32 - 1)
DTYPES = st.sampled_from(["f4", "f8", "f4", "f8", ">f4", "f2", "u1", "u2", "i2", "?"])
VOXELS = st.sampled_from([None, 0.1, (0.3, 0.1, 0.1), [1, 1, 1], np.array([0.2, 0.1, 0.1])])
WORKERS = st.sampled_from([1, 1, 2])
PATIENCE = st.sampled_from([{}, {}, {"timeout": 60.0, "cancel": threading.Event()}])


@st.composite
def volumes(draw, shape: tuple[int, ...] | None = None) -> Any:
    """Numbers from 0 up, in any layout."""
    shape = draw(SHAPES) if shape is None else shape
    values = np.random.default_rng(draw(SEEDS)).random(shape) + 0.01
    dtype = np.dtype(draw(DTYPES))
    array = (values * (100 if dtype.kind in "ui" else 1)).astype(dtype)
    return draw(st.sampled_from(LAYOUTS))(array)


def read_only(array: NDArray) -> NDArray:
    array.flags.writeable = False
    return array


LAYOUTS = (
    np.ascontiguousarray,
    np.ascontiguousarray,
    np.asfortranarray,
    lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    lambda a: a[::-1, ..., ::-1],
    read_only,
    np.ma.array,
    np.ndarray.tolist,
)


@st.composite
def poses_of(draw, n: int, names: bool = True) -> Poses:
    rng = np.random.default_rng(draw(SEEDS))
    options = {"unit": draw(st.sampled_from([None, None, "voxel"])), "centre": draw(st.sampled_from(CENTRES))}
    called = [f"{i}.tif" for i in range(n)] if names and draw(st.booleans()) else None
    return Poses(
        Rotation.from_quat(rng.standard_normal((n, 4))), 0.02 * rng.standard_normal((n, 3)), names=called, **options
    )


CENTRES = ["(n - 1) / 2", "(n - 1) / 2", "n // 2"]


@st.composite
def views(draw, psf: bool = True, least: int = 1) -> dict[str, Any]:
    """All that a Dataset is made of."""
    n, shape = draw(st.integers(least, least + 3)), draw(SHAPES)
    stack = draw(st.booleans())
    given = {
        "particles": draw(volumes((n, *shape))) if stack else [draw(volumes(shape)) for _ in range(n)],
        "psf": draw(volumes()),
        "poses": draw(poses_of(n)),
        "voxel_size": draw(VOXELS),
    }
    rare = {
        "weights": st.sampled_from([[1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 2.0][:n], "robust"]),
        "frame": st.just("particle" if given["voxel_size"] is not None else "model"),
        "symmetry": st.sampled_from(["C1", "C2", "D2"]),
        "names": st.just([f"{i}.tif" for i in range(n)]),
        "psf_of": st.just(np.zeros(n, int)),
        "thread_safe": st.booleans(),
        "seen": st.sampled_from(["auto", "all"]),
        "outside": st.sampled_from(["auto", "dark", "unseen"]),
        "radius": st.just(20.0),
        "background": st.sampled_from(["auto", "none", 0.001, [0.0, 0.001, 0.002, 0.0, 0.001, 0.0, 0.001][:n]]),
        "gain": st.sampled_from(["same", [1.0, 0.5, 2.0, 1.0, 1.0, 0.7, 1.5][:n]]),
        "psf_voxel_size": st.just(0.1 if given["voxel_size"] is not None else None),
    }
    for name in draw(st.sets(st.sampled_from(sorted(rare)), max_size=3)):
        given[name] = draw(rare[name])
    if "symmetry" in given and draw(st.booleans()):
        axes = [(0, 1, 0), (0, 0, -2), (1, 2, 3)] + [((0, 1, 0), (2, 0, 1))] * (given["symmetry"] == "D2")
        given["symmetry_axis"] = draw(st.sampled_from(axes))
        given["symmetry_centre"] = draw(st.sampled_from([(0, 0, 0), (0.01, 0, -0.02)]))
    return given if psf else {name: value for name, value in given.items() if not name.startswith("psf")}


def dataset(given: dict[str, Any]) -> Dataset:
    """A Dataset, whatever its PSF looks like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Dataset(**given)


@functools.cache
def sums_at(seed: int, dtype: str) -> NormalEquations:
    """Sums on a small grid, some of few voxels."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1 + 2 * (seed % 2), 8, 3).tolist())
    h, x = scipy.fft.rfftn(rng.random(shape) ** 8 + 0.1), scipy.fft.rfftn(rng.random(shape))
    energy = float(np.square(scipy.fft.irfftn(h * x, shape)).sum())
    model = None if seed % 3 else tuple(max(1, n - 1) for n in shape)
    return NormalEquations((np.abs(h) ** 2).astype(dtype), np.abs(h) ** 2 * x, energy, seed + 1, shape, 0.1, model)


SUMS = st.builds(sums_at, st.integers(0, 9), st.sampled_from(["f4", "f8"]))


# --------------------------------------------------------------------------------------------------------------
# What results are
# --------------------------------------------------------------------------------------------------------------


def sizes(shape: Any) -> tuple[int, ...]:
    return tuple(map(int, shape)) if np.iterable(shape) else (int(shape),) * 3


def precision(value: Any) -> Any:
    dtype = np.asarray(value).dtype
    return np.float64 if dtype.kind == "f" and dtype.itemsize >= 8 else np.float32


def is_volume(x: Any, shape: Any, dtype: Any) -> None:
    assert isinstance(x, np.ndarray)
    assert x.shape == tuple(shape)
    assert x.dtype == dtype
    assert np.isfinite(x).all()


def is_poses(poses: Any, n: int) -> None:
    assert isinstance(poses, Poses)
    assert len(poses) == len(poses.rotation) == n
    assert poses.matrix.shape == (n, 3, 3)
    assert poses.translation.shape == (n, 3)
    assert np.isfinite(poses.matrix).all()
    assert np.isfinite(poses.translation).all()
    assert np.allclose(np.linalg.det(poses.matrix), 1)
    assert poses.names is None or len(poses.names) == n


def is_dataset(data: Any, n: int | None = None) -> None:
    assert isinstance(data, Dataset)
    assert n is None or len(data) == n
    assert data.weights.shape == data.psf_of.shape == (len(data),)
    assert np.isfinite(data.weights).all()
    assert all(np.isfinite(psf).all() for psf in data.psfs)
    assert np.isfinite([*data.voxel_size, *data.psf_voxel_size]).all()
    assert repr(data)


def are_sums(sums: Any, n_poses: int | None = None) -> None:
    assert isinstance(sums, NormalEquations)
    assert sums.gram.dtype in (np.float32, np.float64)
    assert sums.rhs.dtype == np.result_type(sums.gram.dtype, np.complex64)
    assert np.isfinite(sums.gram).all()
    assert np.isfinite(sums.rhs).all()
    assert sums.gram.min() >= 0
    assert math.isfinite(sums.energy)
    assert n_poses is None or sums.n_poses == n_poses


def is_result(result: Any, shape: Any, dtype: Any) -> None:
    assert isinstance(result, fastmpr.Result)
    is_volume(result.x, shape, dtype)
    assert result.x.min() >= 0
    assert math.isfinite(result.lam)
    assert result.lam > 0
    assert "\n" not in result.message
    assert all(np.isfinite(list(entry.values())).all() for entry in result.history)


def model_shape(given: dict[str, Any]) -> tuple[int, ...]:
    data = dataset({name: given[name] for name in given if name in DATASET})
    return data.model_shape(given.get("shape"))


DATASET = (
    "particles",
    "psf_of",
    "poses",
    "psf",
    "voxel_size",
    "psf_voxel_size",
    "weights",
    "frame",
    "symmetry",
    "symmetry_axis",
    "symmetry_centre",
    "names",
)


def first_precision(given: dict[str, Any]) -> Any:
    particles, weights = given["particles"], given.get("weights")
    given_all = weights is None or isinstance(weights, str)
    used = 0 if given_all else int(np.flatnonzero(np.asarray(weights, float))[0])
    return precision(particles if isinstance(particles, np.ndarray) else list(particles)[used])


def is_number(value: Any, given: dict[str, Any]) -> None:
    assert isinstance(value, float)
    assert math.isfinite(value)
