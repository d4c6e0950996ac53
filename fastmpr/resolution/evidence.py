"""What two halves of the views show of each other, summed over shells of frequencies or parts of shells.

The regularised volume of each half is compared with the deconvolved sums of the *other* half, which know no prior. The sums
are whitened before they are cropped to the model, so that the noise of high frequencies does not leak into low ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy  # scipy.ndimage is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size
from ..quality.correlation import correlation_of
from ..quality.curve import Curve
from ..quality.directions import spread_axes
from ..quality.shells import Shells, axes_of
from ..runtime.fft import irfftn, rfftn
from ..sums.resampling import inner
from .halves import Halves

_CUT = 1e-6  # of the largest S, averaged over directions: below, the views pass nothing
_MOST_RATIO = 100.0  # of S of one half over that of the other, in the null channel
_SEEN = 0.05  # of S in the mean over directions: a frequency with as much counts as seen
_CELLS = 400  # parts of each shell, from which cones are put together


@dataclass(frozen=True, eq=False)
class Evidence:
    """Sums over bins of frequencies, in the whole spectrum; each has the shape (bins, shells), or (shells,).

    Attributes
    ----------
    count
        Of frequencies.
    signal
        Of Re conj(D1) D2, with D the deconvolved sums of each half.
    cross
        Of Re conj(X) D, with the volume of one half and the sums of the other, both ways, divided by 2.
    power
        Of |X|^2, the mean of both halves.
    noise
        Of the noise power in the deconvolved sums of all views.
    weight, pair
        Of the factors that weak directions have in D, and of the products of those of both halves.
    seen
        Of the frequencies that the views see: of 1, or less where S is far below its mean over directions.
    """

    count: NDArray
    signal: NDArray
    cross: NDArray
    power: NDArray
    noise: NDArray
    weight: NDArray
    pair: NDArray
    seen: NDArray

    def merged(self, bins: NDArray) -> Evidence:
        """Return sums of bins: ``bins`` has a row for each new bin, with the share of each of the old ones in it."""
        return Evidence(**{name: bins @ values for name, values in vars(self).items()})


class Comparison:
    """Two halves compared, frequency by frequency.

    Parameters
    ----------
    halves : Halves
    workers : int
        Threads of an FFT.
    """

    def __init__(self, halves: Halves, workers: int):
        self._halves, self._workers = halves, workers
        one, other = halves.sums
        self.shells = Shells(one.model_shape, one.voxel_size)
        self._grid = Shells(one.shape, one.voxel_size)
        self._gram = one.gram + other.gram
        self._means = tuple(self._grid.mean(gram) for gram in (one.gram, other.gram, self._gram))

    @cached_property
    def whitened(self) -> tuple[NDArray, NDArray]:
        """The sums of both halves, deconvolved so far that their noise is white, on the model."""
        one, other = self._halves.sums
        return self._white(one.rhs, one.gram, 0), self._white(other.rhs, other.gram, 1)

    @cached_property
    def null(self) -> NDArray:
        """Whitened sums without the particle: the noise of all views, made of the difference of the halves."""
        one, other = self._halves.sums
        ratio = np.clip(other.gram / np.maximum(one.gram, np.finfo(one.gram.dtype).tiny), 1 / _MOST_RATIO, _MOST_RATIO)
        root = np.sqrt(ratio)
        return self._white(root * one.rhs - other.rhs / root, self._gram, 2)

    def correlation(self) -> Curve:
        """Return the Fourier shell correlation of the deconvolved sums of both halves."""
        one, other = (rfftn(white, self._workers) for white in self.whitened)
        return Curve(self.shells.frequency, correlation_of(self.shells, one, other), self.shells.count)

    def coverage(self, low: float, high: float) -> NDArray[np.float64]:
        """Return S in each cell, averaged over a range of frequencies, over its mean over all cells; NaN in empty ones."""
        ring = (self.shells.frequencies >= low) & (self.shells.frequencies <= high)
        if not ring.any():  # of a volume of a few voxels
            ring = np.ones_like(ring)
        cell, twice = self._cells[ring], np.broadcast_to(self.shells.twice, ring.shape)[ring]
        strength = np.bincount(cell, twice * self._on_model(self._gram)[ring], _CELLS)
        count = np.bincount(cell, twice, _CELLS)
        mean = strength.sum() / max(count.sum(), 1)
        return np.where(count > 0, strength / np.maximum(count * mean, np.finfo(float).tiny), np.nan)

    def evidence(self, in_cells: bool = False) -> Evidence:
        """Return the sums over shells, or over the cells of each shell."""
        one, other = (rfftn(np.ascontiguousarray(x), self._workers) for x in self._halves.volumes)
        first, second = (self._divided(white, k) for k, white in enumerate(self.whitened))
        null = self._divided(self.null, 2)
        weights = [self._weight(half.gram, k) for k, half in enumerate(self._halves.sums)]
        values = {
            "count": np.ones(one.shape),
            "signal": _product(first, second),
            "cross": (_product(one, second) + _product(other, first)) / 2,
            "power": (_product(one, one) + _product(other, other)) / 2,
            "noise": _product(null, null),
            "weight": self._on_model((weights[0] + weights[1]) / 2),
            "pair": self._on_model(weights[0] * weights[1]),
            "seen": self._on_model(self._seen()),
        }
        if not in_cells:
            return Evidence(**{name: self.shells.sum(value) for name, value in values.items()})
        index, bins = self._cells * len(self.shells) + self.shells.index, _CELLS * len(self.shells)
        sums = {
            name: np.bincount(index.ravel(), (self.shells.twice * value).ravel(), bins).reshape(_CELLS, -1)
            for name, value in values.items()
        }
        return Evidence(**sums)

    @cached_property
    def _cells(self) -> NDArray[np.intp]:
        """The cell of each frequency: that whose axis is nearest."""
        f = np.stack(np.meshgrid(*axes_of(self.shells.shape, self.shells.voxel_size), indexing="ij"), axis=-1)
        axes = cell_axes()
        unit = f / np.maximum(self.shells.frequencies, 1e-300)[..., None]
        tree = scipy.spatial.cKDTree(np.concatenate([axes, -axes]))
        return tree.query(unit, workers=self._workers)[1] % _CELLS

    def _white(self, rhs: NDArray, gram: NDArray, which: int) -> NDArray:
        """Return 2 B sqrt(S~) / (S + S~), cropped; S~ is the mean of S over directions, which spares weak directions."""
        mean, cut = self._means[which], _CUT * self._means[which].max()
        level = self._grid.spread(mean, self._grid.frequencies).astype(gram.dtype)
        factor = np.where(level > cut, 2 * np.sqrt(level) / np.maximum(gram + level, np.finfo(gram.dtype).tiny), 0)
        white = irfftn(np.ascontiguousarray(factor * rhs), self._grid.shape, self._workers)
        return np.ascontiguousarray(white[inner(self._grid.shape, self.shells.shape)])

    def _divided(self, white: NDArray, which: int) -> NDArray:
        """Return the spectrum of whitened sums over sqrt(S~), which is about B / S."""
        mean, cut = self._means[which], _CUT * self._means[which].max()
        level = self._grid.spread(mean, self.shells.frequencies).astype(white.dtype)
        return np.where(level > cut, rfftn(white, self._workers) / np.sqrt(np.maximum(level, cut)), 0)

    def _weight(self, gram: NDArray, which: int) -> NDArray:
        """Return 2 S / (S + S~)."""
        level = self._grid.spread(self._means[which], self._grid.frequencies)
        return 2 * gram / np.maximum(gram + level, np.finfo(gram.dtype).tiny)

    def _seen(self) -> NDArray:
        level = _SEEN * self._grid.spread(self._means[2], self._grid.frequencies)
        return np.minimum(1, self._gram / np.maximum(level, np.finfo(self._gram.dtype).tiny))

    def _on_model(self, values: NDArray) -> NDArray:
        """Return what is known at the frequencies of the grid at those of the model, by linear interpolation."""
        grid, model = self._grid.shape, self.shells.shape
        if grid == model:
            return values
        places = np.meshgrid(*_places(grid, model), indexing="ij")
        return scipy.ndimage.map_coordinates(values, places, order=1, mode="grid-wrap")


def cell_axes() -> NDArray[np.float64]:
    """Return the axis of each cell, (cells, 3)."""
    return spread_axes(_CELLS)


def cones(axes: NDArray, half_angle: float) -> NDArray[np.float64]:
    """Return which cells are in the cone about each axis, for `Evidence.merged`."""
    return (np.abs(axes @ cell_axes().T) >= np.cos(np.radians(half_angle))).astype(np.float64)


def _places(grid: Size, model: Size) -> tuple[NDArray, ...]:
    """Return where the frequencies of a smaller box lie among those of a larger one, along each axis."""
    signed = [np.fft.fftfreq(m, 1 / m) * n / m for n, m in zip(grid[:2], model[:2], strict=True)]
    return signed[0] % grid[0], signed[1] % grid[1], np.arange(model[2] // 2 + 1) * (grid[2] / model[2])


def _product(a: NDArray, b: NDArray) -> NDArray:
    """Return Re conj(a) b."""
    return a.real * b.real + a.imag * b.imag
