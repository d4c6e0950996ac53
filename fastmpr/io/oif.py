"""OIF and OIB files of Olympus microscopes: settings as text, and a TIFF for each plane, in a folder or in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from . import units
from .about import About, seconds, wavelength
from .files import FileError, check_fits_memory
from .planes import Planes
from .stored import Stored, parsing, which_scene

SUFFIXES = (".oif", ".oib")
KIND = "an OIF or OIB file"

_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # OIB is an OLE compound file
_OUTER = "TCZ"
# as computers with decimal commas write it: 0,207.0; not what may be thousands: 1,207
_COMMA = re.compile(r"(0,\d+|\d+,(?:\d{1,2}|\d{4,}))(?:\.0*)?")
_PLANE = re.compile(r"s_((?:[A-Z]\d+)+)\.tif$")  # s_C001Z002.tif


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file's first bytes are those of settings as text in UTF-16, or of a compound file named .oib."""
    is_settings = head.startswith(b"\xff\xfe") and "[ProfileSaveInfo]" in head.decode("utf-16-le", "ignore")
    return is_settings or (head.startswith(_COMPOUND) and path.name.lower().endswith(SUFFIXES))


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open the image of an OIF or OIB file.

    Raises
    ------
    ValueError
        If the file is damaged, planes are missing, or it is a line scan or a set of spectra; the message names the file.
    ImportError
        If oiffile is not installed.
    """
    which_scene(path, [path.name], scene)
    with _file(path) as file:
        with parsing(path, KIND):
            axes = _axes(path, file.mainfile)
            sizes = {axis: int(one["MaxSize"]) for axis, one in axes.items()}
            values, order = _values(path, file, sizes)
        yield Stored(
            path,
            KIND,
            values,
            order,
            lambda flat: _voxel_size(path, file.mainfile, axes, flat),
            lambda: _about(file.mainfile, axes, sizes),
            thread_safe=False,
        )


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    try:
        import oiffile
    except ImportError:
        raise ImportError('OIF and OIB files need oiffile: pip install "fastmpr[oif]"') from None
    with parsing(path, KIND):
        file = oiffile.OifFile(path)
    try:
        yield file
    finally:
        file.close()


def _axes(path: Path, settings: Any) -> dict[str, Any]:
    """Return the settings of each axis by its letter."""
    found = [settings.get(f"Axis {k} Parameters Common", {}) for k in range(8)]
    axes = {str(one["AxisCode"]): one for one in found if int(one.get("MaxSize", 0) or 0) > 0}
    odd = sorted(axis for axis, one in axes.items() if axis not in "TCZYX" and int(one["MaxSize"]) > 1)
    if odd or not {"Y", "X"} <= set(axes):
        raise FileError(f"{path}: found the axes {', '.join(axes)}, need frames, channels, z, y, x")
    return {axis: one for axis, one in axes.items() if axis in "TCZYX"}


def _planes(file: Any, outer: list[str]) -> dict[tuple[int, ...], str]:
    """Return the name of the TIFF of each place along the outer axes; names count from 1."""
    found: dict[tuple[int, ...], str] = {}
    for name in file.glob("*.tif"):
        if match := _PLANE.search(name):
            place = {letter: int(number) - 1 for letter, number in re.findall(r"([A-Z])(\d+)", match[1])}
            found[tuple(place.get(axis, 0) for axis in outer)] = name
    return found


def _values(path: Path, file: Any, sizes: dict[str, int]) -> tuple[Planes, str]:
    """Return an image that is read plane by plane, and its axes."""
    outer = [axis for axis in _OUTER if sizes.get(axis, 1) > 1]
    shape = tuple(sizes[axis] for axis in (*outer, "Y", "X"))
    names = _planes(file, outer)
    n_found = sum(place in names for place in product(*map(range, shape[:-2])))
    if n_found < prod(shape[:-2]):
        raise FileError(f"{path}: found {n_found} planes of {prod(shape[:-2])}, need all of them")
    depth = int(file.mainfile["Reference Image Parameter"]["ValidBitCounts"])
    kind = np.dtype(np.uint16 if depth > 8 else np.uint8)
    check_fits_memory(path, shape[-2] * shape[-1] * kind.itemsize)

    def plane(index: tuple[int, ...]) -> NDArray:
        read: NDArray = file.asarray(names[index])
        return read

    return Planes(shape, kind, plane), "".join(outer) + "YX"


def _voxel_size(path: Path, settings: Any, axes: dict[str, Any], flat: bool) -> Vector | None:
    """Return the side of a pixel, which the settings give once for all planes, and the distance between planes."""
    image = settings.get("Reference Image Parameter", {})
    y, x = (
        (_number(image.get(f"{side}ConvertValue")), str(image.get(f"{side}Unit", ""))) for side in ("Height", "Width")
    )
    return units.voxel_size(path, z=y if flat else _interval(axes, "Z"), y=y, x=x)


def _interval(axes: dict[str, Any], axis: str) -> tuple[Any, str]:
    """Return the distance between two samples of an axis and its unit; a stack may be taken downwards."""
    said = axes.get(axis, {})
    step = _number(said.get("Interval"))
    return abs(step) if isinstance(step, int | float) else step, str(said.get("PixUnit", ""))


def _number(value: Any) -> Any:
    """Return a number that is written with a decimal comma as a number, all else as it is."""
    match = _COMMA.fullmatch(value.strip().removeprefix("-")) if isinstance(value, str) else None
    return float(match[1].replace(",", ".")) if match else value


def _about(settings: Any, axes: dict[str, Any], sizes: dict[str, int]) -> About:
    channels = [settings.get(f"Channel {k + 1} Parameters", {}) for k in range(sizes.get("C", 1))]
    return About(
        tuple(one.get("DyeName") or None for one in channels),
        tuple(wavelength(one.get("EmissionWavelength"), "nm") for one in channels),
        tuple(wavelength(one.get("ExcitationWavelength"), "nm") for one in channels),
        seconds(*_interval(axes, "T")),
    )
