"""Images in HDF5 files: the only data set of three dimensions or more, or the one of a name (``file.h5:/name``).

The labels of a data set's dimensions name its axes, and its attribute ``element_size_um`` is the voxel size (z, y, x).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import Vector
from .about import About
from .arrays import as_entries, check_not_empty, told_about, told_axes, told_sides, which_array
from .files import FileError, check_fits_memory, written_whole
from .stored import Stored, parsing

SUFFIXES = (".h5", ".hdf5")
KIND = "an HDF5 file"

_MAGIC = b"\x89HDF\r\n\x1a\n"
_SIZE = "element_size_um"


def holds(path: Path, head: bytes) -> bool:
    """Return whether a file begins as HDF5 files do."""
    return head.startswith(_MAGIC)


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open a data set; one that lies uncompressed in one piece is memory-mapped.

    Parts that were never written are an error, since HDF5 reads them as zeros; where the fill value is NaN, which stands for
    what was not seen, they are NaN.

    Raises
    ------
    ValueError
        If the file is no HDF5 file, truncated, or holds several data sets; the message names the file.
    ImportError
        If h5py is not installed.
    """
    h5py = require()
    with ExitStack() as files:
        with parsing(path, KIND):
            file = files.enter_context(h5py.File(path, "r"))
            found: dict[str, Any] = {}
            file.visititems(lambda name, one: _note(found, name, one, h5py.Dataset))
            data = found[which_array(path, {name: one.shape for name, one in found.items()}, scene)]
            check_not_empty(path, data.shape)
            _check_written(path, data)
            said = dict(data.attrs)
            axes = told_axes(path, _labels(data), data.ndim)
            values = _values(path, file, data)
        yield Stored(path, KIND, values, axes, partial(_sides, path, said), partial(told_about, said))


def _note(found: dict[str, Any], name: str, one: Any, kind: Any) -> None:
    """Keep a data set of numbers."""
    if isinstance(one, kind) and one.shape is not None and one.dtype.kind in "fiubc":
        found[name] = one


def _labels(data: Any) -> str | None:
    """Return the letters of the dimensions, None if they have no labels of one letter."""
    labels = [dimension.label for dimension in data.dims]
    return "".join(labels).upper() if all(len(label) == 1 for label in labels) else None


def _sides(path: Path, said: dict[str, Any], flat: bool) -> Vector | None:
    return told_sides(path, said.get(_SIZE), flat)


def _check_written(path: Path, data: Any) -> None:
    """Refuse a data set of which parts were never written, or of chunks that do not fit in memory."""
    if data.is_virtual or (data.dtype.kind == "f" and np.isnan(data.fillvalue)):
        return
    if data.chunks is None:
        if data.id.get_storage_size() == 0:
            raise FileError(f"{path}: found no numbers written in {data.name}, need all of them")
        return
    check_fits_memory(path, prod(data.chunks) * data.dtype.itemsize)
    count = prod(-(-n // chunk) for n, chunk in zip(data.shape, data.chunks, strict=True))
    if (there := _n_in_place(data)) < count:
        raise FileError(f"{path}: found {there} of the {count} chunks of {data.name} written, need all of them")


def _n_in_place(data: Any) -> int:
    """Return how many chunks lie in the grid; a damaged index has as many, at places that are never read."""
    places: set[tuple[int, ...]] = set()
    data.id.chunk_iter(lambda one: places.add(one.chunk_offset))  # stops at what is not None
    sides = tuple(zip(data.shape, data.chunks, strict=True))
    return sum(all(at < n and at % chunk == 0 for at, (n, chunk) in zip(place, sides, strict=True)) for place in places)


def _values(path: Path, file: Any, data: Any) -> Any:
    """Return the numbers, unread."""
    offset = None if data.chunks or data.external or data.is_virtual else data.id.get_offset()
    if not offset or file.userblock_size:
        return data
    return np.memmap(path, data.dtype, mode="r", offset=offset, shape=data.shape)


@contextmanager
def created(
    path: Path, shape: tuple[int, ...], dtype: Any, axes: str, voxel_size: Any, about: About, overwrite: bool
) -> Iterator[Any]:
    """Write a data set piece by piece, with its axes, voxel size and channels as attributes, whole or not at all."""
    h5py = require()
    entries = as_entries(axes, voxel_size, about)
    with written_whole(path, overwrite) as temporary:
        try:
            with h5py.File(temporary, "w") as file:
                data = file.create_dataset("values", shape, dtype)
                for dimension, letter in zip(data.dims, entries.pop("axes"), strict=True):
                    dimension.label = letter.lower()
                if "voxel_size" in entries:
                    data.attrs[_SIZE] = entries.pop("voxel_size")
                data.attrs.update(entries)
                yield data
        except RuntimeError as error:  # h5py's on a full disk
            raise OSError(" ".join(str(error).split())) from None


def require() -> Any:
    """Return the h5py module, or raise an error that says how to install it."""
    try:
        import h5py
    except ImportError:
        raise ImportError('HDF5 files need h5py: pip install "fastmpr[hdf5]"') from None
    return h5py
