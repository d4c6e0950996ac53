"""Images in TIFF and MRC files as they are: of two or three dimensions, with channels and frames, of any real type."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_finite, as_flag, as_reals, as_voxel_size, shown
from . import mrc, tiff
from .about import About
from .files import FileError, as_path, check_fits_memory, written_whole
from .formats import check_given, volume_format, writable_format

AXES = "TCZYX"  # frames, channels and space, the outermost first
_UNNAMED = "QI"  # what tifffile calls axes of which a file says nothing
_NEED = "need some of T, C, Z, Y and X, in this order, Y and X among them"


class StoredImage(NamedTuple):
    """An image of a file.

    Attributes
    ----------
    values : ndarray
    axes : str
        A letter for each axis of ``values``: some of T, C, Z, Y and X, in this order.
    voxel_size : tuple of float or None
        In micrometres: (z, y, x), or (y, x) where there is no Z; None where it is not known.
    """

    values: NDArray
    axes: str
    voxel_size: tuple[float, ...] | None


def read_image(path: str | Path, voxel_size: ArrayLike | None = None, axes: str | None = None) -> StoredImage:
    """Read an image as it is: of two or three dimensions, with channels and frames.

    Parameters
    ----------
    path : path
        A TIFF file (OME, ImageJ or plain) that holds one grey-level image, or an MRC file.
    voxel_size : float or (z, y, x) or (y, x), optional
        In micrometres, where it is known better than the file does: what the file says of it is then not looked at.
    axes : str, optional
        A letter, T, C, Z, Y or X, for each axis of the file's array, or for each that is longer than 1, where they are known
        better than by the file: such as "TYX" for a plain stack of frames, "YXC" for colours.

    Returns
    -------
    values : ndarray
        In the order T, C, Z, Y, X, of the file's own type, read-only where it lies uncompressed in one piece: such a file is
        memory-mapped. NaN may be among them.
    axes : str
        Those that there are, such as "CZYX", less T, C and Z of length 1. Of axes that the file does not name, the last is
        Z, the one before T.
    voxel_size : tuple of float or None
        (z, y, x), or (y, x) where there is no Z, in micrometres; None where the file says nothing and none is given.

    Raises
    ------
    ValueError
        Naming the file: no TIFF, truncated, RGB without ``axes``, complex, several images, other axes, larger than the
        memory, a voxel size of which it says a part or something that is not understood.
    OSError, ImportError
        Naming the file, or the package that it needs.

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
    path, axes = as_path(path), as_letters(axes)
    return (
        _of_mrc(path, voxel_size, axes) if volume_format(path) is mrc else _of_tiff(path, voxel_size, axes, whole=True)
    )


def look_at(path: str | Path, voxel_size: ArrayLike | None = None, axes: str | None = None) -> StoredImage:
    """Return what `read_image` does, of a TIFF file without its numbers: what stands for them has shape and type alone."""
    path, axes = as_path(path), as_letters(axes)
    if voxel_size is not None and np.size(voxel_size) == 3:
        check_given(path, as_voxel_size(voxel_size))
    return (
        _of_mrc(path, voxel_size, axes) if volume_format(path) is mrc else _of_tiff(path, voxel_size, axes, whole=False)
    )


def write_image(
    path: str | Path,
    values: ArrayLike,
    axes: str,
    voxel_size: ArrayLike | None = None,
    overwrite: bool = False,
    about: About | None = None,
) -> None:
    """Write an image as OME-TIFF, whole or not at all; as BigTIFF where it needs that.

    Parameters
    ----------
    path : path
        Best ended by ``.ome.tif``, which tells other programs where the axes and the voxel size stand.
    values : array_like
        Written as float64 if it is, else as float32. May be NaN where nothing was seen.
    axes : str
        A letter for each axis: some of T, C, Z, Y and X, in this order, Y and X among them.
    voxel_size : float or (z, y, x) or (y, x), optional
        In micrometres; without it the file says nothing of it. Where there is no Z, that of three does not count.
    overwrite : bool
        Whether a file that is there already may be replaced.
    about : About, optional
        What is known of channels and frames, as `read_about` returns it. What is not known of all channels is not written.

    Raises
    ------
    ValueError
        For another suffix, other axes, or infinite values.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If tifffile is not installed.

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
    path, overwrite = as_path(path), as_flag(overwrite, "overwrite")
    writable_format(path)
    tifffile = tiff.require_tifffile()
    array = as_finite(values, "values", gaps=True)
    if not isinstance(axes, str) or not _are_in_order(axes) or len(axes) != array.ndim:
        raise ValueError(f"axes: found {shown(axes)} for values of shape {array.shape}, {_NEED}")
    metadata: dict[str, Any] = {"axes": axes}
    for axis, length in zip(axes.strip("TC"), _lengths(voxel_size, "Z" in axes) or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": "µm"}
    if about is not None:
        if not isinstance(about, About):
            raise TypeError(f"about: found {shown(about)}, need a fastmpr.io.About")
        metadata |= about.metadata(array.shape[axes.index("C")] if "C" in axes else 1)
    with written_whole(path, overwrite) as temporary:
        tifffile.imwrite(temporary, array, ome=True, photometric="minisblack", metadata=metadata)


def _of_tiff(path: Path, given: Any, letters: str | None, whole: bool) -> StoredImage:
    """Return the image in a TIFF file, or what it would be."""
    with tiff.named(path), tiff.opened(path, alone=True, colours=letters is not None) as (tif, series):
        named = _as_axes(path, series) if letters is None else _as_told(path, letters, series.shape)
        kept = [k for k, axis in enumerate(named) if series.shape[k] > 1 or axis in "YX"]
        named, shape = "".join(named[k] for k in kept), [series.shape[k] for k in kept]
        axes = "".join(sorted(named, key=AXES.index))
        found = tiff.voxel_size_of(path, tif, flat="Z" not in axes) if given is None else given
        if np.dtype(series.dtype).kind not in "fiub":
            raise FileError(f"{path}: found {series.dtype}, need real numbers")
        if series.dataoffset is not None:  # all of it lies uncompressed in one piece
            kind = np.dtype(series.dtype).newbyteorder(tif.byteorder)
            values: NDArray = np.memmap(path, kind, mode="r", offset=series.dataoffset, shape=series.shape)
        else:
            check_fits_memory(path, series.nbytes)
            values = series.asarray() if whole else np.broadcast_to(np.zeros((), series.dtype), series.shape)
    values = values.reshape(shape).transpose([named.index(axis) for axis in axes])
    return StoredImage(values, axes, _lengths(found, "Z" in axes))


def _of_mrc(path: Path, given: Any, letters: str | None) -> StoredImage:
    """Return the image in an MRC file; a volume of one plane is an image of two dimensions, as it is in a TIFF file."""
    placeholder = None if given is None else (1.0, 1.0, 1.0)  # what the header says is not to be looked at
    values, found = mrc.read_as_it_is(path, placeholder)
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.ndim not in (2, 3):
        raise FileError(f"{path}: found an image of shape {values.shape}, need one of two or three dimensions")
    named = "ZYX"[-values.ndim :] if letters is None else _as_told(path, letters, values.shape)
    axes = "".join(sorted(named, key=AXES.index))
    values = values.transpose([named.index(axis) for axis in axes])
    found = found if given is None else given
    return StoredImage(values, axes, _lengths(found, "Z" in axes))


def as_letters(axes: Any) -> str | None:
    """Return letters of axes that are T, C, Z, Y and X, each once, Y and X among them, if they are given."""
    if axes is None:
        return None
    if not isinstance(axes, str) or not _are_in_order("".join(sorted(axes, key=f"{AXES}{axes}".index))):
        raise ValueError(f"axes: found {shown(axes)}, need some of T, C, Z, Y and X, each once, Y and X among them")
    return axes


def _as_told(path: Path, letters: str, shape: tuple[int, ...]) -> str:
    """Return the letter of each axis of a file's array; axes of length 1 need none."""
    if len(letters) == len(shape):
        return letters
    rest = [axis for axis in AXES if axis not in letters]
    if len(letters) != sum(n > 1 for n in shape) or len(rest) < len(shape) - len(letters):
        raise FileError(f"{path}: found an image of shape {shape} beside axes {letters}, need a letter for each axis")
    told, ones = iter(letters), iter(rest)
    return "".join(next(told) if n > 1 else next(ones) for n in shape)


def _as_axes(path: Path, series: Any) -> str:
    """Return the letters of the axes as they are in a TIFF file, those that it does not name included."""
    axes = series.axes
    unnamed = sum(axis in _UNNAMED for axis in axes)
    free = [axis for axis in "ZTC" if axis not in axes][:unnamed]
    if unnamed == len(free):
        names = iter(sorted(free, key=AXES.index))
        axes = "".join(next(names) if axis in _UNNAMED else axis for axis in axes)
    if not _are_in_order("".join(sorted(axes, key=f"{AXES}{axes}".index))):
        raise FileError(f"{path}: {tiff.shown_axes(series)}, need T, C, Z, Y and X at most once each, Y and X at least")
    return axes


def _are_in_order(axes: str) -> bool:
    return axes == "".join(axis for axis in AXES if axis in axes) and axes.endswith("YX")


def _lengths(value: Any, solid: bool) -> tuple[float, ...] | None:
    """Return the sides of a voxel (z, y, x), of an image that is not solid (y, x); None of None."""
    if value is None:
        return None
    sides = as_reals(value, "voxel_size", "positive lengths")
    if not solid and sides.shape == (2,):
        value = (sides[0], *sides)
    return as_voxel_size(value) if solid else as_voxel_size(value)[1:]
