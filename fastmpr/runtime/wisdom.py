"""FFTW's wisdom for large grids: measured once on request, stored beside Numba's cache, and read when a solve plans.

There is a file for each size, precision, number of threads, build of FFTW, CPU and version of this package. The first
process to write a file wins, and a valid file is never written again, so a solve has the same bits every time. Small grids
have no wisdom and use FFTW's estimated plans, as do large grids whose file is missing, damaged or not from this package.
"""

from __future__ import annotations

import functools
import hashlib
import math
import operator
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyfftw
from llvmlite.binding import get_host_cpu_name
from numpy.typing import DTypeLike

from .._validation import Size
from .._version import __version__
from ..kernels.rows import add

LEAST = 1_000_000  # voxels of the smallest grid with wisdom: on smaller grids a warm-up changes no bits
_PLACES = {"float64": 0, "float32": 1}  # in pyFFTW's triples of wisdom


def cache_folder() -> Path | None:
    """Return the folder of Numba's cache of the kernels, None if there is none."""
    path = getattr(getattr(add, "_cache", None), "cache_path", None)
    return None if path is None else Path(path)


def file_of(shape: Size, dtype: DTypeLike, threads: int) -> Path | None:
    """Return the path of the wisdom file for a grid, None if the grid is small or there is no folder."""
    folder = cache_folder()
    if folder is None or math.prod(shape) < LEAST:
        return None
    return folder / f"fftw-{'x'.join(map(str, shape))}-{np.dtype(dtype)}-{threads}-{_build()}.wisdom"


@functools.cache
def _build() -> str:
    """Return a hash of all that plans depend on besides the grid."""
    builds = [getattr(pyfftw, name, "") for name in ("fftw_version", "fftw_cc", "_fftw_version_dict")]  # not in 0.14
    facts = pyfftw.__version__, builds, pyfftw.simd_alignment, get_host_cpu_name(), __version__
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def load(path: Path) -> bytes | None:
    """Return the wisdom in a file, None if there is no file or its checksum is wrong."""
    try:
        found, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return text if found == _checksum(path, text) else None


def keep(path: Path, text: bytes) -> None:
    """Write a wisdom file, whole or not at all, unless another process has written a valid one."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(_checksum(path, text) + b"\n" + text)
        try:
            os.link(temporary, path)
        except OSError:  # the file exists, or this file system has no links
            if load(path) is None:
                os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _checksum(path: Path, text: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + text).hexdigest().encode()


@contextmanager
def known(shape: Size, dtype: DTypeLike, threads: int) -> Iterator[None]:
    """Let FFTW plan with the stored wisdom for a grid, if there is any; the caller holds the lock for planning."""
    path = file_of(shape, dtype, threads)
    text = None if path is None else load(path)
    if text is None:
        yield
        return
    with _alone(dtype, text):
        yield


def gather(dtype: DTypeLike, plan: Callable[[], Any]) -> bytes:
    """Return the wisdom that planning gives, and restore FFTW's own; the caller holds the lock for planning."""
    with _alone(dtype, b""):
        plan()
        return pyfftw.export_wisdom()[_PLACES[str(np.dtype(dtype))]]


@contextmanager
def _alone(dtype: DTypeLike, text: bytes) -> Iterator[None]:
    """Replace FFTW's wisdom during a block, so that our plans and those of the host do not affect each other."""
    ours = [b"", b"", b""]
    ours[_PLACES[str(np.dtype(dtype))]] = text
    learn, forget = pyfftw.import_wisdom, pyfftw.forget_wisdom
    others, *_ = _while_nobody_plans(pyfftw.export_wisdom, forget, functools.partial(learn, tuple(ours)))
    try:
        yield
    finally:
        _while_nobody_plans(forget, functools.partial(learn, others))


def _while_nobody_plans(*calls: Callable[[], Any]) -> list[Any]:
    """Call functions of pyFFTW while no thread is planning; pyFFTW's own planning lock is not accessible.

    A small plan is made first, which waits for any thread that is planning. The functions follow in the same call in C, so
    no other thread gets the interpreter lock in between.
    """
    array = pyfftw.zeros_aligned(2, np.complex128)
    wait: Callable[[], Any] = functools.partial(pyfftw.FFTW, array, array, flags=("FFTW_ESTIMATE",))
    call: Callable[[Callable[[], Any]], Any] = operator.call
    return list(map(call, (wait, *calls)))[1:]
