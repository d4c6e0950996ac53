"""Poses in SPFluo's format: a CSV file with the columns ``name,rot1,rot2,rot3,t1,t2,t3``.

The angles are intrinsic Euler angles in degrees, ``Rotation.from_euler("XZX", [rot1, rot2, rot3])``, where
the letters X, Y, Z mean the array axes 0, 1, 2, that is z, y, x. The translations are along the same axes, in
voxels. If there is a header, it gives the order of the columns, in upper or lower case; further columns are
allowed. Columns may be separated by semicolons, as some spreadsheets write them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import log
from .conventions import PoseTable, euler_angles, warn_of_radians
from .files import encodable, written_whole

SUFFIXES = (".csv",)
UNIT = "voxel"  # of the translations
CENTRE = "(n - 1) / 2"  # the point of a box that the rotations are about
COLUMNS = ("name", "rot1", "rot2", "rot3", "t1", "t2", "t3")
_SHORT_HEADER = ("name", "rot1", "rot2", "rot3", "t")  # one version of SPFluo writes this above the same seven columns


def read(path: str | Path) -> PoseTable:
    """Return the rotations, the translations (N, 3) in voxels, the names (None if all are empty) and the angles.

    Raises
    ------
    ValueError
        If the header lacks a title, a row has another width, a value is not a finite number, or a name occurs
        twice; the message names the file and the line.
    """
    names, values = columns_of(path, rows_of(path), COLUMNS)
    angles = values[:, :3]
    warn_of_radians(path, angles)
    return PoseTable(Rotation.from_euler("XZX", angles, degrees=True), values[:, 3:], names, angles)


def write(
    path: str | Path,
    rotation: Rotation,
    translation: NDArray[np.float64],
    names: tuple[str, ...] | None = None,
    overwrite: bool = False,
    two_fold: str = "y",
) -> None:
    """Write N poses with translations in voxels; poses without names are named 0, 1, 2 and so on.

    Raises
    ------
    ValueError
        If a name would not be read back as it is.
    """
    angles = euler_angles(rotation, "XZX")
    if names is None:
        names = tuple(str(i) for i in range(len(angles)))
    check_names(names)
    if two_fold != "y":
        log.info(
            f"{path}: this format cannot store that a dihedral particle has a two-fold axis along {two_fold}; "
            "give symmetry_axis= when reading it"
        )
    rows = np.hstack([angles, translation]).tolist()
    with (
        written_whole(path, overwrite) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([name, *row] for name, row in zip(names, rows, strict=True))


def check_names(names: Sequence[str]) -> None:
    """Refuse names that a CSV file would not give back."""
    if wrong := [name for name in names if name != name.strip() or not encodable(name)]:
        raise ValueError(
            f"names: found {wrong[0]!a}, need names without blanks at either end that can be written in UTF-8"
        )


def rows_of(path: str | Path) -> list[tuple[int, list[str]]]:
    """Return (line number, stripped fields) for each row that is not blank."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # Excel begins its files with a byte order mark
            lines = file.readlines()
        titles = next((line for line in lines if line.strip() and not line.startswith("#")), "")
        reader = csv.reader(lines, delimiter=";" if titles.count(";") > titles.count(",") else ",")
        rows = [(reader.line_num, [text.strip() for text in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: found no CSV text ({error})") from None
    return [(line, row) for line, row in rows if any(row)]


def columns_of(
    path: str | Path, rows: list[tuple[int, list[str]]], columns: tuple[str, ...]
) -> tuple[tuple[str, ...] | None, NDArray[np.float64]]:
    """Return the names in the first of ``columns``, None if all are empty, and the numbers (N, k) in the others."""
    titles = columns
    if rows and not any(is_number(text) for text in rows[0][1]):
        titles = _titles(path, rows[0][1], columns)
        rows = rows[1:]
    places = [titles.index(column) for column in columns]
    if not rows:
        raise ValueError(f"{path}: found no poses, need rows of {','.join(columns)}")
    line_of: dict[str, int] = {}
    values = []
    for line, row in rows:
        if len(row) != len(titles):
            need = f"need {len(titles)} ({','.join(titles)})"
            raise ValueError(f"{path}, line {line}: found {len(row)} columns, {need}")
        name, *texts = (row[place] for place in places)
        if name and name in line_of:
            raise ValueError(f"{path}, line {line}: found {name!r} again after line {line_of[name]}")
        line_of[name] = line
        values.append([_number(path, line, *pair) for pair in zip(columns[1:], texts, strict=True)])
    names = tuple(row[places[0]] for _, row in rows)
    return names if any(names) else None, np.array(values)


def _titles(path: str | Path, header: list[str], columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the titles of a header that has each of the columns once."""
    titles = tuple(title.casefold() for title in header)
    if titles == _SHORT_HEADER and columns == COLUMNS:
        return COLUMNS
    if all(titles.count(column) == 1 for column in columns):
        return titles
    found = ascii(",".join(header))[:100]  # in ASCII, since other letters may look like those of a title
    need = f"need each of {','.join(columns)} once, and commas or semicolons between them"
    raise ValueError(f"{path}: found the header {found}, {need}")


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(path: str | Path, line: int, column: str, text: str) -> float:
    if not is_number(text) or not math.isfinite(float(text)):
        raise ValueError(f"{path}, line {line}: found {text!r} for {column}, need a finite number")
    return float(text)
