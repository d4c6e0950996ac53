"""An image as its camera gave it: what was seen of it, and what lies behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import as_array, as_float_type, check_intensities
from .defects import steepest, unseen_in
from .image import Image, Slabs, is_lazy
from .levels import as_level
from .seen import NothingSeenError, as_mask, crop_box

_FAINTEST = 1e-16  # the square of less is no number in float32


def as_image(image: Any, seen: Any, background: Any, psf: NDArray) -> Image:
    """Return an image as its camera gave it, with what was seen of it.

    Parameters
    ----------
    image : (nz, ny, nx) array_like
    seen : "auto", "all" or mask
    background : "auto", "none" or float
    psf : (kz, ky, kx) ndarray
        Of sum 1, with the image's voxels.
    """
    sharpest = steepest(psf)
    values = Slabs(image) if is_lazy(image) else as_array(image, "image")
    if len(values.shape) != 3 or values.dtype.kind not in "fiub" or values.size == 0:
        raise ValueError(
            f"image: found {values.dtype} of shape {values.shape}, need a 3-D array of real numbers (z, y, x)"
        )
    dtype = as_float_type(values.dtype)
    mask = None if isinstance(seen, str) and seen in ("auto", "all") else as_mask(seen, "seen", values.shape)
    box = crop_box(values) if mask is None and seen == "auto" and isinstance(values, np.ndarray) else None
    bits, holes = [], 0
    for z in range(values.shape[0]):
        raw = values[z]
        if raw.dtype.kind == "f" and np.isinf(raw if mask is None else raw[mask[z]]).any():
            raise ValueError("image: found infinite values, need finite ones, or NaN where nothing was seen")
        lost = unseen_in(raw, sharpest if mask is None and seen == "auto" else None)
        if mask is not None:
            lost |= ~mask[z]
        if box is not None:
            inside = np.zeros(lost.shape, bool)
            if box[0][0] <= z < box[0][1]:
                inside[slice(*box[1]), slice(*box[2])] = True
            lost |= ~inside
        holes += int(np.count_nonzero(lost))
        bits.append(np.packbits(lost))
    if holes == values.size:
        raise NothingSeenError("image: found no voxel that was seen, need some")
    unseen = np.array(bits) if holes else None
    known = Image(values, 0.0, unseen)
    largest = max(float(np.abs(plane[~np.isnan(plane)]).max(initial=0)) for plane in known)
    check_intensities(np.array([largest]), "image", dtype)
    if dtype is np.float32 and 0 < largest < _FAINTEST:
        raise ValueError(
            f"image: found values up to {largest:.1g}, need {_FAINTEST:g} or more in float32: scale them, or give float64"
        )
    return Image(values, as_level(known, background, psf), unseen)
