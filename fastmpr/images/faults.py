"""Pixels and lines of a camera that are at fault in every plane of an image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_RUNS, _DEEP = 8, 8  # most runs of planes, and most planes that are averaged in a run
_SLACK = 1.6  # light may be this much sharper than the PSF allows, because no PSF is exact
_TAIL = 0.01  # of a PSF's peak: fainter voxels are ignored; also the quantile of a plane's pixels that counts as dark
_FAINT = 0.05  # of a PSF's peak: planes of the PSF that are fainter lie out of focus
_HAZE = 9  # pixels over which haze is flat
_LOOK = 3.0  # times the usual noise: smaller differences are ignored
_SIGMAS, _ONE_RUN = 8.0, 12.0  # times the spread of the neighbours, for several runs that agree and for a single run
_BELOW, _STEADY_BELOW = 6.0, 2.5  # these suffice below the dark, where no light is: times the noise, times the spread
_DIP = 0.02  # of an image's range: a truncated PSF may leave a dip that deep below the dark
_PHOTONS = 12.0  # photons that one pixel may count by chance and its neighbours not
_AGREEING = 0.25  # of the mean excess, in every run: what is in a single run is not a fault of the camera
_STEADY = 4.0  # times the spread of the lines around it: a line at fault differs by more
_EDGE = 4  # lines from which the light beyond the edge is judged
_MOST = 0.05  # of all pixels may be at fault: no camera has more
_PASSES = 4  # repeated, because a pixel that was found no longer hides its neighbours
_BLOCK = 1 << 14  # suspects that are looked at together, with their neighbours
_LEAST = 8  # of the 24 neighbours must not be suspected
_ROUNDING = 1e-6  # of the largest number: smaller differences may be rounding
_WITHIN, _WITHIN_SIGMAS = 0.9, 1.64  # share of noise within this many standard deviations
_NORMAL = 1.48  # standard deviation of noise over its median absolute value
_SIDES = ((1, 1), (1, 2), (2, 1))  # distances to the lines on either side: of a single line, and of each line of a pair
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
_AROUND = [(y, x) for reach in (1, 2) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == reach]


class Sharpness(NamedTuple):
    """How much a PSF lets light differ from pixel to pixel.

    Attributes
    ----------
    most, least : float
        The light in a pixel over the mean of the eight pixels around it, at most and at least.
    pairs : tuple of float
        The light in a pixel over the mean of two pixels on opposite sides, at most, in each direction.
    lines : tuple of float
        The light in a line over the mean of a line on either side, at most, for each pair of `_SIDES`.
    edge : float
        The light in a line over that in the line beside it, at most.
    """

    most: float
    least: float
    pairs: tuple[float, ...]
    lines: tuple[float, ...]
    edge: float


class _Look(NamedTuple):
    """The means of runs of planes, with hidden pixels NaN, and their levels at each pixel.

    Attributes
    ----------
    runs : (n, ny, nx) ndarray
    haze : (n, ny, nx) ndarray
        The least of the means around the pixels nearby.
    floor, noise : (n, 1, 1) ndarray
    highest : float
        Of the means around the pixels.
    photon : float
        What one photon adds to the mean of a run, at least.
    """

    runs: NDArray
    haze: NDArray
    floor: NDArray
    noise: NDArray
    highest: float
    photon: float

    def each(self) -> Iterator[_Look]:
        """Yield a look at each run alone: what is made of all runs at once takes the memory of many planes."""
        for k in range(len(self.runs)):
            yield self._replace(**{name: getattr(self, name)[k : k + 1] for name in ("runs", "haze", "floor", "noise")})


def faults(values: Any, psf: NDArray) -> NDArray[np.bool_] | None:
    """Return which pixels (y, x) are at fault in all planes of an image; None if there are none.

    Light that passed a PSF cannot be as sharp as a single pixel or line, and does not stay in one place from plane to plane.
    So a pixel is at fault if it is brighter or darker than its neighbours by more than the PSF and noise allow, in the means
    of several runs of planes. Neighbours that may be at fault do not count, so pairs and groups are found as single pixels
    are.
    """
    if min(values.shape[1:]) < _HAZE:
        return None
    sharp, runs = sharpness(psf), np.array(list(_means(values)))
    runs[:, ~np.isfinite(runs).all(axis=0)] = np.nan
    found = np.zeros(runs.shape[1:], bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of NaN alone
        for look in (_lines, *(_pixels,) * _PASSES):
            more = look(runs, sharp)
            if look is _pixels and not more.any():
                break
            found |= more
            runs[:, more] = np.nan
    return found if 0 < found.mean() <= _MOST else None


def sharpness(psf: NDArray) -> Sharpness:
    """Return how sharp light can be after a PSF: a sum of points is no sharper than the sharpest part of one point."""
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
    """Return the maximum of light over the mean of its surroundings, where the light is bright."""
    bright = light > _TAIL * light.max(axis=tuple(range(1, light.ndim)), keepdims=True)
    with np.errstate(divide="ignore"):
        return float((light[bright] / np.mean(around, axis=0)[bright]).max())


def _means(values: Any) -> Iterator[NDArray]:
    """Yield the means of runs of adjacent planes, which may be stored together."""
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
    """Return the pixels of columns and rows that are at fault over their whole length."""
    mean = runs.mean(axis=0)
    columns, rows = (_columns(plane, sharp) for plane in (mean, np.ascontiguousarray(mean.T)))
    return columns | rows[:, None]


def _columns(plane: NDArray, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which columns, single or in pairs, differ from those beside them by more than PSF and noise allow."""
    none = np.zeros(plane.shape[1], bool)
    ways = zip(_SIDES, sharp.lines, strict=True)
    either = np.any([_differing(plane, none, sides, most, sharp.edge) for sides, most in ways], axis=0)
    if not either.any():
        return none
    return either & _differing(plane, either, _SIDES[0], max(sharp.lines), sharp.edge)


def _differing(plane: NDArray, hidden: NDArray, sides: tuple[int, int], most: float, edge: float) -> NDArray[np.bool_]:
    """Return which columns differ from the columns at given distances on both sides, skipping hidden ones."""
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
    light = np.nanmean(beside, axis=0)  # the median of few photons is 0
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
    """Return the range of the levels of the columns around each column."""
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(levels, 3, constant_values=np.nan), 7)
    others = wide[:, [0, 1, 2, 4, 5, 6]]
    return np.nanmax(others, axis=1) - np.nanmin(others, axis=1)


def _pixels(runs: NDArray, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which pixels of runs of planes are at fault."""
    look = _looked(runs)
    need = 2 if len(runs) > 3 else 1
    counts = np.zeros((2, *runs.shape[1:]), np.int8)
    for one in look.each():
        ring = _ring(one.runs)
        counts[0] += _brighter(one, ring, sharp)[0]
        counts[1] += _darker(one, ring, sharp)[0]
    bright, dark = counts >= need
    found = np.zeros(bright.shape, bool)
    for sign, places in ((1, bright), (-1, dark)):
        ys, xs = np.nonzero(places)
        for first in range(0, len(ys), _BLOCK):
            some = ys[first : first + _BLOCK], xs[first : first + _BLOCK]
            found[some] = _confirmed(look, sharp, sign, some, bright | dark)
    return found


def _looked(runs: NDArray) -> _Look:
    haze, floor, noise, total = np.empty_like(runs), [], [], np.zeros(runs.shape[1:], runs.dtype)
    highest = -np.inf
    for k in range(len(runs)):
        run, ring = runs[k], _ring(runs[k : k + 1])[0]
        haze[k] = ndimage.minimum_filter(np.where(np.isnan(ring), np.inf, ring), _HAZE)
        floor.append(np.nanquantile(ring, _TAIL))
        noise.append(_NORMAL * np.nanmedian(np.abs(run - ring)) + _ROUNDING * np.nanmax(np.abs(run)))
        highest = np.fmax(highest, np.nanmax(ring))
        total += ring
    mean = runs.mean(axis=0)
    photon = _photon(mean, _NORMAL * float(np.nanmedian(np.abs(mean - total / len(runs)))))
    floors, noises = (np.reshape(np.array(each, runs.dtype), (-1, 1, 1)) for each in (floor, noise))
    return _Look(runs, haze, floors, noises, float(highest), photon * len(runs))


def _ring(runs: NDArray) -> NDArray:
    """Return the mean of the known ones of the eight pixels around each pixel."""
    known = ~np.isnan(runs)
    if known.all():
        return _eight(runs) / 8
    total, count = _eight(np.where(known, runs, 0)), _eight(known.astype(np.float32))
    return np.divide(total, count, out=np.full(runs.shape, np.nan, np.float32), where=count > 0)


def _eight(a: NDArray) -> NDArray:
    """Return the sum of the eight pixels around each pixel."""
    wide = np.pad(a, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] - a


def _photon(plane: NDArray, noise: float) -> float:
    """Return about what one photon adds to a plane: the variance of the noise over the light, in lit cells."""
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


def _brighter(look: _Look, ring: NDArray, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which pixels exceed the pixels around them, or on two opposite sides, by more than PSF and noise allow."""
    wide = np.pad(_shown(look), ((0, 0), (1, 1), (1, 1)), constant_values=np.inf)
    ny, nx = ring.shape[1:]
    found = _stands_out(look, ring, 8, sharp.most)
    for (y, x), most in zip(_WAYS, sharp.pairs, strict=True):
        there = wide[:, 1 + y : 1 + y + ny, 1 + x : 1 + x + nx]
        back = wide[:, 1 - y : 1 - y + ny, 1 - x : 1 - x + nx]
        found |= _stands_out(look, (there + back) / 2, 2, most)
    return found


def _stands_out(look: _Look, beside: NDArray, count: int, most: float) -> NDArray[np.bool_]:
    """Return which pixels exceed the mean of ``count`` pixels beside them by more than PSF and noise allow."""
    photon, least = look.photon, look.noise**2
    light = np.maximum(beside - look.haze, 0)
    light += _LOOK * np.sqrt((photon * light + least) / count) + _LOOK**2 * photon / (2 * count)  # true upper limit
    light *= _SLACK * most
    return look.runs - look.haze > light + _LOOK * np.sqrt(photon * light + least)


def _darker(look: _Look, ring: NDArray, sharp: Sharpness) -> NDArray[np.bool_]:
    """Return which pixels are darker than the eight around them, and have less light than the PSF spreads there."""
    light = np.maximum(ring - look.floor, 0)
    return (look.runs - look.floor < sharp.least / _SLACK * light) & (look.runs - ring < -_LOOK * look.noise)


def _deviation(values: NDArray) -> NDArray:
    """Return the standard deviation from 0 of each column of values; a few values may be outliers or NaN."""
    sizes = np.sort(np.abs(values), axis=0)
    place = (_WITHIN * np.maximum(np.count_nonzero(~np.isnan(sizes), axis=0) - 1, 0)).astype(int)
    return np.take_along_axis(sizes, place[np.newaxis], 0)[0] / _WITHIN_SIGMAS


def _shown(look: _Look) -> NDArray:
    """Return runs of planes with hidden pixels replaced by the median of the pixels around them."""
    ys, xs = np.nonzero(np.isnan(look.runs[0]))
    if not len(ys):
        return look.runs
    shown = look.runs.copy()
    shown[:, ys, xs] = np.nan_to_num(np.nanmedian(_gathered(look.runs, ys, xs), axis=1), nan=np.inf)
    return shown


def _gathered(runs: NDArray, ys: NDArray, xs: NDArray) -> NDArray:
    """Return the 24 pixels around each given pixel, the nearest first, NaN beyond the edge."""
    wide = np.pad(runs, ((0, 0), (2, 2), (2, 2)), constant_values=np.nan)
    return np.stack([wide[:, ys + 2 + y, xs + 2 + x] for y, x in _AROUND], axis=1)


def _confirmed(look: _Look, sharp: Sharpness, sign: int, places: Any, suspected: NDArray) -> NDArray[np.bool_]:
    """Return which suspects are at fault in the runs that show them best, beside neighbours that are not suspected."""
    around, rough = _neighbours(look, places, suspected)
    near = np.nanmean(around[:, :8], axis=1)
    near = np.where(np.isnan(near), np.nanmean(around, axis=1), near)
    count = len(near) // 2 if len(near) > 3 else len(near)
    best = np.argsort(sign * near, axis=0)[:count]
    plain = np.nanstd(np.take_along_axis(around, best[:, np.newaxis], 0).mean(axis=0), axis=0)
    beside = np.take_along_axis(rough, best[:, np.newaxis], 0).mean(axis=0)
    dark = look.haze if sign > 0 else np.broadcast_to(look.floor, look.runs.shape)
    own, level, under = (
        np.take_along_axis(values, best, 0) for values in (_at(look.runs, places), near, _at(dark, places))
    )
    each, light = sign * (own - level), np.maximum((level - under).mean(axis=0), 0)
    excess, own = each.mean(axis=0), (own - under).mean(axis=0)
    photon, noise = look.photon / count, float(look.noise.mean())
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
        least[_is_rim(places, look.runs.shape[1:])] = np.inf
    sure = (excess > least) & (each > _AGREEING * excess).all(axis=0)
    sure &= np.count_nonzero(~np.isnan(beside), axis=0) >= _LEAST
    return sure & (own > sharp.most * light if sign > 0 else own < sharp.least / _SLACK * light)


def _neighbours(look: _Look, places: Any, suspected: NDArray) -> tuple[NDArray, NDArray]:
    """Return the 24 pixels around each place that are not suspected, and by how much each differs from those around it.

    Light differs less from the mean around it than from pixel to pixel.
    """
    around, rough = np.empty((2, len(look.runs), len(_AROUND), len(places[0])), look.runs.dtype)
    for k, one in enumerate(look.each()):
        trusted = np.where(suspected, np.nan, one.runs)
        around[k], rough[k] = (_gathered(each, *places)[0] for each in (trusted, trusted - _ring(trusted)))
    return around, rough


def _is_below(look: _Look, depth: NDArray) -> NDArray[np.bool_]:
    """Return which pixels lie further below the dark of an image than any light explains."""
    reach = look.highest - float(look.floor.mean())
    return depth < -max(_SIGMAS * float(look.noise.mean()), _DIP * reach)


def _is_rim(places: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels lie at the edge of a plane, where a simulated image lacks the light from beyond."""
    return np.any([(k == 0) | (k == n - 1) for k, n in zip(places, shape, strict=True)], axis=0)


def _at(values: NDArray, places: Any) -> NDArray:
    return values[:, places[0], places[1]]
