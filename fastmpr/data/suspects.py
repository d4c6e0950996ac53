"""Particles that look as if something went wrong before they came here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._messages import warn

_FULL_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of cameras with 8, 10, 12, 14 and 16 bits
_FEW = 2  # voxels above a quarter of the range: light that went through a microscope fills more
_MANY = 20  # voxels of exactly one value: noise does not repeat itself that often at its top


def suspicion(particle: NDArray) -> str | None:
    """Return what looks wrong with the brightest voxels of a particle, None where nothing does."""
    least, most = particle.min(), particle.max()
    if particle.size < 1000 or least == most:
        return None
    if np.count_nonzero(particle > least + 0.25 * (most - least)) <= _FEW:
        return "one voxel far brighter than all others, as a hot pixel is"
    at_top = np.count_nonzero(particle == most)
    if at_top >= _MANY and at_top > 3 * (np.count_nonzero(particle > least + 0.9 * (most - least)) - at_top):
        return f"{at_top} voxels of exactly {most:g} and few just below, as where a camera is saturated"
    if most in _FULL_SCALES and particle.size > at_top > 1 and np.array_equal(particle, np.rint(particle)):
        return f"{at_top} voxels at {most:g}, the most that a camera of so many bits can tell"
    return None


def warn_of(found: dict[int, str]) -> None:
    """Warn of suspicious particles, by their places, in one line."""
    if found:
        first = min(found)
        others = f" (and something of the kind in {len(found) - 1} more)" if len(found) > 1 else ""
        warn(
            f"particles[{first}]: found {found[first]}{others}; such voxels spoil the volume around them: mend them "
            "(a median of their neighbours) or leave those particles out",
            stacklevel=4,
        )


def fingerprint(particle: NDArray) -> int | None:
    """Return a number that tells different images apart, all but surely, from a thousand of their voxels.

    None where those are all the same: an empty image is no copy of another.
    """
    sample = particle.ravel()[:: max(1, particle.size // 1024)]
    return None if sample.min() == sample.max() else hash((particle.shape, sample.tobytes()))
