"""Check arrays for results: they must fit, and must not share storage with the image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORK = 100_000  # steps of `numpy.shares_memory`; without an answer by then, memory counts as shared


def check_out(out: Any, values: Any) -> None:
    """Refuse an array that cannot hold the result of an image, or that is the image itself."""
    shape = tuple(values.shape)
    if tuple(getattr(out, "shape", ())) != shape:
        raise ValueError(f"out: found shape {getattr(out, 'shape', None)}, need the image's, {shape}")
    if np.dtype(getattr(out, "dtype", float)).kind != "f":
        raise ValueError(f"out: found {out.dtype}, need a floating-point type: results are not integers")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError("out: found an array that cannot be written to, need one that can")
    if share_storage(values, out):
        raise ValueError(
            "out: found the image itself, or a part of it, need another array: the image is read to the end"
        )


def share_storage(a: Any, b: Any) -> bool:
    """Return whether writing to one array may change the other."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return _share_memory(a, b) or _share_file(_mapped(a), _mapped(b))
    if isinstance(graph := getattr(a, "dask", None), Mapping):  # the arrays that it is computed from
        sources = (getattr(node, "value", node) for node in graph.values())
        return any(hasattr(one, "shape") and share_storage(one, b) for one in sources)
    place = _stored(a)
    return place is not None and (place == _stored(b) or _is_same_object(a, b))


def _share_memory(a: NDArray, b: NDArray) -> bool:
    try:
        return np.shares_memory(a, b, max_work=_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _share_file(a: tuple[str, int, int] | None, b: tuple[str, int, int] | None) -> bool:
    """Return whether two ranges of bytes in files overlap."""
    return a is not None and b is not None and a[0] == b[0] and max(a[1], b[1]) < min(a[2], b[2])


def _mapped(array: NDArray) -> tuple[str, int, int] | None:
    """Return the file that an array maps, its first byte and the byte after its last; None if it maps no file."""
    whole: Any = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    if not isinstance(whole, np.memmap) or whole.filename is None:
        return None
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    first = int(whole.offset) + array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    low, high = (sum(bound(0, step) for step in steps) for bound in (min, max))
    return os.path.realpath(whole.filename), first + low, first + high + array.itemsize


def _stored(array: Any) -> Any:
    """Return where an array-like is stored: file or store, and name in it; None if that is unknown."""
    if isinstance(array, np.ndarray):
        return None
    name = getattr(array, "name", None)
    if name is not None and (file := getattr(getattr(array, "file", None), "filename", None)):  # HDF5's
        return os.path.realpath(file), str(name)
    store, path = getattr(array, "store", None), getattr(array, "path", None)  # Zarr's
    if store is None or not isinstance(path, str):
        return None
    root = getattr(store, "root", None) or getattr(store, "path", None)
    return os.path.realpath(os.path.join(root, path)) if isinstance(root, str | os.PathLike) else (id(store), path)


def _is_same_object(a: Any, b: Any) -> bool:
    """Return whether two HDF5 data sets are the same one under two names."""
    own = getattr(a, "id", None)
    return own is not None and type(a) is type(b) and bool(own == b.id)
