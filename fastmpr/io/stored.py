"""A file's image, opened and unread, and everything that is done in the same way whatever the format.

A format opens a file as a `Stored`; the checks that all formats pass are here, once: what fits in memory, real numbers,
colours, one plane, which axis is which, and the voxel size beside a given one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn
from .._validation import Vector, as_volume, shown
from . import units
from .about import About
from .files import FileError, check_fits_memory
from .pieces import filled

AXES = "TCZYX"  # frames, channels and space, the outermost first
_PACKED = re.compile(r"packints_decode of (\d+)-bit")  # tifffile's words without imagecodecs
_CAMERAS = (10, 12, 14)  # bits of packed integers
_UNNAMED = "QI"  # letters of axes that a file does not name
_NEED_VOLUME = "need a 3-D volume (z, y, x)"


def nothing() -> About:
    """Return what a file says that knows nothing of channels and frames."""
    return About()


@dataclass(frozen=True)
class Stored:
    """The image in a file: opened, checked, and not read.

    Attributes
    ----------
    path : Path
        The file, for errors.
    kind : str
        What errors call it: "a TIFF file".
    values : array_like
        In the file's own order of axes, with ``shape``, ``dtype`` and ``values[index]``, which reads what is asked for;
        ``index`` is a tuple of integers and slices.
    axes : str
        A letter for each axis: T, C, Z, Y, X; S for colours; Q where the file does not name it.
    voxel_size : callable
        Of ``flat``; returns (z, y, x) in micrometres, None if the file has none. In a ``flat`` image z is not looked at.
        Raises `FileError` if the file's own is incomplete or unclear.
    about : callable
        Returns the `About` of channels and frames.
    thread_safe : bool
        Whether two threads may index ``values`` at once.
    """

    path: Path
    kind: str
    values: Any
    axes: str
    voxel_size: Callable[[bool], Vector | None]
    about: Callable[[], About] = nothing
    thread_safe: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes along all axes."""
        return tuple(int(n) for n in self.values.shape)

    @property
    def shown(self) -> str:
        """Text for an error: the shape and the axes."""
        return f"found an image of shape {self.shape} with axes {self.axes}"

    def read(self, axes: str, fixed: dict[int, int], order: str, parts: dict[str, slice] | None = None) -> NDArray:
        """Return an array of the axes of ``order``.

        Parameters
        ----------
        axes : str
            A letter for each axis of the file.
        fixed : dict
            The index along each axis that is left out.
        order : str
            The letters of all other axes, in the order of the result.
        parts : dict, optional
            Which part of an axis is read, by its letter; all by default.
        """
        parts = parts or {}
        index = tuple(fixed.get(k, parts.get(axis, slice(None))) for k, axis in enumerate(axes))
        left = [axis for k, axis in enumerate(axes) if k not in fixed]
        if not isinstance(self.values, np.ndarray):
            kept = [len(range(n)[one]) for n, one in zip(self.shape, index, strict=True) if isinstance(one, slice)]
            check_fits_memory(self.path, prod(kept) * np.dtype(self.values.dtype).itemsize)
        with parsing(self.path, self.kind):
            part = self.values[index]
            return part.transpose([left.index(axis) for axis in order])

    def check_is_real(self) -> None:
        """Refuse complex numbers, text and records."""
        if np.dtype(self.values.dtype).kind not in "fiub":
            raise FileError(f"{self.path}: found {self.values.dtype}, need real numbers")

    def check_is_grey(self) -> None:
        """Refuse colours."""
        if "S" in self.axes:
            raise FileError(f"{self.path}: {self.shown}, which is RGB, need grey levels")

    def named_axes(self) -> str:
        """Return the axes, with letters for those that the file does not name: the last is z, the one before t."""
        unnamed = sum(axis in _UNNAMED for axis in self.axes)
        free = [axis for axis in "ZTC" if axis not in self.axes][:unnamed]
        if unnamed != len(free):
            return self.axes
        names = iter(sorted(free, key=AXES.index))
        return "".join(next(names) if axis in _UNNAMED else axis for axis in self.axes)


class Unread:
    """The axes of a stored image in another order, some of them left out, which are read when they are asked for.

    Parameters
    ----------
    stored : Stored
    axes, fixed, order
        As `Stored.read` has them.
    """

    def __init__(self, stored: Stored, axes: str, fixed: dict[int, int], order: str):
        self._stored, self._axes, self._fixed, self._order = stored, axes, fixed, order
        self.shape = tuple(stored.shape[axes.index(axis)] for axis in order)
        self.dtype, self.ndim = np.dtype(stored.values.dtype), len(order)
        chunks = getattr(stored.values, "chunks", None)
        if chunks is not None:
            self.chunks = tuple(chunks[axes.index(axis)] for axis in order)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray:
        """Return a part, with integers and slices along the axes."""
        entries = filled(index, self.ndim)
        there = dict(zip(self._order, entries, strict=True))
        fixed = self._fixed | {
            k: int(there[axis]) for k, axis in enumerate(self._axes) if not isinstance(there.get(axis, slice(0)), slice)
        }
        kept = "".join(axis for axis, one in zip(self._order, entries, strict=True) if isinstance(one, slice))
        return self._stored.read(self._axes, fixed, kept, {axis: there[axis] for axis in kept})


@contextmanager
def parsing(path: Path, kind: str) -> Iterator[None]:
    """Turn any error of a library that reads a file into one line that begins with the file's name."""
    try:
        yield
    except FileError:
        raise
    except ModuleNotFoundError as error:  # where a library looks for a codec; "compression" is a part of newer Pythons
        package = "imagecodecs" if error.name == "compression" else error.name
        raise ImportError(f"{path}: cannot be read ({error}): pip install {package}") from None
    except ImportError:  # our own, which says what to install
        raise
    except MemoryError as error:  # of a library that believes a damaged header
        raise FileError(f"{path}: cannot be read as {kind} (it asks for more memory than there is)") from error
    except Exception as error:  # each library has its own
        said = " ".join(str(error).split()) or type(error).__name__
        packed = _PACKED.search(said)
        if packed and int(packed[1]) not in _CAMERAS:  # no camera has such numbers: a damaged header
            raise FileError(f"{path}: found integers of {packed[1]} bits, need 8, 16 or 32") from None
        if "imagecodecs" in said:
            raise ImportError(f"{path}: cannot be read ({said}): pip install imagecodecs") from None
        if isinstance(error, OSError) and said.startswith(str(path)):
            raise
        raise FileError(f"{path}: cannot be read as {kind} ({said})") from None


def which_scene(path: Path, names: Sequence[str], scene: Any) -> int:
    """Return the place of the image that is meant among those of a file: by name or number, or the only one.

    Examples
    --------
    >>> which_scene(Path("a.czi"), ["left", "right"], "right")
    1
    >>> which_scene(Path("a.czi"), ["left", "right"], None)
    Traceback (most recent call last):
    ...
    fastmpr.io.files.FileError: a.czi: found 2 images ('left', 'right'), need one of them: scene=, --scene (name or 0 to 1)
    """
    listed = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if scene is None and len(names) == 1:
        return 0
    if isinstance(scene, str) and scene in names:
        return list(names).index(scene)
    number = _integer(scene)
    if number is not None and 0 <= number < len(names):
        return number
    found = f"found {len(names)} image{'s' * (len(names) != 1)} ({listed})"
    beside = "" if scene is None else f" and scene {shown(scene)}"
    raise FileError(
        f"{path}: {found}{beside}, need one of them: scene=, --scene (name or 0 to {max(len(names) - 1, 0)})"
    )


def voxel_size_of(stored: Stored, given: Any, flat: bool = False) -> tuple[Any, Vector | None]:
    """Return the voxel size that counts, the given one before the file's own, and the file's own where it is clear."""
    try:
        with parsing(stored.path, stored.kind):
            said = stored.voxel_size(flat)
    except FileError:  # it is unclear, which is why one is given
        if given is None:
            raise
        return given, None
    return said if given is None else given, said


def tell_slip(path: Path, given: Vector | None, said: Vector | None) -> None:
    """Warn if a given voxel size differs from the file's own as a slip does."""
    if given is None or said is None or (slip := units.slip(given, said)) is None:
        return
    shown_sizes = " beside ".join(map(units.shown_sides, (given, said)))
    need = "need micrometres (z, y, x), unless the file is wrong"
    warn(f"voxel_size: found {shown_sizes} in {path.name}, {slip}; {need}")


def fixed_axes(stored: Stored, axes: str, channel: Any, frame: Any) -> dict[int, int]:
    """Return the index along the axes that are left out: those of a chosen channel and frame, and others of length 1."""
    fixed = {k: 0 for k, axis in enumerate(axes) if axis not in "ZYX" and stored.shape[k] == 1}
    for letter, value, word in (("C", channel, "channel"), ("T", frame, "frame")):
        if value is not None:
            place = _chosen(stored, stored.shape[axes.index(letter)] if letter in axes else 1, value, word)
            fixed |= {axes.index(letter): place} if letter in axes else {}
    return fixed


def _chosen(stored: Stored, count: int, value: Any, word: str) -> int:
    """Return which channel or frame is meant, by its number, or a channel by its name."""
    names = stored.about().names if word == "channel" else ()
    if isinstance(value, str) and value in names:
        return names.index(value)
    number = _integer(value)
    if number is not None and 0 <= number < count:
        return number
    known = f" ({', '.join(map(repr, names))})" if any(names) else ""
    raise FileError(
        f"{stored.path}: found {word} {shown(value)} and {count} {word}{'s' * (count != 1)}{known}, "
        f"need {word}= or --{word} of 0 to {count - 1}"
    )


def _integer(value: Any) -> int | None:
    """Return an integer, None if it is something else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | np.integer):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def volume_axes(stored: Stored, channel: Any = None, frame: Any = None) -> tuple[str, dict[int, int]]:
    """Return the letters of all axes and the index along those that are left out, so that a volume is left."""
    stored.check_is_grey()
    stored.check_is_real()
    axes = stored.named_axes()
    fixed = fixed_axes(stored, axes, channel, frame)
    left = "".join(axis for k, axis in enumerate(axes) if k not in fixed)
    if sorted(left) == ["T", "X", "Y"]:
        log.info(
            f"{stored.path}: found {stored.shape[axes.index('T')]} frames and no z, so they are taken as planes (z)"
        )
        axes, left = axes.replace("T", "Z"), left.replace("T", "Z")
    if sorted(left) != ["X", "Y", "Z"]:
        raise FileError(f"{stored.path}: {stored.shown}, {_NEED_VOLUME}{_choice(stored, axes, left)}")
    return axes, fixed


def _choice(stored: Stored, axes: str, left: str) -> str:
    """Say which choice makes a volume of an image, if one does."""
    if sorted(left.replace("C", "").replace("T", "")) != ["X", "Y", "Z"]:
        return ""
    words = [
        f"one of its {stored.shape[axes.index(letter)]} {word}s ({word}=, --{word})"
        for letter, word in (("C", "channel"), ("T", "frame"))
        if letter in left
    ]
    return f": {' and '.join(words)}"


class Volume(NamedTuple):
    """A volume read from a file, of which voxels may be NaN; the voxel size that counts, and the file's own."""

    values: NDArray
    voxel_size: Vector | None
    said: Vector | None


def volume_of(stored: Stored, given: Vector | None = None, channel: Any = None, frame: Any = None) -> Volume:
    """Read the 3-D volume in a file."""
    axes, fixed = volume_axes(stored, channel, frame)
    sizes = voxel_size_of(stored, given)
    check_fits_memory(stored.path, prod(stored.shape[k] for k in range(len(axes)) if k not in fixed) * 4)
    values = stored.read(axes, fixed, "ZYX")
    if isinstance(values, np.memmap):  # a volume is the caller's own
        values = np.array(values)
    return Volume(as_volume(values, str(stored.path), gaps=True), *sizes)


def stack_axes(stored: Stored, channel: Any = None, frame: Any = None) -> tuple[str, dict[int, int], int | None]:
    """Return the letters of all axes, the index along those left out, and which axis counts the volumes (None: one)."""
    stored.check_is_grey()
    stored.check_is_real()
    axes = stored.named_axes()
    fixed = fixed_axes(stored, axes, channel, frame)
    left = [k for k in range(len(axes)) if k not in fixed]
    if len(left) == 3:
        axes, fixed = volume_axes(stored, channel, frame)
        return axes, fixed, None
    count = next((k for k in left if axes[k] not in "CZYX"), None)
    if count is None or sorted(axes[k] for k in left if k != count) != ["X", "Y", "Z"] or count != left[0]:
        choice = _choice(stored, axes, "".join(axes[k] for k in left))
        raise FileError(f"{stored.path}: {stored.shown}, need a 4-D stack of volumes (n, z, y, x){choice}")
    return axes, fixed, count
