"""The table of file formats: to add a format, add a module to this folder and its name to one of the two lists.

A module for volumes has:

- ``SUFFIXES``;
- ``read(path, voxel_size=None)``, which returns a volume and its voxel size (z, y, x) in micrometres: the given size, else
  the size in the file, else None. A size in the file that is incomplete or unclear is an error;
- ``voxel_size_in(path)``, which returns the voxel size in the file;
- optionally ``write(path, volume, voxel_size, overwrite)``;
- optionally ``Stack(path, voxel_size=None)``, a sequence of several volumes in one file, with ``names``, ``shape``,
  ``voxel_size`` and ``thread_safe``.

A module for poses has:

- ``SUFFIXES``;
- ``UNIT``, the unit of translations ("voxel" or "um");
- ``CENTRE``, the point of a box of n voxels that rotations are about ("(n - 1) / 2" or "n // 2");
- ``read(path)``, which returns a `conventions.PoseTable`;
- ``write(path, rotation, translation, names, overwrite, two_fold)``.
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

_VOLUMES = ("tiff", "mrc")  # a file without a known suffix is read as the first, since TIFF files have many suffixes
_POSES = ("poses_csv", "poses_star")


@cache
def volumes() -> tuple[Any, ...]:
    """Return the modules of all volume formats; they are imported when the first file is read."""
    return tuple(import_module(f".{name}", __package__) for name in _VOLUMES)


@cache
def poses() -> tuple[Any, ...]:
    """Return the modules of all pose formats."""
    return tuple(import_module(f".{name}", __package__) for name in _POSES)


def read(path: str | Path, voxel_size: float | Vector | None = None) -> tuple[NDArray, Vector | None]:
    """Read a 3-D volume and its voxel size (z, y, x) in micrometres.

    The voxel size is the given one, else the one in the file, else None. Give ``voxel_size`` where the file's own voxel
    size is incomplete, unclear or wrong.

    Raises
    ------
    ValueError, OSError
        If the file cannot be used; the message names it.
    ImportError
        If a package for the format is missing; the message names the package.
    """
    given = None if voxel_size is None else as_voxel_size(voxel_size)
    volume, found = volume_format(as_path(path)).read(path, given)
    check_given(path, given)
    return as_volume(volume, str(path)), found  # only particles may have NaN voxels


def write(path: str | Path, volume: ArrayLike, voxel_size: ArrayLike | None = None, overwrite: bool = False) -> None:
    """Write a 3-D volume, whole or not at all; ``voxel_size`` is (z, y, x) in micrometres.

    Raises
    ------
    ValueError
        If the suffix is unknown, or the volume is not 3-D and finite.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    """
    writable_format(as_path(path)).write(path, volume, voxel_size, overwrite)


def check_given(path: str | Path, voxel_size: Vector | None) -> None:
    """Warn if a given voxel size differs from the file's own as a slip does."""
    if voxel_size is None:
        return
    try:
        said = volume_format(path).voxel_size_in(path)
    except (OSError, ValueError):  # the file's voxel size is unclear, which is why the caller gives one
        return
    if said is not None and (slip := units.slip(voxel_size, said)):
        shown = " beside ".join(map(units.shown_sides, (voxel_size, said)))
        warn(
            f"voxel_size: found {shown} in {Path(path).name}, {slip}; need micrometres (z, y, x), unless the file is wrong"
        )


def volume_format(path: str | Path) -> Any:
    """Return the module of a volume file's format."""
    return _of_suffix(path, volumes()) or volumes()[0]


def writable_format(path: str | Path) -> Any:
    """Return the module that writes volumes with this suffix, or raise an error that lists the suffixes."""
    writers = [module for module in volumes() if hasattr(module, "write")]
    return _of_suffix(path, writers) or _refuse(path, writers)


def pose_format(path: str | Path) -> Any:
    """Return the module of a pose file's format."""
    return _of_suffix(as_path(path), poses()) or _refuse(path, poses())


def _of_suffix(path: str | Path, modules: Any) -> Any:
    return next((module for module in modules if str(path).lower().endswith(module.SUFFIXES)), None)


def _refuse(path: str | Path, modules: Any) -> NoReturn:
    known = " or ".join(suffix for module in modules for suffix in module.SUFFIXES)
    raise ValueError(f"{path}: found the suffix {Path(path).suffix!r}, need {known}")
