"""Arrays of other libraries: numbers out of them, and results of the same kind."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._messages import warn

_CPU = 1  # of DLPack's kinds of devices


def as_numpy(value: Any, name: str) -> Any:
    """Return what NumPy can read: arrays of other libraries without a copy where they lie in the CPU's memory."""
    if isinstance(value, np.ndarray):
        return value
    kind = value.__dlpack_device__()[0] if hasattr(value, "__dlpack_device__") else _CPU
    if kind != _CPU or hasattr(value, "__cuda_array_interface__"):
        raise TypeError(f"{name}: found an array on a GPU (DLPack's device {int(kind)}), need one in the CPU's memory")
    if not hasattr(value, "__dlpack__"):
        return value
    try:
        return np.from_dlpack(value)
    except (
        BufferError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:  # what each library says of what it cannot share
        if hasattr(value, "__array__"):
            return np.asarray(value)
        raise TypeError(f"{name}: found an array that cannot be read ({' '.join(str(error).split())})") from None


def like(array: NDArray, value: Any) -> Any:
    """Return an array as one of the library that ``value`` comes from; as it is where that takes none by DLPack."""
    if isinstance(value, np.ndarray):
        return array
    if hasattr(value, "__array_namespace__"):
        library = value.__array_namespace__()
    else:
        library = sys.modules.get(type(value).__module__.partition(".")[0])
    take = getattr(library, "from_dlpack", None) if hasattr(value, "__dlpack__") else None
    return array if take is None else take(array)


def check_device(device: Any) -> None:
    """Say so where another device than the CPU is asked for."""
    if device is not None and "cpu" not in str(device).lower():
        warn(f"device: found {device}, but fastmpr has the CPU only: computed there, and the result is in its memory")
