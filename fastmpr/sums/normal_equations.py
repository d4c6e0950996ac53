"""The normal equations: sums over all views, which are all that the solver reads of the views."""

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

# The range of the largest entry of S and of B, so that their products and squares do not overflow or vanish.
RANGE: dict[type, tuple[float, float]] = {np.float32: (1e-16, 1e18), np.float64: (1e-140, 1e140)}


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Three sums over the views that define the data term sum_i w_i ||y_i - H_i x||^2 = c - 2 <b, x> + <x, S x>.

    `solve` multiplies the data term by lam / 2.

    Parameters
    ----------
    gram : (nz, ny, nx // 2 + 1) float32 or float64
        S = sum_i w_i |h_i^|^2. Its dtype decides the precision of the solver.
    rhs : (nz, ny, nx // 2 + 1) complex
        B = sum_i w_i conj(h_i^) y_i^, where y_i^ is the unnormalised `numpy.fft.rfftn` of y_i.
    energy : float
        c = sum_i w_i ||y_i||^2.
    n_poses : int
        Number of views.
    shape : (nz, ny, nx)
        Shape of the periodic grid, in voxels.
    voxel_size : float or (z, y, x)
        Voxel size of the grid, in micrometres.
    model_shape : (nz, ny, nx), optional
        Shape of the model, which lies in the middle of the grid (see `crop`). By default the model fills the grid.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or ``gram`` or ``energy`` is negative.

    Notes
    -----
    Sums over two sets of views of one model can be added: ``a + b`` is the sum over the views of both.

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
    model_shape: Size = None  # type: ignore[assignment]  # None becomes the shape of the grid

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

    __array_ufunc__ = None  # NumPy must not add numbers or arrays to the sums

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
        with np.errstate(over="ignore"):  # the constructor raises an error for infinite values
            gram, rhs, energy = self.gram + other.gram, self.rhs + other.rhs, self.energy + other.energy
        return replace(self, gram=gram, rhs=rhs, energy=energy, n_poses=self.n_poses + other.n_poses)

    def __repr__(self) -> str:
        count = f"{self.n_poses} view{'s' * (self.n_poses != 1)}"
        model = [] if self.model_shape == self.shape else [f"model of {times(self.model_shape)}"]
        details = [f"grid of {times(self.shape)}", f"voxels of {times(self.voxel_size)}", str(self.gram.dtype)]
        return f"<NormalEquations: {', '.join([count, *model, *details])}>"

    def crop(self, x: NDArray) -> NDArray:
        """Crop a volume on the padded grid, such as ``solve(sums, lam).x``, to the model.

        Parameters
        ----------
        x : (nz, ny, nx) array_like
            A volume of shape ``shape``.

        Returns
        -------
        ndarray
            The model, of shape ``model_shape`` and the dtype of ``x``, in C order; ``x`` itself if the model fills the grid.

        Raises
        ------
        ValueError, TypeError
            If ``x`` is not an array of the shape of the grid.

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
        """Return sum_i w_i ||y_i - H_i x||^2 for a volume ``x`` of ``shape``, without reading a view."""
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
        """Write the sums to an ``.npz`` file; an existing file is replaced only when the new one is complete."""
        with written_whole(as_path(path), overwrite=True) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> NormalEquations:
        """Read sums from a file that `save` wrote."""
        path = as_path(path)
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
                absent = {"model_shape"} - set(content.files)  # older files do not have this field
                fields = {name: content[name] for name in cls.__dataclass_fields__ if name not in absent}
            scalars = {name: fields[name].item() for name in ("energy", "n_poses")}
            vectors = {name: fields[name].tolist() for name in fields.keys() - scalars.keys() - {"gram", "rhs"}}
            return cls(**fields | scalars | vectors)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: found no such file, need one written by NormalEquations.save") from None
        except Exception as error:  # zipfile, zlib and numpy raise different errors for a damaged file
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(f"{path}: found {reason}; need a file written by NormalEquations.save") from None


def _as_half(value: Any, name: str, shape: Size, kinds: str, dtype: Any) -> NDArray:
    """Return one of the sums on the half spectrum of a grid, in C order, or raise an error if it is not finite."""
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
    """Return ``sums`` itself; raise an error if its type is wrong or its values are too large or small to be squared."""
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
    """Return <b, x> and <x, S x>, both multiplied by the number of voxels."""
    spectrum = scipy.fft.rfftn(x)
    cross = half_sum((rhs.conj() * spectrum).real, x.shape)
    return cross, half_sum(gram * (spectrum.real**2 + spectrum.imag**2), x.shape)


def half_sum(values: NDArray, shape: Size) -> float:
    """Return the sum, in float64, over the whole spectrum of a real quantity that is given on the half spectrum."""
    mirrored = values[..., 1 : (shape[2] + 1) // 2]
    return float(values.sum(dtype=np.float64) + mirrored.sum(dtype=np.float64))
