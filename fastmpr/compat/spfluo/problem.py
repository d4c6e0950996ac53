"""The arguments of SPFluo's reconstruction with all optional axes added, and its result without them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._validation import as_finite, as_flag, as_reals, check_intensities, shown
from ...io.conventions import warn_of_radians
from .arrays import as_numpy, like

_LONGEST = 1280  # voxels along a side, so that a voxel's index fits in 32 bits


class Problem(NamedTuple):
    """M reconstructions of C channels from N views with k poses each.

    Attributes
    ----------
    views : (N, C, D, D, D) ndarray
        float32 or float64.
    psf : (C, d, h, w) ndarray
        In the same precision.
    poses : (M, k, N, 6) float64 ndarray
        Euler angles "XZX" in degrees, translation (z, y, x) in voxels.
    lambdas : (M,) float64 ndarray
    """

    views: NDArray
    psf: NDArray
    poses: NDArray
    lambdas: NDArray


def as_problem(
    volumes: Any,
    psf: Any,
    poses: Any,
    lambda_: Any,
    batch: bool,
    symmetry: bool,
    multichannel: bool,
    names: tuple[str, str] = ("volumes", "poses"),
) -> Problem:
    """Check SPFluo's arguments and add the optional axes; ``names`` are those of the views and of the poses."""
    called, named = names
    batch, symmetry = as_flag(batch, "batch"), as_flag(symmetry, "symmetry")
    multichannel = as_flag(multichannel, "multichannel")
    views = as_cubes(volumes, multichannel, called)
    blur = as_blur(psf, views, multichannel, called)
    axes = ["M"] * batch + ["k"] * symmetry + ["N", "6"]
    given = as_reals(as_numpy(poses, named), named, f"numbers of shape ({', '.join(axes)})")
    if given.ndim != len(axes) or given.shape[-2:] != (len(views), 6) or given.size == 0:
        need = ", ".join([*axes[:-2], str(len(views)), "6"])
        raise ValueError(f"{named}: found an array of shape {given.shape}, need ({need}), for {len(views)} {called}")
    if not np.isfinite(given).all():
        raise ValueError(f"{named}: found NaN or infinite values, need finite angles and translations")
    given = given.reshape(len(given) if batch else 1, -1, len(views), 6)
    warn_of_radians(named, given[0, 0, :, :3])
    return Problem(views, blur, given, _as_lambdas(lambda_, len(given)))


def answer(x: NDArray, volumes: Any, batch: bool, multichannel: bool) -> Any:
    """Return reconstructions (M, C, D, D, D) without the axes that the call lacks, as the kind of array it has."""
    if not multichannel:
        x = x[:, 0]
    return like(np.ascontiguousarray(x if batch else x[0]), volumes)


def as_cubes(volumes: Any, multichannel: bool, name: str = "volumes") -> NDArray:
    """Return the volumes (N, C, D, D, D)."""
    array = as_finite(as_numpy(volumes, name), name)
    need = "need (N, C, D, D, D)" if multichannel else "need (N, D, D, D)"
    if array.ndim != (5 if multichannel else 4):
        raise ValueError(f"{name}: found an array of shape {array.shape}, {need}")
    if len(set(array.shape[-3:])) > 1:
        raise ValueError(f"{name}: found volumes of {array.shape[-3:]} voxels, {need}: cubes, as in SPFluo")
    if array.shape[-1] > _LONGEST:
        raise ValueError(f"{name}: found cubes of {array.shape[-1]} voxels a side, need {_LONGEST} at most")
    check_intensities(array, name, array.dtype.type)
    return array if multichannel else array[:, np.newaxis]


def as_blur(psf: Any, views: NDArray, multichannel: bool, name: str = "volumes") -> NDArray:
    """Return the PSFs (C, d, h, w) in the precision of the views."""
    with np.errstate(over="ignore"):  # the checks below find an overflow
        array = as_finite(as_numpy(psf, "psf"), "psf").astype(views.dtype, copy=False)
    if array.ndim != (4 if multichannel else 3):
        need = "need (C, d, h, w)" if multichannel else "need (d, h, w)"
        raise ValueError(f"psf: found an array of shape {array.shape}, {need}")
    check_intensities(array, "psf", array.dtype.type)
    array = array if multichannel else array[np.newaxis]
    if len(array) != views.shape[1]:
        raise ValueError(f"psf: found {len(array)} channels, need the {views.shape[1]} of {name}")
    if not (array.reshape(len(array), -1).sum(axis=1) > 0).all():
        raise ValueError("psf: found a sum that is not positive, need a PSF whose sum is positive")
    return array


def _as_lambdas(lambda_: Any, count: int) -> NDArray:
    """Return the weights of the prior, one for each reconstruction."""
    need = f"{count} positive finite numbers" if count > 1 else "a positive finite number"
    lambdas = as_reals(as_numpy(lambda_, "lambda_"), "lambda_", need).reshape(-1)
    if len(lambdas) != count or not ((lambdas > 0) & np.isfinite(lambdas)).all():
        raise ValueError(f"lambda_: found {shown(lambda_)}, need {need}")
    return lambdas


def as_reference(volume: Any, views: NDArray, name: str) -> NDArray:
    """Return a volume (C, D, D, D) that views are compared with."""
    array = as_finite(as_numpy(volume, name), name)
    if array.size:
        check_intensities(array.astype(np.float64), name, views.dtype.type)
    array = array.astype(views.dtype, copy=False)
    if array.shape != views.shape[1:]:
        raise ValueError(f"{name}: found an array of shape {array.shape}, need {views.shape[1:]}, as one of the views")
    if not array.any():
        raise ValueError(f"{name}: found zeros only, need a volume that views can be compared with")
    return array
