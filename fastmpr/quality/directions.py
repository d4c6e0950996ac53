"""Fourier shell correlation within cones: the resolution along each direction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import ArrayLike, NDArray

from .._validation import as_count, as_number, as_voxel_size
from .correlation import correlation_of, pair_of
from .curve import crossing_of
from .shells import Shells, axes_of

_ANGLE = 20.0


@dataclass(frozen=True, eq=False, repr=False)
class Cones:
    """The correlation of two volumes along many directions, as `conical_fsc` returns it.

    Attributes
    ----------
    axes : (m, 3) ndarray
        Unit vectors (z, y, x), spread evenly over a hemisphere; the first three are the axes z, y and x.
    frequency : (n,) ndarray
        In cycles per unit of the voxel size.
    correlation : (m, n) ndarray
        NaN where a cone has no frequencies in a shell.
    half_angle : float
        Of the cones, in degrees.
    threshold : float
        Of the correlation, at which the resolution is told.
    """

    axes: NDArray[np.float64]
    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    half_angle: float
    threshold: float = 0.5

    def __repr__(self) -> str:
        best, worst = self.resolution.min(), self.resolution.max()
        return f"<Cones: {len(self.axes)} directions, resolution {best:.4g} to {worst:.4g}, ratio {self.ratio:.3g}>"

    @property
    def resolution(self) -> NDArray[np.float64]:
        """The period along each axis at which the correlation falls below the threshold, that of the corner if never."""
        found = (crossing_of(self.frequency, one, self.threshold) for one in self.correlation)
        frequencies = np.array([self.frequency[-1] if one is None else one for one in found])
        return np.divide(1, frequencies, out=np.full(len(frequencies), np.inf), where=frequencies > 0)

    @property
    def ratio(self) -> float:
        """The worst resolution over the best, as periods: 1 if the volume is equally sharp in all directions."""
        periods = self.resolution
        return float(periods.max() / periods.min()) if np.isfinite(periods).all() else 1.0

    @property
    def share(self) -> NDArray[np.float64]:
        """The share of the directions whose correlation is above the threshold, for each frequency."""
        known = np.isfinite(self.correlation)
        above = np.where(known, self.correlation, -np.inf) > self.threshold
        return above.sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def conical_fsc(
    a: ArrayLike,
    b: ArrayLike,
    *,
    voxel_size: ArrayLike = 1.0,
    half_angle: float = _ANGLE,
    threshold: float = 0.5,
    directions: int = 100,
) -> Cones:
    """Return the Fourier shell correlation of two volumes along many directions.

    Along each axis, the correlation is that of the frequencies within a cone about it. Against the truth, this shows how
    much better a volume is resolved across the optical axis than along it.

    Parameters
    ----------
    a, b : (nz, ny, nx) array_like
        Volumes of the same shape, such as a reconstruction and the truth.
    voxel_size : float or (z, y, x)
        Of both.
    half_angle : float
        Of each cone, in degrees.
    threshold : float
        Of the correlation, at which the resolution is told: 0.5 against the truth.
    directions : int
        Number of axes, 3 or more.

    Returns
    -------
    Cones
        ``axes``, ``resolution`` along each, ``ratio`` of the worst over the best, ``share`` of the directions above the
        threshold for each frequency.

    Raises
    ------
    ValueError, TypeError
        Naming the argument: if the shapes differ, a value is not finite or out of its range, or a volume is zero.

    References
    ----------
    S. Dang et al., "Cryo-EM structures of the TMEM16A calcium-activated chloride channel", Nature 552, 2017: the cones.

    Examples
    --------
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((32, 32, 32))
    >>> psf = fastmpr.psf.gaussian((25, 9, 9), sigma=(4, 1, 1))
    >>> one_pose = fastmpr.Poses.random(1, rng=0)[:1]
    >>> view = fastmpr.simulate(truth, psf, one_pose, noise_sigma=0.02, rng=0)
    >>> x = fastmpr.reconstruct(view, psf, one_pose).x
    >>> cones = fastmpr.conical_fsc(x, truth, voxel_size=0.05)
    >>> cones.correlation.shape[0], cones.ratio > 1.5
    (100, True)
    """
    one, other = pair_of(a, b)
    if one.size == 1:
        raise ValueError("a: found one voxel, need a volume with directions")
    size = as_voxel_size(voxel_size)
    angle = as_number(half_angle, "half_angle", 1, 90, "an angle from 1 to 90 degrees")
    threshold = as_number(threshold, "threshold", -1, 1, "a correlation from -1 to 1")
    axes = spread_axes(as_count(directions, "directions", 3))
    shells = Shells(one.shape, size)
    spectra = scipy.fft.rfftn(one), scipy.fft.rfftn(other)
    correlation = [correlation_of(shells, *spectra, where) for where in cones_about(axes, shells, angle)]
    return Cones(axes, shells.frequency, np.array(correlation), angle, threshold)


def spread_axes(count: int) -> NDArray[np.float64]:
    """Return unit vectors (z, y, x): the three axes, then others that spread evenly over a hemisphere."""
    k = np.arange(count - 3) + 0.5
    z, turn = 1 - k / max(count - 3, 1), np.pi * (1 + np.sqrt(5)) * k
    spiral = np.column_stack([z, np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn)])
    return np.concatenate([np.eye(3), spiral])


def cones_about(axes: NDArray, shells: Shells, half_angle: float) -> Iterator[NDArray[np.bool_]]:
    """Yield a mask of the frequencies within an angle of each axis; zero frequency is in all cones."""
    f = axes_of(shells.shape, shells.voxel_size)
    least = np.cos(np.radians(half_angle)) * shells.frequencies * (1 - 1e-12)
    for z, y, x in axes:
        along = (z * f[0])[:, None, None] + (y * f[1])[:, None] + x * f[2]
        yield np.abs(along) >= least
