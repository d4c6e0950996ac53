"""How sharp the volume is, and where, and how sure its voxels are: what `assess` measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..plot.curves import THRESHOLDS, figure_of_fsc
from ..plot.maps import figure_of_map
from .layout import not_measured, section, table
from .markup import Html, tag
from .pictures import picture
from .run import Run

_EXPECTED, _HALVES = "with the truth (expected)", "of two halves"
_TOLD = 0.5  # where the expected curve was tried against the truth
_HONEST = (
    "The halves are compared before the prior makes them smooth: two finished volumes would agree even where both are "
    "wrong, since the same prior shaped both."
)
_CURVE = (
    " The blue curve is the least that is to be expected of this volume and the true particle, as halves of the views tell; "
    "the band is one standard error."
)


def resolution(run: Run) -> Html:
    """Return the resolution, and the curves that tell it."""
    heading = "How sharp it is"
    curves = {_EXPECTED: run.measured("curve"), _HALVES: run.measured("halves")}
    curves = {name: curve for name, curve in curves.items() if curve is not None}
    if not curves:
        return not_measured(
            heading,
            "Without it, fine detail in the pictures may be noise that looks like structure: --assess measures it.",
        )
    told = run.measured("resolution")
    words = [
        tag("p", _told(run, told)),
        tag(
            "p",
            "The Fourier shell correlation (FSC) tells for each size of detail how far two volumes agree: 1 where they are "
            "the same, 0 where they have nothing in common.",
            None if run.measured("curve") is None else _CURVE,
        ),
        None if run.measured("halves") is None else tag("p", _HONEST),
        _crossings(run, curves),
    ]
    figure = figure_of_fsc(curves, told if run.is_resolved else None, run.unit, _share(run))
    alt = f"Fourier shell correlation against spatial frequency, with thresholds 0.5 and 0.143. {_told(run, told)}"
    caption = "Left: coarse detail. Right: fine detail. A curve that falls tells where detail ends and noise begins."
    return section(heading, words, [picture(figure, alt, caption)])


def _told(run: Run, told: float | None) -> str:
    if told is None:
        return "The resolution was not measured."
    if not run.is_resolved:
        return (
            f"The curve stays above 0.5 down to {run.length(told)}, the finest detail that these voxels hold: the "
            "resolution is at least as good, and smaller voxels might show more."
        )
    return (
        f"Detail of {run.length(told)} and coarser can be trusted, in the mean of all directions: there the expected FSC "
        "with the truth crosses 0.5."
    )


def _crossings(run: Run, curves: dict[str, Any]) -> Html:
    """Return where each curve crosses each threshold."""
    rows = [[f"FSC {name}", *(_period(run, name, curve, one) for one in THRESHOLDS)] for name, curve in curves.items()]
    return table(None, ["Resolution by", *(f"at {one:g}" for one in THRESHOLDS)], rows)


def _period(run: Run, name: str, curve: Any, threshold: float) -> str:
    if name == _EXPECTED and threshold < _TOLD:
        return "not told"  # its errors are too large there
    frequency = curve.crossing(threshold)
    return "stays above" if frequency is None else run.length(1 / frequency)


def _share(run: Run) -> tuple[Any, Any] | None:
    """Return the share of directions that are resolved, and the frequencies that it is known for."""
    cones = run.measured("cones")
    return None if cones is None else (cones.frequency, cones.share)


def local(run: Run) -> Html | None:
    """Return the map of the local resolution, if it was asked for."""
    found = run.measured("local")
    if found is None:
        return None
    found = np.asarray(found)
    figure = figure_of_map(found, run.size, run.voxel_size is not None, f"resolution ({run.unit})")
    middle = float(np.nanmedian(found))
    alt = f"Central sections of the local resolution; its median is {run.length(middle)}"
    words = tag("p", f"The resolution around each voxel; half of the voxels have {run.length(middle)} or better.")
    return section(
        "Where it is sharp", [words], [picture(figure, alt, "Dark: fine detail. Bright: coarse detail only.")]
    )


def deviation(run: Run) -> Html:
    """Return the error bars of the voxels."""
    heading = "How sure each voxel is"
    found = run.measured("deviation")
    if found is None:
        return not_measured(
            heading, "Error bars come from volumes of many random choices of the views: fastmpr assess --bootstrap 50."
        )
    found, brightest = np.asarray(found), float(np.max(run.result.x))
    share = f"{100 * float(found.max()) / brightest:.2g} %" if brightest > 0 else "–"
    replicates = run.measured("replicates")
    of = "many" if replicates is None else f"{len(replicates)}"
    words = tag(
        "p",
        f"The standard deviation of each voxel over {of} volumes, each from a random choice of the views (bootstrap). The "
        f"largest is {share} of the brightest voxel. It tells of noise and of differences between views, not of mistakes "
        "that all views share, such as a wrong PSF.",
    )
    figure = figure_of_map(found / (brightest or 1.0), run.size, run.voxel_size is not None, "over the brightest voxel")
    alt = f"Central sections of the standard deviation of each voxel; the largest is {share} of the brightest voxel"
    return section(heading, [words], [picture(figure, alt, "Bright: uncertain.")])
