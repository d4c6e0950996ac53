"""``fastmpr deconvolve``."""

from __future__ import annotations

import argparse
import ctypes
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmpr

from .._validation import as_float_type
from ..io.images import created_image, opened_image
from ..runtime.limits import memory_limit
from ._again import add_again
from ._arguments import (
    ZYX,
    add_solver,
    add_talk,
    background,
    memory,
    new_command,
    not_negative,
    positive,
    positive_or_name,
)
from ._bars import Bars
from ._ending import Ending, add_ending, is_done
from ._psfs import Psf, Psfs, take_images
from ._records import Notes, draw, noting, write_record
from ._tasks import Task, plan
from ._words import check_extras, complain, explain, lengths, say, size, watched

_OPTIONS = ("frames", "lam", "regularizer", "seen", "outside", "background", "max_memory", "max_iter", "tol", "workers")
_RECORDED = (*_OPTIONS, "timeout", "scene")
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # glibc's M_ARENA_MAX and M_MMAP_THRESHOLD
_LARGE_ARRAY = 1 << 23  # bytes
_LARGE = 4  # part of the memory that a result may take, before it is written while it is made
_FAILURES = (ValueError, TypeError, OSError, ImportError, MemoryError)


def add(commands: Any) -> None:
    """Add the command."""
    deconvolve = new_command(
        commands,
        "deconvolve",
        run,
        "deconvolve 2-D or 3-D images, one or many, with one PSF or one for each channel",
        "fastmpr deconvolve cell.tif --psf psf.tif -o sharp.ome.tif --preview",
        "fastmpr deconvolve a.tif b.tif --na 1.4 --wavelength 0.52 --voxel-size 0.2 0.065 0.065 -o sharp",
        "fastmpr deconvolve two.ome.tif --na 1.4 --wavelength 0.46 0.52 -o sharp.ome.tif",
    )
    add = deconvolve.add_argument
    add(
        "images",
        nargs="*",
        metavar="IN",
        help="image files of any format, which may have channels and frames; file.h5:/name is one array of several",
    )
    add(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="the .ome.tif, .ome.zarr, .h5 or .npz to write; for several images, a folder (created if missing) "
        "that gets a file of the same name for each, in the format of the image where it can be written, else .ome.tif; a "
        "record of how the result was made is written beside it, OUT.json",
    )
    _add_psf(deconvolve)
    add(
        "--voxel-size",
        type=positive,
        nargs=3,
        metavar=ZYX,
        help="in micrometres (default: what each IN says, else 1 voxel); Z does not count in two dimensions",
    )
    add(
        "--axes",
        metavar="AXES",
        help="a letter for each axis of the array in IN, out of T, C, Z, Y and X, such as TYX for a plain stack of frames "
        "or YXC for colours (default: what each IN says)",
    )
    add("--scene", metavar="NAME|N", help="which of several images in each IN, by name or number from 0")
    add(
        "--frames",
        choices=("auto", "alike", "each"),
        default="auto",
        help="what the frames of a movie share; alike: background and lam; each: nothing; auto: what looks the same in all "
        "(default: %(default)s)",
    )
    add(
        "--seen",
        choices=("auto", "all"),
        default="auto",
        help="which voxels were seen; auto: all but saturated, hot and dead ones and regions of one value, as around a "
        "crop; all: every voxel (default: %(default)s)",
    )
    add(
        "--outside",
        choices=("unseen", "dark"),
        default="unseen",
        help="what lies beyond the edge of the image; unseen: unknown; dark: no light (default: %(default)s)",
    )
    add(
        "--background",
        type=background,
        default="auto",
        metavar="auto|plane|none|LEVEL",
        help="what to subtract first: the camera's offset and haze; plane: one that rises in some direction (default: "
        "estimated for each image, and once for frames that are alike)",
    )
    add(
        "--max-memory",
        type=memory,
        metavar="BYTES",
        help="memory besides the image and the result, such as 4G or 500M; an image that needs more is cut into tiles "
        "(default: about 32 bytes per voxel)",
    )
    add_solver(deconvolve, "result", 80, 8e-3)
    add_ending(deconvolve)
    add("--preview", action="store_true", help="also write a .png that shows each image beside its result")
    add("--overwrite", action="store_true", help="replace existing outputs and the files beside them")
    add_again(deconvolve)
    add_talk(deconvolve)


def _add_psf(deconvolve: Any) -> None:
    """Add the options that define the PSF."""
    add = deconvolve.add_argument
    add(
        "--psf",
        nargs="+",
        metavar="PSF",
        help="the point spread function, a 2-D or 3-D image file; or a file for each channel",
    )
    add(
        "--psf-voxel-size",
        type=positive,
        nargs=3,
        metavar=ZYX,
        help="in micrometres (default: what PSF says, else the image's)",
    )
    add(
        "--psf-measured",
        action="store_true",
        help="PSF is the raw image of a bead: subtract its background and centre it",
    )
    add("--na", type=positive, help="numerical aperture: without --psf, the PSF is computed after Born and Wolf")
    add(
        "--wavelength",
        type=positive_or_name,
        nargs="+",
        metavar="L",
        help="emission wavelength in micrometres, or one for each channel (default: what IN says)",
    )
    add("--refractive-index", type=positive, metavar="N", help="refractive index of the medium (default: 1.515, oil)")
    add("--confocal", action="store_true", help="compute the PSF of a confocal microscope")
    add(
        "--excitation-wavelength",
        type=positive_or_name,
        nargs="+",
        metavar="L",
        help="laser wavelength of the confocal microscope, or one for each channel (default: the emission wavelength)",
    )
    add("--pinhole", type=not_negative, metavar="D", help="diameter of the pinhole in Airy units (default: 0, a point)")


def run(args: argparse.Namespace) -> int:
    """Check all files, deconvolve those with the same settings together, and write each result as soon as it is ready."""
    ending = Ending(args.timeout)
    if args.max_memory:
        _give_memory_back()
    check_extras(*(["matplotlib"] if args.preview else []))
    take_images(args)
    for psf in args.psf or ():
        args.inputs.add_file(psf)
    with noting() as notes:
        tasks, wrong = plan(args, Psfs(args))
    for message in wrong[:-1]:
        complain(message)
    if wrong:
        raise ValueError(wrong[-1])
    groups: dict[Any, list[Task]] = {}
    given = {}
    for task, (voxel, psfs) in tasks:
        key = voxel, task.axes, tuple(map(id, psfs))
        groups.setdefault(key, []).append(task)
        given[key] = psfs
    with noting(notes), ending, closing(_Work(args, len(tasks), ending, notes)) as work:
        for key, group in groups.items():
            work.do(group, given[key], voxel=key[0])
    if work.failed:
        raise ValueError(work.failed[0] if len(tasks) == 1 else f"{len(work.failed)} of {len(tasks)} images failed")
    return ending.status(work.done)


class _Work:
    """Deconvolve images one after another; if one fails, go on with the others.

    Attributes
    ----------
    failed : list of str
        The error message of each image that failed.
    done : bool
        Whether all results written so far have converged.
    """

    def __init__(self, args: argparse.Namespace, total: int, ending: Ending, notes: Notes):
        self.args, self.total, self.ending, self.notes = args, total, ending, notes
        self.failed: list[str] = []
        self.done = True
        self._doubts = notes.taken()["warnings"]  # that came before the first image
        self._found: list[dict[str, Any]] = []
        self._bars, self._begun = Bars(watched(args)), 0

    def do(self, tasks: list[Task], psfs: Sequence[Psf], voxel: tuple[float, ...] | None) -> None:
        """Deconvolve images of the same voxels, axes and PSFs in one call, and in one more after each that fails."""
        options = {
            "axes": tasks[0].axes,
            "voxel_size": 1.0 if voxel is None else voxel,
            "psf_voxel_size": psfs[0].voxel_size,
            "report": lambda found: self._found.append(found),
            "progress": self._bars,
            "cancel": self.ending,
            **{name: getattr(self.args, name) for name in _OPTIONS},
        }
        arrays, large = [psf.values for psf in psfs], [task for task in tasks if self._is_large(task)]
        waiting = deque(task for task in tasks if task not in large)
        while waiting:
            begun = self._begun
            results = fastmpr.deconvolve(self._images(waiting), arrays, timeout=self.ending.left, **options)
            try:
                while (result := self._told(next, results, None)) is not None:
                    self._finish(result, psfs)
            except _FAILURES as error:
                if self._begun == begun:  # no image is at fault
                    raise
                self._fail(error)
        for task in large:
            self._begin(task)
            try:
                self._told(self._stream, arrays, options)
                self._finish(None, psfs)
            except _FAILURES as error:
                self._fail(error)

    def _is_large(self, task: Task) -> bool:
        """Return whether a result is written while it is made, because it takes much of the memory."""
        allowed = self.args.max_memory or memory_limit()[0] / _LARGE
        return task.nbytes > allowed

    def _stream(self, psfs: list[NDArray], options: dict[str, Any]) -> None:
        """Deconvolve an image from its file into another, tile by tile."""
        task, args = self._task, self.args
        made = task.shape, as_float_type(np.dtype(task.dtype))
        task.output.parent.mkdir(exist_ok=True)
        with (
            opened_image(task.source, args.voxel_size, args.axes, scene=args.scene) as image,
            created_image(task.output, *made, task.axes, task.voxel_size, args.overwrite, task.about) as out,
        ):
            fastmpr.deconvolve(image.values, psfs, out=out, timeout=self.ending.left, **options)

    def close(self) -> None:
        """Close the progress bars."""
        self._bars.close()

    def _begin(self, task: Task) -> None:
        """Begin an image."""
        self._task, self._start, self._found = task, time.perf_counter(), []
        self.notes.taken()
        self.notes.warned = [text for text in self._doubts if text.startswith(f"{task.source}: ")]
        self._begun += 1
        self._bars.begin(f"{self._begun} of {self.total}, {task.source.name}: " if self.total > 1 else "")
        self.args.inputs.add_file(task.source)

    def _images(self, waiting: deque[Task]) -> Iterator[NDArray]:
        """Yield the images that can be read, each when it is asked for."""
        while waiting:
            try:
                self._begin(waiting.popleft())
                self._image = fastmpr.io.read_image(
                    self._task.source, self.args.voxel_size, self.args.axes, scene=self.args.scene
                ).values
            except _FAILURES as error:
                self._fail(error)
            else:
                yield self._image

    def _told(self, work: Callable, *arguments: Any) -> Any:
        """Return what a function returns; warnings are told under the name of the file."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", fastmpr.FastmprWarning)
            try:
                return work(*arguments)
            finally:
                for warning in said:
                    self._warn(warning.message)

    def _warn(self, message: object) -> None:
        self.notes.warned.append(self._named(message))
        complain(self.notes.warned[-1], "warning")

    def _finish(self, result: NDArray | None, psfs: Sequence[Psf]) -> None:
        """Write a result, unless it is there already, with its record and preview, and print a line."""
        args, task, found = self.args, self._task, self._found
        seconds = time.perf_counter() - self._start
        self._bars.close()
        self._judge(found)
        if result is not None:
            task.output.parent.mkdir(exist_ok=True)
            fastmpr.io.write_image(task.output, result, task.axes, task.voxel_size, args.overwrite, task.about)
        write_record(task.beside(".json"), self._record(psfs, seconds), args)
        if args.preview:
            levels = [one["background"] or 0.0 for one in found if "T" not in task.axes or one["index"][0] == 0]
            with ExitStack() as files:
                before, after = (self._image, result) if result is not None else self._unread(files)
                draw(task.beside(".png"), before, after, task.axes, task.voxel_size, levels, args.overwrite)
        for one in found:
            place = "".join(f", {axis} {k}" for axis, k in zip(task.axes, one["index"], strict=False))
            told = [
                name for name in ("background", "lam", "nit", "unseen", "tiles", "fit") if one.get(name) is not None
            ]
            text = ", ".join(f"{name} {one[name]:.4g}" for name in told)
            explain(args, f"{task.source}{place}: {text}")
        voxel = lengths(task.voxel_size) if task.voxel_size else "unknown size"
        weights = sorted({f"{one['lam']:.4g}": None for one in found if one["lam"] is not None}, key=float)
        shown = weights[0] if len(weights) == 1 else f"{weights[0]} to {weights[-1]}"
        say(args, f"{task.output}: {size(task.shape)} voxels of {voxel}, lam {shown}, {seconds:.1f} s")

    def _unread(self, files: ExitStack) -> tuple[Any, Any]:
        """Return the image and the result in their files."""
        args, task = self.args, self._task
        before = files.enter_context(opened_image(task.source, args.voxel_size, args.axes, scene=args.scene))
        return before.values, files.enter_context(opened_image(task.output)).values

    def _judge(self, found: list[dict[str, Any]]) -> None:
        """Warn if results have not converged; frames in which nothing was seen do not count."""
        told = [one for one in found if one["lam"] is not None]
        if short := [one for one in told if not is_done(one["status"], self.args.tol)]:
            self.done = False
            which = "" if len(told) == 1 else f" {len(short)} of {len(told)} channels or frames"
            iterations = max(one["nit"] for one in short)
            self._warn(
                f"found{which} not converged after {iterations} iterations, need more (--max-iter), or a larger --tol"
            )

    def _record(self, psfs: Sequence[Psf], seconds: float) -> dict[str, Any]:
        task, args = self._task, self.args
        origin = None if task.voxel_size is None else "given" if args.voxel_size else "file"
        return {
            "input": {
                "file": task.source,
                "axes": task.axes,
                "shape": task.shape,
                "dtype": task.dtype,
                "voxel_size": task.voxel_size,
                "voxel_size_from": origin,
            },
            "psf": psfs[0].record if len(psfs) == 1 else [psf.record for psf in psfs],
            "options": {name: getattr(args, name) for name in _RECORDED},
            **self.notes.taken(),
            "found": self._found,
            "seconds": round(seconds, 3),
        }

    def _fail(self, error: Exception) -> None:
        """Record that an image failed; print the reason now if there are several images."""
        self._bars.close()
        message = f"not enough memory ({error})" if isinstance(error, MemoryError) else str(error)
        self.failed.append(self._named(message))
        if self.total > 1:
            complain(self.failed[-1])

    def _named(self, message: object) -> str:
        """Return a message that names the file and no argument."""
        text, source = str(message).removeprefix("image: "), str(self._task.source)
        return text if source in text or str(self._task.output) in text else f"{source}: {text}"


def _give_memory_back() -> None:
    """Let freed memory go back to the system, where that can be set: all threads share one heap, large arrays use none."""
    with suppress(AttributeError, OSError, TypeError):
        for option, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE_ARRAY)):
            ctypes.CDLL(None).mallopt(option, value)
