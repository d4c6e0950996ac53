"""Whether a mask says the opposite of what is meant: True where nothing was seen, as in NumPy's masked arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

INVERTED = (
    "what is brightest and keeps hardly more than noise, as if it were inverted: need True where it was seen (numpy.ma has "
    "it where nothing was)"
)
_PLANES = 7  # that are looked at
_DARKEST = 0.005  # the quantile: twice as far above the median as it is below, there is light
_LIT = 0.03  # of what an inverted mask leaves out, at least
_RARER = 0.1  # times that share is light in what it keeps: 0.2 and more where a part is left out at random
_NEARLY, _CHOSEN = 0.99, 0.9  # of what is kept, and of what is left out: then it was chosen by its brightness
_FEWER = 0.25  # as many voxels are left out then as are kept
_TELLING = 30  # voxels, of which fewer tell nothing


def leaves_out_light(image: Any, seen: NDArray[np.bool_]) -> bool:
    """Return whether a mask leaves out what is brightest in an image, and keeps little but noise.

    Single voxels have no say: hot ones are left out rightly. So is dirt, beside which an image shows more than noise, and so
    is what is brighter than all the rest: saturated voxels, say.

    Parameters
    ----------
    image : (nz, ny, nx) ndarray or Slabs
    seen : (nz, ny, nx) ndarray of bool
    """
    kept, left, raw = [], [], []
    for z in np.unique(np.linspace(0, len(seen) - 1, _PLANES).round().astype(int)):
        plane = np.asarray(image[int(z)], float)
        finite = np.isfinite(plane)
        raw.append((plane[seen[z] & finite], plane[~seen[z] & finite]))
        smooth = ndimage.median_filter(np.where(finite, plane, 0), 3)
        kept.append(smooth[seen[z] & finite])
        left.append(smooth[~seen[z] & finite])
    bright, dark = np.concatenate(left), np.concatenate(kept)
    if min(len(bright), len(dark)) < _TELLING:
        return False
    below, above = (np.concatenate(some) for some in zip(*raw, strict=True))
    if len(above) < _FEWER * len(below) and np.mean(above >= np.quantile(below, _NEARLY)) > _CHOSEN:
        return False
    darkest, middle = np.quantile(dark, (_DARKEST, 0.5))
    lost, shown = (float(np.mean(some > 3 * middle - 2 * darkest)) for some in (bright, dark))
    return lost > _LIT and shown < _RARER * lost
