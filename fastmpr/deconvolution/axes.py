"""The order of an image's axes: space last, frames before space, whatever the order in the caller's array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import shown

LETTERS = "TCZYX"
_COLOURS = (2, 3, 4)  # lengths of a last axis that holds colours or channels, not space
_FEW = range(2, 5)  # usual numbers of channels
_DEEP = 2  # a PSF has at most this many times the planes of its image


class Layout:
    """The order in which the axes of an image are used: axes that are not space, the last of them T, then space.

    Parameters
    ----------
    axes : str, optional
        A letter for each axis of the image; without letters the last axes are space.
    shape : tuple of int
        Shape of the image.
    dimensions : {2, 3}
        Number of axes of space.
    moving : int, optional
        The axis that is time, if the axes have no letters.

    Attributes
    ----------
    shape : tuple of int
        Shape of the image with its axes in this order.
    named : bool
        Whether the axes have letters.
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
        """Whether the last axis before space is time."""
        return self.moving not in (None, -1)

    def index(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index along the axes that are not space, in the image's own order."""
        return tuple(k for _, k in sorted(zip(self._order, place, strict=False)))

    def before(self, axis: int) -> int:
        """Return the place of an axis among the axes that are not space, in the image's own order."""
        return sum(k < axis for k in self._order[: -self._dimensions])

    def transposed(self, array: Any) -> Any:
        """Return a view of an array of the image's shape, with its axes in this order."""
        if self._order == tuple(range(len(self._order))):
            return array
        return array.transpose(self._order) if isinstance(array, np.ndarray) else Transposed(array, self._order)

    def transposed_space(self, array: NDArray) -> NDArray:
        """Return a view of an array that has only the image's axes of space, with these in order."""
        space = self._order[-self._dimensions :]
        return array.transpose([sorted(space).index(axis) for axis in space])

    def space_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of the axes of space in the image's own order."""
        return tuple(shape[k] for k in sorted(self._order[-self._dimensions :]))


class Transposed:
    """An array-like with its axes in another order; it reads and transposes only the box that is indexed.

    Parameters
    ----------
    array
        Anything with ``shape``, ``dtype`` and ``[box]``.
    order : tuple of int
        Which of the array's axes comes first, second, ...
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
        """Return a box in the array's own order, and the axes that remain, in the new order."""
        given = box if isinstance(box, tuple) else (box,)
        given += (slice(None),) * (len(self._order) - len(given))
        own = dict(zip(self._order, given, strict=True))
        kept = [axis for axis, part in own.items() if isinstance(part, slice)]
        return tuple(own[axis] for axis in range(len(own))), kept


def as_axes(axes: Any, dimensions: int) -> str | None:
    """Return the letters of an image's axes, or None; raise an error if they do not suit a PSF of these dimensions."""
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
    """Refuse a wrong number of letters; without letters, refuse a shape whose axes are probably in another order.

    Parameters
    ----------
    axes, shape
        Letters and shape of the image.
    psfs : sequence of ndarray
    listed : bool
        Whether the PSFs were given as a list.
    """
    if axes is not None:
        if len(axes) != len(shape):
            raise ValueError(f"axes: found {axes!r} for an image of shape {shape}, need a letter for each axis")
        return
    psf, dimensions = psfs[0], psfs[0].ndim
    if _has_colours(shape, psf):
        letters = {3: "YXC", 4: "ZYXC" if dimensions == 3 else "TYXC"}.get(len(shape), "TZYXC")
        first = "a PSF of two dimensions beside " if len(shape) == dimensions else ""
        need = f"need {first}axes={letters!r}, or axes={_usual(shape)!r} if they are not"
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
    """Return whether the last axis holds colours: it is short, the two before are longer, and space has all its axes."""
    if len(shape) < 3 or shape[-1] not in _COLOURS or min(shape[-3:-1]) <= max(_COLOURS):
        return False
    return len(shape) > psf.ndim or (psf.shape[-1] > shape[-1] and min(shape[-3:-1]) > 2 * psf.shape[-1])


def _has_channels_inside(shape: tuple[int, ...], psf: NDArray) -> bool:
    """Return whether an image has few planes under a deep PSF, and more entries along the axis before."""
    return shape[-3] in _FEW and shape[-4] > shape[-3] and len(psf) > _DEEP * shape[-3]


def _is_stack_of_planes(psf: NDArray, shape: tuple[int, ...]) -> bool:
    """Return whether an array holds a 2-D PSF per channel: each has sum 1, or the brightest is not in the middle."""
    if psf.ndim < 3 or len(psf) not in _FEW or shape[0] != len(psf):
        return False
    peaks, sums = psf.max(axis=(1, 2)), psf.sum(axis=(1, 2), dtype=float)
    same = np.allclose(psf, psf[0], rtol=1e-3, atol=1e-3 * float(peaks.max()))
    alone = np.allclose(sums, sums[0], rtol=1e-5) and (not same or np.isclose(sums[0], 1, rtol=1e-5))
    return bool(alone or peaks[len(psf) // 2] < 0.999 * peaks.max())
