"""The sums over all views that are everything the solver ever sees of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import (
    Size,
    Vector,
    as_array,
    as_count,
    as_float_type,
    as_number,
    as_shape,
    as_volume,
    as_voxel_size,
    times,
)
from ..io.files import as_path, written_whole
from ..runtime.fft import complex_dtype, half_shape
from .resampling import inner

# What the largest entry of S and of B may be: products and squares of them are formed.
RANGE: dict[type, tuple[float, float]] = {np.float32: (1e-16, 1e18), np.float64: (1e-140, 1e140)}


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
    model_shape : (nz, ny, nx), optional
        Shape of the model, which lies in the middle of the grid (`crop`). By default the model fills the grid.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or ``gram`` or ``energy`` is negative.

    Notes
    -----
    Sums of two sets of views of one model add up: ``a + b`` holds the views of both.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr import NormalEquations
    >>> one = NormalEquations(np.ones((4, 4, 3)), np.ones((4, 4, 3), complex), 1.0, 1, (4, 4, 4), 1.0)
    >>> one + one
    <NormalEquations: 2 views, grid of 4 x 4 x 4, voxels of 1 x 1 x 1, float64>
    """

    gram: NDArray
    rhs: NDArray
    energy: float
    n_poses: int
    shape: Size
    voxel_size: Vector
    model_shape: Size = None  # type: ignore[assignment]  # which is that of the grid

    def __post_init__(self) -> None:
        shape = as_shape(self.shape)
        model = shape if self.model_shape is None else as_shape(self.model_shape, "model_shape")
        if any(m < n for m, n in zip(shape, model, strict=True)):
            raise ValueError(f"model_shape: found {model}, need one that fits in the grid, {shape}")
        dtype = as_float_type(as_array(self.gram, "gram").dtype)
        gram = _as_half(self.gram, "gram", shape, "fiu", dtype)
        if gram.min() < 0:
            raise ValueError(f"gram: found a negative value ({gram.min():g}), need |h^|^2 summed over views")
        most, need = np.finfo(np.float64).max, "a finite number that is not negative"
        values = {
            "shape": shape,
            "voxel_size": as_voxel_size(self.voxel_size),
            "gram": gram,
            "rhs": _as_half(self.rhs, "rhs", shape, "fiuc", complex_dtype(dtype)),
            "energy": as_number(self.energy, "energy", 0, most, need),
            "n_poses": as_count(self.n_poses, "n_poses"),
            "model_shape": model,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    __array_ufunc__ = None  # a number or an array is nothing to add

    def __add__(self, other: NormalEquations) -> NormalEquations:
        if not isinstance(other, NormalEquations):
            return NotImplemented
        if self.shape != other.shape or not np.allclose(self.voxel_size, other.voxel_size):
            raise ValueError(
                f"sums: found grids {self.shape} at {self.voxel_size} and {other.shape} at {other.voxel_size}, "
                "need the same grid to add them"
            )
        if self.model_shape != other.model_shape:
            raise ValueError(
                f"sums: found models of shape {self.model_shape} and {other.model_shape}, need one model to add them"
            )
        with np.errstate(over="ignore"):  # what is infinite is refused
            gram, rhs, energy = self.gram + other.gram, self.rhs + other.rhs, self.energy + other.energy
        return replace(self, gram=gram, rhs=rhs, energy=energy, n_poses=self.n_poses + other.n_poses)

    def __repr__(self) -> str:
        count = f"{self.n_poses} view{'s' * (self.n_poses != 1)}"
        model = [] if self.model_shape == self.shape else [f"model of {times(self.model_shape)}"]
        rest = [f"grid of {times(self.shape)}", f"voxels of {times(self.voxel_size)}", str(self.gram.dtype)]
        return f"<NormalEquations: {', '.join([count, *model, *rest])}>"

    def crop(self, x: NDArray) -> NDArray:
        """Return the model out of a volume on the padded grid, such as ``solve(sums, lam).x``.

        Parameters
        ----------
        x : (nz, ny, nx) array_like
            Of ``shape``.

        Returns
        -------
        ndarray
            Of ``model_shape`` and the dtype of ``x``, in C order; ``x`` itself where that is all of it.

        Raises
        ------
        ValueError, TypeError
            If ``x`` is of another shape.

        Examples
        --------
        >>> import numpy as np
        >>> import fastmpr
        >>> psf = fastmpr.psf.gaussian((9, 9, 9), sigma=(2, 1, 1))
        >>> sums = fastmpr.accumulate(np.ones((3, 8, 8, 8)), psf, fastmpr.Poses.random(3, rng=0))
        >>> x = fastmpr.solve(sums, lam=1.0, max_iter=5).x
        >>> x.shape, sums.crop(x).shape
        ((14, 14, 14), (8, 8, 8))
        """
        x = as_array(x, "x")
        if x.shape != self.shape:
            raise ValueError(f"x: found shape {x.shape}, need {self.shape}, the grid of the sums")
        return np.ascontiguousarray(x[inner(self.shape, self.model_shape)])

    def misfit(self, x: NDArray) -> float:
        """Return sum_i w_i ||y_i - H_i x||^2 for a volume ``x`` of ``shape``, without touching a view."""
        x = as_volume(x, "x")
        if x.shape != self.shape:
            raise ValueError(f"x: found shape {x.shape}, need {self.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            cross, square = products(self.gram, self.rhs, x)
            misfit = self.energy + (square - 2 * cross) / x.size
        if not np.isfinite(misfit):
            raise ValueError(f"x: found values up to {np.abs(x).max():.1g} in {x.dtype}, need smaller ones")
        return misfit

    def save(self, path: str | os.PathLike) -> None:
        """Write the sums to an ``.npz`` file, in place of one that is there, whole or not at all."""
        with written_whole(as_path(path), overwrite=True) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> NormalEquations:
        """Read what `save` wrote."""
        path = as_path(path)
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
                newer = {"model_shape"} - set(content.files)  # than a file that was saved before there was one
                fields = {name: content[name] for name in cls.__dataclass_fields__ if name not in newer}
            scalars = {name: fields[name].item() for name in ("energy", "n_poses")}
            vectors = {name: fields[name].tolist() for name in fields.keys() - scalars.keys() - {"gram", "rhs"}}
            return cls(**fields | scalars | vectors)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: found no such file, need one written by NormalEquations.save") from None
        except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(f"{path}: found {reason}; need a file written by NormalEquations.save") from None


def _as_half(value: Any, name: str, shape: Size, kinds: str, dtype: Any) -> NDArray:
    """Return one of the sums on the half spectrum of a grid, finite and in C order."""
    array = as_array(value, name)
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name}: found {array.dtype}, need {'complex' if 'c' in kinds else 'real'} numbers")
    if array.shape != half_shape(shape):
        raise ValueError(f"{name}: found shape {array.shape}, need {half_shape(shape)} for a grid of {shape}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: found NaN or infinite values, need finite ones in {array.dtype}")
    return array


def as_sums(sums: Any, name: str = "sums") -> NormalEquations:
    """Return ``sums`` itself, or raise an error: it is something else, or too large or small to be squared."""
    if not isinstance(sums, NormalEquations):
        raise TypeError(f"{name}: found {type(sums).__name__}, need fastmpr.NormalEquations")
    least, most = RANGE[sums.gram.dtype.type]
    for part, size in zip(("gram", "rhs"), sizes(sums.gram, sums.rhs), strict=True):
        if size and not least < size < most:
            raise ValueError(
                f"{name}.{part}: found values up to {size:.1g}, need between {least:g} and {most:g} in {sums.gram.dtype}: "
                "scale the intensities or weights of the particles, or give them in float64"
            )
    return sums


def sizes(gram: NDArray, rhs: NDArray) -> tuple[float, float]:
    """Return the largest entry of S, and of B in its real and imaginary parts."""
    parts = rhs.view(gram.dtype)
    return float(gram.max()), float(max(parts.max(), -parts.min()))


def products(gram: NDArray, rhs: NDArray, x: NDArray) -> tuple[float, float]:
    """Return <b, x> and <x, S x>, both times the number of voxels."""
    spectrum = scipy.fft.rfftn(x)
    cross = half_sum((rhs.conj() * spectrum).real, x.shape)
    return cross, half_sum(gram * (spectrum.real**2 + spectrum.imag**2), x.shape)


def half_sum(values: NDArray, shape: Size) -> float:
    """Sum over the whole spectrum of a real quantity that is known on its half, in float64."""
    mirrored = values[..., 1 : (shape[2] + 1) // 2]
    return float(values.sum(dtype=np.float64) + mirrored.sum(dtype=np.float64))
