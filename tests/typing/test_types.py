"""A user's type checker lets right calls pass, and refuses each wrong one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastmpr

HERE = Path(__file__).parent
ROOT = Path(fastmpr.__file__).parents[1]


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[str]:
    """What strict mypy says of the files of calls, line by line."""
    pytest.importorskip("mypy", reason="needs mypy: pip install 'fastmpr[lint]'")
    folder = tmp_path_factory.mktemp("mypy")
    strict = ["--config-file=", "--strict", "--follow-imports=silent", f"--cache-dir={folder}"]
    files = [str(HERE / name) for name in ("right.py", "wrong.py")]
    where = {} if ROOT.name.endswith("-packages") else {"MYPYPATH": str(ROOT)}  # where mypy looks by itself
    command = [sys.executable, "-m", "mypy", *strict, "--no-error-summary", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, **where}, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["right.py", "wrong.py"])
def test_right_calls_pass_and_wrong_ones_are_refused_by_the_error_named_beside_them(found, name):
    """In the second, every error is expected: an unexpected one, and a call that passes, is told as an error."""
    assert [line for line in found if name in line and ": error:" in line] == []


def test_every_wrong_call_says_by_what_it_is_refused():
    _, _, calls = (HERE / "wrong.py").read_text(encoding="utf-8").partition("# Misspelt keywords")
    lines = [line for line in calls.splitlines()[1:] if line and not line.startswith("#")]
    assert len(lines) > 70
    assert all(re.search(r"# type: ignore\[[a-z-]+(, [a-z-]+)*\]$", line) for line in lines)
