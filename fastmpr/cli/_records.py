"""What is kept beside a result: a record of how it came about, and a picture."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import platform
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmpr

from .._messages import log
from .._validation import MOST
from .._version import __version__
from ..io.files import written_whole
from ..io.formats import volumes
from ..runtime.threads import as_workers

_PICTURED = 512  # voxels along an axis, at most, that the picture of a section shows
_CHANNELS = 4  # that a picture shows at most


_PACKAGES = ("numba", "numpy", "pyfftw", "scipy")


class Notes(logging.Handler):
    """What the library logs and warns of: what it assumes, chooses and doubts.

    Attributes
    ----------
    logged, warned : list of str
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.logged: list[str] = []
        self.warned: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note what is logged."""
        self.logged.append(record.getMessage())

    def taken(self) -> dict[str, list[str]]:
        """Return what has been noted, as records have it, and begin anew."""
        taken = {"log": self.logged, "warnings": self.warned}
        self.logged, self.warned = [], []
        return taken


@contextmanager
def noting(notes: Notes | None = None) -> Iterator[Notes]:
    """Note what the library says while the block lasts; warnings are shown as before."""
    notes, level, show = notes or Notes(), log.level, warnings.showwarning

    def note(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        notes.warned.append(str(message))
        show(message, category, filename, lineno, file, line)

    log.addHandler(notes)
    log.setLevel(min(logging.INFO, log.getEffectiveLevel()))
    warnings.showwarning = note
    try:
        yield notes
    finally:
        warnings.showwarning = show
        log.setLevel(level)
        log.removeHandler(notes)


def record_of(output: str | Path) -> Path:
    """Return the name of the record beside an output."""
    return beside(Path(output), ".json")


def beside(output: Path, suffix: str) -> Path:
    """Return the name of a file that belongs to an output: its own, with another suffix."""
    return output.with_name(stem(output) + suffix)


def stem(path: Path) -> str:
    """Return a file's name without the suffix of a format, and OME's before it."""
    known = "|".join(re.escape(suffix) for module in volumes() for suffix in module.SUFFIXES)
    return re.sub(rf"(\.ome)?({known})$", "", path.name, flags=re.IGNORECASE) or path.name


def write_record(path: Path, record: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Write a record as JSON, whole or not at all; with it, what it takes to run the command again. Return all of it."""
    command = {
        "command": args.argv,
        "folder": os.getcwd(),
        "threads": as_workers(args.workers, MOST),
        "inputs": args.inputs.hashes(),
    }
    written = datetime.now(UTC).isoformat(timespec="seconds")
    versions = {"fastmpr": __version__, "python": platform.python_version()} | {
        name: version(name) for name in _PACKAGES
    }
    whole = plain({**record, **command, "written": written, "versions": versions})
    with written_whole(path, args.overwrite) as temporary:
        temporary.write_text(json.dumps(whole, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return whole


def plain(value: Any) -> Any:
    """Return a value as JSON takes it: without NaN, infinity, tuples, arrays and paths."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def draw(
    path: Path,
    before: Any,
    after: Any,
    axes: str,
    voxel_size: tuple[float, ...] | None,
    backgrounds: Sequence[float],
    overwrite: bool,
) -> None:
    """Draw an image, less its background, beside the result: each channel of the first frame."""
    first, channels = (0,) if "T" in axes else (), before.shape[axes.index("C")] if "C" in axes else 1
    space = axes.lstrip("TC")
    volumes = {}
    for channel in range(min(channels, _CHANNELS)):
        place = (*first, channel) if "C" in axes else first
        name = f", channel {channel + 1}" if "C" in axes else ""
        volumes[f"input{name}"] = _light(before, place, backgrounds[channel % len(backgrounds)])
        volumes[f"deconvolved{name}"] = _light(after, place, 0.0)
    steps = [_step(n) for n in before.shape[-len(space) :]]
    sides = None if voxel_size is None else np.multiply(voxel_size, steps)
    if space == "YX" and sides is not None:
        sides = (sides[0], *sides)
    fastmpr.plot.sections(volumes, sides, path, overwrite)


def _light(image: Any, place: tuple[int, ...], background: float) -> NDArray:
    """Return an image of two or three dimensions as a volume small enough for a picture, dark where nothing was seen."""
    steps = tuple(slice(None, None, _step(n)) for n in image.shape[len(place) :])
    shown = np.array(image[(*place, *steps)], np.float32) - background
    return np.nan_to_num(shown, nan=0.0).reshape(-1, *shown.shape[-2:])


def _step(n: int) -> int:
    return -(-n // _PICTURED)
