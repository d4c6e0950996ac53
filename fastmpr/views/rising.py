"""Whether the background of views rises in one direction, so that no constant is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from .background import Slope, slope
from .few import few_views

_PATCHES = 16  # of 24 that lie on a plane, at least: light on the others is the particle's
_EVEN = 1.45  # standard errors that these differ by from the plane: more is no plane
_CLEAR = 5.0  # standard errors of the slope, where all views rise alike
_ALIKE = 0.9  # the length of the mean slope, over the slopes' mean length
_ALONE = 15.0  # standard errors of the slope, where each view rises in its own way
_FEW = 3  # views: of fewer none can tell what is alike


def rises(data: Any) -> bool:
    """Return whether a few views of a data set show that their background is a plane and no constant.

    A lamp that shines from one side raises all images alike, which no particle in several poses does. Where each view has a
    slope of its own, it must be much clearer, and all patches but a few must lie on the plane.
    """
    found = [slope(view) for _, view in few_views(data, data.source) if view.size > 1]
    if not found or np.median([one.patches for one in found]) < _PATCHES:
        return False
    if np.median([one.rest for one in found]) > _EVEN:
        return False
    clear = float(np.median([one.certainty for one in found]))
    return clear > _ALONE or (len(found) >= _FEW and clear > _CLEAR and _alike(found) > _ALIKE)


def _alike(found: list[Slope]) -> float:
    slopes = np.array([one.rise for one in found])
    return float(np.linalg.norm(slopes.mean(axis=0)) / np.linalg.norm(slopes, axis=1).mean())
