"""The table of formats: a new one is a file beside this and a place in one of the two lists.

A module of volumes has ``SUFFIXES`` and ``read(path, voxel_size=None)``, which returns a volume and its voxel size
(z, y, x) in micrometres: the one given, else what the file says, None where it says nothing. What it says in part, or so
that it is not understood, is an error. If it can, it has ``write(path, volume, voxel_size, overwrite)`` and
``Stack(path, voxel_size=None)``, a sequence of several volumes in one file, with ``names``, ``shape``, ``voxel_size`` and
``thread_safe``. ``voxel_size_in(path)`` is what a file says of its voxel.

A module of poses has ``SUFFIXES``, ``UNIT`` of translations ("voxel" or "um"), ``CENTRE``, the point of a box of n voxels
that rotations are about ("(n - 1) / 2" or "n // 2"), ``read(path)``, which returns a `conventions.PoseTable`, and
``write(path, rotation, translation, names, overwrite, two_fold)``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import ArrayLike, NDArray

from .._messages import warn
from .._validation import Vector, as_volume, as_voxel_size
from . import units
from .files import as_path

_VOLUMES = ("tiff", "mrc")  # what has no known suffix is taken for the first, which has many
_POSES = ("poses_csv", "poses_star")


@cache
def volumes() -> tuple[Any, ...]:
    """Return the modules of all formats of volumes; they are loaded when the first file is, not before."""
    return tuple(import_module(f".{name}", __package__) for name in _VOLUMES)


@cache
def poses() -> tuple[Any, ...]:
    """Return the modules of all formats of poses."""
    return tuple(import_module(f".{name}", __package__) for name in _POSES)


def read(path: str | Path, voxel_size: float | Vector | None = None) -> tuple[NDArray, Vector | None]:
    """Read a 3-D volume and its voxel size (z, y, x) in micrometres: the one given, else what the file says.

    It is None where the file says nothing. Where it says a part, or something that is not understood, reading takes a
    ``voxel_size``, as it does where the file is wrong.

    Raises
    ------
    ValueError, OSError
        Naming the file.
    ImportError
        Naming the package that the format needs.
    """
    given = None if voxel_size is None else as_voxel_size(voxel_size)
    volume, found = volume_format(as_path(path)).read(path, given)
    check_given(path, given)
    return as_volume(volume, str(path)), found  # of particles alone, voxels may be NaN


def write(path: str | Path, volume: ArrayLike, voxel_size: ArrayLike | None = None, overwrite: bool = False) -> None:
    """Write a 3-D volume, whole or not at all; ``voxel_size`` is (z, y, x) in micrometres.

    Raises
    ------
    ValueError
        For a suffix that no format has, or a volume that is not 3-D and finite.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    """
    writable_format(as_path(path)).write(path, volume, voxel_size, overwrite)


def check_given(path: str | Path, voxel_size: Vector | None) -> None:
    """Warn of a voxel size that is given and looks like a slip beside what the file says."""
    if voxel_size is None:
        return
    try:
        said = volume_format(path).voxel_size_in(path)
    except (OSError, ValueError):  # of what is not clear it is given
        return
    if said is not None and (slip := units.slip(voxel_size, said)):
        shown = " beside ".join(map(units.shown_sides, (voxel_size, said)))
        warn(
            f"voxel_size: found {shown} of {Path(path).name}, {slip}; need micrometres (z, y, x), unless the file is wrong"
        )


def volume_format(path: str | Path) -> Any:
    """Return the module of a volume's format."""
    return _of_suffix(path, volumes()) or volumes()[0]


def writable_format(path: str | Path) -> Any:
    """Return the module that writes volumes of this name, or raise an error that names those suffixes that are written."""
    writers = [module for module in volumes() if hasattr(module, "write")]
    return _of_suffix(path, writers) or _refuse(path, writers)


def pose_format(path: str | Path) -> Any:
    """Return the module of the poses' format."""
    return _of_suffix(as_path(path), poses()) or _refuse(path, poses())


def _of_suffix(path: str | Path, modules: Any) -> Any:
    return next((module for module in modules if str(path).lower().endswith(module.SUFFIXES)), None)


def _refuse(path: str | Path, modules: Any) -> NoReturn:
    known = " or ".join(suffix for module in modules for suffix in module.SUFFIXES)
    raise ValueError(f"{path}: found the suffix {Path(path).suffix!r}, need {known}")
