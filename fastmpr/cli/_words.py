"""What the commands print."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec


def say(args: argparse.Namespace, text: str) -> None:
    """Print, unless --quiet."""
    if not args.quiet:
        put(text)


def put(text: str, error: bool = False) -> None:
    """Print, on stderr if it is an error; letters that the terminal lacks, or a closed pipe, do no harm."""
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # closed by whoever started the program
        return
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(text: str, kind: str = "error") -> None:
    """Print an error or a warning, in one line."""
    put(f"fastmpr: {kind}: " + " ".join(text.split()), error=True)


def explain(args: argparse.Namespace, text: str) -> None:
    """Print on stderr, if --verbose."""
    if args.verbose:
        put(text, error=True)


def watched(args: argparse.Namespace) -> bool:
    """Return whether to show progress bars: on a terminal, without --quiet."""
    return not args.quiet and sys.stderr is not None and sys.stderr.isatty()


def check_extras(*packages: str) -> None:
    """Raise an error now where a package is missing that is needed only at the end."""
    for package in packages:
        if find_spec(package) is None:
            raise ImportError(f'this command needs {package}: pip install "fastmpr[cli]"')


def size(shape: Sequence[int]) -> str:
    """Return a shape as text."""
    return " x ".join(str(n) for n in shape)


def lengths(voxel_size: Sequence[float]) -> str:
    """Return a voxel size as text."""
    return " x ".join(f"{length:.4g}" for length in voxel_size) + " micrometres"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def mebibytes(count: int) -> str:
    """Return a number of bytes as text."""
    return f"{count / (1 << 20):.1f} MiB"
