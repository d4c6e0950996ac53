"""The steps of a long call, kept in a folder: the same call again reads those that are done, and goes on from there.

The folder says what it belongs to: the call, the values of its inputs and options, and the versions of the packages. A call
with anything else is refused, because it would end with another result. Each step is one file of arrays, whole or absent.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._messages import log, warn
from .._version import __version__
from .files import as_path, check_folder_writable, written_whole

_ABOUT = "checkpoint.json"  # says what the folder belongs to
_PACKAGES = ("numba", "numpy", "pyfftw", "scipy")  # other versions may round differently
_KEY = "belongs to"  # the name of the array that ties a file to its folder and its step
_DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError)
_SHOWN = 24  # characters of a value that an error shows; a digest is longer

Arrays = dict[str, NDArray]


class Checkpoint:
    """A folder of the steps of one call.

    Parameters
    ----------
    folder : path or None
        Is made if it does not exist. None keeps nothing: every step is computed.
    belongs : mapping of str to str
        All that the result depends on, except the versions of the packages: a short text, or a `digest`, by its name.

    Raises
    ------
    ValueError
        If the folder belongs to something else, or holds files but is no checkpoint. Nothing is changed then.
    OSError
        If the folder cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for _ in range(2):
    ...         checkpoint = Checkpoint(folder, {"call": "example", "data": digest([1, 2, 3])})
    ...         print(checkpoint.step("sum", lambda: print("computed") or {"sum": np.array(6)}))
    computed
    {'sum': array(6)}
    {'sum': array(6)}
    """

    def __init__(self, folder: str | os.PathLike[str] | None, belongs: Mapping[str, str]):
        self._folder = None if folder is None else as_path(folder, "checkpoint")
        self._belongs = {**belongs, **_versions()}
        self._writes = True
        if self._folder is not None:
            self._open(self._folder)

    def step(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a step, read if they are there, else computed and written.

        A damaged file is computed again, with a warning. If a file cannot be written, because the disk is full for example,
        a warning says so once, and the call goes on without keeping its steps.
        """
        if self._folder is None:
            return compute()
        key = digest([self._belongs, name])
        path = self._folder / f"{name}-{key[:12]}.npz"
        if (found := _read(path, key)) is not None:
            log.info("%s: read, so this step is not computed again", path)
            return found
        arrays = compute()
        if self._writes:
            try:
                _write(path, key, arrays)
            except OSError as error:
                self._writes = False
                warn(f"{' '.join(str(error).split())}: the call goes on, but no further step is kept")
        return arrays

    def _open(self, folder: Path) -> None:
        """Check that the folder belongs to this call; an empty one does from now on."""
        check_folder_writable(folder, [])
        folder.mkdir(exist_ok=True)
        about = folder / _ABOUT
        if about.exists():
            _check_same(_about(about), self._belongs, folder)
            return
        if others := sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
            raise ValueError(
                f"checkpoint: found {others[0]} in {folder}, need an empty or a new folder, or a checkpoint"
            )
        with written_whole(about) as temporary:
            temporary.write_text(json.dumps(self._belongs, indent=2) + "\n", encoding="utf-8")


def digest(value: Any) -> str:
    """Return a hash of a value: text, numbers, None, arrays, and lists or mappings of these.

    Arrays of the same values in another precision or byte order differ.

    Examples
    --------
    >>> digest([1, "a"]) == digest([1, "a"]), digest(np.zeros(2)) == digest(np.zeros((1, 2)))
    (True, False)
    """
    found = hashlib.blake2b(digest_size=16)
    _add(found, value)
    return found.hexdigest()


def _add(found: Any, value: Any) -> None:
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        found.update(f"array {array.dtype.str} {np.shape(value)} ".encode())
        found.update(array.reshape(-1).view(np.uint8))
    elif isinstance(value, Mapping):
        _add(found, [*value.items()])
    elif isinstance(value, list | tuple):
        found.update(f"{len(value)} values ".encode())
        for one in value:
            _add(found, one)
    elif value is None or isinstance(value, bool | int | float | str):
        found.update(f"{value!r} ".encode("utf-8", "surrogatepass"))
    else:
        raise TypeError(
            f"value: found {type(value).__name__}, need text, numbers, arrays, or lists or mappings of these"
        )


def _versions() -> dict[str, str]:
    """Return the versions of all packages that compute; two states of this one may have the same number."""
    return {"fastmpr": f"{__version__} ({_source()})"} | {name: version(name) for name in _PACKAGES}


@functools.cache
def _source() -> str:
    """Return a hash of the source of this package."""
    root = Path(__file__).parent.parent
    files = sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py"))
    return digest([[name, path.read_text(encoding="utf-8")] for name, path in files])[:8]


def _about(path: Path) -> dict[str, str]:
    """Return what a folder belongs to."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not (isinstance(found, dict) and all(isinstance(one, str) for one in found.values())):
        raise ValueError(f"checkpoint: found a damaged {path}, need an empty or a new folder, or a checkpoint")
    return found


def _check_same(found: Mapping[str, str], needed: Mapping[str, str], folder: Path) -> None:
    """Refuse a folder of another call, and name what differs."""
    if (old := found.get("call")) != (new := needed.get("call")):
        raise ValueError(f"checkpoint: found steps of {old} in {folder}, need steps of {new}, or another folder")
    told = []
    for name in {**needed, **found}:
        old, new = found.get(name, "none"), needed.get(name, "none")
        short = max(len(old), len(new)) <= _SHOWN
        if old != new:
            told.append(f"{name} {old} instead of {new}" if short else f"other {name}")
    if told:
        need = "need the same call as before, or another folder"
        raise ValueError(f"checkpoint: found steps of a call with {', '.join(told)} in {folder}, {need}")


def _read(path: Path, key: str) -> Arrays | None:
    """Return the arrays in a file, None if it is not there or not what was written."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:  # NumPy leaves broken files open
            arrays = {name: file[name] for name in file.files}
        if str(arrays.pop(_KEY, "")) == key:
            return arrays
    except FileNotFoundError:
        return None
    except (*_DAMAGED, AttributeError, TypeError):  # a file of one array opens as that array
        pass
    warn(f"{path}: found a damaged file, or one of another call, so this step is computed again")
    return None


def _write(path: Path, key: str, arrays: Arrays) -> None:
    """Write arrays to a file, which has its name only once all of it is on the disk."""
    with written_whole(path, overwrite=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{_KEY: np.array(key)}, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
