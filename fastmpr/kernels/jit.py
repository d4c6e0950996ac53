"""Compile kernels, and give constants the precision of the values they are used with."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import overload

from .cache import CACHE, ForgivingCache, KernelCache


def njit(**options: Any) -> Any:
    """Return `numba.njit` with a cache whose failures cost only time; see `ForgivingCache`."""

    def compiled(function: Any) -> Any:
        dispatcher = numba.njit(**options | {"cache": False})(function)
        if options.get("cache") and hasattr(dispatcher, "_cache"):  # a plain function where JIT is disabled
            dispatcher._cache = ForgivingCache(KernelCache(function))
        return dispatcher

    return compiled


# Only the relaxations that keep NaN and infinity correct; "contract" is what allows fused multiply-adds.
JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy", "cache": CACHE, "fastmath": {"contract", "nsz"}}
# Pointwise functions are inlined before typing: LLVM does not vectorise a loop that calls a function returning a tuple.
JIT_INLINE: dict[str, Any] = {**JIT, "cache": False, "inline": "always"}
# "reassoc" lets LLVM sum in any order, so that sums vectorise.
JIT_SUM: dict[str, Any] = {**JIT, "fastmath": {"contract", "nsz", "reassoc"}}


def like(constant, value):
    """Return a constant in the precision of ``value``: a float64 literal would drag float32 loops to float64."""
    return type(value)(constant)


@overload(like, inline="always")
def _typed_like(constant, value):
    if value == types.float32:
        return lambda constant, value: np.float32(constant)
    return lambda constant, value: np.float64(constant)


def narrow(number, value):
    """Return a float64 number in the precision of ``value``."""
    return type(value)(number)


@overload(narrow, inline="always")
def _typed_narrow(number, value):
    if value == types.float32:
        return lambda number, value: np.float32(number)
    return lambda number, value: number
