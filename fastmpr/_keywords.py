"""Unknown keywords: the error names the valid keyword that is most similar."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from ._validation import shown

_NEAR = 0.6  # least similarity, as `difflib` measures it, of a keyword to suggest


def check_keywords(function: Callable[..., Any], given: Iterable[str], further: Iterable[str] = ()) -> None:
    """Raise TypeError for a keyword that is neither in a function's signature nor in ``further``; name the nearest."""
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
    """Decorate a function to refuse unknown keywords as `check_keywords` does."""

    @functools.wraps(function)
    def checked(*args: P.args, **given: P.kwargs) -> T:
        check_keywords(function, given)
        return function(*args, **given)

    return checked
