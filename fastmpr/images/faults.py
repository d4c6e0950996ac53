"""Pixels and lines of a camera that are at fault in every plane of an image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_RUNS, _DEEP = 8, 8  # runs of planes that are averaged, and planes of each at most
_SLACK = 1.6  # times as sharp as the PSF makes light may be: an image is never quite as its PSF says
_TAIL = 0.01  # of a PSF's brightest voxel: what is fainter is not looked at; of a plane's pixels: its darkest
_FAINT = 0.05  # of it, in the brightest voxel of a plane of a PSF: what is fainter lies out of focus
_HAZE = 9  # pixels in which a haze is flat
_LOOK = 3.0  # times the usual noise: what is within it is not looked at
_SIGMAS, _ONE_RUN = 8.0, 12.0  # of what neighbours differ by, where several runs agree and where there is one
_BELOW, _STEADY_BELOW = (
    6.0,
    2.5,
)  # of them suffice below the dark of an image, where no light can be; of what light adds
_DIP = 0.02  # of an image's range below its dark may be the end of what is given of a PSF
_PHOTONS = 12.0  # that one pixel counts by chance, and others do not
_AGREEING = 0.25  # of what all runs say, each must say: what is in one of them is not the camera's
_STEADY = 4.0  # times what lines around it differ by, a line must
_EDGE = 4  # lines that tell of light beyond the edge
_MOST = 0.05  # of all pixels may be at fault: no camera has more
_PASSES = 4  # what was found no longer hides what is beside it
_LEAST = 8  # neighbours that are not suspected, of 24
_ROUNDING = 1e-6  # of the largest number: what differs by less may be the same
_WITHIN, _WITHIN_SIGMAS = 0.9, 1.64  # so much of noise is within so many standard deviations
_NORMAL = 1.48  # standard deviations of noise over the median of its size
_SIDES = ((1, 1), (1, 2), (2, 1))  # how far away the lines are that one, and either of two, is compared with
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
_AROUND = [(y, x) for reach in (1, 2) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == reach]


class Sharpness(NamedTuple):
    """How much a PSF lets light differ from pixel to pixel.

    Attributes
    ----------
    most, least : float
        The light in a pixel over the mean of the eight around it, at most and at least.
    pairs : tuple of float
        The light in a pixel over the mean of two on opposite sides of it, in each direction, at most.
    lines : tuple of float
        The same of a line and one on either side of it, so far away as `_SIDES` says.
    """

    most: float
    least: float
    pairs: tuple[float, ...]
    lines: tuple[float, ...]
    edge: float


class _Look(NamedTuple):
    """What is known of runs of planes: what is hidden in them (NaN), and their levels at each pixel."""

    runs: NDArray
    ring: NDArray  # the means of the eight pixels around each
    haze: NDArray
    floor: NDArray
    noise: NDArray
    photon: float  # what one adds to the mean of all runs, at least


def faults(values: Any, psf: NDArray) -> NDArray[np.bool_] | None:
    """Return which pixels (y, x) are at fault in all planes of an image; None where none are.

    Light behind a PSF, a sum of such points, cannot be as sharp as a pixel or line of its own, and does not stay there while
    planes go by. So a pixel is at fault if the means of several runs of planes agree that it is brighter than those around
    it by more than the PSF and noise allow, or so much darker. Neighbours that may be at fault have no say, so pairs and
    groups are found as single pixels are.
    """
    if min(values.shape[1:]) < _HAZE:
        return None
    sharp, runs = sharpness(psf), np.array(list(_means(values)))
    runs[:, ~np.isfinite(runs).all(axis=0)] = np.nan
    found = np.zeros(runs.shape[1:], bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that all is NaN somewhere
        for look in (_lines, *(_pixels,) * _PASSES):
            more = look(runs, sharp)
            if look is _pixels and not more.any():
                break
            found |= more
            runs[:, more] = np.nan
    return found if 0 < found.mean() <= _MOST else None


def sharpness(psf: NDArray) -> Sharpness:
    """Return how sharp light can be behind a PSF: it is a sum of points, so no sharper than the sharpest part of one."""
    sections = np.pad(psf[psf.max(axis=(1, 2)) > _FAINT * psf.max()], ((0, 0), (2, 2), (2, 2))).astype(float)
    around = [np.roll(sections, shift, (1, 2)) for shift in _AROUND[:8]]
    ring = np.mean(around, axis=0)
    bright = ring > _TAIL * ring.max(axis=(1, 2), keepdims=True)
    pairs = tuple(_most(sections, [np.roll(sections, k * np.array(way), (1, 2)) for k in (1, -1)]) for way in _WAYS)
    profiles = [sections.sum(axis=axis) for axis in (1, 2)]
    lines = tuple(max(_most(line, [np.roll(line, a, 1), np.roll(line, -b, 1)]) for line in profiles) for a, b in _SIDES)
    edge = max(_most(line, [np.roll(line, k, 1)]) for line in profiles for k in (1, -1))
    return Sharpness(_most(sections, around), float((sections[bright] / ring[bright]).min()), pairs, lines, edge)


def _most(light: NDArray, around: list[NDArray]) -> float:
    """Return the most that light is over the mean of what is around it, where it is bright."""
    bright = light > _TAIL * light.max(axis=tuple(range(1, light.ndim)), keepdims=True)
    with np.errstate(divide="ignore"):
        return float((light[bright] / np.mean(around, axis=0)[bright]).max())


def _means(values: Any) -> Iterator[NDArray]:
    """Yield the means of runs of planes that lie, and may be stored, side by side."""
    n = len(values)
    count = min(_RUNS, n)
    for k in range(count):
        first, last = k * n // count, (k + 1) * n // count
        planes = range(first, min(last, first + _DEEP))
        total = np.zeros(values.shape[1:], np.float32)
        for z in planes:
            total += values[z]
        yield total / len(planes)


def _lines(runs: NDArray, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which columns and rows are at fault, from one end to the other."""
    mean = runs.mean(axis=0)
    columns, rows = (_columns(plane, sharp) for plane in (mean, np.ascontiguousarray(mean.T)))
    return columns | rows[:, None]


def _columns(plane: NDArray, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which columns, alone or two together, differ from those beside them by more than PSF and noise allow."""
    none = np.zeros(plane.shape[1], bool)
    ways = zip(_SIDES, sharp.lines, strict=True)
    either = np.any([_differing(plane, none, sides, most, sharp.edge) for sides, most in ways], axis=0)
    if not either.any():
        return none
    return either & _differing(plane, either, _SIDES[0], max(sharp.lines), sharp.edge)


def _differing(plane: NDArray, hidden: NDArray, sides: tuple[int, int], most: float, edge: float) -> NDArray[np.bool_]:
    """Return which columns differ from those so far away, or further if they are hidden."""
    known, here = np.flatnonzero(~hidden), np.arange(plane.shape[1])
    if not len(known):
        return hidden
    before = np.searchsorted(known, here - sides[0], "right") - 1
    after = np.searchsorted(known, here + sides[1])
    left, right = (plane[:, known[np.clip(k, 0, len(known) - 1)]] for k in (before, after))
    left, right = np.where(before < 0, right, left), np.where(after >= len(known), left, right)
    beside = (left + right) / 2
    steps = plane - beside
    step = np.nanmedian(steps, axis=0)
    noise = _NORMAL * np.nanmedian(np.abs(steps - step), axis=0) / np.sqrt(len(plane))
    usual = max(_NORMAL * np.nanmedian(np.abs(step)), _ROUNDING * np.nanmax(np.abs(plane)))
    least = _SIGMAS * np.maximum(noise, usual)
    light = np.nanmean(beside, axis=0)  # a median is blind to few photons
    allowed = (_SLACK * most - 1) * (light - ndimage.minimum_filter1d(np.where(np.isnan(light), np.inf, light), _HAZE))
    for end, inner in ((0, known[known > 0][:_EDGE]), (-1, known[known < here[-1]][-_EDGE:])):
        is_beside = len(inner) > 1 and abs(inner[end] - here[end]) == 1
        allowed[end] = _SLACK * edge * np.ptp(np.nanmean(plane[:, inner], axis=0)) if is_beside else np.inf
    levels = np.where(hidden, np.nan, np.nanmedian(plane, axis=0))
    if hidden.any():
        least = np.maximum(least, _STEADY * _spread(levels))
    dark = np.nanquantile(levels, _TAIL)
    bright = np.minimum(step, np.nanmean(steps, axis=0)) > allowed + least
    depth = dark - np.nanmedian(plane, axis=0)
    return bright | ((step < -least) & (depth > np.maximum(least, _DIP * (np.nanmax(levels) - dark))))


def _spread(levels: NDArray) -> NDArray:
    """Return by how much the levels of columns vary around each."""
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(levels, 3, constant_values=np.nan), 7)
    others = wide[:, [0, 1, 2, 4, 5, 6]]
    return np.nanmax(others, axis=1) - np.nanmin(others, axis=1)


def _pixels(runs: NDArray, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which pixels of runs of planes are at fault."""
    look = _looked(runs)
    need = 2 if len(runs) > 3 else 1
    bright, dark = (np.count_nonzero(side, axis=0) >= need for side in (_brighter(look, sharp), _darker(look, sharp)))
    found = np.zeros(bright.shape, bool)
    for sign, places in ((1, bright), (-1, dark)):
        if places.any():
            found[places] = _confirmed(look, sharp, sign, np.nonzero(places), bright | dark)
    return found


def _looked(runs: NDArray) -> _Look:
    ring = _ring(runs)
    haze = ndimage.minimum_filter(np.where(np.isnan(ring), np.inf, ring), (1, _HAZE, _HAZE))
    floor = np.nanquantile(ring, _TAIL, axis=(1, 2), keepdims=True)
    noise = _NORMAL * np.nanmedian(np.abs(runs - ring), axis=(1, 2), keepdims=True)
    noise += _ROUNDING * np.nanmax(np.abs(runs), axis=(1, 2), keepdims=True)
    mean = runs.mean(axis=0)
    photon = _photon(mean, _NORMAL * float(np.nanmedian(np.abs(mean - ring.mean(axis=0)))))
    return _Look(runs, ring, haze, floor, noise, photon)


def _ring(runs: NDArray) -> NDArray:
    """Return the means of the eight pixels around each, of those that are known."""
    known = ~np.isnan(runs)
    if known.all():
        return _eight(runs) / 8
    total, count = _eight(np.where(known, runs, 0)), _eight(known.astype(np.float32))
    return np.divide(total, count, out=np.full(runs.shape, np.nan, np.float32), where=count > 0)


def _eight(a: NDArray) -> NDArray:
    """Return the sums of the eight pixels around each."""
    wide = np.pad(a, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] - a


def _photon(plane: NDArray, noise: float) -> float:
    """Return what one photon adds to a plane, about: the square of noise over the light, in cells that are lit."""
    ny, nx = (n // 4 for n in plane.shape)
    cells = plane[: 4 * ny, : 4 * nx].reshape(ny, 4, nx, 4).swapaxes(1, 2).reshape(-1, 16)
    rough = plane[1:-1] - (plane[:-2] + plane[2:]) / 2
    rough = np.pad(rough[:, 1:-1] - (rough[:, :-2] + rough[:, 2:]) / 2, 1) ** 2 / 2.25
    squares = np.nanmean(rough[: 4 * ny, : 4 * nx].reshape(ny, 4, nx, 4).swapaxes(1, 2).reshape(-1, 16), axis=1)
    levels = np.nanmedian(cells, axis=1)
    light = levels - np.nanquantile(levels, 0.1)
    lit = light > 3 * noise
    lit &= light >= np.nanquantile(light, 0.9)
    if np.count_nonzero(lit) >= 4:
        return float(np.nanmedian(squares[lit] / light[lit]))
    return float(np.sqrt(np.nanquantile(rough[rough > 0], 0.9))) if (rough > 0).any() else 0.0


def _brighter(look: _Look, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which pixels are brighter than those around, or on two opposite sides, by more than PSF and noise allow."""
    wide = np.pad(_shown(look), ((0, 0), (1, 1), (1, 1)), constant_values=np.inf)
    ny, nx = look.ring.shape[1:]
    found = _stands_out(look, look.ring, 8, sharp.most)
    for (y, x), most in zip(_WAYS, sharp.pairs, strict=True):
        there = wide[:, 1 + y : 1 + y + ny, 1 + x : 1 + x + nx]
        back = wide[:, 1 - y : 1 - y + ny, 1 - x : 1 - x + nx]
        found |= _stands_out(look, (there + back) / 2, 2, most)
    return found


def _stands_out(look: _Look, beside: NDArray, count: int, most: float) -> NDArray[np.bool_]:
    """Return which pixels are brighter than the mean of some beside them by more than PSF and noise allow."""
    photon, least = look.photon * len(look.runs), look.noise**2
    light = np.maximum(beside - look.haze, 0)
    light += _LOOK * np.sqrt((photon * light + least) / count) + _LOOK**2 * photon / (2 * count)  # it may have been
    light *= _SLACK * most
    return look.runs - look.haze > light + _LOOK * np.sqrt(photon * light + least)


def _darker(look: _Look, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which pixels are darker than the eight around them, and have less light than the PSF takes there."""
    light = np.maximum(look.ring - look.floor, 0)
    return (look.runs - look.floor < sharp.least / _SLACK * light) & (look.runs - look.ring < -_LOOK * look.noise)


def _deviation(values: NDArray) -> NDArray:
    """Return the standard deviation from 0 of each column of values, few of which may be outliers or NaN."""
    sizes = np.sort(np.abs(values), axis=0)
    place = (_WITHIN * np.maximum(np.count_nonzero(~np.isnan(sizes), axis=0) - 1, 0)).astype(int)
    return np.take_along_axis(sizes, place[np.newaxis], 0)[0] / _WITHIN_SIGMAS


def _shown(look: _Look) -> NDArray:
    """Return runs of planes with the medians of what is around them in hidden pixels."""
    ys, xs = np.nonzero(np.isnan(look.runs[0]))
    if not len(ys):
        return look.runs
    shown = look.runs.copy()
    shown[:, ys, xs] = np.nan_to_num(np.nanmedian(_gathered(look.runs, ys, xs), axis=1), nan=np.inf)
    return shown


def _gathered(runs: NDArray, ys: NDArray, xs: NDArray) -> NDArray:
    """Return the 24 pixels around some, the nearest first, NaN beyond the edge."""
    wide = np.pad(runs, ((0, 0), (2, 2), (2, 2)), constant_values=np.nan)
    return np.stack([wide[:, ys + 2 + y, xs + 2 + x] for y, x in _AROUND], axis=1)


def _confirmed(look: _Look, sharp: Sharpness, sign: int, places: Any, suspected: NDArray) -> NDArray[np.bool_]:
    """Return which of some pixels are at fault, in the runs that show it best, by neighbours that are not suspected."""
    trusted = np.where(suspected, np.nan, look.runs)
    around = _gathered(trusted, *places)
    near = np.nanmean(around[:, :8], axis=1)
    near = np.where(np.isnan(near), np.nanmean(around, axis=1), near)
    count = len(near) // 2 if len(near) > 3 else len(near)
    best = np.argsort(sign * near, axis=0)[:count]
    plain = np.nanstd(np.take_along_axis(around, best[:, np.newaxis], 0).mean(axis=0), axis=0)
    rough = _gathered(trusted - _ring(trusted), *places)  # light differs from pixel to pixel, but less from such means
    beside = np.take_along_axis(rough, best[:, np.newaxis], 0).mean(axis=0)
    dark = look.haze if sign > 0 else np.broadcast_to(look.floor, look.runs.shape)
    own, level, under = (
        np.take_along_axis(values, best, 0) for values in (_at(look.runs, places), near, _at(dark, places))
    )
    each, light = sign * (own - level), np.maximum((level - under).mean(axis=0), 0)
    excess, own = each.mean(axis=0), (own - under).mean(axis=0)
    photon, noise = look.photon * len(near) / count, float(look.noise.mean())
    spread = np.maximum(
        _deviation(beside - (sign > 0) * np.nanmedian(beside, axis=0)), np.sqrt(noise**2 / count + photon * light)
    )
    sigmas = _ONE_RUN if len(near) == 1 else _SIGMAS
    least = np.maximum(sigmas * spread, _PHOTONS * photon)
    if sign < 0:
        is_below = _is_below(look, own)
        least = np.where(
            is_below, np.maximum(_BELOW * spread, _STEADY_BELOW * plain), np.maximum(least, sigmas * plain)
        )
        least[_is_rim(places, look.ring.shape[1:])] = np.inf
    sure = (excess > least) & (each > _AGREEING * excess).all(axis=0)
    sure &= np.count_nonzero(~np.isnan(beside), axis=0) >= _LEAST
    return sure & (own > sharp.most * light if sign > 0 else own < sharp.least / _SLACK * light)


def _is_below(look: _Look, depth: NDArray) -> NDArray[np.bool_]:
    """Return which pixels are so far below the dark of an image that no light explains it."""
    reach = float(np.nanmax(look.ring) - look.floor.mean())
    return depth < -max(_SIGMAS * float(look.noise.mean()), _DIP * reach)


def _is_rim(places: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels lie at the edge of a plane, where a simulated image ends without the light from beyond."""
    return np.any([(k == 0) | (k == n - 1) for k, n in zip(places, shape, strict=True)], axis=0)


def _at(values: NDArray, places: Any) -> NDArray:
    return values[:, places[0], places[1]]
