"""Messages besides a result: likely mistakes as warnings, assumptions in the log, and progress."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ._validation import shown

log = logging.getLogger("fastmpr")

Progress = Callable[[str, int, int | None], object]


class FastmprWarning(UserWarning):
    """A likely mistake; the message tells what was found, why it looks wrong, and what to do."""


def warn(message: str) -> None:
    """Issue a warning, attributed to the first caller outside of this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, FastmprWarning, stacklevel=level)


@contextmanager
def telling(progress: bool | Progress | None) -> Iterator[Progress | None]:
    """Yield the function that receives progress, None if the caller wants none.

    Its arguments are the counted noun, the number done, and the number in all (None if unknown). True shows a bar for each
    noun.
    """
    if progress is None or progress is False:
        yield None
    elif progress is True:
        with ExitStack() as bars:
            yield _bars(bars)
    elif callable(progress):
        yield progress
    else:
        raise TypeError(f"progress: found {shown(progress)}, need True, False or a callable(what, done, total)")


def _bars(stack: ExitStack) -> Progress:
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError('progress=True needs tqdm: pip install "fastmpr[cli]"') from None
    bars: dict[str, Any] = {}

    def tell(what: str, done: int, total: int | None) -> None:
        if what not in bars:
            bars[what] = stack.enter_context(tqdm(total=total, desc=what, leave=False))
        bars[what].update(done - bars[what].n)

    return tell
