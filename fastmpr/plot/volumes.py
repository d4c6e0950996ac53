"""A picture of several volumes side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import Vector, as_volume, as_voxel_size, moderate, shown
from ..io.files import as_path, written_whole
from .drawing import SECTIONS, draw_scale_bar, draw_section, limits_of, new_figure


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
        figure = figure_of(arrays, size, voxel_size is not None)
        figure.savefig(temporary, dpi=200, format=path.suffix[1:] or "png")


def figure_of(volumes: dict[str, NDArray], voxel_size: Vector, known: bool = True) -> Any:
    """Return the figure; ``known``: whether the voxel size is."""
    extents = np.array([np.multiply(volume.shape, voxel_size) for volume in volumes.values()])
    deepest, tallest, _ = extents.max(axis=0)
    names = list(SECTIONS) if any(len(volume) > 1 for volume in volumes.values()) else ["xy"]
    widths = [max(x, y) if len(names) > 1 else x for _, y, x in extents]
    heights = [tallest, deepest, deepest][: len(names)]
    inches = 2.2 * len(volumes) / sum(widths)  # per micrometre, for 2.2 inches per column on average
    figure = new_figure((inches * sum(widths) + 0.5, inches * sum(heights) + 0.25 + 0.15 * len(names)))
    axes = figure.subplots(len(names), len(volumes), squeeze=False, width_ratios=widths, height_ratios=heights)
    for column, (title, volume) in enumerate(volumes.items()):
        limits = limits_of(volume)
        for row, name in enumerate(names):
            ax = axes[row, column]
            draw_section(ax, volume, SECTIONS[name], voxel_size, limits)
            if row == 0:
                ax.set_title(title, fontsize=10)
            if column == 0:
                ax.set_ylabel(name, fontsize=10, rotation=0, ha="right", va="center")
    if known:
        draw_scale_bar(axes[0, 0], 0.3 * widths[0])
    return figure
