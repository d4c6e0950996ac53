"""One bead in its stack: its light without the camera's offset, alone, centred, of sum 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # its parts are slow to import: this loads them at their first use
from numpy.typing import NDArray

from .._messages import warn
from . import border, company

_CERTAIN = 10  # standard deviations of smoothed noise that a bead's peak has at least
_FAINT = 3  # standard deviations of smoothed noise that a bead's light has at least
_CUT, _LOST = 0.2, 0.5  # of the peak, at the border: costs half a decibel; costs 2 dB, or the peak may be outside
_FLAT = 8  # voxels at the very maximum that a symmetric peak between voxels may have


class NoBead(ValueError):
    """A stack shows no bead, or none that is whole."""


class Bead(NamedTuple):
    """A bead at ``size // 2``.

    Attributes
    ----------
    light : ndarray
        Of sum 1 where it stands above the noise.
    noise : float
        Standard deviation of what is in it.
    other : tuple of int or None
        How far from it another one was whose light lay over its own, and is replaced.
    """

    light: NDArray
    noise: float
    other: tuple[int, ...] | None


def placed(volume: NDArray, name: str) -> Bead:
    """Return the brightest bead in a stack, or raise NoBead."""
    cleared = company.without_lone(volume)
    if cleared is not volume and _stands_out(*_above(cleared)):  # or what is alone is the bead
        volume = cleared
    light, noise = _above(volume)
    _check_whole(light, noise, name)
    whole = body(light, noise)
    found, other = company.alone(light, noise)
    if not (found != light)[whole].any():
        other = None  # it is apart from the brightest
    light, bright = found, body(found, noise)
    _warn_of_saturation(volume[bright], name)
    shown = np.where(bright, light, 0)
    shift = [n // 2 - centre for n, centre in zip(light.shape, scipy.ndimage.center_of_mass(shown**2), strict=True)]
    total = shown.sum()
    moved = scipy.ndimage.shift(light, shift, order=5, mode="grid-constant")
    return Bead(moved / total, noise / total, other)


def _above(volume: NDArray) -> tuple[NDArray, float]:
    """Return a stack without the camera's offset, and its noise."""
    faces = border.faces(volume)
    return volume - border.level(faces), border.noise(faces)


def _stands_out(light: NDArray, noise: float) -> bool:
    return bool(company.smooth(light).max() > _CERTAIN * company.smoothed(noise, light.ndim))


def body(light: NDArray, noise: float) -> NDArray[np.bool_]:
    """Return where a bead's light stands above the noise, in one piece around its peak."""
    blurred = company.smooth(light)
    pieces, _ = scipy.ndimage.label(blurred > _FAINT * company.smoothed(noise, light.ndim))
    return pieces == pieces[np.unravel_index(blurred.argmax(), light.shape)]


def _check_whole(light: NDArray, noise: float, name: str) -> None:
    """Refuse a stack without a bead, or with one near its border; warn of one that reaches it."""
    if not _stands_out(light, noise):
        raise NoBead(f"{name}: found a peak of {light.max():.4g} in noise of {noise:.4g}, need a bead that stands out")
    share = max(_share_at_border(light, axis, noise) for axis in range(light.ndim))
    if share > _LOST:
        raise NoBead(f"{name}: found a bead cut off by the border, with {share:.0%} of its peak there, need it whole")
    if share > _CUT:
        warn(
            f"{name}: found {share:.0%} of the bead's peak at the border, which cuts it off and makes the PSF too small: "
            "take more of the stack around it"
        )


def _share_at_border(light: NDArray, axis: int, noise: float) -> float:
    """Return how bright the faces across an axis are beside the brightest plane, each smoothed within itself only.

    Those of a plane are lines, in which noise is bright somewhere.
    """
    room = _FAINT * company.smoothed(noise, 1) if light.ndim == 2 else 0.0
    others = tuple(k for k in range(light.ndim) if k != axis)
    blurred = scipy.ndimage.gaussian_filter(light, [float(k in others) for k in range(light.ndim)], mode="nearest")
    profile = blurred.max(axis=others)
    return float((max(profile[0], profile[-1]) - room) / profile.max())


def _warn_of_saturation(bright: NDArray, name: str) -> None:
    """Warn of a plateau: of many voxels at the maximum, where a peak has few beside those almost as bright."""
    top = bright.max()
    count = int((bright == top).sum())
    if count > _FLAT and 4 * count > (bright > 0.9 * top).sum():
        warn(
            f"{name}: found {count} voxels at the maximum, {top:g}, so the bead looks saturated and the PSF too wide: "
            "take one that is exposed less"
        )
