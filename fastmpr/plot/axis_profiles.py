"""A picture of what `profile` returns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import shown
from ..io.files import as_path, written_whole
from .drawing import INK, PANEL, new_figure, tidy

_MARK = "#b5442f"  # what was measured
_FAINT = "#9a9a9a"
_UNITS = {"um": "µm", "voxel": "voxels"}


def profiles(found: Any, path: str | Path, overwrite: bool = False) -> None:
    """Draw the profiles of a volume about an axis, side by side, and the lengths measured in them.

    A band is one standard deviation to either side. Marked are the radius of the ring and the width of its wall, the
    height of the barrel, and, for a symmetric particle, the angles after which it repeats; dashed is the background.

    Parameters
    ----------
    found : Profiles
        As `profile` returns them.
    path : path
        The picture's file; its suffix (``.png``, ``.pdf``, ``.svg``) gives the format.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    TypeError
        If ``found`` is something else.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastmpr
    >>> pore = fastmpr.phantom.nuclear_pore(24, voxel_size=0.01)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     profiles(fastmpr.profile(pore, voxel_size=0.01), folder + "/profiles.png")
    ...     os.listdir(folder)
    ['profiles.png']
    """
    if not all(hasattr(found, name) for name in ("radial", "axial", "angular", "diameter")):
        raise TypeError(f"found: found {shown(found)}, need what profile returns")
    path = as_path(path)
    with written_whole(path, overwrite) as temporary:
        figure_of(found).savefig(temporary, dpi=150, format=path.suffix[1:] or "png")


def figure_of(found: Any) -> Any:
    """Return the figure."""
    figure = new_figure((10.5, 3.2))
    axes = figure.subplots(1, 3, sharey=True)
    _draw(axes, found)
    axes[0].set_ylabel("mean value", fontsize=8)
    return figure


def figures_of(found: Any) -> dict[str, Any]:
    """Return a figure of each profile, by its name."""
    names = ("radial", "axial", "angular")
    figures = [new_figure(PANEL) for _ in names]
    axes = [figure.add_subplot(ylabel="mean value") for figure in figures]
    _draw(axes, found)
    return dict(zip(names, figures, strict=True))


def _draw(axes: Sequence[Any], found: Any) -> None:
    """Draw the radial, the axial and the angular profile."""
    (radial, axial, angular), unit = axes, _UNITS[found.unit]
    _draw_radial(radial, found, unit)
    _draw_axial(axial, found, unit)
    _draw_angular(angular, found)
    for ax in axes:
        ax.axhline(found.background, color=_FAINT, linewidth=0.8, linestyle="--")


def _draw_radial(ax: Any, found: Any, unit: str) -> None:
    curve, radius = found.radial, found.diameter.value / 2
    _draw_curve(ax, curve)
    if np.isfinite(radius):
        ax.axvline(radius, color=_MARK, linewidth=1)
    if np.isfinite(found.width.value):
        _draw_length(ax, found.wall, curve)
    ax.set(xlabel=f"distance from the axis ({unit})", xlim=(0, curve.position[-1]))
    same = found.width.message == found.diameter.message != ""
    tidy(ax, found.width.message if same else "\n".join(_told(name, found, unit) for name in ("diameter", "width")))


def _draw_axial(ax: Any, found: Any, unit: str) -> None:
    curve = found.axial
    _draw_curve(ax, curve)
    if np.isfinite(found.height.value):
        _draw_length(ax, found.barrel, curve)
    ax.set(xlabel=f"position along the axis ({unit})")
    tidy(ax, _told("height", found, unit))


def _draw_angular(ax: Any, found: Any) -> None:
    for k in range(1, round(360 / found.period) if found.period else 1):
        ax.axvline(k * found.period, color=_FAINT, linewidth=0.6)
    _draw_curve(ax, found.angular)
    ax.set(xlabel="angle about the axis (degrees)", xlim=(0, 360), xticks=range(0, 361, 60))
    tidy(ax, f"period {found.period:.4g}°" if found.period else "around the axis")


def _draw_curve(ax: Any, curve: Any) -> None:
    ax.plot(curve.position, curve.value, color=INK, linewidth=1.4)
    if curve.error is not None:
        low, high = curve.value - curve.error, curve.value + curve.error
        ax.fill_between(curve.position, low, high, color=INK, alpha=0.25, linewidth=0)


def _draw_length(ax: Any, ends: tuple[float, float], curve: Any) -> None:
    """Draw an arrow between two points of a curve."""
    known = np.isfinite(curve.value)
    low, high = zip(ends, np.interp(ends, curve.position[known], curve.value[known]), strict=True)
    ax.annotate("", low, high, arrowprops={"arrowstyle": "<->", "color": _MARK, "linewidth": 1})


def _told(name: str, found: Any, unit: str) -> str:
    """Return a measure in words, such as "width 0.052 ± 0.001 µm", or why there is none."""
    measure = getattr(found, name)
    return f"{name} {measure.number} {unit}" if np.isfinite(measure.value) else f"no {name}: {measure.message}"
