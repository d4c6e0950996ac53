"""Patch an installed SPFluo so that its own code calls fastmpr's functions."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from types import ModuleType
from typing import Any

from ..._messages import log, warn
from ...regularizers import as_regularizer
from .arrays import check_device
from .from_particles import AbInitioReconstruction
from .poses import convolution_matching_poses, find_angles_grid
from .problem import answer, as_problem
from .reconstruction import reconstruction_L2
from .refinement import refine, refined
from .upgrade import upgraded

Names = dict[str, Any]  # functions and a class, each by the name it has in SPFluo

_VERSION = "0.1.0"
_HOME = "spfluo.refinement.refinement"
_NAMES = ("reconstruction_L2", "convolution_matching_poses", "find_angles_grid", "refine")
_AB_INITIO, _CLASS = "spfluo.ab_initio_reconstruction.api", "AbInitioReconstruction"
_ARRAYS = "array_api_compat.numpy"
_LOCK = threading.RLock()
_STACK: list[Names] = []  # what SPFluo has under these names, then what the active patches have; empty without patches


def patch(regularizer: str | None = None) -> Patch:
    """Replace SPFluo's reconstruction and pose search by fastmpr's, in all modules that have imported them by name.

    These are `reconstruction_L2`, `convolution_matching_poses`, `find_angles_grid`, `refine` and, where SPFluo's ab initio
    reconstruction can be imported (it needs SimpleITK), `AbInitioReconstruction`.

    The patch holds from this call on, also for modules that are imported later, until `Patch.undo` or, as a context manager,
    until the context ends, with or without an exception. Patches may be nested; the last one that is not undone holds.
    Meanwhile array-api-compat has ``numpy.to_device`` again, which SPFluo's programs call on the CPU and which version 1.12
    dropped.

    Parameters
    ----------
    regularizer : str, optional
        Reconstruct by `fastmpr.reconstruct` with this regulariser, in SPFluo's units, also in `refine`. lam is then chosen
        from the views, and SPFluo's ``lambda_`` is ignored, which is logged. By default `reconstruction_L2` gives SPFluo's
        result, computed faster.

    Returns
    -------
    Patch
        A context manager.

    Raises
    ------
    ImportError
        If SPFluo is not installed, or lacks one of the functions.
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
    with _LOCK:
        if not _STACK:
            own = _of_spfluo()
            _mend()
            _STACK.append(own)
        ours = {name: one for name, one in _replacements(regularizer).items() if name in _STACK[0]}
        _STACK.append(ours)
        _put(_STACK, ours)
    return Patch(ours)


class Patch:
    """An active replacement of SPFluo's functions; see `patch`."""

    def __init__(self, ours: Names):
        self._ours = ours

    def undo(self) -> None:
        """Remove the patch; a second call does nothing."""
        with _LOCK:
            if self._ours in _STACK:
                known = list(_STACK)
                _STACK.remove(self._ours)
                _put(known, _STACK[-1])
            if len(_STACK) == 1:
                _STACK.clear()
                _unmend()

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()


def _replacements(regularizer: str | None) -> Names:
    """Return new objects with SPFluo's signatures: fastmpr's own would be undone, too, where a user imports them."""
    names = {
        "convolution_matching_poses": _anew(convolution_matching_poses),
        "find_angles_grid": _anew(find_angles_grid),
    }
    names["reconstruction_L2"], names["refine"] = _reconstruction(regularizer), _refinement(regularizer)
    return names | {_CLASS: type(_CLASS, (AbInitioReconstruction,), {"__module__": AbInitioReconstruction.__module__})}


def _anew(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a new function that does the same."""

    @functools.wraps(function)
    def replacement(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return replacement


def _refinement(regularizer: str | None) -> Callable[..., Any]:
    """Return a new function in place of `refine`."""
    if regularizer is None:
        return _anew(refine)

    @functools.wraps(refine)
    def replacement(*arguments: Any, **options: Any) -> Any:
        given = inspect.signature(refine).bind(*arguments, **options)
        log.info("lambda_: ignored, lam is chosen from the views for regularizer=%r", regularizer)
        given.apply_defaults()
        return refined(**given.arguments, regularizer=regularizer)

    return replacement


def _reconstruction(regularizer: str | None) -> Callable[..., Any]:
    """Return a new function in place of `reconstruction_L2`."""

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

    replacement.__name__ = replacement.__qualname__ = reconstruction_L2.__name__
    replacement.__doc__, replacement.__module__ = reconstruction_L2.__doc__, reconstruction_L2.__module__
    return replacement


def _of_spfluo() -> Names:
    """Return SPFluo's own functions, and its class if it can be imported."""
    need = f'need SPFluo {_VERSION}: pip install "fastmpr[spfluo]"'
    try:
        found = version("spfluo")
        home = importlib.import_module(_HOME)
    except ImportError as error:
        raise ImportError(f"spfluo: found no SPFluo that can be imported ({error}), {need}") from None
    if lacking := [name for name in _NAMES if not hasattr(home, name)]:
        raise ImportError(f"spfluo: found version {found}, whose {_HOME} has no {lacking[0]}, {need}")
    if found != _VERSION:
        warn(f"spfluo: found version {found}, patched nevertheless; fastmpr is tested with {_VERSION} only")
    own = {name: getattr(home, name) for name in _NAMES}
    try:
        own[_CLASS] = getattr(importlib.import_module(_AB_INITIO), _CLASS)
    except (ImportError, AttributeError) as error:
        log.info("spfluo: found no %s that can be imported (%s), so it is not patched", _AB_INITIO, error)
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


def _put(known: Iterable[Names], ours: Names) -> None:
    """Put objects into all modules that have one of the known objects under its name."""
    identities = {name: {id(one[name]) for one in known} for name in ours}
    for names in _namespaces():
        for name, one in ours.items():
            if id(names.get(name)) in identities[name]:
                names[name] = one


def _namespaces() -> Iterator[dict[str, Any]]:
    """Yield the namespace of every imported module, without triggering lazy imports."""
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):
            yield object.__getattribute__(module, "__dict__")
