"""Poses: how the particle lies in each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from .._validation import (
    LONGEST,
    Size,
    Vector,
    as_choice,
    as_count,
    as_names,
    as_number,
    as_places,
    as_rng,
    as_voxel_size,
)
from ..io.conventions import CENTRES, MICROMETRES, MIDDLE, beside_voxel, off_middle
from ..io.particles import places_of
from ..runtime.limits import check_memory
from .arguments import as_offset, as_one_rotation, as_rotation, as_translation, frozen
from .stored import StoredPoses
from .symmetry import TWO_FOLDS, as_group, as_symmetry

_DRAWN, _GIVEN = 210, 400  # bytes that a pose takes while it is made, at random or from a matrix


class Poses(StoredPoses):
    """The poses of N particles: a rotation R and a translation t each.

    A point at p from the centre of the model lies at ``R p + t`` from the centre of the particle image.
    Vectors are (z, y, x). A `Poses` is immutable.

    Parameters
    ----------
    rotation : scipy.spatial.transform.Rotation or array_like, shape (N, 3, 3) or (3, 3)
        Rotations that act on (z, y, x) vectors, or their matrices.
    translation : array_like, shape (N, 3), optional
        Translations (z, y, x); zero by default.
    names : sequence of str, optional
        The name of each particle, such as its file's.
    unit : {"voxel", "um", "nm", "A"}, optional
        Of the translations; by default that of the ``voxel_size`` they are used with, so voxels where there is none.
    centre : {"(n - 1) / 2", "n // 2"}
        The point of a box of n voxels that the rotations are about. ``"n // 2"``, the middle of a voxel, is that of RELION,
        Xmipp and Dynamo. For odd n both are the same.
    two_fold : {"y", "x"}
        The two-fold axis of a dihedral particle (``symmetry="D3"``) whose n-fold axis is z, where ``symmetry_axis`` does
        not give both. ``"x"`` is RELION's. For even n both are two-fold axes.

    Raises
    ------
    ValueError
        If a matrix is off a rotation by more than 1e-4 (none is made orthonormal silently), a value is not finite, or the
        counts differ.

    Examples
    --------
    >>> import numpy as np
    >>> quarter_turn = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # about z, array axis 0: takes y to x
    >>> poses = Poses([np.eye(3), quarter_turn], [[0, 0, 0], [0, 2, 0]], names=["a", "b"])
    >>> len(poses), poses[1].names
    (2, ('b',))
    >>> poses.matrix @ [0, 1, 0] + poses.translation  # where each image shows the point one step along y
    array([[0., 1., 0.],
           [0., 2., 1.]])
    """

    __slots__ = ("_angles", "_boxes", "_centre", "_matrix", "_names", "_rotation", "_translation", "_two_fold", "_unit")

    def __init__(
        self,
        rotation: Rotation | ArrayLike,
        translation: ArrayLike | None = None,
        *,
        names: Iterable[str] | None = None,
        unit: str | None = None,
        centre: str = MIDDLE,
        two_fold: str = "y",
    ) -> None:
        self._unit = None if unit is None else as_choice(unit, "unit", ("voxel", *MICROMETRES))
        self._centre = as_choice(centre, "centre", CENTRES)
        self._two_fold = as_choice(two_fold, "two_fold", TWO_FOLDS)
        self._rotation = as_rotation(rotation)
        self._matrix = frozen(self._rotation.as_matrix())
        self._translation = frozen(as_translation(translation, len(self._matrix)))
        self._names = None if names is None else as_names(names, len(self._matrix))
        self._angles = self._boxes = None

    @property
    def rotation(self) -> Rotation:
        """The rotations, a scipy `Rotation` of length N; a copy, since a `Rotation` can be written to."""
        return self._rotation[:]

    @property
    def translation(self) -> NDArray[np.float64]:
        """The translations, shape (N, 3); a copy, since `Rotation.apply` of SciPy 1.17 refuses read-only arrays."""
        return self._translation.copy()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the particles, or None."""
        return self._names

    @property
    def unit(self) -> str | None:
        """The unit of the translations; None means that of the voxel size they are used with."""
        return self._unit

    @property
    def centre(self) -> str:
        """The point of a box of n voxels that the rotations are about, "(n - 1) / 2" or "n // 2"."""
        return self._centre

    @property
    def two_fold(self) -> str:
        """The two-fold axis, "y" or "x", of a dihedral particle whose n-fold axis is z."""
        return self._two_fold

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The rotations as matrices, shape (N, 3, 3), read-only."""
        return self._matrix

    def __len__(self) -> int:
        return len(self._matrix)

    def __getitem__(self, index: Any) -> Poses:
        """Return some of the poses, by a slice, indices or a mask; an integer gives a `Poses` of length 1."""
        chosen = as_places(index, len(self))
        return self._chosen(chosen, None if self._names is None else [self._names[i] for i in chosen.tolist()])

    def __iter__(self) -> Iterator[Poses]:
        return (self[i] for i in range(len(self)))

    def __setstate__(self, state: Any) -> None:
        for name, value in state[1].items():  # an unpickled array is writable
            setattr(self, name, frozen(value) if isinstance(value, np.ndarray) else value)

    def __repr__(self) -> str:
        return f"<Poses of {len(self)} particle{'s' if len(self) != 1 else ''}>"

    def symmetrized(
        self, symmetry: str, symmetry_axis: ArrayLike | None = None, symmetry_centre: ArrayLike | None = None
    ) -> Poses:
        """Return each pose together with those in which a symmetric particle looks the same.

        A model that a rotation g leaves unchanged looks the same in the poses R and R g.

        Parameters
        ----------
        symmetry : str
            "C1", "C2", ...: cyclic, about z (array axis 0); "D1", ...: dihedral, with a two-fold axis along `two_fold`.
        symmetry_axis, symmetry_centre : (z, y, x), optional
            As in `Dataset`; the centre in the unit of the translations.

        Returns
        -------
        Poses
            N * n poses, for the n elements of the group. The n poses of a particle follow one another, its own first:
            pose ``i * n + k`` is R_i g_k, with the name of particle i and, about a centre c, t_i + R_i (c - g_k c).

        Raises
        ------
        ValueError
            For any other symmetry, and where an axis or a centre is not one.

        Examples
        --------
        >>> poses = Poses.random(4, rng=0)
        >>> len(poses.symmetrized("C9")), len(poses.symmetrized("D9"))
        (36, 72)
        """
        symmetry = "" if symmetry is None else symmetry  # here None is refused
        axis, centre = as_symmetry(symmetry, symmetry_axis, symmetry_centre)
        group = as_group(symmetry, axis, self._two_fold)
        check_memory("symmetry", symmetry, _GIVEN * len(self) * len(group), "fewer poses, or Dataset(symmetry=)")
        matrices = (self._matrix[:, np.newaxis] @ group).reshape(-1, 3, 3)
        names = None if self._names is None else [name for name in self._names for _ in group]
        shifts = self._matrix @ (np.array(centre) - group @ centre).T  # (N, 3, n)
        translations = self._translation[:, np.newaxis] + shifts.transpose(0, 2, 1)
        return self._with(matrices, translations.reshape(-1, 3), names)

    def moved(self, rotation: Rotation | ArrayLike | None = None, shift: ArrayLike | None = None) -> Poses:
        """Return the poses of the same views in a model that is rotated by Q and then shifted by s.

        A point at p from the centre of the model moves to Q p + s. The views stay as they are where
        R' = R Q^-1 and t' = t - R' s, since then R' (Q p + s) + t' = R p + t.

        Parameters
        ----------
        rotation : scipy.spatial.transform.Rotation or array_like, shape (3, 3), optional
            Q, one rotation that acts on (z, y, x) vectors; by default none.
        shift : (z, y, x), optional
            s, in the unit of the translations; by default zero.

        Returns
        -------
        Poses
            With the same names, unit and centre.

        Raises
        ------
        ValueError, TypeError
            Where ``rotation`` is not one rotation, or ``shift`` not three finite numbers.

        Notes
        -----
        The axes of a symmetric particle move with the model: ``symmetry_axis`` a becomes Q a, also the default z, and
        ``symmetry_centre`` c becomes Q c + s. Translations in voxels that are not cubes have another unit on each axis, so
        take lengths: ``poses.in_unit_of(voxel_size).moved(...)``.

        Examples
        --------
        >>> import numpy as np
        >>> poses = Poses.random(5, max_translation=2, rng=0)
        >>> quarter_turn, shift = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), [3, 0, 0]  # about x: takes y to z
        >>> moved = poses.moved(quarter_turn, shift)
        >>> tip = np.array([0, 7, 0])  # a point of the model
        >>> before, after = poses.matrix @ tip, moved.matrix @ (quarter_turn @ tip + shift)
        >>> np.allclose(before + poses.translation, after + moved.translation)
        True
        """
        turned = self._rotation * as_one_rotation(rotation).inv()
        translation = self._translation - turned.as_matrix() @ np.array(as_offset(shift, "shift"))
        poses = self._with(turned, translation, self._names)
        poses._boxes = self._boxes  # of the images, which are the same
        return poses

    def in_unit_of(self, voxel_size: float | Vector | None) -> Poses:
        """Return the same poses with translations in micrometres, or in voxels where the voxel size is not known.

        Parameters
        ----------
        voxel_size : float or (z, y, x) or None
            Of the particles, in micrometres; None where it is not known.

        Raises
        ------
        ValueError
            If the translations are in a unit of length and the voxel size is not known.

        Examples
        --------
        >>> import numpy as np
        >>> poses = Poses(np.eye(3), [1, 2, 3], unit="voxel")
        >>> poses.in_unit_of((0.3, 0.1, 0.1)).translation
        array([[0.3, 0.2, 0.3]])
        """
        voxel = None if voxel_size is None else as_voxel_size(voxel_size)
        if self._unit is None or (self._unit == "voxel" and voxel is None):
            return self
        translation = beside_voxel(self._translation, self._unit, voxel)
        return self._changed(translation=translation, unit=None)

    def about_middle(
        self,
        shape: int | Size,
        voxel_size: Vector | float | None = None,
        symmetry: str | None = None,
        symmetry_axis: ArrayLike | None = None,
    ) -> Poses:
        """Return the same poses with rotations about the middle (n - 1) / 2 of a box of n voxels.

        Voxel n // 2 lies at d from the middle. A rotation about it moves the middle, so t becomes t + (1 - R) d, and model
        and images stay as they are. The axes of a symmetric particle must pass through the middle of the model. So the
        model is shifted by the part of d that the symmetry does not leave unchanged: with P, the mean of the group, t
        becomes t + d - R P d.

        Parameters
        ----------
        shape : int or (nz, ny, nx)
            Of a particle image.
        voxel_size : float or (z, y, x), optional
            Of the particles, in micrometres; the translations become lengths (see `in_unit_of`).
        symmetry, symmetry_axis : optional
            Of a symmetric particle, as in `symmetrized`.

        Examples
        --------
        >>> poses = Poses([[1, 0, 0], [0, -1, 0], [0, 0, -1]], centre="n // 2")  # half a turn about z
        >>> poses.about_middle((32, 32, 32)).translation
        array([[0., 1., 1.]])
        """
        voxel = None if voxel_size is None else as_voxel_size(voxel_size)
        poses = self.in_unit_of(voxel)
        if self._centre == MIDDLE:
            return poses
        delta = off_middle(shape, 1.0 if voxel is None else voxel)
        kept = as_group(symmetry, symmetry_axis, self._two_fold).mean(axis=0) @ delta
        translation = poses._translation + delta - self._matrix @ kept
        return self._changed(translation=translation, unit=None, centre=MIDDLE)

    def matched(self, names: Sequence[str]) -> Poses:
        """Return the poses of the particles with these names, in this order.

        Names are compared as they are; then without regard to the form of Unicode and the kind of slash; then by their last
        part (``0.tiff`` of ``particles/0.tiff``). The first of these that finds all names counts.

        Parameters
        ----------
        names : sequence of str
            The names of the particles.

        Returns
        -------
        Poses
            One pose for each name, under that name.

        Raises
        ------
        ValueError
            If the poses have no names, or a name is not found exactly once.

        Examples
        --------
        >>> import numpy as np
        >>> names = ["particles/0.tiff", "particles/1.tiff"]
        >>> poses = Poses([np.eye(3)] * 2, [[0, 0, 0], [1, 1, 1]], names=names)
        >>> poses.matched(["1.tiff"]).translation
        array([[1., 1., 1.]])
        """
        if self._names is None:
            raise ValueError("poses: found no names, need them to tell which pose belongs to which particle")
        names = as_names(names)
        return self._chosen(places_of(names, self._names), names)

    @classmethod
    def random(cls, n: int, *, max_translation: float = 0.0, rng: np.random.Generator | int | None = None) -> Poses:
        """Return n random poses.

        Parameters
        ----------
        n : int
            Number of poses.
        max_translation : float
            Each component of a translation is uniform in [-max_translation, max_translation].
        rng : numpy.random.Generator or int, optional
            A random generator, or a seed for one.

        Returns
        -------
        Poses
            With rotations uniform over all rotations.

        Raises
        ------
        ValueError
            If a number is out of its range.
        MemoryError
            If they cannot fit in the memory that this process may use.

        Examples
        --------
        >>> Poses.random(3, max_translation=2.0, rng=1)
        <Poses of 3 particles>
        """
        n = as_count(n, "n")
        check_memory("n", n, _DRAWN * n)
        most = as_number(max_translation, "max_translation", 0, LONGEST, f"a number from 0 to {LONGEST:g}")
        rng = as_rng(rng)
        # the direction of a Gaussian vector is uniform: four components make a uniform quaternion
        rotation = Rotation.from_quat(rng.standard_normal((n, 4)))
        return cls(rotation, rng.uniform(-most, most, (n, 3)))

    def _chosen(self, places: Any, names: Iterable[str] | None) -> Poses:
        """Return the poses at some places, with these names."""
        poses = self._with(self._rotation[places], self._translation[places], names)
        poses._angles = None if self._angles is None else frozen(self._angles[places])
        poses._boxes = None if self._boxes is None else frozen(self._boxes[places])
        return poses

    def _with(self, rotation: Any, translation: Any, names: Iterable[str] | None) -> Poses:
        """Return other poses with the same meaning: unit, centre and two-fold axis."""
        return self._changed(rotation=rotation, translation=translation, names=names)

    def _changed(self, **changes: Any) -> Poses:
        """Return poses made of the same arguments, except for some."""
        names = ("rotation", "translation", "names", "unit", "centre", "two_fold")
        return Poses(**({name: getattr(self, f"_{name}") for name in names} | changes))
