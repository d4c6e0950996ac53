"""Images in TIFF files (OME, ImageJ or plain), with their voxel size."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import prod
from pathlib import Path
from threading import RLock
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from . import units
from .about import About, of_ome, seconds
from .files import FileError, written_whole
from .pieces import Pieces, appended
from .planes import part_of
from .stored import Stored, parsing, which_scene

SUFFIXES = (".tif", ".tiff")
KIND = "a TIFF file"

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NEED_VOLUME = "need each volume whole, in a file of its own"

# bytes of each data type of a TIFF tag, by the type's number
_TYPE_SIZES = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8, 0], dtype=np.uint64)


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file begins as a TIFF file does, of any byte order, or a BigTIFF file."""
    return head.startswith(_MAGIC)


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open the image of a TIFF file; if the file belongs to a set with common OME metadata, what this file holds of it.

    Raises
    ------
    ValueError
        If the file is no TIFF file, truncated, a part of a volume, or has several images; the message names the file.
    ImportError
        If tifffile is not installed, or imagecodecs if the compression needs it.

    Examples
    --------
    >>> import tempfile
    >>> from fastmpr.io.about import About
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cube.ome.tif"
    ...     with created(path, (4, 5, 6), np.float32, "ZYX", (0.3, 0.1, 0.1), About(), False) as target:
    ...         target[...] = 1
    ...     with opened(path) as stored:
    ...         print(stored.shape, stored.axes, stored.voxel_size(False))
    (4, 5, 6) ZYX (0.3, 0.1, 0.1)
    """
    tifffile = require()
    which_scene(path, [path.name], scene)
    with ExitStack() as files:
        with parsing(path, KIND):
            tif = files.enter_context(tifffile.TiffFile(path))
            _check_chain(path, tif)
            described = tif
            if tif.is_ome and _is_whole_volume_of_set(path, tif):
                tif = files.enter_context(tifffile.TiffFile(path, is_ome=False))
            if len(tif.series) != 1:
                raise FileError(f"{path}: found {len(tif.series)} separate images, need one")
            series = tif.series[0]
            _check_extent(path, series)
            values = _values(path, tif, series)
        yield Stored(path, KIND, values, series.axes, partial(_voxel_size, path, described), partial(_about, described))


def _values(path: Path, tif: Any, series: Any) -> Any:
    """Return the numbers in a file, unread: a memory map where they lie uncompressed in one piece."""
    if series.dataoffset is None:
        return _Pages(tif, series)
    kind = np.dtype(series.dtype).newbyteorder(tif.byteorder)
    return np.memmap(path, kind, mode="r", offset=series.dataoffset, shape=series.shape)


class _Pages:
    """The numbers on the pages of a file, read and decoded when they are asked for, by several threads side by side."""

    def __init__(self, tif: Any, series: Any) -> None:
        self.shape, self.dtype, self.ndim = series.shape, np.dtype(series.dtype), len(series.shape)
        self._series, self._handle, self._lock = series, tif.filehandle, RLock()
        outer = [k for k in range(self.ndim) if prod(self.shape[:k]) == len(series.pages)]
        # how many axes count pages; None where one page is the whole, or pages share tables that decoding needs
        self._outer = outer[0] if outer and len(series.pages) > 1 and series.keyframe.jpegtables is None else None
        if self._outer is not None:  # arrays of places, since threads that ask for pages would wait for each other
            self._begins, self._counts = (
                np.array([getattr(page, name) for page in series.pages], np.int64)
                for name in ("dataoffsets", "databytecounts")
            )

    def __getitem__(self, index: Any) -> NDArray:
        """Return a part, of which the pages alone are read."""
        if self._outer is None or all(one == slice(None) for one in index):
            with self._lock:
                whole: NDArray = self._series.asarray()
            return whole[index]
        outer, inner = index[: self._outer], index[self._outer :]
        places = np.arange(prod(self.shape[: self._outer])).reshape(self.shape[: self._outer])[outer]
        pages = [part_of(self._page(int(place)), inner) for place in places.flat]
        return np.stack(pages).reshape(*places.shape, *pages[0].shape)

    def _page(self, place: int) -> NDArray:
        """Return a page, put together from its strips or tiles."""
        key = self._series.keyframe
        page = np.zeros(key.shaped, self.dtype)
        for k, (begin, count) in enumerate(zip(self._begins[place], self._counts[place], strict=True)):
            piece, (sample, depth, row, column, _), (nz, ny, nx, _) = key.decode(self._bytes(int(begin), int(count)), k)
            part = page[sample, depth : depth + nz, row : row + ny, column : column + nx]
            part[...] = piece[: part.shape[0], : part.shape[1], : part.shape[2]]  # a tile may reach beyond the edge
        return page.reshape(self.shape[self._outer :])

    def _bytes(self, begin: int, count: int) -> bytes:
        """Return bytes of the file, by no place that threads and forked processes share, where the system can."""
        if hasattr(os, "pread"):
            return os.pread(self._handle.fileno(), count, begin)
        with self._lock:
            self._handle.seek(begin)
            return bytes(self._handle.read(count))


@contextmanager
def created(
    path: Path, shape: tuple[int, ...], dtype: Any, axes: str, voxel_size: Any, about: About, overwrite: bool
) -> Iterator[Pieces]:
    """Write an image piece by piece as OME-TIFF, uncompressed, whole or not at all; a large one as BigTIFF."""
    tifffile = require()
    metadata: dict[str, Any] = {"axes": axes}
    for axis, length in zip(axes.strip("TC"), voxel_size or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": "µm"}
    metadata |= about.metadata(shape[axes.index("C")] if "C" in axes else 1)
    options = {"ome": True, "photometric": "minisblack", "metadata": metadata}
    with written_whole(path, overwrite) as temporary:
        offset, _ = tifffile.imwrite(temporary, shape=shape, dtype=dtype, returnoffset=True, **options)
        with appended(temporary, shape, dtype, offset) as pieces:
            yield pieces


def require() -> Any:
    """Return the tifffile module, or raise an error that says how to install it."""
    try:
        import tifffile
    except ImportError:
        raise ImportError('TIFF files need tifffile: pip install "fastmpr[cli]"') from None
    return tifffile


def _check_chain(path: Path, tif: Any) -> None:
    """Refuse a truncated file, since tifffile would read the rest as if it were the whole.

    A page is a table of tags, each with a value or the offset of a value, then the offset of the next page, 0 if
    there is none (TIFF 6.0 specification, section 2).
    """
    layout, handle = tif.tiff, tif.filehandle
    integer = layout.offsetformat
    entry = np.dtype([("code", "u2"), ("type", "u2"), ("count", integer), ("at", integer)])
    for page, is_last in ((tif.pages[0], False), (tif.pages[len(tif.pages) - 1], True)):
        handle.seek(page.offset)
        (n_tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
        if n_tags == 0:
            raise FileError(
                f"{path}: found zeros where a page should be, as in an incomplete copy, need all of the file"
            )
        tags = np.frombuffer(handle.read(n_tags * layout.tagsize), entry.newbyteorder(tif.byteorder))
        n_bytes = tags["count"] * np.take(_TYPE_SIZES, tags["type"], mode="clip")
        ends = np.where(n_bytes > layout.offsetsize, tags["at"] + n_bytes, 0)
        following = handle.read(layout.offsetsize)
        if len(following) < layout.offsetsize or ends.max() > handle.size or (is_last and any(following)):
            raise FileError(f"{path}: found the file truncated ({len(tif.pages)} pages left), need all of it")


def _check_extent(path: Path, series: Any) -> None:
    """Refuse an image whose data are partly missing, since tifffile would read zeros there, or nothing."""
    size = path.stat().st_size
    if series.dataoffset is not None:
        pieces = [(series.dataoffset, series.nbytes)]
    elif any(page is None for page in series.pages):
        raise FileError(f"{path}: found pages whose files are missing, need all of them")
    else:
        pieces = [p for page in series.pages for p in zip(page.dataoffsets, page.databytecounts, strict=True)]
    end = max(offset + count for offset, count in pieces)
    if end > size or min(count for _, count in pieces) == 0:
        raise FileError(f"{path}: found the file truncated ({size} bytes of {end} declared), need all of it")


def _is_whole_volume_of_set(path: Path, tif: Any) -> bool:
    """Return whether the file belongs to a set with common OME metadata; such a file must hold one whole volume in order.

    Each ``TiffData`` of the metadata gives a run of planes, the file that holds them, and their first page in that file
    (OME-TIFF specification, "The TiffData element").
    """
    root = ElementTree.fromstring(tif.ome_metadata)
    if root.find("{*}BinaryOnly") is not None:
        raise FileError(f"{path}: found a part of an OME set whose metadata lie in another file, {_NEED_VOLUME}")
    if len({uuid.text or uuid.get("FileName") for uuid in root.iterfind(".//{*}TiffData/{*}UUID")}) < 2:
        return False
    planes = sorted(plane for pixels in root.iterfind(".//{*}Pixels") for plane in _own_planes(pixels, root, path.name))
    n = len(tif.pages)
    in_order = [(page, z) for page, z, *_ in planes] == [(i, i) for i in range(n)]
    if not in_order or any(plane[2:] != (n, planes[0][3]) for plane in planes):
        raise FileError(f"{path}: found a part of a set of OME files that is not one whole volume, {_NEED_VOLUME}")
    return True


def _own_planes(pixels: Any, root: Any, name: str) -> Iterator[tuple[int, int, int, tuple[Any, ...]]]:
    """Yield (page, z, planes per volume, identity of the volume) for each plane in this file."""
    own, order, depth = root.get("UUID"), pixels.get("DimensionOrder", "XYZCT"), int(pixels.get("SizeZ", 1))
    for element in pixels.iterfind("{*}TiffData"):
        uuid = element.find("{*}UUID")
        if uuid is None or (uuid.text != own if uuid.text and own else uuid.get("FileName") != name):
            continue
        count = int(element.get("PlaneCount", 1 if "IFD" in element.attrib else depth))
        first = {axis: int(element.get(f"First{axis}", 0)) for axis in "ZCT"}
        for k in range(count):
            place = first | {order[2]: first[order[2]] + k}
            yield int(element.get("IFD", 0)) + k, place["Z"], depth, (pixels.get("ID"), place["C"], place["T"])


def _voxel_size(path: Path, tif: Any, flat: bool) -> Vector | None:
    """Return (z, y, x) in micrometres from the OME or ImageJ metadata, None if they do not give it."""
    if tif.pages[0].is_ome:
        return _ome_voxel_size(path, tif.pages[0].description, flat)
    return _imagej_voxel_size(path, tif, flat) if tif.is_imagej else None


def _about(tif: Any) -> About:
    """Return the channels and frames of OME's metadata, or ImageJ's time between frames."""
    if tif.pages[0].is_ome:
        return of_ome(tif.pages[0].description)
    said = tif.imagej_metadata if tif.is_imagej else {}
    return About(interval=seconds(said.get("finterval"), str(said.get("tunit", "s"))))


def _ome_voxel_size(path: str | Path, xml: str, flat: bool) -> Vector | None:
    """Read the physical sizes of this file's image; if the metadata do not tell which image, those of the first."""
    root = ElementTree.fromstring(xml)
    images = root.findall(".//{*}Pixels")
    own = [pixels for pixels in images if any(_own_planes(pixels, root, Path(path).name))] or images
    given = own[0].attrib if own else {}

    def said(axis: str) -> tuple[Any, str]:  # micrometres are the default of the OME schema
        return given.get(f"PhysicalSize{axis}"), given.get(f"PhysicalSize{axis}Unit", "µm")

    return units.voxel_size(path, z=said("Y" if flat else "Z"), y=said("Y"), x=said("X"))


def _imagej_voxel_size(path: str | Path, tif: Any, flat: bool) -> Vector | None:
    """Read ImageJ's spacing along z, 1 / resolution along y and x; y and z have own units where they differ from x."""
    metadata, tags = tif.imagej_metadata, tif.pages[0].tags
    unit = metadata.get("unit", "")

    def said(name: str, axis: str) -> tuple[Any, str]:
        pixels, per = tags[name].value if name in tags else (0, 1)
        return per / pixels if pixels else None, str(metadata.get(axis, unit))

    y, x = said("YResolution", "yunit"), said("XResolution", "unit")
    z = y if flat else (metadata.get("spacing"), str(metadata.get("zunit", unit)))
    return units.voxel_size(path, z=z, y=y, x=x)
