"""Metadata of an image file besides the voxel size: its channels, and the time between frames."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from . import mrc, tiff, units
from .files import as_path
from .formats import volume_format

_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "µs": 1e-6, "us": 1e-6}
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

    def metadata(self, channels: int) -> dict[str, Any]:
        """Return the OME metadata for tifffile's writer, for an image with that many channels."""
        found: dict[str, Any] = {}
        told: dict[str, Any] = {"Name": list(self.names)} if _is_whole(self.names, channels) else {}
        for key, lengths in (("EmissionWavelength", self.emission), ("ExcitationWavelength", self.excitation)):
            if _is_whole(lengths, channels):
                told |= {key: [1000 * length for length in lengths if length], f"{key}Unit": ["nm"] * channels}
        if told:
            found["Channel"] = told
        if self.interval is not None:
            found |= {"TimeIncrement": self.interval, "TimeIncrementUnit": "s"}
        return found


def read_about(path: str | Path) -> About:
    """Read the metadata of a file's channels and frames.

    Parameters
    ----------
    path : path
        A TIFF or MRC file. OME metadata give the names, emission and excitation of channels. OME and ImageJ metadata give
        the time between frames. Other files give nothing. Entries that cannot be read are left out.

    Returns
    -------
    About

    Raises
    ------
    ValueError, OSError, ImportError
        As `read_image` does.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import fastmpr
    >>> about = fastmpr.io.About(names=("DAPI", "GFP"), emission=(0.461, 0.509))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fastmpr.io.write_image(f"{folder}/cell.ome.tif", np.ones((2, 5, 6)), "CYX", about=about)
    ...     fastmpr.io.read_about(f"{folder}/cell.ome.tif").names
    ('DAPI', 'GFP')
    """
    path = as_path(path)
    if volume_format(path) is mrc:
        return About()
    with tiff.named(path), tiff.opened(path, alone=True, colours=True) as (tif, _):
        if tif.pages[0].is_ome:
            return _of_ome(tif.pages[0].description)
        return About(interval=_of_imagej(tif.imagej_metadata)) if tif.is_imagej else About()


def _is_whole(values: tuple[Any, ...], channels: int) -> bool:
    """Return whether there is a value for each channel."""
    return len(values) == channels and None not in values


def _of_ome(xml: str) -> About:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return About()
    channels = pixels.findall("{*}Channel")
    emission, excitation = (
        tuple(_wavelength(channel.get(key), channel.get(f"{key}Unit", "nm")) for channel in channels)
        for key in ("EmissionWavelength", "ExcitationWavelength")
    )
    interval = _seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    return About(tuple(channel.get("Name") for channel in channels), emission, excitation, interval)


def _of_imagej(metadata: dict[str, Any]) -> float | None:
    return _seconds(metadata.get("finterval"), str(metadata.get("tunit", "s")))


def _wavelength(text: Any, unit: str) -> float | None:
    factor = units.micrometres(unit)
    return None if factor is None else _positive(text, factor)


def _seconds(text: Any, unit: str) -> float | None:
    factor = _SECONDS.get(unit.strip().replace("\u03bc", "µ"))
    return None if factor is None else _positive(text, factor)


def _positive(text: Any, factor: float) -> float | None:
    try:
        number = float(text) * factor
    except (TypeError, ValueError):
        return None
    return round(number, 12) if 0 < number < math.inf else None
