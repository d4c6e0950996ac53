"""The sums over all views that are everything the solver ever sees of them."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ._fft import half_shape
from ._validation import Size, Vector, as_shape, as_voxel_size


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
        gram = np.asarray(self.gram)
        dtype = np.float64 if gram.dtype == np.float64 else np.float32
        values = {
            "shape": shape,
            "voxel_size": as_voxel_size(self.voxel_size),
            "gram": np.ascontiguousarray(gram, dtype),
            "rhs": np.ascontiguousarray(self.rhs, np.result_type(dtype, np.complex64)),
            "energy": float(self.energy),
            "n_poses": int(self.n_poses),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        for name in ("gram", "rhs"):
            array = getattr(self, name)
            if array.shape != half_shape(shape):
                raise ValueError(f"{name}: found shape {array.shape}, need {half_shape(shape)} for a grid of {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: found NaN or infinite values, need finite ones")
        if self.gram.min() < 0:
            raise ValueError(f"gram: found a negative value ({self.gram.min():g}), need |h^|^2 summed over views")
        if not 0 <= self.energy < np.inf:
            raise ValueError(f"energy: found {self.energy}, need a finite number that is not negative")

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
        """Write the sums to an ``.npz`` file, whole or not at all."""
        path = Path(path)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist, need an existing one")
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **{name: np.asarray(getattr(self, name)) for name in self.__dataclass_fields__})
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike) -> NormalEquations:
        """Read what `save` wrote."""
        try:
            with np.load(path, allow_pickle=False) as file:
                fields = {name: file[name] for name in cls.__dataclass_fields__}
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: found no such file, need one written by NormalEquations.save") from None
        except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
            raise ValueError(f"{path}: found no readable sums, need a file from NormalEquations.save ({error})") from None
        return cls(
            fields["gram"],
            fields["rhs"],
            float(fields["energy"]),
            int(fields["n_poses"]),
            as_shape(fields["shape"].tolist()),
            as_voxel_size(fields["voxel_size"]),
        )


def half_sum(values: NDArray, shape: Size) -> float:
    """Sum over the whole spectrum of a real quantity that is known on its half, in float64."""
    mirrored = values[..., 1 : (shape[2] + 1) // 2]
    return float(values.sum(dtype=np.float64) + mirrored.sum(dtype=np.float64))
