"""What is kept beside a result: how it came about, and a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmpr

from .._version import __version__
from ..io.files import written_whole

_PICTURED = 512  # voxels of an axis at most: a picture of a section shows no more
_CHANNELS = 4  # that a picture shows at most


def write_record(path: Path, record: dict[str, Any], overwrite: bool) -> None:
    """Write a record as JSON, whole or not at all."""
    versions = {"fastmpr": __version__, **{name: version(name) for name in ("numpy", "numba")}}
    with written_whole(path, overwrite) as temporary:
        text = json.dumps(plain({**record, "versions": versions}), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: no NaN or infinity, no tuples, arrays or paths."""
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
    before: NDArray,
    after: NDArray,
    axes: str,
    voxel_size: tuple[float, ...] | None,
    backgrounds: Sequence[float],
    overwrite: bool,
) -> None:
    """Draw an image beside what became of it, each channel of the first frame, less its background."""
    if "T" in axes:
        axes, before, after = axes[1:], before[0], after[0]
    if "C" not in axes:
        before, after = before[np.newaxis], after[np.newaxis]
    space = axes.lstrip("C")
    volumes = {}
    for channel, (image, result) in enumerate(zip(before[:_CHANNELS], after, strict=False)):
        name = f", channel {channel + 1}" if "C" in axes else ""
        volumes[f"input{name}"] = _light(image, backgrounds[channel % len(backgrounds)])
        volumes[f"deconvolved{name}"] = _light(result, 0.0)
    steps = [_step(n) for n in before.shape[1:]]
    sides = None if voxel_size is None else np.multiply(voxel_size, steps)
    if space == "YX" and sides is not None:
        sides = (sides[0], *sides)
    fastmpr.plot.sections(volumes, sides, path, overwrite)


def _light(image: NDArray, background: float) -> NDArray:
    """Return an image of two or three dimensions as a volume that a picture has room for, dark where nothing was seen."""
    shown = np.array(image[tuple(slice(None, None, _step(n)) for n in image.shape)], np.float32) - background
    return np.nan_to_num(shown, nan=0.0).reshape(-1, *shown.shape[-2:])


def _step(n: int) -> int:
    return -(-n // _PICTURED)
