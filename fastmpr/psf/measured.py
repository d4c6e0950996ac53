"""PSFs that a camera gave: the offset taken off, centred, without the noise around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy  # its parts are slow to import: this loads them at their first use
from numpy.typing import ArrayLike, NDArray

from .._messages import warn
from .._validation import as_intensities
from . import border

_SMALLEST = 5  # voxels along an axis: with fewer, a stack is border and bead at once
_CERTAIN = 10  # standard deviations of smoothed noise that a bead's peak has at least
_FAINT = 3  # standard deviations of smoothed noise that a bead's light has at least
_SMOOTHING = (4 * np.pi) ** 0.75  # what a Gaussian of one voxel divides the standard deviation of white noise by
_CUT, _LOST = 0.2, 0.5  # of the peak, at the border: costs half a decibel; costs 2 dB, or the peak may be outside
_FLAT = 8  # voxels at the very maximum that a symmetric peak between voxels may have


def centred(psf: ArrayLike) -> NDArray:
    """Move a measured PSF so that its centre of mass lies at ``size // 2`` on each axis.

    Parameters
    ----------
    psf : (nz, ny, nx) array_like
        PSF of positive sum, its background subtracted.

    Returns
    -------
    (nz, ny, nx) ndarray
        Shifted by a cubic spline, zero where nothing was measured; float64 stays, all else is float32.

    Raises
    ------
    ValueError
        If the PSF is not 3-D and finite, or its sum is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr import psf
    >>> h = psf.gaussian(15, sigma=1.5)
    >>> bool(np.allclose(psf.centred(np.roll(h, 2, axis=0)), h, atol=1e-5))
    True
    """
    volume = as_intensities(psf, "psf")
    total = volume.sum(dtype=np.float64)
    if not total > 0:
        raise ValueError(f"psf: found a sum of {total:g}, need a PSF whose sum is positive")
    shift = [n // 2 - centre for n, centre in zip(volume.shape, scipy.ndimage.center_of_mass(volume), strict=True)]
    return scipy.ndimage.shift(volume, shift, order=3, mode="constant")


def measured(stack: ArrayLike | Sequence[ArrayLike]) -> NDArray:
    """Make a PSF of an image of a bead, or the mean PSF of several.

    What the camera adds to every voxel is taken off, the bead is moved to the centre by a fraction of a voxel, and noise
    around it becomes zero. It should be much smaller than the PSF, and alone in its stack.

    Parameters
    ----------
    stack : (nz, ny, nx) array_like, or sequence of them
        Counts of any kind and unit, the bead anywhere within; at least 5 voxels along each axis. Several stacks have one
        shape; each bead is centred and scaled to sum 1 first, and all weigh the same.

    Returns
    -------
    (nz, ny, nx) ndarray
        Non-negative, centred at ``size // 2`` on each axis, of sum 1; float64 stays, all else is float32.

    Raises
    ------
    ValueError
        If a stack is not 3-D and finite, too small or without a bead, if a bead is cut off by the border near its peak, or
        the shapes differ.

    Warns
    -----
    FastmprWarning
        If a bead is saturated, or the border cuts off some of it.

    Notes
    -----
    The offset is the mean of the border's voxels that are as dark as its darkest twentieth, noise considered. Light is what
    stands above the noise, in one piece around the peak; the rest, such as the faint end of a widefield PSF's cone, is
    lost, and the less the more beads there are. The centre is that of the squared light, so weighed by the
    light itself: it is where the transfer function's phase is flat on average, its power as weight (Parseval), and hardly
    feels noise, tails or where the border cuts them. For symmetric PSFs it is the centre of mass.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr import psf
    >>> h = psf.gaussian((21, 13, 13), sigma=(3, 1, 1))
    >>> counts = 100 + 4000 / h.max() * np.roll(h, (1, 0, -2), axis=(0, 1, 2))
    >>> found = psf.measured(np.rint(counts).astype(np.uint16))
    >>> bool(abs(found - h).max() < 0.005 * h.max())
    True
    """
    beads, dtype = _as_beads(stack)
    placed = [*map(_placed, beads.values(), beads)]
    mean = np.mean([light for light, _ in placed], axis=0)
    noise = np.sqrt(sum(sigma**2 for _, sigma in placed)) / len(placed)
    psf = np.where(_body(mean, noise), np.maximum(mean, 0), 0)
    return (psf / psf.sum()).astype(dtype)


def _as_beads(stack: Any) -> tuple[dict[str, NDArray], Any]:
    """Return the stacks in float64 by their names, and the precision asked for."""
    several = stack.ndim == 4 and len(stack) > 0 if isinstance(stack, np.ndarray) else _holds_volumes(stack)
    given = {f"stack[{k}]": one for k, one in enumerate(stack)} if several else {"stack": stack}
    beads = {name: as_intensities(one, name) for name, one in given.items()}
    shape = next(iter(beads.values())).shape
    for name, volume in beads.items():
        if min(volume.shape) < _SMALLEST:
            raise ValueError(f"{name}: found shape {volume.shape}, need at least {_SMALLEST} voxels along each axis")
        if volume.shape != shape:
            raise ValueError(f"{name}: found shape {volume.shape}, need {shape}, as the first has")
    dtype = np.result_type(*(volume.dtype for volume in beads.values()))
    return {name: volume.astype(np.float64) for name, volume in beads.items()}, dtype


def _holds_volumes(stack: Any) -> bool:
    return isinstance(stack, list | tuple) and {getattr(one, "ndim", 0) for one in stack} == {3}


def _placed(volume: NDArray, name: str) -> tuple[NDArray, float]:
    """Return a bead without its offset, centred, of sum 1, and the noise in it."""
    faces = border.faces(volume)
    noise = border.noise(faces)
    light = volume - border.level(faces)
    _check_whole(light, noise, name)
    body = _body(light, noise)
    _warn_of_saturation(volume[body], name)
    bright = np.where(body, light, 0)
    shift = [n // 2 - centre for n, centre in zip(light.shape, scipy.ndimage.center_of_mass(bright**2), strict=True)]
    total = bright.sum()
    return scipy.ndimage.shift(light, shift, order=5, mode="grid-constant") / total, noise / total


def _body(light: NDArray, noise: float) -> NDArray[np.bool_]:
    """Return where a bead's light stands above the noise, in one piece around its peak."""
    smooth = scipy.ndimage.gaussian_filter(light, 1, mode="nearest")
    pieces, _ = scipy.ndimage.label(smooth > _FAINT * noise / _SMOOTHING)
    return pieces == pieces[np.unravel_index(smooth.argmax(), light.shape)]


def _check_whole(light: NDArray, noise: float, name: str) -> None:
    """Refuse a stack without a bead, or with one near its border; warn of one that reaches it."""
    smooth = scipy.ndimage.gaussian_filter(light, 1, mode="nearest")
    peak = float(smooth.max())
    if not peak > _CERTAIN * noise / _SMOOTHING:
        raise ValueError(
            f"{name}: found a peak of {light.max():.4g} in noise of {noise:.4g}, need a bead that stands out"
        )
    share = max(_share_at_border(light, axis) for axis in range(3))
    if share > _LOST:
        raise ValueError(
            f"{name}: found a bead cut off by the border, with {share:.0%} of its peak there, need it whole"
        )
    if share > _CUT:
        warn(
            f"{name}: found {share:.0%} of the bead's peak at the border, which cuts it off and makes the PSF too small: "
            "take more of the stack around it"
        )


def _share_at_border(light: NDArray, axis: int) -> float:
    """Return how bright the faces across an axis are beside the brightest plane, each smoothed within itself only."""
    smooth = scipy.ndimage.gaussian_filter(light, [float(k != axis) for k in range(3)], mode="nearest")
    profile = smooth.max(axis=tuple({0, 1, 2} - {axis}))
    return float(max(profile[0], profile[-1]) / profile.max())


def _warn_of_saturation(bright: NDArray, name: str) -> None:
    """Warn of a plateau: of many voxels at the maximum, where a peak has few beside those almost as bright."""
    top = bright.max()
    count = int((bright == top).sum())
    if count > _FLAT and 4 * count > (bright > 0.9 * top).sum():
        warn(
            f"{name}: found {count} voxels at the maximum, {top:g}, so the bead looks saturated and the PSF too wide: "
            "take one that is exposed less"
        )
