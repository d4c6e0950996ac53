"""Check and convert the arguments of `deconvolve`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector, as_array, as_reals, as_voxel_size, number_of_axes, shown
from ..regularizers import Regularizer, as_regularizer, has_closed_form
from ..views.arguments import as_psfs

_READS = " (fastmpr.io.read_image reads a file)"


def is_single(image: Any) -> bool:
    """Return whether the argument is one image, not several; raise an error if it is neither."""
    if isinstance(image, list | tuple) and image and isinstance(image[0], str | bytes | Path | Mapping):
        raise TypeError(f"image: found a list of {type(image[0]).__name__}, need arrays{_READS}")
    if isinstance(image, str | bytes | Path):
        raise TypeError(f"image: found {shown(image)}, need an array{_READS}")
    if isinstance(image, Mapping | Set) or image is None:
        of_values = ", such as list(image.values())" if isinstance(image, Mapping) else ""
        raise TypeError(f"image: found {type(image).__name__}, need an array, or a list of them{of_values}")
    if isinstance(image, list | tuple):
        return not image or number_of_axes(image[0]) < 2
    return hasattr(image, "shape") or hasattr(image, "__array__") or not isinstance(image, Iterable)


def as_psfs_of(psf: Any) -> tuple[list[NDArray], int]:
    """Return the PSFs and their number of dimensions."""
    if isinstance(psf, str | bytes | Path | Mapping | Set) or psf is None:
        raise TypeError(f"psf: found {shown(psf)}, need an array, or a list of them{_READS}")
    several = list(psf) if isinstance(psf, list | tuple) and len(psf) and number_of_axes(psf[0]) > 1 else [psf]
    shapes = [as_array(one, "psf").ndim for one in several]
    if set(shapes) not in ({2}, {3}):
        raise ValueError(
            f"psf: found {' and '.join(map(str, sorted(set(shapes))))} dimensions, need 2 or 3, or a list of such PSFs"
        )
    for one in several:
        array = as_array(one, "psf")
        if array.size and array.dtype.kind == "f" and array.min() < -array.max():
            raise ValueError(f"psf: found {array.min():.3g} to {array.max():.3g}, need one that is mostly positive")
    looked_at = as_psfs([as_array(one, "psf").reshape(-1, *np.shape(one)[-2:]) for one in several])
    return [psf.reshape(np.shape(one)) for psf, one in zip(looked_at, several, strict=True)], shapes[0]


def upright(psf: NDArray) -> NDArray:
    """Return a PSF in three dimensions: the rows of a 2-D PSF become planes, which the threads share out."""
    return psf if psf.ndim == 3 else psf[:, np.newaxis]


def as_voxel(value: Any, dimensions: int, name: str) -> Vector:
    """Return the sides of a voxel (z, y, x); those of a pixel (y, x) become z and x, and y does not count."""
    if dimensions == 3:
        return as_voxel_size(value, name)
    sides = as_reals(value, name, "one or two positive lengths (y, x)")
    if sides.shape not in ((), (1,), (2,)):
        raise ValueError(f"{name}: found shape {sides.shape}, need one or two positive lengths (y, x)")
    y, x = np.broadcast_to(sides, (2,)).tolist()
    return as_voxel_size((y, max(x, y), x), name)


def as_iterated(regularizer: Any, voxel: Vector) -> Regularizer:
    """Return a regulariser; refuse one with a closed form."""
    chosen = as_regularizer(regularizer, voxel)
    if has_closed_form(chosen):
        raise ValueError("regularizer: found 'tikhonov', need 'hessian', 'tv' or another that is solved by iterations")
    return chosen
