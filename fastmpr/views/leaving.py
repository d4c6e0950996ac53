"""Whether so much light is beyond the images that what lies there must not count as dark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .._validation import Size
from .background import dark_level
from .few import few_views

_LEAST = 8  # voxels along each side: between fewer hardly anything was seen
_WIDE = 0.15  # of a PSF, that lies farther than a quarter of a view from its centre
_SHARE = 0.06  # of a view's light: it loses less with a compact PSF, more with a widefield one (`reports.lam`)
_LIT = 0.1  # of the mean of a view, on its faces: from there on half a decibel and more is gained (`reports.boxes`)
_CUT = 0.4  # of it: from there on up to ten decibels are lost that no prediction brings back
_CERTAIN = 3.0  # standard errors


def leaves(data: Any) -> bool:
    """Return whether a few views of a data set show that there is light beyond their faces; warn where that is most of it.

    Either a PSF carries it there: wide ones do, which is looked for where a PSF is wide. Or the particle is as large as the
    images, and all their faces together are lit, whatever the PSF.
    """
    if min(data.particle_shape) < _LEAST:
        return False
    voxels = np.divide(data.psf_voxel_size, data.voxel_size)
    spreads = [Spread(psf, voxels, np.array(data.particle_shape)) for psf in data.psfs]
    views = [(faces, spreads[data.psf_of[i]]) for i, faces in _faces(data)]
    if not views:
        return False
    lost = [faces.leaving(spread.reach) for faces, spread in views]
    if any(spread.wide for spread in spreads) and float(np.median(lost)) > _SHARE:
        return True
    light = sum(faces.inside for faces, _ in views)
    lit, error = sum(faces.lit for faces, _ in views), np.sqrt(sum(faces.error**2 for faces, _ in views))
    is_lit = bool(light > 0 and lit > _LIT * light and lit > _CERTAIN * error)
    nothing_said = data.radius is None and data.masks is None and data.seen == "auto"
    if is_lit and lit > _CUT * light and nothing_said and data.source.is_new("cut"):
        warn(
            f"particles: found faces {lit / light:.2g} times as bright as the images on the whole, so these cut the "
            "particle, or show others: need larger ones"
        )
    return is_lit


def _faces(data: Any) -> Iterator[tuple[int, Faces]]:
    """Yield what some of the views show on their faces, less their background."""
    is_level = data.fits_background and data.background == "auto" and data.gains is None
    for i, view in few_views(data, data.source if is_level else data.levelled().source):
        if view.shape == data.particle_shape:
            yield i, faces_of(view).above(dark_level(view) if is_level else 0.0)


class Faces(NamedTuple):
    """What a view shows on its faces, and on the whole.

    Attributes
    ----------
    sums : (3, 2) ndarray
        Of each face.
    lit, error : float
        The mean of the faces' means, and its standard error where all that differs is noise.
    inside : float
        The mean of the view.
    shape : (nz, ny, nx)
        Of the view.
    """

    sums: NDArray[np.float64]
    lit: float
    error: float
    inside: float
    shape: Size

    @property
    def size(self) -> int:
        """The voxels of the view."""
        return math.prod(self.shape)

    def above(self, level: float) -> Faces:
        """Return the same of the view less a level."""
        sizes = [[self.size / n] * 2 for n in self.shape]
        return self._replace(sums=self.sums - level * np.array(sizes), lit=self.lit - level, inside=self.inside - level)

    def leaving(self, reach: NDArray) -> float:
        """Return the light that leaves through the faces with a PSF of some reach, over the view's own."""
        whole = self.inside * self.size
        return float(reach @ self.sums.sum(axis=1)) / whole if whole > 0 else 0.0


def faces_of(view: NDArray) -> Faces:
    """Return what a view shows on its faces."""
    faces = [view.take(end, axis).astype(float) for axis in range(3) for end in (0, -1)]
    means = np.array([face.mean() for face in faces])
    squares = sum(face.var() / face.size for face in faces)
    sums = (means * [face.size for face in faces]).reshape(3, 2)
    return Faces(sums, float(means.mean()), math.sqrt(squares) / len(faces), float(view.mean()), view.shape)


class Spread:
    """How far a PSF carries light.

    Attributes
    ----------
    reach : (3,) ndarray
        The mean distance along each axis, in voxels of the views.
    wide : bool
        Whether that is far for views of such a shape.
    """

    def __init__(self, psf: NDArray, voxels: NDArray, shape: NDArray):
        weight = np.abs(psf) / (np.abs(psf).sum() or 1.0)
        profiles = [weight.sum(axis=tuple(k for k in range(3) if k != axis)) for axis in range(3)]
        distances = [np.abs(np.arange(n) - n // 2) * side for n, side in zip(psf.shape, voxels, strict=True)]
        self.reach = np.array([profile @ far for profile, far in zip(profiles, distances, strict=True)])
        beyond = [
            profile[far > n / 4].sum() for profile, far, n in zip(profiles, distances, shape, strict=True) if n > 1
        ]
        self.wide = max(beyond, default=0.0) > _WIDE
