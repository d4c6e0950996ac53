"""Types of what views and what belongs to them are given as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

from numpy.typing import NDArray


class HasArray(Protocol):
    """An array, or what NumPy makes one of."""

    def __array__(self) -> NDArray[Any]:
        """Return it as an array."""


class HasVolumes(Protocol):
    """A sequence of volumes, or whatever has ``[i]`` that returns one."""

    def __getitem__(self, i: int, /) -> Volume:
        """Return volume ``i``."""


Numbers: TypeAlias = Sequence[float] | HasArray
Volume: TypeAlias = Sequence[Sequence[Sequence[float]]] | HasArray
Particles: TypeAlias = HasVolumes | HasArray
Psf: TypeAlias = Volume | Sequence[Volume]
VoxelSize: TypeAlias = float | Numbers
Axis: TypeAlias = Numbers | Sequence[Sequence[float]]
Frame: TypeAlias = Literal["particle", "model"]
SeenWord: TypeAlias = Literal["auto", "all"]
Seen: TypeAlias = SeenWord | Sequence[Sequence[Sequence[Sequence[bool]]] | HasArray | None] | HasArray
Outside: TypeAlias = Literal["auto", "dark", "unseen"]
BackgroundWord: TypeAlias = Literal["auto", "plane", "none"]
Background: TypeAlias = BackgroundWord | float | Numbers
WeightsWord: TypeAlias = Literal["robust"]
Weights: TypeAlias = WeightsWord | Numbers
GainWord: TypeAlias = Literal["same", "fit"]
Gain: TypeAlias = GainWord | Numbers
