"""The data term of a running solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from numpy.typing import NDArray

from .._validation import Size, Vector
from ..runtime.fft import SlabFFT
from ..runtime.threads import Team
from ..sums.normal_equations import NormalEquations, products


@dataclass(eq=False)
class Quadratic:
    """The data term c - 2 <b, x> + <x, S x> of one solve; unlike in `NormalEquations`, b may change between iterations.

    Attributes
    ----------
    gram, rhs, energy, shape, voxel_size
        As in `NormalEquations`.
    """

    gram: NDArray
    rhs: NDArray
    energy: float
    shape: Size
    voxel_size: Vector

    @classmethod
    def of(cls, sums: NormalEquations) -> Quadratic:
        """Return the data term of the sums without copying their arrays, for a solve that does not change it."""
        return cls(sums.gram, sums.rhs, sums.energy, sums.shape, sums.voxel_size)

    def best_scale(self, x: NDArray) -> float:
        """Return the factor s >= 0 for which s x fits the data best: <b, x> / <x, S x>, or 0 if that is negative."""
        cross, square = products(self.gram, self.rhs, x)
        return max(cross, 0.0) / square if square > 0 else 0.0


class Split(Protocol):
    """A data term in which H x is a split variable, as D x is: its ``quadratic`` is updated in every iteration."""

    quadratic: Quadratic

    def begin(self, fft: SlabFFT, team: Team) -> None:
        """Prepare the buffers and plans for a solve on ``fft``."""

    def follow(self, fft: SlabFFT, nit: int, member: int) -> None:
        """Update a member's part after the u-step of an iteration, from x in ``fft.image``, which is overwritten."""

    def residual(self) -> float:
        """Return the distance between H x and its split variable, relative to their size."""
