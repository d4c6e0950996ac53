"""Profiles about the axis of a volume, and sizes whose errors know the noise and the resolution."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import scipy  # scipy.ndimage is slow to import: this loads it at its first use
from numpy.typing import NDArray

from ..quality.about_axis import Profiles
from ..quality.measures import Measure
from ..quality.profiles import profile
from ..solver.result import Result
from ..views.dataset import Dataset

_BLUR = (
    math.sqrt(math.log(2) / 2) / math.pi
)  # of a period: standard deviation of the Gaussian that halves its amplitude


def profiles_of(data: Dataset, result: Result, replicates: NDArray | None) -> Profiles:
    """Return the profiles of a volume about the axis of its symmetry, or z.

    The replicates tell what noise does to a size. What the limited resolution does to it they cannot tell, since it is the
    same in all of them: that is estimated by a further blur, which halves the amplitude at the told period, and added in
    quadrature.
    """
    options: dict[str, Any] = {
        "axis": data.symmetry_axis if len(data.group) > 1 else None,
        "centre": data.symmetry_centre if len(data.group) > 1 else None,
        "voxel_size": result.voxel_size if data.unit == "um" else None,
        "symmetry": data.symmetry if len(data.group) > 1 else None,
    }
    found = profile(result.x, replicates=replicates, **options)
    if replicates is None or result.resolution is None:
        return found
    blurred = scipy.ndimage.gaussian_filter(result.x, _BLUR * result.resolution / result.voxel_size[0])
    other = profile(blurred, **options)
    return replace(
        found,
        diameter=_with_shift(found.diameter, other.diameter),
        width=_with_shift(found.width, other.width),
        height=_with_shift(found.height, other.height),
    )


def _with_shift(one: Measure, blurred: Measure) -> Measure:
    """Return a size whose error holds how far a blur moves it."""
    if one.error is None or not math.isfinite(blurred.value - one.value):
        return one
    return replace(one, error=math.hypot(one.error, blurred.value - one.value))
