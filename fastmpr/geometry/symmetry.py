"""Point groups: the rotations that leave a particle unchanged."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._validation import Vector, as_reals, shown
from .arguments import as_offset, as_vector

Axes = Vector | tuple[Vector, Vector]  # the n-fold axis, or the n-fold and a two-fold one: directions of length 1

TWO_FOLDS = ("y", "x")  # along which a dihedral group may have a two-fold axis, where its n-fold axis is z
_Z = (1.0, 0.0, 0.0)
_Y_TO_X = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # a quarter turn about z
_OFF_RIGHT_ANGLE = 1.0  # degrees, at most, between two axes: those written in three digits are not quite at 90


def as_group(symmetry: Any, axis: Any = None, two_fold: str = "y") -> NDArray[np.float64]:
    """Return the rotations (n, 3, 3) of a point group, the identity first; None means the identity alone.

    Parameters
    ----------
    symmetry : str or None
        "C1", "C2", ...: cyclic, about one axis; "D1", "D2", ...: dihedral, with a two-fold axis at a right angle to it.
    axis : (z, y, x) or two of them, optional
        Direction of the axis in the model; by default z, array axis 0. Of two, the second is a two-fold axis.
    two_fold : {"y", "x"}
        Direction of a two-fold axis where none is given and the n-fold axis is z. For any other n-fold axis, the smallest
        rotation that takes z to it takes this direction along. (An axis has two directions: the one whose first nonzero
        coordinate is positive counts.) Groups of even n have two-fold axes along both y and x.

    Raises
    ------
    ValueError
        For any other symmetry, and where an axis is not one.

    Examples
    --------
    >>> from fastmpr.geometry.symmetry import as_group
    >>> len(as_group("C9")), len(as_group("D9")), len(as_group(None))
    (9, 18, 1)
    >>> as_group("C2", (0, 0, 3))[1].diagonal().round()  # half a turn about x, array axis 2
    array([-1., -1.,  1.])
    """
    if symmetry is None:
        return np.eye(3)[np.newaxis]
    if is_auto(symmetry):
        raise ValueError("symmetry: found 'auto', need a group such as 'C9'; only ab_initio and refine find it")
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
        turn = _smallest_turn(axes or _Z)
        turn = turn @ _Y_TO_X if is_along_x else turn
    return turn @ group @ turn.T


def is_auto(symmetry: Any) -> bool:
    """Return whether the symmetry is to be found."""
    return isinstance(symmetry, str) and symmetry == "auto"


def is_odd_dihedral(symmetry: str | None) -> bool:
    """Return whether a group tells y from x: dihedral ones of odd n have a two-fold axis along one of them only."""
    return symmetry is not None and symmetry[0] == "D" and int(symmetry[1:]) % 2 == 1


def as_symmetry(symmetry: Any, axis: Any, centre: Any) -> tuple[Axes, Vector]:
    """Return the axes and the centre of a symmetry, checked; z and the centre of the model where they are not given."""
    for name, value in (("symmetry_axis", axis), ("symmetry_centre", centre)):
        if symmetry is None and value is not None:
            raise ValueError(f"{name}: found {shown(value)} and no symmetry, need symmetry= beside it")
        if is_auto(symmetry) and value is not None:
            raise ValueError(f"{name}: found {shown(value)} and symmetry 'auto', which finds it: need none")
    if not is_auto(symmetry):
        as_group(symmetry)
    axes = _Z if axis is None else as_axes(axis, symmetry)
    return axes, as_offset(centre, "symmetry_centre")


def shown_symmetry(symmetry: str, axis: Axes, centre: Vector) -> str:
    """Return a symmetry as text, with its axes and centre where they are not the default."""
    axes = axis if isinstance(axis[0], tuple) else (axis,)
    words = zip(("axis", "two-fold axis", "centre"), (*axes, *[None] * (2 - len(axes)), centre), strict=True)
    where = [
        f"{word} ({', '.join(f'{length:.4g}' for length in vector)})"
        for word, vector in words
        if vector and vector != {"axis": _Z, "centre": (0.0, 0.0, 0.0)}.get(word)
    ]
    return " ".join([symmetry, *where])


def as_axes(axis: Any, symmetry: str) -> Axes:
    """Return one axis (z, y, x), or an n-fold and a two-fold one at a right angle, as directions of length 1."""
    array = as_reals(axis, "symmetry_axis", "three numbers (z, y, x), or two times three for a dihedral group")
    if array.shape != (2, 3):
        return _as_axis(axis)
    if not symmetry.startswith("D"):
        raise ValueError(f"symmetry_axis: found two axes for {symmetry}, need one (z, y, x)")
    n_fold, two_fold = map(_as_axis, array)
    cosine = float(np.dot(n_fold, two_fold))
    if (
        angle := np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    ) > 90 + _OFF_RIGHT_ANGLE or angle < 90 - _OFF_RIGHT_ANGLE:
        raise ValueError(f"symmetry_axis: found {angle:.3g} degrees between the n-fold and the two-fold axis, need 90")
    return n_fold, _as_axis(np.subtract(two_fold, np.multiply(cosine, n_fold)))


def _as_axis(axis: Any) -> Vector:
    """Return an axis (z, y, x) as a direction of length 1."""
    vector = as_vector(axis, "symmetry_axis")
    largest = np.abs(vector).max()
    if largest == 0:
        raise ValueError("symmetry_axis: found (0, 0, 0), need an axis (z, y, x) of any length but zero")
    vector /= largest  # so that no square overflows
    z, y, x = (vector / np.linalg.norm(vector)).tolist()
    return z, y, x


def _smallest_turn(axis: Vector) -> NDArray[np.float64]:
    """Return the rotation by the smallest angle that takes z to an axis, in the direction that `as_group` says."""
    z, y, x = axis if axis > (0.0, 0.0, 0.0) else tuple(-length for length in axis)
    s = 1 / (1 + z)
    return np.array([[z, -y, -x], [y, 1 - s * y * y, -s * y * x], [x, -s * y * x, 1 - s * x * x]])
