"""Estimate the noise of views before they are resampled, and draw more noise of the same kind.

The noise is measured at the frequencies that the microscope does not pass, where there is nothing else. The coefficients
there show the noise level, how the variance grows with the light, and how the spectrum falls off if views were resampled,
averaged or compressed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size, faintest
from ..views.dataset import Dataset
from .accumulator import Accumulator
from .normal_equations import NormalEquations
from .observation import Observation, observe
from .transfer import TransferFunction

_BLOCKED = 1e-3  # of the transfer function at zero frequency: below this, any noise exceeds the signal
_LEAST_BLOCKED = 0.1  # of the frequencies, those with the smallest transfer function, are used in any case
_RINGS = 12  # rings of frequencies to which the spectrum is fitted
_FILLED = 30  # minimum number of frequencies in a ring
_SIGNIFICANT = 4.0  # standard errors by which the fall of a spectrum exceeds 0, or it counts as 0
_BINS = 20  # bins of the light, with the same number of voxels each
_LEAST = 0.3  # minimum variance, over that of the bin with the least noise


class Noise(NamedTuple):
    """The noise of a view.

    Attributes
    ----------
    variance : (nz, ny, nx) ndarray
        The variance of each voxel.
    fall : float
        The power spectrum is proportional to exp(-fall f^2), f in cycles per voxel.
    """

    variance: NDArray
    fall: float

    def drawn(self, rng: np.random.Generator) -> NDArray:
        """Draw noise of this kind."""
        values = rng.standard_normal(self.variance.shape)
        if self.fall:
            values = _filtered(values, np.sqrt(_spectrum(self.variance.shape, self.fall)))
        return np.sqrt(self.variance) * values


def noise_of(image: NDArray, passed: NDArray) -> Noise:
    """Return the noise of an image.

    Parameters
    ----------
    image : (nz, ny, nx) ndarray
    passed : (nz, ny, nx) ndarray
        |h^| at the frequencies of the cosine transform, k / (2 n) cycles per voxel. Unlike the Fourier transform, the cosine
        transform extends the image without jumps at its faces.
    """
    values = scipy.fft.dctn(image.astype(float), norm="ortho")
    blocked = passed <= max(_BLOCKED, np.quantile(passed, _LEAST_BLOCKED))
    fall = _fall(values, blocked)
    spectrum = _spectrum(image.shape, fall)
    white = np.where(blocked, values / np.sqrt(spectrum), 0)
    typical = np.mean(np.square(white[blocked]))
    noise = scipy.fft.idctn(white, norm="ortho") * np.sqrt(blocked.size / np.count_nonzero(blocked))
    light = scipy.fft.idctn(values * _signal(values, spectrum * typical, passed), norm="ortho")
    variance = variance_by_light(noise, light)
    return Noise(variance * (np.mean(np.square(noise)) / variance.mean()), fall)


def _fall(values: NDArray, blocked: NDArray) -> float:
    """Return how fast the noise spectrum falls off, from a fit to the medians of rings of frequencies."""
    square = _squares(values.shape)[blocked]
    power = np.square(values[blocked])
    edges = np.quantile(square, np.linspace(0, 1, _RINGS + 1)[1:-1])
    ring = np.searchsorted(edges, square)
    rings = [ring == j for j in range(_RINGS)]
    found = [(square[k].mean(), np.median(power[k]), np.count_nonzero(k)) for k in rings if k.any()]
    filled = [row for row in found if row[2] >= _FILLED and row[1] > 0]
    if len(filled) < 3:
        return 0.0
    place, level, count = np.array(filled).T
    weight = count / 2.75  # the variance of the logarithm of a median of squares is 2.75 / n
    middle = np.average(place, weights=weight)
    spread = (weight * (place - middle) ** 2).sum()
    fall = -(weight * (place - middle) * np.log(level)).sum() / spread
    return float(fall) if fall > _SIGNIFICANT / np.sqrt(spread) else 0.0


def _signal(values: NDArray, noise: NDArray, passed: NDArray) -> NDArray:
    """Return the share of signal in the power at each frequency, averaged over frequencies with similar ``passed``."""
    edges = np.quantile(passed, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, passed).ravel()
    power, expected = (np.bincount(bins, v.ravel(), _BINS) for v in (np.square(values), noise))
    share = np.maximum(1 - expected / np.maximum(power, np.finfo(float).tiny), 0)
    return share[bins].reshape(values.shape)


def variance_by_light(noise: NDArray, light: NDArray) -> NDArray:
    """Return the variance of each voxel, from a fit of noise samples whose variance grows linearly with the light."""
    edges = np.quantile(light, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, light.ravel())
    count = np.maximum(np.bincount(bins, minlength=_BINS), 1)
    power, mean = (np.bincount(bins, v.ravel(), _BINS) / count for v in (np.square(noise, dtype=float), light))
    power, mean = power[power > 0], mean[power > 0]
    if not len(power):
        return np.ones(light.shape)
    brightest = float(np.abs(mean).max()) or 1.0  # keeps both columns of the fit similar, whatever the intensities are
    design = np.stack([mean / brightest, np.ones_like(mean)], axis=1) / power[:, None]
    slope, level = np.linalg.lstsq(design, np.ones(len(power)), rcond=None)[0]
    return np.maximum(slope / brightest * light + level, _LEAST * power.min())


def _squares(shape: Size) -> NDArray:
    """Return f^2 at the frequencies of the cosine transform, in cycles per voxel."""
    z, y, x = ((np.arange(n) / (2 * n)) ** 2 for n in shape)
    return z[:, None, None] + y[:, None] + x


def _spectrum(shape: Size, fall: float) -> NDArray:
    """Return the power spectrum exp(-fall f^2), scaled to mean 1."""
    values = np.exp(-fall * _squares(shape))
    return values / values.mean()


def _filtered(values: NDArray, factors: NDArray) -> NDArray:
    return scipy.fft.idctn(factors * scipy.fft.dctn(values, norm="ortho"), norm="ortho")


class NoiseViews:
    """A sequence of particles that hold only noise, of the same kind as the noise of a data set."""

    thread_safe = True

    def __init__(self, data: Dataset, transfers: list[TransferFunction]):
        self._data, self._transfers = data, transfers

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: int) -> NDArray:
        data = self._data
        part, seen = data.source.view(i)
        noise = noise_of(part, self._passed(i, part.shape)).drawn(np.random.default_rng(i)).astype(part.dtype)
        if np.abs(noise).max(initial=0) < faintest(part.dtype):  # of rounding in a view without noise
            noise[...] = 0
        return noise if seen is None else seen.whole(noise, data.particle_shape)

    def _passed(self, i: int, shape: Size) -> NDArray:
        """Return |h^| of a view's PSF at the frequencies of the cosine transform.

        A cosine frequency stands for several Fourier frequencies, which differ in signs: the largest |h^| of these is used.
        """
        data = self._data
        rotation = data.placed.matrix[i] if data.frame == "model" else np.eye(3)
        half = np.abs(self._transfers[data.psf_of[i]].sample(rotation, shape, data.voxel_size))
        z, y, x = ((np.arange(n) + 1) // 2 for n in shape)
        signs = [(a * z) % shape[0] for a in (1, -1)], [(b * y) % shape[1] for b in (1, -1)]
        return np.max([half[np.ix_(a, b, x)] for a in signs[0] for b in signs[1]], axis=0)


def with_noise(data: Dataset, transfers: list[TransferFunction]) -> Dataset:
    """Return a data set with noise like that of its views, in the same poses."""
    return data.replace(particles=NoiseViews(data, transfers), background="none", gain="same", seen="auto")


def noise_sums(observation: Observation) -> NormalEquations:
    """Return the sums of noise like that of the observed views, all in one group."""
    given = observation.accumulator
    groups, workers = [np.concatenate(given.groups)], given.team.size
    noisy = with_noise(given.data, given.transfers)
    observed = observe(Accumulator(noisy, groups, given.model, workers, None, given.stop, given.transfers))
    observed.accumulator.free()
    return observed.sums[0]
