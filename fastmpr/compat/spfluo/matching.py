"""Rotations of a volume against views, each over all translations of the box: one short inverse FFT per rotation and view.

A view's spectrum is read at the frequencies that its PSF passes, and the volume's spectrum at the same frequencies, turned
back. Their product is the spectrum of the correlation as a function of the translation. These frequencies fill a small box,
so its inverse FFT is short; its largest sample is then improved by Newton's method.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...alignment.reference import Reference
from ...alignment.spectra import Band, band_of
from ...runtime.threads import Team, as_workers
from ...sums.transfer import TransferFunction
from .closed_form import on_voxel

_VOXEL = (1.0, 1.0, 1.0)
_HIGHEST = 0.49  # cycles per voxel
_SAMPLES = 2**21  # of spectra and of correlations that a thread holds at once
_FOLLOWED = 8  # rotations of each view whose translation is improved
_STEPS = 8  # of Newton's method, at most


def bands_of(views: NDArray, psf: NDArray, name: str) -> list[Band]:
    """Return the frequencies that the PSF of each channel passes; ``name`` is that of the views."""
    shape = views.shape[2:]
    transfers = [TransferFunction(on_voxel(blur), _VOXEL, views.dtype) for blur in psf]
    try:
        return [band_of(one, shape, _VOXEL, _HIGHEST) for one in transfers]
    except ValueError:
        raise ValueError(
            f"{name}: found cubes of {shape[0]} voxels of which the PSF passes no frequency, need larger ones"
        ) from None


class Matching:
    """Views and the volume that they are held against.

    Parameters
    ----------
    reference : (C, D, D, D) ndarray
    views : (N, C, D, D, D) ndarray
    bands : list of Band
        From `bands_of`.
    weights : sequence of float
        Of the channels.
    """

    def __init__(self, reference: NDArray, views: NDArray, bands: list[Band], weights: Sequence[float]):
        self.count, self.team = len(views), Team(as_workers(None, views.size))
        self.channels = [_Channel(*parts) for parts in zip(reference, bands, weights, strict=True)]
        self.box = _Box(bands, views.shape[2])
        self.frequencies = np.concatenate([one.band.frequencies for one in self.channels])
        self.spectra = np.empty((self.count, len(self.frequencies)), np.complex128)

        def work(member: int) -> None:
            for i in range(member, self.count, self.team.size):
                parts = [
                    one.band.spectrum(image, _VOXEL)[0] for one, image in zip(self.channels, views[i], strict=True)
                ]
                self.spectra[i] = np.concatenate(parts)

        self.team.run(work)
        self.power = np.maximum(np.linalg.norm(self.spectra, axis=1), 1e-300)

    def best(self, angles: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return the number of the best rotation of each view, its translation in voxels, and their correlation.

        Parameters
        ----------
        angles : (1 or N, M, 3) ndarray
            Euler angles "XZX" in degrees, M rotations for all views or for each.
        """
        count = angles.shape[1]
        matrices = Rotation.from_euler("XZX", angles.reshape(-1, 3), degrees=True).as_matrix().reshape(-1, count, 3, 3)
        scores, places = np.empty((self.count, count)), np.empty((self.count, count), np.intp)
        step = max(1, _SAMPLES // max(len(self.frequencies), self.box.count))
        jobs = list(itertools.product(range(len(matrices)), range(0, count, step)))
        chosen, moves, found = np.empty(self.count, np.intp), np.empty((self.count, 3)), np.empty(self.count)

        def score(member: int) -> None:
            for which, first in jobs[member :: self.team.size]:
                part = slice(first, first + step)
                shown, power = self._shown(matrices[which, part])
                for i in range(self.count) if len(matrices) == 1 else [which]:
                    scores[i, part], places[i, part] = self.box.peaks(shown.conj() * self.spectra[i])
                    scores[i, part] /= power * self.power[i]

        def improve(member: int) -> None:
            for i in range(member, self.count, self.team.size):
                likely = scores[i].argsort()[::-1][:_FOLLOWED]
                shown, power = self._shown(matrices[i % len(matrices), likely])
                ends = [
                    _improved(self.frequencies, values.conj() * self.spectra[i], self.box.translation(places[i, k]))
                    for values, k in zip(shown, likely, strict=True)
                ]
                values = [value / (size * self.power[i]) for (value, _), size in zip(ends, power, strict=True)]
                first = int(np.argmax(values))
                chosen[i], moves[i], found[i] = likely[first], ends[first][1], values[first]

        self.team.run(score)
        self.team.run(improve)
        return chosen, moves, found

    def _shown(self, rotations: NDArray) -> tuple[NDArray, NDArray]:
        """Return what views in some rotations show, (M, K), and the norms of the rows."""
        parts = [one.weight * one.reference.sample(one.band, len(one.band.radii), rotations) for one in self.channels]
        shown = np.concatenate(parts, axis=1)
        power = np.linalg.norm(shown, axis=1)
        return shown, np.maximum(power, 1e-12 * power.max() or 1.0)


class _Channel:
    """The volume of a channel, and the frequencies at which its views are compared with it."""

    def __init__(self, volume: NDArray, band: Band, weight: float):
        self.reference, self.band, self.weight = Reference(volume, 1.0, _HIGHEST, 1), band, weight


class _Box:
    """The smallest grid of translations over a cube of views that holds the frequencies of some bands."""

    def __init__(self, bands: list[Band], size: int):
        waves = [np.rint(band.frequencies * size).astype(int) for band in bands]
        most = np.abs(np.concatenate(waves)).max(axis=0)
        self.shape = tuple(scipy.fft.next_fast_len(2 * int(n) + 1, real=True) for n in most)
        self.count, self.step = int(np.prod(self.shape)), size / np.array(self.shape)
        half = (*self.shape[:2], self.shape[2] // 2 + 1)
        self._half = half
        self._places = [np.ravel_multi_index(tuple((k % self.shape).T), half) for k in waves]
        self._own = [np.flatnonzero(k[:, 2] == 0) for k in waves]  # there the half spectrum holds both of a pair
        self._twins = [
            np.ravel_multi_index(tuple((-k[own] % self.shape).T), half) for k, own in zip(waves, self._own, strict=True)
        ]

    def peaks(self, cross: NDArray) -> tuple[NDArray, NDArray]:
        """Return the largest sample of each correlation, and its place, for rows with the spectra of the bands."""
        spectrum = np.zeros((len(cross), *self._half), np.complex64)
        flat, start = spectrum.reshape(len(cross), -1), 0
        for places, own, twins in zip(self._places, self._own, self._twins, strict=True):
            part = cross[:, start : start + len(places)]
            flat[:, places] += part
            flat[:, twins] += part[:, own].conj()
            start += len(places)
        values = scipy.fft.irfftn(spectrum, self.shape, axes=(1, 2, 3), workers=1).reshape(len(cross), -1)
        best = values.argmax(axis=1)
        return values[np.arange(len(best)), best] * (self.count / 2), best

    def translation(self, place: int) -> NDArray:
        """Return the translation of a sample, in voxels, at most half of the box."""
        index = np.array(np.unravel_index(place, self.shape))
        return (index - np.where(2 * index > self.shape, self.shape, 0)) * self.step


def _improved(frequencies: NDArray, cross: NDArray, start: NDArray) -> tuple[float, NDArray]:
    """Return the highest value of a correlation near a translation, and where it is."""
    at, value, step, turns = start, -np.inf, np.zeros(3), 2 * np.pi * frequencies
    for _ in range(_STEPS):
        wave = cross * np.exp(1j * (turns @ (at + step)))
        new = float(wave.real.sum())
        if new <= value:
            step = step / 4
            continue
        settled = new - value < 1e-7 * abs(new)
        at, value = at + step, new
        if settled:
            break
        curvature = (turns.T * wave.real) @ turns
        step = np.linalg.lstsq(curvature, -(turns.T @ wave.imag), rcond=None)[0]
        step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
    return value, at
