"""The resolution at each voxel, on the scale of the resolution that is told of the whole volume.

In a band of frequencies and a window of so many periods, the deconvolved sums of both halves share the signal alone, and the
null channel holds their noise: the local correlation is signal / (signal + noise), because the noise of views that turn
about the particle is the same everywhere. It falls at lower frequencies than the correlation of the volume with the truth
does. So the period at which it falls is divided by the one at which it falls where the volume has details of the told
resolution, and multiplied by the told resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..quality.curve import crossing_of
from ..quality.shells import Shells
from ..runtime.fft import irfftn, rfftn
from .evidence import Comparison

# Chosen on centrioles, nuclear pores and textures, whole and with one half blurred (`benchmarks/reports/local.py`).
_COARSEST = 3.0  # periods across the volume
_STEP = 1.15  # from one band to the next
_WIDTH = 0.2  # of a band: standard deviation of log f. Narrower bands ring further, wider ones let low frequencies in
_WINDOW = 0.7  # periods: standard deviation of the window. In wider ones, sharp parts outshine blurred ones
_THRESHOLD = 0.3
_NOTHING = (
    0.02  # of the maximum, smoothed by a window of the told resolution: what is darker lies outside of the particle
)


def local_resolution(comparison: Comparison, x: NDArray, period: float, workers: int) -> NDArray:
    """Return the period that the volume shows at each voxel; NaN where it is dark.

    Parameters
    ----------
    comparison : Comparison
        Of two halves of the views.
    x : (nz, ny, nx) ndarray
        The volume of all views.
    period : float
        The resolution that is told of the whole.
    workers : int
    """
    shells = comparison.shells
    bands = _Bands(shells, workers)
    frequencies = _frequencies(shells)
    if not len(frequencies):
        return np.full(x.shape, np.nan, x.dtype)
    spectrum = bands.spectrum(x)
    detail = bands.passed(spectrum, 1 / period)
    weight = np.maximum(bands.smoothed(detail * detail, _WINDOW * period), 0)
    found, whole = _falls(comparison, bands, frequencies, weight)
    smooth = bands.smoothed(x, _WINDOW * period)
    periods = np.maximum(period * whole / found, 1 / frequencies[-1])
    return np.where(smooth > _NOTHING * smooth.max(), periods, np.nan).astype(x.dtype)


def _falls(
    comparison: Comparison, bands: _Bands, frequencies: NDArray, weight: NDArray
) -> tuple[NDArray[np.float64], float]:
    """Return the frequency at which the correlation falls below the threshold, at each voxel and in their weighted mean."""
    spectra = [bands.spectrum(white) for white in comparison.whitened]
    noise = bands.spectrum(comparison.null)
    found = np.full(weight.shape, np.nan)
    last, before, means = 0.0, np.ones_like(weight), []
    for f in frequencies:
        now = bands.correlation(spectra, noise, f)
        fell = np.isnan(found) & (now < _THRESHOLD)
        found[fell] = last + (f - last) * (before[fell] - _THRESHOLD) / (before[fell] - now[fell])
        means.append(_mean(now, weight))
        last, before = f, now
    found[np.isnan(found)] = last
    whole = crossing_of(np.append(0, frequencies), np.append(1, means), _THRESHOLD)
    return found, last if whole is None else whole


@dataclass(frozen=True)
class _Bands:
    """Bands of frequencies, whose transmission is a Gaussian function of log f."""

    shells: Shells
    workers: int

    def spectrum(self, volume: NDArray) -> NDArray:
        return rfftn(np.ascontiguousarray(volume), self.workers)

    def passed(self, spectrum: NDArray, f: float) -> NDArray:
        """Return what a band passes."""
        return irfftn(self._transmission(f).astype(spectrum.real.dtype) * spectrum, self.shells.shape, self.workers)

    def power(self, spectrum: NDArray, f: float) -> float:
        """Return the mean square of what a band passes."""
        passed = np.abs(self._transmission(f) * spectrum)
        return float(np.sum(self.shells.twice * passed**2) / np.prod(self.shells.shape) ** 2)

    def smoothed(self, volume: NDArray, sigma: float) -> NDArray:
        """Return a volume blurred by a Gaussian window."""
        window = np.exp(-2 * np.square(np.pi * sigma * self.shells.frequencies))
        return irfftn(window.astype(volume.dtype) * self.spectrum(volume), self.shells.shape, self.workers)

    def correlation(self, spectra: list[NDArray], noise: NDArray, f: float) -> NDArray:
        """Return signal / (signal + noise) in a band, at each voxel."""
        one, other = (self.passed(spectrum, f) for spectrum in spectra)
        signal = np.maximum(self.smoothed(one * other, _WINDOW / f), 0)
        return signal / np.maximum(signal + self.power(noise, f), np.finfo(signal.dtype).tiny)

    def _transmission(self, f: float) -> NDArray[np.float64]:
        away = np.log(np.maximum(self.shells.frequencies, np.finfo(float).tiny) / f)
        return np.exp(-np.square(away / _WIDTH) / 2)


def _frequencies(shells: Shells) -> NDArray[np.float64]:
    """Return the middle of each band, up to the corner of the spectrum."""
    first, corner = _COARSEST * shells.width, shells.frequency[-1]
    if first > corner:
        return np.array([])
    return np.geomspace(first, corner, 1 + int(np.ceil(np.log(corner / first) / np.log(_STEP))))


def _mean(values: NDArray, weight: NDArray) -> float:
    total = weight.sum()
    return float((values * weight).sum() / total) if total > 0 else float(values.mean())
