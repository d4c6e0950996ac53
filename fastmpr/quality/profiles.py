"""Profiles of a volume about an axis, and the size of the ring or barrel that they show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._messages import log
from .._validation import Vector, as_array, as_intensities, as_number, as_reals, as_voxel_size, shown, times
from ..geometry.arguments import as_offset
from ..geometry.symmetry import as_group
from .about_axis import ProfileCurve, Profiles
from .cylinder import Cylinder, Range
from .frames import as_frame
from .measures import Measure
from .regions import EVERYWHERE, Region, Shown, settled

_MOST_UNEQUAL = 100.0  # sides of a voxel, longest over shortest: more needs too many samples
_MOST = 1e140  # a background that float64 holds beside intensities


def profile(
    x: ArrayLike,
    axis: ArrayLike | None = None,
    *,
    centre: ArrayLike | None = None,
    voxel_size: ArrayLike | None = None,
    replicates: Sequence[ArrayLike] | ArrayLike | None = None,
    symmetry: str | None = None,
    radii: tuple[float, float] | None = None,
    heights: tuple[float, float] | None = None,
    background: float | None = None,
) -> Profiles:
    """Return radial, axial and angular profiles of a volume, with a ring's diameter and width and a barrel's height.

    Parameters
    ----------
    x : (nz, ny, nx) array_like
        The volume, brighter than its background.
    axis : (z, y, x) or two of them, optional
        Direction of the axis in the volume, z by default: for a symmetric particle the ``symmetry_axis`` of its `Dataset`.
        Of two, the second is where angles begin. By default they begin at x and grow towards y, both turned by the smallest
        rotation that takes z to the axis.
    centre : (z, y, x), optional
        A point of the axis, from the middle of the volume, in the unit of ``voxel_size``; the middle by default. For a
        symmetric particle it is the ``symmetry_centre`` of its `Dataset`. Heights along the axis are told from it.
    voxel_size : float or (z, y, x), optional
        In micrometres. If it is unknown, voxels are taken as cubes, and lengths are in voxels.
    replicates : (n, nz, ny, nx) array_like or sequence of n volumes, optional
        At least two volumes that differ from ``x`` as it may differ from the truth, as from a bootstrap. They give the
        errors.
    symmetry : str, optional
        Point group, such as "C9", whose ``period`` is then told. The profiles are not folded.
    radii : (low, high), optional
        Among which the ring is sought, and of which the axial and the angular profile are the mean. By default the ring is
        sought everywhere, and the means are taken over its wall, from half maximum to half maximum; over the disc out to the
        half maximum, if there is no ring, or if it is not that dark inside.
    heights : (low, high), optional
        Of which the radial and the angular profile are the mean: a slice of the particle. By default all of the barrel,
        between the half maxima of the axial profile; where it has none, out to the end of the box.
    background : float, optional
        The level that counts as nothing. By default the median of the outermost voxels of the volume.

    Returns
    -------
    Profiles
        ``radial`` is the mean over angle and height, ``axial`` that over angle and radius, ``angular`` that over radius and
        height, each with ``.position``, ``.value`` and ``.error``. The volume is interpolated by cubic splines; what lies
        outside the box is left out of every mean, and a mean of which less than half lies in the box is NaN. The
        measures, each with ``.value`` and ``.error``, are those of the volume as it is: blur widens a wall.

        ``diameter``
            Twice the radius of the ring: of the centre of mass of sqrt(r) times the radial profile above the background,
            between its half maxima about the highest maximum of the profile. The root takes back what blur pulls inwards:
            a thin ring of radius R that a Gaussian blurs is brightest near R - sigma^2 / 2R. (A wall that is thick in
            itself, a Gaussian about R, is told as sigma^2 / 2R farther out.) NaN if there is no ring: if the profile is
            highest on the axis, or if inside the maximum it falls by less than a tenth.
        ``width``
            Of the ring's wall in the radial profile, full at half maximum above the background. NaN if the profile does not
            fall to half on both sides of the maximum.
        ``height``
            From the first to the last place where the axial profile is half as high above the background as at most. NaN if
            it does not fall to half within the box.

        Errors are standard deviations over the replicates' own profiles and measures, for the radii and heights of ``x``:
        how far noise moves them, not what all replicates share, such as a wall that blur has widened. A measure that is NaN
        says why in its ``.message``, and in the log.

    Raises
    ------
    ValueError, TypeError
        Naming the argument: if a volume is not 3-D and finite, a replicate has another shape, the axis has no direction, the
        centre is not in the box, or radii or heights hold nothing of it.

    Examples
    --------
    >>> import fastmpr
    >>> pore = fastmpr.phantom.nuclear_pore(48, voxel_size=0.005)
    >>> found = fastmpr.profile(pore, voxel_size=0.005, symmetry="C8")
    >>> found
    <Profiles: diameter 0.08892 um, width 0.02819 um, height 0.08497 um>
    >>> found.radial.position.shape, found.period
    ((52,), 45.0)
    """
    volume, voxel = as_intensities(x, "x"), _as_voxel(voxel_size)
    cylinder = Cylinder(volume.shape, voxel, as_frame(axis), _as_centre(centre, volume.shape, voxel))
    period = None if symmetry is None else _period(symmetry)
    level = None if background is None else as_number(background, "background", -_MOST, _MOST, "a finite number")
    others = None if replicates is None else _as_replicates(replicates, volume.shape)
    among, between = _as_range(radii, "radii", 0.0), _as_range(heights, "heights", -math.inf)
    region = settled(cylinder, volume, among, between, level)
    one = region.shown(volume, among or EVERYWHERE)
    many = None if others is None else [region.shown(as_intensities(*other), region.radii) for other in others]
    return _told(region, one, many, "voxel" if voxel_size is None else "um", period)


def _told(region: Region, one: Shown, many: list[Shown] | None, unit: str, period: float | None) -> Profiles:
    """Return the profiles of a volume, with the errors that its replicates tell."""
    cylinder, ring = region.cylinder, one.ring
    diameter, width, height = _measures(one, many, unit)
    z, y, x = cylinder.frame[:, 0].tolist()
    return Profiles(
        radial=_curve(cylinder.radii, one.radial, None if many is None else [other.radial for other in many]),
        axial=_curve(cylinder.heights, one.axial, None if many is None else [other.axial for other in many]),
        angular=_curve(cylinder.angles, one.angular, None if many is None else [other.angular for other in many]),
        diameter=diameter,
        width=width,
        height=height,
        unit=unit,
        axis=(z, y, x),
        centre=cylinder.centre,
        background=one.background,
        radii=region.radii,
        heights=region.heights,
        wall=(ring.inner, ring.outer) if ring.exists else (math.nan, math.nan),
        barrel=one.barrel,
        period=period,
    )


def _curve(
    position: NDArray[np.floating], value: NDArray[np.float64], others: list[NDArray[np.float64]] | None
) -> ProfileCurve:
    """Return a profile from the first position that is in the box to the last."""
    known = np.flatnonzero(np.isfinite(value))
    there = slice(known[0], known[-1] + 1) if known.size else slice(None)
    error = None if others is None else np.std(others, axis=0, ddof=1)[there]
    return ProfileCurve(position[there], value[there], error)


def _measures(one: Shown, many: list[Shown] | None, unit: str) -> list[Measure]:
    """Return the diameter, the width and the height, and say in the log which of them do not exist."""
    whys, measures = (one.ring.no_radius, one.ring.no_width, one.no_height), []
    for k, (name, why) in enumerate(zip(("diameter", "width", "height"), whys, strict=True)):
        if why:
            log.info(f"profile: {name} is NaN: {why}")
        others = None if many is None else np.array([other.lengths[k] for other in many])
        measures.append(_measure(one.lengths[k], others, unit, why))
    return measures


def _measure(value: float, others: NDArray[np.float64] | None, unit: str, why: str) -> Measure:
    if others is None or math.isnan(value):
        return Measure(value, None if others is None else math.nan, unit, why)
    have = others[np.isfinite(others)]
    enough = len(have) >= max(2, len(others) / 2)
    lost = f"{len(others) - len(have)} of {len(others)} replicates have none" if len(have) < len(others) else ""
    return Measure(value, float(have.std(ddof=1)) if enough else math.nan, unit, lost)


# ----------------------------------------------------------------------------------------------------
# Arguments
# ----------------------------------------------------------------------------------------------------


def _as_voxel(value: Any) -> Vector:
    voxel = as_voxel_size(1.0 if value is None else value)
    if max(voxel) > _MOST_UNEQUAL * min(voxel):
        need = f"need sides of which none is over {_MOST_UNEQUAL:g} times as long as another"
        raise ValueError(f"voxel_size: found {shown(value)}, {need}")
    return voxel


def _as_centre(value: Any, shape: tuple[int, ...], voxel: Vector) -> Vector:
    centre, half = as_offset(value, "centre"), np.array(shape) * voxel / 2
    if not (np.abs(centre) < half).all():
        need = f"need less than {times(half.tolist())} from the middle of the volume, where its faces are"
        raise ValueError(f"centre: found {shown(value)}, {need}")
    return centre


def _as_range(value: Any, name: str, least: float) -> Range | None:
    """Return two increasing finite numbers; None stays None."""
    if value is None:
        return None
    need = "two numbers (low, high) that increase" + (f", the first at least {least:g}" if math.isfinite(least) else "")
    numbers = as_reals(value, name, need)
    if numbers.shape != (2,) or not (np.isfinite(numbers).all() and least <= numbers[0] < numbers[1]):
        raise ValueError(f"{name}: found {shown(value)}, need {need}")
    return float(numbers[0]), float(numbers[1])


def _as_replicates(value: Any, shape: tuple[int, ...]) -> list[tuple[Any, str]]:
    """Return at least two volumes of a shape, each with its name."""
    need = f"need at least two volumes of shape {shape} in a sequence"
    if isinstance(value, str | bytes | Mapping) or not np.iterable(value):
        raise TypeError(f"replicates: found {shown(value)}, {need}")
    named = [(volume, f"replicates[{i}]") for i, volume in enumerate(value)]
    if len(named) < 2:
        raise ValueError(f"replicates: found {len(named)}, {need}")
    for volume, name in named:
        if (found := as_array(volume, name).shape) != shape:
            raise ValueError(f"{name}: found shape {found}, need that of x, {shape}")
    return named


def _period(symmetry: Any) -> float:
    as_group(symmetry)
    return 360 / int(symmetry[1:])
