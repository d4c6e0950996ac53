"""Progress bars of one image after another."""

from __future__ import annotations

from contextlib import ExitStack

from .._messages import Progress, telling


class Bars:
    """Progress bars of one image at a time, under its name."""

    def __init__(self, shown: bool):
        self._shown, self._stack, self._title, self._iterations = shown, ExitStack(), "", 0
        self._tell: Progress | None = None

    def begin(self, title: str) -> None:
        """Begin an image."""
        self.close()
        self._title, self._iterations = title, 0
        self._tell = self._stack.enter_context(telling(self._shown))

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Show progress as `fastmpr.deconvolve` tells it."""
        if what == "iterations":  # counted there from the first image on
            self._iterations += 1
            done = self._iterations
        if self._tell and what != "images":
            self._tell(f"{self._title}{what}", done, total)

    def close(self) -> None:
        """Close the progress bars."""
        self._tell = None
        self._stack.close()
