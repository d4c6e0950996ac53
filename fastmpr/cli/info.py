"""``fastmpr info``."""

from __future__ import annotations

import argparse
import math
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .._version import __version__
from ..runtime import limits as _limits
from ._arguments import new_command
from ._words import mebibytes, put

CITE = "D. Fortun et al., IEEE Trans. Med. Imaging 37(5), 2018 (the method); CITATION.cff (this software)"
PACKAGES = ("numba", "llvmlite", "numpy", "pyfftw", "scipy", "tifffile", "matplotlib", "tqdm")
READERS = ("mrcfile", "zarr", "h5py", "pylibCZIrw", "liffile", "nd2", "oiffile")


def add(commands: Any) -> None:
    """Add the command."""
    summary = "show versions, caches and limits, for a bug report, and what to cite"
    new_command(commands, "info", run, summary, "fastmpr info")


def run(args: argparse.Namespace) -> None:
    """Print what a bug report needs."""
    for name, text in _rows():
        put(f"{name:11} {text}")


def _rows() -> Iterator[tuple[str, str]]:
    """Yield what to print; what needs an import that may fail comes last."""
    yield "fastmpr", __version__
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in (*PACKAGES, *READERS):
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed"
    yield "threads", _threads()
    yield "memory", _memory()
    yield "fftw", _fftw()
    yield "cpu", _cpu()
    yield "cache", _cache()
    yield "cite", CITE


def _threads() -> str:
    """Return how many threads a call uses at most, and why."""
    seen = [f"{os.cpu_count()} cores in the machine", f"{_limits.visible_cpus()} by affinity"]
    if math.isfinite(quota := _limits.cpu_quota()):
        seen.append(f"{quota:.3g} by the control group's quota")
    return f"{_limits.available_workers()}: {', '.join(seen)}"


def _memory() -> str:
    limit, why = _limits.memory_limit()
    return f"{limit / (1 << 30):.3g} GiB ({why})" if math.isfinite(limit) else "not known"


def _fftw() -> str:
    """Return the FFTW in use and its instruction sets: a wheel may use older ones than this CPU has."""
    import pyfftw

    builds = getattr(pyfftw, "_fftw_version_dict", {})  # pyFFTW 0.14 has none
    used = sorted({builds[precision].removeprefix("fftw-") for precision in ("32", "64") if precision in builds})
    return f"{', '.join(used) or 'not known'}, arrays aligned to {pyfftw.simd_alignment} bytes"


def _cpu() -> str:
    """Return the CPU that Numba compiles for."""
    from llvmlite.binding import get_host_cpu_name
    from numba import config

    host = get_host_cpu_name()
    given = [name for name in ("CPU_NAME", "CPU_FEATURES") if getattr(config, name) is not None]
    if not given:
        return host
    return f"{config.CPU_NAME or host} by {' and '.join(f'NUMBA_{name}' for name in given)}; this one is {host}"


def _cache() -> str:
    """Return where Numba keeps compiled kernels, and what is there."""
    from ..warming import cache_folder, can_write, contents

    folder = cache_folder()
    if folder is None:
        return "none, so every process compiles: need NUMBA_CACHE_DIR set to a writable folder"
    count, size = contents(folder)
    return f"{folder} ({'can' if can_write(folder) else 'cannot'} be written; {count} files, {mebibytes(size)})"
