"""What a data set is made of: each argument checked, and copied where it is not a particle."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_volume
from ..poses import Poses
from ..psf.checks import check as check_psf


def as_psfs(psf: Any) -> tuple[NDArray, ...]:
    """Return the PSFs as volumes of our own, each looked at once for likely mistakes."""
    if psf is None:
        return ()
    several = _dimensions(psf) == 4 or (isinstance(psf, list | tuple) and {_dimensions(one) for one in psf} == {3})
    named = [(f"psf[{k}]", one) for k, one in enumerate(psf)] if several else [("psf", psf)]
    return tuple(_as_psf(one, name) for name, one in named)


_ours: WeakValueDictionary[int, NDArray] = WeakValueDictionary()  # the PSFs that were looked at, by their id


def _as_psf(psf: Any, name: str) -> NDArray:
    if (ours := _ours.get(id(psf))) is not None:  # of another data set: it cannot have changed
        return ours
    volume = frozen(as_volume(psf, name).copy())
    check_psf(volume, name)
    _ours[id(volume)] = volume
    return volume


def _dimensions(value: Any) -> int:
    try:
        return np.ndim(value)
    except ValueError:  # lists of unequal lengths
        return -1


def as_psf_of(psf_of: Any, count: int, n_psfs: int) -> NDArray[np.intp]:
    """Return the place of each particle's PSF."""
    if psf_of is None:
        if n_psfs > 1:
            raise ValueError(f"psf_of: found none for {n_psfs} PSFs, need which of them each particle was imaged with")
        return frozen(np.zeros(count, np.intp))
    places = np.asarray(psf_of)
    if places.shape != (count,) or places.dtype.kind not in "iu":
        raise ValueError(f"psf_of: found {places.dtype} of shape {places.shape}, need integers of shape ({count},)")
    if places.min() < 0 or places.max() >= max(n_psfs, 1):
        found = places.min() if places.min() < 0 else places.max()
        raise ValueError(f"psf_of: found {found}, need places from 0 to {max(n_psfs, 1) - 1}, for {n_psfs} PSFs")
    return frozen(places.astype(np.intp))


def as_poses(poses: Any, names: tuple[str, ...] | None, count: int) -> Poses | None:
    """Return the poses in the order of the particles."""
    if poses is None:
        return None
    if not isinstance(poses, Poses):
        raise TypeError(f"poses: found {type(poses).__name__}, need fastmpr.Poses")
    if len(poses) != count:
        raise ValueError(f"particles: found {count} for {len(poses)} poses, need one each")
    return poses.matched(names) if names and poses.names else poses


def as_names(names: Any, count: int) -> tuple[str, ...] | None:
    """Return one name for each particle, or None."""
    if names is None:
        return None
    if isinstance(names, str) or len(names) != count:
        raise ValueError(f"names: found {names!r:.40}, need {count} of them, one for each particle")
    return tuple(str(name) for name in names)


def as_weights(weights: ArrayLike | None, count: int) -> NDArray[np.float64]:
    """Return one finite weight per view, none negative."""
    if weights is None:
        return frozen(np.ones(count))
    array = np.array(weights, dtype=float)
    if array.shape != (count,):
        raise ValueError(f"weights: found shape {array.shape}, need ({count},), one for each particle")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() > 0):
        raise ValueError("weights: found a negative, infinite or NaN one or only zeros, need weights of at least 0")
    return frozen(array)


def assumptions(voxel_size: Any, psf_voxel_size: Any, psfs: Any, poses: Poses | None, names: Any) -> list[str]:
    """Say what nothing was said about."""
    found = []
    if voxel_size is None:
        found.append("voxel size: not known, so lengths are in voxels, and these are cubes")
    if psfs and psf_voxel_size is None:
        found.append("PSF's voxel size: not known, so the particles'")
    if poses is not None and not (names and poses.names):
        found.append("poses: not matched by name, so in the order of the particles")
    return found


def frozen(array: NDArray) -> NDArray:
    """Return an array of our own that nobody can write to any more."""
    array.flags.writeable = False
    return array
