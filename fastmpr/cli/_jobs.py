"""Which image becomes which file: all that can be known before the first is begun."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..io.about import About, read_about
from ..io.files import as_path, check_folder_writable, check_writable
from ..io.formats import volumes, writable_format
from ..io.images import look_at


class Job(NamedTuple):
    """One image.

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
        """How many there are."""
        return self.shape[self.axes.index("C")] if "C" in self.axes else 1

    def beside(self, suffix: str) -> Path:
        """Return the name of what belongs to the output."""
        return self.output.with_name(stem(self.output) + suffix)


def plan(args: argparse.Namespace, check: Callable[[Job], object]) -> tuple[list[Job], list[str]]:
    """Return the images of a command, and what is wrong with them and with their outputs: a line each.

    Parameters
    ----------
    args : Namespace
    check : callable
        Raises an error where something else is wrong with an image.
    """
    jobs, wrong = [], []
    claimed = {Path(path).resolve(): "is read" for path in (*args.images, *(args.psf or ())) if path}
    for source, output in zip(map(Path, args.images), _outputs(args), strict=True):
        try:
            job = _job(args, source, output)
            for path in (output, job.beside(".json"), *([job.beside(".png")] if args.preview else [])):
                if path.resolve() in claimed:
                    raise ValueError(
                        f"{source}: {path} {claimed[path.resolve()]} too, need another name for what comes of it"
                    )
                claimed[path.resolve()] = f"comes of {source}"
                if path.parent.is_dir():  # or is made
                    check_writable(path, args.overwrite)
            check(job)
            jobs.append(job)
        except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
            wrong.append(str(error))
    return jobs, wrong


def stem(path: Path) -> str:
    """Return a file's name without the suffix of a format, and OME's before it."""
    known = "|".join(re.escape(suffix) for module in volumes() for suffix in module.SUFFIXES)
    return re.sub(rf"(\.ome)?({known})$", "", path.name, flags=re.IGNORECASE) or path.name


def _outputs(args: argparse.Namespace) -> list[Path]:
    """Return where each image goes."""
    out = as_path(args.output, "--output")
    if len(args.images) == 1 and not out.is_dir():
        writable_format(out)
        check_writable(out, args.overwrite)
        return [out]
    check_folder_writable(out, [])
    return [out / f"{stem(Path(image))}.ome.tif" for image in args.images]


def _job(args: argparse.Namespace, source: Path, output: Path) -> Job:
    values, axes, voxel = look_at(source, args.voxel_size, args.axes)
    return Job(source, output, values.shape, axes, str(values.dtype), voxel, read_about(source))
