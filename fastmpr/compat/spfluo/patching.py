"""Patch an installed SPFluo so that its own code calls fastmpr's `reconstruction_L2`."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from types import ModuleType
from typing import Any

from ..._messages import log, warn
from ...regularizers import as_regularizer
from .arrays import check_device
from .problem import answer, as_problem
from .reconstruction import reconstruction_L2
from .upgrade import upgraded

_VERSION = "0.1.0"
_HOME, _NAME = "spfluo.refinement.refinement", "reconstruction_L2"
_ARRAYS = "array_api_compat.numpy"
_LOCK = threading.RLock()
_STACK: list[Callable[..., Any]] = []  # SPFluo's own function, then those of the active patches; empty without patches


def patch(regularizer: str | None = None) -> Patch:
    """Replace SPFluo's reconstruction by fastmpr's, in all modules that have imported the function by its name.

    The patch holds from this call on, also for modules that are imported later, until `Patch.undo` or, as a context manager,
    until the context ends, with or without an exception. Patches may be nested; the last one that is not undone holds.
    Meanwhile array-api-compat has ``numpy.to_device`` again, which SPFluo's programs call on the CPU and which version 1.12
    dropped.

    Parameters
    ----------
    regularizer : str, optional
        Reconstruct by `fastmpr.reconstruct` with this regulariser, in SPFluo's units. lam is then chosen from the views, and
        SPFluo's ``lambda_`` is ignored, which is logged. By default the result is that of SPFluo, computed faster.

    Returns
    -------
    Patch
        A context manager.

    Raises
    ------
    ImportError
        If SPFluo is not installed, or has no such function.
    ValueError, TypeError
        If the regulariser is unknown.

    Warns
    -----
    FastmprWarning
        If SPFluo's version is not 0.1.0; the patch is applied nevertheless.

    Examples
    --------
    >>> from fastmpr.compat.spfluo import patch
    >>> with patch(regularizer="hessian"):  # doctest: +SKIP
    ...     volume, poses = spfluo.refinement.refine(particles, psf, poses, steps=[(1000, 20), 5], ranges=[0, 10])
    """
    if regularizer is not None:
        as_regularizer(regularizer)
    function = _replacement(regularizer)
    with _LOCK:
        if not _STACK:
            own = _of_spfluo()
            _mend()
            _STACK.append(own)
        _STACK.append(function)
        _put(_STACK, function)
    return Patch(function)


class Patch:
    """An active replacement of SPFluo's reconstruction; see `patch`."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def undo(self) -> None:
        """Remove the patch; a second call does nothing."""
        with _LOCK:
            if self._function in _STACK:
                known = list(_STACK)
                _STACK.remove(self._function)
                _put(known, _STACK[-1])
            if len(_STACK) == 1:
                _STACK.clear()
                _unmend()

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()


def _replacement(regularizer: str | None) -> Callable[..., Any]:
    """Return a new function with SPFluo's signature."""

    def replacement(
        volumes: Any,
        psf: Any,
        poses: Any,
        lambda_: Any,
        batch: bool = False,
        symmetry: bool = False,
        device: Any = None,
        batch_size: int | None = None,
        multichannel: bool = False,
    ) -> Any:
        if regularizer is None:
            return reconstruction_L2(volumes, psf, poses, lambda_, batch, symmetry, device, batch_size, multichannel)
        check_device(device)
        log.info("lambda_: found %s, ignored: lam is chosen from the views for regularizer=%r", lambda_, regularizer)
        problem = as_problem(volumes, psf, poses, lambda_, batch, symmetry, multichannel)
        return answer(upgraded(problem, regularizer), volumes, batch, multichannel)

    replacement.__name__ = replacement.__qualname__ = _NAME
    replacement.__doc__, replacement.__module__ = reconstruction_L2.__doc__, reconstruction_L2.__module__
    return replacement


def _of_spfluo() -> Callable[..., Any]:
    """Return SPFluo's own function."""
    need = f'need SPFluo {_VERSION}: pip install "fastmpr[spfluo]"'
    try:
        found = version("spfluo")
        own = getattr(importlib.import_module(_HOME), _NAME)
    except ImportError as error:
        raise ImportError(f"spfluo: found no SPFluo that can be imported ({error}), {need}") from None
    except AttributeError:
        raise ImportError(f"spfluo: found version {found}, whose {_HOME} has no {_NAME}, {need}") from None
    if found != _VERSION:
        warn(f"spfluo: found version {found}, patched nevertheless; fastmpr is tested with {_VERSION} only")
    return own


def _mend() -> None:
    """Give array_api_compat.numpy the function ``to_device`` that SPFluo's programs call, if it lacks it."""
    library = importlib.import_module(_ARRAYS)
    if not hasattr(library, "to_device"):
        library.__dict__["to_device"] = _to_device


def _unmend() -> None:
    names = importlib.import_module(_ARRAYS).__dict__
    if names.get("to_device") is _to_device:
        del names["to_device"]


def _to_device(array: Any, device: Any, /) -> Any:
    """Return an array on a device; a NumPy array stays on the CPU."""
    return importlib.import_module("array_api_compat").to_device(array, device)


def _put(known: Iterable[Callable[..., Any]], function: Callable[..., Any]) -> None:
    """Put a function into all modules that have one of the known functions under its name."""
    identities = set(map(id, known))
    for names in _namespaces():
        if id(names.get(_NAME)) in identities:
            names[_NAME] = function


def _namespaces() -> Iterator[dict[str, Any]]:
    """Yield the namespace of every imported module, without triggering lazy imports."""
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):
            yield object.__getattribute__(module, "__dict__")
