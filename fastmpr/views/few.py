"""A few of the views, looked at before all others: they show what nobody said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .seen import NothingSeenError
from .source import Source

_VIEWS = 5


def few_views(data: Any, source: Source) -> Iterator[tuple[int, NDArray]]:
    """Yield some of the views that weigh anything, by their places: the boxes that were seen, if they were seen whole."""
    for i in data.used[np.unique(np.linspace(0, len(data.used) - 1, _VIEWS).astype(int))].tolist():
        try:
            view = source.glance(i)
        except NothingSeenError:
            continue
        if np.isnan(view.min()):
            known = ~np.isnan(view)
            sides = (known.any(axis=tuple({0, 1, 2} - {axis})) for axis in range(3))
            view = view[np.ix_(*sides)]
        if not np.isnan(view.min()):
            yield i, view
