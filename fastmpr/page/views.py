"""How well each view agrees with the volume, and which stand out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..plot.found_poses import figure_of_scores
from .layout import long, not_measured, section, shortened, table
from .markup import Html, tag
from .pictures import picture
from .run import Run, counted, number

_WORST = 8  # views that are named
_NAME = 60  # letters
_AGREED = 0.9  # the correlation of two starts, as `PoseResult` has it
_HEADING = "How well the views agree with it"
_SCORES = (
    "The score of a view is its correlation with what the volume predicts for it, noise not counted: 1 if the volume "
    "explains all but noise, 0 if it explains no more than noise alone would."
)


def views(run: Run) -> Html:
    """Return how well the views agree with the volume, and the few that agree least."""
    scores, weights = run.per_view("scores"), run.per_view("weights")
    if scores is None and weights is None:
        return not_measured(_HEADING, "The poses were given; no view has a score. Warnings name views that do not fit.")
    if scores is None:
        return section(_HEADING, [*_worst(run)])
    known = scores[np.isfinite(scores)]
    words = [tag("p", _SCORES), _found(run, known), *_worst(run)]
    if not len(known) or run.found("rounds") is None:
        return section(_HEADING, words)
    alt = f"Histogram of {counted(len(known), 'score')}, and the median score after each round"
    caption = (
        "Left: all scores. Right: the median after each round of reconstruction and alignment; it should level off."
    )
    return section(_HEADING, words, [picture(figure_of_scores(run.result), alt, caption)])


def _found(run: Run, known: NDArray[np.float64]) -> Html | None:
    """Return a table of what was found with the poses."""
    rows = []
    if len(known):
        rows.append(["Scores", f"{known.min():.3f} to {known.max():.3f}, median {np.median(known):.3f}"])
    confidence = run.found("confidence")
    if confidence is not None and np.isfinite(confidence):
        agree = "they agree" if confidence >= _AGREED else f"below {_AGREED} each may be wrong"
        rows.append(["Two starts", long(f"their volumes correlate by {confidence:.3f}: {agree}")])
    if run.found("symmetry") is not None:
        rows.append(["Symmetry", long(str(run.result.symmetry))])
    if (scale := run.found("psf_scale")) not in (None, 1):
        rows.append(["PSF", f"{number(scale)} times as wide as given"])
    return table(None, [], rows) if rows else None


def _worst(run: Run) -> list[Html]:
    """Return a table of the views that fit worst: those that are left out, then by their scores or weights."""
    columns = {name: run.per_view(name) for name in ("scores", "weights", "gains")}
    told = {name: values for name, values in columns.items() if values is not None}
    ranks, out = next(iter(told.values())), run.is_left_out
    order = np.argsort(np.nan_to_num(ranks, nan=-np.inf), kind="stable")
    if out is not None:
        order = np.concatenate([order[out[order]], order[~out[order]]])
    rows = [
        [long(shortened(run.name(i), _NAME)), *(_cell(name, values[i]) for name, values in told.items())]
        for i in order[:_WORST].tolist()
    ]
    left = max(0, len(order) - _WORST)
    rest = f" The other {left:,} are in the record." if left else ""
    used = (
        ""
        if out is None or not out.any()
        else f"{counted(int(out.sum()), 'view')} of {len(out):,} left out: weight 0. "
    )
    head = ["View", *(name.removesuffix("s").capitalize() for name in told)]
    return [
        tag("p", f"{used}These views fit worst; a dash is a view that was not compared.{rest}"),
        table(None, head, rows),
    ]


def _cell(name: str, value: float) -> str:
    return f"{value:.3f}" if name == "scores" and np.isfinite(value) else number(value)
