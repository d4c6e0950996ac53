"""Find voxels of an image that were not seen: solid regions of one value, and planes that repeat others.

In the dark, many voxels have the same few photons by chance. So a region of one value counts as unseen only if it is more
solid than chance allows, its border is sharp, and its value is rare outside. Dark regions of an image without noise were
computed, so they count as seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._validation import Size
from .repeats import ROUNDING, missing_planes

_SIDE = 5  # voxels: a square of this side in any plane is solid, and so is a whole line of as many voxels as the square
_TIP = 10  # greatest length of a region's narrow tips, in voxels
_REACH = 3  # width in voxels of the border around a region that is judged
_HALO = _SIDE - 1 + _TIP  # planes on either side that influence what is found in a plane
_BLOCK = 1 << 21  # voxels that are processed together
_THINNEST = 8  # least number of planes of a block, and the number for an image that is not in memory
_SAMPLE = 1 << 15  # voxels in which repeated values are sought, or a sixteenth of a block if that is more
_FEWEST = 12  # pairs of neighbours there that must be equal
_DRAWN = 1 << 10  # of those voxels and pairs that are sorted
_MOST = 3  # values that are examined: those that repeat most
_REPEATS = 0.5  # of a value's neighbours along a line have the value too, if the value fills regions
_RARE = 0.35  # of the voxels outside a region may have its value: a square of them then has a chance of 4e-12
_ALONE = 0.02  # of them: if fewer have the value, those that touch the region belong to it
_STRAY = 1e-3  # of them: if fewer have the value, all of them belong to the region
_SHARP = 0.6  # of the difference at two voxels from a region exists at one voxel already, if the border is sharp
_BOTH = 0.02  # of the voxels outside are darker, and as many brighter, if the region cuts noise around its value
_TURNS = 0.25  # share of three neighbours with the extreme in the middle: two thirds in white noise, fewer on slopes
_DEEP = 0.3  # least ratio of voxels at distance two to those at distance one; below it they are specks in the dark
_CUT_OFF, _MANY = 0.2, 100  # the lowest tenth of cut-off noise ends 0.15 of the way to its median; of a tail, at 0.4
_TELLING = 30  # least number of voxels, or of triples, for a verdict


class Unseen(NamedTuple):
    """The unseen voxels of an image.

    Attributes
    ----------
    shape : (nz, ny, nx)
        Shape of the image.
    bits : (nz, n) uint8
        Packed bits of each plane: 1 for a voxel that was not seen.
    """

    shape: Size
    bits: NDArray[np.uint8]

    @property
    def voxels(self) -> int:
        """The number of unseen voxels."""
        return sum(int(np.count_nonzero(self.plane(z))) for z in range(len(self.bits)))

    def plane(self, z: int) -> NDArray[np.bool_]:
        """Return the mask of the unseen voxels of a plane."""
        _, ny, nx = self.shape
        return np.unpackbits(self.bits[z], count=ny * nx).reshape(ny, nx).view(bool)

    def mask(self) -> NDArray[np.bool_]:
        """Return the mask of all unseen voxels."""
        return np.stack([self.plane(z) for z in range(len(self.bits))])


def find_unseen(image: Any) -> Unseen | None:
    """Return the voxels of an image that were not seen; None if there are none.

    Parameters
    ----------
    image : (nz, ny, nx) ndarray or Slabs
        Any real type, NaN where voxels are known to be unseen. Some planes are read at a time.
    """
    found = [region for value in _repeating(image) if (region := _Region(image, value)).is_cut_out]
    planes = missing_planes(image)
    if not found and not any(axis.any() for axis in planes):
        return None
    bits = []
    for first, inner, block in _blocks(image, _HALO if found else 0):
        lost = np.zeros(block.shape, bool)
        for region in found:
            lost |= region.within(block)
        lost = lost[inner]
        lost |= planes[0][first : first + len(lost), None, None] | planes[1][:, None] | planes[2]
        bits.append(np.packbits(lost.reshape(len(lost), -1), axis=1))
    return Unseen(image.shape, np.concatenate(bits))


class _Region:
    """The solid bodies, plates and whole lines of an image that have a given value, and their border.

    Attributes
    ----------
    is_alone : bool
        Whether the value occurs nowhere else, so that all voxels with it belong to the region.
    grows : bool
        Whether the value is so rare elsewhere that voxels with it that touch the region belong to it.
    is_cut_out : bool
        Whether the region was not seen.
    """

    def __init__(self, image: Any, value: Any):
        self.value, self.is_alone, self.grows = value, False, False
        solid, beyond, is_around, greatest = 0, 0, False, value
        for _, inner, block in _blocks(image, _HALO):
            same = block == value
            core = _solid(same)
            solid += int(np.count_nonzero(core[inner]))
            beyond += int(np.count_nonzero((same & ~core)[inner]))
            is_around = is_around or _is_around(same[inner])
            greatest = np.fmax(greatest, np.fmax.reduce(block[inner], axis=None))
        others = max(1, math.prod(image.shape) - solid)
        self.is_cut_out = False
        if (
            solid and beyond < _RARE * others and (is_around or value < greatest)
        ):  # the greatest value may be saturation
            apart = beyond if beyond < _STRAY * others else self._apart(image)
            self.is_alone, self.grows = apart < _STRAY * others, apart < _ALONE * others
            self.is_cut_out = self._has_sharp_border(image)

    def _apart(self, image: Any) -> int:
        """Return how many voxels with the value lie neither in the region nor in one of its tips."""
        count = 0
        for _, inner, block in _blocks(image, _HALO):
            same = block == self.value
            count += int(np.count_nonzero((same & ~_grown(same))[inner]))
        return count

    def within(self, block: NDArray) -> NDArray[np.bool_]:
        """Return which voxels of a block of planes belong to the region."""
        same: NDArray[np.bool_] = block == self.value
        if self.is_alone:
            return same
        return _grown(same) if self.grows else _solid(same)

    def _has_sharp_border(self, image: Any) -> bool:
        """Return whether noise begins right at the border of the region, and the region's value is rare in it."""
        border = [_Border(block, self.within(block), self.value, inner) for _, inner, block in _blocks(image, _HALO)]
        same, count, turns, triples = np.sum([one.counts for one in border], axis=0)
        near, far = (np.concatenate([one.differences[k] for one in border]) for k in range(2))
        if min(len(near), len(far), triples) < _TELLING or len(far) < _DEEP * len(near) or _is_threshold(near):
            return False
        is_sharp = _is_on_both_sides(near) or _typical(near) > _SHARP * _typical(far)
        return bool(is_sharp and same < _RARE * count and turns > _TURNS * triples)


class _Border:
    """The voxels just outside a region, in a block of planes.

    Attributes
    ----------
    counts : (4,) ndarray
        The number of voxels with the region's value, and of all; of triples with the extreme in the middle, and of all.
    differences : two (n,) ndarray
        Differences from the region's value of voxels that have another one, at one voxel from the region and at two.
    """

    def __init__(self, block: NDArray, region: NDArray[np.bool_], value: Any, inner: slice):
        known = ~(region | (block != block))
        rings, reached = [], region
        for _ in range(_REACH):
            wider = _spread(reached)
            rings.append(wider & ~reached & known)
            reached = wider
        same = block == value
        near = (rings[0] | rings[1])[inner]
        turns = [_turns(block, reached & known, axis, inner) for axis in range(3)]
        self.counts = np.array([np.count_nonzero(near & same[inner]), np.count_nonzero(near), *np.sum(turns, axis=0)])
        self.differences = [block[inner][(ring & ~same)[inner]].astype(float) - float(value) for ring in rings[:2]]


def _is_around(same: NDArray[np.bool_]) -> bool:
    """Return whether all corners of a plane, or a whole line along y or x, have the value."""
    _, ny, nx = same.shape
    corners = same[:, :: max(1, ny - 1), :: max(1, nx - 1)]
    return bool(corners.all(axis=(1, 2)).any() or any(same.all(axis).any() for axis in (1, 2)))


def _typical(differences: NDArray) -> float:
    """Return a mean absolute difference on which a few large ones have little influence."""
    return float(np.sqrt(np.abs(differences)).mean()) ** 2


def _is_threshold(differences: NDArray) -> bool:
    """Return whether the border starts at a threshold far from the value, because darker voxels were set to the value.

    Noise that is cut off is most frequent right at the threshold; noise at the border of an unseen region has a tail there.
    """
    least, some, middle = np.quantile(differences, (0, 0.1, 0.5))
    return bool(len(differences) >= _MANY and least > middle - least and some - least < _CUT_OFF * (middle - least))


def _is_on_both_sides(differences: NDArray) -> bool:
    """Return whether many differences are positive and many negative: noise around the value, not a rise from it."""
    below = np.count_nonzero(differences < 0) / len(differences)
    return bool(_BOTH < below < 1 - _BOTH)


def _turns(block: NDArray, chosen: NDArray[np.bool_], axis: int, inner: slice) -> tuple[int, int]:
    """Return how many of the chosen triples along an axis have their extreme in the middle, and the number of triples."""
    if block.shape[axis] < 3:
        return 0, 0
    parts = [
        tuple(slice(k, n - 2 + k) if a == axis else slice(None) for a, n in enumerate(block.shape)) for k in range(3)
    ]
    a, b, c = (block[part].astype(float) for part in parts)
    triples = chosen[parts[0]] & chosen[parts[1]] & chosen[parts[2]]
    least = ROUNDING * float(np.max(np.abs(block), initial=0, where=np.isfinite(block)))
    turns = (((b > a + least) & (b > c + least)) | ((b < a - least) & (b < c - least))) & triples
    return int(np.count_nonzero(turns)), int(np.count_nonzero(triples))


def _solid(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which voxels belong to a square in a plane across any axis, or to a whole line along y or x."""
    solid = np.zeros(same.shape, bool)
    for flat in range(3):
        sides = [1 if axis == flat else _SIDE for axis in range(3)]
        if all(side <= n for side, n in zip(sides, same.shape, strict=True)):
            _add_boxes(solid, same, sides)
    for axis in (1, 2):
        if same.shape[axis] >= _SIDE**2:
            solid |= same.all(axis, keepdims=True)
    return solid


def _add_boxes(out: NDArray[np.bool_], same: NDArray[np.bool_], sides: list[int]) -> None:
    """Add all boxes filled with True: erode and dilate along one axis after another."""
    first = same
    for axis, side in enumerate(sides):
        for _ in range(side - 1):
            first = first[_cut(axis, None, -1)] & first[_cut(axis, 1, None)]
    if not first.any():
        return
    for axis, side in enumerate(sides):
        for _ in range(side - 1):
            wide = np.zeros([n + (a == axis) for a, n in enumerate(first.shape)], bool)
            wide[_cut(axis, None, -1)] = first
            wide[_cut(axis, 1, None)] |= first
            first = wide
    out |= first


def _grown(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is solid, with its tips that are narrower than a square."""
    core = _solid(same)
    return ndimage.binary_dilation(core, iterations=_TIP, mask=same) if core.any() else core


def _spread(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask grown by one voxel along every axis."""
    for axis in range(3):
        wide = mask.copy()
        wide[_cut(axis, 1, None)] |= mask[_cut(axis, None, -1)]
        wide[_cut(axis, None, -1)] |= mask[_cut(axis, 1, None)]
        mask = wide
    return mask


def _cut(axis: int, first: int | None, last: int | None) -> tuple[slice, ...]:
    return tuple(slice(first, last) if a == axis else slice(None) for a in range(3))


def _blocks(image: Any, halo: int) -> Iterator[tuple[int, slice, NDArray]]:
    """Yield blocks of planes: the index of the first plane, the block's slice without its halo, and the block with it."""
    nz, ny, nx = image.shape
    held = isinstance(image, np.ndarray)
    depth = max(_THINNEST, _BLOCK // (ny * nx)) if held else _THINNEST
    for first in range(0, nz, depth):
        start, stop = max(0, first - halo), min(nz, first + depth + halo)
        block = image[start:stop] if held else np.stack([image[z] for z in range(start, stop)])
        yield first, slice(first - start, min(first + depth, nz) - start), block


def _repeating(image: Any) -> list[Any]:
    """Return the values that neighbours share most often; the values of regions are among them."""
    found: dict[Any, int] = {}
    for _, _, block in _blocks(image, 0):
        for value, count in _repeating_in(block).items():
            found[value] = found.get(value, 0) + count
    return sorted(found, key=lambda value: -found[value])[:_MOST]


def _repeating_in(block: NDArray) -> dict[Any, int]:
    """Return the values that neighbours along y or x often share, or that fill a whole line, and how often they do."""
    lines = block.reshape(-1, block.shape[2])
    _, ny, nx = block.shape
    step = _step(block.size, max(_SAMPLE, block.size // 16), ny)
    chosen, after = lines[:-1:step], lines[1::step]
    along, across = chosen[:, 1:] == chosen[:, :-1], chosen == after
    if np.count_nonzero(along) + np.count_nonzero(across) < _FEWEST:
        return {}
    pairs = [chosen[:, 1:][along], chosen[across]]
    both, every = np.concatenate(pairs), chosen.ravel()
    steps = [_step(len(some), _DRAWN, nx) for some in (both, every)]
    values, counts = np.unique(both[:: steps[0]], return_counts=True)
    ordered = np.sort(every[:: steps[1]])
    usual = ordered.searchsorted(values, "right") - ordered.searchsorted(values, "left")
    excess = steps[0] * counts - _REPEATS * steps[1] * usual
    found = {}
    for value in values[np.argsort(-excess)[:_MOST]].tolist():
        shared = max(int(np.count_nonzero(some == value)) for some in pairs)
        if shared >= max(_FEWEST / 2, _REPEATS * np.count_nonzero(chosen == value)):
            found[value] = shared
    if along.shape[1] >= _FEWEST and len(flat := chosen[along.all(axis=1), 0]):
        value = np.sort(flat)[len(flat) // 2].item()
        found.setdefault(value, len(flat) * along.shape[1])
    return found


def _step(count: int, wanted: int, period: int) -> int:
    """Return a step that picks about ``wanted`` of ``count`` items and has no factor in common with a period."""
    step = max(1, count // wanted)
    while math.gcd(step, period) > 1:
        step += 1
    return step
