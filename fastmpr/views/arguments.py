"""What a data set is made of: each argument checked alone, and copied where it is not a particle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from .._validation import as_array, as_choice, as_intensities, as_reals, number_of_axes
from ..geometry.arguments import frozen
from ..geometry.poses import Poses
from ..io.particles import are_in_order, listed, unmatched
from ..psf.checks import check as check_psfs
from .sequences import with_length
from .types import BackgroundWord, GainWord, SeenWord, WeightsWord

_MOST_WEIGHT = 1e15  # and one over it the least: times the brightest particle, both precisions hold it

_SEEN, _BACKGROUND, _GAIN, _WEIGHTS = map(get_args, (SeenWord, BackgroundWord, GainWord, WeightsWord))


def as_psfs(psf: Any) -> tuple[NDArray, ...]:
    """Return the PSFs as volumes of our own, each looked at once for likely mistakes."""
    if psf is None:
        return ()
    if isinstance(psf, Poses):
        raise TypeError("psf: found Poses, need a PSF: the order is (particles, psf, poses)")
    several = number_of_axes(psf) == 4 or (
        isinstance(psf, list | tuple) and {number_of_axes(one) for one in psf} == {3}
    )
    given = {f"psf[{k}]": one for k, one in enumerate(psf)} if several else {"psf": psf}
    volumes = {name: _ours.get(id(one)) for name, one in given.items()}  # of another data set: it cannot have changed
    new = {name: as_intensities(given[name], name).copy() for name, ours in volumes.items() if ours is None}
    check_psfs(new)
    return tuple(own(new[name]) if ours is None else ours for name, ours in volumes.items())


_ours: WeakValueDictionary[int, NDArray] = WeakValueDictionary()  # the PSFs that were looked at, by their id


def own(psf: NDArray) -> NDArray:
    """Return a PSF that is ours, frozen, and known as one that was looked at."""
    _ours[id(psf)] = frozen(psf)
    return psf


def as_psf_of(psf_of: Any, count: int) -> NDArray[np.intp]:
    """Return one integer per view."""
    places = as_array(psf_of, "psf_of")
    if places.shape != (count,) or places.dtype.kind not in "iu":
        raise ValueError(f"psf_of: found {places.dtype} of shape {places.shape}, need integers of shape ({count},)")
    return frozen(places.astype(np.intp))


def as_psf_places(psf_of: NDArray[np.intp] | None, count: int, n_psfs: int) -> NDArray[np.intp]:
    """Return the place of each view's PSF among so many."""
    if psf_of is None:
        if n_psfs > 1:
            raise ValueError(f"psf_of: found none for {n_psfs} PSFs, need which of them each particle was imaged with")
        return frozen(np.zeros(count, np.intp))
    if psf_of.min() < 0 or psf_of.max() >= max(n_psfs, 1):
        found = psf_of.min() if psf_of.min() < 0 else psf_of.max()
        raise ValueError(f"psf_of: found {found}, need places from 0 to {max(n_psfs, 1) - 1}, for {n_psfs} PSFs")
    return psf_of


def as_poses(poses: Any, names: tuple[str, ...] | None, count: int) -> Poses | None:
    """Return the poses in the order of the particles."""
    if poses is None:
        return None
    if not isinstance(poses, Poses):
        raise TypeError(f"poses: found {type(poses).__name__}, need fastmpr.Poses")
    if len(poses) != count:
        which = f" ({unmatched(names, poses.names)})" if names and poses.names else ""
        raise ValueError(f"particles: found {count} for {len(poses)} poses{which}, need one each")
    if poses.names == names:  # in the order of the particles already
        return poses
    if names and poses.names:
        return poses.matched(names)
    return poses


def check_order(names: tuple[str, ...] | None, poses: Poses | None) -> None:
    """Refuse names on one side alone that are not in natural order: nothing tells that the other side is in theirs."""
    if poses is None or bool(names) == bool(poses.names):
        return
    named = names or poses.names or ()
    if not are_in_order(named):
        given, other = ("names", "poses") if names else ("poses", "particles")
        found = f"found names that are not in natural order ({listed(named)}) beside {other} without names"
        raise ValueError(f"{given}: {found}, need names of both to tell which pose belongs to which particle")


def as_weights(weights: Any, count: int) -> Any:
    """Return "robust", or one finite weight per view, none negative."""
    if weights is None:
        return frozen(np.ones(count))
    if isinstance(weights, str):
        return as_choice(weights, "weights", _WEIGHTS)
    array = as_reals(weights, "weights", f"'robust' or {count} numbers, one for each particle")
    if array.shape != (count,):
        raise ValueError(f"weights: found shape {array.shape}, need ({count},), one for each particle")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() > 0):
        raise ValueError("weights: found a negative, infinite or NaN one or only zeros, need weights of at least 0")
    positive = array[array > 0]
    if not 1 / _MOST_WEIGHT <= positive.min() <= positive.max() <= _MOST_WEIGHT:
        found, need = f"{positive.min():g} to {positive.max():g}", f"0 or {1 / _MOST_WEIGHT:g} to {_MOST_WEIGHT:g}"
        raise ValueError(f"weights: found {found}, need {need}")
    return frozen(array)


def as_seen(seen: Any, source: Any) -> Any:
    """Return which rule tells what was seen: "auto", "all", or a sequence of one mask per particle."""
    if isinstance(seen, str):
        return as_choice(seen, "seen", _SEEN)
    if seen is source.rule[0]:
        return seen
    if isinstance(seen, Mapping):
        raise TypeError(f"seen: found a {type(seen).__name__}, need a sequence of masks in the order of the particles")
    seen = with_length(seen)
    sized = hasattr(seen, "__len__") and hasattr(seen, "__getitem__") and getattr(seen, "shape", None) != ()
    if not sized or len(seen) != len(source):
        found = f"{len(seen)} masks" if sized else type(seen).__name__
        raise ValueError(f"seen: found {found}, need 'auto', 'all' or {len(source)} masks, one for each particle")
    return seen


def as_background(background: Any, count: int) -> Any:
    """Return "auto", "plane", "none", or one number per view."""
    if isinstance(background, str):
        return as_choice(background, "background", _BACKGROUND)
    array = as_reals(background, "background", f"'auto', 'plane', 'none', a number or {count} of them")
    if array.shape not in ((), (count,)) or not np.isfinite(array).all():
        raise ValueError(f"background: found numbers of shape {array.shape}, need finite ones: one, or ({count},)")
    return frozen(np.broadcast_to(array, (count,)).copy())


def as_gain(gain: Any, count: int) -> Any:
    """Return "same", "fit", or one positive number per view."""
    if isinstance(gain, str):
        return as_choice(gain, "gain", _GAIN)
    array = as_reals(gain, "gain", f"'same', 'fit' or {count} numbers")
    if array.shape != (count,) or not ((array >= 1 / _MOST_WEIGHT) & (array <= _MOST_WEIGHT)).all():
        need = f"({count},), from {1 / _MOST_WEIGHT:g} to {_MOST_WEIGHT:g}"
        raise ValueError(f"gain: found numbers of shape {array.shape}, need {need}")
    return frozen(array)
