"""Images in Zarr folders: OME-Zarr 0.4 and 0.5 with axes, units and channels, or plain arrays.

A chunk that is missing is an error, since Zarr reads it as the fill value, mostly 0, and a lost file looks the same as one
that was left out because it was empty. Two cases are clear, and read: an inner chunk that the index of its shard says is
empty, and any chunk of an array whose fill value is NaN, which stands for what was not seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from . import ome_metadata
from .about import About
from .arrays import check_not_empty, which_array
from .chunks import decoder
from .files import FileError, check_fits_memory, tree_written_whole
from .stored import Stored, parsing, which_scene

SUFFIXES = (".zarr",)
KIND = "an OME-Zarr folder"
IS_FOLDER = True

_MARKS = ("zarr.json", ".zgroup", ".zarray")
_SIDE, _VOXELS = 256, 1 << 20  # of a chunk that is written: along y and x, and in all, at most
_LEVEL = "0"  # name of the array that is written


def holds(path: Path, head: bytes) -> bool:
    """Return whether a folder is a Zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


class _Image(NamedTuple):
    """An array, the entry of ``multiscales`` that describes it, and what its group says of channels."""

    array: Any
    scale: dict[str, Any] | None = None
    omero: dict[str, Any] | None = None


@contextmanager
def opened(path: Path, scene: Any = None) -> Iterator[Stored]:
    """Open the largest image of a pyramid, or a plain array.

    Raises
    ------
    ValueError
        If the folder is no Zarr array or group, or holds several images; the message names the folder.
    ImportError
        If zarr is not installed.
    """
    zarr = require()
    if not path.is_dir():
        raise FileError(f"{path}: is a file, need {KIND}")
    with parsing(path, KIND):
        image = _image(path, zarr.open(str(path), mode="r", **_OPTIONS), scene)
        array = image.array
        check_not_empty(path, array.shape)
        check_fits_memory(path, prod(array.chunks) * array.dtype.itemsize)
        axes = ome_metadata.letters(path, array, image.scale)
    yield Stored(
        path,
        KIND,
        _Chunks(path, array),
        axes,
        partial(_sides, path, image.scale, axes),
        partial(ome_metadata.told_about, image.scale, image.omero),
    )


_OPTIONS = {"use_consolidated": False}  # or a list of what was there once would hide what is there


def scenes(path: Path) -> list[str]:
    """Return the names of the images in a folder."""
    node = require().open(str(path), mode="r")
    return _series(node) if hasattr(node, "arrays") else [path.name]


def _sides(path: Path, scale: dict[str, Any] | None, axes: str, flat: bool) -> Vector | None:
    return None if scale is None else ome_metadata.voxel_size(path, scale, axes, flat)


def _image(path: Path, node: Any, scene: Any) -> _Image:
    """Return the image that is meant: an array, a pyramid, one of several, or the only array in a group."""
    if not hasattr(node, "arrays"):
        which_scene(path, [path.name], scene)
        return _Image(node)
    said = ome_metadata.said(node)
    if scales := said.get("multiscales"):
        names = [str(scale.get("name") or k) for k, scale in enumerate(scales)]
        scale = scales[which_scene(path, names, scene if len(scales) > 1 or scene != _LEVEL else None)]
        return _Image(node[scale["datasets"][0]["path"]], scale, said.get("omero"))
    if isinstance(scene, str) and scene.strip("/") in node:
        return _image(path, node[scene.strip("/")], None)
    if series := _series(node):
        return _image(path, node[series[which_scene(path, series, scene)]], None)
    arrays = {name: array for name, array in node.arrays() if array.dtype.kind in "fiubc"}
    if not arrays:
        groups = sorted(name for name, _ in node.groups())
        found = f"found no image, but {', '.join(groups[:5])}" if groups else "found no image"
        raise FileError(f"{path}: {found}, need one, or its name: {path}:/{'/'.join(groups[:1]) or 'name'}")
    return _Image(arrays[which_array(path, {name: array.shape for name, array in arrays.items()}, scene)])


def _series(node: Any) -> list[str]:
    """Return the names of the groups of a folder that are images, in natural order."""
    names = [name for name, group in node.groups() if ome_metadata.said(group).get("multiscales")]
    return sorted(names, key=lambda name: (len(name), name))


class _Chunks:
    """The numbers of an array; chunks that are missing are an error, never zeros."""

    def __init__(self, path: Path, array: Any) -> None:
        self.shape, self.dtype, self.ndim, self.chunks = array.shape, array.dtype, array.ndim, array.chunks
        self._path, self._array = path, array
        self._outer = getattr(array, "shards", None) or array.chunks
        fill = array.fill_value
        self._may_lack = fill is not None and self.dtype.kind == "f" and bool(np.isnan(fill))
        self._decode = None if self._may_lack else decoder(array)

    def __getitem__(self, index: Any) -> NDArray:
        """Return a part."""
        files = {} if self._may_lack else self._files(index)
        runs = [range(n)[one] if isinstance(one, slice) else one for one, n in zip(index, self.shape, strict=True)]
        if self._decode is None or any(isinstance(run, range) and run.step != 1 for run in runs):
            return np.asarray(self._array[index])
        return self._decoded(self._decode, files, runs)

    def _decoded(
        self, decode: Callable[[Path], NDArray], files: dict[tuple[int, ...], Path], runs: list[range | int]
    ) -> NDArray:
        """Return a part, put together from its chunks; a chunk may reach beyond the edge."""
        part = np.empty([len(run) for run in runs if isinstance(run, range)], self.dtype)
        for place, file in files.items():
            there, own = [], []
            for run, k, side in zip(runs, place, self._outer, strict=True):
                if isinstance(run, range):
                    first, last = max(run.start, k * side), min(run.stop, (k + 1) * side)
                    there.append(slice(first - run.start, last - run.start))
                    own.append(slice(first - k * side, last - k * side))
                else:
                    own.append(run - k * side)
            part[tuple(there)] = decode(file)[tuple(own)]
        return part

    def _files(self, index: Any) -> dict[tuple[int, ...], Path]:
        """Return the file of each chunk of a part, by its place; all must be there."""
        root = self._path / self._array.path
        places = [
            sorted({place // side for place in (range(n)[one] if isinstance(one, slice) else [one])})
            for one, n, side in zip(index, self.shape, self._outer, strict=True)
        ]
        keys = {place: self._array.metadata.encode_chunk_key(place) for place in itertools.product(*places)}
        lost = [key for key in keys.values() if not (root / key).is_file()]
        if lost:
            found = f"found {len(lost)} of {len(keys)} chunks missing ({lost[0]})"
            raise FileError(f"{self._path}: {found}, need all, or a fill value of NaN where nothing was seen")
        return {place: root / key for place, key in keys.items()}


@contextmanager
def created(
    path: Path,
    shape: tuple[int, ...],
    dtype: Any,
    axes: str,
    voxel_size: Any,
    about: About,
    overwrite: bool,
    version: str = "0.5",
) -> Iterator[Any]:
    """Write an OME-Zarr folder of version 0.5 (Zarr 3) or 0.4 (Zarr 2) piece by piece, whole or not at all."""
    zarr = require()
    chunks = _chunks_of(shape, axes)
    is_new = version == "0.5"
    options: dict[str, Any] = (
        {"dimension_names": list(axes.lower()), "compressors": zarr.codecs.ZstdCodec(level=3, checksum=True)}
        if is_new
        else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    )
    with tree_written_whole(path, overwrite) as temporary:
        group = zarr.open_group(str(temporary), mode="w", zarr_format=3 if is_new else 2)
        config = {"write_empty_chunks": True}  # or they look as if they were lost
        array = group.create_array(_LEVEL, shape=shape, dtype=dtype, chunks=chunks, config=config, **options)
        pieces = _Ranged(array)
        yield pieces
        group.attrs.update(
            ome_metadata.described(shape, pieces.range, axes, voxel_size, about, version, path.name, _LEVEL)
        )


def _chunks_of(shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    """Return the shape of chunks: a particle is one, and a large image has flat ones, which serve planes and boxes.

    Examples
    --------
    >>> _chunks_of((10, 35, 70, 70), "TZYX"), _chunks_of((2, 90, 2048, 2048), "CZYX")
    ((1, 35, 70, 70), (1, 16, 256, 256))
    """
    y, x = (min(n, _SIDE) for n in shape[-2:])
    depth = (min(shape[-3], _VOXELS // (y * x)),) if "Z" in axes else ()
    return (*(1 for _ in shape[: -2 - len(depth)]), *depth, y, x)


class _Ranged:
    """An array that is written piece by piece, and the range of its values, which viewers ask for."""

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype, self.ndim, self._array = array.shape, array.dtype, array.ndim, array
        self.range = np.inf, -np.inf

    def __setitem__(self, index: Any, values: Any) -> None:
        """Write a box."""
        low, high = self.range
        self.range = (
            float(np.fmin(low, np.fmin.reduce(values, axis=None))),
            float(np.fmax(high, np.fmax.reduce(values, axis=None))),
        )
        self._array[index] = values


def require() -> Any:
    """Return the zarr module, or raise an error that says how to install it."""
    try:
        import zarr
    except ImportError:
        raise ImportError('Zarr folders need zarr: pip install "fastmpr[zarr]"') from None
    return zarr
