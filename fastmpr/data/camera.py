"""An image as its camera gave it: what was seen of it, and what lies behind it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn
from .._validation import as_array, as_float_type, check_intensities
from .defects import steepest, unseen_in
from .image import Image, Slabs, is_lazy
from .inverted import INVERTED, leaves_out_light
from .levels import as_level
from .seen import NothingSeenError, as_mask, as_slices, crop_box
from .unseen import find_unseen

_FAINTEST = 1e-16  # the square of less is no number in float32


def as_image(image: Any, seen: Any, background: Any, psf: NDArray) -> Image:
    """Return an image as its camera gave it, with what was seen of it.

    Parameters
    ----------
    image : (nz, ny, nx) array_like
        What is masked of a masked array was not seen.
    seen : "auto", "all" or mask
    background : "auto", "none" or float
    psf : (kz, ky, kx) ndarray
        Of sum 1, with the image's voxels.
    """
    values, known = _as_values(image)
    dtype = as_float_type(values.dtype)
    guesses = isinstance(seen, str) and seen == "auto"
    if not isinstance(seen, str):
        mask = as_mask(seen, "seen", values.shape)
        if leaves_out_light(values, mask):
            warn(f"seen: found that the mask leaves out {INVERTED}")
        known = mask if known is None else mask & known
    recognised = _Recognised(values) if guesses else None
    sharpest = steepest(psf) if guesses else None
    bits, holes = [], 0
    for z in range(values.shape[0]):
        raw = values[z]
        if raw.dtype.kind == "f" and np.isinf(raw if known is None else raw[known[z]]).any():
            raise ValueError("image: found infinite values, need finite ones, or NaN where nothing was seen")
        lost = unseen_in(raw, sharpest)
        if known is not None:
            lost |= ~known[z]
        if recognised is not None:
            lost |= recognised.lost(z, raw.shape)
        holes += int(np.count_nonzero(lost))
        bits.append(np.packbits(lost))
    if holes == values.size:
        raise NothingSeenError("image: found no voxel that was seen, need some")
    unseen = np.array(bits) if holes else None
    bare = Image(values, 0.0, unseen)
    largest = max(float(np.abs(plane[~np.isnan(plane)]).max(initial=0)) for plane in bare)
    check_intensities(np.array([largest]), "image", dtype)
    if dtype is np.float32 and 0 < largest < _FAINTEST:
        raise ValueError(
            f"image: found values up to {largest:.1g}, need {_FAINTEST:g} or more in float32: scale them, or give float64"
        )
    return Image(values, as_level(bare, background, psf), unseen)


def _as_values(image: Any) -> tuple[NDArray | Slabs, NDArray[np.bool_] | None]:
    """Return the values of an image, and, of a masked array, which of them are not masked."""
    values: NDArray | Slabs
    known = None
    if is_lazy(image):
        values = Slabs(image)
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
    """What is taken for unseen where nothing says so: what surrounds a crop, and what `find_unseen` tells of the rest."""

    def __init__(self, values: NDArray | Slabs):
        crop = crop_box(values) if isinstance(values, np.ndarray) else None
        self.crop = crop or tuple((0, n) for n in values.shape)
        self.found = find_unseen(values if crop is None else values[as_slices(crop)])
        count = values.size - math.prod(last - first for first, last in self.crop)
        count += 0 if self.found is None else self.found.voxels
        if count:
            log.info(
                "seen: not said, so %d of the image's %d voxels are taken for unseen: they fill regions of one value, or "
                "repeat other planes (seen='all': they were seen)",
                count,
                values.size,
            )

    def lost(self, z: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return what is unseen of a plane."""
        out = np.ones(shape, bool)
        (first, last), *sides = self.crop
        if first <= z < last:
            out[as_slices(sides)] = False if self.found is None else self.found.plane(z - first)
        return out
