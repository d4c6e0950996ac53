"""What a user calls: images of two or three dimensions, one or many, with one PSF or one for each channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Unpack, overload

from numpy.typing import NDArray

from .._keywords import check_keywords
from .._messages import Progress, telling
from .._validation import as_choice
from ..inspection.lengths import check_sampling
from ..lam.selection import as_lam
from ..regularizers import Regularizer
from ..runtime.stopping import Event, as_stop
from ..solver.options import Run, as_callback, as_until, counting
from ..solver.result import Result
from ..sums.blur import Blur
from ..views.types import BackgroundWord, VoxelSize
from .axes import as_axes
from .frames import Images
from .given import as_iterated, as_psfs_of, as_voxel, is_one, upright
from .one import Job, as_memory
from .types import Image, Many, Options, Psfs, Report, Seen, T


@overload
def deconvolve(image: Image, psf: Psfs, *, out: None = None, **options: Unpack[Options]) -> NDArray: ...
@overload
def deconvolve(image: Image, psf: Psfs, *, out: T, **options: Unpack[Options]) -> T: ...
@overload
def deconvolve(  # type: ignore[overload-overlap]  # a list is an iterable too, and this one is asked first
    image: list[Many] | tuple[Many, ...], psf: Psfs, **options: Unpack[Options]
) -> list[NDArray]: ...
@overload
def deconvolve(image: Iterable[Many], psf: Psfs, **options: Unpack[Options]) -> Iterator[NDArray]: ...
def deconvolve(
    image: Any,
    psf: Psfs,
    *,
    axes: str | None = None,
    frames: Literal["auto", "alike", "each"] = "auto",
    lam: float | Literal["auto"] = "auto",
    regularizer: str | Regularizer = "hessian",
    voxel_size: VoxelSize = 1.0,
    psf_voxel_size: VoxelSize | None = None,
    seen: Seen = "auto",
    outside: Literal["unseen", "dark"] = "unseen",
    background: BackgroundWord | float = "auto",
    max_memory: float | None = None,
    out: Any = None,
    max_iter: int = 80,
    tol: float = 8e-3,
    workers: int | None = None,
    callback: Callable[[Result], Any] | None = None,
    report: Report | None = None,
    progress: bool | Progress | None = None,
    cancel: Event | None = None,
    timeout: float | None = None,
    **unknown: Any,
) -> Any:
    """Deconvolve images: minimise (lam / 2) ||y - H x||^2 + phi(x) over x >= 0, the norm over what was seen.

    One view, no poses, an array in and an array out, on its own grid. Light from beyond the edge reaches into an image as
    its own reaches out: it is given a margin to lie in, which is cut off at the end. Nothing is padded with values that
    nobody measured.

    Parameters
    ----------
    image : (..., nz, ny, nx) or (..., ny, nx) array_like, or several
        Any real numbers; NaN is unseen, and what is masked. The dimensions of the PSF are space, and axes before those are
        channels or frames, each deconvolved alone, but for what ``frames`` says. Never changed, and read plane by plane:
        memory-mapped, Zarr and the like are welcome. A list, or another iterable of images, each as above, of which one at a
        time is held.
    psf : (kz, ky, kx) or (ky, kx) array_like, or a list of them
        Centred at ``size // 2`` on each axis, of any sum above zero and any size. Of several, one is for each channel: along
        C of ``axes``, along the image's first axis where those are not given. `channel_psfs` computes those of a file.
    axes : str, optional
        Which axis of the image is which, such as "ZCYX", as ImageJ's stacks come out of tifffile, or "YXC": a letter for
        each, some of T, C, Z, Y and X. All of space must be among them, Z if the PSF has three dimensions; beside one of two
        each plane is an image of its own. The result and ``out`` keep the image's order.
    frames : {"auto", "alike", "each"}
        What frames of a movie have in common: along T of ``axes``, or without those along an axis of five images or more
        that are like their neighbours. "each": nothing, each is deconvolved alone. "alike": one background, the median of
        theirs, and one ``lam``, the mean of five of theirs. "auto": one ``lam`` for each run of frames that are as bright
        within a fourth, so that those that bleach have their own, and one background, unless it surely shifts: then each
        frame has its own part of that. Frames of no light are alone. A frame starts where the one before ended, if the two
        are alike, and ends at residuals of three times ``tol``.
    lam : float or "auto"
        Weight of the data term. It scales as the inverse of the intensities. By default, for each channel and frame, the
        one that leaves the whitest residual, and a little more, but none that would explain the noise, which is read where
        the PSF passes no light. It is found on the liveliest part of a large image.
    regularizer : str or Regularizer
        As in `solve`, but Tikhonov's, which has no use for positivity.
    voxel_size, psf_voxel_size : float or (z, y, x) or (y, x)
        In one unit; the PSF's is the image's unless given. The prior measures slopes in it.
    seen : "auto", "all" or array of bool
        Which voxels were seen, of the shape of the image or of its axes of space; others have no say, and what is there
        comes from their neighbourhood. By default all but NaN; saturated voxels: at the largest value of an integer type, or
        at the greatest of the image where too many are; voxels that no PSF explains (hot or dead), pixels and lines that
        none explains in all planes, or in all frames of two dimensions; and what is recognised (and logged): regions of
        exactly one value, as around a crop or a turned stack, more solid and sharper than darkness is under noise, and
        planes that repeat others.
    outside : {"unseen", "dark"}
        What is beyond the edge of the image as it is given, blurred: "dark" says that no light reaches there.
    background : "auto", "plane", "none" or float
        What to take off before: a camera's offset and haze, by default what the darkest hundredth of the image shows, less
        the light that the PSF takes there. "plane": one that rises in some direction. The result is in the image's unit
        above it, so dark is 0.
    max_memory : float, optional
        Bytes to take beside the image and the result. Where that does not suffice, the image is cut into tiles that overlap,
        with one ``lam`` for all, which takes longer. Seams differ by about 1e-3 of the brightest voxel from the whole, as
        the solver's own accuracy does; rims of the image by up to 1e-2. By default 32 for each voxel of the image, 256 MB at
        least.
    out : array, optional
        Where the result goes: of the image's shape, and of any kind that takes ``out[box] = values``, such as a memory map
        or a Zarr array. By default a new array. Of one image only, and not the image itself, which is read to the end.
    max_iter, tol, workers, callback, progress, cancel, timeout
        As in `reconstruct`; at the default ``tol`` the objective is some 5e-3 phi above its minimum, which is hundredths of
        a dB. Progress is counted in iterations, and "tiles" and "images" where there are several.
    report : callable, optional
        Called after each channel or frame with a dict of what was found: its ``index`` along the axes that are not space, in
        the image's order, ``lam``, ``background`` (of a plane in the middle, with its ``slope`` per voxel along each axis of
        the PSF), how many voxels were ``unseen``, ``tiles``, ``nit`` (the most iterations of a tile), ``success`` and
        ``status`` as in `Result`. ``lam_from`` says what decided on ``lam``: "given", "whiteness", "noise", or a bound:
        "limit" (next to no noise was found) or "trials" (the last one tried, with no end in sight). ``fit`` is the power
        that is left of the image at the frequencies that the PSF passes, over that of the noise: about 1 where the result
        explains the image, several where PSF, ``background`` or ``lam`` are wrong, 0.5 where some noise is explained too;
        None where the PSF passes all frequencies, so that none shows the noise alone. The median over tiles.

    Returns
    -------
    ndarray
        Of the shape of the image; nowhere negative. float64 if the image is, else float32. ``out``, if that is given. A list
        for a list, an iterator for another iterable. NaN in a channel or frame of which nothing was seen, with a warning.

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
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> pose = fastmpr.Poses.random(1, rng=0)
    >>> image = fastmpr.simulate(truth, psf, pose, noise_sigma=0.02, rng=0)[0]
    >>> fastmpr.deconvolve(image, psf).shape
    (24, 24, 24)
    """
    check_keywords(deconvolve, unknown)
    stop = as_stop("deconvolve", cancel, timeout)
    until, called = as_until(max_iter, tol), as_callback(callback)
    psfs, dimensions = as_psfs_of(psf)
    voxel = as_voxel(voxel_size, dimensions, "voxel_size")
    own = voxel if psf_voxel_size is None else as_voxel(psf_voxel_size, dimensions, "psf_voxel_size")
    check_sampling(voxel, own, "image")
    chosen, letters = as_iterated(regularizer, voxel), as_axes(axes, dimensions)
    likeness = as_choice(frames, "frames", ("auto", "alike", "each"))
    dark = as_choice(outside, "outside", ("unseen", "dark")) == "dark"
    given, memory = as_lam(lam), as_memory(max_memory)

    def started(tell: Progress | None) -> Images:
        run = Run(workers, callback=counting(called, tell), stop=stop)
        jobs = [Job(Blur(one, own, voxel), dark, chosen, given, until, run, memory, tell) for one in map(upright, psfs)]
        listed = isinstance(psf, list | tuple)
        return Images(jobs, psfs, listed, letters, likeness, seen, background, as_callback(report, "report"), stop)

    if is_one(image):
        with telling(progress) as tell:
            return started(tell)(image, out)
    if out is not None:
        raise ValueError("out: found one beside several images, need one image, or no out")
    many = _each(image, started, progress)
    return list(many) if isinstance(image, list | tuple) else many


def _each(images: Iterable[Any], started: Callable, progress: Any) -> Iterator[Any]:
    """Deconvolve one image after another, with what they have in common prepared once."""
    with telling(progress) as tell:
        work, count = started(tell), len(images) if isinstance(images, list | tuple) else None
        for done, image in enumerate(images, 1):
            yield work(image, None)
            if tell:
                tell("images", done, count)
