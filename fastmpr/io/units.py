"""Lengths and voxel sizes in file metadata, converted to micrometres.

A file without a voxel size is allowed. A voxel size that is incomplete or unclear is an error, never a guess.
"""

from __future__ import annotations

import math
import re
import unicodedata
from pathlib import Path
from typing import Any

from .._validation import Vector
from .files import FileError

_PREFIXES = {
    **dict(zip(("Y", "Z", "E", "P", "T", "G", "M", "k"), range(24, 0, -3), strict=True)),
    **{"h": 2, "da": 1, "": 0, "d": -1, "c": -2},
    **dict(zip(("m", "μ", "n", "p", "f", "a", "z", "y"), range(-3, -27, -3), strict=True)),
}
_INCH = 25_400.0
# OME's units of length, in micrometres; case matters (mm and Mm)
_SYMBOLS = {
    **{f"{prefix}m": float(f"1e{power + 6}") for prefix, power in _PREFIXES.items()},
    **{"Å": 1e-4, "thou": _INCH / 1000, "li": _INCH / 12, "pt": _INCH / 72, "in": _INCH},
    **{"ft": 12 * _INCH, "yd": 36 * _INCH, "mi": 63_360 * _INCH},
}
# other names, in upper or lower case
_SPELLED = {"pico": -12, "nano": -9, "micro": -6, "milli": -3, "centi": -2, "deci": -1, "": 0}
_NAMES = {
    **{f"{p}met{ending}": float(f"1e{power + 6}") for p, power in _SPELLED.items() for ending in ("er", "re")},
    **{"micron": 1.0, "μm": 1.0, "um": 1.0, "angstrom": 1e-4, "ångström": 1e-4, "inch": _INCH, "inches": _INCH},
}
_NO_UNIT = ("", "pixel", "pixels")
_SAME = 0.01  # relative tolerance: lengths that agree within rounding
_NEED = (
    "need its voxel size in micrometres (voxel_size= or --voxel-size; for a PSF, psf_voxel_size= or --psf-voxel-size)"
)


def micrometres(unit: str) -> float | None:
    """Return a unit in micrometres, None if its meaning is unknown or not unique.

    Examples
    --------
    >>> micrometres("nm"), micrometres("Micron "), micrometres("inch"), micrometres("pixel")
    (0.001, 1.0, 25400.0, None)
    """
    text = unicodedata.normalize("NFKC", _mended(unit)).strip()  # mu and angstrom have several code points
    if text in _SYMBOLS:
        return _SYMBOLS[text]
    name = text.casefold()
    return _NAMES.get(name, _NAMES.get(name.removesuffix("s")))


def voxel_size(path: str | Path, z: tuple[Any, str], y: tuple[Any, str], x: tuple[Any, str]) -> Vector | None:
    """Return (z, y, x) in micrometres from each axis's entry in a file: a number or None, and its unit.

    Returns None if the file gives no axis: no number, 0, or 1 pixel.

    Raises
    ------
    ValueError
        If the entries are incomplete or unclear; the message names the file.

    Examples
    --------
    >>> voxel_size("a.tif", z=(300, "nm"), y=(0.1, "um"), x=(0.1, "um"))
    (0.3, 0.1, 0.1)
    >>> voxel_size("a.tif", z=(None, "um"), y=(0.1, "um"), x=(0.1, "um"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    fastmpr.io.files.FileError: a.tif: found a voxel size that is not clear (z not given, y 0.1 um, x 0.1 um), need its ...
    """
    said = {"z": z, "y": y, "x": x}
    if not any(_says_something(*pair) for pair in said.values()):
        return None
    lengths = [_length(*pair) for pair in said.values()]
    if all(math.isfinite(length) and length > 0 for length in lengths):
        return lengths[0], lengths[1], lengths[2]
    found = ", ".join(f"{axis} {_shown(*pair)}" for axis, pair in said.items())
    raise FileError(f"{path}: found a voxel size that is not clear ({found}), {_NEED}")


def slip(given: Vector, said: Vector) -> str | None:
    """Return how a given voxel size contradicts the file's own, if by a usual mistake, else None.

    Examples
    --------
    >>> slip((0.1, 0.1, 0.3), (0.3, 0.1, 0.1))
    'the same sides in another order'
    >>> slip((300, 100, 100), (0.3, 0.1, 0.1))
    '1000 times as long'
    """
    ratios = [side / other for side, other in zip(given, said, strict=True)]
    if all(abs(ratio - 1) < _SAME for ratio in ratios):
        return None
    if all(abs(side / other - 1) < _SAME for side, other in zip(sorted(given), sorted(said), strict=True)):
        return "the same sides in another order"
    power = 10.0 ** round(math.log10(ratios[0]))
    is_unit = power != 1 and all(abs(ratio / power - 1) < _SAME for ratio in ratios)
    return f"{power:g} times as long" if is_unit else None


def _mended(unit: str) -> str:
    """Return a unit without ImageJ's escapes, and decoded again as UTF-8 if it was decoded as another encoding."""
    unit = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), unit)
    for wrong in ("latin-1", "cp1252"):
        try:
            return unit.encode(wrong).decode("utf-8")
        except UnicodeError:
            continue
    return unit


def _says_something(number: Any, unit: str) -> bool:
    return number is not None and _number(number) != 0 and not (_number(number) == 1 and unit.strip() in _NO_UNIT)


def _length(number: Any, unit: str) -> float:
    """Return a length in micrometres, NaN if the number or the unit is unclear."""
    factor = micrometres(unit)
    return math.nan if number is None or factor is None else _number(number) * factor


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _shown(number: Any, unit: str) -> str:
    if number is None:
        return "not given"
    shown = f"{number:g}" if isinstance(number, float) else str(number)
    plain = micrometres(unit) is not None or (unit.isascii() and unit.isprintable())
    return f"{shown} {unit if plain else ascii(unit)}".strip()


def shown_sides(sides: Vector) -> str:
    """Return the sides of a voxel as text."""
    return f"({', '.join(f'{side:g}' for side in sides)})"
