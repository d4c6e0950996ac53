"""Particles in files: a folder of volumes, or one stack, read one particle at a time."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector, as_voxel_size
from .files import as_path
from .formats import check_given, volume_format, volumes

_SHOWN = 80  # characters of a name in an error


class ParticleFiles(Sequence[NDArray]):
    """A sequence of volumes with one file per volume, in the order of the files.

    Parameters
    ----------
    files : sequence of path
        At least one file; they may have different formats.
    names : sequence of str
        Names of the particles.
    voxel_size : (float, float, float), optional
        Replaces the voxel size in the files, which is then not read.

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
        If a file is no volume; on reading a particle, if its shape or voxel size differs from the first particle's.
    """

    thread_safe = True

    def __init__(self, files: Sequence[Path], names: Sequence[str], voxel_size: Vector | None = None) -> None:
        self._files, self.names, self._given = list(files), tuple(names), voxel_size
        first = volume_format(self._files[0]).read(self._files[0], voxel_size)
        self.shape, self.voxel_size = first[0].shape, first[1]
        self._kept = {0: first}  # until its first use, so that no file is read twice
        check_given(self._files[0], voxel_size)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> Any:
        """Read particle ``index``, float32 or float64."""
        i = range(len(self))[index]
        file = self._files[i]
        particle, voxel_size = self._kept.pop(i, None) or volume_format(file).read(file, self._given)
        first = self._files[0].name
        if particle.shape != self.shape:
            raise ValueError(f"{file}: found shape {particle.shape}, need {self.shape} as in {first}")
        if not _agree(voxel_size, self.voxel_size):
            raise ValueError(f"{file}: found voxel size {voxel_size}, need {self.voxel_size} as in {first}")
        return particle


class ParticleFolder(ParticleFiles):
    """The volumes in a folder, in the natural order of their names: 2.tif before 10.tif.

    Parameters
    ----------
    path : path
        A folder with volumes of one format (see `formats`). Other files, hidden files and folders are ignored.
    voxel_size : (float, float, float), optional
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

    def __init__(self, path: str | Path, voxel_size: Vector | None = None) -> None:
        self.path = Path(path)
        files = _volumes_in(self.path)
        folder = self.path.resolve().name
        super().__init__(files, [f"{folder}/{file.name}" for file in files], voxel_size)


def open_particles(path: str | Path | list[Any] | tuple[Any, ...], voxel_size: float | Vector | None = None) -> Any:
    """Open the particles in a folder of 3-D volumes, in a list or pattern of files, or in one stack.

    The result is a sequence, which reads a particle when it is indexed. It has ``names`` (None for a stack), ``shape`` and
    ``voxel_size``: the given one, else the one in the files. Files of a pattern such as ``particles/*.tif`` are in natural
    order; those of a list are in the order of the list.

    Raises
    ------
    OSError
        If there is no such file or folder.
    ValueError
        If a file cannot be used; the message names it.
    """
    given = None if voxel_size is None else as_voxel_size(voxel_size)
    if isinstance(path, list | tuple):
        return _listed_files([as_path(file) for file in path], given)
    path = as_path(path)
    if not path.exists():
        return _listed_files(_of_pattern(path), given)
    if path.is_dir():
        return ParticleFolder(path, given)
    reader = volume_format(path)
    if not hasattr(reader, "Stack"):
        raise ValueError(f"{path}: found the suffix {path.suffix!r}, need a folder of such files, or one 4-D TIFF file")
    stack = reader.Stack(path, given)
    check_given(path, given)
    return stack


def _listed_files(files: list[Path], voxel_size: Vector | None) -> ParticleFiles:
    """Return the particles in a list of files; their names are the paths."""
    if not files:
        raise ValueError("path: found an empty list, need at least one file")
    return ParticleFiles(files, [file.as_posix() for file in files], voxel_size)


def _of_pattern(path: Path) -> list[Path]:
    """Return the files that match a pattern, in natural order."""
    files = [Path(name) for name in glob(str(path)) if not Path(name).is_dir()] if has_magic(str(path)) else []
    if not files:
        need = "need a folder of volumes, one file of them, or a pattern of such files (particles/*.tif)"
        raise FileNotFoundError(f"{path}: does not exist, {need}")
    return sorted(files, key=lambda file: natural_key(file.name))


def _volumes_in(folder: Path) -> list[Path]:
    """Return the volumes in a folder, in natural order; they must have one format, or copies would count twice."""
    files = [file for file in folder.iterdir() if not file.name.startswith(".") and not file.is_dir()]
    found = {}
    for reader in volumes():
        if own := [file for file in files if file.name.lower().endswith(reader.SUFFIXES)]:
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
