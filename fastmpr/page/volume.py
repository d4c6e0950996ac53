"""What the volume looks like."""

from __future__ import annotations

from numpy.typing import NDArray

from .._validation import moderate
from ..plot.results import figure_of_maxima, figure_of_sections
from .layout import section
from .markup import Html, tag
from .pictures import picture
from .run import Run


def volume(run: Run) -> Html:
    """Return sections and projections of the volume, beside those of the average of the views."""
    volumes = _shown(run)
    both = "the volume" if len(volumes) == 1 else "the volume (above) and the average of its views (below)"
    beside = "The average of the views was not made." if len(volumes) == 1 else _AVERAGE
    known = run.voxel_size is not None
    text = "Each row has an intensity scale of its own, from 0 to its brightest voxels. "
    pictures = [
        picture(
            figure_of_sections(volumes, run.size, known),
            f"Central xy, xz and yz sections of {both}",
            "Sections through the middle.",
        ),
        picture(
            figure_of_maxima(volumes, run.size, known),
            f"Maximum projections along z, y and x of {both}",
            "Maximum projections: the brightest voxel along each line of sight.",
        ),
    ]
    scale = "" if known else " The voxel size is not known, so there is no scale bar."
    return section("The volume", [tag("p", beside, " ", text, scale)], pictures)


_AVERAGE = (
    "Below each picture of the volume is the average of the same views in the same poses, which is what one would "
    "have without deconvolution."
)


def _shown(run: Run) -> dict[str, NDArray]:
    shown = {"volume": moderate(run.result.x)}
    return shown if run.average is None else shown | {"average": moderate(run.average)}
