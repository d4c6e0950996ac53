"""LIF files of Leica microscopes: XML, then a block of numbers for each image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from .._validation import Vector
from . import units
from .about import About, wavelength
from .files import FileError
from .stored import Stored, parsing, which_scene

SUFFIXES = (".lif",)
KIND = "a LIF file"

_MAGIC = b"\x70\0\0\0"  # a block of XML; the byte 0x2A follows at 8
_DIMENSIONS = "./Data/Image/ImageDescription/Dimensions/DimensionDescription"
_CAMERA = "ATLCameraSettingDefinition/WideFieldChannelConfigurator/WideFieldChannelInfo"
_KNOWN = set("TCZYX")
_NUMBER = {"X": "1", "Y": "2", "Z": "3", "T": "4"}  # DimID of each axis


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file's first bytes are those of LIF."""
    return head.startswith(_MAGIC) and head[8:9] == b"\x2a"


def scenes(path: Path) -> list[str]:
    """Return the names of the images in a file."""
    with _file(path) as file, parsing(path, KIND):
        return _names(file)


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open one image of a LIF file.

    Raises
    ------
    ValueError
        If the file is damaged, or the image has axes such as wavelengths, tiles or lifetimes; the message names the file.
    ImportError
        If liffile is not installed.
    """
    with _file(path) as file:
        with parsing(path, KIND):
            names = _names(file)
            image = file.images[which_scene(path, names, scene)]
            axes = tuple(image.dims)
            _check(path, image, axes)
            if image.memory_block.offset + image.nbytes > path.stat().st_size:
                raise FileError(f"{path}: found the file truncated, need all of it")
            values = image.asarray(out="memmap")
        element = image.xml_element
        yield Stored(
            path,
            KIND,
            values,
            "".join(axes),
            lambda flat: _voxel_size(path, element, flat),
            lambda: _about(element),
        )


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    try:
        import liffile
    except ImportError:
        raise ImportError('LIF files need liffile: pip install "fastmpr[lif]"') from None
    with parsing(path, KIND):
        file = liffile.LifFile(path, squeeze=False)
    try:
        yield file
    finally:
        file.close()


def _names(file: Any) -> list[str]:
    return [image.path for image in file.images]


def _check(path: Path, image: Any, axes: tuple[str, ...]) -> None:
    """Refuse axes that are not those of a stack."""
    what = f"found an image of shape {tuple(image.shape)} with axes {', '.join(axes)}"
    if "S" in axes:
        raise FileError(f"{path}: {what}, which is RGB, need grey levels")
    if image.is_flim or not {"Y", "X"} <= set(axes) <= _KNOWN:
        raise FileError(f"{path}: {what}, need frames, channels, z, y, x")


def _voxel_size(path: Path, element: Element, flat: bool) -> Vector | None:
    """Return the distance between the centres of voxels; LIF gives that of the first and the last of an axis."""
    said = {one.get("DimID"): one for one in element.iterfind(_DIMENSIONS)}
    z, y, x = (_side(said.get(_NUMBER[axis])) for axis in ("Y" if flat else "Z", "Y", "X"))
    return units.voxel_size(path, z=z, y=y, x=x)


def _side(dimension: Element | None) -> tuple[float | None, str]:
    if dimension is None:
        return None, ""
    intervals = int(dimension.get("NumberOfElements", 1)) - 1
    length = abs(float(dimension.get("Length", 0)))  # a stack that was taken downwards has a negative one
    return (length / intervals if intervals > 0 and length else None), dimension.get("Unit", "")


def _about(element: Element) -> About:
    """Return what is said of each channel; a confocal microscope gives the band of its detector, and no emission."""
    channels = element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription")
    told = [
        {one.findtext("Key"): one.findtext("Value") for one in channel.iterfind("ChannelProperty")}
        for channel in channels
    ]
    camera = element.findall(f"./Data/Image/Attachment/{_CAMERA}")
    if len(camera) != len(channels):
        camera = [Element("unknown")] * len(channels)
    names = tuple(
        one.get("DyeName") or filters.get("UserDefName") or channel.get("LUTName")
        for one, filters, channel in zip(told, camera, channels, strict=True)
    )
    emission = tuple(wavelength(filters.get("EmissionWavelength"), "nm") for filters in camera)
    return About(names, emission, (None,) * len(channels), _interval(element))


def _interval(element: Element) -> float | None:
    """Return the seconds between frames."""
    frames = next((one for one in element.iterfind(_DIMENSIONS) if one.get("DimID") == _NUMBER["T"]), None)
    length, unit = _side(frames)
    return length if unit == "s" else None
