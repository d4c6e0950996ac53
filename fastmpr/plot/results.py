"""A picture of what `reconstruct` returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import Vector, as_volume, as_voxel_size, moderate, shown
from ..io.files import as_path, written_whole
from .drawing import INK, PANEL, SECTIONS, draw_plane, draw_scale_bar, draw_section, limits_of, new_figure, tidy

_INCHES = 1.7  # of the largest plane
_CURVE = 2.0  # inches of height


def result(
    found: Any, average: ArrayLike, voxel_size: ArrayLike | None, path: str | Path, overwrite: bool = False
) -> None:
    """Draw a volume beside the average of the same views.

    The picture has a row for the volume and one for the average: three central sections and three maximum projections, with
    a scale bar. Below, how the residuals of the solver fell from iteration to iteration. Each row has its own intensity
    scale, as `sections` has.

    Parameters
    ----------
    found : Result
        As `reconstruct` returns it.
    average : (z, y, x) array_like
        As `average` returns it for the same views.
    voxel_size : float or (float, float, float) or None
        Of both, (z, y, x) in micrometres. None means unknown: there is no scale bar.
    path : path
        The picture's file; its suffix (``.png``, ``.pdf``, ``.svg``) gives the format.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    TypeError
        If ``found`` is something else.
    ValueError
        If the average has another shape than the volume, or is not finite.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((16, 16, 16))
    >>> psf, poses = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1)), fastmpr.Poses.random(6, rng=0)
    >>> data = fastmpr.Dataset(fastmpr.simulate(truth, psf, poses), psf, poses)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result(fastmpr.reconstruct(data), fastmpr.average(data), 0.1, folder + "/volume.png")
    ...     os.listdir(folder)
    ['volume.png']
    """
    if not all(hasattr(found, name) for name in ("x", "history", "nit")):
        raise TypeError(f"found: found {shown(found)}, need what reconstruct returns")
    volumes = {"volume": as_volume(found.x, "found.x"), "average": as_volume(average, "average")}
    if volumes["average"].shape != volumes["volume"].shape:
        shapes = f"found shape {volumes['average'].shape}, need that of the volume, {volumes['volume'].shape}"
        raise ValueError(f"average: {shapes}")
    size = as_voxel_size(1.0 if voxel_size is None else voxel_size)
    path = as_path(path)
    with written_whole(path, overwrite) as temporary:
        figure = _figure({name: moderate(x) for name, x in volumes.items()}, found, size, voxel_size is not None)
        figure.savefig(temporary, dpi=150, format=path.suffix[1:] or "png")


def _figure(volumes: dict[str, NDArray], found: Any, size: Vector, known: bool) -> Any:
    depth, height, width = np.multiply(volumes["volume"].shape, size)
    widths, tallest = [width, width, height] * 2, max(height, depth)
    inches = _INCHES / max(width, height, depth)
    figure = new_figure((inches * sum(widths) + 0.6, 2 * (inches * tallest + 0.2) + _CURVE))
    above, below = figure.subfigures(2, 1, height_ratios=(2 * (inches * tallest + 0.2), _CURVE))
    axes = above.subplots(2, 6, width_ratios=widths, squeeze=False)
    for row, (name, volume) in zip(axes, volumes.items(), strict=True):
        _draw_sections(row[:3], name, volume, size)
        _draw_maxima(row[3:], "maximum", volume, size)
    if known:
        draw_scale_bar(axes[0, 0], 0.3 * width)
    draw_convergence(below.add_subplot(), found, f"convergence: {found.message}")
    return figure


def figure_of_sections(volumes: dict[str, NDArray], size: Vector, known: bool) -> Any:
    """Return a figure with a row for each volume: its three central sections. ``known``: whether the voxel size is."""
    return _planes(volumes, size, known, _draw_sections)


def figure_of_maxima(volumes: dict[str, NDArray], size: Vector, known: bool) -> Any:
    """Return a figure with a row for each volume: its three maximum projections. ``known``: whether the voxel size is."""
    return _planes(volumes, size, known, _draw_maxima)


def figure_of_convergence(found: Any) -> Any:
    """Return a figure of how the residuals of the solver fell from iteration to iteration."""
    figure = new_figure(PANEL)
    draw_convergence(figure.add_subplot(), found, "residuals of the solver")
    return figure


def _planes(volumes: dict[str, NDArray], size: Vector, known: bool, draw: Callable[..., None]) -> Any:
    depth, height, width = np.multiply(next(iter(volumes.values())).shape, size)
    widths, tallest = [width, width, height], max(height, depth)
    inches = (PANEL[0] - 0.25) / sum(widths)
    figure = new_figure((PANEL[0], len(volumes) * (inches * tallest + 0.25)))
    axes = figure.subplots(len(volumes), 3, width_ratios=widths, squeeze=False)
    for row, (name, volume) in zip(axes, volumes.items(), strict=True):
        draw(row, name, volume, size)
    if known:
        draw_scale_bar(axes[0, 0], 0.3 * width)
    return figure


def _draw_sections(row: NDArray, name: str, volume: NDArray, size: Vector) -> None:
    """Draw the three central sections of a volume."""
    limits = limits_of(volume)
    for ax, (section, axis) in zip(row, SECTIONS.items(), strict=True):
        draw_section(ax, volume, axis, size, limits)
        ax.set_title(f"{name}, {section}", fontsize=9)


def _draw_maxima(row: NDArray, name: str, volume: NDArray, size: Vector) -> None:
    """Draw the three maximum projections of a volume."""
    highest = min(0.0, float(volume.min())), float(volume.max())
    for ax, (section, axis) in zip(row, SECTIONS.items(), strict=True):
        draw_plane(ax, volume.max(axis=axis), np.delete(size, axis), highest)
        ax.set_title(f"{name}, {section}", fontsize=9)


def draw_convergence(ax: Any, found: Any, title: str) -> None:
    """Draw the residuals of a solver against its iterations."""
    for name, style in (("primal", "-"), ("dual", "--")):
        told = [(one["nit"], one[name]) for one in found.history if one[name] > 0]
        if told:
            ax.semilogy(*zip(*told, strict=True), style, color=INK, marker="o", markersize=3, linewidth=1.2, label=name)
    if ax.lines:
        ax.legend(fontsize=7, frameon=False)
    ax.set(xlabel="iteration", ylabel="residual")
    tidy(ax, title)
