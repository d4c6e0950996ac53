"""Where compiled kernels are kept between processes, and how long they hold."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from pathlib import Path
from typing import Any

from numba.core import types
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock

from .._messages import warn


@functools.cache
def stamp() -> str:
    """Return what tells the files of this folder from any others: a function keeps what was inlined from another file."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _stamped(locator: Any) -> Any:
    """Return one of Numba's ways to find a folder, whose entries hold as long as no file of this folder changes.

    Numba's own stamp is that of the one file a function stands in.
    """

    class Stamped(locator):
        def get_source_stamp(self) -> Any:
            return super().get_source_stamp(), stamp()

    return Stamped


def _filled(locator: Any) -> Any:
    """Return one of Numba's ways to find a folder, that asks for a filled folder in place of a writable one."""

    class Filled(locator):
        def ensure_cache_path(self) -> None:
            if not any(Path(self.get_cache_path()).glob("*.nbi")):
                raise OSError("nothing is kept there")

    return Filled


def _locators() -> list[Any]:
    """Return Numba's ways to find a folder, and those that take one that can only be read: in an image filled once.

    The first is NUMBA_CACHE_DIR: who names a folder means it, though another could be written.
    """
    given = [_stamped(locator) for locator in FunctionCache._impl_class._locator_classes]
    return [way for part in (given[:1], given[1:]) for way in (*part, *map(_filled, part))]


class _KernelCacheImpl(FunctionCache._impl_class):
    _locator_classes = _locators()


class KernelCache(FunctionCache):
    """Numba's cache, in a folder that may be read-only where it holds something."""

    _impl_class = _KernelCacheImpl


def _probe() -> None:
    """Do nothing, compiled or not."""


def can_cache() -> bool:
    """Return whether there is a folder for Numba's cache; say so if not.

    Without one, asking for the cache makes the import fail, on read-only installations for instance.
    """
    try:
        KernelCache(_probe)
    except RuntimeError:
        warn(
            "found no folder for Numba's cache, so every process compiles for some seconds; "
            "need NUMBA_CACHE_DIR set to a writable folder"
        )
        return False
    return True


CACHE = can_cache()
if hasattr(os, "register_at_fork"):  # a child of a process that is compiling would wait for ever for its turn
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


class ForgivingCache:
    """Numba's cache of one function: a damaged file or a full disk costs the time to compile, not the run."""

    said = False

    def __init__(self, cache: Any):
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled function, None where there is none or it cannot be read."""
        if takes_a_function(signature):
            return None
        try:
            return self._cache.load_overload(signature, target)
        except Exception as error:  # pickle raises whatever the damage looks like
            self._say(error)
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep a compiled function, if that is possible; an index that cannot be read is begun anew."""
        if takes_a_function(signature):
            return
        try:
            self._cache.save_overload(signature, data)
        except OSError as error:
            self._say(error)
        except Exception:
            with contextlib.suppress(Exception):
                self._cache.flush()
                self._cache.save_overload(signature, data)

    def _say(self, error: Exception) -> None:
        if not ForgivingCache.said:
            ForgivingCache.said = True
            reason = " ".join(str(error).split()) or type(error).__name__
            warn(
                f"found trouble with Numba's cache in {self._cache.cache_path} ({reason}), so some functions are compiled "
                "again; need room there, or that folder emptied, or NUMBA_CACHE_DIR set to another one"
            )


def takes_a_function(signature: Any) -> bool:
    """Return whether a function takes another one, of which no other process could know that it is the same."""
    return any(isinstance(kind, types.Dispatcher) for kind in getattr(signature, "args", signature))
