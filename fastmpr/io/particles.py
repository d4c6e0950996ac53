"""Particles in files: a folder of volumes, or one stack, read one particle at a time."""

from __future__ import annotations

import re
import unicodedata
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from glob import glob, has_magic
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector, as_shape, as_volume, as_voxel_size
from .files import FileError, as_path, check_fits_memory
from .formats import is_folder, opened, split_name, volumes
from .lists import Listed, files_listed, is_list
from .stored import Volume, stack_axes, tell_slip, volume_of, voxel_size_of

_SHOWN = 80  # characters of a name in an error


class Choice(NamedTuple):
    """Which channel, frame and image of each file are meant, by number or name; None: the only one."""

    channel: int | str | None = None
    frame: int | None = None
    scene: int | str | None = None


_ONLY = Choice()


class ParticleFiles(Sequence[NDArray]):
    """A sequence of volumes, each in a file of its own or one of a 4-D stack, in the order of a list.

    Parameters
    ----------
    files : sequence of Listed
        At least one; they may have different formats.
    names : sequence of str
        Names of the particles.
    voxel_size : (float, float, float), optional
        Counts in place of the voxel size in the files, which must agree with each other all the same.
    choice : Choice, optional
        What is read of each file.

    Attributes
    ----------
    names : tuple of str
    shape : (int, int, int)
        Shape of every particle.
    voxel_size : (float, float, float) or None
        (z, y, x) in micrometres; None if unknown.

    Raises
    ------
    ValueError
        If no file is a volume; on reading a particle, if its shape or voxel size differs from the first particle's.
    """

    def __init__(
        self,
        files: Sequence[Listed],
        names: Sequence[str],
        voxel_size: Vector | None = None,
        choice: Choice = _ONLY,
    ) -> None:
        self._files, self._numbers = [one.file for one in files], [one.number for one in files]
        self.names, self._given, self._choice = tuple(names), voxel_size, choice
        self._stack: ParticleStack | None = None  # the last one that was read
        self.thread_safe = not any(self._numbers)
        self._first, first = self._first_sound()
        self.shape, self.voxel_size, self._said = first.values.shape, first.voxel_size, first.said
        self._kept: dict[int, Volume | None] = {
            self._first: first
        }  # until its first use, so that no file is read twice
        tell_slip(self._files[self._first], voxel_size, first.said)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> Any:
        """Read particle ``index``, float32 or float64."""
        i = range(len(self))[index]
        file = self._files[i]
        particle, voxel_size, said = self._kept.pop(i, None) or self._read(i)
        first = self._files[self._first].name
        if particle.shape != self.shape:
            raise ValueError(f"{file}: found shape {particle.shape}, need {self.shape} as in {first}")
        if not _agree(voxel_size, self.voxel_size):
            raise ValueError(f"{file}: found voxel size {voxel_size}, need {self.voxel_size} as in {first}")
        if said is not None and self._said is not None and not _agree(said, self._said):
            raise ValueError(f"{file}: found voxel size {said} in this file, need {self._said} as in {first}")
        return particle

    def _read(self, i: int) -> Volume:
        if (number := self._numbers[i]) is not None:
            if self._stack is None or self._stack.path != self._files[i]:
                self._stack = ParticleStack(self._files[i], self._given, self._choice)
            return self._stack.volume(number)
        with opened(self._files[i], self._choice.scene) as stored:
            return volume_of(stored, self._given, self._choice.channel, self._choice.frame)

    def _first_sound(self) -> tuple[int, Volume]:
        """Return the first file that can be read, which tells the shape; an error if none can.

        A file that is broken raises its error when its own particle is read, wherever it stands.
        """
        broken: Exception | None = None
        for i in range(len(self)):
            try:
                return i, self._read(i)
            except (ValueError, OSError) as error:
                broken = broken or error
        assert broken is not None
        raise broken


class ParticleFolder(ParticleFiles):
    """The volumes in a folder, in the natural order of their names: 2.tif before 10.tif.

    Parameters
    ----------
    path : path
        A folder with volumes of one format (see `formats`). Other files, hidden files and folders are ignored.
    voxel_size, choice : optional
        As in `ParticleFiles`.

    Attributes
    ----------
    names : tuple of str
        Names of the particles, with the folder's name in front: ``particles/0.tiff``.

    Raises
    ------
    ValueError
        If the folder has no volume, or volumes of several formats.
    """

    def __init__(self, path: str | Path, voxel_size: Vector | None = None, choice: Choice = _ONLY) -> None:
        self.path = Path(path)
        files = _volumes_in(self.path)
        folder = self.path.resolve().name
        names = [f"{folder}/{file.name}" for file in files]
        super().__init__([Listed(file) for file in files], names, voxel_size, choice)


class ParticleStack(Sequence[NDArray]):
    """The volumes of a 4-D file (n, z, y, x), read one at a time; a 3-D file is a stack of one volume.

    Parameters
    ----------
    path : path
    voxel_size, choice : optional
        As in `ParticleFiles`.

    Attributes
    ----------
    shape : (int, int, int)
        Shape of one volume.
    voxel_size : (float, float, float) or None
        (z, y, x) in micrometres.
    thread_safe : bool
    """

    names = None

    def __init__(self, path: Path, voxel_size: Vector | None = None, choice: Choice = _ONLY) -> None:
        self._arguments, self.path = (path, voxel_size, choice), path
        with ExitStack() as files:
            self._stored = files.enter_context(opened(path, choice.scene))
            self._axes, self._fixed, self._count = stack_axes(self._stored, choice.channel, choice.frame)
            self._n = 1 if self._count is None else self._stored.shape[self._count]
            self.shape = as_shape([self._stored.shape[self._axes.index(axis)] for axis in "ZYX"])
            self.voxel_size, self._said = voxel_size_of(self._stored, voxel_size)
            check_fits_memory(path, 4 * prod(self.shape))
            weakref.finalize(self, files.pop_all().close)  # particles are read from the open file
        self.thread_safe = self._stored.thread_safe
        tell_slip(path, voxel_size, self._said)

    def __len__(self) -> int:
        return self._n

    def volume(self, number: int) -> Volume:
        """Return a volume by its number from 1; the file must be 4-D, for a 3-D one may be a stack of planes."""
        if self._count is None or not 1 <= number <= self._n:
            found = "no 4-D stack" if self._count is None else f"{self._n} volumes"
            raise FileError(f"{self.path}: found {found}, need one with volume {number}, as {number}@ in a list says")
        return Volume(self[number - 1], self.voxel_size, self._said)

    def __getitem__(self, index: Any) -> Any:
        """Read volume ``index``, float32 or float64."""
        i = range(self._n)[index]
        fixed = self._fixed if self._count is None else {**self._fixed, self._count: i}
        return as_volume(self._stored.read(self._axes, fixed, "ZYX"), f"{self._arguments[0]}, volume {i}", gaps=True)

    def __reduce__(self) -> Any:
        """Go to other processes as a path."""
        return ParticleStack, self._arguments


def open_particles(
    path: str | Path | list[Any] | tuple[Any, ...],
    voxel_size: float | Vector | None = None,
    *,
    channel: int | str | None = None,
    frame: int | None = None,
    scene: int | str | None = None,
) -> Any:
    """Open the particles in a folder of 3-D volumes, in a list or pattern of files, or in one stack.

    The result is a sequence, which reads a particle when it is indexed. It has ``names`` (None for a stack), ``shape`` and
    ``voxel_size``: the given one, else the one in the files. Files of a pattern such as ``particles/*.tif`` are in natural
    order; those of a list are in the order of the list, which may be a ``.star`` or ``.csv`` file that names them.
    ``channel``, ``frame`` and ``scene`` choose among several in each file, by number from 0 or by name.

    Raises
    ------
    OSError
        If there is no such file or folder.
    ValueError
        If a file cannot be used; the message names it.
    """
    given = None if voxel_size is None else as_voxel_size(voxel_size)
    choice = Choice(channel, frame, scene)
    if isinstance(path, list | tuple):
        return _listed_files([as_path(file) for file in path], given, choice)
    path = as_path(path)
    if not split_name(path)[0].exists():
        return _listed_files(_of_pattern(path), given, choice)
    if path.is_dir() and not _is_image(path):
        return ParticleFolder(path, given, choice)
    if is_list(path):
        return ParticleFiles(*files_listed(path), given, choice)
    return ParticleStack(path, given, choice)


def _is_image(folder: Path) -> bool:
    """Return whether a folder is an image of a format whose files are folders."""
    return any(module.holds(folder, b"") for module in volumes() if is_folder(module))


def _listed_files(files: list[Path], voxel_size: Vector | None, choice: Choice) -> ParticleFiles:
    """Return the particles in a list of files; their names are the paths."""
    if not files:
        raise ValueError("path: found an empty list, need at least one file")
    return ParticleFiles([Listed(file) for file in files], [file.as_posix() for file in files], voxel_size, choice)


def _of_pattern(path: Path) -> list[Path]:
    """Return the files that match a pattern, in natural order."""
    found = [Path(name) for name in glob(str(path))] if has_magic(str(path)) else []
    files = [file for file in found if not file.is_dir() or _is_image(file)]
    if not files:
        need = "need a folder of volumes, one file of them, or a pattern of such files (particles/*.tif)"
        raise FileNotFoundError(f"{path}: does not exist, {need}")
    return sorted(files, key=lambda file: natural_key(file.name))


def _volumes_in(folder: Path) -> list[Path]:
    """Return the volumes in a folder, in natural order; they must have one format, or copies would count twice."""
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    found = {}
    for reader in volumes():
        own = [file for file in files if file.name.lower().endswith(reader.SUFFIXES)]
        if own := [file for file in own if file.is_dir() == is_folder(reader)]:
            found[reader.SUFFIXES[0]] = sorted(own, key=lambda file: natural_key(file.name))
    if len(found) > 1:
        shown = " and ".join(
            f"{len(own)} {suffix} ({listed([file.name for file in own])})" for suffix, own in found.items()
        )
        raise ValueError(
            f"{folder}: found {shown}, need files of one format, or a pattern that selects them: {folder}/*.mrc"
        )
    if found:
        return found.popitem()[1]
    known = ", ".join(suffix for reader in volumes() for suffix in reader.SUFFIXES)
    raise ValueError(f"{folder}: found no volume in this folder, need one file per particle ({known})")


def natural_key(name: str) -> list[Any]:
    """Return a key that sorts names in natural order, with numbers by their value.

    Examples
    --------
    >>> sorted(["10.tif", "9.tif", "b.tif"], key=natural_key)
    ['9.tif', '10.tif', 'b.tif']
    """
    parts = re.split(r"(\d+)", name)  # text and digits alternate, so text is compared with text and number with number
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def are_in_order(names: Sequence[str]) -> bool:
    """Return whether names are in natural order."""
    return list(names) == sorted(names, key=natural_key)


def places_of(names: Sequence[str], own: Sequence[str]) -> list[int]:
    r"""Return the index in ``own`` of each name; three ways to compare are tried until one finds all names.

    Raises
    ------
    ValueError
        If no way finds each name exactly once.

    Examples
    --------
    >>> places_of(["b.tif", "a.tif"], ["run\\a.tif", "run\\b.tif"])
    [1, 0]
    """
    for key in _KEYS:
        wanted, there = [key(name) for name in names], [key(name) for name in own]
        if set(wanted) <= set(there):
            break
    count, asked = Counter(there), Counter(wanted)
    show = repr if "".join([*names, *own]).isascii() else ascii  # letters that look the same may differ
    if missing := [name for name, key in zip(names, wanted, strict=True) if count[key] == 0]:
        need = f"need one pose of each particle (these are for {listed(list(own), show)})"
        raise ValueError(f"poses: found none for {listed(missing, show)}, {need}")
    if twice := [name for name, key in zip(names, wanted, strict=True) if count[key] > 1 or asked[key] > 1]:
        raise ValueError(f"poses: found several for {listed(twice, show)}, need one pose of each particle")
    place = {key: i for i, key in enumerate(there)}
    return [place[key] for key in wanted]


def _plain(name: str) -> str:
    """Return a name in one Unicode form, since file systems and programs differ, with forward slashes."""
    return unicodedata.normalize("NFC", name).replace("\\", "/")


_KEYS: tuple[Callable[[str], str], ...] = (str, _plain, lambda name: PurePosixPath(_plain(name)).name)


def unmatched(names: Sequence[str], own: Sequence[str]) -> str:
    """Return text that lists the particles without a pose, and the poses without a particle.

    Examples
    --------
    >>> unmatched(["run/0.tif", "run/0 - Copy.tif"], ["0.tif"])
    "no pose for 'run/0 - Copy.tif'"
    """
    found = []
    for key in _KEYS:
        wanted, there = set(map(key, names)), set(map(key, own))
        lost, spare = (
            [name for name in some if key(name) not in others] for some, others in ((names, there), (own, wanted))
        )
        found.append((lost, spare))
    lost, spare = min(found, key=lambda pair: len(pair[0]) + len(pair[1]))
    texts = [f"no pose for {listed(lost)}"] * bool(lost) + [f"no particle for {listed(spare)}"] * bool(spare)
    return ", ".join(texts)


def listed(names: Sequence[str], show: Callable[[str], str] | None = None, at_most: int = 3) -> str:
    """Return the first few names as text."""
    show = show or (repr if "".join(names).isascii() else ascii)
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(show(name[:_SHOWN]) for name in names[:at_most]) + more


def _agree(a: Any, b: Any) -> bool:
    """Return whether two voxel sizes agree within the precision of a file."""
    return a is b if a is None or b is None else bool(np.allclose(a, b, rtol=1e-3, atol=0))
