"""Whether functions are what a regulariser needs, tried on random numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_TRIES = 40
_WITHIN = 1e-6


def check_rule(project: Callable, value: Callable, count: int, spectral: bool) -> None:
    """Refuse functions of so many numbers that are no projection and value of one regulariser.

    With d = P(v) and u = v - d, P is the projection on the subgradients of phi at zero if <d, w> <= phi(w) for all w, and
    <u, d> = phi(u).

    Raises
    ------
    ValueError
    """
    rng, weights = np.random.default_rng(0), np.array([1, 1, 1, 2, 2, 2][:count], float)
    for _ in range(_TRIES):
        v, w = rng.standard_normal((2, count)) * 10.0 ** rng.uniform(-1, 1, (2, 1))
        d = _called(project, v, "project")
        if d.shape != (count,):
            raise ValueError(f"project: found {d.size} numbers from {count}, need as many")
        size, u = float(_called(value, v, "value")), v - d
        near = _WITHIN * max(np.abs(v).max(), np.abs(w).max(), size)
        if abs(float(_called(value, 3 * v, "value")) - 3 * size) > 3 * near or size < 0:
            raise ValueError(
                "value: found that of 3 v not to be 3 times that of v, or below 0, need a positively homogeneous function"
            )
        outside = (weights * d) @ w - float(_called(value, w, "value"))
        if outside > near or abs(float(_called(value, u, "value")) - (weights * u) @ d) > near:
            raise ValueError(
                "project: found something else than the projection on the subgradients of value at 0, need <d, w> <= "
                "value(w) and <v - d, d> = value(v - d) for d = project(v)"
            )
        if spectral and np.abs(_called(project, v[::-1], "project")[::-1] - d).max() > near:
            raise ValueError(
                "project: found other numbers for eigenvalues in another order, need the same in that order"
            )


def _called(function: Callable, numbers: NDArray, name: str) -> NDArray:
    """Return what a function makes of numbers."""
    try:
        return np.asarray(function(*map(np.float64, numbers)), float)
    except Exception as error:
        raise ValueError(
            f"{name}: found {type(error).__name__} ({error}) when it was tried on {len(numbers)} numbers"
        ) from error
