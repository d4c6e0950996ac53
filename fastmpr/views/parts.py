"""Disjoint parts of views, drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import as_count, as_rng


def drawn_parts(weights: NDArray, n: Any, rng: Any) -> list[NDArray]:
    """Return the places of views in ``n`` parts, as equal as can be; views of weight 0 alone make no part."""
    if len(weights) < (n := as_count(n, "n", 2)):
        found = f"{n} parts for {len(weights)} particle{'s' * (len(weights) > 1)}"
        raise ValueError(f"n: found {found}, need no more than one each")
    order = as_rng(rng).permutation(len(weights))
    parts = [np.sort(order[k::n]) for k in range(n)]
    if not all(weights[part].any() for part in parts):
        raise ValueError("weights: found a part whose views all weigh nothing, need some that weigh more in each")
    return parts
