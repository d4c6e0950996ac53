"""What a data set is made of: each argument checked, and copied where it is not a particle."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_array, as_choice, as_intensities, as_reals, as_voxel_size, times
from ..geometry.poses import Poses
from ..geometry.symmetry import is_odd_dihedral
from ..io.particles import are_in_order, listed, unmatched
from ..psf.checks import check as check_psfs
from .seen import Seen
from .source import with_length

_MOST_WEIGHT = 1e15  # and one over it the least: times the brightest particle, both precisions hold it


def check_keywords(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a keyword that a Dataset does not take."""
    for name in given:
        if name not in known:
            raise TypeError(f"{name}: found a keyword that nothing here takes, need one of {', '.join(known)}")


def as_psfs(psf: Any) -> tuple[NDArray, ...]:
    """Return the PSFs as volumes of our own, each looked at once for likely mistakes."""
    if psf is None:
        return ()
    several = _dimensions(psf) == 4 or (isinstance(psf, list | tuple) and {_dimensions(one) for one in psf} == {3})
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
    places = as_array(psf_of, "psf_of")
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


def as_weights(weights: ArrayLike | None, count: int) -> NDArray[np.float64]:
    """Return one finite weight per view, none negative."""
    if weights is None:
        return frozen(np.ones(count))
    array = as_reals(weights, "weights", f"{count} numbers, one for each particle")
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
        return as_choice(seen, "seen", ("auto", "all"))
    if seen is source.rule[0]:
        return seen
    if isinstance(seen, Mapping):
        raise TypeError(f"seen: found a {type(seen).__name__}, need a sequence of masks in the order of the particles")
    seen = with_length(seen)
    if not (hasattr(seen, "__len__") and hasattr(seen, "__getitem__")) or len(seen) != len(source):
        found = f"{len(seen)} masks" if hasattr(seen, "__len__") else type(seen).__name__
        raise ValueError(f"seen: found {found}, need 'auto', 'all' or {len(source)} masks, one for each particle")
    return seen


def as_background(background: Any, count: int) -> Any:
    """Return "auto", "plane", "none", or one number per view."""
    if isinstance(background, str):
        return as_choice(background, "background", ("auto", "plane", "none"))
    array = as_reals(background, "background", f"'auto', 'plane', 'none', a number or {count} of them")
    if array.shape not in ((), (count,)) or not np.isfinite(array).all():
        raise ValueError(f"background: found numbers of shape {array.shape}, need finite ones: one, or ({count},)")
    return frozen(np.broadcast_to(array, (count,)).copy())


def as_gain(gain: Any, count: int) -> Any:
    """Return "same", "fit", or one positive number per view."""
    if isinstance(gain, str):
        return as_choice(gain, "gain", ("same", "fit"))
    array = as_reals(gain, "gain", f"'same', 'fit' or {count} numbers")
    if array.shape != (count,) or not ((array >= 1 / _MOST_WEIGHT) & (array <= _MOST_WEIGHT)).all():
        need = f"({count},), from {1 / _MOST_WEIGHT:g} to {_MOST_WEIGHT:g}"
        raise ValueError(f"gain: found numbers of shape {array.shape}, need {need}")
    return frozen(array)


SHOWN = {
    "rises": "background: not said, and it rises to one side of the images, so a plane is fitted (background=0.2: no)",
    "loses_light": "outside: not said, and light leaves the images through their faces, so what lies beyond is taken for "
    "unseen (outside='dark': it is dark)",
}  # by a few views, by the name of the Dataset's attribute


def crops_text(crops: dict[str, Seen], shape: Sequence[int] | None) -> list[str]:
    """Say which particles were taken for crops, and of which others some was taken for unseen."""
    image = f" of {times(shape)}" if shape else ""
    texts = []
    for name, seen, others in _first_of({name: seen for name, seen in crops.items() if seen.bits is None}):
        texts.append(
            f"seen: not said, so {name}{others} are taken for crops ({times(seen.shape)}{image}), and what surrounds them "
            "for unseen (seen='all': it was seen)"
        )
    for name, seen, others in _first_of({name: seen for name, seen in crops.items() if seen.bits is not None}):
        texts.append(
            f"seen: not said, so of {name}{others} what fills regions of one value, or repeats other planes, is taken for "
            f"unseen ({seen.voxels} voxels{image} were seen; seen='all': all were)"
        )
    return texts


def _first_of(some: dict[str, Seen]) -> Iterator[tuple[str, Seen, str]]:
    """Yield the first of some particles, and how many more there are; nothing of none."""
    for name, seen in itertools.islice(some.items(), 1):
        yield name, seen, f" and {len(some) - 1} more" if len(some) > 1 else ""


def lengths_beside(changes: dict[str, Any], data: Any) -> dict[str, Any]:
    """Return a data set's symmetry and radius, as they mean the same beside a voxel size that becomes known."""
    becomes_known = data.known_voxel is None and changes.get("voxel_size") is not None
    edge = min(as_voxel_size(changes["voxel_size"])) if becomes_known else 1.0
    kept = {"radius": None if data.radius is None else data.radius * edge}
    symmetry, axis = changes.get("symmetry", data.symmetry), data.symmetry_axis
    if symmetry is None:
        return kept | {"symmetry": None, "symmetry_axis": None, "symmetry_centre": None}
    if isinstance(axis[0], tuple) and str(symmetry).startswith("C"):  # which has no two-fold axis
        axis = axis[0]
    centre = np.multiply(data.symmetry_centre, edge)
    return kept | {"symmetry": data.symmetry, "symmetry_axis": axis, "symmetry_centre": centre}


def poses_beside(changes: dict[str, Any], data: Any) -> Poses:
    """Return a data set's poses, as they mean the same beside other names or a voxel size that becomes known."""
    poses: Poses = data.poses
    names = None if "names" in changes else poses.names  # they are in the order of the particles already
    becomes_known = data.known_voxel is None and changes.get("voxel_size") is not None
    unit = "voxel" if becomes_known and poses.unit is None else poses.unit
    if (names, unit) == (poses.names, poses.unit):
        return poses
    meaning: dict[str, Any] = {"unit": unit, "centre": poses.centre, "two_fold": poses.two_fold}
    return Poses(poses.rotation, poses.translation, names=names, **meaning)


def assumptions(
    voxel_size: Any, psf_voxel_size: Any, psfs: Any, poses: Poses | None, names: Any, symmetry: Any, axis: Any
) -> list[str]:
    """Say what nothing was said about."""
    found = []
    if voxel_size is None:
        found.append("voxel size: not known, so lengths are in voxels, and these are cubes")
    if psfs and psf_voxel_size is None:
        found.append("PSF's voxel size: not known, so the particles'")
    if poses is not None and not (names and poses.names):
        found.append("poses: not matched by name, so in the order of the particles")
    if poses is not None and poses.unit not in (None, "voxel") and voxel_size == (1, 1, 1):
        found.append("voxel size: 1 um on all sides, as some programs write that do not know it")
    if poses is not None and poses.two_fold == "x" and not isinstance(axis[0], tuple) and is_odd_dihedral(symmetry):
        found.append("symmetry: the two-fold axis not given, so as in RELION: x where the other is z")
    return found


def frozen(array: NDArray) -> NDArray:
    """Return an array of our own that nobody can write to any more."""
    array.flags.writeable = False
    return array
