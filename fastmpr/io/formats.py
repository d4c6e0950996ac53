"""The table of file formats: to add a format, add a module to this folder and its name to one of the two lists.

A module for images (volumes, stacks of volumes, channels and frames) has:

- ``SUFFIXES``, in small letters;
- ``KIND``, what errors call such a file: "a TIFF file";
- ``holds(path, head)``, which returns whether the content is of this format, by the first bytes (b"" for a folder);
- ``opened(path, scene=None)``, a context manager that yields a `stored.Stored`: checked, and not read. What can be known
  to be wrong without reading is an error here: truncated, corrupt, several images and no ``scene``;
- ``require()``, if it needs a package, which raises the error that says how to install it;
- optionally ``scenes(path)``, which returns the names of the images in a file that may hold several;
- optionally ``IS_FOLDER``, True where such a "file" is a folder; ``NO_VOXEL_SIZE``, True where it cannot hold one;
- optionally ``created(path, shape, dtype, axes, voxel_size, about, overwrite)``, a context manager that yields what takes
  ``array[index] = values``; the file is there, whole, if its block ends without an error. float32 or float64, the axes in
  the order TCZYX, the sides of a voxel in micrometres, one for each axis in space, or None, and an `about.About`.

Everything else is done once, in `stored`: it reads volumes, images and stacks of all formats alike.

A module for poses has:

- ``SUFFIXES``;
- ``UNIT``, the unit of translations ("voxel" or "um");
- ``CENTRE``, the point of a box of n voxels that rotations are about ("(n - 1) / 2" or "n // 2");
- ``read(path)``, which returns a `conventions.PoseTable`;
- ``write(path, rotation, translation, names, overwrite, two_fold)``;
- optionally ``holds(head)``, whether a file that begins with these bytes has this format, whatever its suffix;
- optionally ``KEEPS_VOXEL_SIZE``: ``write`` takes ``voxel_size`` too, in micrometres, or None;
- optionally ``STATES_MEANING``: the file says unit and centre, and ``write`` takes ``unit`` and ``centre`` too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import ArrayLike, NDArray

from .._validation import Vector, as_flag, as_volume, as_voxel_size, shown
from .about import About
from .files import FileError, as_path, check_writable
from .stored import Stored, tell_slip, volume_of

# a file of unknown content and suffix is taken for the first
_VOLUMES = ("tiff", "mrc", "ome_zarr", "hdf5", "npy", "npz", "czi", "lif", "nikon", "oif")
_POSES = ("poses_own", "poses_csv", "poses_star")  # .poses.csv is looked for before .csv
_HEAD = 4096  # bytes by which a content is recognised


@cache
def volumes() -> tuple[Any, ...]:
    """Return the modules of all volume formats; they are imported when the first file is read."""
    return tuple(import_module(f".{name}", __package__) for name in _VOLUMES)


@cache
def poses() -> tuple[Any, ...]:
    """Return the modules of all pose formats."""
    return tuple(import_module(f".{name}", __package__) for name in _POSES)


def read(
    path: str | Path,
    voxel_size: float | Vector | None = None,
    *,
    channel: int | str | None = None,
    frame: int | None = None,
    scene: int | str | None = None,
) -> tuple[NDArray, Vector | None]:
    """Read a 3-D volume and its voxel size (z, y, x) in micrometres.

    Parameters
    ----------
    path : path
        A file of any format; ``file.h5:/name`` is one of the arrays in a file of several.
    voxel_size : float or (z, y, x), optional
        In micrometres, where the file's own voxel size is incomplete, unclear or wrong.
    channel : int or str, optional
        Which of several channels, by its number from 0 or its name.
    frame : int, optional
        Which of several frames, from 0. Frames of planes are taken for a volume, which the log says.
    scene : int or str, optional
        Which of several images, by its number from 0 or its name.

    Returns
    -------
    volume : (nz, ny, nx) ndarray, float32 or float64
    voxel_size : (float, float, float) or None
        The given one, else the one in the file, else None.

    Raises
    ------
    ValueError, OSError
        If the file cannot be used; the message names it.
    ImportError
        If a package for the format is missing; the message names the package.
    """
    given = None if voxel_size is None else as_voxel_size(voxel_size)
    with opened(path, scene) as stored:
        volume = volume_of(stored, given, channel, frame)
    tell_slip(stored.path, given, volume.said)
    return as_volume(volume.values, str(path)), volume.voxel_size  # only particles may have NaN voxels


def write(path: str | Path, volume: ArrayLike, voxel_size: ArrayLike | None = None, overwrite: bool = False) -> None:
    """Write a 3-D volume, whole or not at all; ``voxel_size`` is (z, y, x) in micrometres.

    float64 is written as float64, all else as float32.

    Raises
    ------
    ValueError
        If the suffix is unknown, or the volume is not 3-D and finite.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    """
    path = as_path(path)
    module, array = writable_format(path), as_volume(volume, "volume")
    size = None if voxel_size is None else as_voxel_size(voxel_size)
    check_output(path, as_flag(overwrite, "overwrite"))
    with module.created(path, array.shape, array.dtype, "ZYX", size, About(), overwrite) as target:
        target[...] = array


@contextmanager
def opened(path: str | Path, scene: int | str | None = None) -> Iterator[Stored]:
    """Open a file of any format; what follows ``:/`` in its name is the name of one of several images in it."""
    file, inside = split_name(as_path(path))
    if inside is not None and scene is not None:
        raise FileError(f"{path}: found scene {shown(scene)} beside a name in the file, need one of the two")
    with image_format(file).opened(file, inside if scene is None else scene) as stored:
        yield stored


def split_name(path: Path) -> tuple[Path, str | None]:
    """Return a file and the name of what is meant in it, None without one: ``file.h5:/name``.

    Examples
    --------
    >>> split_name(Path("runs/a.h5:/views/left"))[1]
    'views/left'
    """
    file, mark, inside = path.as_posix().partition(":/")
    known = tuple(suffix for module in volumes() for suffix in module.SUFFIXES)
    if not mark or path.exists() or not file.lower().endswith(known):
        return path, None
    return Path(file), inside


def image_format(path: Path) -> Any:
    """Return the module of an image file's format: by its content, else by its suffix.

    Raises
    ------
    OSError
        If there is no such file, or it is a folder of no known format.
    ValueError
        If it is empty, or its content is that of another format than its suffix says.
    """
    by_suffix = _of_suffix(path, volumes())
    need = f"need {(by_suffix or volumes()[0]).KIND}"
    if not path.exists():
        raise FileNotFoundError(f"{path}: does not exist, {need}")
    head = b"" if path.is_dir() else _head(path)
    found = next((module for module in volumes() if module.holds(path, head)), None)
    if found is None and path.is_dir() and not is_folder(by_suffix):
        raise IsADirectoryError(f"{path}: is a folder, {need}")
    if found is None and not head and path.is_file():
        raise FileError(f"{path}: found an empty file, {need}")
    if found is not None and by_suffix not in (None, found):
        suffix = next(suffix for suffix in by_suffix.SUFFIXES if path.name.lower().endswith(suffix))
        raise FileError(
            f"{path}: found {found.KIND} under the suffix {suffix!r}, need {found.SUFFIXES[0]!r} or {by_suffix.KIND}"
        )
    return found or by_suffix or volumes()[0]


def is_folder(module: Any) -> bool:
    """Return whether a format's files are folders."""
    return getattr(module, "IS_FOLDER", False)


def names_folder(path: str | Path) -> bool:
    """Return whether a suffix is that of a format whose files are folders."""
    return is_folder(_of_suffix(path, volumes()))


def names_image(path: str | Path) -> bool:
    """Return whether a suffix is that of an image format."""
    return _of_suffix(path, volumes()) is not None


def check_output(path: str | Path, overwrite: bool) -> None:
    """Raise an error now if an image could not be written at the end of a long job; a folder must be one of its format."""
    module = writer_of(path)
    path = as_path(path)
    check_writable(path, overwrite, is_folder(module))
    if path.is_dir() and not module.holds(path, b""):
        raise FileError(
            f"{path}: found a folder that is not {module.KIND}, which is not overwritten, need another name"
        )


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(_HEAD)


def writer_of(path: str | Path) -> Any:
    """Return the module that writes images with this suffix, or raise an error; also where its package is missing."""
    module = writable_format(path)
    if hasattr(module, "require"):
        module.require()
    return module


def writable_format(path: str | Path) -> Any:
    """Return the module that writes images with this suffix, or raise an error that lists the suffixes."""
    writers = [module for module in volumes() if hasattr(module, "created")]
    return _of_suffix(path, writers) or _refuse(path, writers)


def pose_format(path: str | Path) -> Any:
    """Return the module of the format that a pose file has by its suffix."""
    return _of_suffix(as_path(path), poses()) or _refuse(path, poses())


def is_pose_file(path: str | Path) -> bool:
    """Return whether a file is one of poses, by its suffix."""
    return _of_suffix(path, poses()) is not None


def pose_reader(path: str | Path) -> Any:
    """Return the module that reads a pose file: by its first bytes, then by its suffix."""
    by_suffix = pose_format(path)
    head = _head(as_path(path))
    stated = [module for module in poses() if hasattr(module, "holds")]
    if by_suffix in stated and b"#" not in head[:5]:  # a table under a name that promises a first line
        by_suffix = _of_suffix(path, [module for module in poses() if module not in stated]) or by_suffix
    return next((module for module in stated if module.holds(head)), by_suffix)


def _of_suffix(path: str | Path, modules: Any) -> Any:
    return next((module for module in modules if str(path).lower().endswith(module.SUFFIXES)), None)


def _refuse(path: str | Path, modules: Any) -> NoReturn:
    known = " or ".join(suffix for module in modules for suffix in module.SUFFIXES)
    raise ValueError(f"{path}: found the suffix {Path(path).suffix!r}, need {known}")
