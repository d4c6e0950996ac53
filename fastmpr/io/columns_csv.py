"""Columns of numbers in a CSV file that any spreadsheet opens."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .files import as_path, written_whole


def write(path: str | Path, columns: Mapping[str, Sequence[float | str]], overwrite: bool = False) -> None:
    """Write columns side by side, each under its title, numbers in nine digits; an empty field is NaN or beyond the end.

    Raises
    ------
    OSError
        If the file exists already, or its folder is missing or cannot be written in.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/a.csv", {"radius_um": [0.0, 0.1], "mean": [1.5, math.nan], "name": ["ring"]})
    ...     print(Path(folder, "a.csv").read_text())
    radius_um,mean,name
    0,1.5,ring
    0.1,,
    <BLANKLINE>
    """
    rows: Iterable[tuple[float | str | None, ...]] = itertools.zip_longest(*columns.values())
    with (
        written_whole(as_path(path), overwrite) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_field(value) for value in row] for row in rows)


def _field(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return "" if math.isnan(value) else f"{value:.9g}"
