"""Particles that look as if something went wrong before they came here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._messages import warn

_FULL_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of cameras with 8, 10, 12, 14 and 16 bits
_FEW = 2  # voxels above a quarter of the range: light that went through a microscope fills more
_ALONE = 0.1  # of the range, at most, beside a hot pixel: the sharpest image of a point has more
_MANY = 20  # voxels of exactly one value: noise does not repeat itself that often at its top
_STEPS = 50  # of an integer scale, below which its top may well be a few values wide


def suspicion(particle: NDArray) -> str | None:
    """Return what looks wrong with the brightest voxels of a particle, None where nothing does."""
    most, sample = particle.max(), _sample(particle)
    extent = most - sample.min()
    if particle.size < 1000 or extent == 0:
        return None
    if sample.max() < most - 0.75 * extent:  # else far more than a few voxels are bright
        least = particle.min()
        extent = most - least
        if np.count_nonzero(particle > least + 0.25 * extent) <= _FEW:
            around = _neighbours(particle, int(particle.argmax()))
            return (
                "one voxel far brighter than all others, as a hot pixel is"
                if around < least + _ALONE * extent
                else None
            )
    at_top = np.count_nonzero(particle == most)
    if at_top < _MANY or (extent < _STEPS and np.array_equal(particle, np.rint(particle))):
        return None
    below = np.count_nonzero(particle > most - 0.1 * extent) - at_top
    if at_top > 3 * below or most in _FULL_SCALES:
        return f"{at_top} voxels of exactly {most:g} and {below} in the tenth below, as where a camera is saturated"
    return None


def _neighbours(particle: NDArray, at: int) -> float:
    """Return the brightest of the voxels that share a face with one."""
    centre = np.unravel_index(at, particle.shape)
    found = []
    for axis, n in enumerate(particle.shape):
        for k in (centre[axis] - 1, centre[axis] + 1):
            if 0 <= k < n:
                found.append(float(particle[(*centre[:axis], k, *centre[axis + 1 :])]))
    return max(found)


def warn_of(found: dict[str, str]) -> None:
    """Warn of suspicious particles, by their names, in one line."""
    if found:
        name, wrong = next(iter(found.items()))
        others = f" (and something of the kind in {len(found) - 1} more)" if len(found) > 1 else ""
        warn(
            f"{name}: found {wrong}{others}; such voxels spoil the volume around them: mend them (a median of their "
            "neighbours) or leave those particles out"
        )


def fingerprint(particle: NDArray) -> int | None:
    """Return a number that tells different images apart, all but surely, from a thousand of their voxels.

    None where those are all the same: an empty image is no copy of another.
    """
    sample = _sample(particle)
    return None if sample.min() == sample.max() else hash((particle.shape, sample.tobytes()))


def _sample(particle: NDArray) -> NDArray:
    return particle.ravel()[:: max(1, particle.size // 1024)]
