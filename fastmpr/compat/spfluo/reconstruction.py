"""SPFluo's reconstruction, as a function of its arguments."""

from __future__ import annotations

from typing import Any

from ..._validation import as_flag
from .arrays import check_device
from .closed_form import closed_form
from .problem import answer, as_problem


def reconstruction_L2(
    volumes: Any,
    psf: Any,
    poses: Any,
    lambda_: Any,
    batch: bool = False,
    symmetry: bool = False,
    device: Any = None,
    batch_size: int | None = None,
    multichannel: bool = False,
    *,
    exact: bool = False,
) -> Any:
    """Reconstruct volumes from views in known poses as SPFluo 0.1.0 does, with the arguments it has.

    x = max(0, F^-1 { mean conj(h) y / (mean |h|^2 + lambda_ |D|^2) }) per channel and reconstruction, where D is the forward
    difference, the means are over all poses, and views y and PSFs h are brought into the frame of the model by linear
    interpolation, zero outside. The grid is periodic and not padded. It runs on the CPU, in as many threads as this process
    may use. It differs from SPFluo in two points, unless ``exact``: cubes of an even size are not blurred by half a voxel,
    and ``lambda_ |D|^2`` is not rounded to float32.

    Parameters
    ----------
    volumes : (N, [C], D, D, D) array
        The views, cubes only; C channels with ``multichannel``. All arrays may be NumPy's, what has ``__array__``, or those
        of other libraries in the CPU's memory (DLPack), such as PyTorch's. float64 stays, all else becomes float32.
    psf : ([C], d, h, w) array
        Its middle is at (n - 1) / 2 on each axis, and its sum matters: twice the PSF is half the result.
    poses : ([M], [k], N, 6) array
        Three Euler angles "XZX" in degrees, translation (z, y, x) in voxels, as in `fastmpr.Poses`. M with ``batch``, k with
        ``symmetry``.
    lambda_ : float or (M,) array
        Weight of the prior, positive.
    batch : bool
        M reconstructions of the same views, each with its poses and its ``lambda_``.
    symmetry : bool
        Each view is taken in k poses.
    device : optional
        Anything but the CPU is said in a `fastmpr.FastmprWarning`, and computed on the CPU.
    batch_size : int, optional
        Accepted, and not needed: memory does not grow with the views.
    multichannel : bool
        Whether ``volumes`` and ``psf`` have the axis C.
    exact : bool
        Agree with SPFluo in the two points, too.

    Returns
    -------
    ([M], [C], D, D, D) array
        In the precision of ``volumes`` and of the same library; NumPy's where that takes none by DLPack.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if shapes disagree, volumes are no cubes, a value is not finite, or not positive where it must
        be, or an array lies on a GPU.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> from fastmpr.compat.spfluo import reconstruction_L2
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(6, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> given = np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])
    >>> x = reconstruction_L2(views, psf, given, 1e-3)
    >>> fastmpr.metrics.psnr(x, truth) > fastmpr.metrics.psnr(fastmpr.average(views, poses=poses), truth)
    True
    """
    check_device(device)
    problem = as_problem(volumes, psf, poses, lambda_, batch, symmetry, multichannel)
    return answer(closed_form(problem, as_flag(exact, "exact")), volumes, batch, multichannel)
