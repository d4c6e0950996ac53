"""Deconvolve an image with one PSF: choose lam, then solve tile by tile."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import Progress, log
from .._validation import Size, shown
from ..images.cells import liveliest
from ..images.image import Image
from ..lam.leftover import Dark, Leftover, Noise
from ..lam.selection import guess_lam
from ..lam.whiteness import Choice, Trial, colour, whitest
from ..regularizers import Regularizer
from ..runtime.limits import available_memory
from ..runtime.threads import as_workers
from ..solver.iteration import bytes_needed
from ..solver.options import Run, Until
from ..solver.result import Result
from ..solver.running import Running
from ..sums.blur import Blur
from .image_term import SHARE, ImageTerm
from .tiles import Tile, smallest, tiles_of

_TRIAL_VOXELS = 600_000  # of the part of an image on which lam is chosen
_TRIAL_ITERATIONS = 16
_TRIAL_REACHES = 4  # least length of its sides, in reaches of the PSF: one reach at each end is not judged
_TELLING = 64  # least number of voxels for judging a residual
_GUESS = 0.4  # first weight tried, in units of `guess_lam`
_MOST = 5e5  # lam times the brightest voxel: an image almost without noise needs more, but so few iterations less
_KEPT = 6  # volumes of memory to judge the residual beside a solve that continues
_BYTES, _LEAST_BYTES = 32, 1 << 28  # default of max_memory: for each voxel of an image, and at least
_SLAB = 0.5  # part of max_memory for planes that are read together

_REASONS = {
    "given": "as given",
    "whiteness": "whose residual is whitest",
    "noise": "the largest that does not explain the noise",
    "limit": "the largest for an image so bright: almost no noise was found",
    "trials": "the last one tried: no optimum was found, give lam= if the result looks too smooth or too rough",
}


Onward = Callable[[Image, float], tuple[ImageTerm, Result, float]]  # the float: by what the tolerance is multiplied


class TileOutcome(NamedTuple):
    """How a tile ended: status, iterations, the last residual over the tolerance, and ``fit`` (see `deconvolve`)."""

    status: str
    nit: int
    residual: float
    fit: float | None


class Deconvolver:
    """Deconvolve images with one PSF, one after another; what they share is prepared once.

    Parameters
    ----------
    blur : Blur
    dark : bool
        Whether no light is beyond the images; otherwise what is there is unseen.
    regularizer : Regularizer
    lam : float or "auto"
    until : Until
        When a solve stops.
    run : Run
        How every solve runs.
    max_memory : float, optional
        Bytes to use beside an image and its result.
    tell : callable, optional
        Receives the progress.
    """

    def __init__(
        self,
        blur: Blur,
        dark: bool,
        regularizer: Regularizer,
        lam: float | str,
        until: Until,
        run: Run,
        max_memory: float | None,
        tell: Progress | None,
    ):
        self.blur, self.dark, self.regularizer, self.lam = blur, dark, regularizer, lam
        self.until, self.run_options, self.max_memory, self.tell = until, run, max_memory, tell
        self._transfer: tuple[Any, NDArray] | None = None

    @property
    def slab(self) -> float | None:
        """The bytes of planes that are read together; None if ``max_memory`` is not given."""
        return None if self.max_memory is None else self.max_memory * _SLAB

    def run(self, image: Image, out: Any, choice: Choice | None = None, onward: Onward | None = None) -> dict[str, Any]:
        """Deconvolve an image into an array, tile by tile; return what was found.

        Parameters
        ----------
        image : Image
        out : array
        choice : Choice, optional
            The weight of the data term, if it is known already.
        onward : Onward, optional
            Solves for this image from the result of the last one, if the image is in one tile.
        """
        tiles = self._tiles(image, onward is not None)
        lam, by = choice or self.choose_lam(image)
        log.info("deconvolve: lam = %.4g, %s; %d tile%s", lam, _REASONS[by], len(tiles), "s" * (len(tiles) > 1))
        ended = []
        for tile in tiles:
            ended.append(self._run_tile(image, tile, len(tiles), lam, out, onward))
            if len(tiles) > 1:
                self._report_tile(len(ended), len(tiles))
        most, worst = max(one.nit for one in ended), max(one.residual for one in ended)
        success = worst < 1
        if self.until.tol and not success and not self.run_options.stop.is_set():
            log.info("deconvolve: residuals %.2g times tol after %d iterations", worst, most)
        fits = [one.fit for one in ended if one.fit is not None]
        found = {"lam": lam, "lam_from": by, "background": image.level, "unseen": image.holes}
        status = (
            "converged" if success else next((one.status for one in ended if one.status != "converged"), "max_iter")
        )
        ending = {"nit": most, "success": success, "status": status, "fit": float(np.median(fits)) if fits else None}
        return {**found, "tiles": len(tiles), **ending}

    def _run_tile(
        self, image: Image, tile: Tile, count: int, lam: float, out: Any, onward: Onward | None
    ) -> TileOutcome:
        """Deconvolve a tile; return its outcome."""
        whole, slack = count == 1, 1.0
        part = image.held() if whole else self._outer(image, tile)
        if whole and onward is not None:
            term, result, slack = onward(part, lam)
        else:
            term = self.term(part, self.dark and whole)
            result = self._solved(term, lam, self.until)
            term.finish()  # so that `_fit` takes no more memory than the solve
        out[tile.place] = result.x[tile.within]
        last = result.history[-1] if result.history else {"primal": math.inf, "dual": math.inf}
        residual = max(last["primal"], last["dual"]) / max(slack * self.until.tol, 1e-300)
        return TileOutcome(result.status, result.nit, residual, self._fit(term, result.x))

    def _fit(self, term: ImageTerm, x: NDArray) -> float | None:
        """Return the residual over the noise at the frequencies that the PSF passes, in the liveliest part of an image."""
        light, place = term.predicted(x), self._liveliest(term.image)
        part, cut = term.image.part(place), light[tuple(map(slice, term.image.shape))][place]
        grid = self.blur.grid(part.shape)
        passed = term.quadratic.gram
        if grid != term.grid:
            passed = np.abs(self.blur.transfer(grid, part.dtype, term.workers)) ** 2
        return Leftover(_residual(part, cut, grid), Dark(passed, grid), term.workers).passed()

    def _liveliest(self, image: Image) -> tuple[slice, slice, slice]:
        z, y, x = (_TRIAL_REACHES * reach for reach in self.blur.reach)
        return liveliest(image, _TRIAL_VOXELS, (z, y, x))

    def choose_lam(self, image: Image) -> Choice:
        """Return lam for an image, as given or chosen on its liveliest part, and what decided on it."""
        if self.lam != "auto":
            return Choice(float(self.lam), "given")
        part = image.part(self._liveliest(image))
        term, inside = self.term(part, self.dark and part.shape == image.shape), self._judged(part)
        dark = Dark(term.quadratic.gram, term.grid)
        noise: list[Noise | None] = []  # all trials use the first one, so that they can be compared

        def trial(lam: float) -> Trial:
            term.restart()
            x = self._solved(term, lam, Until(_TRIAL_ITERATIONS, 0.0)).x
            self.run_options.stop.check(" while lam was being chosen")
            light = term.predicted(x)
            residual = _residual(part, light, term.grid)
            left = Leftover(residual, dark, term.workers)
            noise.append(left.noise)
            return Trial(colour(residual[inside], light[inside], term.workers, noise[0]), left.faint(light))

        voxels = math.prod(side.stop - side.start for side in inside)
        found = whitest(trial, _GUESS * guess_lam(term.sums, self.regularizer), voxels)
        brightest = max((float(np.nanmax(plane)) for plane in part if not np.isnan(plane).all()), default=0.0)
        return Choice(_MOST / brightest, "limit") if brightest * found.lam > _MOST else found

    def _judged(self, part: Image) -> tuple[slice, ...]:
        """Return where the residual of a part is judged: inside its rims, unless almost nothing was seen there."""
        inside = self.blur.inside(part.shape)
        planes = range(*inside[0].indices(len(part)))
        seen = sum(int(np.count_nonzero(~np.isnan(part[z][inside[1:]]))) for z in planes)
        return inside if seen >= _TELLING else tuple(slice(0, n) for n in part.shape)

    def term(self, image: Image, dark: bool) -> ImageTerm:
        """Return the data term of an image; ``dark`` tells whether no light is beyond it."""
        grid, workers = self.blur.grid(image.shape), as_workers(self.run_options.workers, math.prod(image.shape))
        if self._transfer is None or self._transfer[0] != (grid, image.dtype):
            self._transfer = None  # freed before the next one is made
            self._transfer = (grid, image.dtype), self.blur.transfer(grid, image.dtype, workers)
        return ImageTerm(image, self._transfer[1], grid, workers, dark)

    def _solved(self, term: ImageTerm, lam: float, until: Until) -> Result:
        return minimise(term, lam, self.regularizer, until, self.run_options)

    def _outer(self, image: Image, tile: Tile) -> Image:
        """Return a tile with its surroundings."""
        return image.around(tile.outer, self.blur.grid(image.shape), 0.0 if self.dark else math.nan)

    def _report_tile(self, done: int, count: int) -> None:
        """Report how many tiles are done; raise an error if the call is to end early."""
        if self.tell:
            self.tell("tiles", done, count)
        self.run_options.stop.check(f" in tile {done} of {count}")

    def _tiles(self, image: Image, goes_on: bool) -> list[Tile]:
        """Return the tiles of an image; raise an error if even the smallest tile does not fit in memory."""
        shape, reach, grid = image.shape, self.blur.reach, self.blur.grid(image.shape)
        room = self.max_memory
        if room is None:
            room = min(max(_BYTES * math.prod(shape), _LEAST_BYTES), 0.8 * available_memory()[0])

        def need(box: Size) -> float:
            more = _KEPT * math.prod(grid) * np.dtype(image.dtype).itemsize if goes_on and box == shape else 0
            return self._bytes(box, image.dtype, box != shape or not image.is_held) + more

        def fits(box: Size) -> bool:
            return need(box) <= room

        def cost(box: Size) -> float:
            return math.prod(self.blur.grid(box))

        tiles = tiles_of(shape, reach, grid, self.dark, fits, cost)
        if tiles:
            return tiles
        least = need(smallest(shape, reach, grid, self.dark))
        name = "max_memory" if self.max_memory is not None else "image"
        error = ValueError if self.max_memory is not None else MemoryError
        raise error(f"{name}: found {room / 2**20:.0f} MiB, need {least / 2**20:.0f} for the smallest tile")

    def _bytes(self, box: Size, dtype: Any, copied: bool) -> float:
        """Return the bytes to deconvolve a box: the solve, the sums, the transfer function, z, and a copy of the box."""
        kind = np.dtype(dtype)
        grid = self.blur.grid(box)
        precise = 0 < self.until.tol < 1e-3
        half = math.prod(grid) * kind.itemsize * (0.5 + 1 + (0.5 if self.blur.symmetric else 1))
        own = math.prod(grid) * kind.itemsize + (math.prod(box) * kind.itemsize if copied else 0)
        return bytes_needed(grid, kind, self.regularizer, precise) + half + own


def _residual(image: Image, light: NDArray, grid: Size) -> NDArray:
    """Return an image less its prediction, on a grid; NaN where nothing was seen."""
    out = np.full(grid, np.nan, light.dtype)
    _, ny, nx = image.shape
    for z, plane in enumerate(image):
        out[z, :ny, :nx] = plane - light[z, :ny, :nx]
    return out


def minimise(term: ImageTerm, lam: float, regularizer: Regularizer, until: Until, run: Run) -> Result:
    """Minimise over the grid of an image, and return the result."""
    with running(term, lam, regularizer, until, run) as solve:
        solve.go_on()
        return replace(solve.result(), lam=lam)


def running(term: ImageTerm, lam: float, regularizer: Regularizer, until: Until, run: Run) -> Running:
    """Return a solve over the grid of an image, ready to start."""
    weight, split = (SHARE * lam, term) if term.is_split else (lam, None)
    return Running(term.quadratic, weight, regularizer, until, run, split=split)


def as_memory(max_memory: Any) -> float | None:
    """Return a positive number of bytes, or None."""
    if max_memory is None:
        return None
    if isinstance(max_memory, bool) or not isinstance(max_memory, int | float | np.number) or not max_memory > 0:
        raise ValueError(f"max_memory: found {shown(max_memory)}, need a positive number of bytes")
    return float(max_memory)
