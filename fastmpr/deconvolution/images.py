"""Deconvolve one image or many, of two or three dimensions, with one PSF or one for each channel."""

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
from .arguments import as_iterated, as_psfs_of, as_voxel, is_single, upright
from .axes import as_axes
from .deconvolver import Deconvolver, as_memory
from .frames import Images
from .types import Image, Many, Options, Psfs, Report, Seen, T


@overload
def deconvolve(image: Image, psf: Psfs, *, out: None = None, **options: Unpack[Options]) -> NDArray: ...
@overload
def deconvolve(image: Image, psf: Psfs, *, out: T, **options: Unpack[Options]) -> T: ...
@overload
def deconvolve(  # type: ignore[overload-overlap]  # a list is an iterable too, and this overload comes first
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
    """Deconvolve images: minimise (lam / 2) ||y - H x||^2 + phi(x) over x >= 0, the norm over the voxels that were seen.

    One view and no poses: an array goes in, and an array on the same grid comes out. Light from beyond the edge reaches into
    an image, as light from the image reaches out. The solver adds a margin for that light, and crops it at the end. It never
    pads with values that were not measured.

    Parameters
    ----------
    image : (..., nz, ny, nx) or (..., ny, nx) array_like, or several
        Any real numbers. NaN and masked values are unseen. Unless ``axes`` tells otherwise, the last axes are space, as many
        as the PSF has. The other axes are channels or frames; each is deconvolved alone, except as ``frames`` says. The
        image is never changed. It is read plane by plane, so memory-mapped arrays, Zarr and the like are welcome. Also a
        list or another iterable of such images, of which one at a time is in memory.
    psf : (kz, ky, kx) or (ky, kx) array_like, or a list of them
        Centred at ``size // 2`` on each axis; of any size and any sum above zero. A list holds a PSF for each channel: along
        C of ``axes``, or along the image's first axis without ``axes``; `channel_psfs` computes the PSFs of a file.
    axes : str, optional
        A letter for each axis of the image, from T, C, Z, Y and X: "ZCYX" for ImageJ's stacks as tifffile reads them, or
        "YXC". Y and X are needed, and Z if the PSF has three dimensions. With a PSF of two dimensions, each plane is an
        image of its own. The result and ``out`` keep the order of the image's axes.
    frames : {"auto", "alike", "each"}
        What the frames of a movie share. Frames lie along T of ``axes``; without ``axes``, along an axis of five images or
        more that are like their neighbours. "each": nothing, each frame is deconvolved alone. "alike": one background, the
        median of those of all frames, and one ``lam``, the mean of those of five frames. "auto": one ``lam`` for each run of
        frames that are equally bright within a quarter, so that a movie that bleaches has several; and one background,
        unless it clearly shifts: then each frame has its own shift. Frames without light are deconvolved alone. A frame
        starts from the result of the frame before if the two are alike, and stops at residuals of three times ``tol``.
    lam : float or "auto"
        Weight of the data term. It scales as the inverse of the intensities. "auto" chooses it for each channel and frame:
        the weight that leaves the whitest residual, and a little more, but never a weight at which the result explains the
        noise. The noise is read at the frequencies that the PSF does not pass. For a large image, ``lam`` is chosen on the
        part with the most structure.
    regularizer : str or Regularizer
        As in `solve`, except "tikhonov", whose closed form allows no positivity.
    voxel_size, psf_voxel_size : float or (z, y, x) or (y, x)
        In one unit; by default the PSF has the image's voxels. The prior measures slopes in this unit.
    seen : "auto", "all" or array of bool
        Which voxels were seen, in the shape of the image or of its axes of space. The other voxels do not count, and the
        result fills them in from their neighbourhood. "auto": all voxels except NaN; saturated voxels (at the largest value
        of an integer type, or at the maximum of the image if too many voxels have it); single voxels that no PSF explains
        (hot or dead); pixels and lines that no PSF explains in all planes, or in all frames of two dimensions; regions of
        exactly one value, as around a crop or a rotated stack, if they are more solid and sharper than darkness under noise;
        and planes that repeat others. The log names the last two.
    outside : {"unseen", "dark"}
        What is beyond the edge of the blurred image: "dark" if no light reaches there, "unseen" if nothing is known.
    background : "auto", "plane", "none" or float
        What to subtract first: the camera's offset and haze. "auto": the level of the darkest hundredth of the image, less
        the light that the PSF spreads there. "plane": a background that rises in some direction. The result is in the
        image's unit above the background, so dark is 0.
    max_memory : float, optional
        Bytes to use beside the image and the result; by default 32 for each voxel of the image, and at least 256 MB. If that
        is not enough, the image is cut into overlapping tiles with one ``lam``, which takes longer. Seams differ from the
        result without tiles by about 1e-3 of the brightest voxel, as much as the solver's own accuracy; rims of the image by
        up to 1e-2.
    out : array, optional
        Where to write the result: anything of the image's shape that takes ``out[box] = values``, such as a memory map or a
        Zarr array. By default a new array. Only for a single image, and never the image itself, which is read to the end.
    max_iter, tol, workers, callback, progress, cancel, timeout
        As in `reconstruct`. At the default ``tol`` the objective is some 5e-3 phi above its minimum, which is hundredths of
        a dB. Progress counts iterations, and "tiles" and "images" where there are several.
    report : callable, optional
        Called after each channel or frame with a dict: ``index`` along the axes that are not space, in the image's order;
        ``lam``; ``background`` (of a plane: its value in the middle, and ``slope`` per voxel along each axis of the PSF);
        ``unseen``, a number of voxels; ``tiles``, their number; ``nit``, the most iterations of a tile; ``success`` and
        ``status`` as in `Result`. ``lam_from`` tells what decided on ``lam``: "given", "whiteness", "noise", or a bound:
        "limit" (almost no noise was found) or "trials" (the search ended at the last weight that it tried). ``fit`` is the
        power of the residual at the frequencies that the PSF passes, over the power of the noise, in the median over tiles:
        about 1 where the result explains the image, several where the PSF, ``background`` or ``lam`` is wrong, 0.5 where the
        result explains some of the noise too. It is None where the PSF passes all frequencies, because then none shows the
        noise alone.

    Returns
    -------
    ndarray
        In the shape of the image, and nowhere negative; float64 if the image is, else float32. ``out``, if given. A list for
        a list, an iterator for another iterable. A channel or frame of which nothing was seen is NaN, with a warning.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if shapes disagree or a value is out of its range.
    MemoryError
        At once, if the work cannot fit in the memory that this process may use.
    Cancelled
        If ``cancel`` or ``timeout`` ends the call early. Once lam is known, an image in one tile is returned as it stands.

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
        blurs = [Blur(one, own, voxel) for one in map(upright, psfs)]
        deconvolvers = [Deconvolver(blur, dark, chosen, given, until, run, memory, tell) for blur in blurs]
        listed = isinstance(psf, list | tuple)
        return Images(
            deconvolvers, psfs, listed, letters, likeness, seen, background, as_callback(report, "report"), stop
        )

    if is_single(image):
        with telling(progress) as tell:
            return started(tell)(image, out)
    if out is not None:
        raise ValueError("out: found one beside several images, need a single image, or no out")
    many = _each(image, started, progress)
    return list(many) if isinstance(image, list | tuple) else many


def _each(images: Iterable[Any], started: Callable, progress: Any) -> Iterator[Any]:
    """Deconvolve one image after another; prepare what they share once."""
    with telling(progress) as tell:
        work, count = started(tell), len(images) if isinstance(images, list | tuple) else None
        for done, image in enumerate(images, 1):
            yield work(image, None)
            if tell:
                tell("images", done, count)
