"""The public door to `fastmpr.quality.plot`."""

from .quality.plot import sections

__all__ = ["sections"]
