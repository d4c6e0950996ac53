"""Which axis of an image is which: those of space go last, frames before them, whatever the order in the caller's array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import shown

LETTERS = "TCZYX"
_COLOURS = (2, 3, 4)  # along the last axis: of a picture, or channels, not of a microscope's image
_FEW = range(2, 5)  # channels, as they usually are
_DEEP = 2  # times the planes of an image are more than its PSF would have


class Layout:
    """The order in which an image's axes are looked at: those that are not space, T the last of them, then space.

    Parameters
    ----------
    axes : str, optional
        A letter for each axis of the image; without them its last axes are space.
    shape : tuple of int
        Of the image.
    dimensions : {2, 3}
        Of space.

    Attributes
    ----------
    shape : tuple of int
        In this order.
    named : bool
    """

    def __init__(self, axes: str | None, shape: tuple[int, ...], dimensions: int, moving: int | None = None):
        self.named, self._dimensions = axes is not None, dimensions
        space = "ZYX"[-dimensions:]
        if axes is None:
            axes = "?" * (len(shape) - dimensions) + space
        self.channel = axes.find("C") if self.named else 0
        self.moving = axes.find("T") if self.named else moving
        others = [k for k, axis in enumerate(axes) if axis not in space and k != self.moving]
        frames = [] if self.moving in (None, -1) else [self.moving]
        self._order = (*others, *frames, *(axes.index(axis) for axis in space))
        self.shape = tuple(shape[k] for k in self._order)

    @property
    def others(self) -> tuple[int, ...]:
        """The lengths of the axes that are not space."""
        return self.shape[: -self._dimensions]

    @property
    def has_frames(self) -> bool:
        """Whether the last axis before space is known to be time."""
        return self.moving not in (None, -1)

    def index(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index along the axes that are not space, in the image's own order."""
        return tuple(k for _, k in sorted(zip(self._order, place, strict=False)))

    def before(self, axis: int) -> int:
        """Return which one an axis is among those that are not space, in the image's own order."""
        return sum(k < axis for k in self._order[: -self._dimensions])

    def turned(self, array: Any) -> Any:
        """Return a view of an array of the image's shape, its axes in this order."""
        if self._order == tuple(range(len(self._order))):
            return array
        return array.transpose(self._order) if isinstance(array, np.ndarray) else Turned(array, self._order)

    def turned_space(self, array: NDArray) -> NDArray:
        """Return a view of an array that has the image's axes of space alone."""
        space = self._order[-self._dimensions :]
        return array.transpose([sorted(space).index(axis) for axis in space])

    def space_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of the axes of space in the image's own order."""
        return tuple(shape[k] for k in sorted(self._order[-self._dimensions :]))


class Turned:
    """An array of another kind with its axes in another order; only what is asked for is read, and turned.

    Parameters
    ----------
    array
        With ``shape``, ``dtype`` and ``[box]``.
    order : tuple of int
        Which of its axes is the first, the second, ...
    """

    def __init__(self, array: Any, order: tuple[int, ...]):
        self._array, self._order = array, order
        self.shape, self.dtype = tuple(array.shape[k] for k in order), np.dtype(getattr(array, "dtype", float))
        chunks = getattr(array, "chunks", None)
        self.chunks = tuple(chunks[k] for k in order) if chunks else None

    def __getitem__(self, box: Any) -> NDArray:
        own, kept = self._own(box)
        left = sorted(kept)
        return np.asarray(self._array[own]).transpose([left.index(axis) for axis in kept])

    def __setitem__(self, box: Any, values: NDArray) -> None:
        own, kept = self._own(box)
        self._array[own] = values.transpose([kept.index(axis) for axis in sorted(kept)])

    def _own(self, box: Any) -> tuple[tuple[Any, ...], list[int]]:
        """Return a box as the array has it, and which of its axes remain, in the order asked for."""
        given = box if isinstance(box, tuple) else (box,)
        given += (slice(None),) * (len(self._order) - len(given))
        own = dict(zip(self._order, given, strict=True))
        kept = [axis for axis, part in own.items() if isinstance(part, slice)]
        return tuple(own[axis] for axis in range(len(own))), kept


def as_axes(axes: Any, dimensions: int) -> str | None:
    """Return the letters of an image's axes, if they are given and can be those of one for a PSF of these dimensions."""
    if axes is None:
        return None
    need = "some of the letters T, C, Z, Y and X, each once, such as 'ZCYX'"
    if not isinstance(axes, str):
        raise TypeError(f"axes: found {shown(axes)}, need {need}")
    if set(axes) - set(LETTERS) or len(set(axes)) < len(axes):
        colours = ": colours are channels, C" if "S" in axes else ""
        raise ValueError(f"axes: found {axes!r}, need {need}{colours}")
    missing = [axis for axis in "ZYX"[-dimensions:] if axis not in axes]
    if missing:
        several = ", or list(psf) for one of two dimensions for each channel" if missing == ["Z"] else ""
        need = f"need {' and '.join(missing)} too{several}"
        raise ValueError(f"axes: found {axes!r} beside a PSF of {dimensions} dimensions, {need}")
    return axes


def check_axes(axes: str | None, shape: tuple[int, ...], psfs: Sequence[NDArray], listed: bool) -> None:
    """Refuse letters that are too many or too few, and without letters what is likely to be in another order.

    Parameters
    ----------
    axes, shape
        Of the image.
    psfs : sequence of ndarray
    listed : bool
        Whether they were given as a list.
    """
    if axes is not None:
        if len(axes) != len(shape):
            raise ValueError(f"axes: found {axes!r} for an image of shape {shape}, need a letter for each axis")
        return
    psf, dimensions = psfs[0], psfs[0].ndim
    if _has_colours(shape, psf):
        letters = {3: "YXC", 4: "ZYXC" if dimensions == 3 else "TYXC"}.get(len(shape), "TZYXC")
        first = "a PSF of two dimensions beside " if len(shape) == dimensions else ""
        need = f"need {first}axes={letters!r}, or axes={_usual(shape)!r} if they are none"
        raise ValueError(f"image: found shape {shape}, which looks like colours last, {need}")
    if not listed and _is_stack_of_planes(psf, shape):
        raise ValueError(
            f"psf: found an array of shape {psf.shape} beside an image of shape {shape}, which looks like a PSF for each "
            "channel, need list(psf), or the image's axes="
        )
    if dimensions == 3 and len(shape) > 3 and _has_channels_inside(shape, psf):
        raise ValueError(
            f"image: found shape {shape}, so stacks of {shape[-3]} planes, beside a PSF of {len(psf)}, need "
            f"axes={'TZCYX'[-len(shape) :]!r} if those are channels, axes={_usual(shape)!r} if they are planes"
        )


def _usual(shape: tuple[int, ...]) -> str:
    """Return the letters of an image whose last axes are space."""
    return "CTZYX"[-len(shape) :]


def _has_colours(shape: tuple[int, ...], psf: NDArray) -> bool:
    """Return whether the last axis is one of colours: short, beside two that are longer, and no space is missing for it."""
    if len(shape) < 3 or shape[-1] not in _COLOURS or min(shape[-3:-1]) <= max(_COLOURS):
        return False
    return len(shape) > psf.ndim or (psf.shape[-1] > shape[-1] and min(shape[-3:-1]) > 2 * psf.shape[-1])


def _has_channels_inside(shape: tuple[int, ...], psf: NDArray) -> bool:
    """Return whether few planes lie under a deep PSF, and what lies before them is more."""
    return shape[-3] in _FEW and shape[-4] > shape[-3] and len(psf) > _DEEP * shape[-3]


def _is_stack_of_planes(psf: NDArray, shape: tuple[int, ...]) -> bool:
    """Return whether a PSF is one of two dimensions for each channel: each of sum 1, or the brightest not in the middle."""
    if psf.ndim < 3 or len(psf) not in _FEW or shape[0] != len(psf):
        return False
    peaks, sums = psf.max(axis=(1, 2)), psf.sum(axis=(1, 2), dtype=float)
    same = np.allclose(psf, psf[0], rtol=1e-3, atol=1e-3 * float(peaks.max()))
    alone = np.allclose(sums, sums[0], rtol=1e-5) and (not same or np.isclose(sums[0], 1, rtol=1e-5))
    return bool(alone or peaks[len(psf) // 2] < 0.999 * peaks.max())
