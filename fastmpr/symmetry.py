"""Point groups: the rotations that leave a particle as it is."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ._validation import shown


def as_group(symmetry: Any) -> NDArray[np.float64]:
    """Return the rotations (n, 3, 3) of a point group, the identity first; None is the group of the identity alone.

    "C1", "C2", ... are cyclic, about the z axis (array axis 0) of the model; "D1", "D2", ... dihedral, with a two-fold axis
    along y (array axis 1) besides.

    Raises
    ------
    ValueError
        For any other symmetry.

    Examples
    --------
    >>> from fastmpr.symmetry import as_group
    >>> len(as_group("C9")), len(as_group("D9")), len(as_group(None))
    (9, 18, 1)
    """
    if symmetry is None:
        return np.eye(3)[np.newaxis]
    if not (isinstance(symmetry, str) and re.fullmatch(r"[CD][1-9][0-9]{0,3}", symmetry)):
        need = "need C or D and a number below 10000, such as 'C9' or 'D2'"
        raise ValueError(f"symmetry: found {shown(symmetry)}, {need}")
    return Rotation.create_group(symmetry, axis="X").as_matrix()  # scipy's X is array axis 0
