"""What `profile` returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from ..io import columns_csv
from .cylinder import Range
from .measures import Measure


@dataclass(frozen=True, eq=False)
class ProfileCurve:
    """A mean against a position.

    Attributes
    ----------
    position : (n,) ndarray
        In the unit of the voxel size, or in degrees.
    value : (n,) ndarray
        NaN where less than half of what the mean is over lies in the box.
    error : (n,) ndarray or None
        One standard deviation over the replicates' own profiles; None without replicates.
    """

    position: NDArray[np.floating]
    value: NDArray[np.float64]
    error: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class Profiles:
    """What `profile` returns.

    Attributes
    ----------
    radial, axial, angular : ProfileCurve
        Means against the distance from the axis, the height along it from the centre, and the angle about it in degrees.
    diameter, width, height : Measure
        Of the ring, of its wall, and of the barrel, each with ``.value``, ``.error``, ``.unit`` and, if there is no such
        length, a ``.message`` that says why. See `profile` for what they mean.
    unit : {"um", "voxel"}
        Of all lengths; "voxel" if no voxel size was given.
    axis, centre : (z, y, x)
        Direction of length 1, and a point of the axis, from the middle of the volume.
    background : float
        The level that counts as nothing.
    radii, heights : (low, high)
        Of which the means were taken.
    wall : (inner, outer)
        Radii at half maximum, between which the ``width`` is told; NaN where the profile does not fall to half.
    barrel : (low, high)
        Heights at half maximum, between which the ``height`` is told; NaN where the profile does not fall to half.
    period : float or None
        Angle in degrees after which a symmetric particle repeats; None without a symmetry.
    """

    radial: ProfileCurve
    axial: ProfileCurve
    angular: ProfileCurve
    diameter: Measure
    width: Measure
    height: Measure
    unit: str
    axis: Vector
    centre: Vector
    background: float
    radii: Range
    heights: Range
    wall: Range
    barrel: Range
    period: float | None

    def __repr__(self) -> str:
        return f"<Profiles: {', '.join(f'{name} {measure}' for name, measure in self.measures.items())}>"

    @property
    def measures(self) -> dict[str, Measure]:
        """The diameter, the width and the height by their names."""
        return {"diameter": self.diameter, "width": self.width, "height": self.height}

    def write(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the profiles and the measures into one CSV file, side by side, for a spreadsheet.

        The columns are ``radius_um``, ``radial_mean``, ``radial_error``, ``height_um``, ``axial_mean``, ``axial_error``,
        ``angle_degrees``, ``angular_mean``, ``angular_error``, and ``measure``, ``value_um``, ``value_error_um``; those of
        errors are left out without replicates. Lengths in voxels are titled so. A field is empty where there is no number.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether an existing file may be replaced.

        Raises
        ------
        OSError
            If the file exists already, or its folder is missing or cannot be written in.
        """
        curves = {f"radius_{self.unit}": "radial", f"height_{self.unit}": "axial", "angle_degrees": "angular"}
        columns: dict[str, Sequence[float | str]] = {}
        for title, name in curves.items():
            curve: ProfileCurve = getattr(self, name)
            columns |= {title: curve.position.tolist(), f"{name}_mean": curve.value.tolist()}
            if curve.error is not None:
                columns[f"{name}_error"] = curve.error.tolist()
        measures = self.measures.values()
        columns |= {"measure": list(self.measures), f"value_{self.unit}": [one.value for one in measures]}
        if self.radial.error is not None:
            columns[f"value_error_{self.unit}"] = [math.nan if one.error is None else one.error for one in measures]
        columns_csv.write(path, columns, overwrite)
