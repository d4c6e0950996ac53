"""The residual of an image over its noise, which shows whether a weight of the data term makes the volume fit the noise.

At frequencies that the microscope hardly passes, the residual is noise alone. Its power there, and how this power changes
with the frequency, gives the power of the noise at all other frequencies, white or not. Then the residual is examined at
frequencies whose predicted light is a little weaker than the noise. There, a volume that is too smooth leaves a residual
above the noise, and a volume that fits the noise leaves one below it. Nothing else of the volume needs to be right: strong
frequencies, which depend most on an inexact PSF, do not count.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._validation import Size
from ..runtime.fft import rfftn
from ..sums.normal_equations import half_sum

_DARK = 1e-4  # of the strongest |h|^2: frequencies that pass less hold noise alone,
_DARKEST = 0.15  # or the weakest such share of the frequencies, if nearly all pass more,
_LIT = 1e-3  # unless even these pass so much; frequencies that pass more hold the image
_NEAREST = 0.1  # of the dark frequencies: those nearest to the light, which bound the noise
_MOST = 2.0  # bound of the noise anywhere, in units of the noise there: more would be extrapolation
_STEADY = 20.0  # frequencies: the weight of the prior that noise is white
_COLOURED = 0.4  # slope of the logarithm of the power from which noise is not white
_RANGE = 30.0  # of that logarithm, either side of the largest residual's, so that quotients fit in float32
_LOG_MEAN = 0.5772  # -mean of log(power / mean power) of noise: Euler's constant
_FROM, _TO = 0.1, 0.3  # of the noise: predicted light of about this power shows whether noise is fitted
_LOUDEST = 2.0  # bound of the residual, in units of the noise, so that few frequencies do not dominate
_TOLD = 5.0  # least total weight, in frequencies, for a verdict
_SMOOTH = 3  # frequencies along an axis over which predicted light is averaged


class Noise(NamedTuple):
    """The power of noise at a frequency: exp(level + slope * height), at most ``most``, with the height of `heights`.

    White, smoothed and resampled noise nearly follow this formula.
    """

    level: float
    slope: float
    most: float

    @property
    def coloured(self) -> bool:
        """Whether the noise is clearly not white."""
        return abs(self.slope) > _COLOURED

    def power(self, height: NDArray) -> NDArray[np.float32]:
        """Return the power at frequencies of given heights, in float32."""
        power: NDArray[np.float32] = np.float32(self.level) + np.float32(self.slope) * height
        np.exp(np.clip(power, -_RANGE, _RANGE, out=power), out=power)
        return np.minimum(power, np.float32(max(self.most, math.exp(-_RANGE))), out=power)


def heights(shape: Size) -> NDArray[np.float32]:
    """Return the sum of sin^2(pi f) over the axes, f in cycles per voxel, at the frequencies of a half spectrum."""
    z, y, x = (np.square(np.sin(np.pi * np.arange(n) / n)).astype(np.float32) for n in shape)
    return z[:, None, None] + y[:, None] + x[: shape[2] // 2 + 1]


class Dark:
    """The frequencies of a grid that a PSF hardly passes, so that they hold noise alone, and those that it passes.

    Parameters
    ----------
    passed : (nz, ny, nx // 2 + 1) ndarray
        |h^|^2 on the half spectrum of the grid.
    shape : (nz, ny, nx)
        Shape of the grid.

    Attributes
    ----------
    lit : (nz, ny, nx // 2 + 1) ndarray of bool
        Which frequencies the PSF passes.
    height : (nz, ny, nx // 2 + 1) ndarray
        As `heights` returns it.
    """

    def __init__(self, passed: NDArray, shape: Size):
        self.shape = shape
        strongest, weak = float(passed.max()), float(np.quantile(passed, _DARKEST))
        self.lit = passed > _LIT * strongest
        self.lit[0, 0, 0] = False
        self._found = weak <= _LIT * strongest
        self._places = np.flatnonzero(passed <= max(_DARK * strongest, weak))
        self.height = heights(shape)
        known = self.height.ravel()[self._places]
        self._nearest = self._places[known <= np.quantile(known, _NEAREST)]
        self._centre = float(known.mean())
        self._offsets = known - np.float32(self._centre)

    def noise(self, power: NDArray, share: float = 1.0) -> Noise | None:
        """Return the noise, from the power of a residual at the dark frequencies.

        Each group of ``share`` neighbouring frequencies carries the same information. None if the PSF passes all
        frequencies, or if the residual is zero.
        """
        known = power.ravel()[self._places]
        if not self._found or not known.any():
            return None
        values = np.log(np.maximum(known, np.finfo(power.dtype).tiny))
        level = float(values.mean()) + _LOG_MEAN
        slope = float(np.dot(self._offsets, values)) / (float(np.square(self._offsets).sum()) + _STEADY * share)
        most = _MOST * float(power.ravel()[self._nearest].mean())
        return Noise(level - slope * self._centre, slope, most)


class Leftover:
    """The spectra of the residual of an image and of its noise, on a periodic grid.

    All results are None if the PSF passes all frequencies, because then none shows the noise alone.

    Parameters
    ----------
    residual : (nz, ny, nx) ndarray
        The image less its prediction, on the grid of a solve; NaN where nothing was seen.
    dark : Dark
        The dark frequencies of that grid.
    workers : int

    Attributes
    ----------
    noise : Noise or None
    """

    def __init__(self, residual: NDArray, dark: Dark, workers: int):
        self._dark, self._shape, self._workers = dark, dark.shape, workers
        seen = ~np.isnan(residual)
        count = max(int(seen.sum()), 1)
        mean = float(residual.sum(where=seen)) / count
        known = np.where(seen, residual - residual.dtype.type(mean), 0)
        self._scale = known.dtype.type(np.abs(known).max()) or known.dtype.type(1)  # squares fit in float32
        known /= self._scale
        self._share = residual.size / count
        self._power = _power(known, workers) / np.float32(count)
        self.noise = dark.noise(self._power, self._share)

    def faint(self, light: NDArray) -> float | None:
        """Return the residual over the noise, at frequencies with a little less light than noise; None if undecided.

        It is 1 if no noise has been fitted, and more if the prediction lacks light.

        Parameters
        ----------
        light : (nz, ny, nx) ndarray
            The prediction, all over the grid.
        """
        if self.noise is None:
            return None
        noise = self.noise.power(self._dark.height)
        bright = self._bright(light) / noise
        weight = np.square(bright / (bright + np.float32(_FROM)) * (np.float32(_TO) / (bright + np.float32(_TO))))
        weight[0, 0, 0] = 0
        total = half_sum(weight, self._shape)
        if not total > _TOLD * self._share:
            return None
        left = np.minimum(self._power / noise, np.float32(_LOUDEST))
        return half_sum(weight * left, self._shape) / total / (1 - math.exp(-_LOUDEST))  # the mean for noise alone

    def passed(self) -> float | None:
        """Return the power of the residual over that of the noise, at frequencies that the PSF passes; None if undecided."""
        if self.noise is None:
            return None
        lit, noise = self._dark.lit, self.noise.power(self._dark.height)
        return half_sum(self._power * lit, self._shape) / half_sum(noise * lit, self._shape)

    def _bright(self, light: NDArray) -> NDArray:
        """Return the power of a prediction, averaged over neighbouring frequencies."""
        power = _power(light / self._scale, self._workers) / np.float32(light.size)
        power[0, 0, 0] = 0
        size = [min(_SMOOTH, n) for n in self._shape]
        return np.maximum(ndimage.uniform_filter(power, size, mode=["wrap", "wrap", "nearest"]), 0)


def _power(values: NDArray, workers: int) -> NDArray:
    spectrum = rfftn(values, workers)
    return spectrum.real**2 + spectrum.imag**2
