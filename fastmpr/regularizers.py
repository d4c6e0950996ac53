"""What a regulariser is to the solver: operator, adjoint, symbol, proximal step (in a fused sweep) and value."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from . import _kernels
from ._validation import Size
from .normal_equations import NormalEquations


class Regularizer(Protocol):
    """A convex function phi(D x) that the solver can minimise; `Hessian` and `TotalVariation` are two.

    An object with these four attributes, given as ``regularizer=``, is a new one. D must commute with translations of
    the periodic grid. As the solver keeps only the dual, all its work between two FFTs is one sweep over the rows of
    the volume; what differs between regularisers are D, its adjoint and the projection P on the set of all
    subgradients of phi.

    Attributes
    ----------
    components : int
        Distinct components that D x has at each voxel.
    order : {1, 2}
        D^T D is multiplication by (sum_d (2 - 2 cos w_d)) ** order in Fourier space.
    sweep : callable
        ``sweep(x, nx, state, v2, out, carry, steps, moves, norms, start, stop)`` handles the planes start <= z < stop,
        beside others that handle theirs; a compiled function without the GIL makes that parallel. Rows have
        width = nx + 2 columns. ``x`` (nz, ny + 3, width) has its first columns and rows repeated behind the last;
        ``state`` (nz, components, ny * width) is s; ``v2`` and ``out`` are (nz, ny, width), the first for the
        positivity, see `_kernels._positivity`; ``steps`` is (r, mu, weight, t, t2). With v = r mu D x + s, d = P(v) and
        u = v - d:

            s <- (1 - r) t u + d        out <- D^T (t u - d) + weight (u2 - d2 / t2)

        if ``moves``. Otherwise s and v2 stay, out <- D^T (mu D x - d) + weight (x - d2), and norms[z] <- the squares of
        mu D x - u, mu D x, u, d, then of x - u2, x, u2, d2, over the true columns of plane z. What D^T of the slab's
        last plane owes to the planes behind the slab goes to ``carry`` (2, ny * width), set to zero first:
        `_kernels.close_planes` adds carry[1] - carry[0] to the next plane and carry[0] to the one after.

    See Also
    --------
    fastmpr._kernels.tv_sweep : the shortest one.
    """

    components: int
    order: int
    sweep: Any

    def value(self, x: NDArray) -> float:
        """Return phi(D x)."""


class Hessian:
    """Sum over voxels of the nuclear norm of the Hessian (forward differences, periodic).

    The six distinct components are in the order zz, yy, xx, zy, zx, yx; the last three count twice.

    References
    ----------
    S. Lefkimmiatis, J. P. Ward, M. Unser, "Hessian Schatten-norm regularization for linear inverse problems", IEEE
    Transactions on Image Processing 22(5), 2013.
    """

    components = 6
    order = 2
    sweep = staticmethod(_kernels.hessian_sweep)

    def value(self, x: NDArray) -> float:
        """Return the sum over voxels of the nuclear norm of the Hessian of ``x``."""
        return _sum_over_planes(_kernels.hessian_value, x)


class TotalVariation:
    """Isotropic total variation: sum over voxels of the length of the gradient (forward differences, periodic).

    References
    ----------
    L. I. Rudin, S. Osher, E. Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60, 1992.
    """

    components = 3
    order = 1
    sweep = staticmethod(_kernels.tv_sweep)

    def value(self, x: NDArray) -> float:
        """Return the sum over voxels of the length of the gradient of ``x``."""
        return _sum_over_planes(_kernels.tv_value, x)


class Tikhonov:
    """Half the sum of the squares of the gradient (forward differences, periodic): no sweep, but a closed form."""

    order = 1

    def value(self, x: NDArray) -> float:
        """Return half the sum of the squares of the gradient of ``x``."""
        return 0.5 * sum(float(np.square(np.roll(x, -1, axis) - x, dtype=np.float64).sum()) for axis in range(3))

    def minimiser(self, sums: NormalEquations, lam: float) -> NDArray:
        """Return F^-1 { lam B / (lam S + |D^|^2) }, clipped at 0: what SPFluo's L2 reconstruction solves.

        The clipped minimiser is not the minimiser over x >= 0, but costs one FFT.
        """
        denominator = lam * sums.gram + symbol(self, sums.shape)
        spectrum = np.zeros_like(sums.rhs)
        np.divide(lam * sums.rhs, denominator, out=spectrum, where=denominator > 0, casting="same_kind")
        return np.maximum(scipy.fft.irfftn(spectrum, sums.shape), 0)


def _sum_over_planes(kernel: Any, x: NDArray) -> float:
    """Return the sum over planes of what a kernel finds in x / max |x|, times max |x|: no intensity is out of range."""
    nz, ny, nx = x.shape
    size = float(np.abs(x).max()) or 1.0
    wrapped = np.pad(x / x.dtype.type(size), ((0, 0), (0, 3), (0, 2)), mode="wrap")
    planes = np.empty(nz)
    kernel(wrapped, ny, nx, planes, 0, nz)
    return size * float(planes.sum())


_KNOWN: dict[str, Regularizer | Tikhonov] = {"hessian": Hessian(), "tv": TotalVariation(), "tikhonov": Tikhonov()}


def as_regularizer(regularizer: Any) -> Any:
    """Return the regulariser of a name, or the object itself."""
    if isinstance(regularizer, Tikhonov) or all(
        hasattr(regularizer, name) for name in ("components", "order", "sweep")
    ):
        return regularizer
    if not isinstance(regularizer, str) or regularizer not in _KNOWN:
        raise ValueError(f"regularizer: found {regularizer!r}, need one of {', '.join(map(repr, _KNOWN))}")
    return _KNOWN[regularizer]


def axis_symbols(shape: Size) -> list[NDArray]:
    """Return 2 - 2 cos w along each axis of the half spectrum, float64."""
    full = [2 - 2 * np.cos(2 * np.pi * np.arange(n) / n) for n in shape]
    return [full[0], full[1], full[2][: shape[2] // 2 + 1]]


def symbol(regularizer: Regularizer | Tikhonov, shape: Size) -> NDArray:
    """Return |D^|^2 on the half spectrum: what D^T D multiplies by, shape (nz, ny, nx // 2 + 1), float64."""
    lz, ly, lx = axis_symbols(shape)
    return (lz[:, None, None] + ly[None, :, None] + lx) ** regularizer.order
