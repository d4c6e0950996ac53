"""How a check fails: by an AssertionError of one line, also under ``python -O``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def need(holds: Any, found: str, needed: str) -> None:
    """Raise an AssertionError that says what was found and what is needed, unless it holds."""
    if not holds:
        raise AssertionError(f"{found}, need {needed}")


def called(what: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return what a call returns; an exception becomes an AssertionError of one line."""
    try:
        return function(*args, **options)
    except AssertionError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise AssertionError(f"{what}: found {type(error).__name__} ({reason[:200]}), need no error") from error
