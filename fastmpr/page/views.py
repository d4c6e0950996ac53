"""The views: from which directions, how well each fits, and which stand out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..plot.directions import figure_of_directions
from ..plot.found_poses import figure_of_scores
from .layout import not_measured, section, shortened, table
from .markup import Html, tag
from .pictures import picture
from .run import Run, counted, number
from .sharpness import coverage

_WORST = 8  # views that are named
_NAME = 60  # letters


def directions(run: Run) -> Html:
    """Return from which directions the volume was seen."""
    heading = "From which directions it was seen"
    if run.poses is None:
        return not_measured(heading, coverage(run))
    axes = run.poses.matrix[:, 0]
    if run.is_left_out is not None and len(run.is_left_out) == len(axes):
        axes = axes[~run.is_left_out]
    weakest = run.measured("coverage", "worst_axis")
    words = [
        tag(
            "p",
            "Each dot is a view: the direction in the volume along which the microscope looked, and along which that view is "
            "blurred most. A volume is sharp in every direction only if the views come from many sides.",
        ),
        tag("p", coverage(run)),
    ]
    if (symmetry := run.told("input", "symmetry")) not in (None, "auto", "C1"):
        words.append(tag("p", f"By its symmetry {symmetry}, each view counts from several directions; one of them is drawn."))
    figure = figure_of_directions(axes, None if weakest is None else tuple(np.asarray(weakest, float)))
    alt = f"Map of the directions of {counted(len(axes), 'view')} in the frame of the volume. {coverage(run)}"
    caption = "The map shows all directions, with z in the middle and -z on the rim; equal areas are equal shares of them."
    return section(heading, words, [picture(figure, alt, caption)])


def scores(run: Run) -> Html:
    """Return how well the views agree with the volume."""
    heading = "How well the views agree with it"
    found = run.per_view("scores")
    if found is None:
        return not_measured(heading, "The poses were given and taken as they are, so no view has a score.")
    known = found[np.isfinite(found)]
    words = [
        tag(
            "p",
            "The score of a view is its correlation with what the volume predicts for it, noise not counted: 1 if the volume "
            "explains all but noise, 0 if it explains no more than noise alone would.",
        ),
        _summary(run, known),
    ]
    if not len(known) or run.found("rounds") is None:
        return section(heading, words)
    alt = f"Histogram of {counted(len(known), 'score')}, and the median score after each round"
    caption = "Left: all scores. Right: the median after each round of reconstruction and alignment; it should level off."
    return section(heading, words, [picture(figure_of_scores(run.result), alt, caption)])


def _summary(run: Run, known: NDArray) -> Html:
    """Return a table of what was found with the poses."""
    rows = []
    if len(known):
        rows.append(["Scores", f"{known.min():.3f} to {known.max():.3f}, median {np.median(known):.3f}"])
    confidence = run.found("confidence")
    if confidence is not None and np.isfinite(confidence):
        agree = "they agree" if confidence >= 0.9 else "below 0.9 they do not agree, and each may be wrong"
        rows.append(["Two starts", f"their volumes correlate by {confidence:.3f}: {agree}"])
    if run.found("symmetry") is not None:
        rows.append(["Symmetry found", str(run.result.symmetry)])
    if (scale := run.found("psf_scale")) not in (None, 1):
        rows.append(["Width of the PSF", f"{number(scale)} times as wide as given"])
    return table(None, [], rows)


def outliers(run: Run) -> Html:
    """Return the few views that fit worst."""
    heading = "Views that stand out"
    columns = {name: run.per_view(name) for name in ("scores", "weights", "gains")}
    told = {name.rstrip("s").capitalize(): values for name, values in columns.items() if values is not None}
    ranks = next(iter(told.values()), None)
    if ranks is None:
        return not_measured(heading, "No view has a score or a weight of its own; the warnings name those that misfit.")
    order = np.argsort(np.nan_to_num(ranks, nan=-np.inf), kind="stable")
    shown = order[:_WORST]
    rows = [[shortened(run.name(i), _NAME), *(number(values[i]) for values in told.values())] for i in shown.tolist()]
    left = len(order) - len(shown)
    more = f"The other {left:,} are in the record." if left else "There are no others."
    out = run.is_left_out
    without = "" if out is None or not out.any() else f"{counted(int(out.sum()), 'view')} of {len(out):,} left out. "
    words = tag(
        "p", f"{without}These fit worst. A weight of 0 means that a view is no part of the volume; no score, that it was not "
        f"compared. {more}"
    )
    return section(heading, [words, table(None, ["View", *told], rows)])
