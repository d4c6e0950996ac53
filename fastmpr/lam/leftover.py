"""What a volume leaves of an image, over the noise: below what weight of the data is it not yet fitted to the noise?

Where the microscope passes next to nothing, what is left is noise alone. How strong it is there, and how that changes with
the frequency, tells what noise there is at all other frequencies, white or not. At those where the light that a volume
predicts is a little weaker than the noise, a volume that is too smooth leaves the noise and more, and one that has begun to
explain the noise less than it. Nothing else of the volume needs to be right for that: strong frequencies, which tell most of
a PSF that is not quite the true one, have no say.
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

_DARK = 1e-4  # of the strongest |h|^2: there is noise alone where less is passed,
_DARKEST = 0.15  # or at this share of the frequencies, where the PSF passes more at nearly all of them,
_LIT = 1e-3  # but not where it passes so much: the noise cannot be told, and this is what the image was passed through
_NEAREST = 0.1  # of the dark frequencies are nearest to the light:
_MOST = 2.0  # times the noise there it is anywhere, at most: more is no more than a guess
_STEADY = 20.0  # frequencies' worth of belief that noise is white
_COLOURED = 0.4  # of the logarithm of the power: so steep is no noise that is white
_RANGE = 30.0  # of that logarithm, to either side of the largest residual's: quotients in float32 have their limits
_LOG_MEAN = 0.5772  # -mean of log(power / mean power) of noise: Euler's constant
_FROM, _TO = 0.1, 0.3  # of the noise: predicted light about that strong tells whether noise is being fitted
_LOUDEST = 2.0  # times the noise: what few frequencies lack must not drown the rest
_TOLD = 5.0  # frequencies' worth of say, at least: fewer tell nothing
_SMOOTH = 3  # frequencies along an axis, over which predicted light is averaged


class Noise(NamedTuple):
    """The power of noise at a frequency: exp(level + slope * height), at most ``most``, with the height of `heights`.

    Noise that is white, or was smoothed or resampled, follows that nearly.
    """

    level: float
    slope: float
    most: float

    @property
    def coloured(self) -> bool:
        """Whether it is clearly not white."""
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
    """The frequencies of a grid at which a PSF passes next to nothing, so that noise is alone there, and those it does pass.

    Parameters
    ----------
    passed : (nz, ny, nx // 2 + 1) ndarray
        |h^|^2 on the half spectrum of the grid.
    shape : (nz, ny, nx)
        Of the grid.

    Attributes
    ----------
    lit : (nz, ny, nx // 2 + 1) ndarray of bool
        Where light is passed.
    height : (nz, ny, nx // 2 + 1) ndarray
        That of `heights`.
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

        Of ``share`` neighbouring frequencies each says the same. None where the PSF passes light at all frequencies, or
        nothing is left.
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
    """The spectra of what is left of an image and of its noise, on a periodic grid.

    What cannot be told is None: all, where the PSF passes light at all frequencies, so that none shows the noise alone.

    Parameters
    ----------
    residual : (nz, ny, nx) ndarray
        Image less prediction, on the grid of a solve; NaN where nothing was seen.
    dark : Dark
        Of that grid.
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
        self._scale = known.dtype.type(np.abs(known).max()) or known.dtype.type(1)  # float32 has its limits
        known /= self._scale
        self._share = residual.size / count
        self._power = _power(known, workers) / np.float32(count)
        self.noise = dark.noise(self._power, self._share)

    def faint(self, light: NDArray) -> float | None:
        """Return what is left at frequencies of a little less light than noise, over the noise; None if that is not told.

        1 where nothing of the noise has been fitted, more where light is missing.

        Parameters
        ----------
        light : (nz, ny, nx) ndarray
            What is predicted, all over the grid.
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
        return half_sum(weight * left, self._shape) / total / (1 - math.exp(-_LOUDEST))  # of noise: that is its mean

    def passed(self) -> float | None:
        """Return the power of what is left where the PSF passes light over that of the noise; None if it is not told."""
        if self.noise is None:
            return None
        lit, noise = self._dark.lit, self.noise.power(self._dark.height)
        return half_sum(self._power * lit, self._shape) / half_sum(noise * lit, self._shape)

    def _bright(self, light: NDArray) -> NDArray:
        """Return the power of a prediction, averaged over neighbours."""
        power = _power(light / self._scale, self._workers) / np.float32(light.size)
        power[0, 0, 0] = 0
        size = [min(_SMOOTH, n) for n in self._shape]
        return np.maximum(ndimage.uniform_filter(power, size, mode=["wrap", "wrap", "nearest"]), 0)


def _power(values: NDArray, workers: int) -> NDArray:
    spectrum = rfftn(values, workers)
    return spectrum.real**2 + spectrum.imag**2
