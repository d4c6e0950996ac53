"""The PSF that images are deconvolved with: one of a file, or what optics make."""

from __future__ import annotations

import argparse
import math
from typing import Any, NamedTuple

from numpy.typing import NDArray

import fastmpr

from ._jobs import Job

_DEPTH = 4  # zeros on the axis, to either side of the focus, that a computed PSF reaches to
_WIDTH = 10  # wavelengths / NA that it reaches aside: the cone at that depth, and some rings
_OPTICS = ("na", "wavelength", "refractive_index", "confocal", "excitation_wavelength", "pinhole")


class Psf(NamedTuple):
    """A PSF beside voxels of a size.

    Attributes
    ----------
    values : ndarray
    voxel_size : tuple of float or None
        Its own; None for that of the images.
    record : dict
        What to tell of it.
    """

    values: NDArray
    voxel_size: tuple[float, ...] | None
    record: dict[str, Any]


class Psfs:
    """The PSF for each image: that of a file for all, or one for each size of voxels.

    Parameters
    ----------
    args : Namespace

    Raises
    ------
    ValueError
        If the arguments do not say one PSF, or the file holds none.
    """

    def __init__(self, args: argparse.Namespace):
        _check(args)
        self._args = args
        self._made: dict[tuple[float, ...], Psf] = {}
        self._file = _of_file(args) if args.psf else None

    def __call__(self, job: Job) -> tuple[tuple[float, ...] | None, Psf]:
        """Return the voxel of an image as far as its PSF has dimensions, and the PSF; or raise an error that names it."""
        if self._file is None:
            if job.voxel_size is None:
                raise ValueError(f"{job.source}: found no voxel size to compute a PSF on, need --voxel-size")
            if job.voxel_size not in self._made:
                self._made[job.voxel_size] = _of_optics(self._args, job)
            return job.voxel_size, self._made[job.voxel_size]
        dimensions = self._file.values.ndim
        if dimensions == 3 and "Z" not in job.axes:
            need = "need a stack with Z, or a PSF of two"
            raise ValueError(f"{job.source}: found axes {job.axes} and a PSF of three dimensions, {need}")
        if job.voxel_size is None and self._file.voxel_size is not None:
            need = "need it in micrometres (--voxel-size)"
            raise ValueError(f"{job.source}: found no voxel size, but lengths in {self._args.psf}, {need}")
        return job.voxel_size and job.voxel_size[-dimensions:], self._file


def _check(args: argparse.Namespace) -> None:
    """Refuse arguments that do not say one PSF."""
    optics = {name: getattr(args, name) for name in _OPTICS if getattr(args, name) not in (None, False)}
    flags = ["--" + name.replace("_", "-") for name in optics]
    if args.psf and optics:
        raise ValueError(f"{flags[0]}: found beside --psf, need one of the two")
    if not args.psf and not {"na", "wavelength"} <= optics.keys():
        raise ValueError("--psf: found none, need a file, or --na and --wavelength")
    for flag, given in (("--psf-measured", args.psf_measured), ("--psf-voxel-size", args.psf_voxel_size)):
        if given and not args.psf:
            raise ValueError(f"{flag}: found without --psf, need the file that it tells of")


def _of_file(args: argparse.Namespace) -> Psf:
    """Return the PSF in a file."""
    values, axes, voxel = fastmpr.io.read_image(args.psf, args.psf_voxel_size)
    if axes not in ("ZYX", "YX"):
        raise ValueError(f"{args.psf}: found axes {axes}, need a PSF of two or three dimensions")
    if args.psf_measured:
        try:
            values = fastmpr.psf.measured(values)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{args.psf}: {error}") from None
    record = {
        "file": args.psf,
        "measured": args.psf_measured,
        "shape": values.shape,
        "voxel_size": voxel,
        "voxel_size_from": "given" if args.psf_voxel_size else "file" if voxel else "image",
    }
    return Psf(values, voxel, record)


def _of_optics(args: argparse.Namespace, job: Job) -> Psf:
    """Return Born and Wolf's PSF on the voxels of an image (z, y, x), or in focus on its pixels (y, x)."""
    assert job.voxel_size is not None
    optics = {name: getattr(args, name) for name in _OPTICS if getattr(args, name) is not None}
    index = optics.setdefault("refractive_index", 1.515)
    reach = _WIDTH * args.wavelength / args.na
    reaches = (_DEPTH * 2 * index * args.wavelength / args.na**2, reach, reach)[-len(job.voxel_size) :]
    shape = tuple(2 * math.ceil(r / side) + 1 for r, side in zip(reaches, job.voxel_size, strict=True))
    try:
        values = fastmpr.psf.born_wolf(shape, voxel_size=job.voxel_size, **optics)
    except ValueError as error:
        raise ValueError(f"{job.source}: {error}") from None
    return Psf(values, None, {**optics, "shape": shape, "voxel_size": job.voxel_size, "voxel_size_from": "image"})
