"""What is behind a particle in its image."""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, as_float_type

_FLATNESS = 4  # a patch is so many times wider than thick
_OUTLIERS = 50  # one voxel in so many, at either end of a patch's values, may be hot or dead
_REACH = 1.5  # patches up to so many standard errors above the background are taken for dark
_FAR = 3  # standard errors: a patch farther above a plane is no part of it
_FEWEST = 8  # patches that a plane is fitted to
_HIGH = 1e3  # times what an image varies by: of such an offset single precision keeps few digits
_LOWERED = 0.1388  # phi(1.5) / Phi(1.5): errors that stay below +1.5 have their mean so far below 0


def without_background(particle: NDArray) -> NDArray:
    """Return a particle less its background; the given array is not changed.

    Cameras add an offset and cells a haze, but the model assumes darkness wherever a view saw nothing. A particle
    seldom reaches all faces of its image, and their corners least. So the background is sought in 24 patches, one at
    each corner of each face, and those of them are pooled that are dark within their noise. Where all are, the error's
    mean over many views is about nothing, and its standard deviation 1.4 % of the noise's in 28 x 28 x 28 voxels.

    Parameters
    ----------
    particle : (nz, ny, nx) ndarray
        In any unit.

    Returns
    -------
    (nz, ny, nx) ndarray
        In the same unit; float32 or float64 as given, integers become one of them. A constant that is added to
        ``particle`` changes nothing but the rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.views.background import without_background
    >>> particle = np.full((5, 5, 5), 100.0)
    >>> particle[2, 2, 2] += 7
    >>> float(without_background(particle).max()), float(without_background(particle).min())
    (7.0, 0.0)
    """
    particle = particle.astype(as_float_type(particle.dtype), copy=False)
    base, background = _background(particle)
    if abs(base) > _HIGH * np.ptp(particle):  # their sum would be rounded to steps that are seen
        return particle - base - background
    return particle - (base + background)


def dark_level(particle: NDArray) -> float:
    """Return what `without_background` takes off."""
    return float(sum(_background(particle.astype(as_float_type(particle.dtype), copy=False))))


def _background(particle: NDArray) -> tuple[np.floating, np.floating]:
    """Return the level that the dark ones among the patches have in common: a level near all, and how far it is above.

    The least of several noisy levels lies below it, and so does the mean of those below a limit. But where the limit
    is b + 1.5 standard errors, and b the common level, the mean of Gaussian levels lies 0.1388 standard errors below b,
    and bright patches have no part in it. Of the levels b that this is true of, the one with most patches is returned.
    """
    base, level, variance = _levels(particle)
    darkest = np.argsort(level, kind="stable")
    level, pooled = level[darkest], np.arange(1, len(level) + 1, dtype=level.dtype)
    error = np.sqrt(np.cumsum(variance[darkest]) / pooled)
    background = np.cumsum(level) / pooled + _LOWERED * error
    dark = level <= background + _REACH * error
    return base, background[np.flatnonzero(dark)[-1]]


def without_plane(particle: NDArray) -> NDArray:
    """Return a particle less a background that rises in some direction; else as `without_background` does.

    A plane is fitted to all patches, less one after another of those that lie farthest above it, as long as one does by more
    than its noise allows.
    """
    particle = particle.astype(as_float_type(particle.dtype), copy=False)
    base, level, variance = _levels(particle)
    plane = _plane(particle.shape, level, variance).plane
    places = _places(particle.shape)
    slopes = functools.reduce(np.add.outer, (slope * axis for slope, axis in zip(plane[1:], places, strict=True)))
    return particle - (base + (plane[0] + slopes).astype(particle.dtype))


class Slope(NamedTuple):
    """How the background of an image rises.

    Attributes
    ----------
    rise : (3,) ndarray
        Along each axis, from one end of the image to the other.
    certainty : float
        Standard errors that it differs from nothing by.
    patches : int
        How many of the patches lie on a plane.
    rest : float
        How many standard errors these differ by from it.
    """

    rise: NDArray[np.float64]
    certainty: float
    patches: int
    rest: float


def slope(particle: NDArray) -> Slope:
    """Return how the background of an image rises, as `without_plane` takes it off."""
    particle = particle.astype(as_float_type(particle.dtype), copy=False)
    _, level, variance = _levels(particle)
    fit = _plane(particle.shape, level, variance)
    rows = fit.rows[fit.dark]
    inverse = np.linalg.pinv(rows.T @ rows, hermitian=True)[1:, 1:]
    rest = (level / fit.error)[fit.dark] - rows @ fit.plane
    certainty = math.sqrt(max(float(fit.plane[1:] @ np.linalg.pinv(inverse, hermitian=True) @ fit.plane[1:]), 0.0))
    freedom = max(len(rows) - 4, 1)
    return Slope(fit.plane[1:], certainty, len(rows), math.sqrt(rest @ rest / freedom))


class _Plane(NamedTuple):
    """A plane through patches: its height and slopes, the equations over the standard errors, which patches lie on it."""

    plane: NDArray[np.float64]
    rows: NDArray[np.float64]
    error: NDArray[np.float64]
    dark: NDArray[np.bool_]


def _plane(shape: Size, level: NDArray, variance: NDArray) -> _Plane:
    design = _design(shape)
    error = np.sqrt(variance + 1e-12 * np.square(level).max(initial=1e-30)).astype(float)
    rows, sides = design / error[:, None], level / error
    dark = np.ones(len(level), bool)
    products, right = rows.T @ rows, rows.T @ sides  # of the dark patches
    while np.count_nonzero(dark) > _FEWEST:
        above = np.where(dark, sides - rows @ (np.linalg.pinv(products, hermitian=True) @ right), -np.inf)
        if above.max() <= _FAR:
            break
        k = int(above.argmax())
        dark[k] = False
        products -= np.outer(rows[k], rows[k])
        right -= sides[k] * rows[k]
    plane = np.linalg.lstsq(design[dark] / error[dark, None], level[dark] / error[dark], rcond=None)[0]
    return _Plane(plane, rows, error, dark)


@functools.lru_cache(maxsize=8)
def _design(shape: Size) -> NDArray[np.float64]:
    """Return what multiplies the height and the slopes of a plane at the patches: 1 and their places."""
    index = np.unravel_index(_patches(shape), shape)
    centres = [axis[k].mean(axis=1) for axis, k in zip(_places(shape), index, strict=True)]
    return np.stack([np.ones_like(centres[0]), *centres], axis=1)


def _places(shape: Size) -> list[NDArray[np.float64]]:
    """Return the places of voxels along each axis, from the middle, in lengths of the image."""
    return [np.arange(n) / n - (n - 1) / (2 * n) for n in shape]


def _levels(particle: NDArray) -> tuple[np.floating, NDArray, NDArray]:
    """Return a level near all, the trimmed means of the patches above it, and the squares of their standard errors."""
    samples = np.sort(particle.ravel()[_patches(particle.shape)], axis=1)
    count = samples.shape[1]
    cut = count // _OUTLIERS
    samples[:, :cut] = samples[:, cut, None]
    samples[:, count - cut :] = samples[:, count - cut - 1, None]
    base = samples[0, count // 2]
    samples -= base  # so that a constant comes out exactly
    level = samples.mean(axis=1)
    samples -= level[:, None]
    # the squared standard error of a trimmed mean: Tukey and McLaughlin, Sankhya A 25, 331, 1963
    kept = count - 2 * cut
    variance = np.einsum("ij,ij->i", samples, samples) / max(kept * (kept - 1), 1)
    return base, level, variance


@functools.lru_cache(maxsize=8)
def _patches(shape: Size) -> NDArray:
    """Return the flat indices (24, n) of the patches: at each corner, one along each face (fewer in thin volumes).

    Together they have twice as many voxels as the faces, but where that is much, a patch is a quarter of an octant.
    """
    octant = tuple(n // 2 or 1 for n in shape)
    size = max(1, min(math.prod(octant) // 4, sum(math.prod(shape) // n for n in shape) // 6))
    nearest = []
    for axis in range(3):
        depths = [np.arange(n // 2 or 1) / n * (_FLATNESS if a == axis else 1) for a, n in enumerate(shape)]
        nearest.append(np.argsort(functools.reduce(np.maximum.outer, depths), axis=None, kind="stable")[:size])
    index = np.arange(math.prod(shape)).reshape(shape)
    flips = itertools.product(*((1, -1)[:n] for n in shape))
    corners = [index[::z, ::y, ::x][tuple(map(slice, octant))].ravel() for z, y, x in flips]
    return np.array([corner[voxels] for corner in corners for voxels in nearest])
