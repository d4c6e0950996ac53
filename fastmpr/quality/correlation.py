"""Fourier shell correlation of two volumes, in all directions together."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import ArrayLike, NDArray

from .._validation import Vector, as_array, as_finite, as_rng, as_volume, as_voxel_size, moderate
from .curve import Curve, crossing_of
from .masks import soft_mask
from .shells import Shells

_SURE = 0.8  # correlation below which phases are randomised
_AGREED = 1e-6  # of 1: volumes that agree so well leave nothing to correct


def fsc(
    a: ArrayLike,
    b: ArrayLike,
    *,
    voxel_size: ArrayLike = 1.0,
    mask: ArrayLike | Literal["soft"] | None = None,
    rng: np.random.Generator | int = 0,
) -> Curve:
    """Return the Fourier shell correlation of two volumes.

    In each shell of frequencies it is Re sum A conj(B) / sqrt(sum |A|^2 sum |B|^2), with A and B the spectra [1]_.

    A mask raises the correlation, because it multiplies both volumes by the same function. With ``mask``, the curve is
    corrected for that [2]_: beyond the frequency at which the correlation without mask falls below 0.8, the phases are
    randomised, the correlation is computed again, and what the mask alone makes of it is taken off.

    The correlation of two *regularised* halves of one set of views tells nothing: the same prior and PSF invent the same
    details in both. Use `assess` there.

    Parameters
    ----------
    a, b : (nz, ny, nx) array_like
        Volumes of the same shape.
    voxel_size : float or (z, y, x)
        Of both.
    mask : (nz, ny, nx) array_like or "soft", optional
        Factors from 0 to 1, with soft edges. ``"soft"`` finds a mask from both volumes: where their smoothed mean is above a
        tenth of its maximum, with a rim around it.
    rng : numpy.random.Generator or int
        Generator of the random phases, or its seed.

    Returns
    -------
    Curve
        ``frequency``, ``correlation`` and ``crossing``.

    Raises
    ------
    ValueError, TypeError
        Naming the argument: if the shapes differ, a value is not finite, a volume is zero, or the mask is empty.

    References
    ----------
    .. [1] G. Harauz and M. van Heel, "Exact filters for general geometry three dimensional reconstruction", Optik 73, 1986.
    .. [2] S. Chen et al., "High-resolution noise substitution to measure overfitting and validate resolution in 3D structure
       determination by single particle electron cryomicroscopy", Ultramicroscopy 135, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((32, 32, 32))
    >>> rng = np.random.default_rng(0)
    >>> one, other = (truth + 0.3 * rng.standard_normal(truth.shape) for _ in range(2))
    >>> curve = fastmpr.fsc(one, other, voxel_size=0.05)
    >>> 0.1 < 1 / curve.crossing(0.143) < 0.4  # micrometres
    True
    """
    one, other = pair_of(a, b)
    size, generator = as_voxel_size(voxel_size), as_rng(rng)
    shells = Shells(one.shape, size)
    spectra = scipy.fft.rfftn(one), scipy.fft.rfftn(other)
    plain = correlation_of(shells, *spectra)
    if mask is None:
        return Curve(shells.frequency, plain, shells.count)
    factors = as_mask(mask, one, other, size)
    corrected = _corrected(shells, spectra, plain, factors, generator)
    return Curve(shells.frequency, corrected, shells.count)


def pair_of(a: Any, b: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two volumes of the same shape in float64, or raise an error."""
    one, other = (moderate(as_volume(x, name).astype(np.float64)) for x, name in ((a, "a"), (b, "b")))
    if one.shape != other.shape:
        raise ValueError(f"b: found shape {other.shape}, need that of a, {one.shape}")
    for volume, name in ((one, "a"), (other, "b")):
        if not volume.any():
            raise ValueError(f"{name}: found zeros only, need a volume with something in it")
    return one, other


def as_mask(mask: Any, a: NDArray, b: NDArray, voxel_size: Vector) -> NDArray[np.float64]:
    """Return the factors of a mask, or raise an error."""
    if isinstance(mask, str):
        if mask != "soft":
            raise ValueError(f"mask: found {mask!r}, need 'soft', factors from 0 to 1, or None")
        return soft_mask(a + b, voxel_size)
    factors = as_finite(as_array(mask, "mask"), "mask").astype(np.float64)
    if factors.shape != a.shape:
        raise ValueError(f"mask: found shape {factors.shape}, need that of the volumes, {a.shape}")
    if factors.min() < 0 or factors.max() > 1:
        raise ValueError(f"mask: found values from {factors.min():g} to {factors.max():g}, need factors from 0 to 1")
    if not (factors * np.abs(a)).any() or not (factors * np.abs(b)).any():
        raise ValueError("mask: found nothing of a volume in it, need one that is not empty")
    return factors


def correlation_of(shells: Shells, a: NDArray, b: NDArray, where: NDArray | None = None) -> NDArray[np.float64]:
    """Return the correlation of two spectra in each shell, or in a part of it; NaN in a shell without frequencies.

    A shell in which a volume is zero has correlation 0.
    """
    cross = shells.sum((a * b.conj()).real, where)
    power = shells.sum(_square(a), where) * shells.sum(_square(b), where)
    count = shells.count if where is None else shells.sum(np.ones(a.shape), where)
    known = np.divide(cross, np.sqrt(power), out=np.zeros(len(cross)), where=power > 0)
    return np.where(count > 0, np.clip(known, -1, 1), np.nan)


def _corrected(
    shells: Shells, spectra: tuple[NDArray, NDArray], plain: NDArray, mask: NDArray, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the correlation of masked volumes, less what the mask alone makes of it."""
    masked = correlation_of(shells, *(_masked(spectrum, mask) for spectrum in spectra))
    start = crossing_of(shells.frequency, plain, _SURE)
    if start is None:
        return masked
    beyond = shells.frequencies > start
    by_mask = correlation_of(shells, *(_masked(_random_phases(one, beyond, mask.shape, rng), mask) for one in spectra))
    room = 1 - by_mask
    taken = np.divide(masked - by_mask, room, out=np.zeros(len(room)), where=room > _AGREED)
    first = np.searchsorted(shells.frequency, start) + 1  # the shell at the start holds frequencies of both kinds
    return np.where(np.arange(len(masked)) > first, np.clip(taken, -1, 1), masked)


def _masked(spectrum: NDArray, mask: NDArray) -> NDArray:
    return scipy.fft.rfftn(scipy.fft.irfftn(spectrum, mask.shape) * mask)


def _random_phases(spectrum: NDArray, where: NDArray, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    """Return a spectrum with the phases of white noise at some frequencies."""
    noise = scipy.fft.rfftn(rng.standard_normal(shape))  # its symmetry is that of a real volume
    return np.where(where, np.abs(spectrum) * noise / np.maximum(np.abs(noise), 1e-300), spectrum)


def _square(values: NDArray) -> NDArray:
    return values.real**2 + values.imag**2
