"""The public door to `fastmpr.quality.metrics`."""

from .quality.metrics import psnr

__all__ = ["psnr"]
