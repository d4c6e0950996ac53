"""Likely mistakes in a PSF that is given as it is: a camera's offset under it, a centre elsewhere, and the like.

What is looked for costs a reconstruction about a third of a decibel or more. What `gaussian` and `born_wolf` return has none
of it, in an array that is not much smaller than its bright part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .._validation import axes, moderate
from . import border

_OFFSET = 0.03  # of the sum, as a level under everything: costs 0.4 dB of a widefield PSF
_UNIFORM = 0.8  # of the border's median, in its darkest part: a computed PSF's rings and cones stay below 0.75
_NEGATIVE = 0.02  # of the sum, beyond what noise explains: costs 0.3 dB
_BESIDE = 0.16  # of a standard deviation, between the centre and where it should be: costs 0.3 dB
_EXACT = 0.05  # voxels: a PSF whose centre of mass was moved there has it as near as this
_SHARPEST = 0.5  # voxels, the standard deviation of the narrowest PSF that its voxels can show
_SMALLEST = 7  # voxels along an axis of odd size: with fewer, all of it is border
_AT_CORNERS = 0.93  # of a plane's border midway, at its corners: Gaussians cut by it stay below 0.83
_CERTAIN = 20  # standard errors of the mean of a plane's border, which has few voxels, that its level has at least
_ROOM = 5  # standard errors of a plane's noise, which few voxels tell, that it may be higher
_FAINT = 1e-3  # of the peak: light fades to less before it is nowhere, the edges of a drawing do not
_EVEN, _ROUNDING = 1e-4, 1e-6  # of the peak: what a box's values may differ by, and what is dark around it
_NARROW = 0.75  # of the peak, at the border: costs 0.4 to 10 dB, and half of it often nothing
_NEGATIVE_NOISE = 1.1 * np.sqrt(2 / np.pi)  # standard deviations: the mean size of what is negative of noise, and room
_MEASURED = "fastmpr.psf.measured (--psf-measured)"


def check(psfs: Mapping[str, NDArray]) -> None:
    """Warn of what looks wrong in the first of several PSFs that is not as it should be, and of how many others are not."""
    found = {name: texts for name, psf in psfs.items() if (texts := list(_look(psf)))}
    if not found:
        return
    name, texts = next(iter(found.items()))
    others = f" (and something of the kind in {len(found) - 1} more)" if len(found) > 1 else ""
    for text in texts:
        warn(f"{name}: {text}{others}")


def _look(psf: NDArray) -> Iterator[str]:
    psf = psf[0] if len(psf) == 1 else psf  # a plane, for images of two dimensions
    odd = psf[tuple(slice(1 - n % 2, None) for n in psf.shape)]  # an even axis has one sample more before the centre
    if odd.size <= 1 or not odd.sum(dtype=np.float64) > 0:  # or it is an error where it is used
        return
    if _is_figure(psf):
        yield from filter(None, [_beside(moderate(psf))])
        return
    scaled = moderate(odd)
    yield from _findings(scaled, float(odd.max()) / float(scaled.max()))


def _is_figure(psf: NDArray) -> bool:
    """Return whether a PSF is a box, a disc, a line or the like, all of one brightness: meant so up to its border."""
    peak = psf.max()
    inside = psf > 0.5 * peak
    even = psf[inside].min() >= (1 - _EVEN) * peak
    return bool(even and np.abs(psf[~inside]).max(initial=0) <= _ROUNDING * peak)


def _findings(psf: NDArray, unit: float) -> Iterator[str]:
    """Say what looks wrong in a PSF of odd sizes and a positive sum, in a unit of intensity."""
    plane = psf.ndim == 2
    faces = border.faces(psf)
    outermost = border.values(faces)
    noise = _noise(faces, plane)
    level = border.low_level(outermost, noise)
    total, peak = float(psf.sum(dtype=np.float64)), float(psf.max())
    share = level * psf.size / total
    dark = (outermost == 0).mean() > border.LOWEST  # as around what `measured` returns
    uniform = level > _UNIFORM * np.median(outermost) and outermost.max() < peak
    offset = share > _OFFSET and uniform and not dark and min(psf.shape) >= _SMALLEST
    if offset and plane:
        certain = level > _CERTAIN * noise / np.sqrt(outermost.size)
        offset = certain and border.at_corners(faces) > _AT_CORNERS
    beside = _beside(psf - psf.dtype.type(level) if offset else psf)
    faint = (outermost > 0) & (outermost < _FAINT * peak)
    drawn = plane and dark and not faint.any()  # a line or a disc whose edges are smoothed
    if not beside and outermost.max() > _NARROW * peak and not drawn:
        yield (
            f"found {outermost.max() / peak:.0%} of its peak at its border, so hardly more than its peak is in the array: "
            f"need a larger one, or, if this is a camera's offset, {_MEASURED}"
        )
        return
    if offset:
        yield (
            f"found a level of {level * unit:.4g} at its border, which looks like a camera's offset and is {share:.0%} of "
            f"its sum: need it taken off, as {_MEASURED} does"
        )
    if excess := _negative_share(psf, noise * (1 + _ROOM / np.sqrt(outermost.size) if plane else 1), total):
        yield (
            f"found negative values of {excess:.0%} of its sum, which light cannot have: need less background taken off, "
            f"or the bead as the camera gave it and {_MEASURED}"
        )
    if beside:
        yield beside


def _noise(faces: list[tuple[NDArray, NDArray]], plane: bool) -> float:
    """Return the standard deviation of a border's noise; what finds it takes some structure for it, hardly the same."""
    rough, odd = border.noise(faces), border.asymmetry(faces)
    return rough if plane and odd > 0.3 * rough else min(rough, odd)  # of few voxels, the least is too low


def _negative_share(psf: NDArray, noise: float, total: float) -> float:
    """Return the share that negative values have, without those of noise, or 0 where it is negligible."""
    negative = psf[psf < 0]
    excess = -float(negative.sum(dtype=np.float64)) - _NEGATIVE_NOISE * noise * negative.size
    return excess / total if excess > _NEGATIVE * total else 0.0


def _beside(light: NDArray) -> str:
    """Say where the centre is, if not in the middle by any definition of it.

    That of the squared light is where the transfer function's phase is flat on average, its power as weight (Parseval): what
    a reconstruction feels. In a lopsided PSF other definitions are apart from it, by about half the skewness times the
    standard deviation from mean to peak, so it has that much more room; and the centre of mass is good where it is exact.
    """
    middle = tuple(n // 2 for n in light.shape)
    top = np.unravel_index(light.argmax(), light.shape)
    mass, _, _ = _moments(light)
    if not light[middle] > 0.5 * light[top] and not _is_ring(light, mass):
        fix = "numpy.fft.fftshift moves" if max(top) <= 1 else f"fastmpr.psf.centred or {_MEASURED} move"
        return (
            f"found its peak {_vector(np.subtract(top, middle))} voxels {axes(light.ndim)} from size // 2, where it is "
            f"dark: need its centre there, as {fix} it"
        )
    centre, spread, skewness = _moments(light * light)
    sigma = np.maximum(np.sqrt(2) * spread, _SHARPEST)  # a Gaussian is wider than its square
    distance = np.linalg.norm(centre / sigma)
    if np.abs(mass).max() <= _EXACT or distance <= _BESIDE + np.linalg.norm(skewness):
        return ""
    return (
        f"found its centre {_vector(centre)} voxels {axes(light.ndim)} from size // 2, which moves every view by as much: "
        f"need it there, as fastmpr.psf.centred or {_MEASURED} move it"
    )


def _is_ring(light: NDArray, mass: NDArray) -> bool:
    """Return whether a plane is dark where it is centred, as some are out of focus."""
    if light.ndim != 2 or np.abs(mass).max() > _EXACT:
        return False
    return bool(border.values(border.faces(light)).max() < _NARROW * light.max())


def _moments(weight: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the centre of a weight from the middle of the array, its standard deviation and its skewness, on each axis."""
    total = weight.sum(dtype=np.float64)
    centre, spread, skewness = np.zeros((3, weight.ndim))
    if not total > 0:  # more negative than light, which is said elsewhere
        return centre, spread, skewness
    for axis, n in enumerate(weight.shape):
        share = weight.sum(axis=tuple({*range(weight.ndim)} - {axis}), dtype=np.float64) / total
        offsets = np.arange(n) - n // 2
        centre[axis] = share @ offsets
        spread[axis] = np.sqrt(max(share @ (offsets - centre[axis]) ** 2, 0))
        if spread[axis] > 0:
            skewness[axis] = share @ (offsets - centre[axis]) ** 3 / spread[axis] ** 3
    return centre, spread, skewness


def _vector(values: NDArray) -> str:
    return f"({', '.join(f'{value:.2f}' for value in values)})"
