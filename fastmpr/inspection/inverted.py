"""Find inverted masks: True where nothing was seen, as in NumPy's masked arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

INVERTED = (
    "what is brightest and keeps hardly more than noise, as if it were inverted: need True where voxels were seen (numpy.ma "
    "has True where they were not)"
)
_PLANES = 7  # number of planes to compare
_DARKEST = 0.005  # quantile: voxels twice as far above the median as this quantile is below it are lit
_LIT = 0.03  # least lit share of what an inverted mask leaves out
_RARER = 0.1  # largest lit share of what is kept, over that of what is left out; 0.2 or more for a random part
_NEARLY, _CHOSEN = 0.99, 0.9  # quantile of what is kept, and share left out above it, if brightness chose the mask
_FEWER = 0.25  # voxels left out over voxels kept, at most, for such a mask
_TELLING = 30  # least number of voxels for a verdict


def leaves_out_light(image: Any, seen: NDArray[np.bool_]) -> bool:
    """Return whether a mask leaves out the brightest part of an image, and keeps little but noise.

    Some masks leave out light for a good reason, and do not count: single voxels (hot ones), dirt (if the image beside it
    shows more than noise), and what is brighter than everything else (saturated voxels).

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
