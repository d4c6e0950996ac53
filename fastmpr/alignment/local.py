"""The best pose of a view near one that is known: Levenberg and Marquardt's steps, while the band widens.

References
----------
D. W. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", Journal of the Society for Industrial
and Applied Mathematics 11(2), 1963.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .reference import Reference
from .spectra import Band

_STEPS = 12  # at most, in each band
_SETTLED = 1e-6  # of the misfit: a step that gains less is the last
_DAMPING, _EASIER, _HARDER, _HARDEST = 1e-3, 0.2, 8.0, 1e5


class Found(NamedTuple):
    """A pose, and how well it explains its view.

    Attributes
    ----------
    rotation : (3, 3) ndarray
    translation : (3,) ndarray
        In the unit of the voxel size.
    gain : float
        What the prediction is multiplied by.
    score : float
        The correlation of view and prediction in the band, 0 to 1.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    gain: float
    score: float


def improved(
    reference: Reference, band: Band, view: NDArray, rotation: NDArray, translation: NDArray, radius: float
) -> Found:
    """Return the best pose near one, as the frequencies up to a radius tell."""
    last = band.upto(radius)
    energy = float(np.square(np.abs(view[:last])).sum())

    def at(rotation: NDArray, shift: NDArray, gain: float) -> tuple:
        return reference.equations(band, view, last, rotation, shift, gain)

    rotation, shift = np.array(rotation), translation - rotation @ reference.offset
    *_, power, common = at(rotation, shift, 1.0)
    gain = max(common, 1e-6 * math.sqrt(energy * power)) / power if power > 0 else 1.0
    normal, slope, left, power, common = at(rotation, shift, gain)
    damping = _DAMPING
    for _ in range(_STEPS):
        damped = normal + damping * np.diag(np.maximum(normal.diagonal(), 1e-12 * normal.max()))
        step = np.linalg.lstsq(damped, slope, rcond=None)[0]
        tried = rotation @ Rotation.from_rotvec(step[:3]).as_matrix(), shift + step[3:6], gain + step[6]
        found = at(*tried)
        if not found[2] < left:
            damping *= _HARDER
            if damping > _HARDEST:
                break
            continue
        settled = left - found[2] < _SETTLED * left
        (rotation, shift, gain), (normal, slope, left, power, common) = tried, found
        damping *= _EASIER
        if settled:
            break
    score = common / math.sqrt(power * energy) if power * energy > 0 else 0.0
    return Found(rotation, shift + rotation @ reference.offset, gain, max(score, 0.0))
