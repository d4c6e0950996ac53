"""FFTW's wisdom on large grids: measured once for whom asks, kept beside Numba's cache, read where a solve plans.

One file for each size, precision and number of threads, and for each build of FFTW, CPU and version of this package. The
first to write it wins and a sound file is never written again, so a solve has the same bits with it every time. Small
grids have none: their plans are FFTW's estimated ones, and so are theirs whose file is missing, damaged or not ours.
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

LEAST = 1_000_000  # voxels of a grid that may have wisdom: smaller ones keep their bits, whoever warms up
_PLACES = {"float64": 0, "float32": 1}  # in pyFFTW's triples of wisdom


def cache_folder() -> Path | None:
    """Return the folder that Numba keeps the kernels in, None where it has none."""
    path = getattr(getattr(add, "_cache", None), "cache_path", None)
    return None if path is None else Path(path)


def file_of(shape: Size, dtype: DTypeLike, threads: int) -> Path | None:
    """Return where wisdom on a grid is kept, None where the grid is small or there is no folder."""
    folder = cache_folder()
    if folder is None or math.prod(shape) < LEAST:
        return None
    return folder / f"fftw-{'x'.join(map(str, shape))}-{np.dtype(dtype)}-{threads}-{_build()}.wisdom"


@functools.cache
def _build() -> str:
    """Return a name for what plans depend on beside the grid."""
    builds = [getattr(pyfftw, name, "") for name in ("fftw_version", "fftw_cc", "_fftw_version_dict")]  # not in 0.14
    facts = pyfftw.__version__, builds, pyfftw.simd_alignment, get_host_cpu_name(), __version__
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def load(path: Path) -> bytes | None:
    """Return the wisdom in a file, None where there is none or the file is not as it was written."""
    try:
        found, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return text if found == _checksum(path, text) else None


def keep(path: Path, text: bytes) -> None:
    """Write a file, whole or not at all, unless another process has."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(_checksum(path, text) + b"\n" + text)
        try:
            os.link(temporary, path)
        except OSError:  # it is there, or there are no links in this file system
            if load(path) is None:
                os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _checksum(path: Path, text: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + text).hexdigest().encode()


@contextmanager
def known(shape: Size, dtype: DTypeLike, threads: int) -> Iterator[None]:
    """Let FFTW plan with what is kept on a grid, if anything is. To be called with the lock for planning."""
    path = file_of(shape, dtype, threads)
    text = None if path is None else load(path)
    if text is None:
        yield
        return
    with _alone(dtype, text):
        yield


def gather(dtype: DTypeLike, plan: Callable[[], Any]) -> bytes:
    """Return the wisdom that comes of planning, and leave none behind. To be called with the lock for planning."""
    with _alone(dtype, b""):
        plan()
        return pyfftw.export_wisdom()[_PLACES[str(np.dtype(dtype))]]


@contextmanager
def _alone(dtype: DTypeLike, text: bytes) -> Iterator[None]:
    """Let FFTW know nothing else for a while: plans must not depend on what the host has measured, nor its on ours."""
    ours = [b"", b"", b""]
    ours[_PLACES[str(np.dtype(dtype))]] = text
    learn, forget = pyfftw.import_wisdom, pyfftw.forget_wisdom
    others, *_ = _while_nobody_plans(pyfftw.export_wisdom, forget, functools.partial(learn, tuple(ours)))
    try:
        yield
    finally:
        _while_nobody_plans(forget, functools.partial(learn, others))


def _while_nobody_plans(*calls: Callable[[], Any]) -> list[Any]:
    """Call what pyFFTW does without the lock that it has for planning, which nobody else can take.

    Something is planned first, which waits for any thread that is planning. The rest follows in one call in C, during
    which no other thread gets the interpreter lock to begin.
    """
    array = pyfftw.zeros_aligned(2, np.complex128)
    wait: Callable[[], Any] = functools.partial(pyfftw.FFTW, array, array, flags=("FFTW_ESTIMATE",))
    call: Callable[[Callable[[], Any]], Any] = operator.call
    return list(map(call, (wait, *calls)))[1:]
