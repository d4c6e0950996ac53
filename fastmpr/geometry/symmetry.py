"""Point groups: the rotations that leave a particle as it is."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._validation import LONGEST, Vector, as_reals, shown

Axes = Vector | tuple[Vector, Vector]  # the direction of the n-fold axis, or those of the n-fold and of a two-fold one

TWO_FOLDS = ("y", "x")  # where the two-fold axis of a dihedral group lies beside an n-fold axis along z
_Z = (1.0, 0.0, 0.0)
_Y_TO_X = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # about z
_SLANT = 1.0  # degrees off a right angle that two axes may be: as written in three digits


def as_group(symmetry: Any, axis: Any = None, two_fold: str = "y") -> NDArray[np.float64]:
    """Return the rotations (n, 3, 3) of a point group, the identity first; None is the group of the identity alone.

    "C1", "C2", ... are cyclic, about an axis of the model, z (array axis 0) unless given; "D1", "D2", ... dihedral, with a
    two-fold axis besides: the second where two are given; else along y (array axis 1) or x, as ``two_fold`` says, where the
    axis is z, and where the shortest turn from z to it takes that direction elsewhere. (Of the two directions of an axis,
    that with the first coordinate above 0 that is not 0.) Groups of even n have two-fold axes along both.

    Raises
    ------
    ValueError
        For any other symmetry, and for what is no axis.

    Examples
    --------
    >>> from fastmpr.geometry.symmetry import as_group
    >>> len(as_group("C9")), len(as_group("D9")), len(as_group(None))
    (9, 18, 1)
    >>> as_group("C2", (0, 0, 3))[1].diagonal().round()  # half a turn about x
    array([-1., -1.,  1.])
    """
    if symmetry is None:
        return np.eye(3)[np.newaxis]
    if not (isinstance(symmetry, str) and re.fullmatch(r"[CD][1-9][0-9]{0,3}", symmetry)):
        need = "need C or D and a number below 10000, such as 'C9' or 'D2'"
        raise ValueError(f"symmetry: found {shown(symmetry)}, {need}")
    group = Rotation.create_group(symmetry, axis="X").as_matrix()  # scipy's X is array axis 0
    axes = None if axis is None else as_axes(axis, symmetry)
    is_along_x = two_fold == "x" and is_odd_dihedral(symmetry)
    if axes is None and not is_along_x:
        return group
    if axes is not None and isinstance(axes[0], tuple):
        turn = np.column_stack([*axes, np.cross(*axes)])
    else:
        turn = _shortest_turn(axes or _Z)
        turn = turn @ _Y_TO_X if is_along_x else turn
    return turn @ group @ turn.T


def is_odd_dihedral(symmetry: str | None) -> bool:
    """Return whether it matters along which of two axes at a right angle a group's two-fold axis lies."""
    return symmetry is not None and symmetry[0] == "D" and int(symmetry[1:]) % 2 == 1


def as_symmetry(symmetry: Any, axis: Any, centre: Any) -> tuple[Axes, Vector]:
    """Return the directions of the axes and the offset of the centre, checked beside the symmetry that they belong to."""
    for name, value in (("symmetry_axis", axis), ("symmetry_centre", centre)):
        if symmetry is None and value is not None:
            raise ValueError(f"{name}: found {shown(value)} and no symmetry, need symmetry= beside it")
    as_group(symmetry)
    axes = _Z if axis is None else as_axes(axis, symmetry)
    return axes, as_centre((0, 0, 0) if centre is None else centre)


def shown_symmetry(symmetry: str, axis: Axes, centre: Vector) -> str:
    """Return a symmetry as text, with what is not the default."""
    axes = axis if isinstance(axis[0], tuple) else (axis,)
    words = zip(("axis", "two-fold axis", "centre"), (*axes, *[None] * (2 - len(axes)), centre), strict=True)
    where = [
        f"{word} ({', '.join(f'{length:.4g}' for length in vector)})"
        for word, vector in words
        if vector and vector != {"axis": _Z, "centre": (0.0, 0.0, 0.0)}.get(word)
    ]
    return " ".join([symmetry, *where])


def as_axes(axis: Any, symmetry: str) -> Axes:
    """Return the direction (z, y, x) of an axis, or of the n-fold and the two-fold one, of length 1, at a right angle."""
    array = as_reals(axis, "symmetry_axis", "three numbers (z, y, x), or two times three for a dihedral group")
    if array.shape != (2, 3):
        return _as_axis(axis)
    if not symmetry.startswith("D"):
        raise ValueError(f"symmetry_axis: found two axes for {symmetry}, need one (z, y, x)")
    n_fold, two_fold = map(_as_axis, array)
    cosine = float(np.dot(n_fold, two_fold))
    if (angle := np.degrees(np.arccos(np.clip(cosine, -1, 1)))) > 90 + _SLANT or angle < 90 - _SLANT:
        raise ValueError(f"symmetry_axis: found {angle:.3g} degrees between the n-fold and the two-fold axis, need 90")
    return n_fold, _as_axis(np.subtract(two_fold, np.multiply(cosine, n_fold)))


def _as_axis(axis: Any) -> Vector:
    """Return the direction (z, y, x) of an axis, of length 1."""
    vector = _as_vector(axis, "symmetry_axis")
    largest = np.abs(vector).max()
    if largest == 0:
        raise ValueError("symmetry_axis: found (0, 0, 0), need an axis (z, y, x) of any length but zero")
    vector /= largest  # or its square might overflow
    z, y, x = (vector / np.linalg.norm(vector)).tolist()
    return z, y, x


def as_centre(centre: Any) -> Vector:
    """Return the offset (z, y, x) of the point that the axes of symmetry go through."""
    vector = _as_vector(centre, "symmetry_centre")
    if np.abs(vector).max() > LONGEST:
        raise ValueError(f"symmetry_centre: found {shown(centre)}, need numbers from {-LONGEST:g} to {LONGEST:g}")
    z, y, x = vector.tolist()
    return z, y, x


def _as_vector(value: Any, name: str) -> NDArray[np.float64]:
    vector = as_reals(value, name, "three numbers (z, y, x)")
    if vector.shape != (3,):
        raise ValueError(f"{name}: found shape {vector.shape}, need three numbers (z, y, x)")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name}: found NaN or infinite values, need finite ones")
    return vector.copy()


def _shortest_turn(axis: Vector) -> NDArray[np.float64]:
    """Return the rotation by the least angle from z to an axis, of whose two directions the first coordinate above 0."""
    z, y, x = axis if axis > (0.0, 0.0, 0.0) else tuple(-length for length in axis)
    s = 1 / (1 + z)
    return np.array([[z, -y, -x], [y, 1 - s * y * y, -s * y * x], [x, -s * y * x, 1 - s * x * x]])
