"""A keyword that a call does not take: the error names the nearest one that it takes."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from ._validation import shown

_NEAR = 0.6  # how alike two words are at least, as `difflib` counts it, for one to be taken for the other


def check_keywords(function: Callable[..., Any], given: Iterable[str], further: Iterable[str] = ()) -> None:
    """Refuse a keyword that is neither among a function's own nor among further ones, and name the nearest of those."""
    taken = {*_own_keywords(function), *further}
    for name in given:
        if name in taken:
            continue
        called = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
        near = difflib.get_close_matches(name, sorted(taken), 1, _NEAR)
        hint = f"did you mean {near[0]!r}?" if near else f"need one of {', '.join(sorted(taken))}"
        raise TypeError(f"{called}: found no keyword {shown(name)}, {hint}")


@functools.cache
def _own_keywords(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names that a function lists in its signature."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(one.name for one in parameters if one.kind is not one.VAR_KEYWORD and one.name != "self")


P = ParamSpec("P")
T = TypeVar("T")


def naming_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function with a closed list of keywords refuse others as `check_keywords` does."""

    @functools.wraps(function)
    def checked(*args: P.args, **given: P.kwargs) -> T:
        check_keywords(function, given)
        return function(*args, **given)

    return checked
