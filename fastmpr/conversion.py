"""Files of one format become files of another: poses, volumes, images and stacks."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

from . import io
from ._validation import Size, Vector, as_finite, as_flag, as_float_type
from .geometry.poses import Poses
from .io.files import as_path
from .io.formats import check_output, is_pose_file, split_name, volumes, writable_format
from .io.images import created_image, opened_image
from .io.lists import is_list

_PLANES, _BYTES = 16, 1 << 27  # that are copied at once, at least: as many planes as a flat chunk of Zarr has


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    voxel_size: float | Vector | None = None,
    shape: int | Size | None = None,
    channel: int | str | None = None,
    frame: int | None = None,
    scene: int | str | None = None,
    overwrite: bool = False,
) -> None:
    """Write what is in one file in the format that another file's suffix names.

    Poses go to ``.csv`` (SPFluo), ``.poses.csv`` (of this library: nothing is converted) or ``.star`` (RELION). Volumes,
    images with channels and frames, and 4-D stacks go to any image format, in float32, or float64 where they are float64. A
    folder, a pattern or a ``.star`` or ``.csv`` list of volumes becomes one 4-D stack. Images are copied piece by piece, and
    need not fit in memory (but for ``.npz``).

    Parameters
    ----------
    source, target : path
    voxel_size : float or (z, y, x), optional
        In micrometres; by default that of an image's own file. Poses need it where voxels become lengths, or back.
    shape : int or (nz, ny, nx), optional
        Of a particle. Poses need it where the two formats turn a box about another point: (n - 1) / 2 in a ``.csv``, n // 2
        in a ``.star``.
    channel, frame, scene : int or str, optional
        Take one channel or frame, or one of several images in the file, by its number from 0 or its name.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ValueError
        If a file is not understood, or what is needed to convert it is not given; the message names the file.
    OSError, ImportError
        If a file cannot be read or written, or the package of a format is missing.

    Examples
    --------
    >>> import tempfile
    >>> import fastmpr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fastmpr.Poses.random(3, max_translation=2, rng=0).write(f"{folder}/poses.csv")
    ...     fastmpr.convert(f"{folder}/poses.csv", f"{folder}/poses.star", voxel_size=0.1, shape=32)
    ...     fastmpr.Poses.read(f"{folder}/poses.star").unit
    'um'
    """
    source, target = as_path(source, "source"), as_path(target, "target")
    overwrite = as_flag(overwrite, "overwrite")
    if is_pose_file(target):
        chosen = {"channel": channel, "frame": frame, "scene": scene}
        if given := [name for name, value in chosen.items() if value is not None]:
            raise ValueError(f"{given[0]}: found {chosen[given[0]]!r} beside poses, need it for images alone")
        Poses.read(source).write(target, overwrite, shape=shape, voxel_size=voxel_size)
        return
    writable_format(target)
    if shape is not None:
        raise ValueError(f"shape: found {shape!r} beside an image, need it for poses alone")
    check_output(target, overwrite)
    if _is_image(source):
        with opened_image(source, voxel_size, channel=channel, frame=frame, scene=scene) as image:
            about = io.read_about(source, scene=scene).of(channel, frame)
            _copy(image.values, target, image.axes, image.voxel_size, overwrite, about)
        return
    particles = io.open_particles(source, voxel_size, channel=channel, frame=frame, scene=scene)
    shape_of_all, dtype = (len(particles), *particles.shape), particles[0].dtype
    with created_image(target, shape_of_all, dtype, "TZYX", particles.voxel_size, overwrite) as pieces:
        for i in range(len(particles)):
            pieces[i] = particles[i]


def _copy(values: Any, target: Path, axes: str, voxel_size: Any, overwrite: bool, about: io.About) -> None:
    """Write an image, some planes at a time."""
    nbytes = _PLANES * prod(values.shape[1:]) * values.dtype.itemsize
    step = _PLANES * max(1, _BYTES // nbytes) if values.ndim == 3 else 1
    with created_image(target, values.shape, as_float_type(values.dtype), axes, voxel_size, overwrite, about) as pieces:
        for k in range(0, len(values), step):
            part = slice(k, min(k + step, len(values)))
            pieces[part] = as_finite(values[part], str(target), gaps=True)


def _is_image(path: Path) -> bool:
    """Return whether a path is one image, which may be a folder such as OME-Zarr, and not several particles."""
    file, _ = split_name(path)
    if file.is_dir():
        return any(module.holds(file, b"") for module in volumes())
    return file.is_file() and not is_list(file)
