"""The noise of views as they come, before any resampling, and more noise of the same kind.

It is read at the frequencies that the microscope does not pass: there is noise alone. What those hold shows its level, how
it grows with the light, and how its spectrum falls off where views were resampled, averaged or compressed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size
from ..views.dataset import Dataset
from .accumulator import Accumulator
from .normal_equations import NormalEquations
from .observation import Observation, observe
from .transfer import TransferFunction

_DEAF = 1e-3  # of the transfer function at zero frequency: below, what passes drowns in any noise
_FEWEST = 0.1  # of the frequencies, the least that is passed: so many are looked at in any case
_MEDIAN = 0.4549  # of the square of a normal number
_RINGS = 12  # of frequencies, in which the spectrum is fitted
_FILLED = 30  # frequencies, that a ring has at least
_SURE = 4.0  # standard errors, that the fall of a spectrum lies above nothing at least
_BINS = 20  # of the light, in each of which there are as many voxels
_LEAST = 0.3  # of the noise in the quietest bin


class Noise(NamedTuple):
    """The noise of a view.

    Attributes
    ----------
    variance : (nz, ny, nx) ndarray
        Of each voxel.
    fall : float
        Its power spectrum is in proportion to exp(-fall f^2), f in cycles per voxel.
    """

    variance: NDArray
    fall: float

    def drawn(self, rng: np.random.Generator) -> NDArray:
        """Return noise of this kind."""
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
        |h^| at the frequencies of the cosine transform, k / (2 n) cycles per voxel: at an image's faces that does not jump,
        as the Fourier transform does.
    """
    values = scipy.fft.dctn(image.astype(float), norm="ortho")
    deaf = passed <= max(_DEAF, np.quantile(passed, _FEWEST))
    fall = _fall(values, deaf)
    spectrum = _spectrum(image.shape, fall)
    white = np.where(deaf, values / np.sqrt(spectrum), 0)
    typical = np.mean(np.square(white[deaf]))
    rest = scipy.fft.idctn(white, norm="ortho") * np.sqrt(deaf.size / np.count_nonzero(deaf))
    light = scipy.fft.idctn(values * _signal(values, spectrum * typical, passed), norm="ortho")
    variance = variance_by_light(rest, light)
    return Noise(variance * (np.mean(np.square(rest)) / variance.mean()), fall)


def _fall(values: NDArray, deaf: NDArray) -> float:
    """Return how the spectrum of noise falls off, by the medians of its rings."""
    square = _squares(values.shape)[deaf]
    power = np.square(values[deaf])
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
    return float(fall) if fall > _SURE / np.sqrt(spread) else 0.0


def _signal(values: NDArray, noise: NDArray, passed: NDArray) -> NDArray:
    """Return the share of light in the power at each frequency, in the mean over those that are passed as well."""
    edges = np.quantile(passed, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, passed).ravel()
    power, known = (np.bincount(bins, v.ravel(), _BINS) for v in (np.square(values), noise))
    share = np.maximum(1 - known / np.maximum(power, np.finfo(float).tiny), 0)
    return share[bins].reshape(values.shape)


def variance_by_light(rest: NDArray, light: NDArray) -> NDArray:
    """Return the variance of noise that grows linearly with the light, as what is left of an image shows it."""
    edges = np.quantile(light, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, light.ravel())
    count = np.maximum(np.bincount(bins, minlength=_BINS), 1)
    power, mean = (np.bincount(bins, v.ravel(), _BINS) / count for v in (np.square(rest, dtype=float), light))
    power, mean = power[power > 0], mean[power > 0]
    if not len(power):
        return np.ones(light.shape)
    brightest = float(np.abs(mean).max()) or 1.0  # in its unit both columns are alike, whatever the intensities'
    design = np.stack([mean / brightest, np.ones_like(mean)], axis=1) / power[:, None]
    slope, level = np.linalg.lstsq(design, np.ones(len(power)), rcond=None)[0]
    return np.maximum(slope / brightest * light + level, _LEAST * power.min())


def _squares(shape: Size) -> NDArray:
    """Return f^2 at the frequencies of the cosine transform, in cycles per voxel."""
    z, y, x = ((np.arange(n) / (2 * n)) ** 2 for n in shape)
    return z[:, None, None] + y[:, None] + x


def _spectrum(shape: Size, fall: float) -> NDArray:
    """Return a spectrum whose mean is 1."""
    values = np.exp(-fall * _squares(shape))
    return values / values.mean()


def _filtered(values: NDArray, factors: NDArray) -> NDArray:
    return scipy.fft.idctn(factors * scipy.fft.dctn(values, norm="ortho"), norm="ortho")


class NoiseViews:
    """Views of noise alone, like that of the particles of a data set: a sequence of particles."""

    thread_safe = True

    def __init__(self, data: Dataset, transfers: list[TransferFunction]):
        self._data, self._transfers = data, transfers

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: int) -> NDArray:
        data = self._data
        part, seen = data.source.view(i)
        noise = noise_of(part, self._passed(i, part.shape)).drawn(np.random.default_rng(i)).astype(part.dtype)
        return noise if seen is None else seen.whole(noise, data.particle_shape)

    def _passed(self, i: int, shape: Size) -> NDArray:
        """Return |h^| of a view's PSF at the frequencies of the cosine transform; the largest of those of one size."""
        data = self._data
        rotation = data.placed.matrix[i] if data.frame == "model" else np.eye(3)
        half = np.abs(self._transfers[data.psf_of[i]].sample(rotation, shape, data.voxel_size))
        z, y, x = ((np.arange(n) + 1) // 2 for n in shape)
        signs = [(a * z) % shape[0] for a in (1, -1)], [(b * y) % shape[1] for b in (1, -1)]
        return np.max([half[np.ix_(a, b, x)] for a in signs[0] for b in signs[1]], axis=0)


def with_noise(data: Dataset, transfers: list[TransferFunction]) -> Dataset:
    """Return a data set that shows noise like that of its views, in their poses."""
    return data.replace(particles=NoiseViews(data, transfers), background="none", gain="same", seen="auto")


def noise_sums(observation: Observation) -> NormalEquations:
    """Return the sums of noise like that of the views that were observed, in one group."""
    own = observation.accumulator
    groups, workers = [np.concatenate(own.groups)], own.team.size
    noisy = with_noise(own.data, own.transfers)
    other = observe(Accumulator(noisy, groups, own.model, workers, None, own.stop, own.transfers))
    other.accumulator.free()
    return other.sums[0]
