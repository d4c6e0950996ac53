"""Poses in a CSV file that says what they mean: the unit of lengths, and the point of a box that rotations are about.

The first line is a comment, such as ``# fastmpr poses; unit: um; centre: (n - 1) / 2; two-fold: y; ...``. The columns are
``name,qx,qy,qz,qw,x,y,z``: the unit quaternion of a rotation R of (x, y, z) vectors, with its real part last, and the
translation t. A point p of the model lies at R p + t in the image of the particle. The unit is voxel, um, nm, A, or unknown.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .conventions import CENTRES, MICROMETRES, MIDDLE, PoseTable, reverse_axes
from .files import written_whole
from .poses_csv import check_names, columns_of, rows_of

SUFFIXES = (".poses.csv",)
UNIT = "voxel"  # of the translations that `write` takes, unless it is told another
CENTRE = MIDDLE
STATES_MEANING = True  # a file says its unit and its centre, so that nothing is converted
COLUMNS = ("name", "qx", "qy", "qz", "qw", "x", "y", "z")
_MARK = "# fastmpr poses"
_UNITS = {unit: unit for unit in ("voxel", *MICROMETRES)} | {"unknown": None}
_NEAR = 1e-6  # how far a quaternion's length may be from 1


def holds(head: bytes) -> bool:
    """Return whether a file that begins with these bytes has this format."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b'"').startswith(_MARK.encode())


def read(path: str | Path) -> PoseTable:
    """Return the rotations, the translations (N, 3) and what the first line says of them.

    Raises
    ------
    ValueError
        If the first line does not say unit and centre, a column is missing, a value is not a finite number, a quaternion's
        length is not 1, or a name occurs twice; the message names the file and the line.
    """
    rows = rows_of(path)
    said = _said(path, rows.pop(0)[1] if rows else [])
    names, values = columns_of(path, rows, COLUMNS)
    quaternions = values[:, :4]
    lengths = np.linalg.norm(quaternions, axis=1)
    if wrong := np.flatnonzero(np.abs(lengths - 1) > _NEAR).tolist():
        raise ValueError(
            f"{path}: found a quaternion of length {lengths[wrong[0]]:.6g} in pose {wrong[0]}, need length 1"
        )
    return PoseTable(
        reverse_axes(Rotation.from_quat(quaternions)),
        values[:, :3:-1],
        names,
        two_fold=said["two-fold"],
        unit=_UNITS[said["unit"]],
        centre=said["centre"],
    )


def write(
    path: str | Path,
    rotation: Rotation,
    translation: NDArray[np.float64],
    names: tuple[str, ...] | None = None,
    overwrite: bool = False,
    two_fold: str = "y",
    unit: str | None = UNIT,
    centre: str = CENTRE,
) -> None:
    """Write N poses; those without names have an empty first column.

    Raises
    ------
    ValueError
        If a name would not be read back as it is.
    """
    check_names(names or ())
    quaternions = reverse_axes(rotation).as_quat()
    rows = np.hstack([quaternions, translation[:, ::-1]]).tolist()
    meaning = f"unit: {unit or 'unknown'}; centre: {centre}; two-fold: {two_fold}"
    with (
        written_whole(path, overwrite) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        file.write(f"{_MARK}; {meaning}; a point p of the model lies at R p + t\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([name, *row] for name, row in zip(names or [""] * len(rows), rows, strict=True))


def _said(path: str | Path, first: list[str]) -> dict[str, str]:
    """Return what the first line says; a spreadsheet may have added separators behind it."""
    line = ";".join(first)
    said = {"two-fold": "y"}
    for part in line.split(";"):
        word, colon, value = part.partition(":")
        if colon:
            said[word.strip()] = value.strip()
    for word, known in (("unit", tuple(_UNITS)), ("centre", CENTRES), ("two-fold", ("y", "x"))):
        if not line.startswith(_MARK) or said.get(word) not in known:
            need = f"need '{_MARK}; {word}: ...' with one of {', '.join(known)}"
            raise ValueError(f"{path}, line 1: found {line[:80]!a}, {need}")
    return said
