"""What the outermost voxels of a PSF tell: a level under everything, and noise."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are slow to import: this loads them at their first use
from numpy.typing import NDArray

LOWEST = 0.05  # of the border: dark in every PSF that fits its array, cones and rings included
_LOWEST_SIGMAS = 1.645  # that quantile of a normal distribution, below its mean
_MEAN_TO_SIGMA, _MEDIAN_TO_SIGMA = np.sqrt(np.pi / 2), 1.4826  # of the absolute values of a normal distribution
_WIDTH = 2  # voxels, to smooth faces with
_CLIP = 2  # standard deviations of smoothed noise around the level that count for it
_ROUNDING = 1e-6  # of the level, where there is no noise


def faces(volume: NDArray) -> list[tuple[NDArray, NDArray]]:
    """Return the first and the last face along each axis that has an inside; those of a plane are lines."""
    return [(np.take(volume, 0, k), np.take(volume, -1, k)) for k, n in enumerate(volume.shape) if n > 2]


def values(border: list[tuple[NDArray, NDArray]]) -> NDArray:
    """Return all voxels of the border, those of the edges more than once."""
    return np.concatenate([face.ravel() for pair in border for face in pair])


def noise(border: list[tuple[NDArray, NDArray]]) -> float:
    """Return the standard deviation of white noise, by second differences, which smooth light hardly has."""
    rough = np.concatenate([np.diff(face, 2, axis=-1).ravel() for pair in border for face in pair])
    return float(np.abs(rough).mean() * _MEAN_TO_SIGMA / np.sqrt(6)) if rough.size else 0.0


def asymmetry(border: list[tuple[NDArray, NDArray]]) -> float:
    """Return the noise's standard deviation by what point reflection changes: nothing at all in a computed PSF."""
    odd = np.concatenate([(first - np.flip(last)).ravel() for first, last in border])
    return float(np.median(np.abs(odd)) * _MEDIAN_TO_SIGMA / np.sqrt(2))


def at_corners(border: list[tuple[NDArray, NDArray]]) -> float:
    """Return how bright the outer thirds of a plane's border lines are beside the middle ones, on average."""
    lines = [(line, len(line) // 3) for pair in border for line in pair]
    outer = np.concatenate([part for line, n in lines for part in (line[:n], line[len(line) - n :])])
    middle = np.concatenate([line[n : len(line) - n] for line, n in lines])
    return float(outer.mean() / middle.mean()) if outer.size and middle.mean() > 0 else 0.0


def low_level(outermost: NDArray, sigma: float) -> float:
    """Return the level that the darkest part of a border has below its noise."""
    return float(np.quantile(outermost, LOWEST) + _LOWEST_SIGMAS * sigma)


def level(border: list[tuple[NDArray, NDArray]]) -> float:
    """Return the mean of what is as dark as the darkest part of a border, smoothed lest faint light hides in noise."""
    smooth = values([tuple(scipy.ndimage.gaussian_filter(face, _WIDTH) for face in pair) for pair in border])
    sigma = noise(border) / (2 * np.sqrt(np.pi) * _WIDTH) ** (border[0][0].ndim / 2)
    found = low_level(smooth, sigma)
    for _ in range(10):
        near = np.abs(smooth - found) <= _CLIP * sigma + _ROUNDING * abs(found)
        found = float(smooth[near].mean()) if near.any() else found
    return found
