"""The sums over all views that are everything the solver ever sees of them."""

from __future__ import annotations

import functools
import math
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import ArrayLike, NDArray

from . import _view_kernels
from ._fft import ForwardFFT, complex_dtype, fast_shape, half_shape
from ._threads import Team, as_workers
from ._validation import Size, Vector, as_count, as_shape, as_voxel_size
from .io.files import written_whole
from .poses import Poses
from .transfer import TransferFunction, energy_radius
from .views import Aligner, Views


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """The data term (lam / 2) sum_i w_i ||y_i - H_i x||^2 = (lam / 2) (c - 2 <b, x> + <x, S x>), as three sums.

    Parameters
    ----------
    gram : (nz, ny, nx // 2 + 1) float32 or float64
        S = sum_i w_i |h_i^|^2. Its dtype decides the precision of the solver.
    rhs : (nz, ny, nx // 2 + 1) complex
        B = sum_i w_i conj(h_i^) y_i^, y_i^ being an unnormalised `numpy.fft.rfftn`.
    energy : float
        c = sum_i w_i ||y_i||^2.
    n_poses : int
        Number of views.
    shape : (nz, ny, nx)
        Shape of the periodic grid, in voxels.
    voxel_size : float or (z, y, x)
        Voxel of that grid, in micrometres.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or ``gram`` or ``energy`` is negative.

    Notes
    -----
    Sums of two sets of views add up: ``a + b`` holds the views of both.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr.normal_equations import NormalEquations
    >>> one = NormalEquations(np.ones((4, 4, 3)), np.ones((4, 4, 3), complex), 1.0, 1, (4, 4, 4), 1.0)
    >>> (one + one).n_poses
    2
    """

    gram: NDArray
    rhs: NDArray
    energy: float
    n_poses: int
    shape: Size
    voxel_size: Vector

    def __post_init__(self) -> None:
        shape = as_shape(self.shape)
        gram, rhs = np.asarray(self.gram), np.asarray(self.rhs)
        if gram.dtype.kind not in "fiu" or rhs.dtype.kind not in "fiuc":
            raise TypeError(f"gram: found {gram.dtype}, and rhs: {rhs.dtype}, need real and complex numbers")
        for name, array in (("gram", gram), ("rhs", rhs)):
            if array.shape != half_shape(shape):
                raise ValueError(f"{name}: found shape {array.shape}, need {half_shape(shape)} for a grid of {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: found NaN or infinite values, need finite ones")
        if gram.min() < 0:
            raise ValueError(f"gram: found a negative value ({gram.min():g}), need |h^|^2 summed over views")
        dtype = np.float64 if gram.dtype == np.float64 else np.float32
        energy = np.asarray(self.energy, dtype=float)
        if energy.ndim != 0 or not 0 <= energy < np.inf:
            raise ValueError(f"energy: found {self.energy!r}, need a finite number that is not negative")
        values = {
            "shape": shape,
            "voxel_size": as_voxel_size(self.voxel_size),
            "gram": np.ascontiguousarray(gram, dtype),
            "rhs": np.ascontiguousarray(rhs, complex_dtype(dtype)),
            "energy": float(energy),
            "n_poses": as_count(self.n_poses, "n_poses"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __add__(self, other: NormalEquations) -> NormalEquations:
        if not isinstance(other, NormalEquations):
            return NotImplemented
        if self.shape != other.shape or not np.allclose(self.voxel_size, other.voxel_size):
            raise ValueError(
                f"sums: found grids {self.shape} at {self.voxel_size} and {other.shape} at {other.voxel_size}, "
                "need the same grid to add them"
            )
        return NormalEquations(
            self.gram + other.gram,
            self.rhs + other.rhs,
            self.energy + other.energy,
            self.n_poses + other.n_poses,
            self.shape,
            self.voxel_size,
        )

    def misfit(self, x: NDArray) -> float:
        """Return sum_i w_i ||y_i - H_i x||^2 for a volume ``x`` of ``shape``, without touching a view."""
        spectrum = scipy.fft.rfftn(x)
        cross = half_sum((self.rhs.conj() * spectrum).real, self.shape)
        square = half_sum(self.gram * (spectrum.real**2 + spectrum.imag**2), self.shape)
        return self.energy + (square - 2 * cross) / x.size

    def save(self, path: str | os.PathLike) -> None:
        """Write the sums to an ``.npz`` file, in place of one that is there, whole or not at all."""
        with written_whole(Path(path), overwrite=True) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> NormalEquations:
        """Read what `save` wrote."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
                fields = {name: content[name] for name in cls.__dataclass_fields__}
            scalars = {name: fields[name].item() for name in ("energy", "n_poses")}
            return cls(**fields | scalars | {name: fields[name].tolist() for name in ("shape", "voxel_size")})
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: found no such file, need one written by NormalEquations.save") from None
        except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{path}: found {reason}; need a file written by NormalEquations.save") from None


def as_sums(sums: Any, name: str = "sums") -> NormalEquations:
    """Return sums that are some."""
    if not isinstance(sums, NormalEquations):
        raise TypeError(f"{name}: found {type(sums).__name__}, need fastmpr.NormalEquations")
    return sums


def half_sum(values: NDArray, shape: Size) -> float:
    """Sum over the whole spectrum of a real quantity that is known on its half, in float64."""
    mirrored = values[..., 1 : (shape[2] + 1) // 2]
    return float(values.sum(dtype=np.float64) + mirrored.sum(dtype=np.float64))


def accumulate(
    particles: Sequence[ArrayLike] | NDArray,
    psf: ArrayLike,
    poses: Poses,
    *,
    frame: str = "particle",
    voxel_size: float | Vector = 1.0,
    psf_voxel_size: float | Vector | None = None,
    shape: int | Size | None = None,
    weights: ArrayLike | None = None,
    workers: int | None = None,
) -> NormalEquations:
    """Sum the normal equations of all views: one FFT each, whatever the poses.

    Every view is brought into the frame of the model by a cubic spline, and the transfer function of its PSF is sampled
    there from one table; B and S are made of the same samples, so they belong to one least-squares problem.

    Parameters
    ----------
    particles : sequence of N (nz, ny, nx) arrays
        Anything with ``len`` and ``[i]``; one particle per thread is in memory at a time.
    psf : (nz, ny, nx) ndarray
        Centred at ``size // 2`` on each axis, see `fastmpr.psf.centred`. It may be larger than the particles.
    poses : Poses
        N poses, translations in the unit of ``voxel_size``.
    frame : {"particle", "model"}
        Whether the particles are as imaged, or already aligned with the model (translations are then not used).
    voxel_size : float or (z, y, x)
        Voxel of the particles, in micrometres (or any unit).
    psf_voxel_size : float or (z, y, x), optional
        Voxel of the PSF; by default that of the particles.
    shape : int or (nz, ny, nx), optional
        Shape of the volume to reconstruct, before padding; by default what a particle image covers.
    weights : (N,) array_like, optional
        Weight of each view; 1 by default.
    workers : int, optional
        Threads; by default all that this process may use.

    Returns
    -------
    NormalEquations
        On a padded periodic grid of cubic voxels, as large as the smallest side of ``voxel_size``; the model is in its
        middle, as `reconstruct` crops it. float64 if the first particle is, else float32.

    Raises
    ------
    ValueError
        If counts or shapes disagree, or a value is not finite or out of its range; the particle is named.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> psf = fastmpr.psf.gaussian((9, 9, 9), sigma=(2, 1, 1))
    >>> poses = fastmpr.Poses.random(3, rng=0)
    >>> sums = fastmpr.accumulate(np.ones((3, 8, 8, 8)), psf, poses)
    >>> sums.n_poses
    3
    """
    (total,) = accumulate_groups(
        particles,
        psf,
        poses,
        1,
        frame=frame,
        voxel_size=voxel_size,
        psf_voxel_size=psf_voxel_size,
        shape=shape,
        weights=weights,
        workers=workers,
    )
    return total


def accumulate_groups(
    particles: Sequence[ArrayLike] | NDArray,
    psf: ArrayLike,
    poses: Poses,
    groups: int,
    *,
    frame: str,
    voxel_size: float | Vector,
    psf_voxel_size: float | Vector | None,
    shape: int | Size | None,
    weights: ArrayLike | None,
    workers: int | None,
) -> list[NormalEquations]:
    """Sum ``groups`` sets of views apart, the k-th of them views k, k + groups, ... that weigh more than nothing."""
    views = Views(particles, poses, frame, as_voxel_size(voxel_size))
    model = views.model_shape(shape)
    weight = _as_weights(weights, len(poses))
    threads = as_workers(workers)
    psf_voxel = views.particle_voxel if psf_voxel_size is None else as_voxel_size(psf_voxel_size, "psf_voxel_size")
    grid = padded_shape(model, energy_radius(psf, psf_voxel) / views.voxel_size[0])
    transfer = TransferFunction(psf, psf_voxel, views.dtype, threads)
    used = np.flatnonzero(weight)
    team = Team(max(1, min(threads, len(used) // groups)))
    parts: list[list[Any]] = [[None] * team.size for _ in range(groups)]

    def add_share(member: int) -> None:
        aligner, fft = Aligner(views, grid, model), ForwardFFT(grid, views.dtype)
        for group in range(groups):
            chosen = used[group::groups]
            first, last = team.share(len(chosen), member)
            parts[group][member] = _sum_views(aligner, fft, transfer, weight, chosen[first:last])

    team.run(add_share)
    return [functools.reduce(operator.add, shares) for shares in parts]


def _sum_views(
    aligner: Aligner, fft: ForwardFFT, transfer: TransferFunction, weights: NDArray, which: NDArray
) -> NormalEquations:
    """Sum some of the views on the calling thread."""
    views, grid = aligner.views, fft.image.shape
    gram = np.zeros(half_shape(grid), views.dtype)
    rhs = np.zeros_like(fft.spectrum)
    energy = 0.0
    for i in which:
        energy += weights[i] * aligner.align(i, fft.image)
        fft.execute()
        matrix = transfer.matrix(views.poses.matrix[i], grid, views.voxel_size)
        _view_kernels.add_view(*transfer.table, matrix, grid, fft.spectrum, views.dtype(weights[i]), gram, rhs)
    return NormalEquations(gram, rhs, energy, len(which), grid, views.voxel_size)


def padded_shape(model: Size, margin: float) -> Size:
    """Return a grid with fast FFTs on which light that leaves the model by ``margin`` voxels does not come back in."""
    nz, ny, nx = (n + min(math.ceil(margin), n) if n > 1 else 1 for n in model)
    return fast_shape((nz, ny, nx))


def _as_weights(weights: ArrayLike | None, count: int) -> NDArray:
    """Return one finite weight per view, none negative, not all zero."""
    if weights is None:
        return np.ones(count)
    array = np.asarray(weights, dtype=float)
    if array.shape != (count,):
        raise ValueError(f"weights: found shape {array.shape}, need ({count},), one for each pose")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() > 0):
        raise ValueError("weights: found a negative, infinite or NaN one or only zeros, need weights of at least 0")
    return array
