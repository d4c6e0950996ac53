"""``fastmpr info``."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .._version import __version__
from ..engine.threads import available_workers
from ._arguments import new_command
from ._words import put

CITE = "D. Fortun et al., IEEE Trans. Med. Imaging 37(5), 2018 (the method); CITATION.cff (this software)"


def add(commands: Any) -> None:
    """Add the command."""
    new_command(commands, "info", run, "show versions and threads, for a bug report, and what to cite", "fastmpr info")


def run(args: argparse.Namespace) -> None:
    """Print what a bug report needs."""
    put(f"{'fastmpr':11} {__version__}")
    put(f"{'python':11} {platform.python_version()} on {platform.platform()}")
    for package in ("numba", "numpy", "pyfftw", "scipy", "tifffile", "matplotlib", "tqdm"):
        try:
            put(f"{package:11} {version(package)}")
        except PackageNotFoundError:
            put(f"{package:11} not installed")
    put(f"{'threads':11} {available_workers()}")
    put(f"{'cite':11} {CITE}")
