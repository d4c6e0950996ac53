"""What a command reads: a hash of each input, taken as it is read, and compared where a record is followed again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

import fastmpr

from ..io.checkpoints import digest
from ..io.formats import split_name

_CHUNK = 1 << 20  # bytes


class Inputs:
    """The hashes of all that a command reads.

    Parameters
    ----------
    before : mapping of str to str
        The hashes of the inputs in a record that is followed again; nothing by default.
    """

    def __init__(self, before: dict[str, str] | None = None):
        self._before, self._found, self._lock = before or {}, dict[str, str](), Lock()

    def add_file(self, path: str | os.PathLike[str] | None) -> None:
        """Note a file, or a folder, that is read whole, before it is; None is nothing, and what is missing is told later."""
        if path is not None and (file := split_name(Path(path))[0]).exists():
            self._note(os.fspath(path), _hash_of(file))

    def watched(self, data: fastmpr.Dataset) -> fastmpr.Dataset:
        """Return a data set whose particles are noted when they are read."""
        return data.replace(particles=_Watched(data.source.particles, self))

    def add_particle(self, name: str, particle: NDArray) -> None:
        """Note a particle, where it is read for the first time."""
        if name not in self._found:
            self._note(name, digest(particle))

    def hashes(self) -> dict[str, str]:
        """Return the hash of each input, by its name."""
        return dict(sorted(self._found.items()))

    def _note(self, name: str, found: str) -> None:
        if self._before.get(name, found) != found:
            raise ValueError(
                f"{name}: found another content than the record tells, need the same, or a command without --again"
            )
        with self._lock:
            self._found[name] = found


class _Watched(Sequence[NDArray]):
    """The particles of a reader, each noted when it is read."""

    def __init__(self, reader: Any, inputs: Inputs):
        self._reader, self._inputs = reader, inputs
        self.names, self.shape, self.voxel_size = reader.names, reader.shape, reader.voxel_size
        self.thread_safe = reader.thread_safe

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, i: Any) -> Any:
        particle = self._reader[i]
        self._inputs.add_particle(self.names[i] if self.names else f"particles[{i}]", particle)
        return particle


def _hash_of(path: Path) -> str:
    """Return a hash of a file's bytes, or of all files in a folder, with their names."""
    found = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            found.update(os.fsencode(file.relative_to(path)))
            with open(file, "rb") as content:
                while chunk := content.read(_CHUNK):
                    found.update(chunk)
    return found.hexdigest()
