"""``fastmpr deconvolve``."""

from __future__ import annotations

import argparse
import time
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

from numpy.typing import NDArray

import fastmpr

from .._messages import Progress, telling
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
from ._jobs import Job, plan
from ._psfs import Psf, Psfs, take_images
from ._records import draw, write_record
from ._words import check_extras, complain, explain, lengths, say, size, watched

_OPTIONS = ("frames", "lam", "regularizer", "seen", "outside", "background", "max_memory", "max_iter", "tol", "workers")
_FAILURES = (ValueError, TypeError, OSError, ImportError, MemoryError)


def add(commands: Any) -> None:
    """Add the command."""
    deconvolve = new_command(
        commands,
        "deconvolve",
        run,
        "deconvolve images of two or three dimensions, one or many, with one PSF or one for each channel",
        "fastmpr deconvolve cell.tif --psf psf.tif -o sharp.ome.tif --preview",
        "fastmpr deconvolve a.tif b.tif --na 1.4 --wavelength 0.52 --voxel-size 0.2 0.065 0.065 -o sharp",
        "fastmpr deconvolve two.ome.tif --na 1.4 --wavelength 0.46 0.52 -o sharp.ome.tif",
    )
    add = deconvolve.add_argument
    add(
        "images",
        nargs="*",
        metavar="IN",
        help="TIFF or MRC files, with channels and frames",
    )
    add(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="the file to write, .ome.tif; of several images the folder, made if need be, for one named as each",
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
        help="a letter for each axis of an array in IN, some of T, C, Z, Y and X: such as TYX for a plain stack of frames, "
        "YXC for colours (default: what each IN says)",
    )
    add(
        "--frames",
        choices=("auto", "alike", "each"),
        default="auto",
        help="what those of a movie have in common: alike: background and lam; each: nothing; auto: what looks so "
        "(default: %(default)s)",
    )
    add(
        "--seen",
        choices=("auto", "all"),
        default="auto",
        help="auto: saturated, hot and dead voxels were not seen, nor regions of one value, as around a crop; "
        "all: they were (default: %(default)s)",
    )
    add(
        "--outside",
        choices=("unseen", "dark"),
        default="unseen",
        help="what is beyond the edge of the image as it is given, blurred: dark says that no light reaches there "
        "(default: %(default)s)",
    )
    add(
        "--background",
        type=background,
        default="auto",
        metavar="auto|plane|none|LEVEL",
        help="to take off before: of the camera, and haze; plane: one that rises in some direction (default: estimated for "
        "each image, one for frames that are alike)",
    )
    add(
        "--max-memory",
        type=memory,
        metavar="BYTES",
        help="such as 4G or 500M, beside image and result; tiles where it needs them (default: some 32 a voxel)",
    )
    add_solver(deconvolve, "result", 80, 8e-3)
    add("--preview", action="store_true", help="draw each image beside its result, in a .png beside that")
    add("--overwrite", action="store_true", help="replace outputs, and what is beside them, that are there")
    add_talk(deconvolve)


def _add_psf(deconvolve: Any) -> None:
    """Add what tells the PSF."""
    add = deconvolve.add_argument
    add(
        "--psf",
        nargs="+",
        metavar="PSF",
        help="the point spread function, a TIFF or MRC file of two or three dimensions; or a file for each channel",
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
        help="PSF is a bead as the camera gave it: take its offset off and centre it",
    )
    add("--na", type=positive, help="numerical aperture: in place of --psf, it is computed after Born and Wolf")
    add(
        "--wavelength",
        type=positive_or_name,
        nargs="+",
        metavar="L",
        help="of the emission, in micrometres; or of each channel's",
    )
    add("--refractive-index", type=positive, metavar="N", help="of the medium (default: 1.515, oil)")
    add("--confocal", action="store_true", help="of a confocal microscope")
    add(
        "--excitation-wavelength",
        type=positive_or_name,
        nargs="+",
        metavar="L",
        help="of its laser or lasers (default: L)",
    )
    add("--pinhole", type=not_negative, metavar="D", help="its diameter, in Airy units (default: 0, a point)")


def run(args: argparse.Namespace) -> None:
    """Look at all files, then deconvolve those of the same voxels in one go, and write each as soon as it is there."""
    check_extras("tifffile", *(["matplotlib"] if args.preview else []))
    take_images(args)
    psfs = Psfs(args)
    jobs, wrong = plan(args, psfs)
    for message in wrong[:-1]:
        complain(message)
    if wrong:
        raise ValueError(wrong[-1])
    groups: dict[Any, list[Job]] = {}
    for job in jobs:
        groups.setdefault((psfs(job)[0], job.axes), []).append(job)
    with closing(_Work(args, len(jobs))) as work:
        for (voxel, _), group in groups.items():
            work.do(group, psfs(group[0])[1], voxel)
    if work.failed:
        raise ValueError(work.failed[0] if len(jobs) == 1 else f"{len(work.failed)} of {len(jobs)} images failed")


class _Work:
    """Images, one after another; one that fails is no obstacle to the others.

    Attributes
    ----------
    failed : list of str
        What is wrong with those that did.
    """

    def __init__(self, args: argparse.Namespace, total: int):
        self.args, self.total = args, total
        self.failed: list[str] = []
        self._found: list[dict[str, Any]] = []
        self._bars, self._begun = _Bars(watched(args)), 0

    def do(self, jobs: list[Job], psfs: list[Psf], voxel: tuple[float, ...] | None) -> None:
        """Deconvolve images of the same voxels and axes with one preparation, and one more after each that fails."""
        waiting = deque(jobs)
        while waiting:
            begun = self._begun
            results = fastmpr.deconvolve(
                self._images(waiting),
                [psf.values for psf in psfs],
                axes=jobs[0].axes,
                voxel_size=1.0 if voxel is None else voxel,
                psf_voxel_size=psfs[0].voxel_size,
                report=lambda found: self._found.append(found),
                progress=self._bars,
                **{name: getattr(self.args, name) for name in _OPTIONS},
            )
            try:
                while (result := self._next(results)) is not None:
                    self._finish(result, psfs)
            except _FAILURES as error:
                if self._begun == begun:  # nothing is wrong with an image
                    raise
                self._fail(error)

    def close(self) -> None:
        """Take the bars away."""
        self._bars.close()

    def _images(self, waiting: deque[Job]) -> Iterator[NDArray]:
        """Yield images as they are asked for, those that can be read."""
        while waiting:
            self._job, self._start, self._found = waiting.popleft(), time.perf_counter(), []
            self._begun += 1
            self._bars.begin(f"{self._begun} of {self.total}, {self._job.source.name}: " if self.total > 1 else "")
            try:
                self._image = fastmpr.io.read_image(self._job.source, self.args.voxel_size, self.args.axes).values
            except _FAILURES as error:
                self._fail(error)
            else:
                yield self._image

    def _next(self, results: Iterator[NDArray]) -> NDArray | None:
        """Return the next result, None after the last; warnings have the name of its file."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", fastmpr.FastmprWarning)
            try:
                return next(results, None)
            finally:
                for warning in said:
                    complain(self._named(warning.message), "warning")

    def _finish(self, result: NDArray, psfs: list[Psf]) -> None:
        """Write a result and what is kept beside it, and say so."""
        args, job, found = self.args, self._job, self._found
        seconds = time.perf_counter() - self._start
        self._bars.close()
        job.output.parent.mkdir(exist_ok=True)
        fastmpr.io.write_image(job.output, result, job.axes, job.voxel_size, args.overwrite, job.about)
        write_record(job.beside(".json"), self._record(psfs, seconds), args.overwrite)
        if args.preview:
            levels = [one["background"] or 0.0 for one in found if "T" not in job.axes or one["index"][0] == 0]
            draw(job.beside(".png"), self._image, result, job.axes, job.voxel_size, levels, args.overwrite)
        for one in found:
            place = "".join(f", {axis} {k}" for axis, k in zip(job.axes, one["index"], strict=False))
            told = [
                name for name in ("background", "lam", "nit", "unseen", "tiles", "fit") if one.get(name) is not None
            ]
            text = ", ".join(f"{name} {one[name]:.4g}" for name in told)
            explain(args, f"{job.source}{place}: {text}")
        voxel = lengths(job.voxel_size) if job.voxel_size else "unknown size"
        weights = sorted({f"{one['lam']:.4g}": None for one in found if one["lam"] is not None}, key=float)
        shown = weights[0] if len(weights) == 1 else f"{weights[0]} to {weights[-1]}"
        say(args, f"{job.output}: {size(result.shape)} voxels of {voxel}, lam {shown}, {seconds:.1f} s")

    def _record(self, psfs: list[Psf], seconds: float) -> dict[str, Any]:
        job, args = self._job, self.args
        origin = None if job.voxel_size is None else "given" if args.voxel_size else "file"
        return {
            "input": {
                "file": job.source,
                "axes": job.axes,
                "shape": job.shape,
                "dtype": job.dtype,
                "voxel_size": job.voxel_size,
                "voxel_size_from": origin,
            },
            "psf": psfs[0].record if len(psfs) == 1 else [psf.record for psf in psfs],
            "options": {name: getattr(args, name) for name in _OPTIONS},
            "found": self._found,
            "seconds": round(seconds, 3),
        }

    def _fail(self, error: Exception) -> None:
        """Note that an image failed; say why, where others may follow."""
        self._bars.close()
        message = f"not enough memory ({error})" if isinstance(error, MemoryError) else str(error)
        self.failed.append(self._named(message))
        if self.total > 1:
            complain(self.failed[-1])

    def _named(self, message: object) -> str:
        """Return a message that names the file and no argument."""
        text, source = str(message).removeprefix("image: "), str(self._job.source)
        return text if source in text or str(self._job.output) in text else f"{source}: {text}"


class _Bars:
    """The bars of one image at a time, under its name."""

    def __init__(self, shown: bool):
        self._shown, self._stack, self._title, self._iterations = shown, ExitStack(), "", 0
        self._tell: Progress | None = None

    def begin(self, title: str) -> None:
        """Begin with an image."""
        self.close()
        self._title, self._iterations = title, 0
        self._tell = self._stack.enter_context(telling(self._shown))

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take the place of the bars that `deconvolve` would show."""
        if what == "iterations":  # counted there from the first image on
            self._iterations += 1
            done = self._iterations
        if self._tell and what != "images":
            self._tell(f"{self._title}{what}", done, total)

    def close(self) -> None:
        """Take the bars away."""
        self._tell = None
        self._stack.close()
