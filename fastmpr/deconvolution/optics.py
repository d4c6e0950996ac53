"""Compute the PSFs of an image file's channels, from the optics, and from the voxels and emission in the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .._messages import warn
from .._validation import as_reals
from ..io.about import About
from ..io.files import as_path
from ..io.images import look_at, read_about
from ..psf import born_wolf

_NEAR = 0.08  # of a wavelength: about the width of an emission filter


@dataclass(frozen=True)
class Optics:
    """The arguments of `fastmpr.psf.born_wolf` for one channel."""

    voxel_size: tuple[float, ...]
    wavelength: float
    na: float
    refractive_index: float = 1.515
    confocal: bool = False
    excitation_wavelength: float | None = None
    pinhole: float = 0.0


def channel_psfs(
    path: str | Path,
    *,
    na: float,
    wavelength: ArrayLike | None = None,
    refractive_index: float = 1.515,
    confocal: bool = False,
    excitation_wavelength: ArrayLike | None = None,
    pinhole: float = 0.0,
    voxel_size: ArrayLike | None = None,
    axes: str | None = None,
    scene: int | str | None = None,
) -> list[NDArray]:
    """Compute Born and Wolf's PSF of each channel of an image file, on the file's voxels, as large as its light reaches.

    Parameters
    ----------
    path : path
        An image file of any format, of which only the header is read.
    na : float
        Numerical aperture.
    wavelength : float or one for each channel, optional
        Emission wavelength in micrometres; by default the file's, which OME-TIFF can hold. One number serves all channels.
    refractive_index, confocal, pinhole
        As in `fastmpr.psf.born_wolf`.
    excitation_wavelength : float or one for each channel, optional
        Laser wavelength of a confocal microscope in micrometres; by default the emission wavelength.
    voxel_size, axes : optional
        Used in place of the file's, as in `fastmpr.io.read_image`.
    scene : int or str, optional
        Which of several images in the file, by its number from 0 or its name.

    Returns
    -------
    list of ndarray
        For `fastmpr.deconvolve`: one PSF for each channel, or a single PSF if one wavelength serves all channels; (z, y, x),
        or (y, x) in focus for an image without Z; float32.

    Raises
    ------
    ValueError, TypeError
        Naming the file, if its voxel size or the emission of a channel is unknown, or counts differ; or naming the argument
        that is out of its range.
    OSError, ImportError
        As in `fastmpr.io.read_image`.

    Warns
    -----
    FastmprWarning
        If the file gives another emission wavelength for a channel than ``wavelength``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import fastmpr
    >>> about = fastmpr.io.About(names=("DAPI", "GFP"), emission=(0.461, 0.509))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/cell.ome.tif"
    ...     fastmpr.io.write_image(path, np.ones((2, 9, 32, 32)), "CZYX", voxel_size=(0.3, 0.1, 0.1), about=about)
    ...     psfs = fastmpr.channel_psfs(path, na=1.4)
    >>> [psf.shape for psf in psfs]
    [(21, 67, 67), (23, 75, 75)]
    """
    optics = channel_optics(
        path,
        na=na,
        wavelength=wavelength,
        refractive_index=refractive_index,
        confocal=confocal,
        excitation_wavelength=excitation_wavelength,
        pinhole=pinhole,
        voxel_size=voxel_size,
        axes=axes,
        scene=scene,
    )
    return [computed(path, one) for one in optics]


def channel_optics(
    path: str | Path,
    *,
    wavelength: ArrayLike | None,
    excitation_wavelength: ArrayLike | None,
    voxel_size: ArrayLike | None,
    axes: str | None,
    scene: int | str | None = None,
    **common: Any,
) -> list[Optics]:
    """Return the optics of each channel of an image file, or a single `Optics` for all channels."""
    path = as_path(path)
    image, about = look_at(path, voxel_size, axes, scene=scene), read_about(path, scene=scene)
    if image.voxel_size is None:
        raise ValueError(f"{path}: found no voxel size to compute a PSF on, need it (voxel_size=, --voxel-size)")
    channels = image.values.shape[image.axes.index("C")] if "C" in image.axes else 1
    if wavelength is None:
        emissions = _told(path, channels, about)
    else:
        emissions = _as_lengths(wavelength, "wavelength", channels, path)
        _compare(path, channels, emissions, about)
    lasers = _as_lengths(excitation_wavelength, "excitation_wavelength", channels, path)
    count = max(len(emissions), len(lasers))
    emissions, lasers = (one * count if len(one) == 1 else one for one in (emissions, lasers))
    pairs = zip(emissions, lasers, strict=True)
    return [Optics(image.voxel_size, emission, excitation_wavelength=laser, **common) for emission, laser in pairs]


def computed(path: str | Path, optics: Optics) -> NDArray:
    """Return the PSF for the optics, or raise an error that names the file."""
    try:
        return born_wolf(**vars(optics))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from None


def _as_lengths(value: Any, name: str, channels: int, path: Path) -> list[Any]:
    """Return one wavelength, or one for each channel; [None] if none is given."""
    if value is None:
        return [None]
    lengths = as_reals(value, name, "one wavelength in micrometres, or one for each channel")
    if lengths.shape not in ((), (1,), (channels,)):
        found = f"found {channels} channel{'s' * (channels != 1)} and {lengths.size} values of {name}"
        raise ValueError(f"{path}: {found}, need one, or one for each channel")
    return lengths.ravel().tolist()


def _told(path: Path, channels: int, about: About) -> list[float]:
    """Return the emission wavelength of each channel from the file."""
    said = (*about.emission, *[None] * channels)[:channels]
    lengths = [length for length in said if length is not None]
    if len(lengths) < channels:
        which = "" if channels == 1 else f" of {_named(said.index(None), about)}"
        raise ValueError(f"{path}: found no emission wavelength{which}, need it (wavelength=, --wavelength)")
    return lengths


def _compare(path: Path, channels: int, emissions: list[float], about: About) -> None:
    """Warn if the file gives another emission wavelength for a channel than the caller."""
    given = emissions * channels if len(emissions) == 1 else emissions
    for k, (length, said) in enumerate(zip(given, about.emission, strict=False)):
        if said is not None and abs(length - said) > _NEAR * said:
            found = f"found wavelength {length:g} for {_named(k, about)}, whose emission the file says is {said:g}"
            warn(f"{path}: {found} micrometres, need one for each channel")


def _named(channel: int, about: About) -> str:
    """Return the name of a channel, or its number."""
    return (*about.names, *[None] * (channel + 1))[channel] or f"channel {channel + 1}"
