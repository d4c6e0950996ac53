"""What a user calls: images of two or three dimensions, one or many, and what they and their PSFs are given as."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._messages import Progress, telling
from .._stopping import Event, Stop, as_stop
from .._validation import Vector, as_array, as_choice, as_reals, as_voxel_size
from ..data.arguments import as_psfs
from ..data.camera import as_image
from ..data.faults import faults
from ..data.image import is_lazy
from ..data.lengths import check_sampling
from ..reconstruction import counting
from ..solver.admm import as_callback, as_stopping
from ..solver.control import Result
from ..solver.regularizers import Regularizer, Tikhonov, as_regularizer
from ..solver.selection import as_lam
from ..sums.blur import Blur
from .one import Job, as_memory

_FRAMES = 8  # of a movie, from which on what is the camera's is told from what is there


def deconvolve(
    image: Any,
    psf: ArrayLike | Sequence[ArrayLike],
    *,
    lam: float | str = "auto",
    regularizer: str | Regularizer = "hessian",
    voxel_size: ArrayLike = 1.0,
    psf_voxel_size: ArrayLike | None = None,
    seen: Any = "auto",
    outside: str = "unseen",
    background: float | str = "auto",
    max_memory: float | None = None,
    out: Any = None,
    max_iter: int = 80,
    tol: float = 8e-3,
    workers: int | None = None,
    callback: Callable[[Result], Any] | None = None,
    report: Callable[[dict[str, Any]], Any] | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> Any:
    """Deconvolve images: minimise (lam / 2) ||y - H x||^2 + phi(x) over x >= 0, the norm over what was seen.

    One view, no poses, an array in and an array out, on its own grid. Light from beyond the edge reaches into an image as
    its own reaches out: it is given a margin to lie in, which is cut off at the end. Nothing is padded with values that
    nobody measured.

    Parameters
    ----------
    image : (..., nz, ny, nx) or (..., ny, nx) array_like, or several
        Any real numbers; NaN is unseen, and what is masked. The dimensions of the PSF are space, and axes before those are
        channels or frames, each deconvolved alone. Never changed, and read plane by plane: memory-mapped, Zarr and the like
        are welcome. A list, or another iterable of images, each as above, of which one at a time is held.
    psf : (kz, ky, kx) or (ky, kx) array_like, or a list of them
        Centred at ``size // 2`` on each axis, of any sum above zero and any size. Of several, one is for each item along the
        image's first axis.
    lam : float or "auto"
        Weight of the data term. It scales as the inverse of the intensities. By default, for each channel and frame, the
        one that leaves the whitest residual, and a little more, but none that would explain the noise, which is read where
        the PSF passes no light. It is found on the liveliest part of a large image.
    regularizer : str or Regularizer
        As in `solve`, but Tikhonov's, which has no use for positivity.
    voxel_size, psf_voxel_size : float or (z, y, x) or (y, x)
        In one unit; the PSF's is the image's unless given. The prior measures slopes in it.
    seen : "auto", "all" or array of bool
        Which voxels were seen, of the shape of the image or of its last axes; others have no say, and what is there comes
        from their neighbourhood. By default all but NaN; saturated voxels: at the largest value of an integer type, or at
        the greatest of the image where too many are; voxels that no PSF explains (hot or dead), pixels and lines that none
        explains in all planes, or in all frames of two dimensions; and what is recognised (and logged): regions of exactly
        one value, as around a crop or a turned stack, more solid and sharper than darkness is under noise, and planes that
        repeat others.
    outside : {"unseen", "dark"}
        What is beyond the edge of the image.
    background : "auto", "none" or float
        What to take off before: a camera's offset and haze, by default what the darkest hundredth of the image shows, less
        the light that the PSF takes there. The result is in the image's unit above it, so dark is 0.
    max_memory : float, optional
        Bytes to take beside the image and the result. Where that does not suffice, the image is cut into tiles that overlap,
        with one ``lam`` for all, which takes longer. Seams differ by about 1e-3 of the brightest voxel from the whole, as
        the solver's own accuracy does; rims of the image by up to 1e-2. By default 32 for each voxel of the image, 256 MB at
        least.
    out : array, optional
        Where the result goes: of the image's shape, and of any kind that takes ``out[box] = values``, such as a memory map
        or a Zarr array. By default a new array. Of one image only.
    max_iter, tol, workers, callback, progress, cancel, timeout
        As in `reconstruct`; at the default ``tol`` the objective is some 5e-3 phi above its minimum, which is hundredths of
        a dB. Progress is counted in iterations, and "tiles" and "images" where there are several.
    report : callable, optional
        Called after each channel or frame with a dict of what was found: its ``index``, ``lam``, ``background``, how many
        voxels were ``unseen``, ``tiles``, ``nit`` (the most iterations of a tile), ``success``. ``lam_from`` says what
        decided on ``lam``: "given", "whiteness", "noise", or a bound: "limit" (next to no noise was found) or "trials" (the
        last one tried, with no end in sight). ``fit`` is the power that is left of the image at the frequencies that the PSF
        passes, over that of the noise: about 1 where the result explains the image, several where PSF, ``background`` or
        ``lam`` are wrong, 0.5 where some noise is explained too; None where the PSF passes all frequencies, so that none
        shows the noise alone. The median over tiles.

    Returns
    -------
    ndarray
        Of the shape of the image; nowhere negative. float64 if the image is, else float32. ``out``, if that is given. A list
        for a list, an iterator for another iterable.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if shapes disagree or a value is out of its range.
    MemoryError
        At once, if it cannot fit in the memory that this process may use.
    Cancelled
        If it is to end before all is done; an image in one tile is what it is then, once lam is known.

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
    max_iter, tol = as_stopping(max_iter, tol)
    psfs, dimensions = as_psfs_of(psf)
    voxel = as_voxel(voxel_size, dimensions, "voxel_size")
    own = voxel if psf_voxel_size is None else as_voxel(psf_voxel_size, dimensions, "psf_voxel_size")
    check_sampling(voxel, own, "image")
    chosen = as_iterated(regularizer, voxel)
    dark = as_choice(outside, "outside", ("unseen", "dark")) == "dark"
    given, memory, callback = as_lam(lam), as_memory(max_memory), as_callback(callback)

    def started(tell: Progress | None) -> Images:
        options = {"workers": workers, "callback": counting(callback, tell), "stop": stop}
        until = {"max_iter": max_iter, "tol": tol}
        jobs = [
            Job(Blur(one, own, voxel), dark, chosen, given, until, options, memory, tell) for one in map(upright, psfs)
        ]
        return Images(jobs, dimensions, seen, background, as_callback(report, "report"), stop)

    if is_one(image):
        with telling(progress) as tell:
            return started(tell)(image, out)
    if out is not None:
        raise ValueError("out: found one beside several images, need one image, or no out")
    many = _each(image, started, progress)
    return list(many) if isinstance(image, list | tuple) else many


def _each(images: Iterable[Any], started: Callable, progress: Any) -> Iterator[NDArray]:
    """Deconvolve one image after another, with what they have in common prepared once."""
    with telling(progress) as tell:
        work, count = started(tell), len(images) if isinstance(images, list | tuple) else None
        for done, image in enumerate(images, 1):
            yield work(image, None)
            if tell:
                tell("images", done, count)


class Images:
    """What deconvolves an image of channels and frames, given a job for each PSF.

    Parameters
    ----------
    jobs : list of Job
    dimensions : {2, 3}
        Of the PSFs.
    seen, background, report
        As in `deconvolve`.
    stop : Stop
    """

    def __init__(
        self, jobs: list[Job], dimensions: int, seen: Any, background: Any, report: Callable | None, stop: Stop
    ):
        self.jobs, self.dimensions, self.seen, self.background = jobs, dimensions, seen, background
        self.report, self.stop, self.begun = report, stop, False

    def __call__(self, image: Any, out: Any) -> Any:
        """Return the result, in ``out`` if that is given."""
        values = image if is_lazy(image) or np.ma.is_masked(image) else as_array(image, "image")
        shape = tuple(values.shape)
        self._check(values, shape, out)
        if out is None:
            out = np.empty(shape, np.float64 if values.dtype == np.float64 else np.float32)
        faulty = self._faulty(values)
        for index in np.ndindex(shape[: -self.dimensions]):
            if self.begun:  # the first one is what it is
                self.stop.check()
            self.begun = True
            k = index[0] if len(self.jobs) > 1 else 0
            part = values[index] if isinstance(values, np.ndarray) else _Frame(values, index)
            target = _Frame(out, index)
            found = self._one(self.jobs[k], part, self._seen(index, shape), target, faulty)
            if self.report is not None:
                self.report({"index": index, **found})
        return out

    def _faulty(self, values: Any) -> NDArray | None:
        """Return which pixels are at fault in all of several frames of two dimensions, None where that is not known."""
        if self.dimensions == 3 or not isinstance(values, np.ndarray) or math.prod(values.shape[:-2]) < _FRAMES:
            return None
        found = faults(values.reshape(-1, *values.shape[-2:]), self.jobs[0].blur.psf().swapaxes(0, 1))
        return np.zeros(values.shape[-2:], bool) if found is None else found

    def _one(self, job: Job, values: Any, seen: Any, out: Any, faulty: NDArray | None) -> dict[str, Any]:
        """Deconvolve one image of two or three dimensions; return what was found."""
        psf = job.blur.psf()
        if self.dimensions == 3:
            return job.run(as_image(values, seen, self.background, psf), out)
        mask = seen if isinstance(seen, str) else np.asarray(seen)[np.newaxis]
        known = as_image(np.asanyarray(values[:])[np.newaxis], mask, self.background, psf.swapaxes(0, 1), faulty)
        return job.run(known.upright(), _Upright(out))

    def _check(self, values: Any, shape: tuple[int, ...], out: Any) -> None:
        if len(shape) < self.dimensions or 0 in shape or values.dtype.kind not in "fiub":
            need = f"real numbers and {self.dimensions} axes or more, as the PSF has {self.dimensions}"
            raise ValueError(f"image: found {values.dtype} of shape {shape}, need {need}")
        if len(self.jobs) > 1 and (len(shape) == self.dimensions or len(self.jobs) != shape[0]):
            raise ValueError(
                f"psf: found {len(self.jobs)} for an image of shape {shape}, need one, or one for each of the first axis"
            )
        if out is None:
            return
        if tuple(getattr(out, "shape", ())) != shape:
            raise ValueError(f"out: found shape {getattr(out, 'shape', None)}, need the image's, {shape}")
        if np.dtype(getattr(out, "dtype", float)).kind != "f":
            raise ValueError(f"out: found {out.dtype}, need a floating-point type: results are no integers")
        if isinstance(out, np.ndarray) and not out.flags.writeable:
            raise ValueError("out: found an array that cannot be written to, need one that can")

    def _seen(self, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
        """Return what was seen of one of the images."""
        if isinstance(self.seen, str):
            return as_choice(self.seen, "seen", ("auto", "all"))
        mask = as_array(self.seen, "seen")
        if mask.shape == shape:
            return mask[index]
        if mask.shape != shape[-self.dimensions :]:
            raise ValueError(f"seen: found shape {mask.shape}, need {shape} or {shape[-self.dimensions :]}")
        return mask


class _Frame:
    """A channel or frame of an array, read and written in parts."""

    def __init__(self, array: Any, index: tuple[int, ...]):
        self.array, self.index = array, index
        self.shape, self.dtype = tuple(array.shape)[len(index) :], array.dtype
        self.chunks = (getattr(array, "chunks", None) or ())[len(index) :]

    def __getitem__(self, box: Any) -> Any:
        return self.array[(*self.index, *(box if isinstance(box, tuple) else (box,)))]

    def __setitem__(self, box: tuple[slice, ...], values: NDArray) -> None:
        self.array[(*self.index, *box)] = values


class _Upright:
    """An array (ny, nx) that is written to as if it were (ny, 1, nx)."""

    def __init__(self, out: Any):
        self._out = out

    def __setitem__(self, box: tuple[slice, ...], values: NDArray) -> None:
        self._out[box[0], box[2]] = values[:, 0]


def is_one(image: Any) -> bool:
    """Return whether this is an image, and not several."""
    if isinstance(image, list | tuple):
        return not image or np.ndim(image[0]) < 2
    return hasattr(image, "shape") or hasattr(image, "__array__") or not isinstance(image, Iterable)


def as_psfs_of(psf: Any) -> tuple[list[NDArray], int]:
    """Return the PSFs, and how many dimensions they have."""
    several = list(psf) if isinstance(psf, list | tuple) and len(psf) and np.ndim(psf[0]) > 1 else [psf]
    shapes = [np.ndim(one) for one in several]
    if set(shapes) not in ({2}, {3}):
        raise ValueError(
            f"psf: found {' and '.join(map(str, sorted(set(shapes))))} dimensions, need 2 or 3, or a list of such PSFs"
        )
    for one in several:
        array = as_array(one, "psf")
        if array.size and array.dtype.kind == "f" and array.min() < -array.max():
            raise ValueError(
                f"psf: found {array.min():.3g} to {array.max():.3g}, need one that is positive in the main"
            )
    looked_at = as_psfs([as_array(one, "psf").reshape(-1, *np.shape(one)[-2:]) for one in several])
    return [psf.reshape(np.shape(one)) for psf, one in zip(looked_at, several, strict=True)], shapes[0]


def upright(psf: NDArray) -> NDArray:
    """Return a PSF of two dimensions as one of three: its rows become planes, which threads share."""
    return psf if psf.ndim == 3 else psf[:, np.newaxis]


def as_voxel(value: Any, dimensions: int, name: str) -> Vector:
    """Return the sides of a voxel (z, y, x); a pixel (y, x) is that with its y for z and nothing that counts for y."""
    if dimensions == 3:
        return as_voxel_size(value, name)
    sides = as_reals(value, name, "one or two positive lengths (y, x)")
    if sides.shape not in ((), (1,), (2,)):
        raise ValueError(f"{name}: found shape {sides.shape}, need one or two positive lengths (y, x)")
    y, x = np.broadcast_to(sides, (2,)).tolist()
    return as_voxel_size((y, max(x, y), x), name)


def as_iterated(regularizer: Any, voxel: Vector) -> Regularizer:
    """Return a regulariser that is no closed form."""
    chosen = as_regularizer(regularizer, voxel)
    if isinstance(chosen, Tikhonov):
        raise ValueError("regularizer: found 'tikhonov', need 'hessian', 'tv' or another that is solved by iterations")
    return chosen
