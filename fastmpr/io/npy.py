"""Arrays in NumPy's own files (.npy): memory-mapped, and without a voxel size or names of axes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import log
from .about import About
from .arrays import check_not_empty, unnamed
from .files import FileError, check_fits_memory, written_whole
from .pieces import Pieces, appended
from .stored import Stored, parsing, which_scene

SUFFIXES = (".npy",)
KIND = "an NPY file"
NO_VOXEL_SIZE = True

_MAGIC = b"\x93NUMPY"


class Header(NamedTuple):
    """What the first bytes of an array in NumPy's format tell."""

    shape: tuple[int, ...]
    in_fortran_order: bool
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """The bytes of all numbers; more than a machine integer holds, if a file says so."""
        return prod(self.shape) * self.dtype.itemsize


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file begins as NumPy's files do."""
    return head.startswith(_MAGIC)


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Map the array of a file into memory.

    Raises
    ------
    ValueError
        If the file is not NumPy's, truncated, or holds pickled objects, which may run any code; the message names the file.
    """
    which_scene(path, [path.name], scene)
    with parsing(path, KIND), open(path, "rb") as file:
        header = header_of(path, file)
        begin = file.tell()
    end = begin + header.nbytes
    if end > path.stat().st_size:
        check_fits_memory(path, header.nbytes)
        found = f"found the file truncated ({path.stat().st_size} bytes of {end} declared)"
        raise FileError(f"{path}: {found}, need all of it")
    yield Stored(path, KIND, mapped(path, header, begin), unnamed(len(header.shape)), lambda flat: None)


def header_of(path: Path, file: Any) -> Header:
    """Read the header of an array; an array of Python objects is refused."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise FileError(f"{path}: found version {version} of NumPy's format, need 1.0 or 2.0")
    header = Header(*read(file))
    if header.dtype.hasobject:
        raise FileError(f"{path}: found pickled Python objects, which may run any code, need an array of numbers")
    if header.dtype.names or header.dtype.shape:
        raise FileError(f"{path}: found records ({header.dtype}), need an array of numbers")
    check_not_empty(path, header.shape)
    return header


def mapped(path: Path, header: Header, begin: int) -> NDArray:
    """Return the numbers that begin at some byte of a file, as a memory map."""
    order: Any = "F" if header.in_fortran_order else "C"
    return np.memmap(path, header.dtype, mode="r", offset=begin, shape=header.shape, order=order)


@contextmanager
def created(
    path: Path, shape: tuple[int, ...], dtype: Any, axes: str, voxel_size: Any, about: About, overwrite: bool
) -> Iterator[Pieces]:
    """Write an array piece by piece, whole or not at all; the log says what such a file cannot hold."""
    lost = ["the voxel size"] * (voxel_size is not None) + ["the axes"] * (axes not in ("YX", "ZYX"))
    if lost:
        log.info(f"{path}: an NPY file does not hold {' and '.join(lost)}")
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": tuple(shape)}
    with written_whole(path, overwrite) as temporary:
        with open(temporary, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
        with appended(temporary, shape, dtype) as pieces:
            yield pieces
