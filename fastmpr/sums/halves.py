"""Independent halves of the views: no image is in both halves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .._messages import Progress, warn
from .._validation import Size
from ..runtime.stopping import Stop
from ..views.dataset import Dataset
from .accumulator import Accumulator
from .observation import Observation, observe

# Orientations closer than this count as the same: by chance, that happens in one set of a thousand views out of hundreds.
_SAME = np.radians(0.2)
_SHUFFLE = 1e5  # factor on differences between poses, so that nothing of their order is left


def observe_halves(
    data: Dataset, least: int, model: Size, workers: int | None, tell: Progress | None, stop: Stop
) -> Observation:
    """Sum two halves of the views separately (see `half_of`), or all views together if fewer than ``least`` differ.

    Copies of an image have the same noise: if they were in both halves, each half would predict the noise of the other.
    So all copies are put in one half; copies with the same pose count as one view with the sum of their weights. Views that
    were selected more than once are known to be copies. Other copies are found while the views are read, and then all views
    are read once more.
    """
    images = data.source.places
    observation = _observed(data, images, least, model, workers, tell, stop)
    if not (copies := data.source.copies()):
        return observation
    copy, original = next(iter(copies.items()))
    warn(
        f"particles[{copy}]: found the same image as particles[{original}], and {len(copies)} such copies in all; need each "
        "image once (use weights= for views that count more, symmetry= for a symmetric particle); copies are kept in one "
        "half of the views, or automatic lam would take their noise for signal"
    )
    observation.accumulator.free()
    del observation
    images = np.array([copies.get(place, place) for place in images.tolist()])
    return _observed(data, images, least, model, workers, tell, stop)


def _observed(data: Dataset, images: NDArray, least: int, *options: Any) -> Observation:
    """Sum the halves, given the index of the image that each view shows."""
    data, images = _merged(data, images)
    half = half_of(data[data.used], images[data.used], least)
    groups = [data.used] if half is None else [data.used[half == k] for k in (0, 1)]
    observation = observe(Accumulator(data, groups, *options))
    data.tell()
    if not observation.lopsided:
        return observation
    observation.accumulator.free()
    seen = np.flatnonzero(~observation.blind)  # drop the blind views, which fill one half
    return _observed(data[seen], images[seen], least, *options)


def half_of(data: Dataset, images: NDArray, least: int) -> NDArray[np.intp] | None:
    """Return the half, 0 or 1, of each view, whatever the order of the views; None if fewer than ``least`` differ.

    Views of one image are put in the same half, and so are views in one orientation: a particle that was picked twice shows
    the same noise, even if it was shifted, scaled or rounded. PSFs, weights and gains are distributed evenly. Otherwise the
    choice is random, but derived from the poses, so that the same views in another order are divided alike.
    """
    linked = _linked(images, _orientations(data))
    if linked.max() + 1 < least:  # many particles in one orientation are not copies
        linked = _linked(images)
    count = int(linked.max()) + 1
    if count < least:
        return None
    gain = 1.0 if data.gains is None else np.square(data.gains)
    first = np.unique(linked, return_index=True)[1]
    strength = np.bincount(linked, data.weights * gain)
    order = np.lexsort((_random_numbers(data)[first], strength.round(9), data.psf_of[first]))
    half = np.empty(count, np.intp)
    half[order] = np.resize((0, 1, 1, 0), count)
    return half[linked]


def _orientations(data: Dataset) -> NDArray:
    """Return pairs of views whose orientations are the same."""
    quaternions = data.placed.rotation.as_quat(canonical=True)
    return cKDTree(quaternions).query_pairs(_SAME / 2, output_type="ndarray")  # quaternions differ by half the angle


def _linked(images: NDArray, *pairs: NDArray) -> NDArray[np.intp]:
    """Return the number of each view's set: views of one image, and pairs of views, are in one set."""
    number = np.unique(images, return_inverse=True)[1]
    joined = np.concatenate([np.empty((0, 2), int), *pairs])
    graph = coo_matrix((np.ones(len(joined)), number[joined].T), shape=(number.max() + 1,) * 2)
    return connected_components(graph, directed=False)[1][number]


def _random_numbers(data: Dataset) -> NDArray:
    """Return a pseudorandom number from 0 to 1 for each view, derived from its pose alone."""
    numbers = np.column_stack([data.placed.matrix.reshape(-1, 9), data.placed.translation])
    return (numbers @ np.sqrt(np.arange(2, 2 + numbers.shape[1])) * _SHUFFLE) % 1


def _merged(data: Dataset, images: NDArray) -> tuple[Dataset, NDArray]:
    """Replace views of one image in one pose by one of them, with the sum of their weights."""
    own = [images, data.psf_of, data.source.mask_of]
    own += [numbers for numbers in (data.levels, data.gains) if numbers is not None]
    poses = np.column_stack([*own, data.placed.matrix.reshape(-1, 9), data.placed.translation])
    _, first, which = np.unique(poses, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(data):
        return data, images
    return data[first].replace(weights=np.bincount(which.ravel(), data.weights)), images[first]
