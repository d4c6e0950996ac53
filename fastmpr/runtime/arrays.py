"""Helpers for functions on whole arrays: check inputs and outputs, and share the work among threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import as_finite
from .threads import Team, as_workers


def as_input(value: Any, name: str, gain: float) -> NDArray:
    """Return a finite array in C order; the result of the function may be ``gain`` times as large as the array.

    A read-only array is copied, since Numba would compile the kernels again for it.
    """
    array = np.require(as_finite(value, name), requirements="W")
    largest, most = float(max(array.max(), -array.min())), float(np.finfo(array.dtype).max) / gain
    if largest > most:
        raise ValueError(f"{name}: found values up to {largest:.3g}, need at most {most:.3g} in {array.dtype}")
    return array


def as_output(out: Any, shape: tuple[int, ...], dtype: Any) -> NDArray | None:
    """Check that ``out`` fits the result, and return it; None stays None."""
    if out is None:
        return None
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out: found {type(out).__name__}, need a numpy array")
    if out.shape != shape or out.dtype != np.dtype(dtype) or not out.dtype.isnative:
        raise ValueError(f"out: found {out.dtype} of shape {out.shape}, need {np.dtype(dtype)} of shape {shape}")
    if not out.flags.writeable:
        raise ValueError("out: found an array that cannot be written to, need one that can")
    return out


def filled(
    out: NDArray | None,
    shape: tuple[int, ...],
    source: NDArray,
    work: Callable[[NDArray, int, int], object],
    items: int,
    workers: int | None,
    in_place: bool = False,
) -> NDArray:
    """Fill an array by ``work(array, start, stop)`` in several threads, each with its share of the items; return the array.

    The work writes into ``out`` itself if ``out`` is in C order and shares no memory with the source, or is exactly the
    source's memory and the work can be done ``in_place``. Otherwise the result is copied to ``out``.
    """
    same = out is not None and in_place and out.ctypes.data == source.ctypes.data
    direct = out is not None and out.flags.c_contiguous and (same or not np.may_share_memory(out, source))
    array = out if out is not None and direct else np.empty(shape, source.dtype)
    team = Team(min(as_workers(workers, source.size), items))
    team.run(lambda member: work(array, *team.share(items, member)))
    if out is not None and not direct:
        out[...] = array
    return array if out is None else out
