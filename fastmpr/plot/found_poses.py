"""A picture of what `ab_initio` and `refine` find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import Vector, as_volume, as_voxel_size, moderate, shown
from ..io.files import as_path, written_whole
from .directions import draw_directions
from .drawing import INK, PANEL, SECTIONS, draw_scale_bar, draw_section, limits_of, new_figure, tidy

_BINS = 20  # of a histogram


def poses(result: Any, voxel_size: ArrayLike | None, path: str | Path, overwrite: bool = False) -> None:
    """Draw what `ab_initio` or `refine` found.

    Above, the central sections of the volume. Below, the direction of each view in the frame of the volume (z in the middle,
    -z on the rim; the projection keeps areas); a histogram of the scores; and the median score after each round of
    reconstruction and alignment.

    Parameters
    ----------
    result : PoseResult
    voxel_size : float or (float, float, float) or None
        Of its volume, (z, y, x) in micrometres. None means unknown: there is no scale bar.
    path : path
        The picture's file; its suffix (``.png``, ``.pdf``, ``.svg``) gives the format.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    TypeError
        If ``result`` is something else.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((16, 16, 16))
    >>> psf, start = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1)), fastmpr.Poses.random(6, rng=0)
    >>> data = fastmpr.Dataset(fastmpr.simulate(truth, psf, start), psf, start)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     poses(fastmpr.refine(data), None, folder + "/found.png")
    ...     os.listdir(folder)
    ['found.png']
    """
    if not all(hasattr(result, name) for name in ("x", "poses", "scores", "rounds")):
        raise TypeError(f"result: found {shown(result)}, need what ab_initio or refine returns")
    size = as_voxel_size(1.0 if voxel_size is None else voxel_size)
    path = as_path(path)
    with written_whole(path, overwrite) as temporary:
        figure = new_figure((9.6, 6.6))
        above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1))
        draw_volume(above, moderate(as_volume(result.x, "result.x")), size, voxel_size is not None)
        axes_of_views = result.poses.matrix[np.isfinite(result.scores), 0]
        draw_directions(below.add_subplot(1, 3, 1, projection="polar"), axes_of_views)
        draw_scores(below.add_subplot(1, 3, 2), result.scores[np.isfinite(result.scores)])
        draw_rounds(below.add_subplot(1, 3, 3), result.rounds)
        figure.savefig(temporary, dpi=150, format=path.suffix[1:] or "png")


def draw_volume(figure: Any, volume: NDArray, voxel_size: Vector, known: bool) -> None:
    """Draw the three sections of one volume in a row, at one scale."""
    _, height, width = np.multiply(volume.shape, voxel_size)
    axes = figure.subplots(1, 3, width_ratios=(width, width, height))
    limits = limits_of(volume)
    for ax, (name, axis) in zip(axes, SECTIONS.items(), strict=True):
        draw_section(ax, volume, axis, voxel_size, limits)
        ax.set_title(f"volume, {name}", fontsize=9)
    if known:
        draw_scale_bar(axes[0], 0.3 * width)


def figure_of_scores(result: Any) -> Any:
    """Return a figure of the scores of the views, and of how their median rose from round to round."""
    figure = new_figure(PANEL)
    left, right = figure.subplots(1, 2)
    draw_scores(left, result.scores[np.isfinite(result.scores)])
    draw_rounds(right, result.rounds)
    return figure


def draw_scores(ax: Any, scores: NDArray) -> None:
    """Draw a histogram of the scores."""
    low = min(scores.min(initial=1.0), 0.98)
    ax.hist(scores, bins=np.linspace(low, 1.0, _BINS + 1), color=INK)
    ax.set(xlabel="score", ylabel="views")
    ax.locator_params(axis="x", nbins=5)
    tidy(ax, f"scores of {len(scores)} views")
    ax.yaxis.get_major_locator().set_params(integer=True)


def draw_rounds(ax: Any, rounds: list[dict[str, float]]) -> None:
    """Draw a line for each start, and one at full size to the right of them."""
    starts = sorted({one["start"] for one in rounds})
    last = 0
    for start in [*(start for start in starts if start), *(start for start in starts if not start)]:
        scores = [one["score"] for one in rounds if one["start"] == start]
        first = 1 if start else last + 1
        line = {"label": f"start {start:.0f}"} if start else {"label": "full size", "color": "black"}
        ax.plot(range(first, first + len(scores)), scores, marker="o", markersize=3, linewidth=1.2, **line)
        last = max(last, len(scores))
    ax.set(xlabel="round", ylabel="median score")
    if rounds:
        ax.legend(fontsize=7, frameon=False)
    tidy(ax, "convergence")
    ax.xaxis.get_major_locator().set_params(integer=True)
