"""What a regulariser is to the solver, and what any of them needs."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, Vector


class Regularizer(Protocol):
    """A convex function phi(D x) that the solver can minimise: positively homogeneous, as a norm is.

    This is the solver's side. Who wants a new one writes functions for one voxel (`Pointwise`) or for whole arrays
    (`WholeArrays`), not this. As the solver keeps only the dual, all its work between two FFTs is one sweep over the rows of
    the volume; what differs between regularisers are D, its adjoint and the projection P on the set of all subgradients of
    phi.

    Attributes
    ----------
    components : int
        Distinct components that D x has at each voxel.
    order : {1, 2}
        D^T D is multiplication by (sum_d (2 - 2 cos w_d) r_d^2) ** order in Fourier space.
    ratios : (r_z, r_y, r_x), optional
        What differences along each axis are multiplied by; 1 by default.
    packs : bool, optional
        Whether its sweep takes a state in 16 bits.
    sweep : callable
        ``sweep(x, nx, state, v2, out, carry, steps, moves, norms, start, stop)`` handles the planes start <= z < stop,
        beside others that handle theirs; a compiled function without the GIL makes that parallel. Rows have
        width = nx + 2 columns, nx + 3 for odd nx. ``x`` (nz, ny + 3, width) has its first columns and rows repeated
        behind the last; ``state`` (nz, components, ny * width) is s; ``v2`` and ``out`` are (nz, ny, width), the first for
        the positivity, see `kernels.positivity`, and empty without; ``steps`` is (r, mu, weight, t, t2). With
        v = r mu D x + s, d = P(v) and u = v - d:

            s <- (1 - r) t u + d        out <- D^T (t u - d) + weight (u2 - d2 / t2)

        if ``moves``. Otherwise s and v2 stay, out <- D^T (mu D x - d) + weight (x - d2), and norms[z] <- the squares of
        mu D x - u and mu D x, <u, d>, and the squares of d, then of x - u2, x, u2, d2, over the true columns of plane z.
        What D^T of the slab's last plane owes to the planes behind the slab goes to ``carry`` (2, ny * width), set to zero
        first: `periodic_edges.close_planes` adds carry[1] - carry[0] to the next plane and carry[0] to the one after.
    """

    @property
    def components(self) -> int:
        """Distinct components of D x at each voxel."""

    @property
    def order(self) -> int:
        """Half the order of D^T D."""

    @property
    def sweep(self) -> Any:
        """All the work between two FFTs."""

    def value(self, x: NDArray) -> float:
        """Return phi(D x)."""


class ClosedForm(Protocol):
    """A convex function phi(D x) whose minimiser beside the data term is known: it needs no sweep.

    Attributes
    ----------
    closed_form : bool
        True.
    minimiser : callable
        ``minimiser(gram, rhs, shape, lam, positivity)`` returns the volume, given S and B as `NormalEquations` has them.
    """

    @property
    def closed_form(self) -> bool:
        """True."""

    @property
    def minimiser(self) -> Any:
        """The volume, given S and B."""

    def value(self, x: NDArray) -> float:
        """Return phi(D x)."""


def has_closed_form(regularizer: Any) -> TypeGuard[ClosedForm]:
    """Return whether a regulariser says that it has a closed form."""
    return getattr(regularizer, "closed_form", False)


def ratios_of(regularizer: Any) -> Vector:
    """Return what its differences along each axis are multiplied by."""
    return getattr(regularizer, "ratios", (1.0, 1.0, 1.0))


def axis_symbols(regularizer: Any, shape: Size) -> list[NDArray]:
    """Return (2 - 2 cos w) r^2 along each axis of the half spectrum, float64."""
    full = [
        r**2 * (2 - 2 * np.cos(2 * np.pi * np.arange(n) / n))
        for n, r in zip(shape, ratios_of(regularizer), strict=True)
    ]
    return [full[0], full[1], full[2][: shape[2] // 2 + 1]]


def symbol(regularizer: Any, shape: Size) -> NDArray:
    """Return |D^|^2 on the half spectrum: what D^T D multiplies by, shape (nz, ny, nx // 2 + 1), float64."""
    lz, ly, lx = axis_symbols(regularizer, shape)
    return (lz[:, None, None] + ly[None, :, None] + lx) ** regularizer.order
