"""What a stack shows beside its bead: voxels and lines of the camera's own, and other beads."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import scipy  # its parts are slow to import: this loads them at their first use
from numpy.typing import NDArray

_ALONE = 8  # times its neighbours: more than the peak of any PSF that its voxels can show
_VOXEL, _LINE = 0.2, 0.05  # of the peak, above the rest, that a voxel and a line of them matter with
_EVERYWHERE = 0.2  # of a line: what is brighter only there is no line
_MANY = 0.05  # of the voxels: no defects
_OTHER = 0.1  # of the peak, that another bead has above what mirrors it: more than aberrations make
_CERTAIN, _FAINT = 6, 3  # standard deviations of smoothed noise, at its peak and at its end
_AT_BORDER = 3.0  # times those, in a corner
_CORE = 0.5  # of the peak: the bead itself


def smooth(light: NDArray) -> NDArray:
    """Return light blurred by a voxel, so that noise hides less of it."""
    return scipy.ndimage.gaussian_filter(light, 1, mode="nearest")


def smoothed(noise: float, dimensions: int) -> float:
    """Return what `smooth` leaves of the standard deviation of white noise."""
    return float(noise / (4 * np.pi) ** (dimensions / 4))


# ---- the camera


def without_lone(volume: NDArray) -> NDArray:
    """Return a stack with its lone voxels, pixels and lines of pixels as their neighbours are; itself if it has none."""
    last = volume.ndim - 1
    planes = tuple(range(last - 1))
    least = _least(volume)
    for along in ((), (*planes, last - 1), (*planes, last), planes):  # what is brightest first: it hides the rest
        low = np.quantile(volume, _EVERYWHERE, axis=along) if along else volume
        mask = _lone(low, least[bool(along)])
        if 0 < mask.sum() <= max(1, _MANY * mask.size):
            volume = _mended(volume, mask, along)
            least = _least(volume)
    return volume


def _least(volume: NDArray) -> tuple[float, float]:
    """Return what a voxel, and a line of them, has above the rest if it matters."""
    middle = np.median(volume)
    peak = float(smooth(volume).max() - middle)
    return _VOXEL * peak, max(_LINE * peak, _spread(volume - middle))


def _lone(image: NDArray, least: float) -> NDArray[np.bool_]:
    """Return what stands out from all its neighbours but one, which may be its like; of a line, from both."""
    neighbours = np.ones((3,) * image.ndim, bool)
    neighbours[(1,) * image.ndim] = False
    above = image - np.median(image)
    rank = -1 if image.ndim == 1 else -2
    beside = scipy.ndimage.rank_filter(above, rank, footprint=neighbours, mode="constant", cval=-np.inf)
    lone: NDArray[np.bool_] = above > np.maximum(_ALONE * np.maximum(beside, _spread(above)), least)
    return lone


def _spread(above: NDArray) -> float:
    """Return the standard deviation of noise about 0, where a camera may have cut it off; more where light fills much."""
    return float(np.quantile(np.abs(above), 0.9) / 1.645)


def _mended(volume: NDArray, mask: NDArray[np.bool_], along: tuple[int, ...]) -> NDArray:
    """Return a stack with what is masked, in all of it along some axes, as the median of its neighbours."""
    mended = volume.copy()
    view = np.moveaxis(mended, along, range(len(along)))
    all_along = (slice(None),) * len(along)
    for place in zip(*np.nonzero(mask), strict=True):
        box = tuple(slice(max(k - 1, 0), k + 2) for k in place)
        view[(*all_along, *place)] = np.median(view[(*all_along, *box)][..., ~mask[box]], axis=-1)
    return mended


# ---- other beads


def alone(light: NDArray, noise: float) -> tuple[NDArray, tuple[int, ...] | None]:
    """Return the light of the brightest bead with that of others replaced, and how far away the brightest of them was.

    A PSF is nearly the same where it is turned by half about the optical axis. What is there takes the place of another
    bead: of light that has a peak of its own, and far more than it should.
    """
    for _ in range(2):  # again without voxels that are alone in what turning changes, as a defect amid the light is
        blurred = smooth(light)
        top = np.unravel_index(blurred.argmax(), light.shape)
        core = _piece(blurred > _CORE * blurred[top], top)
        shift = _shift(light.shape, scipy.ndimage.center_of_mass(np.where(core, light, 0) ** 2))
        turned = scipy.ndimage.shift(light[..., ::-1, ::-1], shift, order=3, mode="nearest")
        lone = _lone(light - turned, _VOXEL * blurred[top])
        if not lone.any():
            break
        light = np.where(lone, turned, light)
    excess = smooth(light - turned)
    sigma = np.sqrt(2) * smoothed(noise, light.ndim)
    near = scipy.ndimage.binary_dilation(core, iterations=2)
    peaks = (blurred == scipy.ndimage.maximum_filter(blurred, 3)) & ~near
    peaks &= excess > np.maximum(_OTHER * blurred[top], _CERTAIN * sigma * _doubt(light.shape, shift))
    if not peaks.any():
        return light, None
    pieces, _ = scipy.ndimage.label((excess > _FAINT * sigma) & ~core)
    foreign = np.isin(pieces, pieces[peaks])
    brightest = np.unravel_index(np.where(peaks, blurred, -np.inf).argmax(), light.shape)
    return np.where(foreign, turned, light), tuple(int(a - b) for a, b in zip(brightest, top, strict=True))


def _piece(mask: NDArray, place: tuple[np.intp, ...]) -> NDArray[np.bool_]:
    pieces, _ = scipy.ndimage.label(mask)
    return pieces == pieces[place]


def _shift(shape: tuple[int, ...], centre: tuple[float, ...]) -> list[float]:
    """Return what moves a stack that was reversed along y and x so that it is turned about a centre."""
    aside = [2 * c - (n - 1) for c, n in zip(centre[-2:], shape[-2:], strict=True)]
    return [0.0] * (len(shape) - 2) + aside


def _doubt(shape: tuple[int, ...], shift: list[float]) -> NDArray:
    """Return how much more noise `smooth` leaves, at most: more at the border, and where nothing was turned to."""
    doubt = np.full(shape, _AT_BORDER)
    doubt[tuple(slice(1 + max(ceil(s), 0), n - 1 + min(floor(s), 0)) for s, n in zip(shift, shape, strict=True))] = 1
    return doubt
