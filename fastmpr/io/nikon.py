"""ND2 files of Nikon microscopes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from math import prod
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from . import units
from .about import About, wavelength
from .files import FileError, check_fits_memory
from .planes import Planes
from .stored import Stored, parsing, which_scene

SUFFIXES = (".nd2",)
KIND = "an ND2 file"

_MAGIC = b"\xda\xce\xbe\x0a"
_OLD = b"\0\0\0\x0cjP"  # ND2 of before 2009 is JPEG 2000
_KNOWN = set("TPZCYXS")
_END = Struct("<32sQ")
_CHUNK = Struct("<IIQ")
_SPARE = 1 << 16  # bytes that may follow the pixels of a packed frame
_STAMP = 8  # bytes before the pixels of a frame: its time
_FRAME = re.compile(rb"ImageDataSeq\|(\d+)!(.{16})", re.DOTALL)  # in the map: its offset and its size


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file's first bytes are those of ND2, or of its predecessor under the same suffix."""
    return head.startswith(_MAGIC) or (head.startswith(_OLD) and path.name.lower().endswith(SUFFIXES))


def scenes(path: Path) -> list[str]:
    """Return the names of the stage positions in a file."""
    with _file(path) as file, parsing(path, KIND):
        return _names(file)


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open one stage position of an ND2 file.

    Raises
    ------
    ValueError
        If the file is damaged, or has axes other than frames, channels, z, y, x; the message names the file.
    ImportError
        If nd2 is not installed.
    """
    with _file(path) as file:
        with parsing(path, KIND):
            if file.is_legacy:
                raise FileError(f"{path}: found an ND2 file in JPEG 2000, as before 2009, need one in the later form")
            sizes = dict(file.sizes)
            chosen = which_scene(path, _names(file), scene)
            values, axes = _values(path, file, sizes, chosen)
        yield Stored(
            path,
            KIND,
            values,
            axes,
            lambda flat: _voxel_size(path, file, flat),
            lambda: _about(file),
            thread_safe=False,
        )


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    try:
        import nd2
    except ImportError:
        raise ImportError('ND2 files need nd2: pip install "fastmpr[nd2]"') from None
    with parsing(path, KIND):
        file = nd2.ND2File(path)
    try:
        yield file
    finally:
        file.close()


def _names(file: Any) -> list[str]:
    """Return the names of positions, their numbers where they have none; one position of a plain file is its only image."""
    count = dict(file.sizes).get("P", 1)
    loop = next((one for one in file.experiment if one.type == "XYPosLoop"), None)
    named = [point.name for point in loop.parameters.points] if loop else []
    return [(named[k] if k < len(named) else None) or str(k) for k in range(count)]


def _values(path: Path, file: Any, sizes: dict[str, int], position: int) -> tuple[Planes, str]:
    """Return an image that is read frame by frame, and its axes; a frame holds all channels of a plane."""
    if not set(sizes) <= _KNOWN:
        raise FileError(f"{path}: found the axes {', '.join(sizes)}, need frames, positions, z, channels, y, x")
    if "S" in sizes:
        raise FileError(f"{path}: found an image of shape {tuple(sizes.values())}, which is RGB, need grey levels")
    loops = [axis for axis in sizes if axis not in "CYX"]
    height, width, n_channels = (sizes.get(axis, 1) for axis in "YXC")
    n_frames = prod(sizes[axis] for axis in loops)
    frames = _frames(path, file, n_frames)
    check_fits_memory(path, n_channels * height * width * file.dtype.itemsize)
    number = {place: k for k, place in enumerate(product(*(range(sizes[axis]) for axis in loops)))}
    left = [axis for axis in loops if axis != "P"]

    def plane(index: tuple[int, ...]) -> NDArray:
        *outer, channel = index
        place = dict(zip(left, outer, strict=True)) | {"P": position}
        k = number[tuple(place[axis] for axis in loops)]
        frame = _inflated(path, file, *frames[k]) if _is_packed(file) else file.read_frame(k)
        return np.asarray(frame).reshape(n_channels, height, width)[channel].copy()

    shape = (*(sizes[axis] for axis in left), n_channels, height, width)
    return Planes(shape, file.dtype, plane), "".join(left) + "CYX"


def _is_packed(file: Any) -> bool:
    return file.attributes.compressionType is not None


def _inflated(path: Path, file: Any, at: int, n_packed: int) -> NDArray:
    """Return a packed frame (c, y, x); nd2 would inflate it to any size."""
    said, depth = file.attributes, file.dtype.itemsize
    pixel = said.componentCount * depth
    row = said.widthBytes or said.widthPx * pixel
    needed = said.heightPx * row
    with open(path, "rb") as opened_file:
        opened_file.seek(at + _STAMP)
        packed = opened_file.read(n_packed - _STAMP)
    inflater = zlib.decompressobj()
    content = inflater.decompress(packed, needed + _SPARE)
    if len(content) < needed or not inflater.eof:
        found = f"{'less' if len(content) < needed else 'more'} than {needed} bytes in a packed plane"
        raise FileError(f"{path}: found {found}, need as many as the header declares")
    shape = (said.componentCount, said.heightPx, said.widthPx)
    return np.ndarray(shape, file.dtype, content, strides=(depth, row, pixel))


def _frames(path: Path, file: Any, n_frames: int) -> list[tuple[int, int]]:
    """Return where each frame's data begin and their size; nd2 would return zeros for missing or cut ones: refuse them.

    The file ends with a signature and the offset of a map, which gives the name, the offset and the size of every chunk. A
    chunk begins with its mark, the length of its name and that of its data.
    """
    needed = file.attributes.heightPx * (file.attributes.widthBytes or 0)
    if file.attributes.compressionType == "lossy":
        raise FileError(f"{path}: found lossy compression, need none, or a lossless one")
    with open(path, "rb") as opened_file:
        size = opened_file.seek(-_END.size, 2) + _END.size
        _, at = _END.unpack(opened_file.read(_END.size))
        opened_file.seek(at)
        _, n_name, n_data = _CHUNK.unpack(opened_file.read(_CHUNK.size))
        places = dict(_FRAME.findall(opened_file.read(min(n_name + n_data, size))))
        whole = []
        for k in range(n_frames):
            start = int.from_bytes(places.get(b"%d" % k, b"")[:8], "little")
            opened_file.seek(start)
            mark, n_name, n_data = _CHUNK.unpack(opened_file.read(_CHUNK.size).ljust(_CHUNK.size, b"\0"))
            fits = start + _CHUNK.size + n_name + n_data <= size and (_is_packed(file) or n_data >= _STAMP + needed)
            if start > 0 and mark == int.from_bytes(_MAGIC, "little") and fits:
                whole.append((start + _CHUNK.size + n_name, n_data))
    if len(whole) < n_frames:
        raise FileError(f"{path}: found {len(whole)} whole planes of {n_frames}, need all of them")
    return whole


def _voxel_size(path: Path, file: Any, flat: bool) -> Vector | None:
    """Return the calibration, which nd2 takes as 1 where an axis has none."""
    channels = file.metadata.channels or []
    if not channels:
        return None
    volume = channels[0].volume
    x, y, z = (
        side if known else None for side, known in zip(volume.axesCalibration, volume.axesCalibrated, strict=True)
    )
    return units.voxel_size(path, z=(y if flat else z, "um"), y=(y, "um"), x=(x, "um"))


def _about(file: Any) -> About:
    channels = [one.channel for one in file.metadata.channels or []]
    times = next((one.parameters for one in file.experiment if one.type == "TimeLoop"), None)
    period = getattr(times, "periodMs", 0) or 0
    return About(
        tuple(one.name for one in channels),
        tuple(wavelength(one.emissionLambdaNm, "nm") for one in channels),
        tuple(wavelength(one.excitationLambdaNm, "nm") for one in channels),
        period / 1000 if period > 0 else None,
    )
