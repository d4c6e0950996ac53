"""Which image becomes which file: all that can be checked before the first is deconvolved."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from .._validation import as_float_type
from ..io.about import About
from ..io.files import as_path, check_folder_writable, check_writable
from ..io.formats import check_output, image_format, names_folder, names_image, split_name, writer_of
from ..io.images import look_at, read_about
from ._records import beside, stem

T = TypeVar("T")
_OME = (".tif", ".zarr")  # suffixes that follow .ome


class Task(NamedTuple):
    """One image, and the file that its result goes to.

    Attributes
    ----------
    source, output : Path
    shape, axes : tuple of int, str
    dtype : str
    voxel_size : tuple of float or None
        In micrometres: (z, y, x), or (y, x) of two dimensions.
    about : About
        What the file says of channels and frames.
    """

    source: Path
    output: Path
    shape: tuple[int, ...]
    axes: str
    dtype: str
    voxel_size: tuple[float, ...] | None
    about: About

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.shape[self.axes.index("C")] if "C" in self.axes else 1

    @property
    def nbytes(self) -> int:
        """The size of the result."""
        return math.prod(self.shape) * np.dtype(as_float_type(np.dtype(self.dtype))).itemsize

    def beside(self, suffix: str) -> Path:
        """Return the name of what belongs to the output."""
        return beside(self.output, suffix)


def plan(args: argparse.Namespace, prepare: Callable[[Task], T]) -> tuple[list[tuple[Task, T]], list[str]]:
    """Return the task of each image with what is prepared for it, and a line for each that cannot be done.

    Parameters
    ----------
    args : Namespace
    prepare : callable
        Of a task; raises an error where something is wrong with its image.
    """
    tasks, wrong = [], []
    claimed = {Path(path).resolve(): "is read" for path in (*args.images, *(args.psf or ())) if path}
    for source, output in zip(map(Path, args.images), _outputs(args), strict=True):
        try:
            task = _task(args, source, output)
            for path in (output, task.beside(".json"), *([task.beside(".png")] if args.preview else [])):
                if path.resolve() in claimed:
                    raise ValueError(
                        f"{source}: {path} {claimed[path.resolve()]} too, need another name for what comes of it"
                    )
                claimed[path.resolve()] = f"comes of {source}"
                if path.parent.is_dir():  # or it is made later
                    (check_output if path == output else check_writable)(path, args.overwrite)
            writer_of(output)
            tasks.append((task, prepare(task)))
        except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
            wrong.append(str(error))
    return tasks, wrong


def _outputs(args: argparse.Namespace) -> list[Path]:
    """Return where each image goes."""
    out = as_path(args.output, "--output")
    if len(args.images) == 1 and (not out.is_dir() or names_folder(out)):
        check_output(out, args.overwrite)
        return [out]
    check_folder_writable(out, [])
    if names_image(out) and (not out.is_dir() or names_folder(out)):
        raise ValueError(f"--output: found {out}, one file for {len(args.images)} images, need a folder")
    return [out / f"{stem(Path(image))}{_suffix_for(Path(image))}" for image in args.images]


def _suffix_for(image: Path) -> str:
    """Return the suffix of an image's result in a folder: that of its own format, if it can hold the voxel size."""
    try:
        module = image_format(split_name(image)[0])
    except (ValueError, OSError):  # which is told when the image is looked at
        return f".ome{_OME[0]}"
    suffix = module.SUFFIXES[0] if hasattr(module, "created") and not hasattr(module, "NO_VOXEL_SIZE") else _OME[0]
    return f".ome{suffix}" if suffix in _OME else str(suffix)


def _task(args: argparse.Namespace, source: Path, output: Path) -> Task:
    values, axes, voxel = look_at(source, args.voxel_size, args.axes, scene=args.scene)
    return Task(source, output, values.shape, axes, str(values.dtype), voxel, read_about(source, scene=args.scene))
