"""Halves of the views that can judge one another: no image stands in both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import Progress, warn
from .._stopping import Stop
from .._validation import Size
from ..data.dataset import Dataset
from .accumulate import Accumulator, observed


def observe_halves(
    data: Dataset, least: int, model: Size, workers: int | None, tell: Progress | None, stop: Stop
) -> Accumulator:
    """Sum two halves of the views apart, by turns in their order; all of them at once where fewer than ``least`` differ.

    Copies of an image hold the same noise: were they in both halves, each half would predict the noise of the other. So they
    stay in one, and count as one view of more weight where their poses agree too. Views that were selected more than once
    are known to be copies; others are found while they are read, and then all views are read once more.
    """
    images = data.source.places
    accumulator = _observed(data, images, least, model, workers, tell, stop)
    if not (copies := data.source.copies()):
        return accumulator
    copy, original = next(iter(copies.items()))
    warn(
        f"particles[{copy}]: found the same image as particles[{original}], and {len(copies)} such copies in all; they are "
        "kept in one half of the views, or automatic lam would take their noise for signal; need each image once: weights= "
        "for views that count more, symmetry= for a symmetric particle"
    )
    accumulator.free()
    del accumulator
    images = np.array([copies.get(place, place) for place in images.tolist()])
    return _observed(data, images, least, model, workers, tell, stop)


def _observed(data: Dataset, images: NDArray, least: int, *options: Any) -> Accumulator:
    """Sum the halves, given which image each view shows."""
    data, images = _merged(data, images)
    used = data.used
    ranks = {image: rank for rank, image in enumerate(dict.fromkeys(images[used].tolist()))}
    half = np.array([ranks[image] % 2 for image in images[used].tolist()])
    halves = [used[half == k] for k in (0, 1)] if len(ranks) >= least else [used]
    accumulator = observed(data, halves, *options)
    if not accumulator.lopsided:
        return accumulator
    accumulator.free()
    seen = np.flatnonzero(~accumulator.blind)  # views of which nothing was seen may all have been in one half
    return _observed(data[seen], images[seen], least, *options)


def _merged(data: Dataset, images: NDArray) -> tuple[Dataset, NDArray]:
    """Make one view of those that show one image in one pose, with the sum of their weights."""
    own = [images, data.psf_of, data.source.mask_of]
    own += [numbers for numbers in (data.background, data.gain) if not isinstance(numbers, str)]
    poses = np.column_stack([*own, data.placed.matrix.reshape(-1, 9), data.placed.translation])
    _, first, which = np.unique(poses, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(data):
        return data, images
    return data[first].replace(weights=np.bincount(which.ravel(), data.weights)), images[first]
