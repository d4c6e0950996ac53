"""What `assess` returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..quality.about_axis import Profiles
from ..quality.curve import Curve
from ..quality.directions import Cones
from ..solver.result import Result
from ..sums.normal_equations import NormalEquations

_NOTHING = 1e-3  # of the mean strength: less is as bad


@dataclass(frozen=True, eq=False, repr=False)
class Coverage:
    """How evenly the views cover the directions, near the resolution that was told.

    Attributes
    ----------
    axes : (m, 3) ndarray
        Unit vectors (z, y, x), spread evenly over a hemisphere.
    strength : (m,) ndarray
        What the views together pass along each axis, sum_i w_i |h_i^|^2, over its mean over all axes.
    """

    axes: NDArray[np.float64]
    strength: NDArray[np.float64]

    def __repr__(self) -> str:
        worst = np.round(self.worst_axis, 2).tolist()
        return f"<Coverage: filled {self.filled:.2f}, least {self.smallest:.2g} along {worst}>"

    @property
    def filled(self) -> float:
        """The harmonic mean of the strength over its mean: 1 if all directions are covered alike, 0 if one is not."""
        strength = np.maximum(self.strength, _NOTHING)
        return float(1 / (strength.mean() * np.mean(1 / strength)))

    @property
    def smallest(self) -> float:
        """The least strength."""
        return float(self.strength.min())

    @property
    def worst_axis(self) -> NDArray[np.float64]:
        """The axis along which the views pass least: of many that they hardly pass, the one in their midst."""
        weights = 1 / np.maximum(self.strength, _NOTHING)
        axis = np.linalg.eigh((self.axes.T * weights) @ self.axes)[1][:, -1]
        return axis * np.sign(axis[np.argmax(np.abs(axis))])


@dataclass(frozen=True, eq=False, repr=False)
class Quality:
    """How good a volume is, as `assess` tells it. Lengths are in the unit of ``result.voxel_size``.

    Attributes
    ----------
    result : Result
        The volume of all views, with ``resolution`` and ``curve``.
    resolution : float
        The finest period that the volume shows: where its correlation with the truth is expected to fall below 0.5.
    resolution_reached : bool
        False if the correlation stays above 0.5 up to the corner of the spectrum; ``resolution`` is then that of the corner.
    curve : Curve
        The Fourier shell correlation with the truth, told from below, with a standard error.
    halves : Curve
        The Fourier shell correlation of the deconvolved sums of the two halves, which know no prior: measured, not told. It
        falls earlier than that of the volume with the truth.
    cones : Cones
        ``curve`` along many directions, in cones of 40 degrees: a lower bound.
    coverage : Coverage
        How evenly the views cover the directions.
    local : (nz, ny, nx) ndarray or None
        The finest period that the volume shows about each voxel, with ``local``, in a Gaussian window whose standard
        deviation is 0.7 such periods. If the volume is equally sharp everywhere, it is ``resolution`` but for noise. Blurred
        parts beside sharp ones are told too fine: by 10 to 25 % where they are 1.6 times as coarse, by a third where they
        are twice as coarse. NaN outside of the particle: where ``result.x``, smoothed by a window for ``resolution``, is
        below a fiftieth of its maximum.
    half_volumes : (2, nz, ny, nx) ndarray
        The volume of each half. *Their* correlation tells nothing: the same prior invents the same details in both.
    half_sums : pair of NormalEquations
        The sums of each half.
    replicates : (n, nz, ny, nx) ndarray or None
        Volumes of views drawn anew, with ``bootstrap``.
    profiles : Profiles or None
        Means about the axis of symmetry, or z, and the sizes that they tell, with ``profiles=True``. Their errors hold what
        noise does, and what a blur as the told resolution would do.
    warnings : tuple of str
        What was doubtful.
    seconds : float
        What it took.
    """

    result: Result
    resolution: float
    resolution_reached: bool
    curve: Curve
    halves: Curve
    cones: Cones
    coverage: Coverage
    local: NDArray | None
    half_volumes: NDArray
    half_sums: tuple[NormalEquations, NormalEquations]
    replicates: NDArray | None
    profiles: Profiles | None
    warnings: tuple[str, ...]
    seconds: float

    def __repr__(self) -> str:
        sign = "" if self.resolution_reached else "at most "
        return f"<Quality: resolution {sign}{self.resolution:.3g}, worst over best {self.cones.ratio:.2f}, {self.coverage}>"

    @property
    def deviation(self) -> NDArray | None:
        """The standard deviation of each voxel over the replicates, which estimates its standard error; None without."""
        return None if self.replicates is None else self.replicates.std(axis=0, ddof=1)
