"""Which voxels of an image nobody saw, where nothing says so: solid regions of one value, and planes that repeat others.

Where it is dark, many voxels have the same few photons by chance. So a region of one value was not seen where it is more
solid than chance allows, its border is sharp, and its value is rare beyond that. What is dark in an image without noise was
computed: it stays.
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

_SIDE = 5  # voxels: a square of so many is solid in any plane, and a whole line that is as long as all of it
_TIP = 10  # voxels that a region goes on in a tip of its own
_REACH = 3  # voxels beyond a region, that tell of its border
_HALO = _SIDE - 1 + _TIP  # planes that have a say in what is found in one
_BLOCK = 1 << 21  # voxels that are looked at together
_THINNEST = 8  # planes of them, and as many of what is not in memory
_SAMPLE = 1 << 15  # voxels, or a sixteenth of them all, in which values that repeat are looked for
_FEWEST = 12  # of the pairs of neighbours there, that must be equal
_DRAWN = 1 << 10  # of those voxels, and of the pairs, are sorted
_MOST = 3  # values that are looked at more closely, and those that repeat most
_REPEATS = 0.5  # of a value's neighbours along a line have it too, where it fills regions
_RARE = 0.35  # of the voxels beyond a region may have its value: a square of it is then there by a chance of 4e-12
_ALONE = 0.02  # of them, so few that those that touch the region belong to it
_STRAY = 1e-3  # of them, so few that they all belong to it
_SHARP = 0.6  # of the difference two voxels beyond a region is there one voxel beyond it already
_BOTH = 0.02  # of the voxels beyond a region are darker than it, and brighter, where it cuts noise about its value
_TURNS = 0.25  # of three neighbours the middle one is extreme: in white noise two of three, on its slopes fewer
_DEEP = 0.3  # as many voxels are two beyond a region as one: less are specks in the dark
_CUT_OFF, _MANY = 0.2, 100  # a tenth of noise cut off is 0.15 of the way to its median, of a whole tail 0.4 and more
_TELLING = 30  # voxels, or triples of them: fewer tell nothing


class Unseen(NamedTuple):
    """What nobody saw of an image.

    Attributes
    ----------
    shape : (nz, ny, nx)
        Of the image.
    bits : (nz, n) uint8
        The voxels of each plane, packed.
    """

    shape: Size
    bits: NDArray[np.uint8]

    @property
    def voxels(self) -> int:
        """How many voxels they are."""
        return sum(int(np.count_nonzero(self.plane(z))) for z in range(len(self.bits)))

    def plane(self, z: int) -> NDArray[np.bool_]:
        """Return which voxels of a plane they are."""
        _, ny, nx = self.shape
        return np.unpackbits(self.bits[z], count=ny * nx).reshape(ny, nx).view(bool)

    def mask(self) -> NDArray[np.bool_]:
        """Return which voxels they are."""
        return np.stack([self.plane(z) for z in range(len(self.bits))])


def find_unseen(image: Any) -> Unseen | None:
    """Return which voxels of an image nobody saw; None where there are none.

    Parameters
    ----------
    image : (nz, ny, nx) ndarray or Slabs
        Of any real type, NaN where that is known; read in parts, some planes at a time.
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
    """Where an image has a value in a solid body, in plates or in whole lines, and what is beyond that.

    Attributes
    ----------
    is_alone : bool
        Whether the value is found nowhere else, so that all that have it belong to the region.
    grows : bool
        Whether it is found so seldom that what hangs on to that belongs to it too.
    is_cut_out : bool
        Whether that was not seen.
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
        if solid and beyond < _RARE * others and (is_around or value < greatest):  # else saturated, perhaps
            apart = beyond if beyond < _STRAY * others else self._apart(image)
            self.is_alone, self.grows = apart < _STRAY * others, apart < _ALONE * others
            self.is_cut_out = self._has_sharp_border(image)

    def _apart(self, image: Any) -> int:
        """Return how many voxels have the value neither in the region nor in a tip of it."""
        count = 0
        for _, inner, block in _blocks(image, _HALO):
            same = block == self.value
            count += int(np.count_nonzero((same & ~_grown(same))[inner]))
        return count

    def within(self, block: NDArray) -> NDArray[np.bool_]:
        """Return which voxels of some planes belong to the region."""
        same: NDArray[np.bool_] = block == self.value
        if self.is_alone:
            return same
        return _grown(same) if self.grows else _solid(same)

    def _has_sharp_border(self, image: Any) -> bool:
        """Return whether there is noise beyond the region at once, in which its value is rare."""
        border = [_Border(block, self.within(block), self.value, inner) for _, inner, block in _blocks(image, _HALO)]
        same, count, turns, triples = np.sum([one.counts for one in border], axis=0)
        near, far = (np.concatenate([one.differences[k] for one in border]) for k in range(2))
        if min(len(near), len(far), triples) < _TELLING or len(far) < _DEEP * len(near) or _is_threshold(near):
            return False
        is_sharp = _is_on_both_sides(near) or _typical(near) > _SHARP * _typical(far)
        return bool(is_sharp and same < _RARE * count and turns > _TURNS * triples)


class _Border:
    """What is beyond a region in some planes.

    Attributes
    ----------
    counts : (4,) ndarray
        The voxels with its value and all, the middle ones of three neighbours that are extreme and all.
    differences : two (n,) ndarray
        From its value, of voxels with others, one voxel beyond it and two.
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
    """Return whether all corners of a plane have the value, or all of a line along y or x."""
    _, ny, nx = same.shape
    corners = same[:, :: max(1, ny - 1), :: max(1, nx - 1)]
    return bool(corners.all(axis=(1, 2)).any() or any(same.all(axis).any() for axis in (1, 2)))


def _typical(differences: NDArray) -> float:
    """Return a mean size on which a few that are large have little influence."""
    return float(np.sqrt(np.abs(differences)).mean()) ** 2


def _is_threshold(differences: NDArray) -> bool:
    """Return whether a border ends at a brightness, far from the value: there somebody cut off what is darker.

    Noise that is cut off is most frequent right at the threshold; that of a region's border has a tail there.
    """
    least, some, middle = np.quantile(differences, (0, 0.1, 0.5))
    return bool(len(differences) >= _MANY and least > middle - least and some - least < _CUT_OFF * (middle - least))


def _is_on_both_sides(differences: NDArray) -> bool:
    """Return whether many are above and many are below zero: then there is noise around a value, not a rise from it."""
    below = np.count_nonzero(differences < 0) / len(differences)
    return bool(_BOTH < below < 1 - _BOTH)


def _turns(block: NDArray, chosen: NDArray[np.bool_], axis: int, inner: slice) -> tuple[int, int]:
    """Return how many of the chosen triples along an axis have their extreme in the middle, and how many there are."""
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
    """Return which voxels belong to a square in a plane along any axis, or to a whole line along y or x."""
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
    """Add all boxes that hold nothing but true: an erosion and the dilation back, along one axis after another."""
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
    """Return what is solid, with the tips that are narrower than a square."""
    core = _solid(same)
    return ndimage.binary_dilation(core, iterations=_TIP, mask=same) if core.any() else core


def _spread(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask with all that touches it."""
    for axis in range(3):
        wide = mask.copy()
        wide[_cut(axis, 1, None)] |= mask[_cut(axis, None, -1)]
        wide[_cut(axis, None, -1)] |= mask[_cut(axis, 1, None)]
        mask = wide
    return mask


def _cut(axis: int, first: int | None, last: int | None) -> tuple[slice, ...]:
    return tuple(slice(first, last) if a == axis else slice(None) for a in range(3))


def _blocks(image: Any, halo: int) -> Iterator[tuple[int, slice, NDArray]]:
    """Yield an image in blocks of planes: the first one's place, which of a block's they are, and these with a halo."""
    nz, ny, nx = image.shape
    held = isinstance(image, np.ndarray)
    depth = max(_THINNEST, _BLOCK // (ny * nx)) if held else _THINNEST
    for first in range(0, nz, depth):
        start, stop = max(0, first - halo), min(nz, first + depth + halo)
        block = image[start:stop] if held else np.stack([image[z] for z in range(start, stop)])
        yield first, slice(first - start, min(first + depth, nz) - start), block


def _repeating(image: Any) -> list[Any]:
    """Return the values that neighbours share most often: those of regions are among them."""
    found: dict[Any, int] = {}
    for _, _, block in _blocks(image, 0):
        for value, count in _repeating_in(block).items():
            found[value] = found.get(value, 0) + count
    return sorted(found, key=lambda value: -found[value])[:_MOST]


def _repeating_in(block: NDArray) -> dict[Any, int]:
    """Return the values that neighbours along y or x share more often than not, or all along a line, and how often."""
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
    """Return how to step through so many things, to look at so many: not in the time of a period."""
    step = max(1, count // wanted)
    while math.gcd(step, period) > 1:
        step += 1
    return step
