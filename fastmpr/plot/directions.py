"""Maps of directions in the frame of a volume: z in the middle, -z on the rim; the projection keeps areas."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from .drawing import INK, new_figure

_INCHES = (4.4, 3.7)
_MARK = "#c44e00"  # beside INK, safe for the colour-blind


def figure_of_directions(axes: NDArray, weakest: Vector | None) -> Any:
    """Return a figure of the optical axes (n, 3) of views, and of the direction that they tell least of, if it is known."""
    figure = new_figure(_INCHES)
    ax = figure.add_subplot(projection="polar")
    draw_directions(ax, axes)
    if weakest is not None:
        both = np.array([weakest, np.negative(weakest)], float)
        ax.scatter(*_places(both), s=60, marker="x", color=_MARK, linewidths=2, label="least is known along this axis")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", fontsize=8, frameon=False)
    return figure


def figure_of_cones(axes: NDArray, resolution: NDArray, unit: str) -> Any:
    """Return a figure of the resolution (m,) along axes (m, 3), each drawn at both of its ends."""
    figure = new_figure(_INCHES)
    ax = figure.add_subplot(projection="polar")
    ends, values = np.concatenate([axes, np.negative(axes)]), np.concatenate([resolution, resolution])
    places = ax.scatter(*_places(ends), c=values, s=max(24.0, 6000 / len(ends)), cmap="viridis", linewidths=0)
    bar = figure.colorbar(places, ax=ax, shrink=0.75, pad=0.12)
    bar.set_label(f"resolution ({unit})", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    _draw_frame(ax, "resolution along each direction")
    return figure


def draw_directions(ax: Any, axes: NDArray) -> None:
    """Draw the optical axis (n, 3) of each view in the frame of the volume."""
    ax.scatter(*_places(axes), s=14, c=INK, alpha=0.7, linewidths=0)
    _draw_frame(ax, "directions of view")


def _places(axes: NDArray) -> tuple[NDArray, NDArray]:
    """Return angle and radius of unit vectors (z, y, x), by Lambert's projection."""
    z, y, x = np.asarray(axes, float).reshape(-1, 3).T
    return np.arctan2(y, x), np.sqrt(np.clip((1 - z) / 2, 0, 1))


def _draw_frame(ax: Any, title: str) -> None:
    ax.set_rlim(0, 1)
    ax.set_rgrids([np.sqrt(0.5)], ["90°"], fontsize=7, color="grey")
    ax.set_thetagrids([0, 90, 180, 270], ["x", "y", "-x", "-y"], fontsize=8)
    ax.set_title(f"{title} (middle: z, rim: -z)", fontsize=9)
