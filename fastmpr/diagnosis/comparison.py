"""What is left of views once a volume's prediction is taken off, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.smooth_comparison import SQUARES
from ..sums.comparison import Compared

_FEWEST = 30  # points of the lattice that a mean square is made of
_DARK = 0.1  # of the prediction's variance inside: more than that outside, and noise is not alone there
_COLOURLESS = 3.0  # times the noise that third differences tell: noise that was interpolated leaves up to 2.5
_ROUGH = 1.15  # times the noise that is seen outside
_LOPSIDED = 0.65  # times that noise: less is left inside than outside, where something else must be
_ALIKE = 2.3  # points of the lattice whose smooth noise tells no more than one would alone
_COLOUR = 4.0  # of its logarithm: then twice as many, as measured for noise blurred by up to 0.6 voxels
_DIFFERENCES = 20  # third differences of white noise have so many times its variance


@dataclass(frozen=True)
class Residuals:
    """How well a volume explains each view; NaN for views that were not compared.

    View and prediction are smoothed by about a voxel (where the PSF passes nothing there is only noise) and compared by a
    straight line, whose slope is not below 0.

    Attributes
    ----------
    ratio : (N,) ndarray
        The mean square of what is left of the view, over that of its noise alone: about 1 where the volume explains the
        view, less where it has learnt some noise as well. The noise is measured outside of the ellipsoid that touches
        the faces of the image, and by third differences inside and outside, so it may have any colour. Where nothing was
        seen outside, or light is there, by third differences alone, as white noise. Views without noise leave what the
        arithmetic leaves: then ``unexplained`` tells more.
    unexplained : (N,) ndarray
        The same mean square less that of the noise, over the variance of what the volume shows of the view.
    correlation : (N,) ndarray
        Of the two smooth images.
    gain, offset : (N,) ndarray
        Slope and height of the view over its prediction, in the units of the views. A slope below 0 is told as it is.
    """

    ratio: NDArray[np.float64]
    unexplained: NDArray[np.float64]
    correlation: NDArray[np.float64]
    gain: NDArray[np.float64]
    offset: NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """`Residuals`, and how far each ratio is to be trusted.

    Attributes
    ----------
    limit : (N,) ndarray
        Of the ratio, for a volume that explains the view.
    error : (N,) ndarray
        Standard error of the ratio, where that is about 1.
    slack : (N,) ndarray
        Standard error of the gain.
    """

    residuals: Residuals
    limit: NDArray[np.float64]
    error: NDArray[np.float64]
    slack: NDArray[np.float64]


class _Part:
    """The sums inside of the ellipsoid, outside, or both, (N, NUMBERS), by their names."""

    def __init__(self, sums: NDArray):
        self.n, self.p, self.y, self.pp, self.py, self.yy, count, squares = sums.T
        self.noise = squares / count / _DIFFERENCES

    def left(self, slope: NDArray, height: NDArray) -> NDArray:
        """Return the mean square of y less a straight line of p."""
        line = slope * self.py + height * self.y - slope * height * self.p
        return (self.yy + slope**2 * self.pp + height**2 * self.n - 2 * line) / self.n

    def variance(self) -> NDArray:
        """Return the variance of p."""
        return self.pp / self.n - (self.p / self.n) ** 2


def measured(found: Compared) -> Measured:
    """Return what the sums of a comparison tell of each view.

    Where noise is seen outside, the quotient of what is left inside and outside takes out the noise's colour, and that of
    the third differences that photon noise grows with the light.
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
    """Return which views show noise alone outside."""
    enough = (inside.n >= _FEWEST) & (outside.n >= _FEWEST) & (outside.noise > 0)
    return enough & (outside.variance() < _DARK * inside.variance())
