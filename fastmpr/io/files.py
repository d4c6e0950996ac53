"""Check that a file can be written, and write it whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from .._validation import as_flag, shown
from ..runtime.limits import memory_limit


class FileError(ValueError):
    """A file that cannot be used; the message begins with the file's name."""


def as_path(value: Any, name: str = "path") -> Path:
    """Return a path; it must be one line, because error messages contain it and are one line."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(text, str):
        raise TypeError(f"{name}: found {shown(value)}, need the name of a file or folder")
    if "\0" in text or text.splitlines() != [text]:
        raise ValueError(f"{name}: found {shown(text)}, need the name of a file or folder, in one line")
    return Path(value)


def check_writable(path: str | Path, overwrite: bool = False, folder: bool = False) -> None:
    """Raise an error now if ``path`` could not be written at the end of a long job.

    Parameters
    ----------
    path : path
        The file to be written. Its folder must exist and take new files.
    overwrite : bool
        Whether an existing file may be replaced.
    folder : bool
        Whether a folder of this name is to be written, so that an existing folder may be replaced too.

    Raises
    ------
    OSError
        If the file cannot be written; the message names the file or folder and the reason.

    Examples
    --------
    >>> check_writable("no/folder/volume.ome.tif")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no/folder/volume.ome.tif: found no folder no/folder, need an existing one
    """
    path, overwrite = as_path(path), as_flag(overwrite, "overwrite")
    parent = path.parent
    if parent.exists() and not parent.is_dir():
        raise NotADirectoryError(f"{path}: {parent} is a file, need a folder")
    if not parent.is_dir():
        raise FileNotFoundError(f"{path}: found no folder {parent}, need an existing one")
    if path.is_dir() and not folder:
        raise IsADirectoryError(f"{path}: is a folder, need the name of a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: exists already, choose another name or ask to overwrite")
    if path.exists() and folder and not path.is_dir():
        raise NotADirectoryError(f"{path}: is a file, need the name of a folder")
    _check_takes_files(parent)


def check_folder_writable(path: str | Path, contents: Collection[str], overwrite: bool = False) -> None:
    """Raise an error now if the folder ``path`` could not take ``contents`` at the end of a long job.

    Parameters
    ----------
    path : path
        The folder. If it does not exist, its parent must.
    contents : collection of str
        The names of the files and folders to write in it.
    overwrite : bool
        Whether existing files and folders of these names may be replaced; anything else in the folder stays as it is.

    Raises
    ------
    OSError
        If the folder cannot be written; the message names the file or folder and the reason.
    """
    path = Path(path)
    if not path.exists():
        check_writable(path)
        return
    if not path.is_dir():
        raise NotADirectoryError(f"{path}: is a file, need a folder")
    there = sorted(name for name in contents if (path / name).exists())
    if there and not overwrite:
        raise FileExistsError(f"{path}: holds {there[0]} already, choose another folder or ask to overwrite")
    _check_takes_files(path)


@contextmanager
def written_whole(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; the file is renamed to ``path`` only if the block ends without an error.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_whole(Path(folder) / "greeting.txt") as temporary:
    ...         _ = temporary.write_text("hello")
    ...     print(os.listdir(folder))
    ['greeting.txt']
    """
    path = Path(path)
    check_writable(path, overwrite)
    temporary = path.with_name(f".{uuid4().hex}.part")
    try:
        with _naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say what could not be written, where the system does not: its errors are about the temporary name."""
    try:
        yield
    except OSError as error:
        if str(path) in str(error):
            raise
        raise OSError(f"{path}: cannot be written ({error}), need room for it") from error


@contextmanager
def tree_written_whole(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield the name of a folder to be made; it is renamed to ``path``, in place of an old one, if the block ends well.

    Not every system can exchange two folders in one step: a process that is killed between the two renames leaves both
    folders whole, the old one under a hidden name that ends in ``.old``, and none under ``path``.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with tree_written_whole(Path(folder) / "image.zarr") as temporary:
    ...         temporary.mkdir()
    ...     print(os.listdir(folder))
    ['image.zarr']
    """
    path = Path(path)
    check_writable(path, overwrite, folder=True)
    temporary, old = (path.with_name(f".{uuid4().hex}{suffix}") for suffix in (".part", ".old"))
    try:
        with _naming(path):
            yield temporary
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def folder_written_whole(path: str | Path, contents: Collection[str], overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder; its contents move to ``path`` only if the block ends without an error.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with folder_written_whole(Path(folder) / "letters", ["a.txt"]) as temporary:
    ...         _ = (temporary / "a.txt").write_text("a")
    ...     print(os.listdir(folder), os.listdir(folder + "/letters"))
    ['letters'] ['a.txt']
    """
    path = Path(path)
    check_folder_writable(path, contents, overwrite)
    temporary = (path if path.exists() else path.parent) / f".{uuid4().hex}.part"
    temporary.mkdir()
    try:
        yield temporary
        path.mkdir(exist_ok=True)
        for new in temporary.iterdir():
            old = path / new.name
            if old.is_dir():
                shutil.rmtree(old)
            os.replace(new, old)
    finally:
        shutil.rmtree(temporary)


def _check_takes_files(folder: Path) -> None:
    """Try to create a file, because permission bits are not enough (root, read-only file systems)."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(f"{folder}: cannot write in this folder ({error.strerror})") from None


def encodable(text: str) -> bool:
    """Return whether a text can be written as UTF-8; a file name on Linux may contain bytes that are no text."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def check_fits_memory(path: str | Path, nbytes: int) -> None:
    """Refuse a volume larger than the memory; a TIFF header of a few hundred bytes can declare terabytes."""
    memory, _ = memory_limit()
    if nbytes > memory:
        need = f"need one that fits in memory ({memory / 1e9:.0f} GB)"
        raise FileError(f"{path}: found a volume of {nbytes / 1e9:.0f} GB, {need}")
