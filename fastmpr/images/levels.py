"""The background of an image: the level of its darkest parts, or a plane through them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linprog

from .._messages import log, warn
from .._validation import Size, as_choice, as_number
from .cells import CELL, cells_of
from .image import Image, Plane

_DARKEST = 0.01  # share of the cells that count as dark
_SIGMAS = 2.33  # distance of this quantile of a normal distribution from its mean
_BELOW = 0.03  # share of the cells below a plane through dark ones
_FEWEST = 3  # cells along an axis for a plane that rises along it
_FITTED = 1000  # most cells to which a plane is fitted
_PARTS = 3  # parts along an axis whose darkest cells are compared
_UNEVEN, _LOUD = 0.3, 10.0  # of the mean light, and times the noise: if these cells differ by more, a plane is likely
_TELLING = 64  # least number of cells for that comparison
_BENT = 0.1  # share of their variance that a plane leaves at most; a step leaves 0.25
_EVEN = 0.3  # of their difference is left at most, if a plane is true: 0.7 for a level, 0.34 in crowded crops


def as_level(image: Image, background: Any, psf: NDArray) -> float | Plane:
    """Return the background: by default the level of the darkest cells, less the light that the PSF spreads there.

    The minimum of many noisy cells lies below the background, so the level is corrected for the noise. Too high a
    background cuts off true light, which costs several dB. Too low a background disables positivity, which costs some
    tenths of a dB.
    """
    if isinstance(background, Plane):
        return background
    if not isinstance(background, str):
        return as_number(background, "background", -1e30, 1e30, "'auto', 'plane', 'none' or a number")
    if as_choice(background, "background", ("auto", "plane", "none")) == "none":
        return 0.0
    mean, variance = cells_of(image)
    if background == "auto":
        level = _level(image, mean, variance, psf)
        _name_plane(
            mean, image.shape, level, math.sqrt(float(np.nanmedian(variance)) / min(CELL**3, image.values.size))
        )
        return level
    slopes, rise = _rise(mean, image.shape)
    level = _level(image, mean - rise, variance, psf)
    log.info("background: a plane, %.4g in the middle, rises by %s along z, y and x", level, slopes)
    middle = sum(slope * (n - 1) / 2 for slope, n in zip(slopes, image.shape, strict=True))
    return Plane(level - middle, *slopes)


def _level(image: Image, mean: NDArray, variance: NDArray, psf: NDArray) -> float:
    """Return the level of the darkest cells, less the light that the PSF spreads there."""
    darkest = mean <= max(float(np.nanquantile(mean, _DARKEST)), float(np.nanmin(mean)))
    noise = math.sqrt(np.median(variance[mean <= np.nanquantile(mean, 5 * _DARKEST)]) / min(CELL**3, image.values.size))
    level = float(mean[darkest].max()) + _SIGMAS * noise
    light = np.nan_to_num(np.maximum(mean - level - _SIGMAS * noise, 0))
    haze = ndimage.convolve(light, _between_cells(psf, image.shape), mode="nearest")
    return level - float(haze[darkest].min())


def _name_plane(mean: NDArray, shape: Size, level: float, noise: float) -> None:
    """Warn if the darkest cells of all parts of an image lie on a plane that rises, not on a level."""
    before = _unevenness(mean)
    if np.count_nonzero(~np.isnan(mean)) < _TELLING or before <= max(
        _UNEVEN * (float(np.nanmean(mean)) - level), _LOUD * noise
    ):
        return
    if _unevenness(mean - _rise(mean, shape)[1]) < _EVEN * before and _is_straight(_darkest(mean)):
        warn("background: found one that rises from one side of the image to another, need background='plane'")


def _unevenness(mean: NDArray) -> float:
    """Return the range of the darkest cells of an image's parts."""
    darkest = _darkest(mean)
    return float(np.nanmax(darkest) - np.nanmin(darkest))


def _darkest(mean: NDArray) -> NDArray:
    """Return the darkest cell of each part of an image."""
    for axis, n in enumerate(mean.shape):
        count = max(1, min(_PARTS, n // 2))
        edges = [n * k // count for k in range(count)]
        mean = np.fmin.reduceat(mean, edges, axis=axis)
    return mean


def _is_straight(darkest: NDArray) -> bool:
    """Return whether the darkest cells lie on a plane, not on a step, as where tissue ends inside the image."""
    places = np.argwhere(~np.isnan(darkest))
    values = darkest[~np.isnan(darkest)]
    design = np.column_stack([np.ones(len(places)), places])
    rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return bool(rest.var() < _BENT * values.var())


def _rise(mean: NDArray, shape: Size) -> tuple[tuple[float, float, float], NDArray]:
    """Return the slopes (z, y, x) per voxel of a plane through the dark cells, and the plane's height at each cell.

    The plane is the highest one with a given small share of the cells below it: a quantile regression (Koenker and Bassett,
    Econometrica 46, 33, 1978), by the dual of its linear programme. Its height is 0 in the middle of the image.
    """
    sides = [min(CELL, n) for n in shape]
    places = [
        ((np.arange(count) + 0.5) * side - n / 2) / n for count, side, n in zip(mean.shape, sides, shape, strict=True)
    ]
    free = [axis for axis, count in enumerate(mean.shape) if count >= _FEWEST]
    known = np.nonzero(~np.isnan(mean))
    every = -(-len(known[0]) // _FITTED)
    picked = tuple(index[::every] for index in known)
    slopes = [0.0, 0.0, 0.0]
    if len(picked[0]) > _FEWEST ** len(free):
        design = np.column_stack([np.ones(len(picked[0])), *(places[axis][picked[axis]] for axis in free)])
        sums = (1 - _BELOW) * design.sum(axis=0)
        found = linprog(-(mean[picked] - np.nanmin(mean)), A_eq=design.T, b_eq=sums, bounds=(0, 1), method="highs")
        for axis, slope in zip(free, -found.eqlin.marginals[1:], strict=True):
            slopes[axis] = float(slope) / shape[axis]
    z, y, x = (slope * n * place for slope, n, place in zip(slopes, shape, places, strict=True))
    return (slopes[0], slopes[1], slopes[2]), z[:, None, None] + y[:, None] + x


def _between_cells(psf: NDArray, shape: Size) -> NDArray[np.float64]:
    """Return the shares of the light of a cell that a PSF spreads to the cells around it."""
    shares = []
    for n, size in zip(psf.shape, shape, strict=True):
        cell, offset = min(CELL, size), np.arange(n) - n // 2
        last = math.ceil((n // 2 + 1) / cell)
        shares.append(np.maximum(0, 1 - np.abs(offset / cell - np.arange(-last, last + 1)[:, None])))
    return np.einsum("zyx,iz,jy,kx->ijk", psf, *shares, optimize=True)
