"""What `Poses` have of files: reading, writing, and what stood there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._validation import Size, Vector, as_voxel_size
from ..io import pose_format
from ..io.conventions import translations_for
from .rotations import frozen


class StoredPoses:
    """Poses that are read from files, know what stood there, and are written."""

    __slots__ = ()

    _rotation: Rotation
    _names: tuple[str, ...] | None
    _two_fold: str
    _angles: NDArray[np.float64] | None
    _boxes: NDArray[np.float64] | None

    @property
    def angles(self) -> NDArray[np.float64] | None:
        """The angles as they stood in the file, in degrees, shape (N, 3), read-only; None where there was no file."""
        return self._angles

    @property
    def boxes(self) -> NDArray[np.float64] | None:
        """The side of a pixel in micrometres and of a box in pixels that a file says each pose is of, shape (N, 2).

        Read-only; None where there was no file, or where it says nothing.
        """
        return self._boxes

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read poses from a file, its kind told by its suffix.

        Parameters
        ----------
        path : path
            ``.csv``: SPFluo's, with translations in voxels. ``.star``: RELION's, with translations in micrometres (its
            angstroms times 1e-4), rotations about voxel n // 2, and the two-fold axis of a dihedral particle along x.
            `unit`, `centre` and `two_fold` say which.

        Returns
        -------
        Poses
            With the names of the particles where the file has them.

        Raises
        ------
        ValueError, OSError
            Naming the file, and the line or the column where there is one.
        """
        table = (reader := pose_format(path)).read(path)
        meaning = {"unit": reader.UNIT, "centre": reader.CENTRE, "two_fold": table.two_fold}
        try:
            poses: Any = cls(table.rotation, table.translation, names=table.names, **meaning)  # type: ignore[call-arg]
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        poses._angles = frozen(table.angles.copy())
        poses._boxes = None if table.boxes is None else frozen(table.boxes)
        return poses

    def write(
        self,
        path: str | Path,
        overwrite: bool = False,
        *,
        shape: int | Size | None = None,
        voxel_size: Vector | float | None = None,
    ) -> None:
        """Write the poses to a ``.csv`` or ``.star`` file, whole or not at all.

        Parameters
        ----------
        path : path
            Translations without a unit are taken to be in that which the format keeps: voxels in a ``.csv``, micrometres in
            a ``.star``. A ``.csv`` calls poses without names 0, 1, 2 and so on, and does not keep `two_fold`; a ``.star``
            keeps it in a comment where it is not RELION's.
        overwrite : bool
            Whether a file that is there already may be replaced.
        shape : int or (nz, ny, nx), optional
            Of a particle, needed where the format's rotations are not about the same `centre`: about (n - 1) / 2 in a
            ``.csv``, about n // 2 in a ``.star``.
        voxel_size : float or (z, y, x), optional
            Of the particles, in micrometres, needed to go from voxels to lengths or back, and to another centre.

        Raises
        ------
        ValueError
            For another suffix, or if a shape or a voxel size is needed and not given.
        OSError
            If the file exists already, or its folder is missing or cannot be written in.

        Examples
        --------
        >>> import tempfile
        >>> from fastmpr import Poses
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "poses.csv"
        ...     Poses.random(2, rng=0).write(path)
        ...     Poses.read(path).names
        ('0', '1')
        """
        writer = pose_format(path)
        voxel = None if voxel_size is None else as_voxel_size(voxel_size)
        translation = translations_for(path, writer, self, shape, voxel)
        writer.write(path, self._rotation, translation, self._names, overwrite, self._two_fold)
