"""`Poses` in files: reading and writing them, and what a file says beside the poses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._validation import Size, Vector, as_voxel_size
from ..io import pose_format
from ..io.conventions import translations_for
from ..io.formats import pose_reader
from .arguments import frozen


class StoredPoses:
    """What `Poses` do with files."""

    __slots__ = ()

    _rotation: Rotation
    _translation: NDArray[np.float64]
    _unit: str | None
    _centre: str
    _names: tuple[str, ...] | None
    _two_fold: str
    _angles: NDArray[np.float64] | None
    _boxes: NDArray[np.float64] | None

    @property
    def angles(self) -> NDArray[np.float64] | None:
        """The angles as they stand in the file, in degrees, shape (N, 3), read-only; None where no file was read."""
        return self._angles

    @property
    def boxes(self) -> NDArray[np.float64] | None:
        """For each pose, the side of a pixel in micrometres and of the box in pixels, as the file says, shape (N, 2).

        Read-only; None where no file was read, or where it does not say.
        """
        return self._boxes

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read poses from a ``.csv`` or ``.star`` file.

        Parameters
        ----------
        path : path
            ``.csv``: as SPFluo writes it, with translations in voxels. ``.star``: as RELION writes it; its angstroms become
            micrometres, its rotations are about voxel n // 2, and a dihedral particle has a two-fold axis along x. A
            ``.csv`` whose first line begins with ``# fastmpr poses`` says its own. `unit`, `centre` and `two_fold` of the
            poses say so.

        Returns
        -------
        Poses
            With the names of the particles where the file has them.

        Raises
        ------
        ValueError, OSError
            Naming the file, and the line or the column where one is at fault.
        """
        table = (reader := pose_reader(path)).read(path)
        states = hasattr(reader, "STATES_MEANING")
        unit, centre = (table.unit, table.centre) if states else (reader.UNIT, reader.CENTRE)
        meaning = {"unit": unit, "centre": centre, "two_fold": table.two_fold}
        try:
            poses: Any = cls(table.rotation, table.translation, names=table.names, **meaning)  # type: ignore[call-arg]
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        poses._angles = None if table.angles is None else frozen(table.angles.copy())
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
            Translations without a unit are taken for voxels in a ``.csv`` and for micrometres in a ``.star``. In a
            ``.csv``, poses without names are called 0, 1, 2, ..., and `two_fold` is lost; a ``.star`` keeps it in a
            comment where it is not RELION's. A ``.poses.csv`` is a format of this library: its first line says unit,
            centre and `two_fold`, so that all is kept and nothing is converted.
        overwrite : bool
            Whether an existing file may be replaced.
        shape : int or (nz, ny, nx), optional
            Of a particle. Needed where the rotations of the format are about another `centre`: (n - 1) / 2 in a ``.csv``,
            n // 2 in a ``.star``.
        voxel_size : float or (z, y, x), optional
            Of the particles, in micrometres. Needed to convert voxels to lengths or back, and to change the centre. A
            ``.star`` keeps it as the pixel of its optics group, if it is the same on all axes.

        Raises
        ------
        ValueError
            For another suffix, or where a shape or a voxel size is needed and not given.
        OSError
            If the file exists already, or its folder is missing or not writable.

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
        if hasattr(writer, "STATES_MEANING"):
            writer.write(
                path,
                self._rotation,
                self._translation,
                self._names,
                overwrite,
                self._two_fold,
                unit=self._unit,
                centre=self._centre,
            )
            return
        translation = translations_for(path, writer, self, shape, voxel)
        kept: dict[str, Any] = {"voxel_size": voxel} if hasattr(writer, "KEEPS_VOXEL_SIZE") else {}
        writer.write(path, self._rotation, translation, self._names, overwrite, self._two_fold, **kept)
