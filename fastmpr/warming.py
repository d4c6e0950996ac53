"""Compile all kernels in advance and cache them: for container images, and for users who do not want to wait."""

from __future__ import annotations

import itertools
import math
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np

from . import kernels, operators, phantom, prox
from ._messages import FastmprWarning
from ._validation import Size, as_shape
from .alignment.main import align
from .compat.spfluo import reconstruction_L2
from .deconvolution.images import deconvolve
from .diagnosis.fit import residuals
from .geometry.poses import Poses
from .kernels.cache import ForgivingCache, takes_a_function
from .psf import gaussian
from .reconstruction.baselines import average, deconvolve_average
from .reconstruction.main import reconstruct
from .regularizers import KNOWN, as_regularizer
from .runtime.fft import half_shape, measure_plans
from .runtime.limits import check_memory
from .runtime.wisdom import cache_folder
from .simulation import simulate
from .solver.admm import objective, solve
from .solver.running import threads_for
from .sums.accumulate import accumulate
from .sums.normal_equations import NormalEquations
from .views.dataset import Dataset

_SHAPE = (32, 34, 33)
_LARGE = (64, 128, 128)  # the least that the solver keeps in 16 bits
_BYTES = 36  # per voxel of float32 sums and a solve with the Hessian


@dataclass(frozen=True)
class Warmed:
    """The cache that `warm_up` filled, and the time it took.

    Attributes
    ----------
    folder : pathlib.Path
        Numba's cache of the kernels.
    files, size : int
        Number of files in it, and their total size in bytes.
    seconds : float
        Time for everything.
    solve_seconds : float or None
        Time to plan a solve and run one iteration on the grid of the given shape; None without a shape.
    """

    folder: Path
    files: int
    size: int
    seconds: float
    solve_seconds: float | None


def warm_up(shape: int | Size | None = None) -> Warmed:
    """Compile all kernels in advance, in both precisions, and keep them in Numba's cache.

    Processes that use this cache then compile nothing but your own functions (`regularizers.Pointwise`), if they have the
    same versions and the same kind of CPU (``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES``; by default this machine's). If the
    cache is complete already, this takes about two seconds.

    Parameters
    ----------
    shape : int or (nz, ny, nx), optional
        Shape of a grid, such as ``sums.shape``, on which to plan a solve and run one iteration as well. If it has a million
        voxels or more, its FFTs are first measured, once, in both precisions, for the default number of threads. Later
        solves with that number of threads are faster, and differ in their last bits.

    Returns
    -------
    Warmed
        ``folder``, ``files``, ``size``, ``seconds``, ``solve_seconds``.

    Raises
    ------
    OSError
        If the cache cannot be written.
    MemoryError
        If a grid of ``shape`` does not fit.

    Examples
    --------
    >>> import fastmpr
    >>> fastmpr.warm_up().files > 100
    True
    """
    start = time.perf_counter()
    grid = None if shape is None else as_shape(shape)
    if grid is not None:
        check_memory("shape", grid, _BYTES * math.prod(grid))
    folder = _writable_folder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastmprWarning)  # that volumes after two iterations do not fit is no news
        for dtype in (np.float32, np.float64):
            _run_all(dtype)
    for name in KNOWN:
        if getattr(as_regularizer(name), "packs", False):
            _solve_once(_LARGE, name)
    if grid is not None:
        _measure(grid, folder)
    solve_seconds = None if grid is None else _solve_once(grid)
    _check_kept(folder)
    count, size = contents(folder)
    return Warmed(folder, count, size, time.perf_counter() - start, solve_seconds)


def can_write(folder: Path) -> bool:
    """Return whether files can be made in a folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def contents(folder: Path) -> tuple[int, int]:
    """Return the number of Numba's files in a folder, and their bytes."""
    sizes = [path.stat().st_size for path in folder.iterdir() if path.suffix in (".nbi", ".nbc")]
    return len(sizes), sum(sizes)


def _writable_folder() -> Path:
    """Return Numba's cache, or raise an error where nothing can be kept there."""
    if numba.config.DISABLE_JIT:
        raise ValueError("NUMBA_DISABLE_JIT: found 1, need 0, or nothing is compiled")
    folder = cache_folder()
    if folder is None:
        raise OSError("NUMBA_CACHE_DIR: found no folder for Numba's cache, need one that can be written")
    if not can_write(folder):
        raise OSError(f"{folder}: found Numba's cache in a folder that cannot be written, need one that can")
    return folder


def _run_all(dtype: Any) -> None:
    """Call whatever a user may call, on as few voxels as two threads share: kernels are compiled for types, not sizes."""
    truth = phantom.centriole(_SHAPE, dtype=dtype)
    poses = Poses.random(3, max_translation=1.0, rng=0)
    even = gaussian((7, 5, 5), sigma=(1.5, 1, 1))
    skew = even * np.linspace(0.9, 1.1, 7)[:, None, None]  # its transform is complex, and another kernel samples it
    for psf, frame in itertools.product((even, skew), ("particle", "model")):
        views = simulate(truth, psf, poses, frame=frame, workers=2)
        data = Dataset(views, psf, poses, frame=frame, symmetry="C3", weights=np.linspace(0.5, 1, len(poses)))
        average(data, workers=2)
        deconvolve_average(data[:1], lam=1.0, max_iter=1)
        deconvolve(views[0], psf, lam=1.0, max_iter=4, tol=0, workers=2)
        sums = accumulate(data, workers=2) + accumulate(data[:1], workers=2)
        residuals(data, truth, workers=2)
    align(Dataset(simulate(truth, even, poses[:1], workers=2), even), truth, workers=2)
    reconstruction_L2(np.ones((1, 8, 8, 8), dtype), even, np.zeros((1, 6)), 1.0)
    accumulate(data.replace(symmetry_axis=(1, 1, 1)))  # beside the grid, whose axes have kernels of their own
    crops = data.replace(seen=[np.indices(view.shape)[0] > 4 for view in views])
    reconstruct(crops, lam=1.0, workers=2)
    reconstruct(crops.replace(background="none"), lam=1.0, workers=2)  # its later rounds know more of the curvature
    for name in KNOWN:
        reconstruct(data, lam=1.0, regularizer=name, max_iter=2, workers=2)
        objective(np.ones(sums.shape, dtype), sums, 1.0, name)
    for locked in itertools.product((False, True), repeat=2):
        solve(_locked(sums, locked), 1.0, max_iter=2, workers=2)
    h = operators.hessian(truth)
    operators.hessian_adjoint(prox.nuclear(h, prox.nuclear_norm(h)))
    operators.gradient_adjoint(operators.gradient(truth))
    prox.nuclear(np.eye(3, dtype=dtype), 1.0)


def _locked(sums: NormalEquations, locked: Iterable[bool]) -> NormalEquations:
    """Return sums whose arrays cannot be written to, or one of them: so they come out of a memory map."""
    gram, rhs = sums.gram.copy(), sums.rhs.copy()
    gram.flags.writeable, rhs.flags.writeable = (not lock for lock in locked)
    return replace(sums, gram=gram, rhs=rhs)


def _measure(shape: Size, folder: Path) -> None:
    """Measure the FFTs of a grid, or raise an error where what came of it cannot be kept."""
    for dtype in (np.float32, np.float64):
        try:
            measure_plans(shape, dtype, threads_for(shape, None))
        except OSError as error:
            raise OSError(
                f"{folder}: found trouble with FFTW's wisdom ({error.strerror or error}), need room"
            ) from error


def _solve_once(shape: Size, regularizer: str = "hessian") -> float:
    """Return the seconds that planning and one iteration take on a grid."""
    half = half_shape(shape)
    sums = NormalEquations(np.ones(half, np.float32), np.ones(half, np.complex64), 1.0, 1, shape, (1, 1, 1))
    start = time.perf_counter()
    solve(sums, 1.0, regularizer, max_iter=1)
    return time.perf_counter() - start


def _check_kept(folder: Path) -> None:
    """Raise an error where something that was compiled is not in the cache."""
    lost = [kernel.__name__ for kernel in _kernels() if not _is_kept(kernel)]
    if lost:
        named = ", ".join(lost[:3]) + (" ..." if len(lost) > 3 else "")
        raise OSError(
            f"{folder}: found {len(lost)} compiled functions ({named}) that were not kept, need room, and a new process"
        )


def _kernels() -> Iterator[Any]:
    """Yield every function that is compiled and kept."""
    for module in [sys.modules[name] for name in sorted(sys.modules) if name.startswith(f"{kernels.__name__}.")]:
        for value in vars(module).values():
            if isinstance(getattr(value, "_cache", None), ForgivingCache) and value.__module__ == module.__name__:
                yield value


def _is_kept(kernel: Any) -> bool:
    """Return whether Numba's index names all versions of a function that this process has."""
    cache, codegen = kernel._cache, kernel.targetctx.codegen()
    index = cache._cache_file._load_index()
    kept = (signature for signature in kernel.overloads if not takes_a_function(signature))
    return all(cache._index_key(signature, codegen) in index for signature in kept)
