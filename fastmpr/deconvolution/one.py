"""One image and one PSF: the weight of its data, and its tiles, one after another."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._limits import available_memory
from .._messages import Progress, log, warn
from .._stopping import Cancelled, Stop
from .._validation import Size, shown
from ..data.image import Image, liveliest
from ..engine.threads import as_workers
from ..solver.control import Result
from ..solver.iteration import bytes_needed
from ..solver.observed import SHARE, Observed
from ..solver.regularizers import Regularizer
from ..solver.running import Running
from ..solver.selection import guess_lam
from ..solver.whiteness import colour, whitest
from ..sums.blur import Blur
from .tiles import Tile, smallest, tiles_of

_TRIAL_VOXELS = 1_000_000  # of the part of an image that lam is chosen on
_TRIAL_ITERATIONS = 20
_GUESS = 0.1  # of `guess_lam`, to begin with
_BYTES, _LEAST_BYTES = 32, 1 << 28  # for each voxel of an image, and at least: what it may take where nobody says


class Job:
    """What images with one PSF have in common.

    Parameters
    ----------
    blur : Blur
    dark : bool
        Whether there is no light beyond the images; otherwise that is unseen.
    regularizer : Regularizer
    lam : float or "auto"
    until : dict
        ``max_iter`` and ``tol`` of a solve.
    options : dict
        ``workers``, ``callback`` and ``stop`` of all solves.
    max_memory : float, optional
        Bytes beside an image and what becomes of it.
    tell : callable, optional
        What to tell progress to.
    """

    def __init__(
        self,
        blur: Blur,
        dark: bool,
        regularizer: Regularizer,
        lam: float | str,
        until: dict[str, Any],
        options: dict[str, Any],
        max_memory: float | None,
        tell: Progress | None,
    ):
        self.blur, self.dark, self.regularizer, self.lam = blur, dark, regularizer, lam
        self.until, self.options, self.max_memory, self.tell = until, options, max_memory, tell
        self._transfer: tuple[Any, NDArray] | None = None

    def run(self, image: Image, out: Any) -> None:
        """Deconvolve an image, tile by tile, into an array."""
        tiles = self._tiles(image)
        lam = self.choose_lam(image) if self.lam == "auto" else float(self.lam)
        log.info("deconvolve: lam = %.4g, %d tile%s", lam, len(tiles), "s" * (len(tiles) > 1))
        worst = 0.0
        for k, tile in enumerate(tiles):
            result = self._minimised(self._outer(image, tile, len(tiles)), lam, **self.until)
            if len(tiles) > 1:
                self._go_on(k + 1, len(tiles))
            out[tile.place] = result.x[tile.within]
            if not result.success and self.until["tol"] and not self._stop.is_set():
                last = result.history[-1]
                worst = max(worst, last["primal"], last["dual"])
        if worst:
            warn(
                f"image: found residuals {worst / self.until['tol']:.2g} times tol after max_iter = "
                f"{self.until['max_iter']} iterations, need more of them, or a lower lam"
            )

    def choose_lam(self, image: Image) -> float:
        """Return the weight for an image, found on its liveliest part."""
        z, y, x = (3 * reach for reach in self.blur.reach)
        part = image.part(liveliest(image, _TRIAL_VOXELS, (z, y, x)))
        observed, inside = self._observed(part), tuple(slice(n) for n in part.shape)

        def misfit(lam: float) -> float:
            observed.restart()
            x = self._solved(observed, lam, max_iter=_TRIAL_ITERATIONS, tol=0.0).x
            if reason := self._stop.reason():
                raise Cancelled(f"deconvolve: {reason} while lam was being chosen")
            light = observed.predicted(x)[inside]
            return colour(np.stack(list(part)) - light, light, observed.workers)

        return whitest(misfit, _GUESS * guess_lam(observed.sums, self.regularizer))

    @property
    def _stop(self) -> Stop:
        return self.options["stop"]

    def _observed(self, image: Image) -> Observed:
        """Return an image's data term."""
        grid, workers = self.blur.grid(image.shape), as_workers(self.options["workers"], math.prod(image.shape))
        if self._transfer is None or self._transfer[0] != (grid, image.dtype):
            self._transfer = None  # before another one is there
            self._transfer = (grid, image.dtype), self.blur.transfer(grid, image.dtype, workers)
        return Observed(image, self._transfer[1], grid, workers, self.dark)

    def _minimised(self, image: Image, lam: float, **until: Any) -> Result:
        return self._solved(self._observed(image), lam, **until)

    def _solved(self, observed: Observed, lam: float, **until: Any) -> Result:
        given = {**until, **self.options}
        with Running(observed.sums, SHARE * lam, self.regularizer, observed=observed, **given) as running:
            running.go_on()
            return replace(running.result(), lam=lam)

    def _outer(self, image: Image, tile: Tile, count: int) -> Image:
        """Return a tile with its surroundings."""
        if count == 1:
            return image
        return image.around(tile.outer, self.blur.grid(image.shape), 0.0 if self.dark else math.nan)

    def _go_on(self, done: int, count: int) -> None:
        """Tell how many tiles are done; raise an error where the call is to end before all are."""
        if self.tell:
            self.tell("tiles", done, count)
        if reason := self._stop.reason():
            raise Cancelled(f"deconvolve: {reason} in tile {done} of {count}")

    def _tiles(self, image: Image) -> list[Tile]:
        """Return the tiles that an image is cut into, or raise an error where there is no memory for the smallest."""
        shape, reach, grid = image.shape, self.blur.reach, self.blur.grid(image.shape)
        room = self.max_memory
        if room is None:
            room = min(max(_BYTES * math.prod(shape), _LEAST_BYTES), 0.8 * available_memory()[0])

        def need(box: Size) -> float:
            return self._bytes(box, image.dtype, box != shape)

        tiles = tiles_of(shape, reach, grid, lambda box: need(box) <= room, lambda box: math.prod(self.blur.grid(box)))
        if tiles:
            return tiles
        least = need(smallest(shape, reach, grid))
        name = "max_memory" if self.max_memory is not None else "image"
        error = ValueError if self.max_memory is not None else MemoryError
        raise error(f"{name}: found {room / 2**20:.0f} MiB, need {least / 2**20:.0f} for the smallest tile")

    def _bytes(self, box: Size, dtype: Any, copied: bool) -> float:
        """Return what deconvolving a box takes: the solve, the sums, the transfer function, z, and a copy of the box."""
        kind = np.dtype(dtype)
        grid = self.blur.grid(box)
        precise = 0 < self.until["tol"] < 1e-3
        half = math.prod(grid) * kind.itemsize * (0.5 + 1 + (0.5 if self.blur.symmetric else 1))
        own = math.prod(grid) * kind.itemsize + (math.prod(box) * kind.itemsize if copied else 0)
        return bytes_needed(grid, kind, self.regularizer, precise) + half + own


def as_memory(max_memory: Any) -> float | None:
    """Return a positive number of bytes, if one is given."""
    if max_memory is None:
        return None
    if isinstance(max_memory, bool) or not isinstance(max_memory, int | float | np.number) or not max_memory > 0:
        raise ValueError(f"max_memory: found {shown(max_memory)}, need a positive number of bytes")
    return float(max_memory)
