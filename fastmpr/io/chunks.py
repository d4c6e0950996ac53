"""Chunks of a Zarr array, read and decoded in the thread that asks for them.

zarr hands each chunk to a thread of its own and back; where other threads compute, each of these turns waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KNOWN = ("zstd", "blosc")  # their chunks declare their size; others are left to zarr


def decoder(array: Any) -> Callable[[Path], NDArray] | None:
    """Return a function that reads the file of a chunk, None for arrays whose chunks only zarr can read."""
    if getattr(array, "shards", None) or array.filters or len(array.compressors) > 1 or array.dtype.kind not in "fiub":
        return None
    is_old = array.metadata.zarr_format == 2
    if is_old and array.order != "C":
        return None
    codecs = [codec.get_config()["id"] if is_old else codec.to_dict()["name"] for codec in array.compressors]
    dtype = array.dtype if is_old else _stored_as(array)
    if dtype is None or not set(codecs) <= set(_KNOWN):
        return None
    return _Decoder(codecs, dtype, array.chunks)


def _stored_as(array: Any) -> np.dtype[Any] | None:
    """Return the numbers in a chunk with their byte order, None where they are not bytes one after another."""
    said = array.serializer.to_dict()
    if said["name"] != "bytes":
        return None
    endian = said.get("configuration", {}).get("endian")
    dtype: np.dtype[Any] = array.dtype.newbyteorder(getattr(endian, "value", endian) or "=")
    return dtype


class _Decoder:
    """Reads chunks of one shape; each has that shape, also at the edge of the array."""

    def __init__(self, codecs: Sequence[str], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        import numcodecs

        self._codecs, self._dtype, self._shape = [numcodecs.get_codec({"id": name}) for name in codecs], dtype, shape

    def __call__(self, path: Path) -> NDArray:
        content, size = path.read_bytes(), prod(self._shape) * self._dtype.itemsize
        declared = _declared(self._codecs[0].codec_id, content) if self._codecs else len(content)
        if declared is not None and declared != size:  # before allocation, and so that no voxel is left unset
            raise ValueError(f"chunk {path.name} declares {declared} bytes, not {size}")
        for codec in self._codecs:
            content = codec.decode(content)
        return np.frombuffer(content, self._dtype).reshape(self._shape)


def _declared(codec: str, content: bytes) -> int | None:
    """Return the decoded size that a chunk declares, None where it does not (RFC 8878, 3.1.1.1; the header of Blosc 1)."""
    if codec == "blosc":
        return int.from_bytes(content[4:8], "little")
    mark = content[4] if len(content) > 4 else 0
    is_single, wide = mark >> 5 & 1, (0, 2, 4, 8)[mark >> 6]
    begin, wide = 6 - is_single + (0, 1, 2, 4)[mark & 3], wide or is_single
    stated = int.from_bytes(content[begin : begin + wide], "little")
    return stated + 256 * (wide == 2) if wide else None
