"""Curves of what a volume resolves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .drawing import INK, PANEL, new_figure, tidy

THRESHOLDS = (0.5, 0.143)
_HALVES = "#b35900"  # beside INK, safe for the colour-blind
_PALE = "0.55"


def figure_of_fsc(
    curves: Mapping[str, Any], told: float | None, unit: str, share: tuple[NDArray, NDArray] | None = None
) -> Any:
    """Return a figure of Fourier shell correlations against the frequency, with their thresholds.

    Parameters
    ----------
    curves : mapping of str to curve
        Name -> anything with ``frequency`` (n,) in cycles per unit, ``correlation`` (n,) and ``error`` (n,), one standard
        error, or None. The first is the one that matters.
    told : float or None
        The period that is called the resolution, marked.
    unit : str
        Of length.
    share : pair of (n,) ndarray, optional
        Frequencies, and the share of the directions that are resolved there.
    """
    figure = new_figure(PANEL)
    ax = figure.add_subplot()
    low = min(-0.1, *(np.nanmin(curve.correlation, initial=0.0) - 0.05 for curve in curves.values()))
    for (name, curve), (colour, style) in zip(curves.items(), ((INK, "-"), (_HALVES, "--")), strict=False):
        frequency, correlation = np.asarray(curve.frequency, float), np.asarray(curve.correlation, float)
        ax.plot(frequency, correlation, style, color=colour, linewidth=1.6, label=name)
        if curve.error is not None:
            band = correlation - curve.error, correlation + curve.error
            ax.fill_between(frequency, *band, color=colour, alpha=0.2, linewidth=0)
    if share is not None:
        ax.plot(*share, ":", color=_PALE, linewidth=1.4, label="directions resolved")
    for threshold in THRESHOLDS:
        ax.axhline(threshold, color=_PALE, linewidth=0.8)
        ax.annotate(f"{threshold:g}", (1, threshold), xycoords=("axes fraction", "data"), xytext=(3, -3), **_SMALL)
    ax.set(xlabel=f"spatial frequency (1/{unit})", ylabel="correlation", ylim=(low, 1.05))
    ax.set_xlim(left=0)
    if told is not None:
        _mark(ax, told, unit)
    tidy(ax, "Fourier shell correlation")
    place = {"loc": "outside lower center", "ncols": 3, "columnspacing": 1.0, "handlelength": 1.6}
    figure.legend(*ax.get_legend_handles_labels(), fontsize=7, frameon=False, **place)
    return figure


_SMALL: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": "0.35"}


def _mark(ax: Any, period: float, unit: str) -> None:
    """Mark a period by a line, with its length beside it."""
    ax.axvline(1 / period, color=INK, linewidth=1.0)
    place = {"xy": (1 / period, 1), "xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    ax.annotate(f"{period:.3g} {unit}", xytext=(4, -8), fontsize=9, color=INK, weight="bold", **place)
