"""What --page does: OUT.html, a page that tells of the run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import fastmpr

from .. import page
from ..io.files import check_writable
from ._records import beside
from ._words import check_extras


def add_page(command: Any) -> None:
    """Add --page."""
    text = "also write OUT.html, a page to read and to show: what was done, how sharp the volume is, what is doubtful"
    command.add_argument("--page", action="store_true", help=text)


def check_page(args: argparse.Namespace) -> None:
    """Raise an error now if the page could not be written at the end."""
    if args.page:
        check_extras("matplotlib")
        check_writable(_place(args), args.overwrite)


def write_page(
    args: argparse.Namespace,
    record: dict[str, Any],
    data: fastmpr.Dataset,
    result: fastmpr.Result,
    average: NDArray | None,
    quality: Any = None,
) -> None:
    """Write the page if it is asked for; ``data`` has the poses that the volume is made with."""
    if args.page:
        names = [data.source.name(i) for i in range(len(data))]
        known = result.voxel_size if data.unit == "um" else None
        told = (record, result, average, known, quality)
        page.write(_place(args), *told, overwrite=args.overwrite, poses=data.placed, names=names)


def _place(args: argparse.Namespace) -> Path:
    return beside(Path(args.output), ".html")
