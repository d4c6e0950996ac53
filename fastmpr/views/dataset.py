"""The data set: particles and all that belongs to them, checked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from .._keywords import check_keywords, naming_keywords
from .._messages import log
from .._validation import Size, Vector, as_places, as_shape
from ..geometry.arguments import frozen
from ..geometry.poses import Poses
from ..geometry.symmetry import Axes, as_group
from ..inspection.lengths import check_boxes, check_voxels, cubic_shape
from ..inspection.strengths import tell_strong
from .arguments import check_order, own
from .background import without_background, without_plane
from .fields import fields, kept_beside
from .keywords import KEYWORDS, PER_VIEW, Changes, some_of
from .leaving import leaves
from .parts import drawn_parts
from .rising import rises
from .source import Source
from .types import (
    Axis,
    Background,
    BackgroundWord,
    Frame,
    Gain,
    GainWord,
    HasArray,
    Numbers,
    Outside,
    Particles,
    Psf,
    Seen,
    VoxelSize,
    Weights,
    WeightsWord,
)
from .wording import SHOWN, crops_text, described


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Dataset:
    """Particles and what belongs to them: PSF, poses, voxel sizes, weights, frame, symmetry, names.

    A `Dataset` is immutable, keeps at most one particle in memory, and is cheap to slice. Every function that works on views
    takes one. All but `ab_initio`, `refine` and `align` also take ``particles, psf, poses`` and these keywords instead.

    Parameters
    ----------
    particles : sequence of N (nz, ny, nx) arrays
        Anything with ``[i]``, and ``len`` or a ``shape``: an array, a list, a memory map. Each thread holds one particle at
        a time, and never writes to it. The first decides the precision of all: float64 if it is float64, else float32.
    psf : (nz, ny, nx) array_like or sequence of them, optional
        PSF of the microscope, centred at ``size // 2`` on each axis (see `fastmpr.psf.centred`); any positive sum. It may be
        larger than the particles. Several PSFs need ``psf_of``.
    poses : Poses, optional
        N poses. Translations are in their ``unit``, by default that of ``voxel_size``. If both poses and particles have
        names, they are matched by name. Otherwise poses are in the order of the particles; if only one of the two has names,
        these must be in natural order.
    psf_of : (N,) array_like of int, optional
        Which PSF each particle was imaged with.
    voxel_size : float or (z, y, x), optional
        Voxel size of the particles, in micrometres. If it is unknown, voxels are taken as cubes, and lengths are in voxels.
    psf_voxel_size : float or (z, y, x), optional
        Voxel size of the PSF; by default that of the particles. It needs ``voxel_size``.
    weights : (N,) array_like or "robust", optional
        Weight of each view, at least 0; 1 by default. A view with weight 0 is never read. "robust": `reconstruct` and
        `assess` start from equal weights, compare all views with the volume, and make it anew, without views that fit far
        worse than most, and with less weight for far noisier ones; a warning names them. This takes about twice as
        long. ``gain="fit"`` then follows, and weighs those that are left. Other functions take equal weights.
    frame : {"particle", "model"}
        Whether the particles are as imaged, or already aligned with the model; then translations are not used, the voxels
        must be cubic, and no background is subtracted.
    symmetry : str, optional
        Point group of the particle, such as "C9" or "D4". Each view then counts once for each pose that is equivalent to its
        own by symmetry. "auto": `ab_initio` and `refine` find it; all else needs to know it.
    symmetry_axis : (z, y, x) or two of them, optional
        Direction of the n-fold axis in the model; z by default. For a dihedral group such as "D3", a two-fold axis at a
        right angle to it may follow. By default that is the ``two_fold`` of the poses (y, or x in a RELION file) if the
        n-fold axis is z; otherwise that direction turned by the smallest rotation that takes z to the n-fold axis.
    symmetry_centre : (z, y, x), optional
        A point that lies on all axes, from the middle of the model, in the unit of ``voxel_size``; the middle by default.
    names : sequence of N str, optional
        Names of the particles; by default those of the poses.
    seen : {"auto", "all"} or sequence of N masks
        What was seen of each particle. NaN and masked voxels were not. "auto": nor were regions of exactly one value, as
        around a crop or a mask, if they are more solid and sharper than darkness under noise, nor planes that repeat others
        exactly, as in a filled border; ``assumed`` lists them. "all": these were seen. Or one boolean array for each
        particle, of its shape, True where it was seen; None if all of it was.
    outside : {"auto", "dark", "unseen"}
        What is beyond the edges of a particle image. "dark": no light; "unseen": unknown. "auto": "unseen" for a crop, and
        in `reconstruct` if a few views show that light is cut off (by a wide PSF or a tight box); else "dark".
    radius : float, optional
        Radius of the particle, in the unit of ``voxel_size``. Farther than that from the middle of the model, the views may
        show neighbours and are not used.
    background : {"auto", "plane", "none"}, float or (N,) array_like
        What `reconstruct` and `deconvolve_average` subtract from each view. "auto": a constant, estimated from the corners
        of what was seen (nothing with ``frame="model"``), or a plane if a few views show that the background rises; "plane":
        a plane; "none": nothing; or the background of all views or of each.
    gain : {"same", "fit"} or (N,) array_like
        Gain of the camera. "same": all views have the same. Numbers: each view, less its background, is divided by its gain,
        which scales its noise too (see ``weights``). "fit": gains of median 1 are fitted by comparing the views with a first
        reconstruction, which doubles the time; views that fit worse than most then get less weight.
    thread_safe : bool, optional
        Whether ``particles[i]`` may be called from several threads at once; by default True for arrays and fastmpr's own
        readers. Otherwise the threads take turns.

    Attributes
    ----------
    assumed : tuple of str
        What was assumed because it was not given; also logged to "fastmpr" at level INFO.
    unit : {"um", "voxel"}
        The unit of all lengths: "voxel" if the voxel size is unknown.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, if counts or units disagree, or a value is not finite or out of its range. Particles are checked
        only when they are read; the error then names the particle.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> psf = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
    >>> data = fastmpr.Dataset(np.ones((10, 8, 8, 8)), psf, fastmpr.Poses.random(10, rng=0), voxel_size=0.1)
    >>> data
    <Dataset: 10 particles of 8 x 8 x 8, voxels of 0.1 x 0.1 x 0.1 um, PSF of 9 x 7 x 7, with poses>
    >>> [len(part) for part in (data[2:5], data[[4, 4, 7]], data[np.arange(10) < 9], *data.split(3, rng=0))]
    [3, 3, 9, 4, 3, 3]
    >>> data.replace(weights=np.arange(10), symmetry="C9").weights[3]
    np.float64(3.0)
    """

    source: Source
    psfs: tuple[NDArray, ...]
    psf_of: NDArray[np.intp]
    poses: Poses | None
    given_weights: WeightsWord | NDArray[np.float64]
    frame: Frame
    symmetry: str | None
    symmetry_axis: Axes
    symmetry_centre: Vector
    names: tuple[str, ...] | None
    known_voxel: Vector | None
    known_psf_voxel: Vector | None
    seen: Any
    outside: Outside
    radius: float | None
    background: BackgroundWord | NDArray[np.float64]
    gain: GainWord | NDArray[np.float64]
    stated: tuple[str, ...]

    @naming_keywords
    def __init__(
        self,
        particles: Particles | Source,
        psf: Psf | None = None,
        poses: Poses | None = None,
        *,
        psf_of: Sequence[int] | HasArray | None = None,
        voxel_size: VoxelSize | None = None,
        psf_voxel_size: VoxelSize | None = None,
        weights: Weights | None = None,
        frame: Frame = "particle",
        symmetry: str | None = None,
        symmetry_axis: Axis | None = None,
        symmetry_centre: Numbers | None = None,
        names: Sequence[str] | None = None,
        seen: Seen = "auto",
        outside: Outside = "auto",
        radius: float | None = None,
        background: Background = "auto",
        gain: Gain = "same",
        thread_safe: bool | None = None,
    ):
        given = {name: value for name, value in locals().items() if name != "self"}
        vars(self).update(fields(**given))
        check_order(None if names is None else self.names, self.poses)
        check_voxels(self.known_voxel, self.known_psf_voxel)
        check_boxes(self.poses, self.source.known_shape(), self.known_voxel)
        for text in self.assumed:
            log.info(text)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was assumed; crops are included once they have been read."""
        shown = [text for name, text in SHOWN.items() if vars(self).get(name)]  # once somebody asked
        return *self.stated, *crops_text(self.source.crops(), self.source.known_shape()), *shown

    @property
    def psf(self) -> NDArray | tuple[NDArray, ...] | None:
        """The PSF, a tuple where there are several, None where there is none."""
        return self.psfs[0] if len(self.psfs) == 1 else self.psfs or None

    @property
    def voxel_size(self) -> Vector:
        """The voxel (z, y, x) of the particles, in `unit`."""
        return self.known_voxel or (1.0, 1.0, 1.0)

    @property
    def psf_voxel_size(self) -> Vector:
        """The voxel (z, y, x) of the PSF, in `unit`."""
        return self.known_psf_voxel or self.voxel_size

    @property
    def unit(self) -> str:
        """The unit of all lengths: "um", or "voxel" where no voxel size is known."""
        return "voxel" if self.known_voxel is None else "um"

    @property
    def particle_shape(self) -> Size:
        """The shape (nz, ny, nx) of every particle."""
        return self.source.look(self._first)[0]

    @property
    def dtype(self) -> Any:
        """The precision to compute in, `numpy.float32` or `numpy.float64`."""
        return self.source.look(self._first)[1]

    @property
    def model_voxel(self) -> Vector:
        """The model's cubic voxel: the smallest side of the particles'."""
        return (min(self.voxel_size),) * 3

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weight of each view, 1 if it is to be fitted."""
        return frozen(np.ones(len(self))) if isinstance(self.given_weights, str) else self.given_weights

    @cached_property
    def used(self) -> NDArray[np.intp]:
        """The indices of the views with a weight above 0."""
        return np.flatnonzero(self.weights)

    @cached_property
    def rises(self) -> bool:
        """Whether the background rises, as a few views show that are read for this; False if `background` is given."""
        return self.fits_background and self.background == "auto" and rises(self)

    @cached_property
    def loses_light(self) -> bool:
        """Whether light leaves the images, as a few views show that are read for this; False if `outside` is given."""
        if self.outside != "auto" or self.frame != "particle":
            return False
        return leaves(self.replace(background="plane") if self.rises else self)

    def supposed(self) -> Dataset:
        """Return the same views with ``background`` and ``outside`` as a few of them show, if not given; log both."""
        changes: Changes = {}
        if self.rises:
            changes["background"] = "plane"
        if self.loses_light:
            changes["outside"] = "unseen"
        if not changes:
            return self
        self.tell()
        return self.replace(**changes)

    @cached_property
    def placed(self) -> Poses:
        """The poses with translations in the unit of ``voxel_size``, and rotations about the middle of a particle."""
        assert self.poses is not None, "see require"
        poses = self.poses.in_unit_of(self.known_voxel)
        if poses.centre == "(n - 1) / 2":  # no particle need be read to learn its shape
            return poses
        return poses.about_middle(self.particle_shape, self.voxel_size, self.symmetry, self.symmetry_axis)

    @cached_property
    def group(self) -> NDArray[np.float64]:
        """The rotations (n, 3, 3) that leave the particle as it is, the identity first."""
        return as_group(self.symmetry, self.symmetry_axis, "y" if self.poses is None else self.poses.two_fold)

    def model_shape(self, shape: int | Size | None = None) -> Size:
        """Return the shape of the model: ``shape``, or what covers a particle image at the model's voxel."""
        return cubic_shape(self.particle_shape, self.voxel_size) if shape is None else as_shape(shape)

    def read(self, i: int) -> NDArray:
        """Return particle ``i``, C-ordered, float32 or float64, NaN where it was not seen. Safe from any thread."""
        return self.source.read(i)

    def require(self, psf: bool = True) -> Dataset:
        """Return the data set; raise an error if poses, a PSF, positive weights or a group is missing. Reads none."""
        if self.poses is None:
            raise ValueError("poses: found none, need fastmpr.Poses, given with the particles or by replace(poses=...)")
        if psf and not self.psfs:
            raise ValueError("psf: found none, need a PSF, given with the particles or by replace(psf=...)")
        if not len(self.used):
            raise ValueError("weights: found only zeros, need a view that weighs more")
        as_group(self.symmetry, self.symmetry_axis)  # "auto" is none
        return self

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> Dataset:
        """Return some of the views, by a slice, places (repeats allowed) or a mask; an integer gives one view."""
        chosen = as_places(index, len(self))
        per_view = {name: some_of(getattr(self, name), chosen) for name in ("poses", *PER_VIEW)}
        return self._with(source=self.source.select(chosen), **per_view)

    def replace(self, **changes: Unpack[Changes]) -> Dataset:
        """Return the same views with some keywords of `Dataset` changed."""
        check_keywords(Dataset.replace, changes, ("particles", "psf", "poses", *KEYWORDS))
        given: dict[str, Any] = {**changes}
        other = self._with(**fields(**given, **kept_beside(given, self)))
        if self.names is None and "poses" in changes:
            check_order(other.names if changes.get("names") is not None else None, other.poses)
        return other

    def then(self, step: Callable[[NDArray], NDArray]) -> Dataset:
        """Return the same views; ``step`` is applied to the seen part of each particle when it is read."""
        return self._with(source=self.source.then(step))

    def levelled(self) -> Dataset:
        """Return the same views; each is read less its ``background``, and divided by its ``gain`` if that is given."""
        source = self.source if self.gains is None else self.source.over(self.gains)
        if self.fits_background:
            source = source.then(without_plane if self.background == "plane" else without_background)
        elif self.levels is not None:
            source = source.less(self.levels)
        return self if source is self.source else self._with(source=source)

    def tell(self) -> None:
        """Say, once, what was found in the particles that were read: warn of likely mistakes, log what was assumed."""
        self.source.tell_suspects()
        tell_strong(self)
        for text in self.assumed[len(self.stated) :]:
            if self.source.is_new(text):
                log.info(text)

    @property
    def levels(self) -> NDArray[np.float64] | None:
        """The background of each view, None if it was not given."""
        return None if isinstance(self.background, str) else self.background

    @property
    def gains(self) -> NDArray[np.float64] | None:
        """The gain of each view, None if it was not given."""
        return None if isinstance(self.gain, str) else self.gain

    @property
    def masks(self) -> Sequence[Any] | None:
        """The masks of what was seen of each view, None if none were given."""
        return None if isinstance(self.seen, str) else self.seen

    @property
    def fits_background(self) -> bool:
        """Whether the background of a view is estimated, so that it may be fitted too."""
        return self.frame == "particle" and self.levels is None and self.background != "none"

    @property
    def fits_weights(self) -> bool:
        """Whether the weight of each view is to be fitted."""
        return isinstance(self.given_weights, str)

    @property
    def fits_gain(self) -> bool:
        """Whether the gain of each view is to be fitted."""
        return self.gains is None and self.gain == "fit"

    def split(self, n: int, rng: np.random.Generator | int | None = None) -> list[Dataset]:
        """Return ``n`` disjoint parts, as equal as can be, drawn at random; together they hold every view once.

        Raises
        ------
        ValueError
            If there are fewer views than parts, or all views of a part have weight 0.
        """
        return [self[part] for part in drawn_parts(self.weights, n, rng)]

    def __repr__(self) -> str:
        return described(self)

    @property
    def _first(self) -> int:
        """The place of the first view that weighs anything: the one to learn shape and precision from."""
        return int(self.used[0]) if len(self.used) else 0

    def _with(self, **changes: Any) -> Dataset:
        other = object.__new__(Dataset)
        vars(other).update(self.__getstate__() | changes)
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name in Dataset.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in PER_VIEW:  # a pickled array can be written to again
            if isinstance(state[name], np.ndarray):
                frozen(state[name])
        vars(self).update(state | {"psfs": tuple(own(psf) for psf in state["psfs"])})
