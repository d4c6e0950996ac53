"""``fastmpr assess``."""

from __future__ import annotations

from typing import Any

from ._arguments import new_command
from ._assessed import add_more
from .reconstruct import add_arguments, run


def add(commands: Any) -> None:
    """Add the command."""
    summary = "reconstruct one volume, and tell how good it is without the truth"
    example = "fastmpr assess particles --psf psf.tif --poses poses.csv -o volume.ome.tif --page"
    command = new_command(commands, "assess", run, summary, example)
    add_arguments(command)
    add_more(command)
