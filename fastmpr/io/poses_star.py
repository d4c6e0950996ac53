"""Poses in RELION's format: the particle table of a STAR file.

RELION [1]_ works in (x, y, z). Its angles (Rot, Tilt, Psi) are intrinsic ZYZ Euler angles in degrees of the *inverse* of
the rotation from the model to the image. Its origin, in angstroms, is *subtracted*: the particle lies at minus the origin
from the centre of its image. RELION rotates a box of n voxels about the voxel n // 2. A dihedral particle has a two-fold
axis along x; if poses written here have it along y, a comment in the file says so. In this library vectors are (z, y, x)
and lengths are in micrometres.

RELION 3.0 and before wrote one table, with origins in pixels; the side of a pixel is then rlnDetectorPixelSize (in
micrometres) over rlnMagnification. Later versions keep it in the table of optics groups, as rlnImagePixelSize in angstroms.

RELION 4 and 5 have a second rotation of each subtomogram, from the box to the tomogram (rlnTomoSubtomogramRot, -Tilt,
-Psi), since RELION cuts boxes along rotated axes. The first three angles and the origin give the particle's pose in such
a box, so the second rotation is ignored; a warning tells where it is not zero. Boxes that another program cut along the
axes of the tomogram need the composition of both rotations.

References
----------
.. [1] J. B. Heymann, M. Chagoyen, D. M. Belnap, "Common conventions for interchange and archiving of
   three-dimensional electron microscopy information in structural biology", J. Struct. Biol. 151, 196-207
   (2005).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import log, warn
from .._validation import Vector
from .conventions import PoseTable, euler_angles, reverse_axes, warn_of_radians
from .files import encodable, written_whole

SUFFIXES = (".star",)
KEEPS_VOXEL_SIZE = True
UNIT = "um"  # of the translations
CENTRE = "n // 2"  # the point of a box that the rotations are about
TWO_FOLD = "x"  # an axis of a dihedral particle
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
ORIGINS = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
SUBTOMOGRAM = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
NAMES = ("rlnImageName", "rlnTomoParticleName")  # the first that is there counts
_COORDINATES = ("rlnCenteredCoordinateXAngst", "rlnCoordinateX")
_PIXEL, _BOX = "rlnImagePixelSize", "rlnImageSize"
_DETECTOR, _MAGNIFICATION = "rlnDetectorPixelSize", "rlnMagnification"
_TWO_FOLD = "the two-fold axis of a dihedral particle lies along"
MICROMETRES_PER_ANGSTROM = 1e-4


Table = dict[str, list[str]]

# a word of a STAR file: in quotes, or without blanks
_WORD = re.compile(r"""'(.*?)'(?=\s|$)|"(.*?)"(?=\s|$)|(\S+)""")


def read(path: str | Path) -> PoseTable:
    """Return the rotations, the translations (N, 3) in micrometres, the names (None if there are none), the angles.

    Raises
    ------
    ValueError
        If there is no table of particles, a column is missing, a value is not a finite number, a name occurs twice, or a
        line is neither in a loop nor a label with its value; the message names the file.

    Warns
    -----
    FastmprWarning
        If boxes are rotated against their tomogram (the angles are taken as those in the box), if angles look like radians,
        or if one of the three origins is missing.
    """
    text = text_of(path)
    tables = tables_in(path, text)
    table = _particle_table(path, tables)
    if missing := [column for column in ANGLES if column not in table]:
        raise ValueError(f"{path}: found no column _{missing[0]}, need {', '.join('_' + c for c in ANGLES)}")
    angles = np.column_stack([_numbers(path, table, column) for column in ANGLES])
    warn_of_radians(path, angles)
    origins = _origins(path, tables, table)

    rotated = [column for column in SUBTOMOGRAM if column in table and any(_numbers(path, table, column))]
    if rotated:
        warn(
            f"{path}: found {', '.join('_' + column for column in rotated)} that are not zero; the boxes are taken to be "
            "cut along axes rotated by these angles, as RELION does; if they were cut along the tomogram's axes, compose "
            "both rotations into _rlnAngleRot, -Tilt and -Psi first"
        )
    names = names_in(path, table)

    rotation = reverse_axes(Rotation.from_euler("ZYZ", angles, degrees=True).inv())
    translation = -origins[:, ::-1] * MICROMETRES_PER_ANGSTROM
    comment = re.search(rf"^# {_TWO_FOLD} ([xy])$", text, re.MULTILINE)
    return PoseTable(rotation, translation, names, angles, comment[1] if comment else TWO_FOLD, _boxes(tables, table))


def write(
    path: str | Path,
    rotation: Rotation,
    translation: NDArray[np.float64],
    names: tuple[str, ...] | None = None,
    overwrite: bool = False,
    two_fold: str = TWO_FOLD,
    voxel_size: Vector | None = None,
) -> None:
    """Write N poses with translations in micrometres, and the side of a voxel if it is known and the same on all axes.

    Raises
    ------
    ValueError
        If a name would not be read back as it is.
    """
    angles = euler_angles(reverse_axes(rotation).inv(), "ZYZ")
    origins = -translation[:, ::-1] / MICROMETRES_PER_ANGSTROM + 0.0  # adding 0 turns -0 into 0
    columns = [*ANGLES, *ORIGINS, "rlnOpticsGroup"]
    rows = [" ".join(f"{value:.9f}" for value in row) + " 1" for row in np.hstack([angles, origins]).tolist()]
    if names is not None:
        columns.insert(0, NAMES[0])
        rows = [f"{_quoted(name)} {row}" for name, row in zip(names, rows, strict=True)]
    labels = [f"_{column} #{place}" for place, column in enumerate(columns, 1)]
    with written_whole(path, overwrite) as temporary:
        comment = [] if two_fold == TWO_FOLD else [f"# {_TWO_FOLD} {two_fold}", ""]
        text = "\n".join([*_optics(voxel_size), *comment, "data_particles", "", "loop_", *labels, *rows, ""])
        temporary.write_text(text + "\n", encoding="utf-8")


def _optics(voxel_size: Vector | None) -> list[str]:
    """Return the lines of a table of one optics group, which has one side for all axes of a voxel."""
    columns, row = ["rlnOpticsGroupName", "rlnOpticsGroup"], ["opticsGroup1", "1"]
    if voxel_size is not None and math.isclose(min(voxel_size), max(voxel_size), rel_tol=1e-6):
        columns.append(_PIXEL)
        row.append(f"{voxel_size[2] / MICROMETRES_PER_ANGSTROM:.9g}")
    labels = [f"_{column} #{place}" for place, column in enumerate(columns, 1)]
    return ["", "data_optics", "", "loop_", *labels, " ".join(row), ""]


def names_in(path: str | Path, table: Table) -> tuple[str, ...] | None:
    """Return the names of the particles, None if the table has none."""
    column = next((column for column in NAMES if column in table), None)
    if column is None:
        return None
    names = tuple(table[column])
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path}: found {again[0]!r} twice in _{column}, need each name once")
    return names


def _origins(path: str | Path, tables: dict[str, Table], table: Table) -> NDArray[np.float64]:
    """Return the origins (N, 3) in angstroms; a missing one is zero."""
    columns: tuple[str, ...] = ORIGINS
    scale = np.ones(1)
    in_pixels = tuple(column.removesuffix("Angst") for column in ORIGINS)
    if any(column in table for column in in_pixels) and not any(column in table for column in ORIGINS):
        columns, scale = in_pixels, _pixels(path, tables, table, in_pixels)
    given = [column for column in columns if column in table]
    if len(given) == 2:
        missing = next(column for column in columns if column not in given)
        found = " and ".join(f"_{column}" for column in given)
        warn(f"{path}: found {found} and no _{missing}, which is taken as 0: need all three origins for 3-D particles")
    if not given and (elsewhere := [column for column in _COORDINATES if column in table]):
        log.info(f"{path}: found _{elsewhere[0]} and no origins, so the particles lie in the middle of their boxes")
    origins = np.zeros((len(next(iter(table.values()))), 3))
    for axis, column in enumerate(columns):
        if column in given:
            origins[:, axis] = scale * _numbers(path, table, column)
    return origins


def _pixels(path: str | Path, tables: dict[str, Table], table: Table, origins: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the side of each particle's pixel in angstroms, shape (N,) or (1,)."""
    if _PIXEL in table:
        sides = np.array(_numbers(path, table, _PIXEL))
    elif _DETECTOR in table and _MAGNIFICATION in table:
        detector, magnification = (np.array(_numbers(path, table, column)) for column in (_DETECTOR, _MAGNIFICATION))
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = detector / magnification / MICROMETRES_PER_ANGSTROM
    elif (boxes := _boxes(tables, table)) is not None:
        sides = boxes[:, 0] / MICROMETRES_PER_ANGSTROM
    elif not any(any(_numbers(path, table, column)) for column in origins if column in table):
        return np.ones(1)  # zeros are zeros in any unit
    else:
        shown = next(column for column in origins if column in table)
        need = f"need _{_DETECTOR} and _{_MAGNIFICATION}, or angstroms (_{shown}Angst)"
        raise ValueError(f"{path}: found origins in pixels (_{shown}) and not how large a pixel is, {need}")
    if not np.all(np.isfinite(sides) & (sides > 0)):
        row = int(np.argmin(np.isfinite(sides) & (sides > 0)))
        raise ValueError(f"{path}: found a pixel of {sides[row]:g} angstroms in row {row + 1}, need a positive length")
    return sides


def _boxes(tables: dict[str, Table], table: Table) -> NDArray[np.float64] | None:
    """Return each particle's side of a pixel in micrometres and of a box in pixels, (N, 2), from the optics table."""
    optics = tables.get("optics", {})
    groups = optics.get("rlnOpticsGroup", [])
    count = len(next(iter(table.values())))
    if not optics.get(_PIXEL):
        return None
    optics = {_BOX: [""] * len(optics[_PIXEL]), **optics}
    if len(optics[_PIXEL]) != len(optics[_BOX]):
        return None
    own = table.get("rlnOpticsGroup", groups[:1] * count)
    if len(groups) != len(optics[_PIXEL]) or not set(own) <= set(groups) or len(own) != count:
        return None
    pixel, box = ([_positive(text) for text in optics[name]] for name in (_PIXEL, _BOX))
    rows = [groups.index(group) for group in own]
    return np.array([(pixel[row] * MICROMETRES_PER_ANGSTROM, box[row]) for row in rows])


def _positive(text: str) -> float:
    """Return a positive finite number, NaN for any other text."""
    try:
        return number if 0 < (number := float(text)) < math.inf else math.nan
    except ValueError:
        return math.nan


def text_of(path: str | Path) -> str:
    """Return the text of a file."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: found no STAR text ({error})") from None


def _particle_table(path: str | Path, tables: dict[str, Table]) -> Table:
    """Return the columns of ``data_particles``, or of the only table with angles."""
    with_angles = [table for table in tables.values() if set(ANGLES) & set(table)]
    table = with_angles[0] if len(with_angles) == 1 else {}
    table = tables.get("particles", table)
    if not table:
        found = ", ".join(f"data_{name}" for name in tables) or "none"
        raise ValueError(f"{path}: found no table of particles (loops: {found}), need a loop_ in data_particles")
    if not next(iter(table.values())):
        raise ValueError(f"{path}: found an empty table of particles, need at least one row")
    return table


def tables_in(path: str | Path, text: str) -> dict[str, Table]:
    """Return the table of each ``data_`` block, as block name -> column -> texts; label-value pairs make one row."""
    tables: dict[str, Table] = {}
    block, loop = "", False
    for number, line in enumerate((line.strip() for line in text.splitlines()), 1):
        words, table = _words(line), tables.get(block, {})
        where = f"{path}, line {number}"
        is_label, is_alone = line.startswith("_"), len(words) == 1
        if not words:
            continue
        if line.startswith("data_") and is_alone:  # a row of a loop may also begin with this word
            block, loop = words[0].removeprefix("data_"), False
        elif line.startswith("loop_") and is_alone:
            if block in tables:
                raise ValueError(f"{where}: found a second table in data_{block}, need one")
            tables[block], loop = {}, True
        elif is_label and (loop or len(words) == 2):
            if any(table.values()) and loop:
                raise ValueError(f"{where}: found the label {words[0]} behind rows, need all labels before them")
            tables.setdefault(block, table)[words[0].removeprefix("_")] = [] if loop else [words[1]]
        elif loop and len(words) == len(table):
            for column, word in zip(table.values(), words, strict=True):
                column.append(word)
        elif loop:
            raise ValueError(f"{where}: found {len(words)} columns, need {len(table)}")
        else:
            raise ValueError(f"{where}: found {line[:40]!r} outside a loop_, need a label and its value")
    return tables


def _words(line: str) -> list[str]:
    """Split a line of a STAR file; a word that begins with # begins a comment."""
    words = []
    for match in _WORD.finditer(line):
        if match[3] and match[3].startswith("#"):
            break
        words.append(match[match.lastindex or 0])
    return words


def _numbers(path: str | Path, table: Table, column: str) -> list[float]:
    numbers = []
    for row, text in enumerate(table[column], 1):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{path}: found {text!r} for _{column} in row {row}, need a finite number")
        numbers.append(number)
    return numbers


def _quoted(name: str) -> str:
    """Quote a name that STAR would read as several words, as a keyword or as a comment."""
    plain = name and not name.startswith(("_", "#", "'", '"', "data_", "loop_"))
    for text in ([name] if plain else []) + [f"'{name}'", f'"{name}"']:
        if _words(text) == [name] and len(f"{text} 0".splitlines()) == 1 and encodable(name):
            return text
    raise ValueError(
        f"names: found {name!a}, need names of one line, with one kind of quotes, that can be written in UTF-8"
    )
