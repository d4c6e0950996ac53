"""Images in TIFF and MRC files: two or three dimensions, with channels and frames, of any real type."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_array, as_finite, as_flag, as_reals, as_voxel_size, shown
from . import mrc, tiff
from .about import About
from .files import FileError, as_path, check_fits_memory, written_whole
from .formats import check_given, volume_format, writable_format

AXES = "TCZYX"  # frames, channels and space, the outermost first
_UNNAMED = "QI"  # tifffile's letters for axes that a file does not name
_NEED = "need some of T, C, Z, Y and X, in this order, Y and X among them"


class StoredImage(NamedTuple):
    """An image read from a file.

    Attributes
    ----------
    values : ndarray
    axes : str
        A letter for each axis of ``values``: some of T, C, Z, Y and X, in this order.
    voxel_size : tuple of float or None
        In micrometres: (z, y, x), or (y, x) if there is no Z; None if unknown.
    """

    values: NDArray
    axes: str
    voxel_size: tuple[float, ...] | None


def read_image(path: str | Path, voxel_size: ArrayLike | None = None, axes: str | None = None) -> StoredImage:
    """Read an image of two or three dimensions, with channels and frames, in the file's own type.

    Parameters
    ----------
    path : path
        A TIFF file (OME, ImageJ or plain) that holds one grey-level image, or an MRC file.
    voxel_size : float or (z, y, x) or (y, x), optional
        In micrometres. Replaces the voxel size in the file, which is then not read.
    axes : str, optional
        Replaces the axes in the file: one of T, C, Z, Y and X for each axis of the file's array, or for each axis longer
        than 1. Examples: "TYX" for a plain stack of frames, "YXC" for colours.

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
        If the file is no TIFF file, truncated, RGB without ``axes``, complex or larger than the memory, or has several
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
    path, axes = as_path(path), as_letters(axes)
    return (
        _of_mrc(path, voxel_size, axes) if volume_format(path) is mrc else _of_tiff(path, voxel_size, axes, whole=True)
    )


def look_at(path: str | Path, voxel_size: ArrayLike | None = None, axes: str | None = None) -> StoredImage:
    """Return what `read_image` does without reading a TIFF file's data: ``values`` has only its shape and dtype."""
    path, axes = as_path(path), as_letters(axes)
    if voxel_size is not None and as_array(voxel_size, "voxel_size").size == 3:
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
    """Write an image as OME-TIFF, whole or not at all; a large image is written as BigTIFF.

    Parameters
    ----------
    path : path
        The suffix ``.ome.tif`` is best: other programs then look for the axes and the voxel size in the OME metadata.
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
    """Return the image in a TIFF file; unless ``whole``, its data are not read."""
    with tiff.named(path), tiff.opened(path, alone=True, colours=letters is not None) as (tif, series):
        named = _as_axes(path, series) if letters is None else _as_told(path, letters, series.shape)
        kept = [k for k, axis in enumerate(named) if series.shape[k] > 1 or axis in "YX"]
        named, shape = "".join(named[k] for k in kept), [series.shape[k] for k in kept]
        axes = "".join(sorted(named, key=AXES.index))
        found = tiff.voxel_size_of(path, tif, flat="Z" not in axes) if given is None else given
        if np.dtype(series.dtype).kind not in "fiub":
            raise FileError(f"{path}: found {series.dtype}, need real numbers")
        if series.dataoffset is not None:  # the data lie uncompressed in one piece
            kind = np.dtype(series.dtype).newbyteorder(tif.byteorder)
            values: NDArray = np.memmap(path, kind, mode="r", offset=series.dataoffset, shape=series.shape)
        else:
            check_fits_memory(path, series.nbytes)
            values = series.asarray() if whole else np.broadcast_to(np.zeros((), series.dtype), series.shape)
    values = values.reshape(shape).transpose([named.index(axis) for axis in axes])
    return StoredImage(values, axes, _lengths(found, "Z" in axes))


def _of_mrc(path: Path, given: Any, letters: str | None) -> StoredImage:
    """Return the image in an MRC file; a volume of one plane becomes a 2-D image, as in a TIFF file."""
    placeholder = None if given is None else (1.0, 1.0, 1.0)  # so that the header's voxel size is not read
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


def _as_axes(path: Path, series: Any) -> str:
    """Return the letters of a TIFF file's axes, with letters for the axes that it does not name."""
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
    """Return the sides of a voxel: (z, y, x), or (y, x) if the image is not ``solid``; None stays None."""
    if value is None:
        return None
    sides = as_reals(value, "voxel_size", "positive lengths")
    if not solid and sides.shape == (2,):
        value = (sides[0], *sides)
    return as_voxel_size(value) if solid else as_voxel_size(value)[1:]
