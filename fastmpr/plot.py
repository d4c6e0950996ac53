"""Pictures of volumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validation import Vector, as_volume, as_voxel_size, moderate, shown
from .io.files import as_path, written_whole

_SECTIONS = {"xy": 0, "xz": 1, "yz": 2}  # name -> the array axis perpendicular to the section
_COLOURS = "inferno"  # perceptually uniform, and safe for the colour-blind
_INK = "#1f4e79"
_BINS = 20  # of a histogram
_NEEDED = 'pictures need matplotlib: pip install "fastmpr[cli]"'


def sections(
    volumes: Mapping[str, ArrayLike], voxel_size: ArrayLike | None, path: str | Path, overwrite: bool = False
) -> None:
    """Draw the central xy, xz and yz sections of several volumes side by side.

    The picture has a column per volume, a row per section (only xy if every volume has one plane), and one scale bar. Every
    volume has its own intensity scale, from 0 (or its 1st percentile, if that is negative) to its 99.9th percentile.

    Parameters
    ----------
    volumes : mapping of str to array_like, shape (z, y, x)
        Title -> volume. Shapes may differ, but all volumes have the same voxel size.
    voxel_size : float or (float, float, float) or None
        (z, y, x) in micrometres. None means unknown: voxels are drawn as cubes, without a scale bar.
    path : path
        The picture's file; its suffix (``.png``, ``.pdf``, ``.svg``) gives the format.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ValueError
        If there is no volume, or a volume is not 3-D and finite.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sections({"noise": np.random.default_rng(0).random((8, 9, 10))}, 0.1, folder + "/noise.png")
    ...     os.listdir(folder)
    ['noise.png']
    """
    if not isinstance(volumes, Mapping):
        raise TypeError(f"volumes: found {shown(volumes)}, need a dict of volumes by title")
    if not volumes:
        raise ValueError("volumes: found none, need at least one")
    arrays = {title: moderate(as_volume(volume, f"volumes[{title!r}]")) for title, volume in volumes.items()}
    size = as_voxel_size(1.0 if voxel_size is None else voxel_size)
    path = as_path(path)
    with written_whole(path, overwrite) as temporary:
        figure = _figure(arrays, size, voxel_size is not None)
        figure.savefig(temporary, dpi=200, format=path.suffix[1:] or "png")


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
        figure = _new_figure((9.6, 6.6))
        above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1))
        _draw_volume(above, moderate(as_volume(result.x, "result.x")), size, voxel_size is not None)
        _draw_directions(below.add_subplot(1, 3, 1, projection="polar"), result)
        _draw_scores(below.add_subplot(1, 3, 2), result.scores[np.isfinite(result.scores)])
        _draw_rounds(below.add_subplot(1, 3, 3), result.rounds)
        figure.savefig(temporary, dpi=150, format=path.suffix[1:] or "png")


def _new_figure(inches: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure  # not pyplot: no window, nothing shared with the caller's plots
    except ImportError:
        raise ImportError(_NEEDED) from None
    return Figure(figsize=inches, layout="constrained", facecolor="white")


def _draw_volume(figure: Any, volume: NDArray, voxel_size: Vector, known: bool) -> None:
    """Draw the three sections of one volume in a row, at one scale."""
    _, height, width = np.multiply(volume.shape, voxel_size)
    axes = figure.subplots(1, 3, width_ratios=(width, width, height))
    limits = min(0.0, np.percentile(volume, 1)), np.percentile(volume, 99.9)
    for ax, (name, axis) in zip(axes, _SECTIONS.items(), strict=True):
        _draw_section(ax, volume, axis, voxel_size, limits)
        ax.set_title(f"volume, {name}", fontsize=9)
    if known:
        _draw_scale_bar(axes[0], 0.3 * width)


def _draw_directions(ax: Any, result: Any) -> None:
    """Draw the optical axis of each view in the frame of the volume; views without a score are left out."""
    z, y, x = result.poses.matrix[np.isfinite(result.scores), 0].T
    radius = np.sqrt(np.clip((1 - z) / 2, 0, 1))  # Lambert's projection
    ax.scatter(np.arctan2(y, x), radius, s=14, c=_INK, alpha=0.7, linewidths=0)
    ax.set_rlim(0, 1)
    ax.set_rgrids([np.sqrt(0.5)], ["90°"], fontsize=7, color="grey")
    ax.set_thetagrids([0, 90, 180, 270], ["x", "y", "-x", "-y"], fontsize=8)
    ax.set_title("directions of view (middle: z, rim: -z)", fontsize=9)


def _draw_scores(ax: Any, scores: NDArray) -> None:
    low = min(scores.min(initial=1.0), 0.98)
    ax.hist(scores, bins=np.linspace(low, 1.0, _BINS + 1), color=_INK)
    ax.set(xlabel="score", ylabel="views")
    ax.locator_params(axis="x", nbins=5)
    _tidy(ax, f"scores of {len(scores)} views")
    ax.yaxis.get_major_locator().set_params(integer=True)


def _draw_rounds(ax: Any, rounds: list[dict[str, float]]) -> None:
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
    _tidy(ax, "convergence")
    ax.xaxis.get_major_locator().set_params(integer=True)


def _tidy(ax: Any, title: str) -> None:
    ax.set_title(title, fontsize=9)
    ax.tick_params(labelsize=7)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_fontsize(8)
    ax.spines[["top", "right"]].set_visible(False)


def _figure(volumes: dict[str, NDArray], voxel_size: Vector, known: bool = True) -> Any:
    extents = np.array([np.multiply(volume.shape, voxel_size) for volume in volumes.values()])
    deepest, tallest, _ = extents.max(axis=0)
    names = list(_SECTIONS) if any(len(volume) > 1 for volume in volumes.values()) else ["xy"]
    widths = [max(x, y) if len(names) > 1 else x for _, y, x in extents]
    heights = [tallest, deepest, deepest][: len(names)]
    inches = 2.2 * len(volumes) / sum(widths)  # per micrometre, for 2.2 inches per column on average
    figure = _new_figure((inches * sum(widths) + 0.5, inches * sum(heights) + 0.25 + 0.15 * len(names)))
    axes = figure.subplots(len(names), len(volumes), squeeze=False, width_ratios=widths, height_ratios=heights)
    for column, (title, volume) in enumerate(volumes.items()):
        low, high = min(0.0, np.percentile(volume, 1)), np.percentile(volume, 99.9)
        for row, name in enumerate(names):
            ax = axes[row, column]
            _draw_section(ax, volume, _SECTIONS[name], voxel_size, (low, high))
            if row == 0:
                ax.set_title(title, fontsize=10)
            if column == 0:
                ax.set_ylabel(name, fontsize=10, rotation=0, ha="right", va="center")
    if known:
        _draw_scale_bar(axes[0, 0], 0.3 * widths[0])
    return figure


def _draw_section(ax: Any, volume: NDArray, axis: int, voxel_size: Vector, limits: tuple[float, float]) -> None:
    """Draw the central section perpendicular to ``axis``, in micrometres."""
    section = volume.take(volume.shape[axis] // 2, axis=axis)
    height, width = np.multiply(section.shape, np.delete(voxel_size, axis))
    ax.imshow(
        section,
        cmap=_COLOURS,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, width, 0, height),
        interpolation="nearest",
    )
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _draw_scale_bar(ax: Any, at_most: float) -> None:
    """Draw a scale bar of 1, 2 or 5 times a power of ten micrometres in the lower left corner."""
    power = 10.0 ** np.floor(np.log10(at_most))
    length = power * max(step for step in (1, 2, 5) if step * power <= at_most)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    x, y = left + 0.05 * (right - left), bottom + 0.06 * (top - bottom)
    ax.plot([x, x + length], [y, y], color="white", linewidth=2.5, solid_capstyle="butt")
    ax.text(x + length / 2, y + 0.03 * (top - bottom), f"{length:g} µm", color="white", fontsize=8, ha="center")
