"""Find planes of an image that were not measured: exact copies of other planes, or empty ones between others."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TELLING = 25  # voxels of a plane that must differ from its usual value: photons never repeat so many
_MOST = 0.8  # share of a neighbour's voxels with an empty plane's value; with more, the plane may be empty by chance
ROUNDING = 1e-5  # of the largest value: smaller differences are rounding
TURNS = 0.25  # share of three neighbours with the extreme in the middle: 0.33 and more in noise, 0.18 without noise


def missing_planes(image: Any) -> list[NDArray[np.bool_]]:
    """Return which planes along each axis repeat a plane farther from the image's faces, or have a single value.

    Noise does not repeat itself, and does not end from one plane to the next. In an image without noise, planes may be equal
    (as in a symmetric phantom) or empty; those count as seen.

    Parameters
    ----------
    image : (nz, ny, nx) ndarray or Slabs
    """
    return [
        _repeated(image, axis, lines) | _empty(image, axis, lines)
        if _may_be_missing(lines)
        else np.zeros(len(lines), bool)
        for axis, lines in enumerate(_lines(image))
    ]


def _may_be_missing(lines: NDArray) -> bool:
    """Return whether two lines may be equal, or one line may have a single value; in most images neither is so."""
    sums = np.sort(lines.sum(axis=1))
    return bool((sums[1:] == sums[:-1]).any() or (lines[:, 0] == lines[:, -1]).any() or np.isnan(sums[-1]))


def _lines(image: Any) -> list[NDArray]:
    """Return for each axis a line of each plane, from the middle of the image, or near it if the middle is empty."""
    middle, across = (_lively(image, axis) for axis in range(2))
    return [across, middle, np.ascontiguousarray(middle.T)]


def _lively(image: Any, axis: int) -> NDArray:
    """Return a plane with more than one value: the middle one, if possible."""
    n = image.shape[axis]
    for k in (n // 2, n // 3, n - 1 - n // 3):
        plane = _plane(image, axis, k)
        if (plane != plane.flat[0]).any():
            break
    return plane


def _repeated(image: Any, axis: int, lines: NDArray) -> NDArray[np.bool_]:
    """Return which planes along an axis repeat others, if together they show noise."""
    n, keys = len(lines), [line.tobytes() for line in lines]
    out, alike = np.zeros(n, bool), dict[bytes, list[int]]()
    if len(set(keys)) == n:
        return out
    for k, key in enumerate(keys):
        alike.setdefault(key, []).append(k)
    turns, triples, far = 0, 0, []
    for places in alike.values():
        if len(places) == 1 or not (lines[places[0]] != lines[places[0], 0]).any():
            continue
        places.sort(key=lambda k: -min(k, n - 1 - k))
        first, *others = (_plane(image, axis, k) for k in places)
        if not _is_varied(first):
            continue
        copies = [
            k for k, other in zip(places[1:], others, strict=True) if np.array_equal(first, other, equal_nan=True)
        ]
        out[copies] = True
        far += [tuple(sorted((places[0], k))) for k in copies if 2 * abs(places[0] - k) > n]
        found = turns_of(first)
        turns, triples = turns + found[0], triples + found[1]
    if turns <= TURNS * triples:
        return np.zeros(n, bool)
    return _unwrapped(image, axis, out, sorted(far))


def _empty(image: Any, axis: int, lines: NDArray) -> NDArray[np.bool_]:
    """Return which planes along an axis have a single value that most voxels of their neighbours do not have."""
    flat = (lines == lines[:, :1]).all(axis=1)
    out, shown = np.zeros(len(lines), bool), np.flatnonzero(~flat).tolist()
    turns = triples = 0
    for k in np.flatnonzero(flat).tolist() if shown else ():
        at, value = bisect.bisect(shown, k), lines[k, 0]
        beside = shown[max(0, at - 1) : at + 1]
        if any(_is_mostly(value, lines[j]) for j in beside) or not (_plane(image, axis, k) == value).all():
            continue
        planes = [_plane(image, axis, j) for j in beside]
        out[k] = not any(_is_mostly(value, plane) for plane in planes)
        found = np.sum([turns_of(plane) for plane in planes], axis=0)
        turns, triples = turns + int(found[0]), triples + int(found[1])
    return out & (turns > TURNS * triples)


def _is_mostly(value: Any, voxels: NDArray) -> bool:
    return bool(np.count_nonzero(voxels == value) >= _MOST * voxels.size)


def _unwrapped(image: Any, axis: int, out: NDArray[np.bool_], far: list[tuple[int, ...]]) -> NDArray[np.bool_]:
    """Return which planes are copies in an image that continues periodically at its ends.

    Copied planes lie a period apart at both ends. Where the copies at one end stop, the image jumps: this tells which of two
    equal planes is the copy.
    """
    n, count = len(out), len(far)
    period = n - count
    if not far or far != [(k, k + period) for k in range(count)]:
        return out
    jumps = [_jump(image, axis, period)] + [_jump(image, axis, k) for k in range(1, count + 1)]
    first = int(np.argmax(jumps))
    out[:count], out[period:] = np.arange(count) < first, np.arange(count) >= first
    return out


def _jump(image: Any, axis: int, k: int) -> float:
    """Return the mean absolute difference of a plane from the plane before."""
    before, after = (np.nan_to_num(_plane(image, axis, place).astype(float)) for place in (k - 1, k))
    return float(np.abs(after - before).mean())


def _plane(image: Any, axis: int, k: int) -> NDArray:
    return np.asarray(image[(slice(None),) * axis + (k,)])


def _is_varied(plane: NDArray) -> bool:
    """Return whether many voxels of a plane differ from its most frequent value."""
    _, counts = np.unique(plane[plane == plane], return_counts=True)
    return bool(counts.sum() - counts.max(initial=0) >= _TELLING)


def turns_of(plane: NDArray) -> tuple[int, int]:
    """Return how many triples of neighbours in a plane have their extreme in the middle, and how many triples vary.

    Differences as small as rounding errors count as none.
    """
    turns = triples = 0
    for lines in (plane, plane.T):
        finite = np.where(np.isfinite(lines), lines, np.nan).astype(float)  # infinite values are refused elsewhere
        steps = np.diff(finite, axis=1)
        steps[np.abs(steps) <= ROUNDING * float(np.nanmax(np.abs(finite), initial=0))] = 0
        turns += int(np.count_nonzero(steps[:, 1:] * steps[:, :-1] < 0))
        triples += int(np.count_nonzero((steps[:, 1:] != 0) | (steps[:, :-1] != 0)))
    return turns, triples
