"""What is behind a particle in its image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def without_background(particle: NDArray) -> NDArray:
    """Return a particle less the median of its darkest face; the given array is not changed.

    Cameras add an offset and cells a haze, but the model assumes darkness wherever a view saw nothing. A particle seldom
    reaches all six faces of its image, so the darkest face shows the background; noise alone lowers it by about a
    twentieth of its standard deviation.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.data.background import without_background
    >>> particle = np.full((5, 5, 5), 100.0)
    >>> particle[2, 2, 2] += 7
    >>> float(without_background(particle).max()), float(without_background(particle).min())
    (7.0, 0.0)
    """
    faces = (np.take(particle, end, axis) for axis in range(3) for end in (0, -1))
    return particle - min(np.median(face) for face in faces).astype(particle.dtype)
