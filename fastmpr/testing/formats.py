"""Whether a module of files keeps what the table of formats asks of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..io.about import About
from ..io.conventions import CENTRES
from ..io.stored import volume_of
from .needs import called, need

_VOLUME = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
_LARGE = np.random.default_rng(0).random((40, 64, 64))  # of 1.3 MB at least: more than the limit below lets through
_LIMIT = 100_000  # bytes
_VOXEL = (0.3, 0.11, 0.1)
_POSES = 4
_HEAD = 4096  # bytes by which a content is recognised


def check_format(module: Any, folder: str | os.PathLike[str], sample: str | os.PathLike[str] | None = None) -> None:
    """Check that a module reads and writes files as `fastmpr.io.formats` asks for, whose head says what it must hold.

    - What is written is read again: a volume bit by bit in float32 with its voxel size, or none; poses with their names.
    - What a file of images is opened as has the shape of what was written, and its content is recognised.
    - A file that is there stays as it is unless it is to be overwritten; after an error, a full disk too, no file is left
      behind, and the old one is whole.
    - Files that are missing, empty, cut short or hold something else are refused, in one line that names the file.

    Parameters
    ----------
    module : module
        Of images, or of poses if it has ``UNIT``.
    folder : path
        An empty folder, where files are written.
    sample : path, optional
        A right file, for a module of images that has no ``created``.

    Raises
    ------
    AssertionError
        One line: what was found, and what is needed.

    Examples
    --------
    >>> import tempfile
    >>> from fastmpr.io import poses_csv, tiff
    >>> from fastmpr.testing import check_format
    >>> for module in (tiff, poses_csv):
    ...     with tempfile.TemporaryDirectory() as folder:
    ...         check_format(module, folder)
    """
    _check_suffixes(module)
    place = Path(folder)
    for suffix in module.SUFFIXES:
        path = place / f"right{suffix}"
        if hasattr(module, "UNIT"):
            _check_poses(module, path)
        elif hasattr(module, "created"):
            _check_volumes(module, path)
        if hasattr(module, "UNIT") or hasattr(module, "created"):
            _check_files(module, path)
    if not hasattr(module, "UNIT") and not hasattr(module, "created"):
        need(sample is not None, "check_format: found a module without created and no sample", "sample=, a right file")
        _check_sample(module, Path(str(sample)))
    _check_refusals(module, place, path if sample is None else Path(sample))


def _check_suffixes(module: Any) -> None:
    suffixes = getattr(module, "SUFFIXES", None)
    need(
        isinstance(suffixes, tuple) and suffixes and all(s.startswith(".") and s == s.lower() for s in suffixes),
        f"SUFFIXES: found {suffixes!r}",
        "a tuple of suffixes in small letters, each with its dot",
    )
    wanted = ("read",) if hasattr(module, "UNIT") else ("KIND", "holds", "opened")
    for name in wanted:
        need(hasattr(module, name), f"{name}: found none", f"what fastmpr.io.formats says of {name}")


def _read(module: Any, path: Path) -> Any:
    """Return what is read of a file: a volume with its voxel size, or a table of poses."""
    if hasattr(module, "UNIT"):
        return module.read(path)
    with module.opened(path) as stored:
        return volume_of(stored)[:2]


# ----------------------------------------------------------------------------------------------------
# What is written comes back
# ----------------------------------------------------------------------------------------------------


def _check_volumes(module: Any, path: Path) -> None:
    """Check that volumes come back."""
    for voxel_size in (None,) if getattr(module, "NO_VOXEL_SIZE", False) else (_VOXEL, None):
        called("created", _write, module, path, _VOLUME, voxel_size)
        volume, said = called("opened", _read, module, path)
        _check_volume(volume, _VOLUME, path.name)
        _check_voxel(said, voxel_size, f"{path.name}: opened")
        head = b"" if path.is_dir() else path.read_bytes()[:_HEAD]
        need(module.holds(path, head), f"{path.name}: found that holds does not know it", "True of what was written")
    for other in (_VOLUME.astype(np.float64), _VOLUME[:, ::-1, ::2]):
        called("created", _write, module, path, other, None)
        _check_volume(called("opened", _read, module, path)[0], other, f"{path.name}, written from {other.dtype}")


def _write(module: Any, path: Path, volume: NDArray, voxel_size: Any, overwrite: bool = True) -> None:
    with module.created(path, volume.shape, volume.dtype, "ZYX", voxel_size, About(), overwrite) as target:
        target[...] = volume


def _check_volume(volume: Any, expected: NDArray, what: str) -> None:
    kind = f"{type(volume).__name__} of shape {np.shape(volume)} and {getattr(volume, 'dtype', None)}"
    native = isinstance(volume, np.ndarray) and volume.dtype in (np.float32, np.float64) and volume.dtype.isnative
    need(native and volume.shape == expected.shape, f"{what}: found {kind}", f"float32 or float64 of {expected.shape}")
    apart = float(np.abs(volume - expected.astype(np.float32)).max())
    need(apart == 0, f"{what}: found values that differ by {apart:g}", "the same in float32")


def _check_voxel(found: Any, expected: tuple[float, ...] | None, what: str) -> None:
    if expected is None:
        need(found is None, f"{what}: found the voxel size {found} where none was said", "None")
        return
    same = found is not None and np.shape(found) == (3,) and np.allclose(found, expected, rtol=1e-5, atol=0)
    need(same, f"{what}: found the voxel size {found}", f"{expected} (z, y, x) in micrometres")


def _check_sample(module: Any, path: Path) -> None:
    """Check what is read of a file that was not written here."""
    volume, said = called("opened", _read, module, path)
    _check_volume(volume, called("opened", _read, module, path)[0], path.name)
    _check_voxel(called("opened", _read, module, path)[1], said, f"{path.name}: opened again")


def _some_poses() -> tuple[Rotation, NDArray[np.float64]]:
    return Rotation.random(_POSES, random_state=0), np.random.default_rng(0).normal(size=(_POSES, 3))


def _check_poses(module: Any, path: Path) -> None:
    """Check that poses come back."""
    need(module.UNIT in ("voxel", "um"), f"UNIT: found {module.UNIT!r}", "'voxel' or 'um'")
    need(
        getattr(module, "CENTRE", None) in CENTRES,
        f"CENTRE: found {getattr(module, 'CENTRE', None)!r}",
        f"one of {CENTRES}",
    )
    rotation, translation = _some_poses()
    for names in (("a.tif", "a b.tif", "c/d.tif", "ü.tif"), None):
        called("write", module.write, path, rotation, translation, names, True)
        table = called("read", module.read, path)
        apart = float((table.rotation * rotation.inv()).magnitude().max())
        need(apart < 1e-6, f"{path.name}: found rotations that differ by {apart:.2g} rad", "those that were written")
        moved = float(np.abs(table.translation - translation).max())
        need(moved < 1e-6, f"{path.name}: found translations that differ by {moved:.2g}", "those that were written")
        if names:
            need(table.names == names, f"{path.name}: found the names {table.names}", f"{names}")


# ----------------------------------------------------------------------------------------------------
# What is there stays, and nothing is left half
# ----------------------------------------------------------------------------------------------------


def _writes(module: Any) -> Callable[..., Any]:
    """Return write(path, overwrite, large) of something right."""
    if not hasattr(module, "UNIT"):
        return lambda path, overwrite, large=False: _write(module, path, _LARGE if large else _VOLUME, None, overwrite)
    rotation, translation = _some_poses()
    many = np.arange(20_000) % _POSES
    return lambda path, overwrite, large=False: (
        module.write(path, rotation[many], translation[many], None, overwrite)
        if large
        else module.write(path, rotation, translation, None, overwrite)
    )


def _check_files(module: Any, path: Path) -> None:
    """Check what happens to files."""
    write, before = _writes(module), _content(path)
    _check_refused(
        lambda: write(path, False), path, f"{path.name}, written without overwrite where it is already", OSError
    )
    missing = path.parent / "no folder" / path.name
    _check_refused(lambda: write(missing, False), missing, "a folder that is not there", OSError)
    there = set(os.listdir(path.parent))
    with _small_disk() as is_small:
        if is_small:
            _check_refused(lambda: write(path, True, large=True), path, "a disk that is full", OSError)
    left = sorted(set(os.listdir(path.parent)) - there)
    need(not left, f"{path.name}: found {', '.join(left)} after errors", "no new file")
    need(_content(path) == before, f"{path.name}: found other bytes after errors", "the old file, whole")
    called("write", write, path, True)


def _content(path: Path) -> Any:
    """Return the bytes of a file, or of each file in a folder."""
    if not path.is_dir():
        return path.read_bytes()
    return {file.relative_to(path): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@contextmanager
def _small_disk() -> Iterator[bool]:
    """Let files of this process grow to some size only, and say whether that can be done here."""
    try:
        import resource
    except ImportError:  # on Windows
        yield False
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, hard))
    try:
        yield True
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ----------------------------------------------------------------------------------------------------
# What is wrong is refused
# ----------------------------------------------------------------------------------------------------


def _check_refusals(module: Any, folder: Path, right: Path) -> None:
    """Check that files that are wrong are refused."""
    suffix = module.SUFFIXES[0] if right.parent == folder else right.suffix
    wrong = {
        "an empty file": b"",
        "a file of text": b"this is no such file\n" * 20,
        "a file of random bytes": np.random.default_rng(0).bytes(4000),
    }
    if right.is_file():
        content = right.read_bytes()
        wrong["a right file's first bytes"] = content[:10]
        if not hasattr(module, "UNIT"):  # half of a table is a table
            wrong["half of a right file"] = content[: len(content) // 2]
    for what, data in wrong.items():
        path = folder / f"wrong{suffix}"
        path.write_bytes(data)
        _check_refused(partial(_read, module, path), path, what, (ValueError, OSError))
    path = folder / f"missing{suffix}"
    _check_refused(partial(_read, module, path), path, "a file that is not there", (ValueError, OSError))


def _check_refused(call: Callable[[], Any], path: Path, what: str, kinds: Any) -> None:
    """Check that a call ends with an error of one line that names the file."""
    needed = f"{' or '.join(kind.__name__ for kind in np.atleast_1d(kinds))}, in one line that names the file"
    try:
        call()
    except kinds as error:
        text = str(error)
        need(str(path) in text, f"{what}: found {text[:200]!r}", needed)
        need("\n" not in text, f"{what}: found an error of {len(text.splitlines())} lines", needed)
    except Exception as error:
        need(False, f"{what}: found {type(error).__name__} ({' '.join(str(error).split())[:200]})", needed)
    else:
        need(False, f"{what}: found no error", needed)
