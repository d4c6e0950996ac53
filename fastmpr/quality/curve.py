"""A correlation against frequency, and where it falls below a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._validation import as_number


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """A correlation of two volumes against frequency, as `fsc` returns it.

    Attributes
    ----------
    frequency : (n,) ndarray
        In cycles per unit of the voxel size, from 0 on.
    correlation : (n,) ndarray
        From -1 to 1, where it could be measured without error; NaN in a shell without frequencies.
    count : (n,) ndarray
        The number of frequencies in each shell, with both of +f and -f.
    error : (n,) ndarray or None
        The standard error of an estimated correlation; None for one that was measured.
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    count: NDArray[np.float64]
    error: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        return f"<Curve: {len(self.frequency)} shells up to {self.frequency[-1]:.4g}>"

    @property
    def noise_band(self) -> NDArray[np.float64]:
        """Three standard deviations of the correlation of independent white noise, 3 / sqrt(count)."""
        return 3 / np.sqrt(np.maximum(self.count, 1))

    def crossing(self, threshold: float) -> float | None:
        """Return the first frequency at which the correlation falls below a threshold, None if it never does.

        Between shells the correlation is interpolated. Zero frequency, the mean of the volumes, is left out.

        Parameters
        ----------
        threshold : float
            Such as 0.143 for the correlation of two halves, 0.5 for that with the truth.
        """
        threshold = as_number(threshold, "threshold", -1, 1, "a correlation from -1 to 1")
        return crossing_of(self.frequency, self.correlation, threshold)


def crossing_of(frequency: NDArray, correlation: NDArray, threshold: float) -> float | None:
    """Return the first frequency at which a correlation falls below a threshold, None if it never does."""
    known = np.flatnonzero(np.isfinite(correlation) & (np.arange(len(correlation)) > 0))
    f, c = frequency[known], correlation[known]
    below = np.flatnonzero(c < threshold)
    if not len(below):
        return None
    k = int(below[0])
    if k == 0:
        return float(f[0])
    return float(f[k - 1] + (f[k] - f[k - 1]) * (c[k - 1] - threshold) / (c[k - 1] - c[k]))
