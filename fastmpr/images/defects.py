"""Single voxels that show a fault of the camera: saturated, hot or dead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONE = 5.0  # times the spread of the neighbours, and the usual height of a peak: a higher peak is not noise
_USUAL = 0.97  # quantile of a plane's peaks that counts as the usual height


def unseen_in(raw: NDArray, lost: NDArray[np.bool_], steepest: float) -> NDArray[np.bool_]:
    """Return which voxels of a plane are unseen: those in ``lost``, saturated ones, and lone ones."""
    if raw.dtype.kind in "iu":
        lost = lost | (raw == np.iinfo(raw.dtype).max)
    return lost | lone(np.where(lost, np.nan, raw), steepest)


def steepest(psf: NDArray) -> float:
    """Return the brightest of the eight voxels around a PSF's peak in its plane, over the peak."""
    z, y, x = np.unravel_index(int(psf.argmax()), psf.shape)
    around = np.pad(psf[z], 1)[y : y + 3, x : x + 3].copy()
    peak, around[1, 1] = around[1, 1], 0
    return float(around.max() / peak)


def lone(plane: NDArray, steepest: float) -> NDArray[np.bool_]:
    """Return which voxels of a plane differ from their eight neighbours by more than light and noise explain.

    A voxel brighter than all its neighbours must exceed them by several times their spread, by several times the usual
    height of a peak in this plane, and by more than a point of light between the voxels would. A voxel darker than all its
    neighbours must only meet the first two conditions.
    """
    if min(plane.shape) < 3:
        return np.zeros(plane.shape, bool)
    high, low = _around(plane, -np.inf, np.fmax), _around(plane, np.inf, np.fmin)
    spread = high - low
    found = np.zeros(plane.shape, bool)
    for excess in (plane - high, low - plane):
        peaks = excess > 0
        if peaks.any():
            usual = np.quantile(excess[peaks], _USUAL)
            found |= excess > _LONE * np.maximum(spread, usual)
    if not found.any():
        return found
    floor = np.nanmedian(plane)
    return found & ((plane < low) | ((plane - floor) * steepest > 2 * np.maximum(high - floor, 0)))


def _around(plane: NDArray, beyond: float, best: Any) -> NDArray:
    """Return the greatest or least (``best``) of the eight voxels around each voxel."""
    wide = np.pad(np.asarray(plane, np.result_type(plane.dtype, np.float32)), 1, constant_values=beyond)
    triples = best(best(wide[:-2], wide[1:-1]), wide[2:])
    sides = best(triples[:, :-2], triples[:, 2:])
    return best(sides, best(wide[:-2, 1:-1], wide[2:, 1:-1]))
