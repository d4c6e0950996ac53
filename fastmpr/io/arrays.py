"""What formats of plain arrays share: which of several arrays in a file is meant, and what is told beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import Vector, as_voxel_size, times
from .about import About
from .files import FileError

_SHOWN = 6  # names in an error


def which_array(path: Path, shapes: Mapping[str, tuple[int, ...]], name: Any) -> str:
    """Return the name of the array that is meant: the one asked for, or the only one of most likely dimensions.

    Arrays of three dimensions and more come before planes, and planes before lists of numbers, which are not looked at.

    Examples
    --------
    >>> which_array(Path("a.h5"), {"views": (9, 4, 5, 6), "weights": (9,)}, None)
    'views'
    >>> which_array(Path("a.h5"), {"a": (4, 5, 6), "b": (4, 5, 6)}, None)
    Traceback (most recent call last):
    ...
    fastmpr.io.files.FileError: a.h5: found 2 arrays ('a' of 4 x 5 x 6, 'b' of 4 x 5 x 6), need one of them: a.h5:/a
    """
    asked = None if name is None else str(name).strip("/")
    if asked in shapes:
        return str(asked)
    likely = [one for one, shape in shapes.items() if len(shape) >= 3] or [
        one for one, shape in shapes.items() if len(shape) == 2
    ]
    if asked is None and len(likely) == 1:
        return likely[0]
    if not likely:
        raise FileError(f"{path}: found no array of two dimensions or more, need one")
    text = ", ".join(f"{one!r} of {times(shapes[one])}" for one in likely[:_SHOWN])
    more = f" and {len(likely) - _SHOWN} more" if len(likely) > _SHOWN else ""
    beside = "" if asked is None else f" and none called {asked!r}"
    raise FileError(
        f"{path}: found {len(likely)} array{'s' * (len(likely) != 1)} ({text}{more}){beside}, "
        f"need one of them: {path}:/{likely[0]}"
    )


def check_not_empty(path: Path, shape: Sequence[int]) -> None:
    """Refuse an array without numbers."""
    if len(shape) < 2 or min(shape) < 1:
        raise FileError(f"{path}: found an array of shape {tuple(shape)}, need an image of two dimensions or more")


def unnamed(dimensions: int) -> str:
    """Return the letters of an array whose axes have no names: the last two are y and x."""
    return "Q" * (dimensions - 2) + "YX"


def told_axes(path: Path, said: Any, dimensions: int) -> str:
    """Return the letters of an array's axes as the file says them, or those of one that says nothing."""
    if said is None:
        return unnamed(dimensions)
    axes = str(said)
    if len(axes) != dimensions or len(set(axes) - {"Q"}) + axes.count("Q") != dimensions or not set("YX") <= set(axes):
        raise FileError(
            f"{path}: found axes {axes!r} for {dimensions} dimensions, need a letter for each, Y and X among"
        )
    return axes


def told_sides(path: Path, said: Any, flat: bool) -> Vector | None:
    """Return (z, y, x) from two or three sides in micrometres; None stays None."""
    if said is None:
        return None
    try:
        sides = [float(one) for one in np.ravel(said)]
        if len(sides) == 2 or (flat and len(sides) == 3):
            sides = [sides[-2], *sides[-2:]]
        return as_voxel_size(sides)
    except (TypeError, ValueError):
        raise FileError(
            f"{path}: found a voxel size that is not clear ({np.ravel(said)[:4].tolist()}), need three positive lengths "
            "in micrometres (voxel_size=, --voxel-size)"
        ) from None


def as_entries(axes: str, voxel_size: Any, about: About) -> dict[str, Any]:
    """Return what is written beside an array: numbers and text that every format of arrays can hold."""
    found: dict[str, Any] = {"axes": axes}
    if voxel_size is not None:
        found["voxel_size"] = np.array(voxel_size, float)
    if any(about.names):
        found["channel_names"] = [name or "" for name in about.names]
    for key, lengths in (("emission", about.emission), ("excitation", about.excitation)):
        if any(lengths):
            found[key] = np.array([length or math.nan for length in lengths])
    if about.interval is not None:
        found["interval"] = about.interval
    return found


def told_about(entries: Mapping[str, Any]) -> About:
    """Return what `as_entries` wrote of channels and frames."""
    names = tuple(str(name) or None for name in np.ravel(entries.get("channel_names", ())))
    emission, excitation = (
        tuple(float(one) if np.isfinite(one) else None for one in np.ravel(entries.get(key, ())))
        for key in ("emission", "excitation")
    )
    interval = entries.get("interval")
    return About(names, emission, excitation, None if interval is None else float(interval))
