"""Figures as images within the page."""

from __future__ import annotations

import base64
import io
from typing import Any

from .markup import Html, tag

_DPI = 200  # sharp on any screen, and in print
_LARGE = 250_000  # bytes of a PNG, which does not compress noise
_JPEG = {"quality": 80}


def picture(figure: Any, alt: str, *caption: Any) -> Html:
    """Return a figure with a caption; ``alt`` says in words what it shows."""
    kind, content = _encoded(figure)
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return tag("figure", tag("img", src=source, alt=alt), tag("figcaption", *caption))


def _encoded(figure: Any) -> tuple[str, bytes]:
    """Return the kind of an image and its bytes: PNG, or JPEG where that would be large."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=_DPI)
    if png.tell() <= _LARGE:
        return "png", png.getvalue()
    jpeg = io.BytesIO()
    figure.savefig(jpeg, format="jpeg", dpi=_DPI, pil_kwargs=_JPEG)
    return "jpeg", jpeg.getvalue()
