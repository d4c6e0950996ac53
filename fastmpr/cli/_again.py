"""The command of a record, run again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._messages import warn
from .._version import __version__

_NEED = "need the .json file that a command left beside its output"


class Again(NamedTuple):
    """A command line, and what the record that it comes from tells of its inputs.

    Attributes
    ----------
    argv : list of str
    hashes : dict of str to str
        Empty without a record.
    """

    argv: list[str]
    hashes: dict[str, str]


def add_again(command: Any) -> None:
    """Add --again, which `again` has acted upon before the command is parsed."""
    text = "run the command that left this record once more, with the same threads and with what else is given here; "
    command.add_argument("--again", metavar="OUT.json", help=f"{text}inputs that have changed are refused")


def again(argv: Sequence[str]) -> Again:
    """Return a command line with the one of a record in place of ``--again RECORD``; what else is given comes after it."""
    given = list(argv)
    place = next((i for i, word in enumerate(given) if word == "--again" or word.startswith("--again=")), None)
    if place is None:
        return Again(given, {})
    _, _, path = given[place].partition("=")
    rest = given[place + 1 :]
    if not path:
        if not rest:
            raise ValueError(f"--again: found nothing, {_NEED}")
        path, *rest = rest
    record = _read(path)
    name, *recorded = record["command"]
    if given[0] != name:
        raise ValueError(f"{path}: found a record of fastmpr {name}, need fastmpr {name} --again {path}")
    if record["versions"]["fastmpr"] != __version__:
        made = f"fastmpr {record['versions']['fastmpr']}"
        warn(f"{path}: found that {made} made it and this is {__version__}: results may differ in their last digits")
    words = [word for word in recorded if word != "--overwrite"]  # what is replaced now is asked for now
    if "--workers" not in words:  # the bits of a sum depend on the threads
        words += ["--workers", str(record["threads"])]
    return Again([name, *words, *given[1:place], *rest], record["inputs"])


def _read(path: str) -> dict[str, Any]:
    """Read a record that can be followed."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: does not exist, {_NEED}")
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        known = {"command": list, "threads": int, "inputs": dict, "versions": dict}
        right = all(isinstance(record[name], kind) for name, kind in known.items()) and record["command"]
        right = right and all(isinstance(word, str) for word in record["command"]) and "fastmpr" in record["versions"]
    except (ValueError, KeyError, TypeError, RecursionError):
        right = False
    if not right:
        raise ValueError(f"{path}: found no record of a command, {_NEED}")
    if (folder := record.get("folder")) and os.path.realpath(folder) != os.getcwd():
        warn(f"{path}: found that the command ran in {folder}: names of files mean those of this folder now")
    return record
