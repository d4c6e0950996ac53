"""Anything that particles or masks may come in, as a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np


def as_sequence(particles: Any) -> Any:
    """Return something whose ``[i]`` is the i-th particle, whatever it is in itself."""
    if type(particles) in (list, tuple) and particles and isinstance(particles[0], str | PathLike):
        particles = particles[0]
    if isinstance(particles, str | PathLike):
        raise TypeError(f"particles: found the path {str(particles)!r}, need arrays, or fastmpr.load for files")
    if type(particles).__name__ == "Series" and hasattr(particles, "to_list"):  # pandas' [i] goes by labels
        return particles.to_list()
    if isinstance(particles, Mapping):
        kind = type(particles).__name__
        raise TypeError(f"particles: found a {kind}, need a sequence: list(particles.values()), names=list(particles)")
    if getattr(particles, "shape", None) == ():
        raise TypeError("particles: found an array without dimensions, need a sequence of 3-D arrays")
    particles = with_length(particles)
    if hasattr(particles, "__len__") and hasattr(particles, "__getitem__") and not hasattr(particles, "iloc"):
        return particles
    raise TypeError(f"particles: found {type(particles).__name__}, need a sequence of 3-D arrays")


def with_length(values: Any) -> Any:
    """Return what has a length: itself, or an array that tells it by its shape alone, as those of Zarr 3 do."""
    shape = getattr(values, "shape", None)
    if hasattr(values, "__len__") or not hasattr(values, "__getitem__") or not isinstance(shape, tuple) or not shape:
        return values
    return _Indexed(values)


class _Indexed:
    """An array without ``len``, as a sequence."""

    def __init__(self, array: Any):
        self.array = array
        self.thread_safe = getattr(array, "thread_safe", False)

    def __len__(self) -> int:
        return int(self.array.shape[0])

    def __getitem__(self, i: int) -> Any:
        return self.array[i]


def is_reader(particles: Any) -> bool:
    """Return whether it reads files: then it tells ``names``, ``shape`` and ``voxel_size``."""
    return hasattr(particles, "voxel_size") and hasattr(particles, "names")


def is_stack(particles: Any) -> bool:
    """Return whether it is one array whose every particle is a volume of real numbers."""
    return (
        isinstance(particles, np.ndarray)
        and particles.ndim == 4
        and particles.size > 0
        and particles.dtype.kind in "fiub"
    )


def is_safe(particles: Any) -> bool:
    """Return whether several threads may ask it for particles side by side: arrays, and what says so of itself."""
    if isinstance(particles, list | tuple):
        return all(isinstance(particle, np.ndarray) for particle in particles)
    return isinstance(particles, np.ndarray) or getattr(particles, "thread_safe", False) is True
