"""What a view saw of its image: all of it, a box of a crop, or the voxels of a mask."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._validation import Size, as_array
from ..inspection.repeats import TURNS, turns_of
from ..inspection.unseen import find_unseen

_FILLED = 0.5  # of the voxels on a side where a crop was cut: what was imaged there is seldom of one value
_TELLING = 9  # voxels of a face, of which fewer may well have one value
_STRAY = 0.02  # of the voxels of a face may differ from the value that a crop was pasted into
_FADED = 0.02  # of the range of a box, at most, to the value around it: what is cut off ends in more
_SURFACE = 0.9  # of an image's surface: who saw that much would have seen light beyond it


class NothingSeenError(ValueError):
    """A particle of which nothing was seen."""


class Seen(NamedTuple):
    """What a view saw of its image.

    Attributes
    ----------
    box : three of (first, last + 1)
        Along z, y and x: a box that holds all that was seen.
    bits : (n,) uint8, optional
        Which voxels of the box were seen, packed; all of them by default.
    beyond : bool
        Whether it saw too that it is dark beyond the edge of the image.
    guessed : bool
        Whether nobody said so: what was not seen was recognised.
    """

    box: tuple[tuple[int, int], ...]
    bits: NDArray[np.uint8] | None
    beyond: bool
    guessed: bool = False

    @property
    def shape(self) -> Size:
        """The shape of the box."""
        (z0, z1), (y0, y1), (x0, x1) = self.box
        return z1 - z0, y1 - y0, x1 - x0

    @property
    def corner(self) -> NDArray[np.float64]:
        """The first voxel of the box."""
        return np.array([first for first, _ in self.box], float)

    @property
    def inside(self) -> tuple[slice, ...]:
        """Where the box lies in the image."""
        return as_slices(self.box)

    @property
    def voxels(self) -> int:
        """How many voxels were seen."""
        return math.prod(self.shape) if (mask := self.mask()) is None else int(np.count_nonzero(mask))

    def mask(self) -> NDArray[np.bool_] | None:
        """Return which voxels of the box were seen; None where all were."""
        if self.bits is None:
            return None
        return np.unpackbits(self.bits, count=math.prod(self.shape)).reshape(self.shape).astype(bool)

    def part(self, particle: NDArray) -> NDArray:
        """Return a copy of the box of a particle; voxels that were not seen have the values of those around them."""
        part = particle[self.inside].copy()
        if (seen := self.mask()) is not None:
            _fill_holes(part, seen)
        return part

    def evened(self, part: NDArray) -> NDArray:
        """Return a box of a particle with their median in place of voxels that were not seen."""
        seen = self.mask()
        return part if seen is None else np.where(seen, part, np.median(part[seen]))

    def whole(self, part: NDArray, shape: Size) -> NDArray:
        """Return an image with a box of a particle in its place, and NaN where nothing was seen."""
        image = np.full(shape, np.nan, part.dtype)
        seen = self.mask()
        image[self.inside] = part if seen is None else np.where(seen, part, np.nan)
        return image


def seen_in(particle: NDArray, mask: Any, rule: Any, outside: str) -> Seen | None:
    """Return what was seen in an image, None where that is everything and it is dark beyond.

    Parameters
    ----------
    particle : (nz, ny, nx) ndarray
        NaN where nothing was seen.
    mask : (nz, ny, nx) array of bool, optional
        Where it was seen.
    rule
        With "auto", crops that were pasted into a constant are recognised, and what else nobody saw (see `find_unseen`).
    outside : {"auto", "dark", "unseen"}
        What is beyond the edge of the image; "auto": dark where nearly all of the image's surface was seen.

    Raises
    ------
    NothingSeenError
    """
    known = None if mask is None else np.array(mask, bool)
    guesses = known is None and isinstance(rule, str) and rule == "auto"
    if np.isnan(particle.min()):
        finite = ~np.isnan(particle)
        known = finite if known is None else known & finite
    crop, seen = _guess(particle, known) if guesses else (None, known)
    if crop is not None:
        return Seen(crop, None if seen is None else _packed(seen[as_slices(crop)]), outside == "dark", guessed=True)
    if seen is None:
        if outside != "unseen":
            return None
        return Seen(tuple((0, n) for n in particle.shape), None, False)
    if seen.all() and outside != "unseen":
        return None
    if not seen.any():
        raise NothingSeenError("found no voxel that was seen, need some")
    box = _bounds(seen)
    inside = seen[as_slices(box)]
    beyond = outside == "dark" or (outside == "auto" and _surface(seen) >= _SURFACE)
    return Seen(box, _packed(inside), beyond, guessed=guesses and seen is not known)


def _guess(
    particle: NDArray, known: NDArray[np.bool_] | None
) -> tuple[tuple[tuple[int, int], ...] | None, NDArray[np.bool_] | None]:
    """Return the box of a crop, and which voxels were seen: what is known of them where no other region was unseen."""
    box = crop_box(particle) if known is None else _crop_with_holes(particle, known)
    where = as_slices(box or tuple((0, n) for n in particle.shape))
    found = find_unseen(particle[where])
    if found is None:
        return box, known
    seen = np.zeros(particle.shape, bool)
    seen[where] = ~found.mask()
    return None, seen if known is None else seen & known


def as_mask(mask: Any, name: str, shape: Size) -> NDArray[np.bool_]:
    """Return where a view saw something, of the shape of a particle."""
    array = as_array(mask, name)
    if array.shape != shape:
        raise ValueError(f"{name}: found a mask of shape {array.shape}, need {shape} like the particles")
    if array.dtype != bool and not any(np.isin(array, values).all() for values in ((0, 1), (0, 255))):
        raise ValueError(
            f"{name}: found {array.dtype} with other values than 0 and 1 (or 255), need a mask: True where it was seen"
        )
    return array.astype(bool)


def crop_box(particle: NDArray) -> tuple[tuple[int, int], ...] | None:
    """Return the box of a crop that was pasted into an image of one value; None where there is none.

    One value must fill the image from one or more of its six faces up to the box, but for a few stray voxels, and be rare on
    the sides where the box was cut: images of few photons are dark along their faces too, but dark, with few exceptions,
    further in as well. What is in the box may be a crop in another value.
    """
    faces = [particle.take(end, axis) for axis in range(3) if particle.shape[axis] > 1 for end in (0, -1)]
    filled = (
        face.flat[0] for face in faces if face.size >= _TELLING and face.flat[0] == face.flat[-1] and _is_filled(face)
    )
    value = next(filled, None)
    if value is None:
        return None
    other = particle != value
    if not other.any():
        return None
    box = _bounds(other, _STRAY)
    inside = other[as_slices(box)]
    cut = [
        inside.take(end, axis)
        for axis, (first, last) in enumerate(box)
        for end, is_cut in ((0, first > 0), (-1, last < particle.shape[axis]))
        if is_cut
    ]
    if not cut or not all(side.mean() > _FILLED for side in (inside, *cut)):
        return None
    part = particle[as_slices(box)]
    if _fades(part, value, box, particle.shape):
        return None
    within = crop_box(part)
    if within is None:
        return box
    return tuple((start + a, start + b) for (start, _), (a, b) in zip(box, within, strict=True))


def _fades(part: NDArray, value: Any, box: Iterable[tuple[int, int]], shape: Size) -> bool:
    """Return whether a box ends in the value around it, without noise: a computed image that becomes dark, and no crop."""
    cut = [
        part.take(end, axis)
        for axis, ((first, last), n) in enumerate(zip(box, shape, strict=True))
        for end, is_cut in ((0, first > 0), (-1, last < n))
        if is_cut
    ]
    step = max(float(np.abs(side.astype(float) - float(value)).max()) for side in cut)
    found, triples = np.sum([turns_of(side) for side in cut], axis=0)
    with np.errstate(invalid="ignore"):  # infinite values are refused later
        spread = float(np.ptp(part.astype(float)))
    return bool(step <= _FADED * spread and found <= TURNS * triples)


def as_slices(box: Iterable[tuple[int, int]]) -> tuple[slice, ...]:
    """Return what takes a box out of an array."""
    return tuple(slice(*side) for side in box)


def _is_filled(face: NDArray) -> bool:
    """Return whether a face has one value, that of its first voxel, but for a few."""
    return bool(np.count_nonzero(face != face.flat[0]) <= _STRAY * face.size)


def _crop_with_holes(particle: NDArray, known: NDArray) -> tuple[tuple[int, int], ...] | None:
    """Return the box of a crop some voxels of which are NaN."""
    if not known.any() or not known[0, 0, 0]:
        return None
    return crop_box(np.where(known, particle, particle[0, 0, 0]))


def _packed(seen: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    return None if seen.all() else np.packbits(seen)


def _fill_holes(part: NDArray, seen: NDArray[np.bool_]) -> None:
    """Give voxels that were not seen the mean of their neighbours, or else the value of the nearest that was."""
    total, count = np.zeros(part.shape, part.dtype), np.zeros(part.shape, np.uint8)
    known = np.where(seen, part, 0)
    for axis in range(3):
        ahead, behind = (
            tuple(slice(1, None) if a == axis else slice(None) for a in range(3)),
            tuple(slice(None, -1) if a == axis else slice(None) for a in range(3)),
        )
        for target, source in ((ahead, behind), (behind, ahead)):
            total[target] += known[source]
            count[target] += seen[source]
    near = ~seen & (count > 0)
    part[near] = total[near] / count[near]
    if (far := ~seen & (count == 0)).any():
        nearest = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
        part[far] = part[tuple(nearest[:, far])]


def _bounds(mask: NDArray[np.bool_], stray: float = 0.0) -> tuple[tuple[int, int], ...]:
    """Return the smallest box that holds all that is true, but for planes at its sides with a stray share of the most."""
    sides = []
    for axis in range(3):
        share = mask.mean(axis=tuple(a for a in range(3) if a != axis))
        found = np.flatnonzero(share > stray * share.max())
        sides.append((int(found[0]), int(found[-1]) + 1))
    inside = mask[as_slices(sides)]
    if stray == 0 or inside.shape == mask.shape:
        return tuple(sides)
    within = _bounds(inside, stray)  # where its planes are shorter
    return tuple((first + a, first + b) for (first, _), (a, b) in zip(sides, within, strict=True))


def _surface(seen: NDArray[np.bool_]) -> float:
    """Return the share of an image's faces that was seen, the least of the six."""
    return min(float(seen.take(end, axis).mean()) for axis in range(3) for end in (0, -1))
