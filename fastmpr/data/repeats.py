"""Planes of an image that repeat others exactly, as where its border was filled with what is near it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLE = 24  # voxels of a line in each plane: where these differ, the planes do
_TELLING = 25  # voxels of a plane, at least, that differ from most of it: photons do not fall on so many places twice
_TURNS = 0.4  # of three neighbours the middle one is the greatest or the least: in white noise in two cases of three


def repeated_planes(image: Any) -> list[NDArray[np.bool_]]:
    """Return which planes along each axis repeat another one that is farther from the image's faces.

    Noise does not repeat itself. Planes without noise may, as those of a symmetric phantom: they stay.

    Parameters
    ----------
    image : (nz, ny, nx) ndarray or Slabs
    """
    return [_repeated(image, axis, lines) for axis, lines in enumerate(_lines(image))]


def _lines(image: Any) -> list[NDArray]:
    """Return some voxels of each plane along each axis, in the middle of the image."""
    nz, ny, nx = image.shape
    ys, xs = (slice(max(0, (n - _SAMPLE) // 2), (n + _SAMPLE) // 2) for n in (ny, nx))
    middle = np.asarray(image[nz // 2])
    return [np.asarray(image[:, ny // 2, xs]), middle[:, xs], np.ascontiguousarray(middle[ys].T)]


def _repeated(image: Any, axis: int, lines: NDArray) -> NDArray[np.bool_]:
    """Return which planes along an axis repeat others, and show noise all together."""
    n = len(lines)
    out, alike = np.zeros(n, bool), dict[bytes, list[int]]()
    for k, line in enumerate(lines):
        alike.setdefault(line.tobytes(), []).append(k)
    if len(alike) == n:
        return out
    turns = triples = 0
    for places in alike.values():
        if len(places) > 1 and (lines[places[0]] != lines[places[0], 0]).any():
            places.sort(key=lambda k: -min(k, n - 1 - k))
            first, *others = (np.asarray(image[(slice(None),) * axis + (k,)]) for k in places)
            if _is_varied(first):
                same = [np.array_equal(first, other, equal_nan=True) for other in others]
                out[np.array(places[1:])[same]] = True
                found = _turns(first)
                turns, triples = turns + found[0], triples + found[1]
    return out & (turns > _TURNS * triples)


def _is_varied(plane: NDArray) -> bool:
    """Return whether many voxels of a plane differ from what most of it has."""
    _, counts = np.unique(plane[plane == plane], return_counts=True)
    return bool(counts.sum() - counts.max(initial=0) >= _TELLING)


def _turns(plane: NDArray) -> tuple[int, int]:
    """Return how many triples of neighbours in a plane have their extreme in the middle, and how many differ at all."""
    turns = triples = 0
    for lines in (plane, plane.T):
        a, b, c = lines[:-2], lines[1:-1], lines[2:]
        turns += int(np.count_nonzero(((b > a) & (b > c)) | ((b < a) & (b < c))))
        triples += int(np.count_nonzero((a != b) | (b != c)))
    return turns, triples
