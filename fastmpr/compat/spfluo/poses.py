"""SPFluo's search for the best of given poses, with its signatures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._messages import log
from ..._validation import as_float_type, as_positive, as_reals
from ...alignment.spectra import Band
from ...io.conventions import warn_of_radians
from .arrays import as_numpy, check_device, like
from .matching import Matching, bands_of
from .problem import as_blur, as_cubes, as_reference


def convolution_matching_poses(
    reference: Any, volumes: Any, psf: Any, potential_poses: Any, device: Any = None, batch_size: int = 1
) -> tuple[Any, Any]:
    """Find the best of some rotations for each view, as SPFluo 0.1.0 does, with the same arguments.

    The volume is rotated by each candidate, blurred by the PSF, and shifted to where it correlates best with the view: any
    translation is possible, and those of the candidates are ignored. (They are 0 wherever SPFluo calls its function, which
    otherwise returns translations less those of the candidates.) Views and volume are compared at the frequencies that the
    PSF passes, with the mean left out, and translations are not rounded to a tenth of a voxel. So the best rotation is
    nearly always that of SPFluo, but the errors differ. `fastmpr.align` finds poses between candidates.

    Parameters
    ----------
    reference : (C, D, D, D) array
        The volume. Arrays may be of other libraries, as in `reconstruction_L2`.
    volumes : (N, C, D, D, D) array
        The views, of C channels. Correlations of channels add up.
    psf : (C, d, h, w) array
        As in `reconstruction_L2`.
    potential_poses : (N, M, 6) array
        M candidates for each view, as the poses of `reconstruction_L2`.
    device : optional
        As in `reconstruction_L2`.
    batch_size : int
        Not used, which is logged: batches are made by memory.

    Returns
    -------
    best_poses : (N, 6) array
        The angles of the best candidate, and the translation found. In the precision and of the kind of
        ``potential_poses``.
    errors : (N,) array
        sqrt(1 - c^2), where c is the correlation of view and volume: 0 if they agree. In the precision and of the kind of
        ``volumes``.

    Raises
    ------
    ValueError, TypeError
        As `reconstruction_L2` does.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> from fastmpr.compat.spfluo import convolution_matching_poses
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(3, max_translation=2, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> given = np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])
    >>> candidates = given[:, None] + np.array([[0, 0, 0, 0, 0, 0], [0, 20, 0, 0, 0, 0]])
    >>> best, errors = convolution_matching_poses(truth[None], views[:, None], psf[None], candidates)
    >>> bool(np.abs(best - given).max() < 0.2), errors.shape
    (True, (3,))
    """
    check_device(device)
    tell_unused("batch_size", batch_size, 1)
    views = as_cubes(volumes, True)
    given = as_candidates(potential_poses, len(views))
    blur = as_blur(psf, views, True)
    bands = bands_of(views, blur, "volumes")
    best, errors = matched(as_reference(reference, views, "reference"), views, blur, bands, given)
    precision = as_float_type(np.asarray(as_numpy(potential_poses, "potential_poses")).dtype)
    return like(best.astype(precision), potential_poses), like(errors.astype(views.dtype), volumes)


def find_angles_grid(xp: Any, reconstruction: Any, patches: Any, psf: Any, precision: int = 10) -> tuple[Any, Any]:
    """Find the direction of each view's axis on a grid, as SPFluo 0.1.0 does, with the same arguments.

    The candidates are SPFluo's: (360 / precision)^2 / pi rotations whose first two angles are spread evenly over the sphere;
    the third is 0, so a volume that is not round about its first axis is better served by `fastmpr.align`. They are compared
    as in `convolution_matching_poses`.

    Parameters
    ----------
    xp
        Not used: arrays are of the library that ``patches`` come from.
    reconstruction : (C, D, D, D) array
        The volume.
    patches : (N, C, D, D, D) array
        The views.
    psf : (C, d, h, w) array
        As in `reconstruction_L2`.
    precision : float
        About how many degrees two directions are apart.

    Returns
    -------
    best_poses : (N, 6) array
    best_errors : (N,) array
        As `convolution_matching_poses` returns them, in the precision of ``patches``.

    Raises
    ------
    ValueError, TypeError
        As `reconstruction_L2` does.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> from fastmpr.compat.spfluo import find_angles_grid
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> views = fastmpr.simulate(truth, psf, fastmpr.Poses.random(3, rng=0), noise_sigma=0.02, rng=0)
    >>> best, errors = find_angles_grid(np, truth[None], views[:, None], psf[None], precision=20)
    >>> best.shape, errors.shape
    ((3, 6), (3,))
    """
    count = math.ceil((360 / as_positive(precision, "precision")) ** 2 / math.pi)
    views = as_cubes(patches, True, "patches")
    reference, blur = as_reference(reconstruction, views, "reconstruction"), as_blur(psf, views, True, "patches")
    best, errors = matched(reference, views, blur, bands_of(views, blur, "patches"), directions(count)[np.newaxis])
    return like(best.astype(views.dtype), patches), like(errors.astype(views.dtype), patches)


def matched(
    reference: NDArray, views: NDArray, psf: NDArray, bands: list[Band], angles: NDArray
) -> tuple[NDArray, NDArray]:
    """Return the best poses (N, 6) and their errors (N,), given rotations (1 or N, M, 3 or 6).

    Channels are weighted by the sums of their PSFs, as in SPFluo.
    """
    weights = [float(blur.sum()) for blur in psf]
    chosen, translations, scores = Matching(reference, views, bands, weights).best(angles[..., :3])
    rows = np.arange(len(views)) % len(angles)
    return np.hstack([angles[rows, chosen, :3], translations]), np.sqrt(np.maximum(1 - scores**2, 0))


def directions(count: int) -> NDArray[np.float64]:
    """Return Euler angles "XZX" (count, 3) in degrees of directions on a Fibonacci spiral; the third angle is 0."""
    place = np.arange(count)
    turns = np.degrees(2 * np.pi * place / ((1 + math.sqrt(5)) / 2)) % 360
    return np.stack([turns, np.degrees(np.arccos(1 - (2 * place + 1) / count)), np.zeros(count)], axis=1)


def as_candidates(poses: Any, count: int) -> NDArray[np.float64]:
    """Return candidates (N, M, 6), or (1, M, 6) if all views have the same."""
    need = f"need ({count}, M, 6), for {count} volumes"
    given = as_reals(as_numpy(poses, "potential_poses"), "potential_poses", "numbers of shape (N, M, 6)")
    if given.ndim != 3 or given.shape[0] != count or given.shape[2] != 6 or given.size == 0:
        raise ValueError(f"potential_poses: found an array of shape {given.shape}, {need}")
    if not np.isfinite(given[..., :3]).all():
        raise ValueError("potential_poses: found NaN or infinite angles, need finite ones")
    warn_of_radians("potential_poses", given[:, 0, :3])
    return given[:1] if (given == given[0]).all() else given


def tell_unused(name: str, value: Any, default: Any) -> None:
    """Log that an argument was given and is not used."""
    if value is not None and value != default:
        log.info("%s: found %s, not used: batches are made by memory", name, value)
