"""The size of a ring and of a barrel, from means about their axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

_DIP = 0.1  # of its height, by which a ring is brighter than the darkest circle inside it
_FINE = 16  # points of a spline to a sample
_PARTS = 256  # of a wall
_LEAST = 1e-6  # of the brightest value, or of a length: less contrast, or error, is rounding


@dataclass(frozen=True)
class Measure:
    """A length with its error.

    Attributes
    ----------
    value : float
        NaN if the volume has no such length; ``message`` then says why.
    error : float or None
        One standard deviation over the replicates; None without replicates, NaN if less than half of them have the length.
    unit : {"um", "voxel"}
    message : str
        Why there is no value, or how many replicates have none; otherwise empty.
    """

    value: float
    error: float | None
    unit: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.unit}" + (f" ({self.message})" if self.message else "")

    @property
    def number(self) -> str:
        """The value and its error without their unit, to the error's second digit."""
        if self.error is None:
            return f"{self.value:.4g}"
        if not self.error > _LEAST * abs(self.value):
            return f"{self.value:.4g} ± {self.error:.2g}"
        places = max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.value:.{places}f} ± {self.error:.{places}f}"


class Ring(NamedTuple):
    """Radii of a ring: its own, and where it falls to half; NaN where they do not exist, and the reasons.

    Where there is no ring, ``outer`` is that of the disc.
    """

    exists: bool
    radius: float
    inner: float
    outer: float
    no_radius: str
    no_width: str


def ring_of(
    radius: NDArray[np.floating], mean: NDArray[np.float64], background: float, among: tuple[float, float]
) -> Ring:
    """Return the ring whose ridge is the highest among some radii."""
    curve = _Curve(radius, mean, background, even=True)
    ridge, why = curve.ridge(*among)
    if why:
        _, outer = curve.flanks(curve.highest)
        return Ring(False, math.nan, math.nan, outer, why, why)
    (inner, outer), middle = curve.flanks(ridge), curve.middle(ridge)
    missing = [where for where, edge in (("inside", inner), ("outside", outer)) if math.isnan(edge)]
    no_width = f"the radial profile does not fall to half {' and '.join(missing)} the ring" if missing else ""
    no_radius = "the ring does not fall to half within the box" if math.isnan(middle) else ""
    return Ring(True, middle, inner, outer, no_radius, no_width)


def ends_of(height: NDArray[np.float64], mean: NDArray[np.float64], background: float) -> tuple[float, float, str]:
    """Return the first and the last height at which the axial profile is half as high as at most, and why one is NaN."""
    curve = _Curve(height, mean, background)
    low, high = curve.outermost()
    why = "the axial profile does not fall to half within the box" if math.isnan(low + high) else ""
    return low, high, curve.flat or why


class _Curve:
    """A cubic spline through a profile, 0 at the background and 1 at its highest sample."""

    def __init__(
        self, position: NDArray[np.floating], mean: NDArray[np.float64], background: float, even: bool = False
    ):
        known = np.isfinite(mean)
        self._position, mean = position[known], mean[known]
        height = mean.max(initial=background) - background
        self.flat, self.highest = "", math.nan
        if len(mean) < 3:
            self.flat = f"found {len(mean)} samples, need at least 3"
        elif height <= _LEAST * np.abs(mean).max():
            self.flat = "nothing is brighter than the background"
        else:
            self.highest = float(self._position[mean.argmax()])
            ends = ((1, 0.0) if even else (2, 0.0), (2, 0.0))  # a radial profile goes on beyond 0 as it came
            self._spline = CubicSpline(self._position, (mean - background) / height, bc_type=ends)
            level = _finite(self._spline.derivative().roots(extrapolate=False))
            self._peaks = level[self._spline(level, 2) < 0]

    def ridge(self, low: float, high: float) -> tuple[float, str]:
        """Return where the highest maximum between two positions is, and why there is none."""
        if self.flat:
            return math.nan, self.flat
        low, high = max(low, self._position[0]), min(high, self._position[-1])
        peaks = self._peaks[(self._peaks > low) & (self._peaks < high)]
        height = self._spline(peaks).max(initial=0.0)
        if not peaks.size or height <= self._spline([low, high]).max(initial=0.0):
            where = "on the axis" if low == 0 and self._spline(low) >= self._spline(high) else "at an end of the radii"
            return math.nan, f"no ring: the radial profile is highest {where}"
        ridge = float(peaks[self._spline(peaks).argmax()])
        if self._spline(np.linspace(low, ridge, 4 * len(self._position))).min() > (1 - _DIP) * height:
            return math.nan, f"no ring: inside its maximum the radial profile falls by less than {_DIP:.0%}"
        return ridge, ""

    def flanks(self, at: float, share: float = 0.5) -> tuple[float, float]:
        """Return the nearest positions on either side where the profile falls to a share of what it is at one."""
        if self.flat:
            return math.nan, math.nan
        falls = _finite(self._spline.solve(share * self._spline(at), extrapolate=False))
        before, after = falls[falls < at], falls[falls > at]
        return float(before.max()) if before.size else math.nan, float(after.min()) if after.size else math.nan

    def middle(self, ridge: float) -> float:
        """Return the centre of mass of sqrt(r) times the profile, between its half maxima about a ridge; NaN without these.

        The profile of a thin ring of radius R that a Gaussian blurs is exp(-(r^2 + R^2) / 2 sigma^2) I0(r R / sigma^2),
        about exp(-(r - R)^2 / 2 sigma^2) / sqrt(r R): the root takes back what blur pulls inwards. What is nearer to the
        axis than the darkest circle within the ring is no part of it.
        """
        radius = np.linspace(self._position[0], self._position[-1], _FINE * len(self._position))
        mass, at = np.sqrt(radius) * self._spline(radius), int(np.searchsorted(radius, ridge))
        top = at + int(np.append(np.diff(mass[at:]) <= 0, True).argmax())
        half = mass[top] / 2
        dark, darkest = np.flatnonzero(mass < half), int(self._spline(radius[:at]).argmin())
        before, after = dark[(dark < top) & (dark >= darkest)], dark[dark > top]
        if not after.size:
            return math.nan
        low = _crossing(radius, mass, before[-1], half) if before.size else radius[darkest]
        high = _crossing(radius, mass, after[0] - 1, half)
        inside = low + (high - low) * (np.arange(_PARTS) + 0.5) / _PARTS
        mass = np.sqrt(inside) * self._spline(inside)
        return float(inside @ mass / mass.sum())

    def outermost(self) -> tuple[float, float]:
        """Return the first and the last position where the profile is half as high as at most."""
        if self.flat:
            return math.nan, math.nan
        half = self._spline(self._peaks).max(initial=1.0) / 2
        halves = _finite(self._spline.solve(half, extrapolate=False))
        low = halves.min() if self._spline(self._position[0]) < half else math.nan
        high = halves.max() if self._spline(self._position[-1]) < half else math.nan
        return float(low), float(high)


def _finite(roots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return roots without those of intervals that are zero throughout, which SciPy gives as NaN."""
    return roots[np.isfinite(roots)]


def _crossing(position: NDArray[np.float64], value: NDArray[np.float64], k: int, level: float) -> float:
    """Return where a value crosses a level, between its samples k and k + 1."""
    share = (level - value[k]) / (value[k + 1] - value[k])
    return float(position[k] + share * (position[k + 1] - position[k]))
