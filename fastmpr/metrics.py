"""Measures of a volume's quality against the truth, or against another volume of the same particle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._validation import as_volume, moderate


def psnr(a: ArrayLike, truth: ArrayLike) -> float:
    """Return the peak signal-to-noise ratio of a volume in dB, after scaling it to the truth by least squares.

    The ratio is 10 log10(max(truth)^2 / mean((s a - truth)^2)) with the scale s that makes it largest, since a
    reconstruction is known up to the camera's gain.

    Parameters
    ----------
    a, truth : (nz, ny, nx) array_like
        Volumes of the same shape.

    Returns
    -------
    float
        In dB; infinite for equal volumes.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or the truth is nowhere positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.metrics import psnr
    >>> truth = np.zeros((4, 4, 4))
    >>> truth[2, 2, 2] = 1
    >>> round(psnr(5 * truth + 1, truth), 2)
    20.02
    """
    volume, truth = (moderate(as_volume(x, name).astype(np.float64)) for x, name in ((a, "a"), (truth, "truth")))
    if volume.shape != truth.shape:
        raise ValueError(f"a: found shape {volume.shape}, need the truth's, {truth.shape}")
    if not truth.max() > 0:
        raise ValueError("truth: found nothing above 0, need a volume with something in it")
    energy = np.vdot(volume, volume)
    scale = np.vdot(volume, truth) / energy if energy > 0 else 0.0
    error = np.mean((scale * volume - truth) ** 2)
    return float(10 * np.log10(truth.max() ** 2 / error)) if error > 0 else np.inf
