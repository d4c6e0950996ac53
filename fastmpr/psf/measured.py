"""PSFs that a camera gave: the offset taken off, centred, without the noise around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import scipy  # its parts are slow to import: this loads them at their first use
from numpy.typing import ArrayLike, NDArray

from .._messages import warn
from .._validation import as_volume_or_plane, axes
from .bead import Bead, NoBead, body, placed
from .company import smooth, smoothed

_SMALLEST = 5  # voxels along an axis: with fewer, a stack is border and bead at once
_APART = 0.2  # of its size, the difference between beads of one microscope at most: from centre to corner of a field
_UNUSUAL = 3  # times the usual difference, where that is more: faint beads


def centred(psf: ArrayLike) -> NDArray:
    """Move a measured PSF so that its centre of mass lies at ``size // 2`` on each axis.

    Parameters
    ----------
    psf : (nz, ny, nx) or (ny, nx) array_like
        PSF of positive sum, its background subtracted.

    Returns
    -------
    ndarray
        Of the same shape. Shifted by a cubic spline, zero where nothing was measured; float64 stays, all else is float32.

    Raises
    ------
    ValueError
        If the PSF is not of two or three dimensions and finite, or its sum is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr import psf
    >>> h = psf.gaussian(15, sigma=1.5)
    >>> bool(np.allclose(psf.centred(np.roll(h, 2, axis=0)), h, atol=1e-5))
    True
    >>> plane = psf.gaussian((15, 15), sigma=1.5)
    >>> bool(np.allclose(psf.centred(np.roll(plane, 2, axis=0)), plane, atol=1e-3))
    True
    """
    volume = as_volume_or_plane(psf, "psf")
    total = volume.sum(dtype=np.float64)
    if not total > 0:
        raise ValueError(f"psf: found a sum of {total:g}, need a PSF whose sum is positive")
    shift = [n // 2 - centre for n, centre in zip(volume.shape, scipy.ndimage.center_of_mass(volume), strict=True)]
    return scipy.ndimage.shift(volume, shift, order=3, mode="constant")


def measured(stack: ArrayLike | Iterable[ArrayLike]) -> NDArray:
    """Make a PSF from an image of a bead, or the mean PSF from images of several beads.

    The camera's offset is subtracted, the bead is moved to the centre with subvoxel accuracy, and the noise around it is set
    to zero. The bead should be much smaller than the PSF, and the only one in its stack.

    Parameters
    ----------
    stack : (nz, ny, nx) or (ny, nx) array_like, or several
        Counts of any kind and unit, the bead anywhere within; at least 5 voxels along each axis. Several are a list, a
        generator or an array (n, nz, ny, nx), and have one shape; each bead is centred and scaled to sum 1 first, and all
        weigh the same. An array of three dimensions is one stack, so planes with a bead each are a list of them.

    Returns
    -------
    (nz, ny, nx) or (ny, nx) ndarray
        Non-negative, centred at ``size // 2`` on each axis, of sum 1; float64 stays, all else is float32.

    Raises
    ------
    ValueError
        If a stack is not of two or three dimensions and finite, or too small, if the shapes differ, or if no stack shows a
        bead that is whole near its peak.

    Warns
    -----
    FastmprWarning
        If a bead is saturated, or the border cuts off some of it; if another one is beside it; if stacks without a bead are
        left out, or, of three and more, beads that are unlike the others.

    Notes
    -----
    The offset is the mean of those border voxels that are, up to noise, as dark as the darkest twentieth of the border. The
    PSF is the connected region around the peak that stands above the noise. Fainter light, such as the far end of a
    widefield PSF's cone, is lost; more beads lower the noise, so less is lost. The centre is the centre of mass of the
    squared intensity. There the phase of the transfer function, weighted by its power, is flat on average (Parseval), and
    noise, tails and a border that cuts them matter little. For symmetric PSFs it equals the centre of mass.

    Voxels far brighter than all their neighbours but one are camera defects, as are pixels and lines of pixels that are far
    brighter than those beside them in all planes; they are replaced by the median of their neighbours. A peak that has no
    counterpart half a turn about the optical axis away is another bead, and is replaced by what is there. Of three or more
    beads, those that differ from half of the others by more than 20 % (root mean square, smoothed by a voxel), or by more
    than three times the usual difference, are left out; mostly these are two beads in one stack.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr import psf
    >>> h = psf.gaussian((21, 13, 13), sigma=(3, 1, 1))
    >>> counts = 100 + 4000 / h.max() * np.roll(h, (1, 0, -2), axis=(0, 1, 2))
    >>> found = psf.measured(np.rint(counts).astype(np.uint16))
    >>> bool(abs(found - h).max() < 0.005 * h.max())
    True
    >>> psf.measured([plane.astype(np.uint16) for plane in counts[9:12]]).shape  # three images of two dimensions
    (13, 13)
    """
    stacks, dtype = _as_stacks(stack)
    beads = _alike(_placed(stacks))
    mean = np.mean([bead.light for bead in beads.values()], axis=0)
    noise = np.sqrt(sum(bead.noise**2 for bead in beads.values())) / len(beads)
    psf = np.where(body(mean, noise), np.maximum(mean, 0), 0)
    return (psf / psf.sum()).astype(dtype)


def _as_stacks(stack: Any) -> tuple[dict[str, NDArray], Any]:
    """Return the stacks in float64 by their names, and the precision asked for."""
    if isinstance(stack, Iterator):
        stack = list(stack)
    several = stack.ndim == 4 and len(stack) > 0 if isinstance(stack, np.ndarray) else _holds_images(stack)
    given = {f"stack[{k}]": one for k, one in enumerate(stack)} if several else {"stack": stack}
    images = {name: as_volume_or_plane(one, name) for name, one in given.items()}
    shape = next(iter(images.values())).shape
    for name, image in images.items():
        if min(image.shape) < _SMALLEST:
            raise ValueError(f"{name}: found shape {image.shape}, need at least {_SMALLEST} voxels along each axis")
        if image.shape != shape:
            raise ValueError(f"{name}: found shape {image.shape}, need {shape}, as the first has")
    dtype = np.result_type(*(image.dtype for image in images.values()))
    return {name: image.astype(np.float64) for name, image in images.items()}, dtype


def _holds_images(stack: Any) -> bool:
    """Return whether a list holds arrays of their own, and not the rows of one."""
    return isinstance(stack, list | tuple) and {getattr(one, "ndim", 0) for one in stack} in ({2}, {3}, {2, 3})


def _placed(stacks: Mapping[str, NDArray]) -> dict[str, Bead]:
    """Return the beads by the names of their stacks, and say which show none, if others do."""
    beads, errors = {}, []
    for name, image in stacks.items():
        try:
            beads[name] = placed(image, name)
        except NoBead as error:
            errors.append(error)
    if not beads:
        raise ValueError(str(errors[0]))
    if errors:
        warn(f"{errors[0]}{_more(errors)}: left out, {len(beads)} of {len(stacks)} are averaged")
    company = {name: bead.other for name, bead in beads.items() if bead.other}
    if company:
        name, other = next(iter(company.items()))
        warn(
            f"{name}: found another bead {other} voxels {axes(len(other))} from the brightest{_more(company)}, and put what "
            "the PSF has on its other side in its place: need beads that are alone"
        )
    return beads


def _more(several: Any) -> str:
    return f" (and something of the kind in {len(several) - 1} more)" if len(several) > 1 else ""


def _alike(beads: dict[str, Bead]) -> dict[str, Bead]:
    """Return the beads that are like half of the others at least, and say which are not; two cannot be told apart."""
    if len(beads) < 3:
        return beads
    apart, noise = _differences([*beads.values()])
    usual = np.sort(apart, axis=1)[:, (len(beads) - 1) // 2]  # the first is the one to itself
    most = np.maximum(max(_APART, _UNUSUAL * float(np.median(usual))), _UNUSUAL * noise)
    odd = [name for name, unlike in zip(beads, usual > most, strict=True) if unlike]
    if odd:
        warn(
            f"{', '.join(odd)}: found {usual.max():.0%} of difference to the other beads, as two beads in one would have: "
            f"left out, {len(beads) - len(odd)} of {len(beads)} are averaged"
        )
    return {name: bead for name, bead in beads.items() if name not in odd}


def _differences(beads: list[Bead]) -> tuple[NDArray, NDArray]:
    """Return the differences between each two beads, less those of noise, and each one's noise, over the median's size."""
    middle = np.median([bead.light for bead in beads], axis=0)
    where = body(middle, float(np.median([bead.noise for bead in beads])))
    light = np.array([smooth(bead.light)[where] for bead in beads])
    noise = np.array([smoothed(bead.noise, middle.ndim) for bead in beads]) * np.sqrt(light.shape[1])
    square = ((light[:, None] - light) ** 2).sum(axis=-1) - (noise[:, None] ** 2 + noise**2)
    size = np.linalg.norm(smooth(middle)[where])
    return np.sqrt(np.maximum(square, 0)) / size, noise / size
