"""The metadata of OME-Zarr, versions 0.4 and 0.5: axes with units, scales and channels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import Vector
from . import units
from .about import About, is_whole, seconds, wavelength
from .arrays import unnamed
from .files import FileError

_WORDS = {"time": "T", "channel": "C", "channels": "C"}
_OTHERS = "PMVHABDEFG"  # for axes that are not called by a letter
_TYPES = {"T": "time", "C": "channel"}


def said(group: Any) -> dict[str, Any]:
    """Return OME's attributes of a group: those of 0.5 lie one level deeper."""
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes)
    return found if isinstance(found, dict) else {}


def letters(path: Path, array: Any, scale: dict[str, Any] | None) -> str:
    """Return a letter for each axis of an array, from OME's metadata or the names of its dimensions."""
    names: Any = None
    if scale is not None:
        axes = scale.get("axes") or list("tczyx")[-array.ndim :]
        names = [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    elif (names := getattr(array.metadata, "dimension_names", None)) is None:
        names = array.attrs.get("_ARRAY_DIMENSIONS")
    if not names or None in names:
        return unnamed(array.ndim)
    if len(names) != array.ndim:
        raise FileError(f"{path}: found axes {names} for {array.ndim} dimensions, need one for each")
    found = [_WORDS.get(str(name).lower(), str(name).upper()) for name in names]
    free = iter(letter for letter in _OTHERS if letter not in found)
    return "".join(letter if len(letter) == 1 else next(free) for letter in found)


def voxel_size(path: Path, scale: dict[str, Any], axes: str, flat: bool) -> Vector | None:
    """Return (z, y, x) in micrometres from the scales of the largest level."""
    lengths = _lengths(path, scale, len(axes))
    entries = scale.get("axes") or [None] * len(axes)

    def of(letter: str) -> tuple[Any, str]:
        if letter not in axes:
            return None, ""
        k = axes.index(letter)
        unit = entries[k].get("unit") if isinstance(entries[k], dict) else None
        return (None if lengths is None else lengths[k]), str(unit or "")

    return units.voxel_size(path, z=of("Y" if flat else "Z"), y=of("Y"), x=of("X"))


def _lengths(path: Path, scale: dict[str, Any], dimensions: int) -> list[float] | None:
    """Return the product of the scales of the largest level and of the whole pyramid, None without any."""
    steps = [*scale["datasets"][0].get("coordinateTransformations", ()), *scale.get("coordinateTransformations", ())]
    scales = [step["scale"] for step in steps if step.get("type") == "scale"]
    if not scales:
        return None
    if any(len(one) != dimensions for one in scales):
        raise FileError(f"{path}: found a scale of {len(scales[0])} numbers for {dimensions} axes, need one for each")
    return [float(one) for one in np.prod(np.array(scales, float), axis=0)]


def told_about(scale: dict[str, Any] | None, omero: dict[str, Any] | None) -> About:
    """Return the channels that OMERO's block describes, and the time between frames."""
    channels = [one for one in (omero or {}).get("channels", ()) if isinstance(one, dict)]
    names = tuple(str(one["label"]) if one.get("label") else None for one in channels)
    emission, excitation = (
        tuple(wavelength(one.get(key), "nm") for one in channels) for key in ("emissionWave", "excitationWave")
    )
    return About(names, emission, excitation, _interval(scale))


def _interval(scale: dict[str, Any] | None) -> float | None:
    """Return the seconds between frames; frames without a unit have none."""
    entries = (scale or {}).get("axes") or []
    for k, axis in enumerate(entries):
        if isinstance(axis, dict) and axis.get("type") == "time" and axis.get("unit") and scale is not None:
            steps = scale["datasets"][0].get("coordinateTransformations", ())
            return next(
                (seconds(step["scale"][k], axis["unit"]) for step in steps if step.get("type") == "scale"), None
            )
    return None


def described(
    shape: Sequence[int],
    extent: tuple[float, float],
    axes: str,
    sides: Any,
    about: About,
    version: str,
    name: str,
    level: str,
) -> dict[str, Any]:
    """Return the attributes of the group of an image of one level, whose values lie within an extent."""
    lengths = dict(zip(axes.strip("TC"), sides or (), strict=False))
    entries: list[dict[str, str]] = []
    for letter in axes:
        entry = {"name": letter.lower(), "type": _TYPES.get(letter, "space")}
        if letter in lengths:
            entry["unit"] = "micrometer"
        if letter == "T" and about.interval is not None:
            entry["unit"] = "second"
        entries.append(entry)
    interval = 1.0 if about.interval is None else about.interval
    scale = [float(lengths.get(letter, interval if letter == "T" else 1.0)) for letter in axes]
    dataset = {"path": level, "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    pyramid: dict[str, Any] = {"name": name, "axes": entries, "datasets": [dataset]}
    found: dict[str, Any] = {"multiscales": [pyramid]}
    if channels := _channels(shape, extent, axes, about):
        found["omero"] = {"channels": channels}
    if version == "0.5":
        return {"ome": {"version": version, **found}}
    pyramid["version"] = version
    return found


def _channels(shape: Sequence[int], extent: tuple[float, float], axes: str, about: About) -> list[dict[str, Any]]:
    """Return the entries of the channels, if anything is known of all of them."""
    count = shape[axes.index("C")] if "C" in axes else 1
    known: dict[str, list[Any]] = {"label": list(about.names)} if is_whole(about.names, count) else {}
    for key, lengths in (("emissionWave", about.emission), ("excitationWave", about.excitation)):
        if is_whole(lengths, count):
            known[key] = [1000 * length for length in lengths if length]
    if not known:
        return []
    low, high = extent
    window = {"min": low, "max": high, "start": low, "end": high}
    return [
        {"color": "FFFFFF", "window": window, **{key: entries[k] for key, entries in known.items()}}
        for k in range(count)
    ]
