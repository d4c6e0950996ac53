"""What is left of views once a volume's prediction is taken off, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..engine.comparison_kernels import SQUARES

_FEWEST = 30  # points of the lattice that a mean square is made of
_DARK = 0.05  # of the prediction's variance inside: more than that outside, and noise is not alone there
_COLOURLESS = 3.0  # times the noise that third differences tell: noise that was interpolated leaves up to 2.5
_ROUGH = 1.15  # times the noise that is seen outside
_LOPSIDED = 0.6  # times that noise: less is left inside than outside, where something else must be
_ALIKE = 2.3  # points of the lattice whose smooth noise tells no more than one would alone
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
        seen outside, or light is there, by third differences alone, as white noise.
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


def measured(sums: NDArray, levels: NDArray) -> Measured:
    """Return what the sums of `comparison_kernels`, (N, 2, NUMBERS), tell of each view less its level (N,).

    The source of the quotient: what is left, inside over outside, takes the colour of the noise out; the same quotient of
    third differences takes out that photon noise grows with the light.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _measured(sums, levels)


def _measured(sums: NDArray, levels: NDArray) -> Measured:
    inside, outside, whole = sums[:, 0], sums[:, 1], sums.sum(axis=1)
    n, p, y, pp, py, yy, *_ = whole.T
    n = np.where(n < _FEWEST, np.nan, n)
    spread, common, own = pp - p * p / n, py - p * y / n, yy - y * y / n
    slope = np.where(spread > 0, common / spread, np.where(n > 0, 0.0, np.nan))
    line = np.maximum(slope, 0)
    height = (y - line * p) / n
    left, left_inside, left_outside = (_left(part, line, height) for part in (whole, inside, outside))
    noise, noise_inside, noise_outside = (part[:, 7] / part[:, 6] / _DIFFERENCES for part in (whole, inside, outside))
    shown = line**2 * spread / n
    colourless, grown = SQUARES * noise, left_outside * noise_inside / noise_outside
    sure = (inside[:, 0] >= _FEWEST) & (outside[:, 0] >= _FEWEST) & (noise_outside > 0)
    sure &= _variance(outside) < _DARK * _variance(inside)
    ratios = left_inside / grown, left / colourless
    sure &= ~((ratios[0] < _LOPSIDED) & (ratios[1] > _COLOURLESS))
    ratio = np.where(sure, *ratios)
    residuals = Residuals(
        np.where(np.isfinite(ratio), ratio, np.nan),
        np.where(sure, (left_inside - grown) * inside[:, 0] / n, left - colourless) / shown,
        common / np.sqrt(spread * own),
        slope,
        height + levels,
    )
    points = np.where(sure, 1 / inside[:, 0] + 1 / outside[:, 0], 1 / n)
    colour = np.maximum(left_outside / (SQUARES * noise_outside), 1)
    alike = _ALIKE * np.where(
        sure, 1 + np.log(colour) / 4, 1
    )  # as measured for noise that was blurred by up to 0.6 voxels
    return Measured(
        residuals,
        np.where(sure, _ROUGH, _COLOURLESS),
        np.sqrt(2 * alike * points),
        np.sqrt(_ALIKE * np.maximum(left, 0) / spread),
    )


def _left(part: NDArray, slope: NDArray, height: NDArray) -> NDArray:
    """Return the mean square of y less a straight line of p."""
    n, p, y, pp, py, yy, *_ = part.T
    return (yy + slope**2 * pp + height**2 * n - 2 * (slope * py + height * y - slope * height * p)) / n


def _variance(part: NDArray) -> NDArray:
    """Return the variance of p."""
    return part[:, 3] / part[:, 0] - (part[:, 1] / part[:, 0]) ** 2
