"""Find lengths that are unlikely to come from one microscope in one unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._messages import warn
from .._validation import MOST, Size, Vector, as_shape, as_voxel_size
from ..geometry.poses import Poses
from ..io.conventions import MICROMETRES
from ..io.units import shown_sides, slip

# A PSF is simulated or measured with the particles' voxels or up to 5 times finer ones; a factor of 10 is a wrong unit.
_ASIDE, _ALONG = 4.5, 9.5  # largest ratio of the two voxel sizes, in the plane and along z
_SLENDER = 9.5  # largest length over width of a voxel: STED has 8.3, a default of 1 um from plane to plane 10 and more
_OBLONG = 1.5  # largest length along x over that along z and y: cameras have square pixels
_LONGEST = (50.0, 1e6)  # sides from the first number on are in nm or Å, from the second on no lengths at all
_UNITS = (("nanometres", 1e3), ("angstroms", 1e4))  # in a micrometre
_WHOLE = 0.05  # relative difference allowed between a box and the box in a file of poses


def check_voxels(voxel: Vector | None, psf_voxel: Vector | None) -> None:
    """Warn of voxel sizes of particles and PSF that are unlikely to come from one microscope in one unit."""
    for name, sides in (("voxel_size", voxel), ("psf_voxel_size", psf_voxel)):
        if sides is not None and _LONGEST[0] <= max(sides) < _LONGEST[1]:
            warn(f"{name}: found {shown_sides(sides)}, which is no microscope's: need micrometres (z, y, x)")
            return
    if voxel is None or max(voxel) >= _LONGEST[1]:
        return
    if max(voxel) > _SLENDER * min(voxel):
        found = f"{shown_sides(voxel)}, sides of {max(voxel) / min(voxel):.3g} : 1"
        warn(f"voxel_size: found {found}: need micrometres (z, y, x); some programs write 1 for an unknown length")
    elif voxel[0] == voxel[1] < voxel[2] / _OBLONG and psf_voxel != voxel:
        warn(
            f"voxel_size: found {shown_sides(voxel)}, which looks like x, y, z: need z, y, x, of which z is the optical axis"
        )
    elif psf_voxel is not None:
        check_sampling(voxel, psf_voxel, "particles")


def check_sampling(voxel: Vector, psf_voxel: Vector, what: str) -> None:
    """Warn of a PSF whose sampling differs from the image's so much that their units probably differ."""
    ratio = np.divide(psf_voxel, voxel)
    how = slip(psf_voxel, voxel)
    if how or (np.maximum(ratio, 1 / ratio) >= (_ALONG, _ASIDE, _ASIDE)).any():
        found = f"{shown_sides(psf_voxel)} beside {shown_sides(voxel)} of the {what}{f', {how}' if how else ''}"
        warn(f"psf_voxel_size: found {found}: need both in micrometres (z, y, x)")


def check_boxes(poses: Poses | None, shape: Size | None, voxel: Vector | None) -> None:
    """Warn of poses whose file gives boxes of another size than the particles."""
    if poses is None or poses.boxes is None or shape is None or voxel is None:
        return
    extent = np.multiply(shape, voxel)
    told = poses.boxes.prod(axis=1)  # RELION's are cubes
    off = np.abs(told[:, np.newaxis] / extent - 1).max(axis=1)
    if np.isfinite(off).any() and np.nanmax(off) > _WHOLE:
        pixel, box = poses.boxes[int(np.nanargmax(off))]
        warn(
            f"poses: found boxes of {box:g} pixels of {pixel:.4g} um, and particles of {shape} voxels of "
            f"{shown_sides(voxel)} um, need the same extent; if the particles were binned, give their larger voxel_size="
        )


def check_travel(where: Any, poses: Poses, shape: Size | None, voxel: Any) -> None:
    """Warn of poses of which most lie outside their own box, as translations in another unit do."""
    if shape is None or (voxel is None and poses.unit != "voxel"):
        return
    sides = np.multiply(shape, 1.0 if poses.unit == "voxel" else as_voxel_size(voxel))
    lengths = poses.translation * MICROMETRES.get(poses.unit or "voxel", 1.0)
    share = float(np.median(np.abs(lengths / sides).max(axis=1)))
    if share <= 1:
        return
    unit = "voxels" if poses.unit == "voxel" else "micrometres"
    middle = float(np.median(np.abs(lengths).max(axis=1)))
    in_um = share if poses.unit != "voxel" or voxel is None else share / float(np.min(as_voxel_size(voxel)))
    likely = [name for name, factor in _UNITS if in_um / factor <= 1]
    guess = f"which would fit if they were {likely[0]}" if likely else "which no particle of its image has"
    warn(
        f"{where}: found translations of {middle:.3g} {unit}, {share:.3g} times the side of the particles' box, {guess}; "
        "need the unit that the format says"
    )


def cubic_shape(shape: Size, voxel: Vector) -> Size:
    """Return the shape of an image in cubic voxels, as large as the smallest side of its own; refuse far too many."""
    extent = np.multiply(shape, voxel) / min(voxel)
    if extent.max() > MOST:
        found = f"sides that differ by a factor of {max(voxel) / min(voxel):.3g}"
        raise ValueError(f"voxel_size: found {found}, need a model of at most {MOST} cubic voxels along an axis")
    return as_shape(np.rint(extent).astype(int).tolist())
