"""Poses: how each particle lies in its image."""

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
from .rotations import as_rotation, as_translation, frozen
from .stored import StoredPoses
from .symmetry import TWO_FOLDS, as_group, as_symmetry

_DRAWN, _GIVEN = 210, 400  # bytes of a pose while it is made, at random or of a matrix


class Poses(StoredPoses):
    """The poses of N particles: a rotation R and a translation t each.

    A point at p from the centre of the model lies at ``R p + t`` from the centre of the particle image.
    Vectors are (z, y, x). A `Poses` never changes after it has been made.

    Parameters
    ----------
    rotation : scipy.spatial.transform.Rotation or array_like, shape (N, 3, 3) or (3, 3)
        Rotations that act on (z, y, x) vectors, or their matrices.
    translation : array_like, shape (N, 3), optional
        Translations (z, y, x); zero by default.
    names : sequence of str, optional
        The name of each particle, such as its file's.
    unit : {"voxel", "um", "nm", "A"}, optional
        Of the translations; by default that of the ``voxel_size`` they are used with, thus voxels where there is none.
    centre : {"(n - 1) / 2", "n // 2"}
        Of a box of n voxels: the point that the rotations are about. ``"n // 2"`` is that of RELION, Xmipp and Dynamo, and
        the middle of a voxel; boxes of odd n know no difference.
    two_fold : {"y", "x"}
        Of the model of a dihedral particle (``symmetry="D3"``): where a two-fold axis lies if the n-fold one is z, and
        nothing else is said. ``"x"`` is RELION's; groups of even n know no difference.

    Raises
    ------
    ValueError
        Where a matrix is not a rotation to 1e-4 (it is never made one silently), where something is not
        finite, or where the counts differ.

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

    __slots__ = (
        "_angles",
        "_boxes",
        "_centre",
        "_matrix",
        "_names",
        "_rotation",
        "_translation",
        "_two_fold",
        "_unit",
    )

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
        """The translations, shape (N, 3), read-only."""
        return self._translation

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the particles, or None."""
        return self._names

    @property
    def unit(self) -> str | None:
        """The unit of the translations; None is that of the voxel size they are used with."""
        return self._unit

    @property
    def centre(self) -> str:
        """The point of a box of n voxels that the rotations are about, "(n - 1) / 2" or "n // 2"."""
        return self._centre

    @property
    def two_fold(self) -> str:
        """The axis of the model, "y" or "x", along which a dihedral particle has a two-fold axis."""
        return self._two_fold

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The rotations as matrices, shape (N, 3, 3), read-only."""
        return self._matrix

    def __len__(self) -> int:
        return len(self._matrix)

    def __getitem__(self, index: Any) -> Poses:
        """Return some of the poses, by a slice, places or a mask; an integer gives a `Poses` of length 1."""
        chosen = as_places(index, len(self))
        return self._chosen(chosen, None if self._names is None else [self._names[i] for i in chosen.tolist()])

    def __iter__(self) -> Iterator[Poses]:
        return (self[i] for i in range(len(self)))

    def __setstate__(self, state: Any) -> None:
        for name, value in state[1].items():  # a pickled array can be written to again
            setattr(self, name, frozen(value) if isinstance(value, np.ndarray) else value)

    def __repr__(self) -> str:
        return f"<Poses of {len(self)} particle{'s' if len(self) != 1 else ''}>"

    def symmetrized(
        self, symmetry: str, symmetry_axis: ArrayLike | None = None, symmetry_centre: ArrayLike | None = None
    ) -> Poses:
        """Return every pose together with those that a symmetric particle cannot tell from it.

        A model that a rotation g leaves unchanged looks the same in the pose R and in the pose R g.

        Parameters
        ----------
        symmetry : str
            "C1", "C2", ...: cyclic, about the z axis (array axis 0); "D1", ...: with a two-fold axis along `two_fold`.
        symmetry_axis, symmetry_centre : (z, y, x), optional
            As those of `Dataset`, in the unit of the translations.

        Returns
        -------
        Poses
            N * n poses, n being the number of elements of the group. The n poses of one particle stand together, its own
            first: pose ``i * n + k`` is R_i g_k with the name of particle i, and t + R_i (c - g_k c) about a centre c.

        Raises
        ------
        ValueError
            For any other symmetry, and for what is no axis or centre.

        Examples
        --------
        >>> poses = Poses.random(4, rng=0)
        >>> len(poses.symmetrized("C9")), len(poses.symmetrized("D9"))
        (36, 72)
        """
        symmetry = "" if symmetry is None else symmetry  # None is no symmetry to ask for
        axis, centre = as_symmetry(symmetry, symmetry_axis, symmetry_centre)
        group = as_group(symmetry, axis, self._two_fold)
        check_memory("symmetry", symmetry, _GIVEN * len(self) * len(group), "fewer poses, or Dataset(symmetry=)")
        matrices = (self._matrix[:, np.newaxis] @ group).reshape(-1, 3, 3)
        names = None if self._names is None else [name for name in self._names for _ in group]
        shifts = self._matrix @ (np.array(centre) - group @ centre).T  # (N, 3, n)
        translations = self._translation[:, np.newaxis] + shifts.transpose(0, 2, 1)
        return self._with(matrices, translations.reshape(-1, 3), names)

    def in_unit_of(self, voxel_size: float | Vector | None) -> Poses:
        """Return the same poses with translations in the unit of a voxel size.

        Parameters
        ----------
        voxel_size : float or (z, y, x) or None
            Of the particles, in micrometres; None where it is not known and lengths are in voxels.

        Raises
        ------
        ValueError
            If translations are in a unit of length and the voxel size is not known.

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
        """Return the same poses, with rotations about the middle (n - 1) / 2 of a box of n voxels.

        What turns about voxel n // 2, which lies at d from the middle, moves the middle: t becomes t + (1 - R) d. Model and
        image then keep their voxels. The axes of a symmetric particle must pass through the middle of the model, so there
        the model is moved by what of d the symmetry does not leave unchanged: t becomes t + d - R P d, where P is the mean
        of the group.

        Parameters
        ----------
        shape : int or (nz, ny, nx)
            Of a particle image.
        voxel_size : float or (z, y, x), optional
            Of the particles, in micrometres; the translations become lengths (see `in_unit_of`).
        symmetry, symmetry_axis : optional
            Of the particle, where each of these poses stands for all that it cannot tell from it; as in `symmetrized`.

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
        translation = poses.translation + delta - self._matrix @ kept
        return self._changed(translation=translation, unit=None, centre=MIDDLE)

    def matched(self, names: Sequence[str]) -> Poses:
        """Return the poses of these particles, in this order.

        Names are compared whole, then whatever their form of Unicode and their slashes, then by their last part alone
        (``0.tiff`` of ``particles/0.tiff``): in the first way that finds all.

        Parameters
        ----------
        names : sequence of str
            The names of the particles.

        Returns
        -------
        Poses
            As many poses as names, under the given names.

        Raises
        ------
        ValueError
            If the poses have no names, or if a name is not found exactly once.

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
            How many.
        max_translation : float
            Each component of a translation is uniform in [-max_translation, max_translation]: a cube.
        rng : numpy.random.Generator or int, optional
            The source of randomness, or its seed.

        Returns
        -------
        Poses
            With rotations uniform over all rotations.

        Raises
        ------
        ValueError
            If a number is out of its range.
        MemoryError
            If they cannot fit into what this process may use.

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
        """Return some of the poses, by their places, under names."""
        poses = self._with(self._rotation[places], self._translation[places], names)
        poses._angles = None if self._angles is None else frozen(self._angles[places])
        poses._boxes = None if self._boxes is None else frozen(self._boxes[places])
        return poses

    def _with(self, rotation: Any, translation: Any, names: Iterable[str] | None) -> Poses:
        """Return other poses that mean the same by their translations."""
        return self._changed(rotation=rotation, translation=translation, names=names)

    def _changed(self, **changes: Any) -> Poses:
        """Return poses made of the same arguments but for some."""
        names = ("rotation", "translation", "names", "unit", "centre", "two_fold")
        return Poses(**({name: getattr(self, f"_{name}") for name in names} | changes))
