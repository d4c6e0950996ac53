from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fastmpr import cli
from fastmpr.cli import main


class TestInfo:
    def test_versions(self, capsys):
        assert main(["info"]) == 0
        rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
        assert rows["numpy"] == np.__version__
        assert {
            "fastmpr",
            "python",
            "numba",
            "scipy",
            "pyfftw",
            "tifffile",
            "matplotlib",
            "tqdm",
        } <= rows.keys()
        assert int(rows["threads"]) >= 1


class TestHelp:
    @pytest.mark.parametrize("command", ["demo", "simulate", "reconstruct", "info"])
    def test_shows_an_example(self, capsys, command):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert f"example:\n  fastmpr {command}" in out
        example = out.split("example:\n")[1].strip().splitlines()
        for line in example:  # each example is one that the parser takes
            cli._parser().parse_args(line.split()[1:])

    def test_as_a_module(self):
        run = subprocess.run([sys.executable, "-m", "fastmpr", "dance"], capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert run.stderr.count("\n") == 1
        assert "dance" in run.stderr
