"""Find particles that something went wrong with before they were loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .saturation import clipped

_FEW = 8  # voxels above a quarter of the range: light that passed a microscope fills more
_ALONE = 0.1  # of the range: the neighbours of a hot pixel are darker, those of the sharpest point of light brighter


def suspicion(particle: NDArray) -> str | None:
    """Return what looks wrong with the extreme voxels of a particle; None if nothing does."""
    least, most, some = float(particle.min()), float(particle.max()), sample(particle)
    extent = most - least
    if particle.size < 1000:
        return None
    if extent == 0:
        return f"the same value, {most:g}, everywhere, as where nothing was imaged"
    if some.max() < least + 0.25 * extent and _is_alone(particle, least + 0.25 * extent, least + _ALONE * extent):
        return "voxels far brighter than all others, as hot pixels are"
    if some.min() > most - 0.25 * extent and _is_alone(-particle, 0.25 * extent - most, _ALONE * extent - most):
        return "voxels far darker than all others, as dead pixels are"
    found = clipped(particle, most, int(np.count_nonzero(particle == most)))
    return None if found is None else f"{found}, as where a camera is saturated"


def _is_alone(particle: NDArray, bright: float, dark: float) -> bool:
    """Return whether few voxels are bright, and the neighbours of the brightest voxel are dark."""
    return bool(np.count_nonzero(particle > bright) <= _FEW and _neighbours(particle, int(particle.argmax())) < dark)


def _neighbours(particle: NDArray, at: int) -> float:
    """Return the brightest of the voxels that share a face with a given voxel."""
    centre = np.unravel_index(at, particle.shape)
    found = []
    for axis, n in enumerate(particle.shape):
        for k in (centre[axis] - 1, centre[axis] + 1):
            if 0 <= k < n:
                found.append(float(particle[(*centre[:axis], k, *centre[axis + 1 :])]))
    return max(found)


def warn_of(found: dict[str, str]) -> None:
    """Warn of suspicious particles, by name, in one line."""
    if found:
        name, wrong = next(iter(found.items()))
        others = f" (and something of the kind in {len(found) - 1} more)" if len(found) > 1 else ""
        warn(
            f"{name}: found {wrong}{others}; such voxels spoil the volume around them: mend them (a median of their "
            "neighbours) or leave those particles out"
        )


def warn_of_numbers(found: dict[str, str]) -> None:
    """Warn of particles whose numbers or background are implausible, by name, in one line."""
    if found:
        name, wrong = next(iter(found.items()))
        warn(f"{name}: found {wrong}" + (f" (and the like of {len(found) - 1} more)" if len(found) > 1 else ""))


def fingerprint(particle: NDArray) -> int | None:
    """Return a number that almost surely differs for different images, from a thousand of their voxels.

    None if these voxels are all equal: two empty images are not copies of each other.
    """
    some = sample(particle)
    return None if some.min() == some.max() else hash((particle.shape, some.tobytes()))


def sample(particle: NDArray) -> NDArray:
    """Return about a thousand voxels of a particle, spread over it."""
    return particle.ravel()[:: max(1, particle.size // 1024)]
