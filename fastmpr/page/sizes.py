"""Sizes of the volume: profiles about an axis, and what `profile` measures in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..plot.axis_profiles import figures_of
from .layout import long, not_measured, section, table
from .markup import Html, tag
from .pictures import picture
from .run import Run

_OF = {"diameter": "ring", "width": "ring's wall", "height": "barrel"}
_ALONG = {
    "radial": "at each distance from the axis",
    "axial": "at each height along the axis",
    "angular": "at each angle about the axis",
}
_PROFILES = (
    "Means of the volume about its axis. Width and height go from half maximum to half maximum, so what is left of the blur "
    "makes them larger; the diameter is that of the middle of the wall. A band, and what follows ±, is one standard "
    "deviation."
)


def profiles(run: Run) -> Html:
    """Return what was measured along profiles of the volume."""
    found = run.measured("profiles")
    if found is None:
        return not_measured(
            "Sizes and profiles",
            "Diameters, widths and heights come from profiles about an axis: fastmpr assess --profiles.",
        )
    measures = {name: getattr(found, name) for name in ("diameter", "width", "height")}
    rows = [[f"{name.capitalize()} of the {_OF[name]}", _measure(run, one)] for name, one in measures.items()]
    words = [tag("p", _PROFILES), table(None, [], rows)]
    drawn = figures_of(found)
    alts = {name: f"The {name} profile: the mean of the volume {_ALONG[name]}" for name in drawn}
    return section(
        "Sizes and profiles",
        words,
        [picture(figure, alts[name], f"The mean {_ALONG[name]}.") for name, figure in drawn.items()],
    )


def _measure(run: Run, found: Any) -> str | Html:
    """Return a length with its error, or why there is none."""
    unit = run.unit if run.unit == "µm" else f"{run.unit}s"
    return f"{found.number} {unit}" if np.isfinite(found.value) else long(found.message)
