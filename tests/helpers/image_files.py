"""What the tests of files share."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

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


def imagej_text(
    path: Path, resolution: tuple[float, float] = (10, 10), text: str = "", array: np.ndarray = VOLUME
) -> Path:
    """A file as ImageJ itself describes it: resolutions along x and y, and lines such as "unit=um"."""
    sizes = "".join(f"{name}={array.shape[0]}\n" for name in ("images", "slices"))
    description = f"ImageJ=1.54f\n{sizes}{text}".encode("latin-1")
    options = {"metadata": None, "resolution": resolution, "resolutionunit": "NONE", "contiguous": True}
    return save(path, array, description=description, **options)


def ome_set(folder: Path, volumes: np.ndarray, planes: dict[str, list[tuple[int, int]]]) -> list[Path]:
    """Files that share one description of all: name -> (volume, plane) of each page; voxels of 0.3 x 0.1 x 0.1."""
    n, nz, ny, nx = volumes.shape
    data = "".join(
        f'<TiffData FirstZ="{z}" FirstC="0" FirstT="{t}" IFD="{page}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        for name, pages in planes.items()
        for page, (t, z) in enumerate(pages)
    )
    for name, pages in planes.items():
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{name}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="float" '
            f'SizeX="{nx}" SizeY="{ny}" SizeZ="{nz}" SizeC="1" SizeT="{n}" PhysicalSizeX="0.1" PhysicalSizeY="0.1" '
            f'PhysicalSizeZ="0.3"><Channel ID="Channel:0" SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
        )
        stack = np.stack([volumes[t, z] for t, z in pages])
        save(folder / name, stack, description=xml.encode(), metadata=None)
    return [folder / name for name in planes]


# what a file may say that is a part of a voxel size, or not understood: OME's metadata, or ImageJ's text
UNCLEAR: dict[str, Any] = {
    "no z": {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2},
    "z of 0": OME | {"PhysicalSizeZ": 0.0},
    "x in pixels": OME | {"PhysicalSizeXUnit": "pixel"},
    "reference frame": OME | {"PhysicalSizeZUnit": "reference frame"},
    "no spacing": "unit=um\n",
    "negative spacing": "unit=um\nspacing=-0.3\n",
    "spacing in words": "unit=um\nspacing=three\n",
    "no unit": "spacing=0.3\n",
    "pixels with a spacing": "unit=pixel\nspacing=3.0\n",
    "mu alone": "unit=\u00b5\nspacing=0.3\n",
    "MM": "unit=MM\nspacing=0.3\n",
    "z in furlongs": "unit=um\nzunit=furlong\nspacing=0.3\n",
}


def unclear(path: Path, name: str, array: np.ndarray = VOLUME) -> Path:
    """A file that says this of `UNCLEAR`."""
    said = UNCLEAR[name]
    if isinstance(said, str):
        return imagej_text(path, text=said, array=array)
    return save(path, array, ome=True, metadata=said)


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
