"""The head of the page: what was done, the few numbers that come first, and what is doubtful."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath
from typing import Any

import numpy as np

from .directions import known
from .layout import lines, shortened
from .markup import Html, tag
from .run import Run, counted, duration, number, sides, voxels

_KINDS: dict[str, tuple[str, str | None]] = {
    "assess": ("Assessment", None),
    "reconstruct": ("Reconstruction", "in the poses that were given"),
    "refine": ("Refinement", "whose given poses were improved"),
    "ab-initio": ("Reconstruction from particles alone", "whose poses were found from the images alone"),
}
_NAME = 120  # letters
_MOST = 8  # warnings


def title(run: Run) -> str:
    """Return the name of the page."""
    file = run.told("output", "file")
    return shortened(PurePath(str(file)).name if file else "A volume", _NAME)


def summary(run: Run) -> Html:
    """Return what was done in a sentence, and the numbers that come first."""
    kind, how = _KINDS.get(str((run.told("command") or [""])[0]), ("Reconstruction", None))
    line = " · ".join(filter(None, [f"fastmpr: {kind}", _day(run.told("written"))]))
    return tag(
        "header",
        tag("p", line, class_="kind"),
        tag("h1", title(run)),
        tag("p", _sentence(run, how), class_="lead"),
        tag("dl", [_figure(*one) for one in _figures(run)], class_="figures"),
    )


def warnings(run: Run) -> Html:
    """Return what is doubtful; the first thing after the numbers, so that nobody misses it."""
    said = [*run.told("warnings", otherwise=[]), *(run.measured("warnings") or ())]
    if not _is_done(run):
        said.insert(0, f"This is not the final volume: {run.result.message}")
    said = list(dict.fromkeys(map(str, said)))
    if not said:
        text = (
            "The program looks for usual mistakes and found none; that proves little. What it assumed is listed below."
        )
        return tag("section", tag("h2", "No warnings"), tag("p", text), class_="doubts none")
    heading = f"What is doubtful: {counted(len(said), 'warning')}"
    return tag("section", tag("h2", heading), lines(said, _MOST), class_="doubts some")


def _sentence(run: Run, how: str | None) -> str:
    count = run.told("input", "count", otherwise=None if run.poses is None else len(run.poses))
    what = "The particles" if count is None else counted(int(count), "particle")
    who = f"{what}, {how}," if how else what
    alike = f", with the symmetry {run.symmetry}" if run.symmetry else ""
    return (
        f"{who} became one volume of {sides(run.result.x.shape)} voxels (z, y, x) of {voxels(run.voxel_size)}{alike}."
    )


def _figures(run: Run) -> list[tuple[str, Any, str]]:
    """Return the numbers that come first: a name, a number, and what it means."""
    return [
        _resolution(run),
        _isotropy(run),
        ("Views used", _used(run), "those that make the volume, of all"),
        _fit(run),
        _solver(run),
        ("Time", None if run.told("seconds") is None else duration(run.told("seconds")), _threads(run)),
    ]


def _figure(name: str, value: Any, meaning: str) -> Html:
    shown = tag("dd", "not measured", class_="missing") if value is None else tag("dd", value)
    return tag("div", tag("dt", name), shown, tag("dd", meaning, class_="meaning"))


def _resolution(run: Run) -> tuple[str, Any, str]:
    told = run.measured("resolution")
    if told is None:
        return "Resolution", None, "how fine a detail can be trusted"
    if not run.is_resolved:
        return "Resolution", f"≤ {run.length(told)}", "the voxels are too large to show where it ends"
    return "Resolution", run.length(told), "coarser detail can be trusted (FSC 0.5, a safe estimate)"


def _isotropy(run: Run) -> tuple[str, Any, str]:
    periods, _ = known(run)
    if not len(periods):
        return "Worst direction", None, "whether it is as sharp in every direction"
    ratio = number(periods.max() / periods.min())
    return "Worst direction", run.length(periods.max()), f"{ratio} times that of the best; 1 would be as sharp in all"


def _fit(run: Run) -> tuple[str, Any, str]:
    fit = run.found("fit")
    return "Fit", None if fit is None else f"{fit:.2f}", "what is left of the views, over their noise; best about 1"


def _solver(run: Run) -> tuple[str, Any, str]:
    return "Solver", "done" if _is_done(run) else "not finished", counted(int(run.result.nit), "iteration")


def _is_done(run: Run) -> bool:
    """Return whether all that was asked for is done: with tol 0, these are all iterations."""
    every = run.found("status") == "max_iter" and run.told("options", "tol") == 0
    return bool(run.result.success or every)


def _used(run: Run) -> str | None:
    out = run.is_left_out
    if out is not None:
        return f"{np.count_nonzero(~out):,} of {len(out):,}"
    count = run.told("input", "count", otherwise=None if run.poses is None else len(run.poses))
    return None if count is None else f"{count:,}"


def _threads(run: Run) -> str:
    threads = run.told("threads")
    return "from the files to the volume" + (f", {counted(threads, 'thread')}" if isinstance(threads, int) else "")


def _day(written: Any) -> str | None:
    try:
        when = datetime.fromisoformat(str(written))
    except ValueError:
        return None
    return f"{when.day} {when:%B %Y, %H:%M} {when.tzname() or ''}".strip()
