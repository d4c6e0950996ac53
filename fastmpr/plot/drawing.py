"""What all pictures have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import Vector

SECTIONS = {"xy": 0, "xz": 1, "yz": 2}  # name -> the array axis perpendicular to the section
INK = "#1f4e79"
PANEL = (4.4, 2.8)  # inches of a picture that stands beside others: its letters can be read on a phone
_COLOURS = "inferno"  # perceptually uniform, and safe for the colour-blind
_FINEST = 256  # pixels along a side that a picture shows at least: of a plane with twice as many, blocks are averaged
_NEEDED = 'pictures need matplotlib: pip install "fastmpr[cli]"'
_LOOKED_AT = 1 << 24  # voxels of a volume, at most about so many, that tell its intensities


def new_figure(inches: tuple[float, float]) -> Any:
    """Return an empty figure of some width and height."""
    try:
        from matplotlib.figure import Figure  # not pyplot: no window, nothing shared with the caller's plots
    except ImportError:
        raise ImportError(_NEEDED) from None
    return Figure(figsize=inches, layout="constrained", facecolor="white")


def draw_section(ax: Any, volume: NDArray, axis: int, voxel_size: Vector, limits: tuple[float, float]) -> Any:
    """Draw the central section perpendicular to ``axis``, in micrometres; return its image."""
    return draw_plane(ax, volume.take(volume.shape[axis] // 2, axis=axis), np.delete(voxel_size, axis), limits)


def draw_plane(ax: Any, plane: NDArray, pixel_size: ArrayLike, limits: tuple[float, float]) -> Any:
    """Draw a plane, in micrometres; return its image."""
    height, width = np.multiply(plane.shape, pixel_size)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax.imshow(
        _averaged(plane),
        cmap=_COLOURS,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, width, 0, height),
        interpolation="nearest",
    )


def _averaged(plane: NDArray) -> NDArray:
    """Average a plane over blocks where it has more voxels than a picture has pixels; a rim that fills no block is cut."""
    down, across = (max(1, n // _FINEST) for n in plane.shape)
    if down == across == 1:
        return plane
    height, width = plane.shape[0] // down, plane.shape[1] // across
    return plane[: height * down, : width * across].reshape(height, down, width, across).mean(axis=(1, 3))


def draw_scale_bar(ax: Any, at_most: float) -> None:
    """Draw a scale bar of 1, 2 or 5 times a power of ten micrometres in the lower left corner."""
    power = 10.0 ** np.floor(np.log10(at_most))
    length = power * max(step for step in (1, 2, 5) if step * power <= at_most)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    x, y = left + 0.05 * (right - left), bottom + 0.06 * (top - bottom)
    ax.plot([x, x + length], [y, y], color="white", linewidth=2.5, solid_capstyle="butt")
    ax.text(x, y + 0.03 * (top - bottom), f"{length:g} µm", color="white", fontsize=8)


def tidy(ax: Any, title: str) -> None:
    """Give a diagram its title, and small letters."""
    ax.set_title(title, fontsize=9)
    ax.tick_params(labelsize=7)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_fontsize(8)
    ax.spines[["top", "right"]].set_visible(False)


def limits_of(volume: NDArray) -> tuple[float, float]:
    """Return the intensities that are black and white: from 0, or a low percentile below it, to a high one."""
    step = math.ceil((volume.size / _LOOKED_AT) ** (1 / 3))
    low, high = np.percentile(volume[::step, ::step, ::step], (1, 99.9))
    return min(0.0, float(low)), float(high)
