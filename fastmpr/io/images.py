"""Images in files of any format: two or three dimensions, with channels and frames, of any real type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_finite, as_flag, as_reals, as_voxel_size, shown
from .about import About
from .files import FileError, as_path
from .formats import check_output, opened, writable_format
from .stored import AXES, Stored, Unread, fixed_axes, parsing, tell_slip, voxel_size_of

_NEED = "need some of T, C, Z, Y and X, in this order, Y and X among them"


class StoredImage(NamedTuple):
    """An image read from a file.

    Attributes
    ----------
    values : ndarray, or what reads like one
    axes : str
        A letter for each axis of ``values``: some of T, C, Z, Y and X, in this order.
    voxel_size : tuple of float or None
        In micrometres: (z, y, x), or (y, x) if there is no Z; None if unknown.
    """

    values: Any
    axes: str
    voxel_size: tuple[float, ...] | None


def read_image(
    path: str | Path,
    voxel_size: ArrayLike | None = None,
    axes: str | None = None,
    *,
    channel: int | str | None = None,
    frame: int | None = None,
    scene: int | str | None = None,
) -> StoredImage:
    """Read an image of two or three dimensions, with channels and frames, in the file's own type.

    Parameters
    ----------
    path : path
        A file of any format; ``file.h5:/name`` is one of the arrays in a file of several.
    voxel_size : float or (z, y, x) or (y, x), optional
        In micrometres. Replaces the voxel size in the file, which is then not read.
    axes : str, optional
        Replaces the axes in the file: one of T, C, Z, Y and X for each axis of the file's array, or for each axis longer
        than 1. Examples: "TYX" for a plain stack of frames, "YXC" for colours.
    channel, frame, scene : int or str, optional
        Read one channel or frame, or one of several images in the file, by its number from 0 or its name. Without
        ``channel`` and ``frame``, all of them are read.

    Returns
    -------
    values : ndarray
        In the order T, C, Z, Y, X and of the file's own type; may contain NaN. If the data lie uncompressed in one piece,
        the file is memory-mapped and the array is read-only.
    axes : str
        The axes of ``values``, such as "CZYX"; T, C and Z of length 1 are dropped. If the file does not name its axes, the
        last unnamed one is Z, and the one before is T.
    voxel_size : tuple of float or None
        (z, y, x), or (y, x) if there is no Z, in micrometres; None if neither the file nor the caller gives it.

    Raises
    ------
    ValueError
        If the file is of no known format, truncated, RGB without ``axes``, complex or larger than the memory, or has several
        images, other axes, or a voxel size that is incomplete or unclear; the message names the file.
    OSError, ImportError
        If the file cannot be read or a package is missing; the message names the file or the package.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import fastmpr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/cells.ome.tif"
    ...     fastmpr.io.write_image(path, np.ones((2, 4, 5, 6)), "CZYX", voxel_size=(0.3, 0.1, 0.1))
    ...     image = fastmpr.io.read_image(path)
    >>> image.values.shape, image.axes, image.voxel_size
    ((2, 4, 5, 6), 'CZYX', (0.3, 0.1, 0.1))
    """
    with opened_image(path, voxel_size, axes, channel=channel, frame=frame, scene=scene) as image:
        return image._replace(values=image.values[...])


def look_at(
    path: str | Path,
    voxel_size: ArrayLike | None = None,
    axes: str | None = None,
    *,
    scene: int | str | None = None,
) -> StoredImage:
    """Return what `read_image` does without reading the file's data: ``values`` has only its shape and dtype."""
    with opened_image(path, voxel_size, axes, scene=scene, tells=True) as image:
        return image._replace(values=np.broadcast_to(np.zeros((), image.values.dtype), image.values.shape))


def read_about(path: str | Path, *, scene: int | str | None = None) -> About:
    """Read the metadata of a file's channels and frames.

    Parameters
    ----------
    path : path
        A file of any format. OME metadata give the names, emission and excitation of channels; OME and ImageJ metadata give
        the time between frames. Other files may give nothing. Entries that cannot be read are left out.
    scene : int or str, optional
        Which of several images in the file.

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
    with opened(path, scene) as stored, parsing(stored.path, stored.kind):
        return stored.about()


def write_image(
    path: str | Path,
    values: ArrayLike,
    axes: str,
    voxel_size: ArrayLike | None = None,
    overwrite: bool = False,
    about: About | None = None,
) -> None:
    """Write an image, whole or not at all, in the format that the suffix names.

    Parameters
    ----------
    path : path
        Of TIFF files, ``.ome.tif`` is best: other programs then look for the axes and the voxel size in the OME metadata; a
        large one is written as BigTIFF.
    values : array_like
        float64 is written as float64, all else as float32. NaN is allowed where nothing was seen.
    axes : str
        A letter for each axis: some of T, C, Z, Y and X, in this order, Y and X among them.
    voxel_size : float or (z, y, x) or (y, x), optional
        In micrometres. Without it the file has no voxel size. If there is no Z, the first of three sides is ignored.
    overwrite : bool
        Whether an existing file may be replaced.
    about : About, optional
        Metadata of channels and frames, as `read_about` returns it. Only entries known for all channels are written.

    Raises
    ------
    ValueError
        If the suffix or the axes are wrong, or values are infinite.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If the package of the format is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import fastmpr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fastmpr.io.write_image(f"{folder}/plane.ome.tif", np.ones((5, 6)), "YX", voxel_size=0.1)
    ...     fastmpr.io.read_image(f"{folder}/plane.ome.tif").voxel_size
    (0.1, 0.1)
    """
    writable_format(as_path(path))
    array = as_finite(values, "values", gaps=True)
    with created_image(path, array.shape, array.dtype, axes, voxel_size, overwrite, about) as target:
        target[...] = array


@contextmanager
def created_image(
    path: str | Path,
    shape: tuple[int, ...],
    dtype: Any,
    axes: str,
    voxel_size: ArrayLike | None = None,
    overwrite: bool = False,
    about: About | None = None,
) -> Iterator[Any]:
    """Yield what takes ``target[index] = values``, to write an image piece by piece; otherwise as `write_image`."""
    path, overwrite = as_path(path), as_flag(overwrite, "overwrite")
    module = writable_format(path)
    if not isinstance(axes, str) or not _are_in_order(axes) or len(axes) != len(shape):
        raise ValueError(f"axes: found {shown(axes)} for values of shape {shape}, {_NEED}")
    if about is not None and not isinstance(about, About):
        raise TypeError(f"about: found {shown(about)}, need a fastmpr.io.About")
    sides = _lengths(voxel_size, "Z" in axes)
    check_output(path, overwrite)
    with module.created(path, shape, np.dtype(dtype), axes, sides, about or About(), overwrite) as target:
        yield target


@contextmanager
def opened_image(
    path: str | Path,
    voxel_size: ArrayLike | None = None,
    axes: str | None = None,
    *,
    channel: int | str | None = None,
    frame: int | None = None,
    scene: int | str | None = None,
    tells: bool = False,
) -> Iterator[StoredImage]:
    """Yield what `read_image` does, unread: ``values`` reads what it is asked for while the file is open.

    If it ``tells``, it warns of a given voxel size that looks like a slip beside the file's own.
    """
    path, letters = as_path(path), as_letters(axes)
    with opened(path, scene) as stored:
        stored.check_is_real()
        named = _as_axes(stored) if letters is None else _as_told(path, letters, stored.shape)
        fixed = fixed_axes(stored, named, channel, frame)
        fixed |= {k: 0 for k, axis in enumerate(named) if axis == "Z" and stored.shape[k] == 1}
        order = "".join(sorted((axis for k, axis in enumerate(named) if k not in fixed), key=AXES.index))
        given = _lengths(voxel_size, "Z" in order)
        sides, said = voxel_size_of(stored, given, flat="Z" not in order)
        if tells and "Z" in order:
            tell_slip(path, as_voxel_size(given) if given else None, said)
        yield StoredImage(Unread(stored, named, fixed, order), order, given or _lengths(sides, "Z" in order))


def as_letters(axes: Any) -> str | None:
    """Check the letters of axes: some of T, C, Z, Y and X, each once, Y and X among them; None stays None."""
    if axes is None:
        return None
    if not isinstance(axes, str) or not _are_in_order("".join(sorted(axes, key=f"{AXES}{axes}".index))):
        raise ValueError(f"axes: found {shown(axes)}, need some of T, C, Z, Y and X, each once, Y and X among them")
    return axes


def _as_told(path: Path, letters: str, shape: tuple[int, ...]) -> str:
    """Return a letter for each axis of a file's array; the caller may leave out axes of length 1."""
    if len(letters) == len(shape):
        return letters
    rest = [axis for axis in AXES if axis not in letters]
    if len(letters) != sum(n > 1 for n in shape) or len(rest) < len(shape) - len(letters):
        raise FileError(f"{path}: found an image of shape {shape} beside axes {letters}, need a letter for each axis")
    told, ones = iter(letters), iter(rest)
    return "".join(next(told) if n > 1 else next(ones) for n in shape)


def _as_axes(stored: Stored) -> str:
    """Return the letters of a file's axes, with letters for those that it does not name."""
    stored.check_is_grey()
    axes = stored.named_axes()
    long = "".join(axis for axis, n in zip(axes, stored.shape, strict=True) if n > 1 or axis in AXES)
    if not _are_in_order("".join(sorted(long, key=f"{AXES}{long}".index))):
        need = "need T, C, Z, Y and X at most once each, Y and X at least"
        raise FileError(f"{stored.path}: {stored.shown}, {need}")
    return axes


def _are_in_order(axes: str) -> bool:
    return axes == "".join(axis for axis in AXES if axis in axes) and axes.endswith("YX")


def _lengths(value: Any, solid: bool) -> tuple[float, ...] | None:
    """Return the sides of a voxel: (z, y, x), or (y, x) if the image is not ``solid``; None stays None."""
    if value is None:
        return None
    sides = as_reals(value, "voxel_size", "positive lengths")
    if not solid and sides.shape == (2,):
        value = (sides[0], *sides)
    return as_voxel_size(value) if solid else as_voxel_size(value)[1:]
