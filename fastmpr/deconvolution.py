"""One image and its PSF: deconvolution, an array in and an array out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._messages import Progress, log, telling
from ._stopping import Cancelled, Event, as_stop
from ._validation import Size, as_choice, as_voxel_size
from .data.image import Image, as_image, liveliest
from .engine.threads import as_workers
from .reconstruction import counting
from .solver.admm import as_callback, as_stopping
from .solver.control import Result
from .solver.observed import SHARE, Observed
from .solver.regularizers import Regularizer, Tikhonov, as_regularizer
from .solver.running import Running
from .solver.selection import as_lam, guess_lam
from .solver.whiteness import colour, whitest
from .sums.blur import Blur

_TRIAL_VOXELS = 600_000  # of the part of an image that lam is chosen on
_TRIAL_ITERATIONS = 16
_TRIAL_REACHES = 4  # of the PSF, that each side of it has at least: one at each end is not looked at
_GUESS = 0.4  # of `guess_lam`, to begin with


def deconvolve(
    image: ArrayLike,
    psf: ArrayLike,
    *,
    lam: float | str = "auto",
    regularizer: str | Regularizer = "hessian",
    voxel_size: ArrayLike = 1.0,
    psf_voxel_size: ArrayLike | None = None,
    seen: Any = "auto",
    outside: str = "unseen",
    background: float | str = "auto",
    max_iter: int = 80,
    tol: float = 8e-3,
    workers: int | None = None,
    callback: Callable[[Result], Any] | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> NDArray:
    """Deconvolve one image: minimise (lam / 2) ||y - H x||^2 + phi(x) over x >= 0, the norm over what was seen.

    Light from beyond the edge reaches into an image as its own reaches out: it is given a margin to lie in, which is cut off
    at the end. Nothing is padded with values that nobody measured.

    Parameters
    ----------
    image : (nz, ny, nx) array_like
        Any real numbers; it is read plane by plane and never changed. NaN is unseen.
    psf : (kz, ky, kx) array_like
        Centred at ``size // 2`` on each axis, of any sum above zero and any size.
    lam : float or "auto"
        Weight of the data term. It scales as the inverse of the intensities. By default the one that leaves the whitest
        residual, and a little more, found on the liveliest part of a large image.
    regularizer : str or Regularizer
        As in `solve`, but Tikhonov's, which has no use for positivity.
    voxel_size, psf_voxel_size : float or (z, y, x)
        In one unit; the PSF's is the image's unless given.
    seen : "auto", "all" or (nz, ny, nx) array of bool
        Which voxels were seen; others have no say, and what is there comes from their neighbourhood. By default all but
        NaN, voxels at the largest value of an integer type (saturated), single voxels that no PSF explains (hot or dead),
        and the surroundings of a crop that was pasted into a constant.
    outside : {"unseen", "dark"}
        What is beyond the edge of the image.
    background : "auto", "none" or float
        What to take off before: a camera's offset and haze, by default what the darkest hundredth of the image shows, less
        the light that the PSF takes there. The result is in the image's unit above it, so dark is 0.
    max_iter, tol, workers, callback, progress, cancel, timeout
        As in `reconstruct`; at the default ``tol`` the objective is some 5e-3 phi above its minimum, hundredths of a dB.

    Returns
    -------
    (nz, ny, nx) ndarray
        On the grid of the image; nowhere negative. float64 if the image is, else float32.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if shapes disagree or a value is out of its range.
    MemoryError
        At once, if it cannot fit in the memory that this process may use.
    Cancelled
        If it is to end before there is a volume: while lam is chosen.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> pose = fastmpr.Poses.random(1, rng=0)
    >>> image = fastmpr.simulate(truth, psf, pose, noise_sigma=0.02, rng=0)[0]
    >>> fastmpr.deconvolve(image, psf).shape
    (24, 24, 24)
    """
    stop = as_stop("deconvolve", cancel, timeout)
    given, chosen = as_lam(lam), as_iterated(regularizer)
    max_iter, tol = as_stopping(max_iter, tol)
    voxel = as_voxel_size(voxel_size)
    blur = Blur(psf, voxel if psf_voxel_size is None else as_voxel_size(psf_voxel_size, "psf_voxel_size"), voxel)
    known = as_image(image, seen, background, blur.psf())
    with telling(progress) as tell:
        options = {"workers": workers, "callback": counting(as_callback(callback), tell), "stop": stop}
        job = Job(blur, as_choice(outside, "outside", ("unseen", "dark")) == "dark", chosen, options)
        if given == "auto":
            given = job.choose_lam(known)
            log.info("deconvolve: found lam = %.3g", given)
        return job.solve(known, float(given), max_iter, tol).x


class Job:
    """What images with one PSF have in common.

    Parameters
    ----------
    blur : Blur
    dark : bool
        Whether there is no light beyond the images; otherwise that is unseen.
    regularizer : Regularizer
    options : dict
        ``workers``, ``callback`` and ``stop`` of all solves.
    """

    def __init__(self, blur: Blur, dark: bool, regularizer: Regularizer, options: dict[str, Any]):
        self.blur, self.dark, self.regularizer, self.options = blur, dark, regularizer, options
        self._transfers: dict[tuple[Size, Any], NDArray] = {}

    def observed(self, image: Image) -> Observed:
        """Return an image's data term."""
        grid, workers = self.blur.grid(image.shape), as_workers(self.options["workers"], math.prod(image.shape))
        return Observed(image, self.blur.transfer(grid, image.dtype, workers), grid, workers, self.dark)

    def solve(self, image: Image, lam: float, max_iter: int, tol: float) -> Result:
        """Return the result for one image, or one tile of it, with a given weight."""
        result = minimise(self.observed(image), lam, self.regularizer, self.options, max_iter, tol)
        return replace(result, x=np.ascontiguousarray(result.x[corner(image.shape)]))

    def choose_lam(self, image: Image) -> float:
        """Return the weight for an image, found on its liveliest part."""
        nz, ny, nx = (_TRIAL_REACHES * reach for reach in self.blur.reach)
        part = image.part(liveliest(image, _TRIAL_VOXELS, (nz, ny, nx)))
        observed = self.observed(part)
        inside = self.blur.inside(part.shape)

        def misfit(lam: float) -> float:
            observed.restart()
            x = minimise(observed, lam, self.regularizer, self.options, _TRIAL_ITERATIONS, 0.0).x
            if reason := self.options["stop"].reason():
                raise Cancelled(f"deconvolve: {reason} while lam was being chosen")
            light = observed.predicted(x)[inside]
            return colour(np.stack(list(part))[inside] - light, light, observed.workers)

        return whitest(misfit, _GUESS * guess_lam(observed.sums, self.regularizer))


def minimise(
    observed: Observed, lam: float, regularizer: Regularizer, options: dict[str, Any], max_iter: int, tol: float
) -> Result:
    """Minimise over the grid of an observed image."""
    until: dict[str, Any] = {"max_iter": max_iter, "tol": tol}
    weight, split = (SHARE * lam, observed) if observed.split else (lam, None)
    with Running(observed.sums, weight, regularizer, observed=split, **until, **options) as running:
        running.go_on()
        return replace(running.result(), lam=lam)


def corner(shape: Size) -> tuple[slice, ...]:
    """Return where on its grid an image lies."""
    return tuple(slice(n) for n in shape)


def as_iterated(regularizer: Any) -> Regularizer:
    """Return a regulariser that is no closed form."""
    chosen = as_regularizer(regularizer)
    if isinstance(chosen, Tikhonov):
        raise ValueError("regularizer: found 'tikhonov', need 'hessian', 'tv' or another that is solved by iterations")
    return chosen
