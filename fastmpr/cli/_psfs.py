"""The PSFs that images are deconvolved with: of files, or what optics make; one for all channels, or one for each."""

from __future__ import annotations

import argparse
import math
from typing import Any, NamedTuple

from numpy.typing import NDArray

import fastmpr

from ._jobs import Job
from ._words import complain

_DEPTH = 4  # zeros on the axis, to either side of the focus, that a computed PSF reaches to
_WIDTH = 10  # wavelengths / NA that it reaches aside: the cone at that depth, and some rings
_NEAR = 0.08  # of a wavelength: a filter is as wide
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
    """The PSFs for each image, one or one for each channel: those of files for all, or others for each size of voxels.

    Parameters
    ----------
    args : Namespace

    Raises
    ------
    ValueError
        If the arguments do not say one PSF or one for each channel, or a file holds none.
    """

    def __init__(self, args: argparse.Namespace):
        _check(args)
        self._args = args
        self._made: dict[tuple[float, ...], list[Psf]] = {}
        self._files = [_of_file(_with(args, psf=path)) for path in args.psf or ()]
        if len({(one.values.ndim, one.voxel_size) for one in self._files}) > 1:
            raise ValueError("--psf: found files of different dimensions or voxel sizes, need one of each")

    def __call__(self, job: Job) -> tuple[tuple[float, ...] | None, list[Psf]]:
        """Return the voxel of an image as far as its PSFs have dimensions, and these; or raise an error that names it."""
        count = len(self._files) or len(self._args.wavelength)
        if count not in (1, job.channels):
            flag = "--psf" if self._files else "--wavelength"
            need = "need one, or one for each"
            raise ValueError(f"{job.source}: found {job.channels} channel(s) beside {count} values of {flag}, {need}")
        if not self._files:
            if job.voxel_size is None:
                raise ValueError(f"{job.source}: found no voxel size to compute a PSF on, need --voxel-size")
            _compare(self._args.wavelength, job)
            if job.voxel_size not in self._made:
                self._made[job.voxel_size] = [_of_optics(one, job) for one in _each_channel(self._args)]
            return job.voxel_size, self._made[job.voxel_size]
        dimensions = self._files[0].values.ndim
        if dimensions == 3 and "Z" not in job.axes:
            need = "need a stack with Z, or a PSF of two"
            raise ValueError(f"{job.source}: found axes {job.axes} and a PSF of three dimensions, {need}")
        if job.voxel_size is None and self._files[0].voxel_size is not None:
            need = "need it in micrometres (--voxel-size)"
            raise ValueError(f"{job.source}: found no voxel size, but lengths in {self._args.psf[0]}, {need}")
        return job.voxel_size and job.voxel_size[-dimensions:], self._files


def _with(args: argparse.Namespace, **changed: Any) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), **changed})


def _each_channel(args: argparse.Namespace) -> list[argparse.Namespace]:
    """Return the optics of each channel that has some of its own."""
    lasers = args.excitation_wavelength or [None]
    lasers = lasers if len(lasers) > 1 else lasers * len(args.wavelength)
    pairs = zip(args.wavelength, lasers, strict=True)
    return [_with(args, wavelength=emission, excitation_wavelength=laser) for emission, laser in pairs]


def _compare(wavelengths: list[float], job: Job) -> None:
    """Warn where a file says another emission of a channel than is given."""
    given = wavelengths * job.channels if len(wavelengths) == 1 else wavelengths
    for k, (length, said) in enumerate(zip(given, job.about.emission, strict=False)):
        if said is not None and abs(length - said) > _NEAR * said:
            name = job.about.names[k] if k < len(job.about.names) and job.about.names[k] else f"channel {k + 1}"
            found = f"found --wavelength {length:g} for {name}, whose emission the file says is {said:g} micrometres"
            complain(f"{job.source}: {found}, need one for each channel", "warning")


def take_images(args: argparse.Namespace) -> None:
    """Let what stands after an option of several values be images, where there are no others."""
    if not args.images and args.psf:
        args.psf, args.images = args.psf[:1], args.psf[1:]
    for name in ("wavelength", "excitation_wavelength"):
        values = getattr(args, name) or []
        count = next((k for k, one in enumerate(values) if isinstance(one, str)), len(values))
        if values[count:]:
            if args.images or not count or not all(isinstance(one, str) for one in values[count:]):
                flag = "--" + name.replace("_", "-")
                raise ValueError(f"{flag}: found {values[count]!r}, need a positive number")
            setattr(args, name, values[:count])
            args.images = values[count:]
    if not args.images:
        raise ValueError("IN: found none, need the names of images, before --psf and the wavelengths")


def _check(args: argparse.Namespace) -> None:
    """Refuse arguments that do not say one PSF."""
    optics = {name: getattr(args, name) for name in _OPTICS if getattr(args, name) not in (None, False)}
    flags = ["--" + name.replace("_", "-") for name in optics]
    lasers = len(args.excitation_wavelength or ())
    if lasers > 1 and lasers != len(args.wavelength or ()):
        raise ValueError(f"--excitation-wavelength: found {lasers} values, need one, or one for each --wavelength")
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
