"""Volumes of a quantity other than light, such as a resolution or an error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from .drawing import PANEL, SECTIONS, draw_scale_bar, draw_section, new_figure


def figure_of_map(volume: NDArray, size: Vector, known: bool, label: str) -> Any:
    """Return a figure of the three central sections of a volume with a scale of its values; NaN is grey."""
    depth, height, width = np.multiply(volume.shape, size)
    widths = [width, width, height]
    inches = 0.88 * PANEL[0] / sum(widths)
    figure = new_figure((PANEL[0], max(1.8, inches * max(height, depth) + 0.3)))
    axes = figure.subplots(1, 3, width_ratios=widths)
    planes = [volume.take(n // 2, axis=axis) for axis, n in enumerate(volume.shape)]
    seen = np.concatenate([plane[np.isfinite(plane)] for plane in planes])
    limits = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    for ax, (name, axis) in zip(axes, SECTIONS.items(), strict=True):
        ax.set_facecolor("0.6")
        image = draw_section(ax, volume, axis, size, limits)
        ax.set_title(name, fontsize=9)
    if known:
        draw_scale_bar(axes[0], 0.3 * width)
    bar = figure.colorbar(image, ax=axes, pad=0.02, shrink=0.8)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure
