"""One image, plane by plane: less its background, NaN where nothing was seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._validation import Size, as_array, as_choice, as_float_type, as_number, check_intensities
from .seen import NothingSeenError, as_mask, crop_box

_DARKEST = 0.01  # of the cells are taken for dark
_SIGMAS = 2.33  # that quantile of a normal distribution, below its mean
_CELL = 8  # voxels: noise is averaged over cells before they are compared
_LONE = 5.0  # times what neighbours differ by, and lone peaks usually: more is no noise
_FAINTEST = 1e-16  # the square of less is no number in float32
_USUAL = 0.97  # of the peaks of a plane are usual


class Image(Sequence[NDArray]):
    """The planes of an image, converted as they are asked for: what it takes beside the caller's array is a bit a voxel.

    Parameters
    ----------
    values : (nz, ny, nx) ndarray or Slabs
        Of any real type.
    level : float
        To be taken off.
    unseen : (nz, n) uint8, optional
        Bits of the voxels of each plane that were not seen.
    """

    def __init__(self, values: NDArray | Slabs, level: float = 0.0, unseen: NDArray | None = None):
        self.values, self.level, self.unseen = values, level, unseen
        self.shape: Size = values.shape
        self.dtype = as_float_type(values.dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, z: Any) -> Any:
        plane: NDArray = np.array(self.values[z], self.dtype, order="C")
        plane -= self.dtype(self.level)
        if self.unseen is not None:
            plane[self._bits(z)] = np.nan
        return plane

    @property
    def holes(self) -> int:
        """The number of voxels that were not seen."""
        return 0 if self.unseen is None else sum(int(np.unpackbits(row).sum()) for row in self.unseen)

    def _bits(self, z: int) -> NDArray[np.bool_]:
        assert self.unseen is not None
        _, ny, nx = self.shape
        return np.unpackbits(self.unseen[z], count=ny * nx).reshape(ny, nx).view(bool)

    def upright(self) -> Image:
        """Return an image of one plane with its rows as planes."""
        _, ny, nx = self.shape
        bits = None if self.unseen is None else np.packbits(self._bits(0), axis=1)
        return Image(np.asarray(self.values).reshape(ny, 1, nx), self.level, bits)

    @property
    def is_held(self) -> bool:
        """Whether its planes are NumPy's, so that any thread may ask for them, again and again."""
        return isinstance(self.values, np.ndarray)

    def held(self) -> Image:
        """Return the image with its planes in memory."""
        return self if self.is_held else Image(np.stack(list(self)), 0.0, self.unseen)

    def around(self, box: tuple[tuple[int, int], ...], grid: Size, beyond: float) -> Image:
        """Return a copy of a box of the periodic grid that the image stands on, at its first corner.

        Parameters
        ----------
        box : three of (first, last + 1)
            May begin below 0 and end beyond the image.
        grid : (nz, ny, nx)
        beyond : float
            What is on the grid beyond the image.
        """
        out: NDArray = np.full([last - first for first, last in box], beyond, self.dtype)
        sides = [_runs(*side, n, size) for side, n, size in zip(box, self.shape, grid, strict=True)]
        for zs, ys, xs in itertools.product(*sides):
            block = self.part((zs[0], ys[0], xs[0]))
            target = out[zs[1], ys[1], xs[1]]
            for z in range(len(target)):
                target[z] = block[z]
        return Image(out)

    def part(self, box: tuple[slice, slice, slice]) -> Image:
        """Return a part of the image, in its frame."""
        planes, *sides = box
        whole = self.values[box]
        if self.unseen is None:
            return Image(whole, self.level)
        bits = [np.packbits(self._bits(z)[tuple(sides)]) for z in range(*planes.indices(len(self)))]
        return Image(whole, self.level, np.array(bits))


class Slabs:
    """An array of another kind, read once for all its planes that are stored together; NumPy's arrays come out.

    Parameters
    ----------
    array
        With ``shape``, ``dtype`` and ``[box]``; the first of its ``chunks``, if it has any, tells how many planes those are.
    """

    def __init__(self, array: Any):
        self._array, self.shape, self.dtype = array, tuple(array.shape), np.dtype(array.dtype)
        self.size = math.prod(self.shape)
        chunks = getattr(array, "chunks", None)
        self._depth = int(np.ravel(chunks[0])[0]) if chunks else 1
        self._first, self._slab = 0, np.empty((0, *self.shape[1:]), self.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray:
        if not isinstance(index, int | np.integer):
            return np.asarray(self._array[index])
        if not self._first <= index < self._first + len(self._slab):
            self._first = int(index) // self._depth * self._depth
            self._slab = np.asarray(self._array[self._first : self._first + self._depth])
        return self._slab[index - self._first]


def is_lazy(image: Any) -> bool:
    """Return whether an image is an array of another kind, to be read in parts."""
    own = ("shape", "dtype", "__getitem__")
    return not isinstance(image, np.ndarray) and all(hasattr(image, name) for name in own)


def _runs(first: int, last: int, n: int, size: int) -> list[tuple[slice, slice]]:
    """Return which of the first ``n`` of ``size`` periodic places a range covers, and where they are in the range."""
    runs = []
    for turn in range(first // size, (last - 1) // size + 1):
        start, stop = max(first, turn * size), min(last, turn * size + n)
        if start < stop:
            runs.append((slice(start - turn * size, stop - turn * size), slice(start - first, stop - first)))
    return runs


def as_image(image: Any, seen: Any, background: Any, psf: NDArray) -> Image:
    """Return an image as its camera gave it, with what was seen of it.

    Parameters
    ----------
    image : (nz, ny, nx) array_like
    seen : "auto", "all" or mask
    background : "auto", "none" or float
    psf : (kz, ky, kx) ndarray
        Of sum 1, with the image's voxels.
    """
    steepest = _steepest(psf)
    values = Slabs(image) if is_lazy(image) else as_array(image, "image")
    if len(values.shape) != 3 or values.dtype.kind not in "fiub" or values.size == 0:
        raise ValueError(
            f"image: found {values.dtype} of shape {values.shape}, need a 3-D array of real numbers (z, y, x)"
        )
    dtype = as_float_type(values.dtype)
    mask = None if isinstance(seen, str) and seen in ("auto", "all") else as_mask(seen, "seen", values.shape)
    box = crop_box(values) if mask is None and seen == "auto" and isinstance(values, np.ndarray) else None
    bits, holes = [], 0
    for z in range(values.shape[0]):
        raw = values[z]
        if raw.dtype.kind == "f" and np.isinf(raw if mask is None else raw[mask[z]]).any():
            raise ValueError("image: found infinite values, need finite ones, or NaN where nothing was seen")
        lost = unseen_in(raw, steepest if mask is None and seen == "auto" else None)
        if mask is not None:
            lost |= ~mask[z]
        if box is not None:
            inside = np.zeros(lost.shape, bool)
            if box[0][0] <= z < box[0][1]:
                inside[slice(*box[1]), slice(*box[2])] = True
            lost |= ~inside
        holes += int(np.count_nonzero(lost))
        bits.append(np.packbits(lost))
    if holes == values.size:
        raise NothingSeenError("image: found no voxel that was seen, need some")
    unseen = np.array(bits) if holes else None
    known = Image(values, 0.0, unseen)
    largest = max(float(np.abs(plane[~np.isnan(plane)]).max(initial=0)) for plane in known)
    check_intensities(np.array([largest]), "image", dtype)
    if dtype is np.float32 and 0 < largest < _FAINTEST:
        raise ValueError(
            f"image: found values up to {largest:.1g}, need {_FAINTEST:g} or more in float32: scale them, or give float64"
        )
    return Image(values, _level(known, background, psf), unseen)


def unseen_in(raw: NDArray, steepest: float | None) -> NDArray[np.bool_]:
    """Return which voxels of a plane tell nothing: NaN, and, where a PSF is known, saturated ones and lone ones."""
    if raw.dtype.kind != "f":
        lost = np.zeros(raw.shape, bool)
        if steepest is not None and raw.dtype.kind in "iu":
            lost |= raw == np.iinfo(raw.dtype).max
    else:
        lost = np.isnan(raw)
    return lost if steepest is None else lost | lone(np.where(lost, np.nan, raw), steepest)


def _steepest(psf: NDArray) -> float:
    """Return the light in the brightest of the eight voxels around a PSF's brightest in its plane, over that one's."""
    z, y, x = np.unravel_index(int(psf.argmax()), psf.shape)
    around = np.pad(psf[z], 1)[y : y + 3, x : x + 3].copy()
    peak, around[1, 1] = around[1, 1], 0
    return float(around.max() / peak)


def lone(plane: NDArray, steepest: float) -> NDArray[np.bool_]:
    """Return which voxels of a plane are so far from the eight around them that neither light nor noise explains it.

    Those that are brighter than all of them must be so by several times what these differ by, what is usual for peaks in
    this plane, and what is left to a point between a voxel and its neighbours; those that are darker, by the first two.
    """
    if min(plane.shape) < 3:
        return np.zeros(plane.shape, bool)
    high, low = _around(plane, -np.inf, np.fmax), _around(plane, np.inf, np.fmin)
    spread = high - low
    found = np.zeros(plane.shape, bool)
    for excess in (plane - high, low - plane):
        peaks = excess > 0
        if peaks.any():
            usual = np.quantile(excess[peaks], _USUAL)
            found |= excess > _LONE * np.maximum(spread, usual)
    if not found.any():
        return found
    floor = np.nanmedian(plane)
    return found & ((plane < low) | ((plane - floor) * steepest > 2 * np.maximum(high - floor, 0)))


def _around(plane: NDArray, beyond: float, best: Any) -> NDArray:
    """Return the best of the eight voxels around each."""
    wide = np.pad(np.asarray(plane, np.result_type(plane.dtype, np.float32)), 1, constant_values=beyond)
    triples = best(best(wide[:-2], wide[1:-1]), wide[2:])
    sides = best(triples[:, :-2], triples[:, 2:])
    return best(sides, best(wide[:-2, 1:-1], wide[2:, 1:-1]))


def _level(image: Image, background: Any, psf: NDArray) -> float:
    """Return what to take off: by default what the darkest cells have in common, less the light that the PSF takes there.

    The least of many noisy cells lies below them all. Too much would forbid what is true, which costs several dB; too little
    leaves positivity with nothing to say, which costs some tenths.
    """
    if not isinstance(background, str):
        return as_number(background, "background", -1e30, 1e30, "'auto', 'none' or a number")
    if as_choice(background, "background", ("auto", "none")) == "none":
        return 0.0
    mean, variance = _cells(image)
    darkest = mean <= max(float(np.nanquantile(mean, _DARKEST)), float(np.nanmin(mean)))
    noise = math.sqrt(
        np.median(variance[mean <= np.nanquantile(mean, 5 * _DARKEST)]) / min(_CELL**3, image.values.size)
    )
    level = float(mean[darkest].max()) + _SIGMAS * noise
    light = np.nan_to_num(np.maximum(mean - level - _SIGMAS * noise, 0))
    haze = ndimage.convolve(light, _between_cells(psf, image.shape), mode="nearest")
    return level - float(haze[darkest].min())


def _between_cells(psf: NDArray, shape: Size) -> NDArray[np.float64]:
    """Return which share of the light of a cell a PSF takes to those around it."""
    shares = []
    for n, size in zip(psf.shape, shape, strict=True):
        cell, offset = min(_CELL, size), np.arange(n) - n // 2
        last = math.ceil((n // 2 + 1) / cell)
        shares.append(np.maximum(0, 1 - np.abs(offset / cell - np.arange(-last, last + 1)[:, None])))
    return np.einsum("zyx,iz,jy,kx->ijk", psf, *shares, optimize=True)


def liveliest(image: Image, most: int, least: Size) -> tuple[slice, slice, slice]:
    """Return the box of so many voxels in which an image differs most from its mean, cell by cell; all of a small image.

    No side is shorter than ``least``, unless the image's is.
    """
    sizes = _cut_to(image.shape, most, least)
    if sizes == image.shape:
        return slice(None), slice(None), slice(None)
    means, _ = _cells(image)
    cells = [min(_CELL, n) for n in image.shape]
    window = [max(1, size // cell) for size, cell in zip(sizes, cells, strict=True)]
    energy = np.nan_to_num(np.square(means - np.nanmean(means)))
    energy = ndimage.uniform_filter(energy, window, mode="constant")
    centre = np.unravel_index(int(energy.argmax()), energy.shape)
    firsts = [
        min(max(int(c) * cell + cell // 2 - size // 2, 0), n - size)
        for c, cell, size, n in zip(centre, cells, sizes, image.shape, strict=True)
    ]
    z, y, x = (slice(first, first + size) for first, size in zip(firsts, sizes, strict=True))
    return z, y, x


def _cut_to(shape: Size, most: int, least: Size) -> Size:
    """Return sides of the same proportions and so many voxels at most, none cut below ``least``."""
    sizes = list(shape)
    for _ in range(3):
        free = [k for k in range(3) if sizes[k] > least[k]]
        factor = (most / math.prod(sizes)) ** (1 / max(1, len(free)))
        if factor >= 1 or not free:
            break
        for k in free:
            sizes[k] = max(int(sizes[k] * factor), least[k])
    return sizes[0], sizes[1], sizes[2]


def _cells(image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of what was seen in each whole cell of an image; NaN where that is less than half of it."""
    cells = [min(_CELL, n) for n in image.shape]
    nz, ny, nx = (n // cell for n, cell in zip(image.shape, cells, strict=True))
    count, total, squares = np.zeros((3, nz, ny, nx))
    for z in range(nz * cells[0]):
        plane = image[z][: ny * cells[1], : nx * cells[2]].astype(float).reshape(ny, cells[1], nx, cells[2])
        count[z // cells[0]] += np.count_nonzero(~np.isnan(plane), axis=(1, 3))
        total[z // cells[0]] += np.nansum(plane, axis=(1, 3))
        squares[z // cells[0]] += np.nansum(np.square(plane), axis=(1, 3))
    mean = np.where(2 * count >= min(float(count.max()), math.prod(cells)), total / np.maximum(count, 1), np.nan)
    return mean, np.maximum(squares / np.maximum(count, 1) - np.square(mean), 0)
