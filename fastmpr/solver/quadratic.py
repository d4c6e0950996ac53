"""The data term as a running solve reads it."""

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
    """c - 2 <b, x> + <x, S x>: the solve's own, unlike `NormalEquations`, so that b may change between two iterations.

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
        """Return the sums as they are, in their own arrays: for a solve in which nothing changes."""
        return cls(sums.gram, sums.rhs, sums.energy, sums.shape, sums.voxel_size)

    def best_scale(self, x: NDArray) -> float:
        """Return the factor s, at least 0, with which s x fits best: <b, x> / <x, S x>."""
        cross, square = products(self.gram, self.rhs, x)
        return max(cross, 0.0) / square if square > 0 else 0.0


class Split(Protocol):
    """A data term of which H x is split from x, as D x is: its ``quadratic`` follows x as the solve goes on."""

    quadratic: Quadratic

    def begin(self, fft: SlabFFT, team: Team) -> None:
        """Plan what a solve on ``fft`` needs."""

    def follow(self, fft: SlabFFT, nit: int, member: int) -> None:
        """After the u-step of an iteration: let a member's part follow x, which is in ``fft.image`` and is lost."""

    def residual(self) -> float:
        """Return how far H x is from what was split from it, over its size."""
