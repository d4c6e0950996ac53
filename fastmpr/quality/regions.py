"""Which part of a volume profiles are the means of, and what a volume shows there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cylinder import Cylinder, Range, mean_of, means
from .measures import Ring, ends_of, ring_of

EVERYWHERE = (0.0, math.inf)
_ROUNDS = 3  # in which radii and heights that depend on each other settle


class Shown(NamedTuple):
    """What one volume shows: means at all radii, heights and angles, a ring and the ends of a barrel."""

    radial: NDArray[np.float64]
    axial: NDArray[np.float64]
    angular: NDArray[np.float64]
    ring: Ring
    barrel: tuple[float, float]
    no_height: str
    background: float

    @property
    def lengths(self) -> tuple[float, float, float]:
        """The diameter, the width and the height."""
        return 2 * self.ring.radius, self.ring.outer - self.ring.inner, self.barrel[1] - self.barrel[0]


@dataclass(frozen=True, eq=False)
class Region:
    """The radii and heights of which the means are taken, and the level that counts as nothing; None: each volume's own."""

    cylinder: Cylinder
    radii: Range
    heights: Range
    background: float | None

    def shown(self, volume: NDArray, among: Range) -> Shown:
        """Return what a volume shows, as its ring the highest ridge among some radii."""
        cylinder, level = self.cylinder, level_of(volume, self.background)
        slices, rings = cylinder.slices(self.heights), cylinder.rings(self.radii)
        circles, angular = means(cylinder, volume, slices * rings)
        radial, axial = mean_of(circles, slices, 0), mean_of(circles, rings, 1)
        ring = ring_of(cylinder.radii, radial, level, among)
        low, high, why = ends_of(cylinder.heights, axial, level)
        return Shown(radial, axial, angular, ring, (low, high), why, level)


def level_of(volume: NDArray, background: float | None) -> float:
    """Return the level that counts as nothing: by default the median of the outermost voxels."""
    if background is not None:
        return background
    outermost = np.ones(volume.shape, bool)
    outermost[1:-1, 1:-1, 1:-1] = False
    return float(np.median(volume[outermost]))


def settled(
    cylinder: Cylinder, volume: NDArray, radii: Range | None, heights: Range | None, background: float | None
) -> Region:
    """Return the region of a volume's profiles; radii and heights that are not given are found in the mean over the others.

    By default the radii are those of the ring's wall, or of the disc out to the half maximum, and the heights those of the
    barrel; what does not exist goes on to the end of the box.
    """
    level, between = level_of(volume, background), heights or cylinder.ends
    if not cylinder.slices(between).any():
        raise ValueError(f"heights: found {heights}, need some within the box, from {words(cylinder.ends)}")
    circles, _ = means(cylinder, volume, cylinder.slices(between) * cylinder.rings(EVERYWHERE))
    seen = np.isfinite(mean_of(circles, cylinder.slices(between), 0))
    reach = float(cylinder.radii[seen].max()) + cylinder.step / 2
    among = (0.0, reach) if radii is None else (radii[0], min(radii[1], reach))
    if not cylinder.rings(among).any():
        raise ValueError(f"radii: found {radii}, need some within the box, from {words((0.0, reach))}")
    for _ in range(_ROUNDS):
        if radii is None:
            ring = ring_of(cylinder.radii, mean_of(circles, cylinder.slices(between), 0), level, EVERYWHERE)
            among = _known((ring.inner, ring.outer), (0.0, reach))
        if heights is None:
            low, high, _ = ends_of(cylinder.heights, mean_of(circles, cylinder.rings(among), 1), level)
            between = _known((low, high), cylinder.ends)
    return Region(cylinder, among, between, background)


def _known(found: Range, otherwise: Range) -> Range:
    """Return the ends of a range, others where they are NaN."""
    low, high = (other if math.isnan(end) else end for end, other in zip(found, otherwise, strict=True))
    return low, high


def words(lengths: Range) -> str:
    """Return a range as text."""
    return f"{lengths[0]:.4g} to {lengths[1]:.4g}"
