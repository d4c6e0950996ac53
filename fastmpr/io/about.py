"""Metadata of an image file besides the voxel size: its channels, and the time between frames."""

from __future__ import annotations

import math
from typing import Any, NamedTuple
from xml.etree import ElementTree

from . import units

_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "µs": 1e-6, "us": 1e-6}
_SECONDS |= {"millisecond": 1e-3, "microsecond": 1e-6, "nanosecond": 1e-9}
_SECONDS |= {"ns": 1e-9, "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0}


class About(NamedTuple):
    """The known metadata of an image's channels and frames; None or empty where unknown.

    Attributes
    ----------
    names : tuple of (str or None)
        Names of the channels.
    emission, excitation : tuple of (float or None)
        Wavelengths of the channels, in micrometres.
    interval : float or None
        Seconds between frames.
    """

    names: tuple[str | None, ...] = ()
    emission: tuple[float | None, ...] = ()
    excitation: tuple[float | None, ...] = ()
    interval: float | None = None

    def of(self, channel: int | str | None, frame: int | None) -> About:
        """Return what is known of one channel, by its number or name, or of one frame; None stands for all."""
        interval = self.interval if frame is None else None
        if channel is None:
            return self._replace(interval=interval)
        named = isinstance(channel, str) and channel in self.names
        k = self.names.index(channel) if named else int(channel)
        one = slice(k, k + 1)
        return About(self.names[one], self.emission[one], self.excitation[one], interval)

    def metadata(self, channels: int) -> dict[str, Any]:
        """Return the OME metadata for tifffile's writer, for an image with that many channels."""
        found: dict[str, Any] = {}
        told: dict[str, Any] = {"Name": list(self.names)} if is_whole(self.names, channels) else {}
        for key, lengths in (("EmissionWavelength", self.emission), ("ExcitationWavelength", self.excitation)):
            if is_whole(lengths, channels):
                told |= {key: [1000 * length for length in lengths if length], f"{key}Unit": ["nm"] * channels}
        if told:
            found["Channel"] = told
        if self.interval is not None:
            found |= {"TimeIncrement": self.interval, "TimeIncrementUnit": "s"}
        return found


def is_whole(values: tuple[Any, ...], channels: int) -> bool:
    """Return whether there is a value for each channel."""
    return len(values) == channels and None not in values


def of_ome(xml: str) -> About:
    """Return what OME metadata say; entries that cannot be read are left out."""
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return About()
    channels = pixels.findall("{*}Channel")
    emission, excitation = (
        tuple(wavelength(channel.get(key), channel.get(f"{key}Unit", "nm")) for channel in channels)
        for key in ("EmissionWavelength", "ExcitationWavelength")
    )
    interval = seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    return About(tuple(channel.get("Name") for channel in channels), emission, excitation, interval)


def wavelength(text: Any, unit: str) -> float | None:
    """Return a wavelength in micrometres, None if it is unclear."""
    factor = units.micrometres(unit)
    return None if factor is None else _positive(text, factor)


def seconds(text: Any, unit: str) -> float | None:
    """Return a time in seconds, None if it is unclear."""
    factor = _SECONDS.get(unit.strip().replace("\u03bc", "µ"))
    return None if factor is None else _positive(text, factor)


def _positive(text: Any, factor: float) -> float | None:
    try:
        number = float(text) * factor
    except (TypeError, ValueError):
        return None
    return round(number, 12) if 0 < number < math.inf else None
