"""Arrays in NumPy's archives (.npz): the image, with its axes, voxel size and channels in entries beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from .about import About
from .arrays import as_entries, told_about, told_axes, told_sides, which_array
from .files import FileError, check_fits_memory, written_whole
from .npy import Header, header_of, mapped
from .stored import Stored, parsing

SUFFIXES = (".npz",)
KIND = "an NPZ file"

_ZIP, _NAME_AT, _FIXED = b"PK\x03\x04", 26, 30  # how an entry begins; place of its name's length; bytes before the name
_ENTRY = ".npy"
_SMALL = 1 << 16  # bytes of an entry that is no image


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file is a ZIP archive whose first entry is an array."""
    length = int.from_bytes(head[_NAME_AT : _NAME_AT + 2], "little")
    return head.startswith(_ZIP) and head[_FIXED : _FIXED + length].endswith(_ENTRY.encode())


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open the only image in an archive, or the one of a name; one that is not compressed is memory-mapped.

    Raises
    ------
    ValueError
        If the file is no archive, truncated, or holds several images or pickled objects; the message names the file.
    """
    with ExitStack() as files:
        with parsing(path, KIND):
            archive = files.enter_context(ZipFile(path))
            entries = {info.filename.removesuffix(_ENTRY): info for info in archive.infolist()}
            headers = {name: header for name, info in entries.items() if (header := _header(path, archive, info))}
            name = which_array(path, {name: header.shape for name, header in headers.items()}, scene)
            header, info = headers[name], entries[name]
            check_fits_memory(path, header.nbytes)
            if header.nbytes > info.file_size:
                raise FileError(f"{path}: found {name!r} truncated, need all of it")
            found = {key: _small(archive, one) for key, one in entries.items() if key not in headers}
            beside = {key: value for key, value in found.items() if value is not None}
            values = _values(path, archive, info, header)
        axes = told_axes(path, beside.get("axes"), len(header.shape))
        yield Stored(path, KIND, values, axes, partial(_sides, path, beside), partial(told_about, beside))


def _sides(path: Path, beside: dict[str, Any], flat: bool) -> Vector | None:
    return told_sides(path, beside.get("voxel_size"), flat)


def _header(path: Path, archive: ZipFile, info: ZipInfo) -> Header | None:
    """Return the header of an image of two dimensions or more; None for anything else."""
    if not info.filename.endswith(_ENTRY):
        return None
    with archive.open(info) as file:
        try:
            header = header_of(path, file)
        except FileError as error:
            if "pickled" in str(error):
                raise
            return None
    return header if header.dtype.kind in "fiubc" else None


def _small(archive: ZipFile, info: ZipInfo) -> Any:
    """Return a number, a text or a short list; None for anything else."""
    if info.file_size > _SMALL or not info.filename.endswith(_ENTRY):
        return None
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _values(path: Path, archive: ZipFile, info: ZipInfo, header: Header) -> Any:
    """Return the numbers of an image, unread."""
    if info.compress_type != ZIP_STORED:
        return _Packed(archive, info, header)
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        local = file.read(_FIXED)
        lengths = [int.from_bytes(local[k : k + 2], "little") for k in (_NAME_AT, _NAME_AT + 2)]
        file.seek(info.header_offset + _FIXED + sum(lengths))
        header_of(path, file)
        return mapped(path, header, file.tell())


class _Packed:
    """The numbers of a compressed entry, unpacked from the place before; going back unpacks from the beginning."""

    def __init__(self, archive: ZipFile, info: ZipInfo, header: Header) -> None:
        self.shape, self.dtype, self.ndim = header.shape, header.dtype, len(header.shape)
        self._archive, self._info, self._header, self._lock = archive, info, header, Lock()
        self._file = archive.open(info)
        header_of(Path(info.filename), self._file)
        self._begin = self._file.tell()

    def __getitem__(self, index: Any) -> NDArray:
        """Return a part; of an array in C order, items of the first axis are unpacked alone."""
        first, rest = index[0], index[1:]
        if self._header.in_fortran_order:
            return self._unpacked(0, self.shape)[index]
        if isinstance(first, slice):
            places = range(self.shape[0])[first]
            count = abs(places[-1] - places[0]) + 1 if places else 0
            some = self._unpacked(min(places, default=0), (count, *self.shape[1:]))
            return some[:: places.step][(slice(None), *rest)]
        return self._unpacked(int(first), self.shape[1:])[rest]

    def _unpacked(self, item: int, shape: tuple[int, ...]) -> NDArray:
        nbytes = int(np.prod(shape, dtype=object)) * self.dtype.itemsize
        with self._lock:
            self._file.seek(self._begin + item * nbytes)
            data = self._file.read(nbytes)
        order: Any = "F" if self._header.in_fortran_order else "C"
        return np.frombuffer(data, self.dtype).reshape(shape, order=order)


@contextmanager
def created(
    path: Path, shape: tuple[int, ...], dtype: Any, axes: str, voxel_size: Any, about: About, overwrite: bool
) -> Iterator[NDArray]:
    """Write an archive, whole or not at all: at once, since the sum of its bytes comes before them.

    It is not compressed, so that it can be memory-mapped.
    """
    values = np.empty(shape, dtype)
    yield values
    entries = {"values": values, **as_entries(axes, voxel_size, about)}
    with written_whole(path, overwrite) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        for name, value in entries.items():
            with archive.open(f"{name}{_ENTRY}", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)
