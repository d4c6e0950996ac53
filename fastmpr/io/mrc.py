"""3-D volumes in MRC files (also CCP4 maps), plain or gzipped, with their voxel size."""

from __future__ import annotations

import gzip
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn
from .._validation import Vector
from . import units
from .about import About
from .files import FileError, check_fits_memory, written_whole
from .pieces import Pieces, appended
from .stored import Stored, parsing, which_scene

SUFFIXES = (".mrc", ".map", ".rec", ".mrc.gz", ".map.gz", ".rec.gz")
KIND = "an MRC file"

_HEADER = 1024  # bytes
_CHUNK = 1 << 20  # bytes that are compressed at once
_MARK_AT = 208  # place of the word MAP
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZ"
_ANY_WRAPPER = 32 + zlib.MAX_WBITS  # zlib's word for gzip too
_STAMP_AT, _IMOD, _SIGNED = 40, b"IMOD", 1  # place and text of IMOD's stamp in extra2, and its flag for signed bytes
_MOST_SIGNED = 127  # the largest signed byte
_GREYS = 16  # an image of bytes has at least this many distinct values
# Bytes have the wrong sign if the mean step between voxels is more than this many times smaller as unsigned bytes. In noisy
# particles the ratio is 1.4 with the wrong sign and 0.7 with the right one.
_WRONG_SIGN = 1.15
_UNIT = 1e-4  # angstroms: tolerance of a voxel side of 1
_FLAT, _SLENDER = 0.7, 20.0  # range of a microscope voxel's side along z over its side along y
_AXES = ("YX", "ZYX", "TZYX")  # that are written: T counts the volumes of a stack
_KINDS = {2: 0, 3: 1, 4: 401}  # MRC2014's space groups of images, volumes and stacks of volumes, by their dimensions
_ANGSTROMS = 1e4  # in a micrometre
_UNDETERMINED = {"dmin": 0, "dmax": -1, "dmean": -2, "rms": -1}  # MRC2014's words for numbers that nobody has looked at
# bytes per voxel for each mode in the header; modes 3 and 4 are complex
_BYTES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file has the word that marks an MRC file, plain or gzipped; old files lack it."""
    if head.startswith(_GZIP):
        with suppress(zlib.error):
            head = zlib.decompressobj(_ANY_WRAPPER).decompress(head, _HEADER)
    return head[_MARK_AT : _MARK_AT + 3] == b"MAP"


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open an MRC2014 file or similar, of any byte order; a machine stamp or map label outside of the standard is accepted.

    An uncompressed file is memory-mapped.

    Raises
    ------
    ValueError
        If the file is no MRC file, truncated or complex; the message names the file.
    ImportError
        If mrcfile is not installed.

    References
    ----------
    A. Cheng et al., "MRC2014: Extensions to the MRC format header for electron cryo-microscopy and tomography", Journal
    of Structural Biology 192(2), 2015.
    """
    mrcfile = require()
    which_scene(path, [path.name], scene)
    _check_extent(path)
    # permissive, since many old files break the standard; what this mode lets through, with data=None, is checked here
    with parsing(path, KIND), _quiet():
        with mrcfile.open(path, permissive=True, header_only=True) as file:
            header, lengths = file.header, file.voxel_size
        _check_header(path, header)
        data = _data(path, mrcfile, header)
    if data is None:
        raise FileError(f"{path}: found the file truncated, need all of it")
    data = _with_sign(path, data, header)
    axes = "QZYX"[-data.ndim :]
    if data.ndim == 3:
        data = data.transpose(_axis_order(path, header))
    depth = 1 if data.ndim == 2 else data.shape[-3]
    yield Stored(path, KIND, data, axes, lambda flat: _voxel_size(path, lengths, header, depth))


@contextmanager
def created(
    path: Path, shape: tuple[int, ...], dtype: Any, axes: str, voxel_size: Any, about: About, overwrite: bool
) -> Iterator[Pieces]:
    """Write an image, a volume or a stack of volumes piece by piece as MRC2014 in float32, whole or not at all.

    A file whose suffix is that of gzip is compressed at the end.
    """
    mrcfile = require()
    if axes not in _AXES:
        raise FileError(f"{path}: found axes {axes}, need {', '.join(_AXES)} in an MRC file, or another format")
    if np.dtype(dtype) != np.float32:
        log.info(f"{path}: an MRC file holds float32, so digits are lost")
    with written_whole(path, overwrite) as temporary:
        with _quiet(), mrcfile.new(temporary, np.zeros((1,) * len(shape), np.float32), overwrite=True) as file:
            _describe(file, shape, voxel_size)
        with appended(temporary, shape, np.float32, _HEADER) as pieces:
            yield pieces
        if path.suffix.lower() == ".gz":
            _compress(temporary)


def _describe(file: Any, shape: tuple[int, ...], voxel_size: Any) -> None:
    """Write the header of an array of some shape, before the array."""
    depth = shape[-3] if len(shape) > 2 else 1
    sizes = {"nx": shape[-1], "ny": shape[-2], "nz": depth * (shape[0] if len(shape) == 4 else 1)}
    samples = {"mx": shape[-1], "my": shape[-2], "mz": depth}
    for name, number in {**sizes, **samples, "ispg": _KINDS[len(shape)], **_UNDETERMINED}.items():
        file.header[name] = number
    y, x = voxel_size[-2:] if voxel_size else (0.0, 0.0)  # 0: unknown
    z = voxel_size[0] if voxel_size and len(voxel_size) == 3 else y
    file.voxel_size = _ANGSTROMS * x, _ANGSTROMS * y, _ANGSTROMS * z


def _compress(path: Path) -> None:
    """Replace a file by a gzipped one."""
    packed = path.with_suffix(".gz.part")
    try:
        with open(path, "rb") as file, gzip.open(packed, "wb") as target:
            shutil.copyfileobj(file, target, _CHUNK)
        os.replace(packed, path)
    finally:
        packed.unlink(missing_ok=True)


def _data(path: Path, mrcfile: Any, header: Any) -> NDArray | None:
    """Return the numbers in a file, mapped if it is not compressed."""
    with open(path, "rb") as file:
        is_packed = file.read(2) in (_GZIP, _BZIP2)
    if is_packed:
        with mrcfile.open(path, permissive=True) as packed:
            data: NDArray | None = packed.data
        return data
    kind, shape = mrcfile.utils.data_dtype_from_header(header), mrcfile.utils.data_shape_from_header(header)
    return np.memmap(path, kind, mode="r", offset=_HEADER + int(header.nsymbt), shape=shape)


_opening = RLock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence mrcfile's warnings, in one thread at a time: two threads that swap the filters in turn would lose them."""
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _unlock() -> None:
    """Replace the lock in a forked child, where the thread that held it does not exist."""
    global _opening
    _opening = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def require() -> Any:
    """Return the mrcfile module, or raise an error that says how to install it."""
    try:
        import mrcfile
    except ImportError:
        raise ImportError('MRC files need mrcfile: pip install "fastmpr[mrc]"') from None
    return mrcfile


def _check_extent(path: Path) -> None:
    """Refuse a file shorter than its header says, since mrcfile allocates the memory first; compressed files pass."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(_HEADER)
    if len(start) < _HEADER or start.startswith((_GZIP, _BZIP2)):
        return
    # in the wrong byte order small numbers become large; mode 0 is the same in both, so the width is tested as well
    order: Any = "little" if all(int.from_bytes(start[k : k + 4], "little") < 1 << 24 for k in (0, 12)) else "big"
    nx, ny, nz, mode = (int.from_bytes(start[k : k + 4], order, signed=True) for k in (0, 4, 8, 12))
    extended, volume = int.from_bytes(start[92:96], order, signed=True), nx * ny * nz * _BYTES.get(mode, 0)
    check_fits_memory(path, volume)
    if _HEADER + max(extended, 0) + max(volume, 0) > size:
        raise FileError(f"{path}: found the file truncated, need all of it")


def _check_header(path: Path, header: Any) -> None:
    """Refuse a header that is not that of a real volume, or of one larger than the memory."""
    sizes = [int(header[name]) for name in ("nz", "ny", "nx")]
    mode = int(header["mode"])
    if mode in (3, 4):
        raise FileError(f"{path}: found complex numbers (mode {mode}), need a real volume")
    if mode not in _BYTES or min(sizes) < 1:
        raise FileError(f"{path}: found mode {mode} and sizes {tuple(sizes)}, which no MRC file has")
    check_fits_memory(path, int(np.prod(sizes, dtype=object)) * _BYTES[mode])


def _axis_order(path: Path, header: Any) -> tuple[int, ...]:
    """Return the permutation that brings the file's axes (section, row, column) into the order z, y, x."""
    axes = [int(header[name]) for name in ("maps", "mapr", "mapc")]  # 1, 2, 3 for x, y, z
    if axes == [0, 0, 0]:  # old files leave them empty
        return (0, 1, 2)
    if sorted(axes) != [1, 2, 3]:
        raise FileError(f"{path}: found axes {axes}, need x, y and z once each")
    return tuple(axes.index(axis) for axis in (3, 2, 1))


def _with_sign(path: Path, data: NDArray, header: Any) -> NDArray:
    """Return bytes with their intended sign: signed as in MRC2014, or unsigned if IMOD's stamp or the range says so.

    Before version 4.2.23, IMOD wrote unsigned bytes without a stamp (its "MRC file format"). Read as signed, they jump from
    127 to -128.
    """
    if data.dtype != np.int8:
        return data
    extra = header["extra2"].tobytes()
    stamp, flags = (extra[at : at + 4] for at in (_STAMP_AT, _STAMP_AT + 4))
    if stamp in (_IMOD, _IMOD[::-1]):  # the stamp is in the file's byte order
        signed = int.from_bytes(flags, "little" if stamp == _IMOD else "big") & _SIGNED
        return data if signed else data.view(np.uint8)
    unsigned = data.view(np.uint8)
    if header["dmax"] > _MOST_SIGNED and [unsigned.min(), unsigned.max()] == [header["dmin"], header["dmax"]]:
        return unsigned
    if _has_wrong_sign(data):
        _say(warn, path.parent, "bytes jump from 127 to -128, so they may be unsigned: need IMOD's stamp, or mode 6")
    return data


@lru_cache(maxsize=1)
def _say(how: Callable[[str], None], folder: Path, what: str) -> None:
    """Report something once for all files of a folder."""
    how(f"{folder}: found that {what}")


def _has_wrong_sign(data: NDArray) -> bool:
    """Return whether bytes vary much less from voxel to voxel as unsigned than as signed; a mask does not count."""
    if data.size < 2 or len(np.unique(data)) < _GREYS:
        return False
    as_signed, as_unsigned = (np.abs(np.diff(data.view(kind).astype(np.int16))).mean() for kind in (np.int8, np.uint8))
    return bool(as_signed > _WRONG_SIGN * as_unsigned)


def _voxel_size(path: Path, lengths: Any, header: Any, depth: int) -> Vector | None:
    """Return (z, y, x) in micrometres from angstroms; None if the header has no sides (0, or 0 / 0 samples).

    An image of ``depth`` 1 takes its side along y for z. Sides of 1 on all axes are a placeholder for an unknown voxel size.
    """
    z, y, x = (None if np.isnan(lengths[axis]) else float(lengths[axis]) for axis in ("yyx" if depth == 1 else "zyx"))
    if z is not None and y and depth > 1 and int(header["mz"]) == 1:
        z = _of_sections(path, z, y, depth)
    if all(side is not None and abs(side - 1) < _UNIT for side in (z, y, x)):
        _say(
            log.info,
            path.parent,
            "voxels are of 1 Å, which programs write as a placeholder, so the voxel size is unknown",
        )
        return None
    return units.voxel_size(path, z=(z, "Å"), y=(y, "Å"), x=(x, "Å"))


def _of_sections(path: Path, z: float, y: float, depth: int) -> float:
    """Return the side of a voxel along z in a volume whose header gives the cell of one section (mz = 1).

    With mz = 1, some programs write the cell of one section, as the standard says, and others that of all sections. The one
    that makes a microscope's voxel is taken.
    """
    sides = {side / y: side for side in (z, z / depth)}
    likely = [side for ratio, side in sides.items() if _FLAT <= ratio <= _SLENDER]
    if len(likely) == 2:
        found = f"a volume of {depth} sections with mz = 1, so a voxel of {z:g} or {z / depth:g} Å along z and {y:g} along y"
        raise FileError(
            f"{path}: found {found}, need its voxel size in micrometres from you (voxel_size=, --voxel-size)"
        )
    if len(likely) == 1 and likely[0] != z:
        _say(log.info, path.parent, f"mz = 1, so the cell of {z:g} Å along z is taken for that of all {depth} sections")
    return likely[0] if likely else z
