"""Mistakes in poses that were exchanged between programs, each with its cure."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..geometry.poses import Poses
from ..io.conventions import CENTRES
from .setup import Cure, Setup

_SEQUENCES = ("XZX", "ZXZ", "ZYZ", "XYX", "XYZ", "ZYX")  # axes of the angles that programs write
_OWN = "XZX"  # for poses that were not read from a file
_ALIKE = 1e-6


def of_poses(setup: Setup) -> Iterator[Cure]:
    """Yield cures for mistakes in the meaning of rotations and translations."""
    for name, mistake, rotation, translation in _MEANINGS:
        yield _meaning(name, mistake, rotation, translation)
    yield from _units(setup)
    yield from ROWS
    if any(n % 2 == 0 for n in setup.given.particle_shape):
        yield _centre(CENTRES[1 - CENTRES.index(setup.poses.centre)])


def of_angles(setup: Setup) -> Iterator[Cure]:
    """Yield cures for angles that follow another convention.

    The angles are those of the file, else those of the rotations in SPFluo's convention. Two sets of angles give the same
    rotation, and the rotation does not tell which set a program had written. Under a convention with three different axes
    the two sets differ, so such a convention is tested well only with the angles of the file.
    """
    angles, text = setup.poses.angles, "data.poses.angles"
    if angles is None:
        angles, text = _made(setup.poses.rotation), f'data.poses.rotation.as_euler("{_OWN}", degrees=True)'
    own = _OWN, ""
    for sequence in (case for name in _SEQUENCES for case in (name, name.lower())):
        for sign in ("", "-"):
            values = -angles if sign else angles
            if np.abs(_from_angles(sequence, values).as_matrix() - setup.poses.matrix).max() < _ALIKE:
                own = sequence, sign
                continue
            kind = "intrinsic" if sequence.isupper() else "extrinsic"
            mistake = f"the angles are {kind} angles about {sequence.upper()} (X is the stacks' first axis)"
            name = f"angles as {sequence}" + (", negated" if sign else "")
            name = "angles negated" if sign and own == (sequence, "") else name
            mistake += ", of opposite sign" if sign else ""
            yield _convention(name, mistake, sequence, sign, values, text)
    sequence, sign = own
    values = np.degrees(-angles if sign else angles)
    yield _convention("angles in radians", "the angles are in radians", sequence, sign, values, f"np.degrees({text})")


def _made(rotation: Rotation) -> NDArray:
    """Return a rotation's angles in SPFluo's convention."""
    with warnings.catch_warnings():  # at the poles (such as the identity) they are not unique, and any set is right
        warnings.filterwarnings("ignore", "Gimbal lock", UserWarning)
        return rotation.as_euler(_OWN, degrees=True)


def _rotation(name: str, r: Rotation) -> Rotation:
    """Change a rotation in the way that `_ROTATIONS` gives as Python code."""
    if name == "inverse":
        return r.inv()
    return Rotation.from_matrix(r.as_matrix()[:, ::-1, ::-1]) if name == "reversed" else r


def _translation(name: str, r: Rotation, t: NDArray) -> NDArray:
    """Change a translation, given its rotation, in the way that `_TRANSLATIONS` gives as Python code."""
    if name == "reversed":
        return t[:, ::-1]
    indices = {"turned": "nij,nj->ni", "turned back": "nji,nj->ni"}.get(name.removeprefix("minus "))
    rotated = t if indices is None else np.einsum(indices, r.as_matrix(), t)
    return rotated * _FACTORS.get(name, -1 if name.startswith("minus") else 1)


_FACTORS = {"none": 0, "half": 0.5, "double": 2}
_ROTATIONS = {
    "same": "p.rotation",
    "inverse": "p.rotation.inv()",
    "reversed": "Rotation.from_matrix(p.rotation.as_matrix()[:, ::-1, ::-1])",
}
_TRANSLATIONS = {
    "same": "p.translation",
    "minus": "-p.translation",
    "none": "0 * p.translation",
    "half": "0.5 * p.translation",
    "double": "2 * p.translation",
    "reversed": "p.translation[:, ::-1]",
    "turned": 'np.einsum("nij,nj->ni", p.matrix, p.translation)',
    "minus turned": '-np.einsum("nij,nj->ni", p.matrix, p.translation)',
    "turned back": 'np.einsum("nji,nj->ni", p.matrix, p.translation)',
    "minus turned back": '-np.einsum("nji,nj->ni", p.matrix, p.translation)',
}
_MEANINGS = (
    ("t of other sign", "the translations must be subtracted", "same", "minus"),
    ("t left out", "the particles are centred in their images already", "same", "none"),
    ("t halved", "the translations are twice too long (given twice, or binned by 2)", "same", "half"),
    ("t doubled", "the translations are half as long as they should be (binned by 2)", "same", "double"),
    ("t in x, y, z", "the translations are in the order x, y, z", "same", "reversed"),
    ("t turned by R", "the translations come before the rotation, R (p + t)", "same", "turned"),
    (
        "t turned by R, other sign",
        "the translations are subtracted before the rotation, R (p - t)",
        "same",
        "minus turned",
    ),
    ("t turned by 1/R", "the translations are rotated along with the image", "same", "turned back"),
    ("t turned by 1/R, other sign", "the translations are subtracted and rotated along", "same", "minus turned back"),
    ("rotations inverted", "the rotations take the image to the model", "inverse", "same"),
    (
        "inverted, t of other sign",
        "the rotations take the image to the model, t must be subtracted",
        "inverse",
        "minus",
    ),
    ("inverted, t turned by R", "the rotations take the image to the model, t rotated back", "inverse", "turned"),
    (
        "inverted, t turned by R, other sign",
        "the rotations take the image to the model, t subtracted",
        "inverse",
        "minus turned",
    ),
    (
        "inverted, t turned by 1/R",
        "the poses take the image to the model, t subtracted",
        "inverse",
        "turned back",
    ),
    ("inverted, t turned along", "the poses take the image to the model", "inverse", "minus turned back"),
    ("poses in x, y, z", "the poses are for vectors (x, y, z)", "reversed", "reversed"),
    ("rotations in x, y, z", "the rotations are for vectors (x, y, z)", "reversed", "same"),
)


def _meaning(name: str, mistake: str, rotation: str, translation: str) -> Cure:
    """Return a cure that changes the rotations and translations."""

    def undo(now: Setup) -> Setup:
        r, t = now.poses.rotation, now.poses.translation
        return _with(now, _rotation(rotation, r), _translation(translation, r, t))

    lines = "from scipy.spatial.transform import Rotation\n" if rotation == "reversed" else ""
    return Cure(name, mistake, lines + _code(_ROTATIONS[rotation], _TRANSLATIONS[translation]), undo)


def _units(setup: Setup) -> Iterator[Cure]:
    """Yield cures for translations in another unit."""
    if setup.given.known_voxel is None:
        return
    now = setup.poses.unit or "um"
    for unit, name in (("voxel", "voxels"), ("um", "micrometres")):
        if unit == now:
            continue
        yield Cure(
            f"t in {name}",
            f"the translations are in {name}",
            _code("p.rotation", "p.translation", unit=f'"{unit}"'),
            partial(_unit, unit=unit),
        )


def _unit(setup: Setup, unit: str) -> Setup:
    return _with(setup, setup.poses.rotation, setup.poses.translation, unit=unit)


def _rows(step: int) -> Cure:
    """Return the cure that gives each particle the pose of its neighbour."""
    lines = f"k = np.roll(np.arange(len(data)), {step})\n" + _code("p.rotation[k]", "p.translation[k]")
    return Cure(
        f"rows moved by {step}",
        f"each particle has the pose of the one {'before' if step < 0 else 'after'} it",
        lines,
        partial(_rolled, step=step),
    )


def _rolled(setup: Setup, step: int) -> Setup:
    poses, order = setup.poses, np.roll(np.arange(len(setup.poses)), step)
    return _with(setup, poses.rotation[order], poses.translation[order])


def _centre(other: str) -> Cure:
    """Return the cure that puts the centre of rotation at another point of the box."""
    lines = _code("p.rotation", "p.translation", centre=f'"{other}"')
    mistake = f"the rotations are about the point {other} of a box of n voxels"
    return Cure(
        f"centre {other}",
        mistake,
        lines,
        lambda now: _with(now, now.poses.rotation, now.poses.translation, centre=other),
    )


def _convention(name: str, mistake: str, sequence: str, factor: str, values: NDArray, angles: str) -> Cure:
    """Return the cure that reads the same angles in another convention."""
    lines = (
        "from scipy.spatial.transform import Rotation\n"
        + f"angles = {angles}\n"
        + _code(f'Rotation.from_euler("{sequence}", {factor}angles, degrees=True)', "p.translation")
    )
    return Cure(name, mistake, lines, lambda now: _with(now, _from_angles(sequence, values), now.poses.translation))


def _with(setup: Setup, rotation: Rotation, translation: NDArray, **meaning: Any) -> Setup:
    """Return a setup with other poses; their names, unit and centre stay unless ``meaning`` changes them."""
    old = setup.poses
    kept = {"names": old.names, "unit": old.unit, "centre": old.centre, "two_fold": old.two_fold}
    return replace(setup, poses=Poses(rotation, translation, **(kept | meaning)))


def _code(rotation: str, translation: str, unit: str = "p.unit", centre: str = "p.centre") -> str:
    """Return the Python code of `_with`."""
    made = f"fastmpr.Poses({rotation}, {translation}, names=p.names, unit={unit}, centre={centre}, two_fold=p.two_fold)"
    return f"p = data.poses\ndata = data.replace(poses={made})"


def _from_angles(sequence: str, angles: NDArray) -> Rotation:
    return Rotation.from_euler(sequence, angles, degrees=True)


ROWS = tuple(map(_rows, (-1, 1)))
