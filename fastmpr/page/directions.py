"""From which directions the volume was seen, and whether it is as sharp in every direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plot.directions import figure_of_cones, figure_of_directions
from .layout import section
from .markup import Html, tag
from .pictures import picture
from .run import Run, counted, number

_SEEN = (
    "A view is blurred most along the direction in which the microscope looked. So a volume is sharp in every direction "
    "only if its views come from many sides."
)
_CONES = (
    "The resolution along a direction is read from the frequencies in a cone around it (conical FSC). They are few, so it "
    "is a lower bound, and less certain than the resolution of the whole."
)
_MAP = "The map has z in the middle and -z on the rim; equal areas are equal shares of all directions."


def directions(run: Run) -> Html:
    """Return a map of the views' directions and one of the resolution along each direction."""
    words = [tag("p", _SEEN), tag("p", coverage(run)), tag("p", isotropy(run))]
    symmetry = run.symmetry
    if symmetry is not None:
        words.append(tag("p", f"By its symmetry {symmetry}, each view counts from several directions; one is drawn."))
    drawn = [_views(run), _cones(run)]
    return section("Is it as sharp in every direction?", words, [one for one in drawn if one is not None])


def coverage(run: Run) -> str:
    """Return in words how evenly the views cover the directions."""
    filled, least, axis = (run.measured("coverage", name) for name in ("filled", "smallest", "worst_axis"))
    told = []
    if filled is not None:
        told.append(
            f"How evenly the views cover the directions: {filled:.2f}, where 1 is all alike, and 0 that one is not covered."
        )
    if axis is not None:
        share = "" if least is None else f", {_percent(least)} of what they tell in the mean"
        told.append(f"They tell least of details along ({_axis(axis)}) (z, y, x){share}.")
    return " ".join(told) or "How evenly the views cover the directions was not measured."


def isotropy(run: Run) -> str:
    """Return in words how the resolution differs between directions."""
    periods, axes = known(run)
    if not len(periods):
        return "The resolution along each direction was not measured."
    ratio = f"The worst has {number(periods.max() / periods.min())} times the period of the best; 1 would be the same."
    worst = f"It is worst along ({_axis(axes[periods.argmax()])}) (z, y, x)."
    return f"Along the directions that were tried, the resolution is {_range(run, periods)}. {ratio} {worst} {_CONES}"


def _views(run: Run) -> Html | None:
    if run.poses is None:
        return None
    axes, out = run.poses.matrix[:, 0], run.is_left_out
    if out is not None and len(out) == len(axes):
        axes = axes[~out]
    weakest = run.measured("coverage", "worst_axis")
    figure = figure_of_directions(axes, None if weakest is None else tuple(np.asarray(weakest, float).tolist()))
    alt = f"Map of the directions of {counted(len(axes), 'view')} in the frame of the volume. {coverage(run)}"
    return picture(figure, alt, f"Each dot is a view: the direction in which the microscope looked. {_MAP}")


def _cones(run: Run) -> Html | None:
    periods, axes = known(run)
    if not len(periods):
        return None
    alt = f"Map of the resolution along {counted(len(periods), 'direction')}: {_range(run, periods)}"
    return picture(
        figure_of_cones(axes, periods, run.unit),
        alt,
        "Each dot is a direction: dark where the volume shows fine detail along it, bright where it shows coarse detail.",
    )


def known(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the periods that are resolved and their directions, where they are known."""
    cones = run.measured("cones")
    if cones is None:
        return np.empty(0), np.empty((0, 3))
    periods = np.asarray(cones.resolution, float)
    known = np.isfinite(periods)
    return periods[known], np.asarray(cones.axes, float)[known]


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"{100 * share:.2g} %"


def _range(run: Run, periods: NDArray[np.float64]) -> str:
    return f"{number(periods.min())} to {run.length(periods.max())}"


def _axis(vector: Any) -> str:
    return ", ".join(f"{one + 0.0:.2f}" for one in np.asarray(vector, float))
