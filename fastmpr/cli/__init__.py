"""The command line: every module here whose name does not begin with _ is a command, with ``add(commands)``."""

from __future__ import annotations

import argparse
import logging
import pkgutil
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from .._version import __version__
from ._again import again
from ._arguments import Parser
from ._ending import Interrupted, handled, interrupt
from ._inputs import Inputs
from ._words import complain, put

_READERS = ("tifffile", "liffile", "oiffile", "nd2", "zarr")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0; 1 if ``check`` finds something; 2 after an error, told in one line on stderr; 3 if a volume was written that has
        not converged; 130 after Ctrl-C and 143 after SIGTERM.
    """
    for reader in _READERS:  # our error says what is wrong with a broken file
        logging.getLogger(reader).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), handled(interrupt, signal.SIGTERM):
            warnings.showwarning = _show  # in one line each
            words, hashes = again(sys.argv[1:] if argv is None else argv)
            args = _parser().parse_args(words)
            args.argv, args.inputs = words, Inputs(hashes)
            return args.run(args) or 0
    except KeyboardInterrupt as stop:
        ended = stop if isinstance(stop, Interrupted) else Interrupted(signal.SIGINT)
        put(f"fastmpr: {ended.word}", error=True)
        return 128 + ended.signal
    except MemoryError as error:
        return _fail(f"not enough memory ({error})")
    except (ValueError, TypeError, OSError, ImportError) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    complain(message)
    return 2


def _show(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    complain(str(message), "warning")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="fastmpr", description="Many blurred views of one particle become one sharp volume.")
    parser.add_argument("--version", action="version", version=f"fastmpr {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            import_module(f".{module.name}", __name__).add(commands)
    return parser
