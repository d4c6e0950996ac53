"""What the tests of files share."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
import tifffile

VOLUME = np.random.default_rng(0).random((20, 12, 14)).astype(np.float32)
STACK = VOLUME.reshape(4, 5, 12, 14)
OME = {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 0.3}

NANOMETRES = {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}


def save(path: Path, array: np.ndarray, **options) -> Path:
    tifffile.imwrite(path, array, **({"photometric": "minisblack"} | options))
    return path


def one_line(error: pytest.ExceptionInfo, path: Path) -> bool:
    text = str(error.value)
    return text.startswith(str(path)) and "\n" not in text


def imagej(*resolution: float, **metadata) -> dict:
    return {"imagej": True, "resolution": resolution, "metadata": metadata}


# how a volume or stack may lie in a file: name -> options of tifffile.imwrite
LAYOUTS = {
    "ome": {"ome": True},
    "ome-deflate": {"ome": True, "compression": "zlib"},
    "shaped": {},
    "shaped-deflate": {"compression": "zlib"},
    "plain": {"metadata": None},
    "plain-deflate": {"metadata": None, "compression": "zlib"},
    "imagej": {"imagej": True},
    "bigtiff": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "tiled": {"tile": (16, 16), "ome": True},
}


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let imports of a package fail, as where it is not installed."""
    original = builtins.__import__

    def fail(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
