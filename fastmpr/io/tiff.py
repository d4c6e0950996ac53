"""3-D volumes and 4-D stacks of volumes in TIFF files (OME, ImageJ or plain), with their voxel size."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import Vector, as_shape, as_volume, as_voxel_size
from . import units
from .files import FileError, check_fits_memory, written_whole

SUFFIXES = (".tif", ".tiff")

_NEED_VOLUME = "need each volume whole, in a file of its own"

# bytes of each data type of a TIFF tag, by the type's number
_TYPE_SIZES = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8, 0], dtype=np.uint64)


def read(path: str | Path, voxel_size: Vector | None = None) -> tuple[NDArray, Vector | None]:
    """Read a 3-D volume.

    Parameters
    ----------
    path : path
        A TIFF file that holds one grey-level volume (z, y, x), compressed or not, of any byte order. If the file belongs to
        a set of files with common OME metadata, this file alone is read.
    voxel_size : (float, float, float), optional
        Replaces the voxel size in the file, which is then not read.

    Returns
    -------
    volume : ndarray, float32 or float64
        Finite; float64 stays float64, all else becomes float32.
    voxel_size : (float, float, float) or None
        (z, y, x) in micrometres, as given, else from the OME or ImageJ metadata; None if neither has it.

    Raises
    ------
    ValueError
        If the file is no TIFF file, truncated, 2-D, 4-D, RGB or a part of a volume, or has several channels, NaN or infinite
        values, or a voxel size that is incomplete or unclear; the message names the file.
    ImportError
        If tifffile is not installed, or imagecodecs if the compression needs it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cube.ome.tif"
    ...     write(path, np.ones((4, 5, 6)), voxel_size=(0.3, 0.1, 0.1))
    ...     volume, voxel_size = read(path)
    >>> volume.shape, voxel_size
    ((4, 5, 6), (0.3, 0.1, 0.1))
    """
    with named(path), opened(path, alone=True) as (tif, series):
        if len(series.shape) != 3 or "C" in series.axes:
            raise FileError(f"{path}: {shown_axes(series)}, need a 3-D volume (z, y, x)")
        check_fits_memory(path, series.nbytes)
        array, voxel_size = series.asarray(), voxel_size or voxel_size_of(path, tif)
    return as_volume(array, str(path), gaps=True), voxel_size


def voxel_size_in(path: str | Path) -> Vector | None:
    """Return the voxel size in a file's metadata, as `read` finds it."""
    with named(path), opened(path, alone=True) as (tif, _):
        return voxel_size_of(path, tif)


class Stack(Sequence[NDArray]):
    """The volumes of a 4-D TIFF file (n, z, y, x), read one at a time; a 3-D file is a stack of one volume.

    Parameters
    ----------
    path : path
        The file.
    voxel_size : (float, float, float), optional
        Replaces the voxel size in the file.

    Attributes
    ----------
    shape : (int, int, int)
        Shape of one volume.
    voxel_size : (float, float, float) or None
        (z, y, x) in micrometres, as `read` finds it.

    Raises
    ------
    ValueError, ImportError
        As `read` does.
    """

    names = None
    thread_safe = True

    def __init__(self, path: str | Path, voxel_size: Vector | None = None) -> None:
        self.path = Path(path)
        with ExitStack() as files, named(self.path):
            tif, series = files.enter_context(opened(self.path))
            if len(series.shape) not in (3, 4) or not _is_stack_of_volumes(series.axes):
                raise FileError(f"{path}: {shown_axes(series)}, need a 4-D stack of volumes (n, z, y, x)")
            self._n, *sizes = series.shape if len(series.shape) == 4 else (1, *series.shape)
            self.shape = as_shape(sizes)
            self.voxel_size = voxel_size or voxel_size_of(path, tif)
            check_fits_memory(path, series.nbytes // self._n)
            if series.dataoffset is not None:  # the data lie uncompressed in one piece
                self._map = require_tifffile().memmap(path, mode="r").reshape(self._n, *self.shape)
            else:
                self._map, self._pages, self._lock = None, series.pages, Lock()
                if len(self._pages) % self._n:
                    raise FileError(
                        f"{path}: {shown_axes(series)} on {len(self._pages)} pages, need whole pages for each volume"
                    )
                weakref.finalize(self, files.pop_all().close)  # pages are read from the open file

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:
        """Read volume ``index``, float32 or float64."""
        i = range(self._n)[index]
        if self._map is not None:
            volume = self._map[i]
        else:
            n_pages = len(self._pages) // self._n
            with self._lock, named(self.path):
                pages = [page.asarray() for page in self._pages[i * n_pages : (i + 1) * n_pages]]
                volume = np.stack(pages).reshape(self.shape)
        return as_volume(volume, f"{self.path}, volume {i}", gaps=True)


def write(path: str | Path, volume: ArrayLike, voxel_size: ArrayLike | None = None, overwrite: bool = False) -> None:
    """Write a volume as OME-TIFF, whole or not at all.

    Parameters
    ----------
    path : path
        The suffix ``.ome.tif`` is best: other programs then look for the voxel size in the OME metadata.
    volume : array_like, shape (z, y, x)
        float64 is written as float64, all else as float32.
    voxel_size : float or (float, float, float), optional
        (z, y, x) in micrometres. Without it the file has no voxel size.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ValueError
        If the volume is not 3-D or not finite.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If tifffile is not installed.
    """
    tifffile = require_tifffile()
    array = as_volume(volume, "volume")
    metadata: dict[str, Any] = {"axes": "ZYX"}
    if voxel_size is not None:
        for axis, length in zip("ZYX", as_voxel_size(voxel_size), strict=True):
            metadata |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": "µm"}
    with written_whole(path, overwrite) as temporary:
        tifffile.imwrite(temporary, array, ome=True, photometric="minisblack", metadata=metadata)


def require_tifffile() -> Any:
    """Return the tifffile module, or raise an error that says how to install it."""
    try:
        import tifffile
    except ImportError:
        raise ImportError('TIFF files need tifffile: pip install "fastmpr[cli]"') from None
    return tifffile


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Add the file's name to any error of its parser."""
    try:
        yield
    except (FileError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        if "imagecodecs" in str(error):
            raise ImportError(f"{path}: cannot be read ({error}): pip install imagecodecs") from None
        raise FileError(f"{path}: cannot be read as a TIFF file ({error})") from None


@contextmanager
def opened(path: str | Path, alone: bool = False, colours: bool = False) -> Iterator[tuple[Any, Any]]:
    """Yield (file, image) of a whole TIFF file with one image, in grey levels unless ``colours`` are allowed.

    If the file belongs to a set, the image is that of the whole set, or that of this file ``alone``.
    """
    tifffile = require_tifffile()
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, need a TIFF file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: does not exist, need a TIFF file")
    if path.stat().st_size == 0:
        raise FileError(f"{path}: found an empty file, need a TIFF file")
    with ExitStack() as files:
        tif = files.enter_context(tifffile.TiffFile(path))
        _check_chain(path, tif)
        if alone and tif.is_ome and _is_whole_volume_of_set(path, tif):
            tif = files.enter_context(tifffile.TiffFile(path, is_ome=False))
        if len(tif.series) != 1:
            raise FileError(f"{path}: found {len(tif.series)} separate images, need one")
        series = tif.series[0]
        if "S" in series.axes and not colours:
            raise FileError(f"{path}: {shown_axes(series)}, which is RGB, need grey levels")
        _check_extent(path, series)
        yield tif, series


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


def _is_stack_of_volumes(axes: str) -> bool:
    """Return whether the axes are (n,) z, y, x, or are not named."""
    return "C" not in axes and (axes.endswith("ZYX") or "Z" not in axes)


def shown_axes(series: Any) -> str:
    """Return text for an error: the shape and the axes of an image."""
    return f"found an image of shape {series.shape} with axes {series.axes}"


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


def voxel_size_of(path: str | Path, tif: Any, flat: bool = False) -> Vector | None:
    """Return (z, y, x) in micrometres from the OME or ImageJ metadata, None if they do not give it.

    A ``flat`` image takes its side along y for z.
    """
    if tif.pages[0].is_ome:
        return _ome_voxel_size(path, tif.pages[0].description, flat)
    return _imagej_voxel_size(path, tif, flat) if tif.is_imagej else None


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
