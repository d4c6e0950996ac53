"""Turn a camera's image into an `Image`: find what was not seen, and the background."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn
from .._validation import as_array, check_intensities
from ..inspection.inverted import INVERTED, leaves_out_light
from ..inspection.saturation import Top
from ..inspection.strengths import Extent, coarse, too_dark
from ..inspection.suspects import sample
from ..inspection.unseen import find_unseen
from ..views.seen import NothingSeenError, as_mask, as_slices, crop_box
from .defects import steepest, unseen_in
from .faults import faults
from .image import Image, Plane, Slabs, is_lazy
from .levels import as_level

_PLANES = 5  # planes that are searched for light above a background
_FAINTEST = 1e-16  # the square of a smaller value is 0 in float32


def as_image(
    image: Any, seen: Any, background: Any, psf: NDArray, faulty: NDArray | None = None, most: float | None = None
) -> Image:
    """Return an `Image` of a camera's values, with its unseen voxels and its background.

    Parameters
    ----------
    image : (nz, ny, nx) array_like
        Masked values of a masked array count as unseen.
    seen : "auto", "all" or mask
    background : "auto", "none" or float
    psf : (kz, ky, kx) ndarray
        The PSF, with sum 1 and the image's voxels.
    faulty : (ny, nx) array of bool, optional
        Which pixels of the camera are at fault, if that is known; otherwise they are searched if ``seen`` is "auto".
    most : float, optional
        Bytes of planes that are read together from an image that is not in memory.
    """
    values, known = _as_values(image, most)
    if not isinstance(seen, str):
        mask = as_mask(seen, "seen", values.shape)
        if leaves_out_light(values, mask):
            warn(f"seen: found that the mask leaves out {INVERTED}")
        known = mask if known is None else mask & known
    guesses = isinstance(seen, str) and seen == "auto"
    unseen = _unseen(values, known, _Recognised(values, psf, faulty) if guesses else None)
    bare = Image(values, 0.0, unseen)
    _check_size(bare)
    level = as_level(bare, background, psf)
    if not isinstance(background, str) and not isinstance(level, Plane):
        _check_level(bare, level)
    return Image(values, level, unseen)


def _check_level(image: Image, level: float) -> None:
    """Warn of a given background that lies above most of an image."""
    planes = np.unique(np.linspace(0, len(image) - 1, _PLANES).astype(int))
    some = np.concatenate([sample(image[int(z)]) for z in planes])
    if too_dark(some[~np.isnan(some)], level):
        warn(f"background: found {level:g}, above which hardly a voxel lies, need the level behind the object")


def _unseen(values: NDArray | Slabs, known: NDArray[np.bool_] | None, recognised: _Recognised | None) -> NDArray | None:
    """Return the packed bits of the unseen voxels of each plane; None if all voxels were seen."""
    bits = []
    for z in range(values.shape[0]):
        raw = values[z]
        if raw.dtype.kind == "f" and np.isinf(raw if known is None else raw[known[z]]).any():
            raise ValueError("image: found infinite values, need finite ones, or NaN where nothing was seen")
        lost = np.isnan(raw) if raw.dtype.kind == "f" else np.zeros(raw.shape, bool)
        if known is not None:
            lost |= ~known[z]
        if recognised is not None:
            lost = recognised.lost(z, raw, lost)
        bits.append(np.packbits(lost))
    if recognised is not None:
        recognised.add_saturated(bits)
    holes = sum(int(np.unpackbits(row).sum()) for row in bits)
    if holes == values.size:
        raise NothingSeenError("image: found no voxel that was seen, need some")
    return np.array(bits) if holes else None


def _check_size(image: Image) -> None:
    """Refuse values that the arithmetic cannot hold; warn of an offset that leaves them too few digits."""
    least, largest = math.inf, -math.inf
    for plane in image:
        known = plane[~np.isnan(plane)]
        least, largest = (
            min(least, float(known.min(initial=math.inf))),
            max(largest, float(known.max(initial=-math.inf))),
        )
    most = max(abs(least), abs(largest))
    check_intensities(np.array([most]), "image", image.dtype)
    if image.dtype is np.float32 and 0 < most < _FAINTEST:
        raise ValueError(
            f"image: found values up to {most:.1g}, need {_FAINTEST:g} or more in float32: scale them, or give float64"
        )
    step = float(np.spacing(image.dtype(most)))
    if (wrong := coarse(Extent(least, largest, 0.0, step))) is not None:
        warn(f"image: found {wrong}")


def _as_values(image: Any, most: float | None) -> tuple[NDArray | Slabs, NDArray[np.bool_] | None]:
    """Return the values of an image and, for a masked array, which of them are not masked."""
    values: NDArray | Slabs
    known = None
    if is_lazy(image):
        values = Slabs(image) if most is None else Slabs(image, most)
    elif np.ma.is_masked(image) and image.dtype.kind in "fiub":
        values, known = image.data, ~image.mask
    else:
        values = as_array(image, "image")
    if len(values.shape) != 3 or values.dtype.kind not in "fiub" or values.size == 0:
        raise ValueError(
            f"image: found {values.dtype} of shape {values.shape}, need a 3-D array of real numbers (z, y, x)"
        )
    return values, known


class _Recognised:
    """The voxels that count as unseen if ``seen`` is "auto".

    They are the surroundings of a crop, what `find_unseen` finds inside it, pixels of the camera that are at fault,
    saturated voxels, and single voxels that no light explains.
    """

    def __init__(self, values: NDArray | Slabs, psf: NDArray, faulty: NDArray[np.bool_] | None):
        self._values, self._top, self._sharpest = values, Top(), steepest(psf)
        crop = crop_box(values) if isinstance(values, np.ndarray) else None
        self._crop = crop or tuple((0, n) for n in values.shape)
        self._found = find_unseen(values if crop is None else values[as_slices(crop)])
        self._faulty = faults(values, psf) if faulty is None else faulty
        count = values.size - math.prod(last - first for first, last in self._crop)
        count += 0 if self._found is None else self._found.voxels
        if count:
            log.info(
                "seen: not given, so %d of the image's %d voxels count as unseen: they fill regions of one value, or "
                "repeat other planes (seen='all': they were seen)",
                count,
                values.size,
            )
        if self._faulty is not None and self._faulty.any():
            pixels = np.count_nonzero(self._faulty)
            log.info("seen: not given, so %d pixels that are at fault in all planes count as unseen", pixels)

    def lost(self, z: int, raw: NDArray, lost: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the unseen voxels of a plane, given those that are known to be unseen."""
        if self._faulty is not None:
            lost = lost | self._faulty
        lost = unseen_in(raw, lost, self._sharpest) | self._region(z, raw.shape)
        self._top.look(z, raw, lost)
        return lost

    def add_saturated(self, bits: list[NDArray]) -> None:
        """Add the voxels at the greatest value to the bits of all planes, if there are too many of them."""
        if (found := self._top.clipped(self._values)) is not None:
            log.info("seen: not given, so %s, as where a camera is saturated, count as unseen", found)
            for z in self._top.counts:
                bits[z] |= np.packbits(self._values[z] == self._top.value)

    def _region(self, z: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return which voxels of a plane lie outside the crop or in a region that `find_unseen` found."""
        out = np.ones(shape, bool)
        (first, last), *sides = self._crop
        if first <= z < last:
            out[as_slices(sides)] = False if self._found is None else self._found.plane(z - first)
        return out
