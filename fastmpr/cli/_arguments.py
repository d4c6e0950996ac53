"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, NoReturn

ZYX = ("Z", "Y", "X")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all other errors."""

    def error(self, message: str) -> NoReturn:
        """Raise an error, which `main` prints."""
        raise ValueError(f"{message} (see {self.prog} --help)")


def new_command(commands: Any, name: str, run: Callable, summary: str, *examples: str) -> Any:
    """Add a command whose help ends with examples, and return its parser."""
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="\n  ".join(["example:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def add_talk(command: Any) -> None:
    """Add --quiet and --verbose."""
    talk = command.add_mutually_exclusive_group()
    talk.add_argument("-q", "--quiet", action="store_true", help="print only errors and warnings")
    talk.add_argument("-v", "--verbose", action="store_true", help="also print what is found, assumed and chosen")


def add_solver(command: Any, of: str, max_iter: int, tol: float) -> None:
    """Add the options of a solve; ``of`` names what it solves for, the others are defaults."""
    add = command.add_argument
    add("--lam", type=lam, default="auto", help="weight of the data against the regularizer (default: %(default)s)")
    add("--regularizer", default="hessian", metavar="NAME", help=f"prior on the {of} (default: %(default)s)")
    until = "stop after this many iterations (default: %(default)s)"
    add("--max-iter", type=count, default=max_iter, metavar="N", help=until)
    small = "stop when the residuals are below this; 0 runs all iterations (default: %(default)s)"
    add("--tol", type=not_negative, default=tol, help=small)
    add("--workers", type=count, metavar="N", help="threads (default: all that this process may use)")


def positive(text: str) -> float:
    """Return a positive number."""
    return _number(text, float, "a positive number", lambda number: 0 < number < math.inf)


def positive_or_name(text: str) -> float | str:
    """Return a positive number, or text unchanged: an option of several values also swallows the file names after it."""
    try:
        float(text)
    except ValueError:
        return text
    return positive(text)


def not_negative(text: str) -> float:
    """Return a number of at least 0."""
    return _number(text, float, "a number of at least 0", lambda number: 0 <= number < math.inf)


class Axes(argparse.Action):
    """Take three numbers, or six."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Store one vector, or two."""
        if len(values) not in (3, 6):
            raise argparse.ArgumentError(self, f"found {len(values)} numbers, need 3 (z y x), or 6 for two axes")
        setattr(namespace, self.dest, values if len(values) == 3 else (values[:3], values[3:]))


def count(text: str) -> int:
    """Return an integer of at least 1."""
    return _number(text, int, "an integer of at least 1", lambda number: number >= 1)


def not_negative_count(text: str) -> int:
    """Return an integer of at least 0."""
    return _number(text, int, "an integer of at least 0", lambda number: number >= 0)


def lam(text: str) -> float | str:
    """Return "auto" or a positive number."""
    return text if text == "auto" else _number(text, float, "auto or a positive number", lambda n: 0 < n < math.inf)


def background(text: str) -> float | str:
    """Return "auto", "plane", "none" or a finite number."""
    if text in ("auto", "plane", "none"):
        return text
    return _number(text, float, "auto, plane, none or a number", math.isfinite)


def memory(text: str) -> float:
    """Return a number of bytes, such as 500M or 4G."""
    return _number(text, _bytes, "a positive number of bytes, such as 4G or 500M", lambda n: 0 < n < math.inf)


def _bytes(text: str) -> float:
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(text[-1:].upper())
    return float(text[:-1]) * factor if factor else float(text)


def _number(text: str, kind: Callable[[str], Any], need: str, fits: Callable[[Any], bool]) -> Any:
    try:
        if fits(number := kind(text)):
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"found {text!r}, need {need}")
