"""What the parts of a page tell of, and the words for lengths and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector


@dataclass(frozen=True)
class Run:
    """One run, as `write` takes it.

    Attributes
    ----------
    record : mapping
        Any entry may be missing: see `told`.
    result : Result
    average : (z, y, x) ndarray or None
    voxel_size : (z, y, x) or None
    quality : object or None
        Any of its parts may be missing: see `measured`.
    poses : Poses or None
    names : sequence of str or None
    beside : Path
        Where the record is, if there is one: beside the page.
    """

    record: Mapping[str, Any]
    result: Any
    average: NDArray | None
    voxel_size: Vector | None
    quality: Any
    poses: Any
    names: Sequence[str] | None
    beside: Path

    def told(self, *path: str, otherwise: Any = None) -> Any:
        """Return an entry of the record, by the keys that lead to it."""
        value: Any = self.record
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return otherwise if value is None else value

    def measured(self, *path: str) -> Any:
        """Return a part of the quality, by the names that lead to it; None if it was not measured.

        The result may tell resolution and curve too.
        """
        value = self.quality
        for name in path:
            value = getattr(value, name, None)
        return self.found(path[0]) if value is None and path[0] in ("resolution", "curve") else value

    def found(self, name: str) -> Any:
        """Return what the result has under a name; None if it has not."""
        return getattr(self.result, name, None)

    def per_view(self, name: str) -> NDArray[np.float64] | None:
        """Return numbers that the result has for each view."""
        value = self.found(name)
        return None if value is None else np.asarray(value, float)

    @property
    def is_resolved(self) -> bool:
        """Whether the expected correlation falls below 0.5 at all, so that the resolution is told by it."""
        told, curve = self.measured("resolution_reached"), self.measured("curve")
        return bool(told if told is not None else curve is None or curve.crossing(0.5) is not None)

    @property
    def size(self) -> Vector:
        """The voxel's sides; 1 where they are unknown."""
        return self.voxel_size or (1.0, 1.0, 1.0)

    @property
    def unit(self) -> str:
        """The unit of lengths that were measured, as it is written."""
        unit = self.measured("unit") or ("um" if self.voxel_size else "voxel")
        return "µm" if unit == "um" else unit

    @property
    def symmetry(self) -> str | None:
        """The symmetry that was given or found; None if there is none."""
        name = self.told("found", "symmetry", "name") or self.told("input", "symmetry")
        return None if name in (None, "auto", "C1") else str(name)

    @property
    def is_left_out(self) -> NDArray[np.bool_] | None:
        """Which views are no part of the volume; None if all are, as far as is known."""
        weights, scores = self.per_view("weights"), self.per_view("scores")
        if weights is None:
            return None if scores is None else ~np.isfinite(scores)
        return weights == 0

    def length(self, value: float) -> str:
        """Return a length as text."""
        return f"{number(value)} {self.unit}" + "s" * bool(self.unit == "voxel" and value != 1)

    def name(self, i: int) -> str:
        """Return the name of a view."""
        names = self.names if self.names is not None else getattr(self.poses, "names", None)
        return f"view {i}" if names is None else str(names[i])


def number(value: Any) -> str:
    """Return a number as text; what is unknown is a dash, and other values are as they are."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if isinstance(value, int) or 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def sides(values: Sequence[float] | None) -> str:
    """Return sizes as text, such as "64 × 64 × 32"."""
    return "–" if values is None else " × ".join(f"{value:.4g}" for value in values)


def voxels(size: Sequence[float] | None) -> str:
    """Return a voxel size as text."""
    if not size:
        return "unknown size"
    return f"{size[0]:.4g} µm" if min(size) == max(size) else f"{sides(size)} µm"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, such as "1 view" or "2 views"."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def duration(seconds: float) -> str:
    """Return a time as text."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
