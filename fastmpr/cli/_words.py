"""What the commands say."""

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


def put(text: str) -> None:
    """Print; letters that the terminal does not know, or a reader who has gone, do not undo what was done."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain(args: argparse.Namespace, text: str) -> None:
    """Print on stderr, if --verbose."""
    if args.verbose:
        print(text, file=sys.stderr)


def watched(args: argparse.Namespace) -> bool:
    """Return whether somebody may want to see bars."""
    return not args.quiet and sys.stderr.isatty()


def check_extras(*packages: str) -> None:
    """Refuse at once where a package is missing that would be missed only at the end."""
    for package in packages:
        if find_spec(package) is None:
            raise ImportError(f'this command needs {package}: pip install "fastmpr[cli]"')


def size(shape: Sequence[int]) -> str:
    """Return a shape as text."""
    return " x ".join(str(n) for n in shape)


def lengths(voxel_size: Sequence[float]) -> str:
    """Return a voxel size as text."""
    return " x ".join(f"{length:.4g}" for length in voxel_size) + " micrometres"
