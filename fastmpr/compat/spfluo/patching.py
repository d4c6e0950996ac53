"""An installed SPFluo whose own code calls fastmpr's `reconstruction_L2`."""

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
_STACK: list[Callable[..., Any]] = []  # SPFluo's own, then those of the patches that are in force; empty without any


def patch(regularizer: str | None = None) -> Patch:
    """Put fastmpr's reconstruction in the place of SPFluo's, in all modules that have it by its name.

    It holds from this call on, also for modules that are imported later, until `Patch.undo`; as a context manager, until the
    context is left, by an exception or not. Patches may be nested: the last one holds that is not undone. Meanwhile
    array-api-compat has ``numpy.to_device`` again, which SPFluo's programs call on the CPU, and version 1.12 dropped.

    Parameters
    ----------
    regularizer : str, optional
        Upgrade the answer: by `fastmpr.reconstruct` with this regulariser, in the units of SPFluo's. The views then choose
        lam; SPFluo's ``lambda_`` is ignored, which is logged. By default the answer is SPFluo's own, sooner.

    Returns
    -------
    Patch
        A context manager.

    Raises
    ------
    ImportError
        If SPFluo is not installed, or has no such function.
    ValueError, TypeError
        If there is no such regulariser.

    Warns
    -----
    FastmprWarning
        If SPFluo is of another version than 0.1.0: it is tried.

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
    """A reconstruction in the place of SPFluo's; see `patch`."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def undo(self) -> None:
        """Take it out again; a second time does nothing."""
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
        log.info("lambda_: found %s, ignored: the views choose lam for regularizer=%r", lambda_, regularizer)
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
        raise ImportError(f"spfluo: found none that can be imported ({error}), {need}") from None
    except AttributeError:
        raise ImportError(f"spfluo: found version {found}, whose {_HOME} has no {_NAME}, {need}") from None
    if found != _VERSION:
        warn(f"spfluo: found version {found}, patched all the same; fastmpr is checked against {_VERSION} only")
    return own


def _mend() -> None:
    """Give array_api_compat.numpy the function that SPFluo's programs call, where it has none."""
    library = importlib.import_module(_ARRAYS)
    if not hasattr(library, "to_device"):
        library.__dict__["to_device"] = _to_device


def _unmend() -> None:
    names = importlib.import_module(_ARRAYS).__dict__
    if names.get("to_device") is _to_device:
        del names["to_device"]


def _to_device(array: Any, device: Any, /) -> Any:
    """Return an array on a device: a NumPy array where it is, on the CPU."""
    return importlib.import_module("array_api_compat").to_device(array, device)


def _put(known: Iterable[Callable[..., Any]], function: Callable[..., Any]) -> None:
    """Give a function to all modules that have one of those that are known, by the name."""
    identities = set(map(id, known))
    for names in _namespaces():
        if id(names.get(_NAME)) in identities:
            names[_NAME] = function


def _namespaces() -> Iterator[dict[str, Any]]:
    """Yield the names of every module that is imported, without importing those that wait for their first use."""
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):
            yield object.__getattribute__(module, "__dict__")
