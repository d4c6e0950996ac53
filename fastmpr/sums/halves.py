"""Halves of the views that can judge one another: no image stands in both."""

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

_SAME = np.radians(
    0.2
)  # orientations nearer than that are one: two of a thousand by chance are so in one set of hundreds
_SHUFFLE = 1e5  # of what poses differ by, so that nothing of their order is left


def observe_halves(
    data: Dataset, least: int, model: Size, workers: int | None, tell: Progress | None, stop: Stop
) -> Observation:
    """Sum two halves of the views apart, see `half_of`; all of them at once where fewer than ``least`` differ.

    Copies of an image hold the same noise: were they in both halves, each half would predict the noise of the other. So they
    stay in one, and count as one view of more weight where their poses agree too. Views that were selected more than once
    are known to be copies; others are found while they are read, and then all views are read once more.
    """
    images = data.source.places
    observation = _observed(data, images, least, model, workers, tell, stop)
    if not (copies := data.source.copies()):
        return observation
    copy, original = next(iter(copies.items()))
    warn(
        f"particles[{copy}]: found the same image as particles[{original}], and {len(copies)} such copies in all; they are "
        "kept in one half of the views, or automatic lam would take their noise for signal; need each image once: weights= "
        "for views that count more, symmetry= for a symmetric particle"
    )
    observation.accumulator.free()
    del observation
    images = np.array([copies.get(place, place) for place in images.tolist()])
    return _observed(data, images, least, model, workers, tell, stop)


def _observed(data: Dataset, images: NDArray, least: int, *options: Any) -> Observation:
    """Sum the halves, given which image each view shows."""
    data, images = _merged(data, images)
    half = half_of(data[data.used], images[data.used], least)
    groups = [data.used] if half is None else [data.used[half == k] for k in (0, 1)]
    observation = observe(Accumulator(data, groups, *options))
    data.tell()
    if not observation.lopsided:
        return observation
    observation.accumulator.free()
    seen = np.flatnonzero(~observation.blind)  # views of which nothing was seen may all have been in one half
    return _observed(data[seen], images[seen], least, *options)


def half_of(data: Dataset, images: NDArray, least: int) -> NDArray[np.intp] | None:
    """Return which half each view belongs to, whatever their order; None where fewer than ``least`` differ.

    Views of one image stay together, and those in one orientation: a particle that was picked twice shows the same noise,
    though it was shifted, scaled or rounded. The halves are alike in PSFs, weights and gains; apart from that chance
    decides, drawn from the poses, so that it is the same for the same views in another order.
    """
    bound = _bound(images, _orientations(data))
    if bound.max() + 1 < least:  # many particles that all lie alike are no copies
        bound = _bound(images)
    count = int(bound.max()) + 1
    if count < least:
        return None
    gain = 1.0 if data.gains is None else np.square(data.gains)
    first = np.unique(bound, return_index=True)[1]
    strength = np.bincount(bound, data.weights * gain)
    order = np.lexsort((_lots(data)[first], strength.round(9), data.psf_of[first]))
    half = np.empty(count, np.intp)
    half[order] = np.resize((0, 1, 1, 0), count)
    return half[bound]


def _orientations(data: Dataset) -> NDArray:
    """Return pairs of views whose orientations are the same."""
    quaternions = data.placed.rotation.as_quat(canonical=True)
    return cKDTree(quaternions).query_pairs(_SAME / 2, output_type="ndarray")  # half the angle lies between quaternions


def _bound(images: NDArray, *pairs: NDArray) -> NDArray[np.intp]:
    """Return the number of the set that each view belongs to: of one image, and of pairs that belong together."""
    number = np.unique(images, return_inverse=True)[1]
    joined = np.concatenate([np.empty((0, 2), int), *pairs])
    graph = coo_matrix((np.ones(len(joined)), number[joined].T), shape=(number.max() + 1,) * 2)
    return connected_components(graph, directed=False)[1][number]


def _lots(data: Dataset) -> NDArray:
    """Return a number for each view that depends on nothing but its pose, and on that like chance."""
    numbers = np.column_stack([data.placed.matrix.reshape(-1, 9), data.placed.translation])
    return (numbers @ np.sqrt(np.arange(2, 2 + numbers.shape[1])) * _SHUFFLE) % 1


def _merged(data: Dataset, images: NDArray) -> tuple[Dataset, NDArray]:
    """Make one view of those that show one image in one pose, with the sum of their weights."""
    own = [images, data.psf_of, data.source.mask_of]
    own += [numbers for numbers in (data.levels, data.gains) if numbers is not None]
    poses = np.column_stack([*own, data.placed.matrix.reshape(-1, 9), data.placed.translation])
    _, first, which = np.unique(poses, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(data):
        return data, images
    return data[first].replace(weights=np.bincount(which.ravel(), data.weights)), images[first]
