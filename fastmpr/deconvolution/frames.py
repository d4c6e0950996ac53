"""Images with channels and frames: deconvolve each channel or frame alone, or the frames as a movie."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .._validation import as_array, as_choice
from ..images.camera import as_image
from ..images.cells import cells_of
from ..images.faults import faults
from ..images.image import Image, Plane, is_lazy
from ..runtime.stopping import Stop
from ..views.seen import NothingSeenError
from .axes import Layout, check_axes
from .deconvolver import Deconvolver
from .movie import ALIKE, LEAST, FrameSummary, Movie, likeness, summarise
from .targets import check_out

_PAIRS = 8  # pairs of neighbours that are compared to find the axis of time
_MANY = 8  # planes needed to tell faults of the camera from the specimen
_NAMED = 3  # frames that a warning names
_NOTHING = {"tiles": 0, "nit": 0, "success": False, **dict.fromkeys(("lam", "lam_from", "background", "status", "fit"))}


class Images:
    """Deconvolve images of channels and frames, with a deconvolver for each PSF.

    Parameters
    ----------
    deconvolvers : list of Deconvolver
    psfs : list of ndarray
    listed : bool
        Whether the PSFs were given as a list.
    axes : str or None
    frames, seen, background, report
        As in `deconvolve`.
    stop : Stop
    """

    def __init__(
        self,
        deconvolvers: list[Deconvolver],
        psfs: Sequence[NDArray],
        listed: bool,
        axes: str | None,
        frames: str,
        seen: Any,
        background: Any,
        report: Callable | None,
        stop: Stop,
    ):
        self.deconvolvers, self.psfs, self.listed, self.axes, self.frames = deconvolvers, psfs, listed, axes, frames
        self.seen, self.background, self.report, self.stop = seen, background, report, stop
        self.dimensions, self.has_begun = psfs[0].ndim, False

    def __call__(self, image: Any, out: Any) -> Any:
        """Return the result, in ``out`` if given."""
        values = image if is_lazy(image) or np.ma.is_masked(image) else as_array(image, "image")
        layout = self._layout(values)
        if out is None:
            out = np.empty(tuple(values.shape), np.float64 if values.dtype == np.float64 else np.float32)
        else:
            check_out(out, values)
        _Series(self, layout, values, out).run()
        return out

    def _layout(self, values: Any) -> Layout:
        """Return the order of the axes, or raise an error."""
        shape = tuple(values.shape)
        if len(shape) < self.dimensions or 0 in shape or values.dtype.kind not in "fiub":
            need = f"real numbers and {self.dimensions} axes or more, as the PSF has {self.dimensions}"
            raise ValueError(f"image: found {values.dtype} of shape {shape}, need {need}")
        check_axes(self.axes, shape, self.psfs, self.listed)
        layout = Layout(self.axes, shape, self.dimensions)
        if self.axes is not None and self.frames == "alike" and not layout.has_frames:
            raise ValueError(f"frames: found 'alike' beside axes={self.axes!r}, need T among its letters")
        channels = shape[layout.channel] if layout.channel >= 0 and len(shape) > self.dimensions else 0
        if 1 < len(self.deconvolvers) != channels:
            which = "the first axis" if self.axes is None else "C"
            raise ValueError(
                f"psf: found {len(self.deconvolvers)} for an image of shape {shape}, need one, or one for each entry along "
                f"{which}"
            )
        return layout

    def mask(self, layout: Layout, shape: tuple[int, ...]) -> Any:
        """Return ``seen`` in the order of the layout: a word, or a mask of all images or of each."""
        if isinstance(self.seen, str):
            return as_choice(self.seen, "seen", ("auto", "all"))
        mask = as_array(self.seen, "seen")
        if mask.shape == shape:
            return layout.transposed(mask)
        if mask.shape != layout.space_of(shape):
            need = " or ".join(str(one) for one in dict.fromkeys((shape, layout.space_of(shape))))
            raise ValueError(f"seen: found shape {mask.shape}, need {need}")
        return layout.transposed_space(mask)


class _Series:
    """The images of one array, deconvolved one after another.

    Parameters
    ----------
    work : Images
    layout : Layout
    values, out
        The image, and the array for the result.
    """

    def __init__(self, work: Images, layout: Layout, values: Any, out: Any):
        shape = tuple(values.shape)
        if not layout.named and work.frames != "each":
            layout = Layout(None, shape, work.dimensions, self._time_axis(work, values, shape))
        self.work, self.layout, self.seen = work, layout, work.mask(layout, shape)
        self.values, self.out = layout.transposed(values), layout.transposed(out)
        self.lost: list[tuple[int, ...]] = []
        self.faulty = self._faulty()

    def run(self) -> None:
        """Deconvolve all images, then warn of those of which nothing was seen."""
        others = self.layout.others
        if self.layout.has_frames and self.work.frames != "each":
            for place in np.ndindex(others[:-1]):
                self._deconvolve_movie([(*place, k) for k in range(others[-1])])
        else:
            for place in np.ndindex(others):
                self._deconvolve_one(place, functools.partial(self._alone, place))
        if self.lost:
            self._warn_of_unseen()

    def _alone(self, place: tuple[int, ...], target: Any) -> dict[str, Any]:
        return self._deconvolver(place).run(self._image(place), target)

    def _deconvolve_movie(self, places: list[tuple[int, ...]]) -> None:
        """Deconvolve the frames of one channel."""
        summaries = [self._summary(place) for place in places]
        sure = self.work.frames == "alike"
        movie = Movie(self._deconvolver(places[0]), lambda k, level: self._image(places[k], level), summaries, sure)
        try:
            for k, place in enumerate(places):
                self._deconvolve_one(place, functools.partial(movie, k))
        finally:
            movie.end()

    def _deconvolve_one(self, place: tuple[int, ...], solve: Callable[[Any], dict[str, Any]]) -> None:
        """Deconvolve one image and report what was found; the result is NaN if nothing of the image was seen."""
        self._check_stop()
        index, target = self.layout.index(place), _Frame(self.out, place)
        try:
            found = solve(_Upright(target) if self.work.dimensions == 2 else target)
        except NothingSeenError:
            if not place:
                raise
            self.lost.append(index)
            target[(slice(None),) * self.work.dimensions] = np.full(target.shape, np.nan, np.float32)
            found = {**_NOTHING, "unseen": math.prod(target.shape)}
        if self.work.report is not None:
            self.work.report({"index": index, **self._reported(found, target.shape)})

    def _reported(self, found: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
        """Return what was found; a background plane becomes its level in the middle and its slopes along the PSF's axes."""
        level = found["background"]
        if not isinstance(level, Plane):
            return found
        if self.work.dimensions == 2:
            return found | {"background": level.centre((shape[0], 1, shape[1])), "slope": (level.z, level.x)}
        return found | {"background": level.centre((shape[0], shape[1], shape[2])), "slope": level[1:]}

    def _check_stop(self) -> None:
        """Raise an error if the call is to end, except before the first image."""
        if self.work.has_begun:
            self.work.stop.check()
        self.work.has_begun = True

    def _warn_of_unseen(self) -> None:
        if len(self.lost) == math.prod(self.layout.others):
            raise NothingSeenError("image: found no voxel that was seen, need some")
        names = ", ".join(f"image[{', '.join(map(str, index))}]" for index in self.lost[:_NAMED])
        more = f" and {len(self.lost) - _NAMED} more" if len(self.lost) > _NAMED else ""
        warn(f"{names}{more}: found no voxel that was seen, so the result is NaN there")

    def _deconvolver(self, place: tuple[int, ...]) -> Deconvolver:
        choice, channel = self.work.deconvolvers, self.layout.channel
        return choice[self.layout.index(place)[self.layout.before(channel)]] if len(choice) > 1 else choice[0]

    def _image(self, place: tuple[int, ...], level: Any = None) -> Image:
        """Return one image in three dimensions, less its background, which is estimated unless it is given."""
        work, values = self.work, self.values
        part = values[place] if isinstance(values, np.ndarray) else _Frame(values, place)
        mask = self.seen
        if not isinstance(mask, str) and mask.ndim == len(values.shape):
            mask = mask[place]
        psf, background = self._deconvolver(place).blur.psf(), work.background if level is None else level
        if isinstance(background, Plane) and work.dimensions == 2:
            background = background.upright()  # for the image before it is set upright, below
        if work.dimensions == 3:
            return as_image(part, mask, background, psf, most=self._deconvolver(place).slab)
        mask = mask if isinstance(mask, str) else np.asarray(mask)[np.newaxis]
        plane = np.asanyarray(part[:])[np.newaxis]
        return as_image(plane, mask, background, psf.swapaxes(0, 1), self.faulty).upright()

    def _faulty(self) -> NDArray[np.bool_] | None:
        """Return which pixels are at fault in all planes; None if each plane is to be searched alone."""
        work, values = self.work, self.values
        told = not isinstance(self.seen, str) or self.seen == "all"
        if told or work.dimensions == 3 or not isinstance(values, np.ndarray) or math.prod(self.layout.others) < _MANY:
            return None
        found = faults(values.reshape(-1, *values.shape[-2:]), work.deconvolvers[0].blur.psf().swapaxes(0, 1))
        return np.zeros(values.shape[-2:], bool) if found is None else found

    def _summary(self, place: tuple[int, ...]) -> FrameSummary | None:
        self._check_stop()
        try:
            return summarise(self._image(place))
        except NothingSeenError:
            return None

    @staticmethod
    def _time_axis(work: Images, values: Any, shape: tuple[int, ...]) -> int | None:
        """Return the axis that is most likely time: neighbours along it are most alike; None if they are not alike."""
        sure, others = work.frames == "alike", shape[: -work.dimensions]
        channels = len(work.deconvolvers) > 1
        axes = [k for k, n in enumerate(others) if n >= (2 if sure else LEAST) and not (channels and k == 0)]
        if len(axes) < 2 and sure:
            return axes[0] if axes else None
        found = {k: likeness(list(_neighbours(values, others, k))) for k in axes}
        best = max(found, key=found.__getitem__, default=None)
        return best if best is not None and (sure or found[best] >= ALIKE) else None


def _neighbours(values: Any, others: tuple[int, ...], axis: int) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield the cells of some pairs of neighbouring images along an axis."""
    for k in np.linspace(0, others[axis] - 2, _PAIRS).astype(int).tolist():
        place = [n // 2 for n in others]
        place[axis] = k
        first = _cells(values, tuple(place))
        place[axis] = k + 1
        yield first, _cells(values, tuple(place))


def _cells(values: Any, place: tuple[int, ...]) -> NDArray:
    part = np.asanyarray(values[place])
    if np.ma.is_masked(part):
        part = part.astype(np.float32).filled(np.nan)
    return cells_of(Image(part.reshape(-1, *part.shape[-2:])))[0].ravel()


class _Frame:
    """A channel or frame of an array, read and written box by box."""

    def __init__(self, array: Any, index: tuple[int, ...]):
        self.array, self.index = array, index
        self.shape, self.dtype = tuple(array.shape)[len(index) :], getattr(array, "dtype", None)
        self.chunks = (getattr(array, "chunks", None) or ())[len(index) :]

    def __getitem__(self, box: Any) -> Any:
        return self.array[(*self.index, *(box if isinstance(box, tuple) else (box,)))]

    def __setitem__(self, box: tuple[slice, ...], values: NDArray) -> None:
        self.array[(*self.index, *box)] = values


class _Upright:
    """A target of shape (ny, nx), written as if its shape were (ny, 1, nx)."""

    def __init__(self, out: Any):
        self._out = out

    def __setitem__(self, box: tuple[slice, ...], values: NDArray) -> None:
        self._out[box[0], box[2]] = values[:, 0]
