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
_BRIGHT = 0.995  # the quantile that stands for what is brightest, so 0.005 for what is darkest
_MORE = 4  # times brighter is what an inverted mask leaves out
_SKEW = 10  # times as far as the darkest is the brightest of what it keeps, at most: hardly more than noise, and a halo
_TELLING = 30  # voxels, of which fewer tell nothing


def leaves_out_light(image: Any, seen: NDArray[np.bool_]) -> bool:
    """Return whether a mask leaves out what is bright in an image, and keeps next to nothing but noise.

    Single voxels have no say: hot ones are left out rightly.

    Parameters
    ----------
    image : (nz, ny, nx) ndarray or Slabs
    seen : (nz, ny, nx) ndarray of bool
    """
    kept, left = [], []
    for z in np.unique(np.linspace(0, len(seen) - 1, _PLANES).round().astype(int)):
        plane = np.asarray(image[int(z)], float)
        finite = np.isfinite(plane)
        smooth = ndimage.median_filter(np.where(finite, plane, 0), 3)
        kept.append(smooth[seen[z] & finite])
        left.append(smooth[~seen[z] & finite])
    if min(sum(map(len, kept)), sum(map(len, left))) < _TELLING:
        return False
    darkest, middle, brightest = np.quantile(np.concatenate(kept), (1 - _BRIGHT, 0.5, _BRIGHT))
    beyond = np.quantile(np.concatenate(left), _BRIGHT)
    return bool(beyond - middle > _MORE * (brightest - middle) and brightest - middle < _SKEW * (middle - darkest))
