"""Types of the arguments of `deconvolve`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar

from .._messages import Progress
from ..regularizers import Regularizer
from ..runtime.stopping import Event
from ..solver.result import Result
from ..views.types import BackgroundWord, HasArray, SeenWord, Volume, VoxelSize


class HasShape(Protocol):
    """An image that is read plane by plane, such as a Zarr array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""


class Target(Protocol):
    """An array to which a result is written box by box."""

    def __setitem__(self, box: Any, values: Any, /) -> None:
        """Write the values of a box."""


Plane: TypeAlias = Sequence[Sequence[float]]
Image: TypeAlias = HasArray | HasShape | Plane
Psfs: TypeAlias = Plane | Volume | Sequence[Plane | Volume]
Seen: TypeAlias = SeenWord | HasArray | Sequence[Any]
Report: TypeAlias = Callable[[dict[str, Any]], Any]
Many = TypeVar("Many", bound="Image | Volume")  # each of several images
T = TypeVar("T", bound=Target)


class Options(TypedDict, total=False):
    """The keywords of `deconvolve` except ``out``."""

    axes: str | None
    frames: Literal["auto", "alike", "each"]
    lam: float | Literal["auto"]
    regularizer: str | Regularizer
    voxel_size: VoxelSize
    psf_voxel_size: VoxelSize | None
    seen: Seen
    outside: Literal["unseen", "dark"]
    background: BackgroundWord | float
    max_memory: float | None
    max_iter: int
    tol: float
    workers: int | None
    callback: Callable[[Result], Any] | None
    report: Report | None
    progress: bool | Progress | None
    cancel: Event | None
    timeout: float | None
