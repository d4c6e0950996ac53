"""What a pose means: the unit of its translation, and the point of the box that its rotation is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import warn
from .._validation import Vector, as_shape

MIDDLE = "(n - 1) / 2"  # of n samples: the convention of SPFluo and of this library
CENTRES = (MIDDLE, "n // 2")  # the second is that of RELION, Xmipp and Dynamo
MICROMETRES = {"um": 1.0, "nm": 1e-3, "A": 1e-4}
_ENOUGH = 3  # fewer poses may all look like radians by chance


class PoseTable(NamedTuple):
    """The content of a file of N poses.

    Attributes
    ----------
    rotation : Rotation
        Acts on (z, y, x) vectors.
    translation : (N, 3) ndarray
        In the format's unit.
    names : tuple of str, optional
    angles : (N, 3) ndarray, optional
        As in the file, in degrees.
    two_fold : {"y", "x"}
        The model's axis along which a dihedral particle has a two-fold axis.
    boxes : (N, 2) ndarray, optional
        The side of a pixel in micrometres, and the side of the box in pixels.
    unit, centre : str, optional
        As a file says that has its own (`STATES_MEANING`, see `formats`). A unit of None is unknown.
    """

    rotation: Rotation
    translation: NDArray[np.float64]
    names: tuple[str, ...] | None
    angles: NDArray[np.float64] | None = None
    two_fold: str = "y"
    boxes: NDArray[np.float64] | None = None
    unit: str | None = None
    centre: str = MIDDLE


def reverse_axes(rotation: Rotation) -> Rotation:
    """Convert a rotation of (x, y, z) vectors to the same rotation of (z, y, x) vectors, or back."""
    return Rotation.from_matrix(rotation.as_matrix()[:, ::-1, ::-1])


def euler_angles(rotation: Rotation, sequence: str) -> NDArray[np.float64]:
    """Return the intrinsic Euler angles (N, 3) in degrees of the sequence "ZYZ" or "XZX", exact at the poles too.

    Where the second angle is small, the sum of the other two is sure and their difference is not; scipy takes all angles
    below 1e-7 for zero. The quaternion of Rz(a) Ry(b) Rz(c) gives sum and difference apart:
    w + iz = cos(b/2) exp(i(a + c)/2) and y - ix = sin(b/2) exp(i(a - c)/2); that of Rx(a) Rz(b) Rx(c) is the same with
    x, z, y for z, y, x.
    """
    x, y, z, w = rotation.as_quat().T
    along, across, third = {"ZYZ": (z, y, x), "XZX": (x, z, y)}[sequence]
    half_sum, half_difference = np.arctan2(along, w), np.arctan2(-third, across)
    second = 2 * np.arctan2(np.hypot(across, third), np.hypot(along, w))
    angles = np.degrees(np.column_stack([half_sum + half_difference, second, half_sum - half_difference]))
    outer = angles[:, ::2]
    outer -= 360 * np.round(outer / 360)
    return angles + 0.0  # adding 0 turns -0 into 0


def warn_of_radians(where: str | Path, angles: NDArray[np.float64]) -> None:
    """Warn if Euler angles (N, 3) look like radians; the first and the third angle are about the same axis.

    Angles in radians have the second angle from 0 to pi, as programs write it, and no angle beyond 2 pi. Small rotations in
    degrees rarely do: there the first and the third angle cancel, and each may have any value. Whole numbers are taken for
    degrees, and a column of zeros tells nothing.
    """
    largest = float(np.abs(angles).max())
    second = angles[:, 1]
    if len(angles) < _ENOUGH or largest > 2 * np.pi or not (angles % 1).any(axis=0).all():
        return
    if second.min() >= 0 and second.max() <= np.pi + 1e-3:
        warn(
            f"{where}: found {len(angles)} poses with angles up to {largest:.3g} only, which look like radians: need "
            "degrees, unless all particles lie nearly alike"
        )


def off_middle(shape: Any, voxel_size: Vector | float = 1.0) -> NDArray[np.float64]:
    """Return the offset of voxel n // 2 from the middle of a box: half a voxel along each even axis.

    Examples
    --------
    >>> off_middle((31, 32, 32), (0.3, 0.1, 0.1))
    array([0.  , 0.05, 0.05])
    """
    sizes = np.array(as_shape(shape))
    return (sizes // 2 - (sizes - 1) / 2) * voxel_size


def beside_voxel(translation: NDArray, unit: str, voxel: Vector | None) -> NDArray[np.float64]:
    """Convert translations from a unit ("voxel", "um", ...) to the unit of a voxel size, which is None if unknown."""
    if unit == "voxel":
        return translation * np.array(voxel)
    if voxel is None and translation.any():
        raise ValueError(f"voxel_size: found none, need it since the poses' translations are in {unit}")
    return translation * MICROMETRES[unit]


def translations_for(path: str | Path, form: Any, poses: Any, shape: Any, voxel: Vector | None) -> NDArray[np.float64]:
    """Return the translations of `Poses` in the unit and about the centre of a file format.

    Raises
    ------
    ValueError
        If the conversion needs a shape or a voxel size that is not given; the message names the file.
    """
    translation = poses.translation * _factor(path, form.UNIT, poses.unit, voxel)
    if poses.centre == form.CENTRE:
        return translation
    found = f"{path}: found rotations about {poses.centre} of a box of n voxels, where this format keeps {form.CENTRE}"
    if shape is None:
        raise ValueError(f"{found}, need shape=(nz, ny, nx) of a particle to move them")
    if not off_middle(shape).any():
        return translation
    if voxel is None:
        raise ValueError(f"{found}, need voxel_size= in micrometres to move them by half a voxel")
    delta = off_middle(shape, voxel)
    lengths = (delta - poses.matrix @ delta) * (1 if form.CENTRE == MIDDLE else -1)
    return translation + (lengths if form.UNIT == "um" else lengths / voxel)


def _factor(path: str | Path, wanted: str, unit: str | None, voxel: Vector | None) -> Any:
    """Return the factor that converts translations from their unit to "voxel" or "um"."""
    if unit is None or unit == wanted:
        return 1.0
    if wanted == "um" and unit in MICROMETRES:
        return MICROMETRES[unit]
    if voxel is None:
        raise ValueError(f"{path}: found translations in {unit}, need them in {wanted} for this format, or voxel_size=")
    return np.array(voxel) if unit == "voxel" else MICROMETRES[unit] / np.array(voxel)
