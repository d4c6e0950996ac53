"""Arrays of other libraries: convert them to NumPy, and results back to their kind."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._messages import warn

_CPU = 1  # DLPack's number for this kind of device


def as_numpy(value: Any, name: str) -> Any:
    """Return a value that NumPy can read; arrays of other libraries in the CPU's memory are not copied if possible."""
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
    ) as error:  # libraries raise different errors for an array that they cannot share
        if hasattr(value, "__array__"):
            return np.asarray(value)
        raise TypeError(f"{name}: found an array that cannot be read ({' '.join(str(error).split())})") from None


def like(array: NDArray, value: Any) -> Any:
    """Return an array of the library that ``value`` comes from; if the library lacks DLPack, a NumPy array."""
    if isinstance(value, np.ndarray):
        return array
    if hasattr(value, "__array_namespace__"):
        library = value.__array_namespace__()
    else:
        library = sys.modules.get(type(value).__module__.partition(".")[0])
    take = getattr(library, "from_dlpack", None) if hasattr(value, "__dlpack__") else None
    return array if take is None else take(array)


def check_device(device: Any) -> None:
    """Warn if the caller wants a device other than the CPU."""
    if device is not None and "cpu" not in str(device).lower():
        warn(f"device: found {device}, but fastmpr computes on the CPU only, and the result is in its memory")
