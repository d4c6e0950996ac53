"""The PSFs that images are deconvolved with: of files, or computed from optics; one for all channels, or one for each."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from numpy.typing import NDArray

import fastmpr

from ..deconvolution.optics import Optics, channel_optics, computed
from ._tasks import Task

_OPTICS = ("na", "wavelength", "refractive_index", "confocal", "excitation_wavelength", "pinhole")


class Psf(NamedTuple):
    """A PSF.

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
    """The PSFs of each image, one or one for each channel: those of files, or computed on its voxels.

    Parameters
    ----------
    args : Namespace

    Raises
    ------
    ValueError
        If the arguments do not say which PSFs, or a file holds none.
    """

    def __init__(self, args: argparse.Namespace):
        _check(args)
        self._args = args
        self._computed: dict[Optics, Psf] = {}
        self._files = tuple(_of_file(_with(args, psf=path)) for path in args.psf or ())
        if len({(one.values.ndim, one.voxel_size) for one in self._files}) > 1:
            raise ValueError("--psf: found files of different dimensions or voxel sizes, need one of each")

    def __call__(self, task: Task) -> tuple[tuple[float, ...] | None, tuple[Psf, ...]]:
        """Return the voxel of an image, of as many dimensions as its PSFs, and these; an error names the image."""
        if not self._files:
            return task.voxel_size, self._of_optics(task)
        count, dimensions = len(self._files), self._files[0].values.ndim
        if count not in (1, task.channels):
            need = "need one, or one for each"
            raise ValueError(f"{task.source}: found {task.channels} channel(s) beside {count} values of --psf, {need}")
        if dimensions == 3 and "Z" not in task.axes:
            need = "need a stack with Z, or a PSF of two"
            raise ValueError(f"{task.source}: found axes {task.axes} and a PSF of three dimensions, {need}")
        if task.voxel_size is None and self._files[0].voxel_size is not None:
            need = "need it in micrometres (--voxel-size)"
            raise ValueError(f"{task.source}: found no voxel size, but lengths in {self._args.psf[0]}, {need}")
        return task.voxel_size and task.voxel_size[-dimensions:], self._files

    def _of_optics(self, task: Task) -> tuple[Psf, ...]:
        """Return what `fastmpr.channel_psfs` computes of an image's file, once for all that are alike."""
        args = self._args
        given = {name: value for name in _OPTICS if (value := getattr(args, name)) is not None}
        given = {"wavelength": None, "excitation_wavelength": None} | given
        optics = channel_optics(task.source, voxel_size=args.voxel_size, axes=args.axes, scene=args.scene, **given)
        for one in optics:
            if one not in self._computed:
                values = computed(task.source, one)
                told = {name: value for name, value in vars(one).items() if value is not None}
                record = {**told, "shape": values.shape, "voxel_size_from": "image"}
                self._computed[one] = Psf(values, None, record)
        return tuple(self._computed[one] for one in optics)


def _with(args: argparse.Namespace, **changed: Any) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), **changed})


def take_images(args: argparse.Namespace) -> None:
    """Take what follows an option of several values for images, where there are no others."""
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
    """Refuse arguments that do not say which PSFs."""
    optics = {name: getattr(args, name) for name in _OPTICS if getattr(args, name) not in (None, False)}
    flags = ["--" + name.replace("_", "-") for name in optics]
    if args.psf and optics:
        raise ValueError(f"{flags[0]}: found beside --psf, need one of the two")
    if not args.psf and "na" not in optics:
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
