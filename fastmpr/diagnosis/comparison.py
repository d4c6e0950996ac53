"""Numbers for each view's residual: the view less its prediction from a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.smooth_comparison import SQUARES
from ..sums.comparison import Compared

_FEWEST = 30  # lattice points that a mean square needs
_DARK = 0.1  # share of the prediction's variance inside, above which the outside has more than noise
_COLOURLESS = 3.0  # limit of the ratio by third differences: interpolated noise reaches 2.5
_ROUGH = 1.15  # limit of the ratio where the noise is measured outside
_LOPSIDED = 0.65  # times the noise outside: a smaller residual inside means that the outside has more than noise
_ALIKE = 2.3  # lattice points of smoothed noise that tell as much as one independent point
_COLOUR = (
    4.0  # change in the colour's logarithm that doubles this count, measured for noise blurred by up to 0.6 voxels
)
_DIFFERENCES = 20  # variance of third differences of white noise, over the noise's variance


@dataclass(frozen=True)
class Residuals:
    """How well a volume explains each view; NaN for views that were not compared.

    The view and its prediction are smoothed by about a voxel, since the PSF passes only noise at finer scales. A straight
    line with a slope of at least 0 is then fitted to the view as a function of its prediction; the residual is the
    difference from this line.

    Attributes
    ----------
    ratio : (N,) ndarray
        The mean square of the view's residual, over the mean square of its noise. It is about 1 if the volume explains the
        view, and less if the volume has fitted some of the noise. The noise may have any colour: it is measured outside of
        the ellipsoid that touches the faces of the image, and by third differences inside and outside. If nothing was seen
        outside, or there is light, it is measured by third differences alone, as white noise. For views without noise the
        residual is rounding error, and ``unexplained`` tells more.
    unexplained : (N,) ndarray
        The mean square of the residual less that of the noise, over the variance of the prediction.
    correlation : (N,) ndarray
        Correlation of the smoothed view with its smoothed prediction.
    gain, offset : (N,) ndarray
        Slope and intercept of the line, in the units of the views. Here the slope may be negative.
    noise : (N,) ndarray
        Standard deviation of the view's noise in one voxel, in the units of the views, from third differences along its
        rows, which show little but noise. It is exact for white noise; noise blurred by interpolation is larger.
    """

    ratio: NDArray[np.float64]
    unexplained: NDArray[np.float64]
    correlation: NDArray[np.float64]
    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    noise: NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """`Residuals`, with the limits and the errors of the ratios.

    Attributes
    ----------
    limit : (N,) ndarray
        The largest ratio of a volume that explains the view.
    error : (N,) ndarray
        Standard error of the ratio, for a ratio of about 1.
    slack : (N,) ndarray
        Standard error of the gain.
    """

    residuals: Residuals
    limit: NDArray[np.float64]
    error: NDArray[np.float64]
    slack: NDArray[np.float64]


class _Part:
    """The sums (N, NUMBERS) over a part of each view, by name: inside of the ellipsoid, outside, or both."""

    def __init__(self, sums: NDArray):
        self.n, self.p, self.y, self.pp, self.py, self.yy, count, squares = sums.T
        self.noise = squares / count / _DIFFERENCES

    def left(self, slope: NDArray, height: NDArray) -> NDArray:
        """Return the mean square of y less the line slope * p + height."""
        line = slope * self.py + height * self.y - slope * height * self.p
        return (self.yy + slope**2 * self.pp + height**2 * self.n - 2 * line) / self.n

    def variance(self) -> NDArray:
        """Return the variance of p."""
        return self.pp / self.n - (self.p / self.n) ** 2


def measured(found: Compared) -> Measured:
    """Return the residuals of each view from the sums of a comparison.

    Where the outside shows noise alone, two quotients of inside over outside correct the noise: that of the residuals for
    its colour, that of the third differences for photon noise, which grows with the light.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inside, outside = (_Part(found.sums[:, k]) for k in (0, 1))
        return _measured(inside, outside, _Part(found.sums.sum(axis=1)), found)


def _measured(inside: _Part, outside: _Part, whole: _Part, found: Compared) -> Measured:
    n = np.where(whole.n < _FEWEST, np.nan, whole.n)
    spread, common, own = (
        b - a / n for a, b in ((whole.p**2, whole.pp), (whole.p * whole.y, whole.py), (whole.y**2, whole.yy))
    )
    straight = np.where(spread > 0, common / spread, 0 * n)
    slope, unit = np.maximum(straight, 0), found.peaks / found.peak
    height = (whole.y - slope * whole.p) / n
    left, left_inside, left_outside = (part.left(slope, height) for part in (whole, inside, outside))
    white, coloured = SQUARES * whole.noise, left_outside * inside.noise / outside.noise
    sure = _sees_noise(inside, outside) & ~((left_inside < _LOPSIDED * coloured) & (left > _COLOURLESS * white))
    ratio = np.where(sure, left_inside / coloured, left / white)
    excess = np.where(sure, (left_inside - coloured) * inside.n / n, left - white)
    residuals = Residuals(
        ratio=np.where(np.isfinite(ratio), ratio, np.nan),
        unexplained=excess / (slope**2 * spread / n),
        correlation=common / np.sqrt(spread * own),
        gain=straight * unit,
        offset=height * found.peaks + found.levels,
        noise=np.sqrt(whole.noise + 0 * n) * found.peaks,
    )
    colour = np.maximum(left_outside / (SQUARES * outside.noise), 1)
    points = np.where(sure, (1 / inside.n + 1 / outside.n) * (1 + np.log(colour) / _COLOUR), 1 / n)
    return Measured(
        residuals,
        limit=np.where(sure, _ROUGH, _COLOURLESS),
        error=np.sqrt(2 * _ALIKE * points),
        slack=np.sqrt(_ALIKE * np.maximum(left, 0) / spread) * unit,
    )


def _sees_noise(inside: _Part, outside: _Part) -> NDArray[np.bool_]:
    """Return which views have noise alone outside of the ellipsoid."""
    enough = (inside.n >= _FEWEST) & (outside.n >= _FEWEST) & (outside.noise > 0)
    return enough & (outside.variance() < _DARK * inside.variance())
