"""CZI files of Zeiss microscopes, read by Zeiss's own library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from . import units
from .about import About, seconds, wavelength
from .files import FileError, check_fits_memory
from .planes import Planes
from .stored import Stored, parsing, which_scene

SUFFIXES = (".czi",)
KIND = "a CZI file"

_MAGIC = b"ZISRAWFILE"
_TYPES = {"Gray8": np.uint8, "Gray16": np.uint16, "Gray32Float": np.float32}
_OUTER = "TCZ"
_KNOWN = {*_OUTER, "S", "M"}  # S counts scenes, M the tiles of a mosaic
_PLACE = "./Metadata/Information/Image/"


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file's first bytes are those of CZI."""
    return head.startswith(_MAGIC)


def scenes(path: Path) -> list[str]:
    """Return the names of the images in a file."""
    with _document(path) as document, parsing(path, KIND):
        return _names(document, _root(document))


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open one scene of a CZI file: whole planes of grey levels, each of one tile.

    Raises
    ------
    ValueError
        If the file is damaged, RGB, a mosaic, or has axes such as views or phases; the message names the file.
    ImportError
        If pylibCZIrw is not installed.

    References
    ----------
    Zeiss, "CZI file format" (DS_ZISRAW-FileFormat), for the meaning of dimensions and metadata.
    """
    with _document(path) as document:
        with parsing(path, KIND):
            root = _root(document)
            names = _names(document, root)
            chosen = which_scene(path, names, scene)
            blocks = _blocks(document)
            frame = document.scenes_bounding_rectangle_no_pyramid or {
                None: document.total_bounding_rectangle_no_pyramid
            }
            number, rectangle = sorted(frame.items(), key=lambda item: item[0] or 0)[chosen]
            first = _first_and_sizes(path, [place for place, _ in blocks])
            kind = _dtype(path, document)
            own = [(place, box) for place, box in blocks if number is None or place.get("S", number) == number]
        _check_tiles(path, own, rectangle, prod(size for _, size in first.values()))
        axes = "".join(first)
        shape = (*(size for _, size in first.values()), rectangle.h, rectangle.w)

        def plane(index: tuple[int, ...]) -> NDArray:
            place = {axis: first[axis][0] + k for axis, k in zip(axes, index, strict=True)}
            read: NDArray = document.read(roi=rectangle, plane=place, scene=number)
            return read[..., 0]

        check_fits_memory(path, rectangle.h * rectangle.w * kind.itemsize)
        yield Stored(
            path,
            KIND,
            Planes(shape, kind, plane),
            axes + "YX",
            lambda flat: _voxel_size(path, root, flat),
            lambda: _about(root),
            thread_safe=False,
        )


@contextmanager
def _document(path: Path) -> Iterator[Any]:
    try:
        from pylibCZIrw import czi
    except ImportError:
        raise ImportError('CZI files need pylibCZIrw: pip install "fastmpr[czi]"') from None
    with parsing(path, KIND):
        document = czi.CziReader(str(path))
    try:
        yield document
    finally:
        document.close()


def _root(document: Any) -> ElementTree.Element:
    return ElementTree.fromstring(document.raw_metadata)


def _names(document: Any, root: ElementTree.Element) -> list[str]:
    """Return the names of scenes, their numbers where the metadata have none."""
    numbers = sorted(document.scenes_bounding_rectangle_no_pyramid) or [0]
    named = {one.get("Index"): one.get("Name") for one in root.iterfind(f"{_PLACE}Dimensions/S/Scenes/Scene")}
    return [named.get(str(number)) or str(number) for number in numbers]


def _blocks(document: Any) -> list[tuple[dict[str, int], tuple[int, int, int, int]]]:
    """Return the place and the rectangle (x, y, w, h) of all tiles at full resolution."""
    found: list[tuple[dict[str, int], tuple[int, int, int, int]]] = []

    def note(_: int, block: Any) -> bool:
        box = block.logicalRect
        found.append((block.coordinate.to_dict(), (box.x, box.y, box.w, box.h)))
        return True

    document.enumerate_subblocks_subset(note, only_layer0=True)
    return found


def _first_and_sizes(path: Path, places: list[dict[str, int]]) -> dict[str, tuple[int, int]]:
    """Return the first index and the size along each axis but y and x."""
    if not places:
        raise FileError(f"{path}: found no image in the file, need one")
    found = {axis: sorted({place[axis] for place in places if axis in place}) for axis in set().union(*places)}
    if odd := sorted(axis for axis, values in found.items() if axis not in _KNOWN and len(values) > 1):
        raise FileError(f"{path}: found the axes {', '.join(odd)}, need only frames, channels, z, y, x")
    return {axis: (found[axis][0], found[axis][-1] - found[axis][0] + 1) for axis in _OUTER if axis in found}


def _check_tiles(path: Path, blocks: list[Any], rectangle: Any, n_planes: int) -> None:
    """Refuse a mosaic, whose tiles overlap or leave gaps, and missing planes, which would be read as zeros."""
    planes = {tuple(place.get(axis, 0) for axis in _OUTER) for place, _ in blocks}
    whole = (rectangle.x, rectangle.y, rectangle.w, rectangle.h)
    if len(blocks) > len(planes) or any(box != whole for _, box in blocks):
        raise FileError(
            f"{path}: found a mosaic of tiles ({len(blocks)} for {len(planes)} planes), need one tile a plane"
        )
    if len(planes) < n_planes:
        raise FileError(f"{path}: found {len(planes)} planes of {n_planes}, need all of them")


def _dtype(path: Path, document: Any) -> np.dtype:
    types = set(document.pixel_types.values())
    if len(types) == 1 and (kind := next(iter(types))) in _TYPES:
        return np.dtype(_TYPES[kind])
    what = " and ".join(sorted(map(str, types)))
    colours = ", which is RGB" if "Bgr" in what else ""
    raise FileError(f"{path}: found pixels of type {what}{colours}, need grey levels: {', '.join(_TYPES)}")


def _voxel_size(path: Path, root: ElementTree.Element, flat: bool) -> Vector | None:
    """Return the scaling, which CZI gives in metres."""
    said = {one.get("Id"): one.findtext("Value") for one in root.iterfind("./Metadata/Scaling/Items/Distance")}
    z, y, x = ((said.get(axis), "m") for axis in ("Y" if flat else "Z", "Y", "X"))
    return units.voxel_size(path, z=z, y=y, x=x)


def _about(root: ElementTree.Element) -> About:
    channels = root.findall(f"{_PLACE}Dimensions/Channels/Channel")
    emission, excitation = (
        tuple(wavelength(one.findtext(f"{kind}Wavelength"), "nm") for one in channels)
        for kind in ("Emission", "Excitation")
    )
    interval = seconds(root.findtext(f"{_PLACE}Dimensions/T/Positions/Interval/Increment"), "s")
    return About(tuple(one.get("Name") for one in channels), emission, excitation, interval)
