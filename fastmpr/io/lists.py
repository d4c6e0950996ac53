"""Files that list particles: a ``.star`` or ``.csv`` file with the name of a volume in each row, and perhaps its pose.

A ``.star`` has the names in rlnImageName or rlnTomoParticleName, a ``.csv`` in the column "name", or in the first one where
there is no header. A name is relative to the list's own folder or to the working directory; ``7@stack.mrc`` is the seventh
volume of a 4-D stack, as RELION counts.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from .files import as_path
from .poses_csv import COLUMNS, is_number, rows_of
from .poses_own import COLUMNS as OWN_COLUMNS
from .poses_star import ANGLES, NAMES, Table, names_in, tables_in, text_of

SUFFIXES = (".star", ".csv")
_WITHIN = re.compile(r"(\d+)@(.+)")  # RELION's name of one image in a stack: 7@stack.mrcs


class Listed(NamedTuple):
    """What a name in a list means: a file, and which volume of it, from 1, if it is a 4-D stack."""

    file: Path
    number: int | None = None


def is_list(path: str | Path) -> bool:
    """Return whether a file lists particles, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def files_listed(path: Path) -> tuple[list[Listed], list[str]]:
    """Return what a list names, and the names as they stand in it.

    Raises
    ------
    ValueError
        If the file is no list, has no names, or a name occurs twice.
    OSError
        If the list or a file in it does not exist.
    """
    names = _of_star(path) if path.suffix.lower() == ".star" else _of_csv(path)
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path}: found {again[0]!r} twice, need each particle once")
    return [_file(path, name) for name in names], names


def has_listed_poses(path: Path) -> bool:
    """Return whether a file is a list that gives poses beside the names."""
    if not is_list(path):
        return False
    if path.suffix.lower() == ".star":
        return any(column in _particles(path) for column in ANGLES)
    titles = _titles(rows_of(path))
    return titles is None or any(set(columns[1:]) & set(titles) for columns in (COLUMNS, OWN_COLUMNS))


def _of_star(path: Path) -> list[str]:
    names = names_in(path, _particles(path))
    if names is None:
        raise ValueError(f"{path}: found no names of particles, need a column {' or '.join('_' + n for n in NAMES)}")
    return list(names)


def _particles(path: Path) -> Table:
    """Return the table of particles: data_particles, or the only one with names."""
    tables = tables_in(path, text_of(path))
    named = [table for table in tables.values() if set(NAMES) & set(table)]
    return tables.get("particles") or (named[0] if len(named) == 1 else {})


def _of_csv(path: Path) -> list[str]:
    rows = [row for _, row in rows_of(path) if not row[0].startswith("#")]
    titles = _titles(rows_of(path))
    if titles is not None and "name" in titles:
        place, rows = titles.index("name"), rows[1:]
    else:
        place = 0
    names = [row[place] if place < len(row) else "" for row in rows]
    if not names or not all(names):
        raise ValueError(f"{path}: found {'a row without a name' if names else 'no rows'}, need a file in each row")
    return names


def _titles(rows: list[tuple[int, list[str]]]) -> list[str] | None:
    """Return the titles of the columns in small letters, None if the file has numbers and no header."""
    first = next((row for _, row in rows if not row[0].startswith("#")), [])
    return None if any(is_number(text) for text in first) else [text.casefold() for text in first]


def _file(path: Path, name: str) -> Listed:
    """Return what a name in a list means."""
    within = _WITHIN.fullmatch(name)
    number, file = (int(within[1]), within[2]) if within else (None, name)
    for place in (path.parent / name, as_path(name)):
        if place.exists():
            return Listed(place)
    for place in (path.parent / file, as_path(file)):
        if place.exists():
            return Listed(place, number)
    raise FileNotFoundError(f"{path}: found {name!r}, and no such file beside it or in the working directory")
