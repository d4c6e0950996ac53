"""SPFluo's reconstruction function, with its signature."""

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
    """Reconstruct volumes from views in known poses as SPFluo 0.1.0 does, with the same arguments.

    For each channel and reconstruction, x = max(0, F^-1 { mean conj(h) y / (mean |h|^2 + lambda_ |D|^2) }), where D is the
    forward difference and the means are over all poses. Views y and PSFs h are brought into the frame of the model by linear
    interpolation, with zeros outside. The grid is periodic and not padded. The function runs on the CPU, in as many threads
    as this process may use. It differs from SPFluo in two points, unless ``exact`` is true: cubes of an even size are not
    blurred by half a voxel, and ``lambda_ |D|^2`` is not rounded to float32.

    Parameters
    ----------
    volumes : (N, [C], D, D, D) array
        The views, which must be cubes; C channels with ``multichannel``. Every array may be a NumPy array, an object with
        ``__array__``, or an array of another library in the CPU's memory (DLPack), such as PyTorch. float64 stays, all else
        becomes float32.
    psf : ([C], d, h, w) array
        Its middle is at (n - 1) / 2 on each axis. It is not normalised: twice the PSF gives half the result.
    poses : ([M], [k], N, 6) array
        Three Euler angles "XZX" in degrees, then the translation (z, y, x) in voxels, as in `fastmpr.Poses`. The axis M
        comes with ``batch``, the axis k with ``symmetry``.
    lambda_ : float or (M,) array
        Weight of the prior, positive.
    batch : bool
        Make M reconstructions of the same views, each with its own poses and ``lambda_``.
    symmetry : bool
        Use each view in k poses.
    device : optional
        The computation is always on the CPU; any other device gives a `fastmpr.FastmprWarning`.
    batch_size : int, optional
        Ignored, since memory does not grow with the number of views.
    multichannel : bool
        Whether ``volumes`` and ``psf`` have the axis C.
    exact : bool
        Agree with SPFluo in these two points as well.

    Returns
    -------
    ([M], [C], D, D, D) array
        In the precision of ``volumes``, as an array of the same library, or as a NumPy array if the library lacks DLPack.

    Raises
    ------
    ValueError, TypeError
        If shapes disagree, volumes are no cubes, a value is not finite or not positive where it must be, or an array lies on
        a GPU; the message names the argument.

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
